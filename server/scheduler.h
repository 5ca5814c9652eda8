/*
 * The scheduler: worker threads that compute many requests' tasks together. Each worker owns a session per model it
 * computes for and repeats: take some tasks, gather their rows up to a token budget, one forward pass, deliver. Tasks
 * enter and leave between passes (continuous batching).
 *
 *     struct sb_scheduler *scheduler;
 *     sb_scheduler_new(&scheduler, &options, &error);
 *     struct sb_job job = {.model = model, .task = task, .deadline_ns = sb_now_ns() + 5000000000, .done = done,
 * .context = request}; if (sb_scheduler_submit(scheduler, &job, &error) == SB_OVERLOADED) ...     // answer 429
 *     ...
 *     sb_scheduler_free(scheduler);   // finishes what was submitted
 *
 * Fairness: tasks wait in one line and a pass takes them from its front. A new one gets tokens enough for a sentence; those
 * that have had a pass share a few, fewer still beside a new one, so that passes stay short and a sentence waits for one of
 * them only. A task that got rows goes to the end of the line, one that got none keeps its place: a long one always comes to
 * its turn.
 *
 * Thread rule: submit from any thread; done() is called on a worker thread, once for every submitted job, and must not
 * block.
 */
#ifndef SB_SERVER_SCHEDULER_H
#define SB_SERVER_SCHEDULER_H

#include "base/status.h"
#include "model/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sb_scheduler;

struct sb_scheduler_options {
    int threads;             /* workers; 0: sb_cpu_count() */
    size_t max_queue;        /* jobs not begun yet, above which submit gives SB_OVERLOADED; 512 */
    size_t max_batch_tokens; /* token budget of one forward pass; 512. A row longer than it is computed alone */
    size_t max_batch_rows;   /* 128 */
    /* NULL, or called by a worker before each pass. Must not block. */
    void (*on_pass)(void *context, size_t rows, size_t tokens);
    void *context;
};
struct sb_scheduler_options sb_scheduler_defaults(void);

/* One unit of work. Kept by the caller until done() was called. */
struct sb_job {
    struct sb_model *model; /* the caller holds a reference until done() */
    struct sb_task *task;   /* the caller frees it, in or after done() */
    int64_t
        deadline_ns; /* on sb_now_ns()'s clock; 0: none. Past it the task fails with SB_DEADLINE and computes no more */
    const _Atomic int
        *cancelled; /* NULL, or set by the caller at any time: the task fails with SB_CANCELLED at the next pass */
    bool continues; /* belongs to work that was admitted before: not refused for a full queue */
    void (*done)(struct sb_job *job, void *context); /* job->task->status tells how it went */
    void *context;
    /* Filled in by the scheduler. */
    int64_t submitted_ns, started_ns, finished_ns; /* started: its first pass began; 0 if it never did */
    bool served; /* has had rows in a pass */
    struct sb_job *next;
};

SB_MUST_CHECK enum sb_status sb_scheduler_new(struct sb_scheduler **scheduler,
                                              const struct sb_scheduler_options *options, struct sb_error *error);
/* SB_OVERLOADED: the queue is full. done() is not called for a job that was refused. */
SB_MUST_CHECK enum sb_status sb_scheduler_submit(struct sb_scheduler *scheduler, struct sb_job *job,
                                                 struct sb_error *error);
/* Returns when all submitted jobs are done, those included that their done() submits. NULL is fine. */
void sb_scheduler_free(struct sb_scheduler *scheduler);

struct sb_scheduler_stats {
    int threads;
    size_t queued, running; /* jobs not begun yet; jobs begun and not done */
    int64_t passes, tokens, rows, expired, cancelled;
};
struct sb_scheduler_stats sb_scheduler_stats(struct sb_scheduler *scheduler);

#endif
