/*
 * HTTP over libmicrohttpd: connections, bodies, replies. A request's connection is suspended while it is worked on, so
 * that the HTTP threads only parse and send.
 *
 *     struct sb_http *http;
 *     sb_http_start(&http, server, &listener, &error);
 *     ...
 *     sb_http_drain(http);     // no new connections, new requests get 503, returns when the others are answered
 *     sb_http_free(http);
 */
#ifndef SB_SERVER_HTTP_H
#define SB_SERVER_HTTP_H

#include "server/listen.h"
#include "server/request.h"

struct sb_http;

/* Takes over the listener's socket, also on failure. *http is set before the first request can come. */
SB_MUST_CHECK enum sb_status sb_http_start(struct sb_http **http, struct sb_server *server,
                                           const struct sb_listener *listener, struct sb_error *error);
void sb_http_drain(struct sb_http *http);
void sb_http_free(struct sb_http *http);           /* NULL is fine */
size_t sb_http_active(const struct sb_http *http); /* requests that have arrived and are not answered */

/* For server/stream.c: the request outlives its connection by one reference; its connection waits and goes on. */
void sb_http_retain(struct sb_request *request);
void sb_http_release(struct sb_request *request);
void sb_http_suspend(struct sb_request *request);
void sb_http_resume(struct sb_request *request);

#endif
