#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "server/http.h"
#include "server/reembedding.h"
#include "server/model_folders.h"
#include "server/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BACKGROUND_THREADS = 2 };

struct sb_server_options sb_server_defaults(void)
{
    struct sb_scheduler_options scheduler = sb_scheduler_defaults();
    return (struct sb_server_options){
        .host = "127.0.0.1",
        .port = 8080,
        .data = "data",
        .max_queue = scheduler.max_queue,
        .max_batch_tokens = scheduler.max_batch_tokens,
        .max_batch_rows = scheduler.max_batch_rows,
        .vector_cache_bytes = 8 << 20,
        .max_jobs = 1,
        .job_niceness = 19,
        .max_upload_bytes = 512 << 20,
        .max_client_batch = 2048,
        .max_body_bytes = 8 << 20,
        .max_connections = 1024,
        .request_timeout_ms = 60000,
        .receive_timeout_ms = 30000,
    };
}

static enum sb_status check(const struct sb_server_options *o, struct sb_error *error)
{
    const struct {
        const char *name;
        int64_t value, low, high;
    } bounds[] = {
        {"models", (int64_t)o->model_count, 1, SB_REGISTRY_MAX},
        {"threads", o->threads, 0, 1024},
        {"max_queue", (int64_t)o->max_queue, 1, 1 << 20},
        {"max_jobs", o->max_jobs, 1, SB_JOBS_RUNNING_MAX},
        {"job_niceness", o->job_niceness, 0, 19},
        {"job_threads", o->job_threads, 0, 1024},
        {"max_upload_bytes", (int64_t)o->max_upload_bytes, 1024, INT64_C(1) << 40},
        {"max_client_batch", (int64_t)o->max_client_batch, 1, 1 << 20},
        {"max_body_bytes", (int64_t)o->max_body_bytes, 1024, 1 << 30},
        {"max_connections", o->max_connections, 1, 1 << 16},
        {"request_timeout_ms", o->request_timeout_ms, 0, 3600000},
        {"receive_timeout_ms", o->receive_timeout_ms, 100, 3600000},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return sb_fail(error, SB_INVALID, "%s is %lld; %lld to %lld are possible", bounds[i].name,
                           (long long)bounds[i].value, (long long)bounds[i].low, (long long)bounds[i].high);
    if (!o->data || !o->data[0])
        return sb_fail(error, SB_INVALID, "the data directory is not set");
    return SB_OK;
}

static size_t usable_memory(void)
{
    size_t limit = sb_memory_limit(), memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGE_SIZE);
    return limit && limit < memory ? limit : memory;
}

static void fill_in(struct sb_server_options *o)
{
    if (o->threads == 0)
        o->threads = sb_cpu_count();
    if (o->max_generation_bytes == 0)
        o->max_generation_bytes = usable_memory() / 4;
    if (o->job_threads == 0)
        o->job_threads = sb_cpu_count();
    if (o->job_memory_bytes == 0)
        o->job_memory_bytes = usable_memory() / 4 * 3;
}

/* Every connection is a file; some more are the models, the database and ours. */
static void allow_files(int connections)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted)
        return;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* what it does not give, accept() will miss */
}

/* One whose model is missing stays: the model may come back with the next start. */
static enum sb_status restore_aliases(struct sb_server *s, struct sb_error *error)
{
    struct sb_model_alias aliases[SB_ALIASES_MAX], about;
    size_t count = 0;
    enum sb_status status = sb_records_aliases(s->records, aliases, &count, error);
    for (size_t i = 0; i < count; i++) {
        struct sb_error why;
        if (sb_registry_restore_alias(s->registry, aliases[i].name, aliases[i].model, &why) != SB_OK)
            sb_log(SB_LOG_WARN, "server", "alias %s is left out: %s", aliases[i].name, why.message);
        else if (sb_registry_alias(s->registry, aliases[i].name, &about) && !about.resolved)
            sb_log(SB_LOG_WARN, "server", "alias %s stands for model %s, which is not served", aliases[i].name,
                   aliases[i].model);
    }
    return status;
}

