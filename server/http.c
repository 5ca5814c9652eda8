#include "base/cpu.h"
#include "base/log.h"
#include "server/http_impl.h"
#include "server/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODIES = 32 }; /* bodies of full size that may be in memory at once */

static struct sb_exchange *exchange_of(const struct sb_request *request)
{
    return (struct sb_exchange *)(uintptr_t)request;
}

/* ---- lives ---- */

static struct sb_exchange *exchange_new(struct sb_http *http, struct MHD_Connection *connection)
{
    struct sb_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    sb_request_init(&x->request, http->server);
    x->http = http;
    x->connection = connection;
    atomic_init(&x->references, 1);
    return x;
}

void sb_http_retain(struct sb_request *request)
{
    atomic_fetch_add(&exchange_of(request)->references, 1);
}

void sb_http_release(struct sb_request *request)
{
    struct sb_exchange *x = exchange_of(request);
    if (atomic_fetch_sub(&x->references, 1) != 1)
        return;
    sb_stream_free(request->reply.stream);
    sb_request_clear(request);
    free(x);
}

void sb_http_suspend(struct sb_request *request)
{
    struct sb_exchange *x = exchange_of(request);
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    MHD_suspend_connection(x->connection);
    x->next = http->suspended;
    x->link = &http->suspended;
    if (x->next)
        x->next->link = &x->next;
    http->suspended = x;
    pthread_mutex_unlock(&http->lock);
}

void sb_http_resume_locked(struct sb_exchange *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    x->link = NULL;
    MHD_resume_connection(x->connection);
}

void sb_http_resume(struct sb_request *request)
{
    struct sb_exchange *x = exchange_of(request);
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    sb_http_resume_locked(x);
    pthread_mutex_unlock(&http->lock);
}

void sb_request_respond(struct sb_request *request)
{
    struct sb_exchange *x = exchange_of(request);
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    x->answered = true;
    if (x->link)
        sb_http_resume_locked(x); /* else it was refused before it was complete, on the HTTP thread */
    pthread_mutex_unlock(&http->lock);
}

const char *sb_request_raw_query(const struct sb_request *request, const char *name)
{
    return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool sb_http_enter(struct sb_exchange *x, bool dispatches)
{
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    bool enters = !http->is_drained;
    if (enters) {
        http->active++;
        x->dispatched = x->dispatched || dispatches;
    }
    pthread_mutex_unlock(&http->lock);
    return enters;
}

/* ---- refusing ---- */

bool sb_http_refuse(struct sb_exchange *x, enum sb_problem problem, const char *message)
{
    sb_request_problem(&x->request, problem, NULL, message);
    return false;
}

size_t sb_http_body_max(const struct sb_exchange *x)
{
    const struct sb_server_options *options = &x->http->server->options;
    return x->request.route && x->request.route->uploads ? options->max_upload_bytes : options->max_body_bytes;
}

bool sb_http_too_large(struct sb_exchange *x)
{
    char message[128];
    snprintf(message, sizeof message, "the body is larger than %zu bytes, the most that this server takes",
             sb_http_body_max(x));
    x->request.reply.close = true;
    return sb_http_refuse(x, SB_PROBLEM_TOO_LARGE, message);
}

/* ---- the body ---- */

bool sb_http_count_body(struct sb_exchange *x, size_t n)
{
    struct sb_http *http = x->http;
    x->counted += n;
    if (atomic_fetch_add(&http->body_bytes, n) + n <= BODIES * http->server->options.max_body_bytes)
        return true;
    return sb_http_refuse(x, SB_PROBLEM_OVERLOADED, "too many large requests arrive at once; try again later");
}

bool sb_http_drain_body(struct sb_exchange *x, size_t size)
{
    x->drained += size;
    return x->drained <= SB_HTTP_DRAIN_MAX && sb_now_ns() - x->request.received_ns <=
                                                  (int64_t)x->http->server->options.receive_timeout_ms * 2000000;
}

/* False: the connection is to be closed. */
static bool take_body(struct sb_exchange *x, const char *data, size_t size)
{
    struct sb_request *r = &x->request;
    const struct sb_server_options *options = &x->http->server->options;
    if (!x->answered && sb_now_ns() - r->received_ns > (int64_t)options->receive_timeout_ms * 1000000) {
        r->reply.close = true;
        sb_http_refuse(x, SB_PROBLEM_ARRIVAL, "the request took too long to arrive");
    }
    if (!x->answered && size > options->max_body_bytes - r->body.length)
        sb_http_too_large(x);
    if (!x->answered) {
        if (sb_http_count_body(x, size))
            sb_buffer_bytes(&r->body, data, size);
        if (!x->answered && r->body.failed)
            sb_http_refuse(x, SB_PROBLEM_STOPPING, "no memory for the request's body");
        return true;
    }
    return sb_http_drain_body(x, size);
}

/* ---- replies ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value); /* fails only without memory: the reply goes without it */
}

