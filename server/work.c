#include "server/work.h"

#include "base/cpu.h"
#include "server/server_impl.h"

#include <stdlib.h>

struct sb_work_slot {
    struct sb_job job;
    struct sb_work *work;
    size_t part;
    bool busy;
};

static void part_done(struct sb_job *job, void *context);

/* Puts the next part into slot; with the lock held. */
static enum sb_status launch(struct sb_work *w, struct sb_work_slot *slot, struct sb_error *error)
{
    struct sb_task *task;
    bool first = w->next == 0;
    enum sb_status status = w->make(w, w->next, !first && w->running == 0, &task, error);
    if (status != SB_OK)
        return status;
    slot->part = w->next;
    slot->job = (struct sb_job){.model = w->model,
                                .task = task,
                                .deadline_ns = w->request->deadline_ns,
                                .cancelled = &w->request->cancelled,
                                .continues = !first,
                                .done = part_done,
                                .context = slot};
    status = sb_scheduler_submit(w->request->server->scheduler, &slot->job, error);
    if (status != SB_OK) {
        w->take(w, slot->part, task);
        sb_task_free(task);
        return status;
    }
    slot->busy = true;
    w->next++;
    w->running++;
    return SB_OK;
}

/* Fills free slots; with the lock held. */
static void launch_all(struct sb_work *w)
{
    struct sb_error error;
    for (size_t i = 0; i < w->window && w->next < w->parts && w->status == SB_OK; i++) {
        if (w->slots[i].busy)
            continue;
        enum sb_status status = launch(w, &w->slots[i], &error);
        if (status == SB_OVERLOADED && w->running > 0)
            return;
        if (status != SB_OK) {
            w->status = status;
            w->error = error;
        }
    }
}

/* Takes the results; with the lock held. */
static void take(struct sb_work *w, struct sb_work_slot *slot)
{
    const struct sb_job *job = &slot->job;
    struct sb_timing *timing = &w->request->timing;
    if (job->started_ns && (w->first_started_ns == 0 || job->started_ns < w->first_started_ns)) {
        w->first_started_ns = job->started_ns;
        timing->queue_ns = job->started_ns - job->submitted_ns;
    }
    if (w->first_started_ns)
        timing->inference_ns = job->finished_ns - w->first_started_ns;
    w->take(w, slot->part, job->task);
    if (job->task->status != SB_OK && w->status == SB_OK) {
        w->status = job->task->status;
        w->error = job->task->error;
    }
    sb_task_free(job->task);
    slot->busy = false;
    w->running--;
}

/* Ends the work when nothing runs; with the lock held, which it releases. */
static void unlock_or_end(struct sb_work *w)
{
    bool ends = w->running == 0 && !w->ended;
    w->ended = w->ended || ends;
    pthread_mutex_unlock(&w->lock);
    if (ends)
        w->end(w, w->status, &w->error);
}

static void part_done(struct sb_job *job, void *context)
{
    struct sb_work_slot *slot = context;
    struct sb_work *w = slot->work;
    (void)job;
    pthread_mutex_lock(&w->lock);
    take(w, slot);
    launch_all(w);
    unlock_or_end(w);
}

void sb_work_start(struct sb_work *work)
{
    struct sb_work *w = work;
    if (w->window > w->parts)
        w->window = w->parts;
    w->slots = calloc(w->window, sizeof *w->slots);
    if (!w->slots) {
        w->end(w, sb_fail(&w->error, SB_NO_MEMORY, "no memory for the request"), &w->error);
        return;
    }
    for (size_t i = 0; i < w->window; i++)
        w->slots[i].work = w;
    pthread_mutex_init(&w->lock, NULL);
    w->started = true;
    pthread_mutex_lock(&w->lock);
    launch_all(w);
    unlock_or_end(w);
}

void sb_work_clear(struct sb_work *work)
{
    if (work->started)
        pthread_mutex_destroy(&work->lock);
    work->started = false;
    free(work->slots);
    work->slots = NULL;
}