static enum sb_status open_models(struct sb_server *s, struct sb_error *error)
{
    const struct sb_server_options *o = &s->options;
    struct sb_pool *pool = sb_pool_new(o->threads);
    enum sb_status status = sb_registry_new(&s->registry, error);
    for (size_t i = 0; i < o->model_count && status == SB_OK; i++) {
        struct sb_model_options options = {
            .name = o->models[i].name, .kernels = o->kernels, .dtype = o->dtype, .pool = pool};
        struct sb_model *model;
        int64_t start = sb_now_ns();
        status = sb_model_open(&model, o->models[i].dir, &options, error);
        if (status != SB_OK)
            break;
        struct sb_model_origin origin = {0};
        snprintf(origin.dir, sizeof origin.dir, "%s", o->models[i].dir);
        status = sb_registry_add_from(s->registry, model, &origin, error);
        sb_log(SB_LOG_INFO, "server", "model %s: %d dimensions, %s, %s, %.0f MB in %.0f ms", sb_model_name(model),
               sb_model_dimensions(model), sb_model_dtype(model),
               sb_model_can_generate(model) ? "embeds and writes" : "embeds only", (double)sb_model_bytes(model) / 1e6,
               (double)(sb_now_ns() - start) / 1e6);
        sb_model_release(model);
    }
    if (status == SB_OK)
        status = sb_model_folders_open(
            s->registry, o->data, &(struct sb_model_options){.kernels = o->kernels, .dtype = o->dtype, .pool = pool},
            error);
    if (status == SB_OK)
        status = restore_aliases(s, error);
    if (status == SB_OK && o->default_model && o->default_model[0])
        status = sb_registry_set_default(s->registry, o->default_model, error);
    sb_pool_free(pool);
    return status;
}

/* Without a database of its own in the data directory, which would keep a second server out. */
static enum sb_status lock_data(struct sb_server *s, struct sb_error *error)
{
    char *path = sb_path_join(s->options.data, "server.lock");
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "data directory: no memory");
    enum sb_status status = SB_OK;
    s->data_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->data_lock < 0)
        status = sb_fail(error, SB_IO, "%s: %s", path, strerror(errno));
    else if (flock(s->data_lock, LOCK_EX | LOCK_NB) != 0)
        status = sb_fail(error, SB_CONFLICT, "%s: another simbert server uses this data directory", s->options.data);
    free(path);
    return status;
}

static enum sb_status open_store(struct sb_server *s, struct sb_error *error)
{
    enum sb_status status = sb_make_folders(s->options.data, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "data directory");
    if (s->options.store && s->options.store[0]) {
        status = lock_data(s, error);
        return status == SB_OK ? sb_store_open(&s->store, s->options.store, NULL, error) : status;
    }
    char *path = sb_path_join(s->options.data, "simbert.db");
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "data directory: no memory");
    status = sb_store_open(&s->store, path, NULL, error);
    free(path);
    return status;
}

/* After the store, whose lock keeps a second server out. */
static enum sb_status open_records(struct sb_server *s, struct sb_error *error)
{
    char *path = sb_path_join(s->options.data, "jobs.db");
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "data directory: no memory");
    enum sb_status status = sb_records_open(&s->records, path, error);
    if (status == SB_OK)
        status = sb_jobs_recover(s->options.data, s->records, error);
    free(path);
    return status;
}

static enum sb_status start_jobs(struct sb_server *s, struct sb_error *error)
{
    const struct sb_server_options *o = &s->options;
    const struct sb_jobs_options jobs = {.data = o->data,
                                         .program = o->finetune_program,
                                         .max_running = o->max_jobs,
                                         .niceness = o->job_niceness,
                                         .threads = o->job_threads,
                                         .memory_bytes = o->job_memory_bytes,
                                         .kernels = o->kernels,
                                         .dtype = o->dtype,
                                         .records = s->records,
                                         .registry = s->registry};
    return sb_jobs_new(&s->jobs, &jobs, error);
}

static void on_pass(void *context, size_t rows, size_t tokens)
{
    struct sb_server *s = context;
    sb_metrics_pass(s->metrics, rows, tokens);
}

