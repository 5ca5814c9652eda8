/*
 * The one table of routes, and finding in it.
 *
 *     struct sb_route_match match;
 *     switch (sb_route_find("GET", "/v1/models/simbert", &match)) {
 *     case SB_ROUTE_FOUND: match.route->handle(request); ...           // match.params[0] is "simbert"
 *
 * Thread rule: every call from any thread.
 */
#ifndef SB_SERVER_ROUTER_H
#define SB_SERVER_ROUTER_H

#include "server/errors.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_request;

enum { SB_ROUTE_PARAMS = 2 };

struct sb_route {
    const char *method;
    const char *pattern; /* "/v1/collections/{c}/sentences/{id}": {…} is one part of the path, never empty */
    enum sb_style style;
    void (*handle)(struct sb_request *request);
    bool is_public; /* needs no key */
    bool uploads;   /* takes multipart/form-data, which goes to disk as it arrives: request->upload */
};

/* A body that is read in pieces while it arrives, however long it is. piece(request) gets one in request->body and calls
   sb_request_next_piece, or answers; end(request) gets the last one, which may be empty, and answers. */
struct sb_piece_handlers {
    void (*piece)(struct sb_request *request);
    void (*end)(struct sb_request *request);
    bool always; /* else only when its type is that of JSON lines */
};

struct sb_route_match {
    const struct sb_route *route; /* NULL unless found */
    enum sb_style style;          /* in which errors are told, also when nothing was found */
    struct {
        const char *text; /* into the path, as it came */
        size_t size;
    } params[SB_ROUTE_PARAMS];
    char allow[64]; /* "GET, PUT": what the path takes, when the method was wrong */
};

enum sb_route_result { SB_ROUTE_FOUND, SB_ROUTE_WRONG_METHOD, SB_ROUTE_UNKNOWN };

/* HEAD finds what GET finds. */
enum sb_route_result sb_route_find(const char *method, const char *path, struct sb_route_match *match);

/* NULL: the route's bodies are read whole. */
const struct sb_piece_handlers *sb_route_pieces(const struct sb_route *route);

size_t sb_route_count(void);
const struct sb_route *sb_route_at(size_t index);
size_t sb_route_index(const struct sb_route *route);
void sb_route_name(size_t index, char *name, size_t size); /* "POST /v1/embeddings" */

#endif
