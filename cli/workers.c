#include "cli/workers.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum sb_status sb_workers_new(struct sb_workers **workers, struct sb_model *model, int threads, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    *workers = NULL;
    struct sb_workers *w = calloc(1, sizeof *w);
    if (!w)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %d threads", threads);
    w->model = model;
    sb_model_retain(model);
    w->pool = sb_pool_new(threads);
    w->threads = sb_pool_threads(w->pool);
    w->sessions = calloc((size_t)w->threads, sizeof *w->sessions);
    w->encodings = calloc((size_t)w->threads, sizeof *w->encodings);
    if (!w->sessions || !w->encodings)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %d threads", threads);
    for (int i = 0; i < w->threads && status == SB_OK; i++)
        status = sb_session_new(&w->sessions[i], model, NULL, error);
    if (status == SB_OK)
        *workers = w;
    else
        sb_workers_free(w);
    return status;
}

void sb_workers_free(struct sb_workers *workers)
{
    if (!workers)
        return;
    for (int i = 0; i < workers->threads; i++) {
        if (workers->sessions)
            sb_session_free(workers->sessions[i]);
        if (workers->encodings)
            sb_encoding_free(&workers->encodings[i]);
    }
    sb_pool_free(workers->pool);
    sb_model_release(workers->model);
    free(workers->sessions);
    free(workers->encodings);
    free(workers);
}

struct run {
    struct sb_workers *workers;
    sb_workers_body body;
    void *context;
    pthread_mutex_t lock;
    /* Under lock: the failure so far. The pool hands out indices in order, so that of the lowest index is always among
     * them. */
    size_t failed_index;
    enum sb_status status;
    struct sb_error error;
};

static void run_one(void *context, size_t index, int worker)
{
    struct run *run = context;
    struct sb_error error = {0};
    pthread_mutex_lock(&run->lock);
    bool begin = index < run->failed_index;
    pthread_mutex_unlock(&run->lock);
    enum sb_status status = begin ? run->body(run->context, index, run->workers, worker, &error) : SB_OK;
    if (status == SB_OK)
        return;
    pthread_mutex_lock(&run->lock);
    if (index < run->failed_index) {
        run->failed_index = index;
        run->status = status;
        run->error = error;
    }
    pthread_mutex_unlock(&run->lock);
}

enum sb_status sb_workers_run(struct sb_workers *workers, size_t count, sb_workers_body body, void *context,
                              struct sb_error *error)
{
    struct run run = {.workers = workers,
                      .body = body,
                      .context = context,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .failed_index = SIZE_MAX};
    sb_pool_run(workers->pool, count, run_one, &run);
    pthread_mutex_destroy(&run.lock);
    if (run.status != SB_OK && error)
        *error = run.error;
    return run.status;
}
