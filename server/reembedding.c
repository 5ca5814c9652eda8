#include "server/reembedding.h"

#include "base/cpu.h"
#include "base/log.h"
#include "retrieval/reembed.h"
#include "server/collection_request.h"
#include "server/server_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    STEP = 32,            /* sentences at a time */
    LOOK_EVERY_MS = 1000, /* for collections whose model has changed */
    AFTER_FAILURE_MS = 10000,
    BUSY_PAUSE = 3, /* while others use the scheduler: pauses, in steps */
};

struct sb_reembedding {
    struct sb_server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool ending, woken;
    bool is_done; /* the job that step() waits for */
    _Atomic int cancelled;
};

/* ---- vectors ---- */

static void job_done(struct sb_job *job, void *context)
{
    struct sb_reembedding *r = context;
    (void)job;
    pthread_mutex_lock(&r->lock);
    r->is_done = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Gives the rows to the scheduler and waits. */
static enum sb_status compute(struct sb_reembedding *r, struct sb_model *model, const struct sb_rows *rows,
                              float *vectors, struct sb_error *error)
{
    struct sb_job job = {.model = model, .cancelled = &r->cancelled, .continues = true, .done = job_done, .context = r};
    enum sb_status status = sb_embed_task_new(&job.task, model, rows->items, rows->count, error);
    if (status != SB_OK)
        return status;
    r->is_done = false;
    status = sb_scheduler_submit(r->server->scheduler, &job, error);
    if (status == SB_OK) {
        pthread_mutex_lock(&r->lock);
        while (!r->is_done)
            pthread_cond_wait(&r->changed, &r->lock);
        pthread_mutex_unlock(&r->lock);
        status = job.task->status;
        if (status != SB_OK)
            *error = job.task->error;
    }
    if (status == SB_OK) {
        struct sb_embedding made = {.model = model,
                                    .dimensions = (size_t)sb_model_dimensions(model),
                                    .vectors = (float *)(uintptr_t)sb_embed_task_vectors(job.task),
                                    .rows.count = rows->count};
        sb_embedding_normalize(&made);
        memcpy(vectors, made.vectors, rows->count * made.dimensions * sizeof *vectors);
    }
    sb_task_free(job.task);
    return status;
}

/* What one step works with. */
struct step {
    struct sb_reembedding *reembedding;
    struct sb_model *model;
};

static enum sb_status embed(void *context, const struct sb_sentence *sentences, size_t n, float *vectors,
                            struct sb_error *error)
{
    const struct step *step = context;
    struct sb_input *items = calloc(n, sizeof *items);
    struct sb_inputs inputs = {.items = items, .count = n};
    struct sb_rows rows = {0};
    if (!items)
        return sb_fail(error, SB_NO_MEMORY, "no memory to embed %zu sentences", n);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct sb_input){.text = sentences[i].text, .size = sentences[i].text_size};
    enum sb_status status =
        sb_rows_encode(&rows, step->model, &inputs, &(struct sb_encode_options){.truncate = true}, error);
    if (status == SB_OK)
        status = compute(step->reembedding, step->model, &rows, vectors, error);
    sb_rows_free(&rows);
    free(items);
    return status;
}

/* ---- what is to do ---- */

/* Begins where the name of the collection's model stands for other weights now. */
static enum sb_status begin_if_changed(struct sb_reembedding *r, const struct sb_collection_info *info,
                                       struct sb_error *error)
{
    struct sb_model *model = sb_registry_acquire(r->server->registry, info->model_name);
    enum sb_status status = SB_OK;
    if (model && strcmp(sb_model_hash(model), info->model_hash) != 0) {
        sb_log(SB_LOG_INFO, "server", "collection %s: model %s has changed, its %lld sentences are embedded anew",
               info->name, info->model_name, (long long)info->count);
        status = sb_reembed_begin(r->server->store, info->name, sb_model_name(model), sb_model_hash(model),
                                  sb_model_dimensions(model), error);
    }
    sb_model_release(model);
    return status;
}

/* The model that a collection changes to has gone. What took its place, if anything, is looked at anew. */
static enum sb_status change_course(struct sb_reembedding *r, const struct sb_collection_info *info,
                                    const struct sb_reembed_progress *progress, struct sb_error *error)
{
    struct sb_model *model = sb_registry_acquire(r->server->registry, progress->model_name);
    enum sb_status status = model ? sb_reembed_cancel(r->server->store, info->name, error) : SB_OK;
    sb_model_release(model);
    return status;
}

