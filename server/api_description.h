/*
 * What each route is for and takes, in words: the source of GET /openapi.json and GET /docs.
 *
 *     struct sb_buffer text = {0};
 *     sb_api_openapi(&text);
 *     send(text.data, text.length);
 *     sb_buffer_free(&text);
 *
 * Thread rule: every call from any thread.
 */
#ifndef SB_SERVER_API_DESCRIPTION_H
#define SB_SERVER_API_DESCRIPTION_H

#include "base/buffer.h"
#include "server/router.h"

struct sb_route_description {
    const char *method, *pattern; /* as in the route table */
    const char *summary;
    const char *parameters; /* of the query: the inside of an OpenAPI parameters list, or NULL */
    const char *required;   /* of the body: the inside of a list of names, or NULL */
    const char *properties; /* of the body: the inside of a JSON schema's properties, or NULL when it has no body */
    const char *example;    /* a body that works as it is, or NULL */
};

/* NULL when the route is not described (a test sees to it that all are). */
const struct sb_route_description *sb_route_describe(const struct sb_route *route);

void sb_api_openapi(struct sb_buffer *out); /* OpenAPI 3.0, JSON */
void sb_api_page(struct sb_buffer *out);    /* one HTML page without anything from elsewhere */

#endif
