#include "server/http_impl.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { WATCH_MS = 100 }; /* how often connections of running requests are looked at */

/*
 * libmicrohttpd does not look at suspended connections, so this does. A client that closed only its sending side counts
 * as gone too, as for other servers (nginx, Go's net/http): it can not be told from one that closed both. With the lock
 * held.
 */
static void look_for_gone(struct sb_http *http)
{
    size_t n = 0;
    for (struct sb_exchange *x = http->suspended; x && n < http->watch.size; x = x->next) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!info)
            continue;
        http->watch.polled[n] = (struct pollfd){.fd = info->connect_fd, .events = POLLRDHUP};
        http->watch.owners[n++] = x;
    }
    if (n == 0 || poll(http->watch.polled, n, 0) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (http->watch.polled[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
            atomic_store(&http->watch.owners[i]->request.cancelled, 1);
}

static void *watch(void *argument)
{
    struct sb_http *http = argument;
    pthread_mutex_lock(&http->lock);
    while (!http->watch.ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&http->watch.end, &http->lock, &until);
        look_for_gone(http);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

bool sb_http_watch_start(struct sb_http *http)
{
    struct sb_http_watch *w = &http->watch;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->end, &monotonic);
    pthread_condattr_destroy(&monotonic);
    w->size = (size_t)http->server->options.max_connections;
    w->polled = calloc(w->size, sizeof *w->polled);
    w->owners = calloc(w->size, sizeof *w->owners);
    w->running = w->polled && w->owners && pthread_create(&w->thread, NULL, watch, http) == 0;
    return w->running;
}

void sb_http_watch_stop(struct sb_http *http)
{
    struct sb_http_watch *w = &http->watch;
    pthread_mutex_lock(&http->lock);
    w->ending = true;
    pthread_cond_signal(&w->end);
    pthread_mutex_unlock(&http->lock);
    if (w->running)
        pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->end);
    free(w->polled);
    free(w->owners);
}
