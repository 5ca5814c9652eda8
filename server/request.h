/*
 * One HTTP request as its handler sees it. The connection is suspended before the handler runs, so a handler may hand
 * the work to other threads and return; whoever finishes calls exactly one of send, fail, problem or stream, after
 * which the request belongs to HTTP again and must not be touched.
 *
 *     void handle(struct sb_request *request)
 *     {
 *         const cJSON *json;
 *         if (!sb_request_json(request, &json))      // has answered already
 *             return;
 *         sb_buffer_text(&request->reply.body, "{\"ok\":true}");
 *         sb_request_send(request, 200);
 *     }
 *
 * Thread rule: a request belongs to one thread at a time; only cancelled may be set and read by any.
 */
#ifndef SB_SERVER_REQUEST_H
#define SB_SERVER_REQUEST_H

#include "base/buffer.h"
#include "base/json.h"
#include "base/status.h"
#include "server/background.h"
#include "server/errors.h"
#include "server/router.h"
#include "server/timing.h"

#include <stdbool.h>
#include <stdint.h>

struct sb_server;
struct sb_stream;
struct sb_upload;

struct sb_reply {
    int status;
    const char *content_type; /* "application/json" unless a handler sets another */
    struct sb_buffer body;
    struct sb_stream *stream; /* instead of body */
    bool has_file;            /* instead of body: file_size bytes of the open file, which HTTP closes */
    int file;
    uint64_t file_size;
    bool timed;               /* send request->timing as x-...-time headers */
    const char *allow;        /* for 405 */
    bool close;               /* the connection ends with this reply */
};

struct sb_request {
    struct sb_server *server;
    const struct sb_route *route; /* NULL when none fits */
    enum sb_style style;
    const char *params[SB_ROUTE_PARAMS]; /* decoded parts of the path */
    struct sb_buffer body;
    struct sb_upload *upload; /* of a route that uploads: what of it is on disk; body holds the rest */
    int64_t received_ns;   /* when its head had arrived */
    int64_t deadline_ns;   /* 0: none */
    _Atomic int cancelled; /* the client is gone */
    bool stopping;         /* of a body that is read in pieces: the server ends, nothing more of it will come */
    struct sb_timing timing;
    struct sb_reply reply;

    void *state; /* the handler's own; free_state(state) is called with the request's end */
    void (*free_state)(void *state);

    /* Private to request.c. */
    cJSON *json;
    struct sb_kept *kept;
    struct sb_background_job job;
    void (*step)(struct sb_request *request);
};

/* A zeroed request with its server set; what it holds is freed at the end. For http.c and tests. */
void sb_request_init(struct sb_request *request, struct sb_server *server);
void sb_request_clear(struct sb_request *request);

/* The body as a JSON object, borrowed from the request. False: the request has been answered. */
SB_MUST_CHECK bool sb_request_json(struct sb_request *request, const cJSON **json);

/* Query parameter, percent-decoded and kept by the request; *value NULL when absent. SB_INVALID: not UTF-8, or holds a
 * NUL. */
SB_MUST_CHECK enum sb_status sb_request_query(struct sb_request *request, const char *name, const char **value,
                                              struct sb_error *error);
/* The same as a number, *value untouched when absent. */
SB_MUST_CHECK enum sb_status sb_request_query_int(struct sb_request *request, const char *name, int64_t low,
                                                  int64_t high, int64_t *value, struct sb_error *error);
/* Decodes %XX of text[0, size); the result is kept by the request. */
SB_MUST_CHECK enum sb_status sb_request_decode(struct sb_request *request, const char *text, size_t size,
                                               const char **decoded, struct sb_error *error);

/* A copy of text that lives as long as the request; NULL: no memory. */
const char *sb_request_keep(struct sb_request *request, const char *text);

/* Zeroed memory that lives as the request's state; NULL: no memory, and the request has been answered. */
void *sb_request_state(struct sb_request *request, size_t size, void (*free_state)(void *state));

/* Continues in step() on a background thread; there answers by itself when the deadline has passed or the client is
 * gone. */
void sb_request_later(struct sb_request *request, void (*step)(struct sb_request *request));

/* In http_pieces.c: the piece of the body has been taken, HTTP goes on reading. The request may not be touched until the
   next piece or the end comes. */
void sb_request_next_piece(struct sb_request *request);

/* ---- ends of a request ---- */
void sb_request_send(struct sb_request *request, int status); /* reply.body */
void sb_request_problem(struct sb_request *request, enum sb_problem problem, const char *param, const char *message);
void sb_request_fail(struct sb_request *request, enum sb_status status, const char *param,
                     const struct sb_error *error);

/* In http.c: hands the reply to HTTP. */
void sb_request_respond(struct sb_request *request);
/* In http.c: an undecoded query parameter, NULL when absent. */
const char *sb_request_raw_query(const struct sb_request *request, const char *name);

#endif
