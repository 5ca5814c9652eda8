/*
 * Bodies that go to disk while they arrive. A piece is gathered on the HTTP thread; then the connection waits until a
 * background thread has written it, so that a slow disk holds up nobody else, and memory holds one piece an upload.
 */
#include "base/cpu.h"
#include "server/http_impl.h"
#include "server/uploads.h"

#include <stdio.h>

enum {
    PIECE = 256 << 10,
    BYTES_PER_TIMEOUT = 1 << 20, /* an upload has the receive timeout once more for each of these that has come */
};

void sb_http_upload_begin(struct sb_exchange *x, const char *content_type)
{
    struct sb_request *r = &x->request;
    struct sb_error error;
    const struct sb_server *server = x->http->server;
    r->deadline_ns = 0; /* how long it takes is the client's line; BYTES_PER_TIMEOUT bounds it */
    enum sb_status status = sb_upload_new(&r->upload, server->options.data, content_type, &error);
    if (status != SB_OK)
        sb_http_refuse(x, status == SB_INVALID ? SB_PROBLEM_MEDIA_TYPE : sb_problem_of(status), error.message);
}

/* On a background thread; the connection is suspended and counted as active. */
static void write_piece(struct sb_background_job *job)
{
    struct sb_request *r = (struct sb_request *)((char *)job - offsetof(struct sb_request, job));
    struct sb_exchange *x = (struct sb_exchange *)r;
    struct sb_http *http = x->http;
    x->upload_status = sb_upload_feed(r->upload, r->body.data, r->body.length, &x->upload_error);
    sb_buffer_reset(&r->body);
    pthread_mutex_lock(&http->lock);
    sb_http_resume_locked(x);
    if (--http->active == 0)
        pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->lock);
}

static bool hand_over(struct sb_exchange *x)
{
    struct sb_http *http = x->http;
    if (!sb_http_enter(x, false))
        return false;
    sb_http_suspend(&x->request);
    x->request.job.run = write_piece;
    sb_background_push(http->server->background, &x->request.job);
    return true;
}

/* What is wrong with an upload that goes on; true: nothing. */
static bool check(struct sb_exchange *x, size_t size)
{
    const struct sb_server_options *options = &x->http->server->options;
    int64_t patience = (int64_t)options->receive_timeout_ms * 1000000 *
                       (int64_t)(1 + x->uploaded / BYTES_PER_TIMEOUT);
    if (x->upload_status != SB_OK)
        return sb_http_refuse(x, sb_problem_of(x->upload_status), x->upload_error.message);
    if (atomic_load(&x->http->stopping)) {
        x->request.reply.close = true;
        return sb_http_refuse(x, SB_PROBLEM_STOPPING, "the server is stopping");
    }
    if (sb_now_ns() - x->request.received_ns > patience) {
        x->request.reply.close = true;
        return sb_http_refuse(x, SB_PROBLEM_ARRIVAL, "the upload took too long to arrive");
    }
    if (size > sb_http_body_max(x) - x->uploaded)
        return sb_http_too_large(x);
    return x->uploaded > 0 || sb_http_count_body(x, PIECE);
}

bool sb_http_upload_take(struct sb_exchange *x, const char *data, size_t size)
{
    struct sb_request *r = &x->request;
    if (x->answered || !check(x, size))
        return sb_http_drain_body(x, size);
    x->uploaded += size;
    sb_buffer_bytes(&r->body, data, size);
    if (r->body.failed)
        sb_http_refuse(x, SB_PROBLEM_STOPPING, "no memory for the upload");
    else if (r->body.length >= PIECE)
        return hand_over(x);
    return true;
}
