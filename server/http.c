#include "server/http.h"

#include "base/cpu.h"
#include "base/log.h"
#include "server/server_impl.h"
#include "server/stream.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    WATCH_MS = 100, /* how often connections of running requests are looked at */
    BODIES = 32,    /* bodies of full size that may be in memory at once */
    DRAIN_MAX =
        64 << 20, /* bytes of a refused body that are read, so that the client sees the answer rather than a reset */
    TIMEOUT_MAX_MS = 3600000,
};

/* A request and its connection. Lives until HTTP is done with it and, for a stream, its writer too. */
struct exchange {
    struct sb_request request; /* first: a request is its exchange */
    struct sb_http *http;
    struct MHD_Connection *connection;
    const char *method; /* borrowed from the connection */
    const char *url;
    atomic_int references;
    bool answered;                 /* the reply is complete */
    bool dispatched;               /* counted in active */
    size_t drained, counted;       /* bytes of the body: read and dropped; part of http->body_bytes */
    struct exchange *next, **link; /* in http->suspended */
};

struct sb_http {
    struct sb_server *server;
    struct MHD_Daemon *daemon;
    int socket;
    pthread_mutex_t lock; /* guards all below */
    struct exchange *suspended;
    size_t active;       /* dispatched and not completed */
    bool ending;         /* the watcher shall end */
    pthread_cond_t idle; /* active became 0 */
    pthread_cond_t end;
    pthread_t watcher;
    bool watching;
    struct pollfd *polled; /* the watcher's, [polled_size] */
    struct exchange **polled_owners;
    size_t polled_size;
    atomic_bool stopping;
    _Atomic size_t body_bytes; /* of all requests */
};

static struct exchange *exchange_of(const struct sb_request *request)
{
    return (struct exchange *)(uintptr_t)request;
}

/* ---- lives ---- */

static struct exchange *exchange_new(struct sb_http *http, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);
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
    struct exchange *x = exchange_of(request);
    if (atomic_fetch_sub(&x->references, 1) != 1)
        return;
    sb_stream_free(request->reply.stream);
    sb_request_clear(request);
    free(x);
}

void sb_http_suspend(struct sb_request *request)
{
    struct exchange *x = exchange_of(request);
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

/* With the lock held. After it, HTTP may free the exchange as soon as the lock is free. */
static void resume(struct exchange *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    x->link = NULL;
    MHD_resume_connection(x->connection);
}

void sb_http_resume(struct sb_request *request)
{
    struct exchange *x = exchange_of(request);
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    resume(x);
    pthread_mutex_unlock(&http->lock);
}

void sb_request_respond(struct sb_request *request)
{
    struct exchange *x = exchange_of(request);
    struct sb_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    x->answered = true;
    if (x->link)
        resume(x); /* else it was refused before it was complete, on the HTTP thread */
    pthread_mutex_unlock(&http->lock);
}

/* ---- the head ---- */

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *sb_request_raw_query(const struct sb_request *request, const char *name)
{
    return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Compares in a time that does not depend on where they differ. */
static bool same_secret(const char *given, const char *secret)
{
    size_t length = strlen(secret), differ = strlen(given) ^ length;
    for (size_t i = 0; given[i] && i < length; i++)
        differ |= (size_t)((unsigned char)given[i] ^ (unsigned char)secret[i]);
    return differ == 0;
}

static bool has_key(const struct exchange *x)
{
    const char *key = x->http->server->options.api_key, *given = header(x, "Authorization");
    if (!key || !key[0])
        return true;
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, key);
}

static bool refuse(struct exchange *x, enum sb_problem problem, const char *message)
{
    sb_request_problem(&x->request, problem, NULL, message);
    return false;
}

static bool find_route(struct exchange *x)
{
    struct sb_request *r = &x->request;
    struct sb_route_match match;
    struct sb_error error; /* its text is well-formed, whatever bytes the address holds */
    enum sb_route_result result = sb_route_find(x->method, x->url, &match);
    r->style = match.style;
    if (result == SB_ROUTE_UNKNOWN) {
        sb_fail(&error, SB_NOT_FOUND, "there is no route %.16s %.200s; GET /docs lists them", x->method, x->url);
        return refuse(x, SB_PROBLEM_NOT_FOUND, error.message);
    }
    if (result == SB_ROUTE_WRONG_METHOD) {
        r->reply.allow = sb_request_keep(r, match.allow);
        sb_fail(&error, SB_INVALID, "%.200s takes %s, not %.16s", x->url, match.allow, x->method);
        return refuse(x, SB_PROBLEM_METHOD, error.message);
    }
    r->route = match.route;
    for (size_t i = 0; i < SB_ROUTE_PARAMS && match.params[i].text; i++)
        if (sb_request_decode(r, match.params[i].text, match.params[i].size, &r->params[i], &error) != SB_OK)
            return refuse(x, SB_PROBLEM_INVALID, error.message);
    return true;
}

static bool set_deadline(struct exchange *x)
{
    const char *text = header(x, "X-Request-Timeout-Ms");
    int64_t milliseconds = x->http->server->options.request_timeout_ms;
    if (text) {
        char *end;
        milliseconds = strtoll(text, &end, 10);
        if (!*text || *end || milliseconds < 1 || milliseconds > TIMEOUT_MAX_MS)
            return refuse(x, SB_PROBLEM_INVALID, "x-request-timeout-ms is not a whole number from 1 to 3600000");
    }
    x->request.deadline_ns = milliseconds ? x->request.received_ns + milliseconds * 1000000 : 0;
    return true;
}

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t length = strcspn(content_type, "; \t");
    return length == sizeof json - 1 && strncasecmp(content_type, json, length) == 0;
}

