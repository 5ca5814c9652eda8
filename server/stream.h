/*
 * Server-sent events: a reply that is written while the work goes on.
 *
 *     struct sb_stream *stream = sb_stream_new(request);
 *     sb_stream_start(stream);                          // sends the head; ends the handler's turn like sb_request_send
 *     sb_stream_event(stream, json, size);              // any number, from any thread: "data: …\n\n"
 *     sb_stream_end(stream);                            // exactly once; then neither stream nor request may be touched
 *
 * A vanished client sets the request's cancelled; events are dropped from then on.
 *
 * A long reply is written as it is read instead: each time that all has been sent, and once more when the client is
 * gone, pull(context) is called, upon which the writer calls write or end once, from any thread.
 *
 *     sb_stream_start_pulled(stream, "application/x-ndjson", pull, context);
 */
#ifndef SB_SERVER_STREAM_H
#define SB_SERVER_STREAM_H

#include "server/request.h"

struct MHD_Response;

struct sb_stream *sb_stream_new(struct sb_request *request); /* NULL: no memory */
void sb_stream_start(struct sb_stream *stream);
void sb_stream_event(struct sb_stream *stream, const char *data, size_t size);
void sb_stream_end(struct sb_stream *stream);

/* pull is called on HTTP threads and must not block. */
void sb_stream_start_pulled(struct sb_stream *stream, const char *content_type, void (*pull)(void *context),
                            void *context);
/* False: the client is gone; the writer must end the stream. */
SB_MUST_CHECK bool sb_stream_write(struct sb_stream *stream, const char *data, size_t size);
/* In place of sb_stream_end: the client sees that the reply is cut. */
void sb_stream_cut(struct sb_stream *stream);

/* For http.c. */
struct MHD_Response *sb_stream_response(struct sb_stream *stream); /* NULL: no memory */
void sb_stream_free(struct sb_stream *stream);                     /* with its request; NULL is fine */

#endif
