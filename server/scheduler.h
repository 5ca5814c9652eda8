/*
 * The scheduler: worker threads that compute many requests' tasks together. Each worker owns a session per model it computes
 * for and repeats: gather rows of its running tasks and of newly admitted ones up to a token budget, one forward pass, deliver.
 * Tasks enter and leave between passes (continuous batching).
 *
 *     struct sb_scheduler *scheduler;
 *     sb_scheduler_new(&scheduler, &options, &error);
 *     struct sb_job job = {.model = model, .task = task, .deadline_ns = sb_now_ns() + 5000000000, .done = done, .context = request};
 *     if (sb_scheduler_submit(scheduler, &job, &error) == SB_OVERLOADED) ...     // answer 429
 *     ...
 *     sb_scheduler_stop(scheduler);   // refuses new jobs, finishes what runs
 *     sb_scheduler_free(scheduler);
 *
 * Thread rule: submit from any thread; done() is called on a worker thread, once for every submitted job, and must not block.
 */
#ifndef SB_SERVER_SCHEDULER_H
#define SB_SERVER_SCHEDULER_H

#include "base/status.h"
#include "model/task.h"

#include <stdatomic.h>
#include <stdint.h>

struct sb_scheduler;

struct sb_scheduler_options {
    int threads;          /* workers; 0: sb_cpu_count() */
    size_t max_queue;     /* jobs that wait, above which submit gives SB_OVERLOADED; 512 */
    size_t max_batch_tokens; /* token budget of one forward pass; 512 */
    size_t max_batch_rows;
};
struct sb_scheduler_options sb_scheduler_defaults(void);

/* One unit of work. Kept by the caller until done() was called. */
struct sb_job {
    struct sb_model *model; /* the scheduler holds a reference while the job lives */
    struct sb_task *task;   /* the caller frees it, in or after done() */
    int64_t deadline_ns;    /* on sb_now_ns()'s clock; 0: none. Past it the task fails with SB_DEADLINE and computes no more */
    _Atomic int cancelled;  /* the caller may set it: the task fails with SB_CANCELLED at the next pass */
    void (*done)(struct sb_job *job, void *context); /* job->task->status tells how it went */
    void *context;
    /* Filled in by the scheduler. */
    int64_t submitted_ns, started_ns, finished_ns; /* queue time = started - submitted */
    struct sb_job *next;
};

SB_MUST_CHECK enum sb_status sb_scheduler_new(struct sb_scheduler **scheduler, const struct sb_scheduler_options *options,
                                              struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_scheduler_submit(struct sb_scheduler *scheduler, struct sb_job *job, struct sb_error *error);
void sb_scheduler_stop(struct sb_scheduler *scheduler);  /* returns when all submitted jobs are done */
void sb_scheduler_free(struct sb_scheduler *scheduler);

struct sb_scheduler_stats {
    size_t queued, running;
    int64_t passes, tokens, rows, expired;
    size_t last_batch_tokens, last_batch_rows;
};
struct sb_scheduler_stats sb_scheduler_stats(struct sb_scheduler *scheduler);

#endif
