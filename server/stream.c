#include "server/stream.h"

#include "server/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

struct sb_stream {
    struct sb_request *request;
    pthread_mutex_t lock;
    struct sb_buffer pending; /* not sent yet: from sent on */
    size_t sent;
    bool waiting; /* the connection is suspended until there is something to send */
    bool ended;   /* no more events will come */
    bool is_cut;  /* ended before its end */
    void (*pull)(void *context);
    void *context;
    bool is_pulled; /* pull was called, and nothing has come yet */
    bool closed;  /* HTTP reads no more */
};

struct sb_stream *sb_stream_new(struct sb_request *request)
{
    struct sb_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->request = request;
    pthread_mutex_init(&stream->lock, NULL);
    request->reply.stream = stream;
    return stream;
}

void sb_stream_free(struct sb_stream *stream)
{
    if (!stream)
        return;
    sb_buffer_free(&stream->pending);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

static void start(struct sb_stream *stream, const char *content_type)
{
    struct sb_request *request = stream->request;
    request->reply.content_type = content_type;
    request->reply.status = 200;
    sb_http_retain(request); /* the writer's reference, until sb_stream_end */
    sb_request_respond(request);
}

void sb_stream_start(struct sb_stream *stream)
{
    start(stream, "text/event-stream");
}

void sb_stream_start_pulled(struct sb_stream *stream, const char *content_type, void (*pull)(void *context),
                            void *context)
{
    stream->pull = pull;
    stream->context = context;
    start(stream, content_type);
}

/* With the lock held. */
static void wake(struct sb_stream *stream)
{
    if (!stream->waiting)
        return;
    stream->waiting = false;
    sb_http_resume(stream->request);
}

void sb_stream_event(struct sb_stream *stream, const char *data, size_t size)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->closed) {
        sb_buffer_text(&stream->pending, "data: ");
        sb_buffer_bytes(&stream->pending, data, size);
        sb_buffer_text(&stream->pending, "\n\n");
        wake(stream);
    }
    pthread_mutex_unlock(&stream->lock);
}

bool sb_stream_write(struct sb_stream *stream, const char *data, size_t size)
{
    pthread_mutex_lock(&stream->lock);
    bool closed = stream->closed;
    stream->is_pulled = false;
    if (!closed) {
        sb_buffer_bytes(&stream->pending, data, size);
        wake(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    return !closed;
}

static void end(struct sb_stream *stream, bool is_cut)
{
    struct sb_request *request = stream->request;
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    stream->is_cut = is_cut;
    wake(stream);
    pthread_mutex_unlock(&stream->lock);
    sb_http_release(request);
}

void sb_stream_end(struct sb_stream *stream)
{
    end(stream, false);
}

void sb_stream_cut(struct sb_stream *stream)
{
    end(stream, true);
}

/* Called by an HTTP thread. 0 goes with a suspended connection. */
static ssize_t read_pending(void *context, uint64_t position, char *out, size_t size)
{
    struct sb_stream *stream = context;
    ssize_t n = 0;
    bool pull = false;
    (void)position;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->pending.length - stream->sent;
    if (stream->pending.failed) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        if (left > size)
            left = size;
        memcpy(out, stream->pending.data + stream->sent, left);
        stream->sent += left;
        n = (ssize_t)left;
    } else if (stream->ended) {
        n = stream->is_cut ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        sb_buffer_reset(&stream->pending);
        stream->sent = 0;
        stream->waiting = true;
        pull = stream->pull && !stream->is_pulled;
        stream->is_pulled = stream->is_pulled || pull;
        sb_http_suspend(stream->request);
    }
    pthread_mutex_unlock(&stream->lock);
    if (pull)
        stream->pull(stream->context);
    return n;
}

static void close_reader(void *context)
{
    struct sb_stream *stream = context;
    struct sb_request *request = stream->request;
    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    stream->waiting = false;
    bool pull = stream->pull && !stream->is_pulled && !stream->ended;
    stream->is_pulled = stream->is_pulled || pull;
    pthread_mutex_unlock(&stream->lock);
    if (pull)
        stream->pull(stream->context);
    sb_http_release(request);
}

struct MHD_Response *sb_stream_response(struct sb_stream *stream)
{
    sb_http_retain(
        stream->request); /* the reader's: libmicrohttpd closes it after it has declared the request complete */
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_pending, stream, close_reader);
    if (!response)
        sb_http_release(stream->request);
    return response;
}
