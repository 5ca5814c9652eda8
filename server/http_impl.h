/* What the parts of HTTP share: http.c (connections), http_head.c (what the head says), http_upload.c (bodies that go to
 * disk), http_pieces.c (bodies that are read in pieces), http_watch.c (clients that go away). */
#ifndef SB_SERVER_HTTP_IMPL_H
#define SB_SERVER_HTTP_IMPL_H

#include "server/http.h"
#include "server/server_impl.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Bytes of a refused body that are read, so that the client sees the answer rather than a reset. */
enum { SB_HTTP_DRAIN_MAX = 64 << 20 };

/* A request and its connection. Lives until HTTP is done with it and, for a stream, its reader and writer too. */
struct sb_exchange {
    struct sb_request request; /* first: a request is its exchange */
    struct sb_http *http;
    struct MHD_Connection *connection;
    const char *method; /* borrowed from the connection */
    const char *url;
    atomic_int references;
    bool answered;                    /* the reply is complete */
    bool dispatched;                  /* counted in active */
    size_t drained, counted;          /* bytes of the body: read and dropped; part of http->body_bytes */
    const struct sb_piece_handlers *pieces; /* of a body that is read in pieces, else NULL */
    size_t uploaded;                  /* bytes of an upload that have come */
    enum sb_status upload_status;     /* why it can not go on, with the text in upload_error */
    struct sb_error upload_error;
    struct sb_exchange *next, **link; /* in http->suspended */
};

struct sb_http_watch {
    pthread_t thread;
    bool running;
    bool ending; /* guarded by http->lock */
    pthread_cond_t end;
    struct pollfd *polled; /* [size] */
    struct sb_exchange **owners;
    size_t size;
};

struct sb_http {
    struct sb_server *server;
    struct MHD_Daemon *daemon;
    int socket;
    atomic_bool stopping;
    _Atomic size_t body_bytes; /* of all requests */
    pthread_mutex_t lock;      /* guards suspended and active */
    struct sb_exchange *suspended;
    size_t active;       /* dispatched and not completed */
    bool is_drained;     /* nothing may become active any more: the daemon ends, and may not find a connection suspended */
    pthread_cond_t idle; /* active became 0 */
    struct sb_http_watch watch;
};

/* http.c: counts the exchange as active before its connection is suspended; false: the server has ended, close the connection. */
bool sb_http_enter(struct sb_exchange *x, bool dispatches);
/* http.c: answers with a problem; false. */
bool sb_http_refuse(struct sb_exchange *x, enum sb_problem problem, const char *message);
bool sb_http_too_large(struct sb_exchange *x);
/* The most bytes that a request's body may have. */
size_t sb_http_body_max(const struct sb_exchange *x);
/* Counts n more bytes of all bodies in memory; false when there are too many, and the request has been refused. */
bool sb_http_count_body(struct sb_exchange *x, size_t n);
/* With http->lock held: resumes a suspended connection. HTTP may free the exchange as soon as the lock is free. */
void sb_http_resume_locked(struct sb_exchange *x);
/* Reads on what is refused, within limits; false: the connection is to be closed. */
bool sb_http_drain_body(struct sb_exchange *x, size_t size);

/* http_upload.c: begins an upload with its head, and takes a piece of it; false: the connection is to be closed. */
void sb_http_upload_begin(struct sb_exchange *x, const char *content_type);
bool sb_http_upload_take(struct sb_exchange *x, const char *data, size_t size);

/* http_pieces.c: takes a part of a body that is read in pieces; false: the connection is to be closed. */
bool sb_http_pieces_take(struct sb_exchange *x, const char *data, size_t size);

/* http_head.c: finds the route, then checks all that can be said before the body. What is wrong is answered on the
 * spot. */
void sb_http_look_at_head(struct sb_exchange *x);
/* Whether the rest of a refused body is worth reading: a client that asked whether to send it (Expect) has not begun.
 */
bool sb_http_can_drain(const struct sb_exchange *x);

/* http_watch.c: sets cancelled of requests whose client is gone. Stop is fine after a failed start, too. */
bool sb_http_watch_start(struct sb_http *http);
void sb_http_watch_stop(struct sb_http *http);

#endif