static bool too_large(struct exchange *x)
{
    char message[128];
    snprintf(message, sizeof message, "the body is larger than %zu bytes, the most that this server takes",
             x->http->server->options.max_body_bytes);
    x->request.reply.close = true;
    return refuse(x, SB_PROBLEM_TOO_LARGE, message);
}

static bool check_body_headers(struct exchange *x)
{
    const char *type = header(x, "Content-Type"), *length = header(x, "Content-Length");
    bool has_body = length ? strcmp(length, "0") != 0 : header(x, "Transfer-Encoding") != NULL;
    if (has_body && type && !is_json(type))
        return refuse(x, SB_PROBLEM_MEDIA_TYPE, "content-type must be application/json");
    if (length && strtoull(length, NULL, 10) > x->http->server->options.max_body_bytes)
        return too_large(x);
    return true;
}

/* Everything that can be said before the body; refuses on the spot. */
static void look_at_head(struct exchange *x)
{
    if (!find_route(x))
        return;
    if (!x->request.route->is_public && !has_key(x)) {
        refuse(x, SB_PROBLEM_UNAUTHORIZED, "a key is required: authorization: Bearer KEY");
        return;
    }
    if (atomic_load(&x->http->stopping)) {
        x->request.reply.close = true;
        refuse(x, SB_PROBLEM_STOPPING, "the server is stopping");
        return;
    }
    if (set_deadline(x))
        (void)check_body_headers(x);
}

/* Whether the rest of a refused body is worth reading: a client that asked whether to send it (Expect) has not begun.
 */
static bool can_drain(const struct exchange *x)
{
    const char *length = header(x, "Content-Length");
    return !header(x, "Expect") && (!length || strtoull(length, NULL, 10) <= DRAIN_MAX);
}

/* ---- the body ---- */