/* One step of a collection, if it has any to do: *worked. */
static enum sb_status work_on(struct sb_reembedding *r, const struct sb_collection_info *info, bool *worked,
                              struct sb_error *error)
{
    struct sb_store *store = r->server->store;
    struct sb_reembed_progress progress;
    struct step step = {.reembedding = r};
    enum sb_status status = sb_reembed_progress(store, info->name, &progress, error);
    if (status == SB_OK && progress.state == SB_REEMBED_NONE) {
        status = begin_if_changed(r, info, error);
        if (status == SB_OK)
            status = sb_reembed_progress(store, info->name, &progress, error);
    }
    if (status != SB_OK || progress.state == SB_REEMBED_NONE)
        return status;
    if (progress.state == SB_REEMBED_RUNNING) {
        step.model = sb_registry_acquire_hash(r->server->registry, progress.model_hash);
        if (!step.model)
            return change_course(r, info, &progress, error);
    }
    status = sb_reembed_step(store, info->name, STEP, embed, &step, &progress.state, error);
    if (status == SB_OK && step.model && progress.state != SB_REEMBED_RUNNING)
        sb_log(SB_LOG_INFO, "server", "collection %s: model %s answers now", info->name, sb_model_name(step.model));
    sb_model_release(step.model);
    *worked = status == SB_OK;
    return status;
}

/* A step of every collection that needs one. False: nothing was to do. */
static bool work_on_all(struct sb_reembedding *r, bool *failed)
{
    struct sb_collection_info *infos = NULL;
    struct sb_error error;
    size_t count = 0;
    bool any = false;
    enum sb_status status = sb_store_list(r->server->store, &infos, &count, &error);
    for (size_t i = 0; i < count && status == SB_OK && !atomic_load(&r->cancelled); i++) {
        bool worked = false;
        status = work_on(r, &infos[i], &worked, &error);
        any = any || worked;
        if (status == SB_NOT_FOUND) /* dropped in the meantime */
            status = SB_OK;
        if (status == SB_OVERLOADED || status == SB_UNAVAILABLE || status == SB_CANCELLED)
            break;
        if (status != SB_OK)
            sb_log(SB_LOG_WARN, "server", "embedding collection %s anew: %s", infos[i].name, error.message);
    }
    *failed = status != SB_OK;
    free(infos);
    return any;
}

/* ---- the thread ---- */

/* Until the time has passed, or somebody wakes it. False: it is to end. */
static bool wait_for(struct sb_reembedding *r, int64_t milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    while (!r->ending && !r->woken && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
        ;
    r->woken = false;
    bool goes_on = !r->ending;
    pthread_mutex_unlock(&r->lock);
    return goes_on;
}

static bool is_busy(const struct sb_reembedding *r)
{
    struct sb_scheduler_stats stats = sb_scheduler_stats(r->server->scheduler);
    return stats.queued + stats.running > 0;
}

static void *run(void *argument)
{
    struct sb_reembedding *r = argument;
    int64_t pause_ms = 0;
    while (wait_for(r, pause_ms)) {
        bool failed = false, others = is_busy(r);
        int64_t start = sb_now_ns();
        bool worked = work_on_all(r, &failed);
        int64_t took_ms = (sb_now_ns() - start) / 1000000;
        pause_ms = failed ? AFTER_FAILURE_MS : !worked ? LOOK_EVERY_MS : others ? BUSY_PAUSE * (took_ms + 1) : 0;
    }
    return NULL;
}

enum sb_status sb_reembedding_new(struct sb_reembedding **reembedding, struct sb_server *server, struct sb_error *error)
{
    struct sb_reembedding *r = calloc(1, sizeof *r);
    pthread_condattr_t monotonic;
    *reembedding = NULL;
    if (!r)
        return sb_fail(error, SB_NO_MEMORY, "reembedding: no memory");
    r->server = server;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return sb_fail(error, SB_NO_MEMORY, "reembedding: a thread can not be started");
    }
    *reembedding = r;
    return SB_OK;
}

void sb_reembedding_wake(struct sb_reembedding *reembedding)
{
    if (!reembedding)
        return;
    pthread_mutex_lock(&reembedding->lock);
    reembedding->woken = true;
    pthread_cond_broadcast(&reembedding->changed);
    pthread_mutex_unlock(&reembedding->lock);
}

void sb_reembedding_free(struct sb_reembedding *reembedding)
{
    struct sb_reembedding *r = reembedding;
    if (!r)
        return;
    atomic_store(&r->cancelled, 1);
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