static void add_number(struct MHD_Response *response, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    add_header(response, name, text);
}

/* As text-embeddings-inference: whole milliseconds. */
static void add_timing(struct MHD_Response *response, const struct sb_request *r)
{
    const struct sb_timing *t = &r->timing;
    int64_t total = sb_now_ns() - r->received_ns;
    add_number(response, "x-compute-time", total / 1000000);
    add_number(response, "x-compute-characters", t->characters);
    add_number(response, "x-compute-tokens", t->tokens);
    add_number(response, "x-total-time", total / 1000000);
    add_number(response, "x-tokenization-time", t->tokenization_ns / 1000000);
    add_number(response, "x-queue-time", t->queue_ns / 1000000);
    add_number(response, "x-inference-time", t->inference_ns / 1000000);
}

static struct MHD_Response *make_response(struct sb_reply *reply)
{
    if (reply->stream)
        return sb_stream_response(reply->stream);
    if (reply->has_file) {
        struct MHD_Response *file = MHD_create_response_from_fd64(reply->file_size, reply->file);
        reply->has_file = !file; /* the response closes it */
        return file;
    }
    size_t length;
    char *data = sb_buffer_take(&reply->body, &length);
    if (!data)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(length, data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(data);
    return response;
}

static enum MHD_Result queue_reply(struct sb_exchange *x)
{
    struct sb_reply *reply = &x->request.reply;
    struct MHD_Response *response = make_response(reply);
    if (!response)
        return MHD_NO;
    add_header(response, "Content-Type", reply->content_type);
    if (reply->timed)
        add_timing(response, &x->request);
    if (reply->status == 429)
        add_header(response, "Retry-After", "1");
    if (reply->status == 401)
        add_header(response, "WWW-Authenticate", "Bearer");
    if (reply->allow)
        add_header(response, "Allow", reply->allow);
    if (reply->stream)
        add_header(response, "Cache-Control", "no-cache");
    if (reply->close || atomic_load(&x->http->stopping))
        add_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- callbacks of libmicrohttpd ---- */

static bool dispatch(struct sb_exchange *x)
{
    struct sb_request *r = &x->request;
    if (!sb_http_enter(x, true))
        return false;
    sb_http_suspend(r);
    if (x->pieces)
        x->pieces->end(r);
    else if (r->body.length > SB_INLINE_BYTES)
        sb_request_later(r, r->route->handle);
    else
        r->route->handle(r);
    return true;
}

/* libmicrohttpd goes on with further chunks of a body that it has read already although the connection was suspended for
 * an earlier one. What is not taken then comes again. */
static bool is_suspended(struct sb_exchange *x)
{
    pthread_mutex_lock(&x->http->lock);
    bool suspended = x->link != NULL;
    pthread_mutex_unlock(&x->http->lock);
    return suspended;
}

/* Called with the head, then for each piece of the body, then with its end, and once more after a suspended connection
 * resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct sb_exchange *x = *state;
    (void)version;
    if (!x) {
        x = exchange_new(context, connection);
        if (!x)
            return MHD_NO;
        *state = x;
        x->method = method;
        x->url = url;
        sb_http_look_at_head(x);
        return x->answered && !sb_http_can_drain(x) ? queue_reply(x) : MHD_YES;
    }
    if (*size > 0) {
        if (is_suspended(x))
            return MHD_YES;
        bool go_on = x->request.upload ? sb_http_upload_take(x, data, *size)
                     : x->pieces       ? sb_http_pieces_take(x, data, *size)
                                       : take_body(x, data, *size);
        *size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (x->answered)
        return queue_reply(x);
    return dispatch(x) ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct sb_http *http = context;
    struct sb_exchange *x = *state;
    (void)connection;
    if (!x)
        return;
    struct sb_request *r = &x->request;
    bool sent = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    int status = sent ? r->reply.status : 499;
    size_t route = r->route ? sb_route_index(r->route) : sb_route_count();
    atomic_store(&r->cancelled, 1);
    sb_metrics_reply(http->server->metrics, route, status);
    if (http->server->options.log_requests || status == 500 || status == 507)
        sb_log(status >= 500 ? SB_LOG_WARN : SB_LOG_INFO, "server", "%s %s %d %.1f ms", x->method, x->url, status,
               (double)(sb_now_ns() - r->received_ns) / 1e6);
    atomic_fetch_sub(&http->body_bytes, x->counted);
    pthread_mutex_lock(&http->lock);
    if (x->dispatched && --http->active == 0)
        pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->lock);
    sb_http_release(r);
    *state = NULL;
}

static void on_message(void *context, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_message(void *context, const char *format, va_list args)
{
    char text[256];
    (void)context;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    sb_log(SB_LOG_DEBUG, "http", "%s", text);
}

/* Paths and parameters stay as they came: the router splits first, then decodes. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- start and stop ---- */

/* One thread parses and sends many thousand requests a second; more only where there are processors to spare. */
static unsigned http_threads(void)
{
    int cpus = sb_cpu_count();
    return cpus <= 8 ? 1 : cpus <= 32 ? 2 : 4;
}

enum sb_status sb_http_start(struct sb_http **http, struct sb_server *server, const struct sb_listener *listener,
                             struct sb_error *error)
{
    struct sb_http *h = calloc(1, sizeof *h);
    *http = NULL;
    if (!h) {
        close(listener->fd);
        return sb_fail(error, SB_NO_MEMORY, "http: no memory");
    }
    *http = h; /* handlers reach it through their server as soon as the daemon runs */
    h->server = server;
    h->socket = listener->fd;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->idle, NULL);
    unsigned seconds = (unsigned)(server->options.receive_timeout_ms + 999) / 1000, threads = http_threads();
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (listener->family == AF_INET6 ? MHD_USE_IPv6 : 0);
    if (sb_http_watch_start(h))
        h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, h,
                                     MHD_OPTION_LISTEN_SOCKET, h->socket, MHD_OPTION_THREAD_POOL_SIZE,
                                     threads > 1 ? threads : 0, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, seconds,
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_UNESCAPE_CALLBACK,
                                     keep_escapes, h, MHD_OPTION_END);
    if (!h->daemon) {
        sb_http_free(h);
        *http = NULL;
        return sb_fail(error, SB_INTERNAL, "http: the threads can not be started");
    }
    return SB_OK;
}

size_t sb_http_active(const struct sb_http *http)
{
    struct sb_http *h = (struct sb_http *)(uintptr_t)http;
    pthread_mutex_lock(&h->lock);
    size_t active = h->active;
    pthread_mutex_unlock(&h->lock);
    return active;
}

void sb_http_drain(struct sb_http *http)
{
    int fd = MHD_quiesce_daemon(http->daemon);
    if (fd >= 0)
        close(fd);
    http->socket = -1;
    atomic_store(&http->stopping, true);
    pthread_mutex_lock(&http->lock);
    while (http->active > 0)
        pthread_cond_wait(&http->idle, &http->lock);
    http->is_drained = true;
    pthread_mutex_unlock(&http->lock);
}

void sb_http_free(struct sb_http *http)
{
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (http->socket >= 0)
        close(http->socket);
    sb_http_watch_stop(http);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