static enum sb_status start_threads(struct sb_server *s, struct sb_error *error)
{
    const struct sb_server_options *o = &s->options;
    struct sb_scheduler_options scheduler = {.threads = o->threads,
                                             .max_queue = o->max_queue,
                                             .max_batch_tokens = o->max_batch_tokens,
                                             .max_batch_rows = o->max_batch_rows,
                                             .on_pass = on_pass,
                                             .context = s};
    enum sb_status status = sb_metrics_new(&s->metrics, sb_route_count(), error);
    if (status == SB_OK)
        status = sb_vector_cache_new(&s->vector_cache, o->vector_cache_bytes, error);
    if (status == SB_OK)
        status = sb_scheduler_new(&s->scheduler, &scheduler, error);
    if (status == SB_OK)
        status = sb_background_new(&s->background, BACKGROUND_THREADS, error);
    if (status == SB_OK)
        status = sb_background_new(&s->mining, 1, error);
    if (status == SB_OK)
        status = sb_reembedding_new(&s->reembedding, s, error);
    return status;
}

enum sb_status sb_server_start(struct sb_server **server, const struct sb_server_options *options,
                               struct sb_error *error)
{
    struct sb_listener listener = {.fd = -1};
    *server = NULL;
    enum sb_status status = check(options, error);
    if (status != SB_OK)
        return status;
    struct sb_server *s = calloc(1, sizeof *s);
    if (!s)
        return sb_fail(error, SB_NO_MEMORY, "server: no memory");
    s->options = *options;
    s->data_lock = -1;
    pthread_mutex_init(&s->aliases_lock, NULL);
    fill_in(&s->options);
    allow_files(options->max_connections);
    status = sb_listen(&listener, options->host, options->port, error);
    if (status == SB_OK)
        status = open_store(s, error);
    if (status == SB_OK)
        status = open_records(s, error);
    if (status == SB_OK)
        status = open_models(s, error);
    if (status == SB_OK)
        status = start_threads(s, error);
    if (status == SB_OK)
        status = start_jobs(s, error);
    if (status == SB_OK) {
        status = sb_http_start(&s->http, s, &listener, error);
        listener.fd = -1;
    }
    if (status != SB_OK) {
        if (listener.fd >= 0)
            close(listener.fd);
        sb_server_stop(s);
        return status;
    }
    s->port = listener.port;
    *server = s;
    char url[300];
    sb_listener_url(&listener, options->host, url, sizeof url);
    sb_log(SB_LOG_INFO, "server", "listening on %s", url);
    if (options->on_ready)
        options->on_ready(options->context, url);
    return SB_OK;
}

int sb_server_port(const struct sb_server *server)
{
    return server->port;
}

void sb_server_stop(struct sb_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    sb_jobs_quiesce(server->jobs); /* trainers write their checkpoints meanwhile, and streams of events end */
    if (server->http)
        sb_http_drain(server->http); /* all requests are answered: nothing below has work left */
    sb_http_free(server->http);
    sb_reembedding_free(server->reembedding);
    sb_scheduler_free(server->scheduler);
    sb_background_free(server->mining);
    sb_background_free(server->background);
    sb_jobs_free(server->jobs);
    sb_records_close(server->records);
    sb_store_close(server->store);
    sb_registry_free(server->registry);
    sb_metrics_free(server->metrics);
    sb_vector_cache_free(server->vector_cache);
    if (server->data_lock >= 0)
        close(server->data_lock);
    pthread_mutex_destroy(&server->aliases_lock);
    free(server);
}

enum sb_status sb_server_run(const struct sb_server_options *options, struct sb_error *error)
{
    struct sb_server *server;
    sigset_t ends, before;
    int signal_number;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, &before); /* before any thread starts: they inherit it */
    enum sb_status status = sb_server_start(&server, options, error);
    if (status == SB_OK) {
        sigwait(&ends, &signal_number);
        sb_log(SB_LOG_INFO, "server", "%s: finishing what runs; again to end at once",
               signal_number == SIGINT ? "interrupted" : "terminated");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        sb_server_stop(server);
        sb_log(SB_LOG_INFO, "server", "stopped");
    } else {
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return status;
}
