/*
 * Handlers without HTTP: a server's parts around tiny-bert, requests made by hand, replies kept. Static: each program
 * links alone, and what server/http.c would define is defined here, so that the linker leaves http.c out.
 */
#ifndef SB_TESTS_SERVER_HANDLERS_H
#define SB_TESTS_SERVER_HANDLERS_H

#include "base/utf8.h"
#include "server/http.h"
#include "server/request.h"
#include "server/server_impl.h"
#include "server/stream.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request and its reply. */
struct call {
    struct sb_request request; /* first */
    char query[8][2][256];     /* names and undecoded values */
    size_t queries;
    sem_t answered;
    int answers;
    atomic_int references;
};

void sb_request_respond(struct sb_request *request)
{
    struct call *call = (struct call *)request;
    call->answers++;
    sem_post(&call->answered);
}

const char *sb_request_raw_query(const struct sb_request *request, const char *name)
{
    const struct call *call = (const struct call *)request;
    for (size_t i = 0; i < call->queries; i++)
        if (strcmp(call->query[i][0], name) == 0)
            return call->query[i][1];
    return NULL;
}

/* A stream is a reply too: its writer's reference is waited for, its events are dropped. */
void sb_http_retain(struct sb_request *request)
{
    atomic_fetch_add(&((struct call *)request)->references, 1);
}

void sb_http_release(struct sb_request *request)
{
    struct call *call = (struct call *)request;
    atomic_fetch_sub(&call->references, 1);
    sem_post(&call->answered);
}

void sb_http_suspend(struct sb_request *request)
{
    (void)request;
}

void sb_http_resume(struct sb_request *request)
{
    (void)request;
}

void sb_request_next_piece(struct sb_request *request)
{
    sem_post(&((struct call *)request)->answered);
}

size_t sb_http_active(const struct sb_http *http)
{
    (void)http;
    return 0;
}

/* Jobs whose trainer fails at once. */
static inline bool handlers_open_jobs(struct sb_server *server, const char *data)
{
    char path[600];
    struct sb_jobs_options options = {
        .data = data, .program = "/bin/false", .max_running = 1, .threads = 1, .registry = server->registry};
    snprintf(path, sizeof path, "%s/jobs.db", data);
    server->options.data = data;
    pthread_mutex_init(&server->aliases_lock, NULL);
    if (sb_records_open(&server->records, path, NULL) != SB_OK)
        return false;
    options.records = server->records;
    return sb_jobs_new(&server->jobs, &options, NULL) == SB_OK;
}

/* Serves the model at dir as "tiny"; data is a folder for the database. */
static inline bool handlers_open(struct sb_server *server, const char *model_dir, const char *data)
{
    struct sb_model *model = NULL;
    char path[600];
    struct sb_scheduler_options scheduler = sb_scheduler_defaults();
    scheduler.threads = 1;
    *server = (struct sb_server){.options = {.threads = 1,
                                             .max_queue = scheduler.max_queue,
                                             .max_batch_tokens = scheduler.max_batch_tokens,
                                             .max_batch_rows = scheduler.max_batch_rows,
                                             .max_client_batch = 16,
                                             .max_generation_bytes = 64 << 20}};
    snprintf(path, sizeof path, "%s/simbert.db", data);
    bool ok = sb_registry_new(&server->registry, NULL) == SB_OK &&
              sb_model_open(&model, model_dir, &(struct sb_model_options){.name = "tiny"}, NULL) == SB_OK &&
              sb_registry_add(server->registry, model, NULL) == SB_OK &&
              sb_scheduler_new(&server->scheduler, &scheduler, NULL) == SB_OK &&
              sb_background_new(&server->background, 1, NULL) == SB_OK &&
              sb_background_new(&server->mining, 1, NULL) == SB_OK &&
              sb_metrics_new(&server->metrics, sb_route_count(), NULL) == SB_OK &&
              sb_store_open(&server->store, path, NULL, NULL) == SB_OK && handlers_open_jobs(server, data);
    sb_model_release(model);
    return ok;
}

static inline void handlers_close(struct sb_server *server)
{
    sb_scheduler_free(server->scheduler);
    sb_background_free(server->mining);
    sb_background_free(server->background);
    sb_jobs_free(server->jobs);
    sb_records_close(server->records);
    sb_store_close(server->store);
    sb_registry_free(server->registry);
    sb_metrics_free(server->metrics);
}

/* Splits "path?a=b&c=d"; what does not fit is left out. */
static inline void set_query(struct call *call, char *path)
{
    char *at = strchr(path, '?');
    if (!at)
        return;
    *at++ = '\0';
    for (char *next; at && *at && call->queries < 8; at = next) {
        next = strchr(at, '&');
        if (next)
            *next++ = '\0';
        char *value = strchr(at, '=');
        if (value)
            *value++ = '\0';
        snprintf(call->query[call->queries][0], sizeof call->query[0][0], "%.255s", at);
        snprintf(call->query[call->queries++][1], sizeof call->query[0][1], "%.255s", value ? value : "");
    }
}

/* Runs the request to its end, within the server's request_timeout_ms; false when no route fits. The reply is in
 * call->request.reply until call_clear. */
static inline bool call_run(struct call *call, struct sb_server *server, const char *method, const char *path,
                            const void *body, size_t size)
{
    struct sb_request *r = &call->request;
    struct sb_route_match match;
    memset(call, 0, sizeof *call);
    sb_request_init(r, server);
    sem_init(&call->answered, 0, 0);
    char *text = strdup(path);
    set_query(call, text);
    bool found = sb_route_find(method, text, &match) == SB_ROUTE_FOUND;
    r->style = match.style;
    r->route = match.route;
    for (size_t i = 0; found && i < SB_ROUTE_PARAMS && match.params[i].text; i++)
        found = sb_request_decode(r, match.params[i].text, match.params[i].size, &r->params[i], NULL) == SB_OK;
    free(text);
    if (!found)
        return false;
    sb_buffer_bytes(&r->body, body, size);
    if (server->options.request_timeout_ms)
        r->deadline_ns = r->received_ns + server->options.request_timeout_ms * INT64_C(1000000);
    r->route->handle(r);
    do {
        while (sem_wait(&call->answered) != 0)
            continue;
    } while (call->answers == 0 || atomic_load(&call->references) > 0);
    return true;
}

static inline void call_clear(struct call *call)
{
    sb_stream_free(call->request.reply.stream);
    sb_request_clear(&call->request);
    sem_destroy(&call->answered);
}

#endif