/* False: the connection is to be closed. */
static bool take_body(struct exchange *x, const char *data, size_t size)
{
    struct sb_http *http = x->http;
    struct sb_request *r = &x->request;
    const struct sb_server_options *options = &http->server->options;
    if (!x->answered && sb_now_ns() - r->received_ns > (int64_t)options->receive_timeout_ms * 1000000) {
        r->reply.close = true;
        refuse(x, SB_PROBLEM_ARRIVAL, "the request took too long to arrive");
    }
    if (!x->answered && size > options->max_body_bytes - r->body.length)
        too_large(x);
    if (!x->answered) {
        x->counted += size;
        if (atomic_fetch_add(&http->body_bytes, size) + size > BODIES * options->max_body_bytes)
            refuse(x, SB_PROBLEM_OVERLOADED, "too many large requests arrive at once; try again later");
        else
            sb_buffer_bytes(&r->body, data, size);
        if (!x->answered && r->body.failed)
            refuse(x, SB_PROBLEM_STOPPING, "no memory for the request's body");
        return true;
    }
    x->drained += size;
    return x->drained <= DRAIN_MAX && sb_now_ns() - r->received_ns <= (int64_t)options->receive_timeout_ms * 2000000;
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
    size_t length;
    char *data = sb_buffer_take(&reply->body, &length);
    if (!data)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(length, data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(data);
    return response;
}

static enum MHD_Result queue_reply(struct exchange *x)
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

static void dispatch(struct exchange *x)
{
    struct sb_http *http = x->http;
    struct sb_request *r = &x->request;
    pthread_mutex_lock(&http->lock);
    http->active++;
    x->dispatched = true;
    pthread_mutex_unlock(&http->lock);
    sb_http_suspend(r);
    if (r->body.length > SB_INLINE_BYTES)
        sb_request_later(r, r->route->handle);
    else
        r->route->handle(r);
}

/* Called with the head, then for each piece of the body, then with its end, and once more after a suspended connection
 * resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct exchange *x = *state;
    (void)version;
    if (!x) {
        x = exchange_new(context, connection);
        if (!x)
            return MHD_NO;
        *state = x;
        x->method = method;
        x->url = url;
        look_at_head(x);
        return x->answered && !can_drain(x) ? queue_reply(x) : MHD_YES;
    }
    if (*size > 0) {
        bool go_on = take_body(x, data, *size);
        *size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (x->answered)
        return queue_reply(x);
    dispatch(x);
    return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct sb_http *http = context;
    struct exchange *x = *state;
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

/* ---- watching for clients that go away ---- */

/*
 * libmicrohttpd does not look at suspended connections, so this does. A client that closed only its sending side counts
 * as gone too, as for other servers (nginx, Go's net/http): it can not be told from one that closed both. With the lock
 * held.
 */
static void look_for_gone(struct sb_http *http)
{
    size_t n = 0;
    for (struct exchange *x = http->suspended; x && n < http->polled_size; x = x->next) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!info)
            continue;
        http->polled[n] = (struct pollfd){.fd = info->connect_fd, .events = POLLRDHUP};
        http->polled_owners[n++] = x;
    }
    if (n == 0 || poll(http->polled, n, 0) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (http->polled[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
            atomic_store(&http->polled_owners[i]->request.cancelled, 1);
}

static void *watch(void *argument)
{
    struct sb_http *http = argument;
    pthread_mutex_lock(&http->lock);
    while (!http->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&http->end, &http->lock, &until);
        look_for_gone(http);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

/* ---- start and stop ---- */

static bool start_watcher(struct sb_http *http)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->idle, NULL);
    pthread_cond_init(&http->end, &monotonic);
    pthread_condattr_destroy(&monotonic);
    http->polled_size = (size_t)http->server->options.max_connections;
    http->polled = calloc(http->polled_size, sizeof *http->polled);
    http->polled_owners = calloc(http->polled_size, sizeof *http->polled_owners);
    http->watching = http->polled && http->polled_owners && pthread_create(&http->watcher, NULL, watch, http) == 0;
    return http->watching;
}

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
    unsigned seconds = (unsigned)(server->options.receive_timeout_ms + 999) / 1000, threads = http_threads();
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (listener->family == AF_INET6 ? MHD_USE_IPv6 : 0);
    if (start_watcher(h))
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
    pthread_mutex_lock(&http->lock);
    http->ending = true;
    pthread_cond_signal(&http->end);
    pthread_mutex_unlock(&http->lock);
    if (http->watching)
        pthread_join(http->watcher, NULL);
    pthread_cond_destroy(&http->end);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    free(http->polled);
    free(http->polled_owners);
    free(http);
}
