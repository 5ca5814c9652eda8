/*
 * Bodies that a handler reads in pieces while they arrive. A piece is gathered on the HTTP thread; then the connection
 * waits until the handler wants the next one, so that memory holds one piece, and a slow disk slows the client.
 */
#include "server/http_impl.h"

enum { PIECE = 256 << 10 };

/* The server does not end while the handler has the piece. */
static bool hand_over(struct sb_exchange *x)
{
    if (!sb_http_enter(x, true))
        return false;
    sb_http_suspend(&x->request);
    x->pieces->piece(&x->request);
    return true;
}

void sb_request_next_piece(struct sb_request *request)
{
    struct sb_exchange *x = (struct sb_exchange *)request;
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    x->dispatched = false;
    sb_http_resume_locked(x);
    if (--http->active == 0)
        pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->lock);
}

bool sb_http_pieces_take(struct sb_exchange *x, const char *data, size_t size)
{
    struct sb_request *r = &x->request;
    bool stopping = atomic_load(&x->http->stopping);
    if (x->answered) { /* the answer is only seen by a client that has sent everything */
        x->drained += size;
        return !stopping || x->drained <= SB_HTTP_DRAIN_MAX;
    }
    sb_buffer_bytes(&r->body, data, size);
    r->stopping = stopping;
    r->reply.close = stopping;
    if (r->body.failed)
        sb_http_refuse(x, SB_PROBLEM_STOPPING, "no memory for the body");
    else if (r->body.length >= PIECE || stopping)
        return hand_over(x);
    return true;
}
