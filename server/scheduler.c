#include "server/scheduler.h"

#include "base/cpu.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    TASKS_PER_PASS = 64, /* more would be held by one worker without getting rows */
    NEW_TOKENS = 32,     /* of a pass, for a job that has had none */
    OLD_TOKENS = 48,     /* of a pass, for all others together: at this size long work runs at 96 % of its best speed */
    OLD_BESIDE_NEW = 24, /* instead, of a pass in which a new job waits for its end */
    LOGITS = 64,         /* token positions of a pass that get logits: OLD_TOKENS and some prefills */
    SESSIONS = 8,        /* a worker keeps this many models' sessions */
};

/* First in, first out; linked through sb_job.next. */
struct line {
    struct sb_job *first, **end;
};

/* What a worker needs to compute for one model. */
struct desk {
    struct sb_session *session;
    struct sb_task_batch *batch;
    uint64_t used; /* the worker's pass number */
};

struct worker {
    struct sb_scheduler *scheduler;
    pthread_t thread;
    struct desk desks[SESSIONS];
    uint64_t passes;
    struct sb_job *jobs[TASKS_PER_PASS]; /* of the current pass */
    size_t served[TASKS_PER_PASS];       /* tokens that each got */
    size_t count;
};

struct sb_scheduler {
    struct sb_scheduler_options options;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* there are jobs in the line, or stopping */
    struct line line;     /* jobs between passes, whose turn comes in this order */
    int busy;             /* workers in a pass */
    bool stopping;
    struct sb_scheduler_stats stats;
    int started; /* threads that run */
    struct worker workers[];
};

/* ---- the line ---- */

static void line_clear(struct line *line)
{
    line->first = NULL;
    line->end = &line->first;
}

static void line_append(struct line *line, struct sb_job *job)
{
    job->next = NULL;
    *line->end = job;
    line->end = &job->next;
}

/* Unlinks the job that *link points to. */
static struct sb_job *line_remove(struct line *line, struct sb_job **link)
{
    struct sb_job *job = *link;
    *link = job->next;
    if (line->end == &job->next)
        line->end = link;
    return job;
}

/* Puts all of front before what is in line. */
static void line_prepend(struct line *line, struct line *front)
{
    if (!front->first)
        return;
    *front->end = line->first;
    if (!line->first)
        line->end = front->end;
    line->first = front->first;
}

/* ---- taking jobs (all with the lock held) ---- */

static void set_begun(struct sb_scheduler *s, struct sb_job *job, int64_t now)
{
    if (job->started_ns)
        return;
    job->started_ns = now;
    s->stats.queued--;
    s->stats.running++;
}

static void count_out(struct sb_scheduler *s, const struct sb_job *job)
{
    if (job->started_ns)
        s->stats.running--;
    else
        s->stats.queued--;
}

/* Moves jobs whose time is over, or whose caller went away, to dead. */
static void drop_dead(struct sb_scheduler *s, struct line *dead)
{
    int64_t now = sb_now_ns();
    for (struct sb_job **link = &s->line.first; *link;) {
        struct sb_job *job = *link;
        bool cancelled = job->cancelled && atomic_load(job->cancelled);
        bool expired = !cancelled && job->deadline_ns && now >= job->deadline_ns;
        if (!cancelled && !expired) {
            link = &job->next;
            continue;
        }
        line_append(dead, line_remove(&s->line, link));
        count_out(s, job);
        s->stats.cancelled += cancelled;
        s->stats.expired += expired;
        if (cancelled)
            sb_task_fail(job->task, SB_CANCELLED, "the request was cancelled");
        else
            sb_task_fail(job->task, SB_DEADLINE, "the deadline passed before the work was done");
    }
}

/* Takes this pass's jobs: those of the first one's model, as many as leave the other free workers their part. */
static void take_jobs(struct worker *w)
{
    struct sb_scheduler *s = w->scheduler;
    w->count = 0;
    if (!s->line.first)
        return;
    const struct sb_model *model = s->line.first->model;
    size_t available = 0, free_workers = (size_t)(s->stats.threads - s->busy);
    for (const struct sb_job *job = s->line.first; job; job = job->next)
        available += job->model == model;
    size_t part = (available + free_workers - 1) / free_workers;
    if (part > TASKS_PER_PASS)
        part = TASKS_PER_PASS;
    int64_t now = sb_now_ns();
    for (struct sb_job **link = &s->line.first; *link && w->count < part;) {
        if ((*link)->model != model) {
            link = &(*link)->next;
            continue;
        }
        struct sb_job *job = line_remove(&s->line, link);
        set_begun(s, job, now);
        w->jobs[w->count++] = job;
    }
    if (s->line.first && s->busy + 1 < s->stats.threads)
        pthread_cond_signal(&s->work);
}

/* Puts the pass's jobs back, those without rows first; finished ones go to done. */
static void return_jobs(struct worker *w, struct line *done)
{
    struct sb_scheduler *s = w->scheduler;
    struct line front;
    line_clear(&front);
    for (size_t i = 0; i < w->count; i++) {
        struct sb_job *job = w->jobs[i];
        if (job->task->finished) {
            count_out(s, job);
            line_append(done, job);
        } else {
            line_append(w->served[i] ? &s->line : &front, job);
        }
    }
    line_prepend(&s->line, &front);
}

/* ---- a pass (without the lock; the jobs are the worker's own) ---- */

static void desk_clear(struct desk *desk)
{
    sb_task_batch_free(desk->batch);
    sb_session_free(desk->session);
    *desk = (struct desk){0};
}

/* The desk for model, set up if need be in place of the one that was not used for the longest time. */
static enum sb_status find_desk(struct worker *w, struct sb_model *model, struct desk **found, struct sb_error *error)
{
    struct desk *desk = &w->desks[0];
    for (size_t i = 0; i < SESSIONS; i++) {
        struct desk *d = &w->desks[i];
        if (d->session && sb_session_model(d->session) == model) {
            d->used = w->passes;
            *found = d;
            return SB_OK;
        }
        if (d->used < desk->used)
            desk = d;
    }
    desk_clear(desk);
    const struct sb_scheduler_options *options = &w->scheduler->options;
    size_t longest = (size_t)sb_model_max_length(model);
    struct sb_session_options limits = sb_session_defaults(model);
    limits.max_tokens = options->max_batch_tokens > longest ? options->max_batch_tokens : longest;
    limits.max_rows = options->max_batch_rows;
    limits.max_logits = options->max_batch_rows < LOGITS ? options->max_batch_rows : LOGITS;
    enum sb_status status = sb_session_new(&desk->session, model, &limits, error);
    if (status == SB_OK)
        status = sb_task_batch_new(&desk->batch, desk->session, error);
    if (status != SB_OK) {
        desk_clear(desk);
        return status;
    }
    desk->used = w->passes;
    *found = desk;
    return SB_OK;
}

static void offer(struct worker *w, struct sb_task_batch *batch, size_t i, size_t tokens)
{
    bool empty = batch->count == 0;
    struct sb_task *task = w->jobs[i]->task;
    w->served[i] += sb_task_offer(task, batch, tokens);
    if (empty && batch->count == 0 && !task->finished)
        sb_task_fail(task, SB_LIMIT, "a row is longer than one pass can take");
}

/* Tokens that the jobs which have had a pass before share in this one. */
static size_t old_share(const struct worker *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->jobs[i]->served)
            return OLD_BESIDE_NEW;
    return OLD_TOKENS;
}

/* A new job gets NEW_TOKENS, with which most sentences are done in one pass; the others share what old_share()
   says. So a pass stays short however much long work there is: a sentence that comes waits for one short pass and
   computes in the next. The first in line gets a row in any case, the batch being empty, so that the long work
   goes on however many sentences come. */
static void gather(struct worker *w, struct sb_task_batch *batch)
{
    size_t budget = w->scheduler->options.max_batch_tokens, old_left = old_share(w);
    sb_task_batch_reset(batch);
    for (size_t i = 0; i < w->count; i++) {
        struct sb_job *job = w->jobs[i];
        size_t left = budget > batch->tokens ? budget - batch->tokens : 0, most = job->served ? old_left : NEW_TOKENS;
        w->served[i] = 0;
        if (left < most)
            most = left;
        if (most == 0)
            continue;
        offer(w, batch, i, most);
        if (job->served)
            old_left -= w->served[i] < old_left ? w->served[i] : old_left;
        job->served = job->served || w->served[i] > 0;
    }
}

static void fail_all(struct worker *w, enum sb_status status, const struct sb_error *error)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->jobs[i]->task->finished)
            sb_task_fail(w->jobs[i]->task, status, error->message);
}

/* Computes rows of the worker's jobs. */
static void run_pass(struct worker *w, size_t *rows, size_t *tokens)
{
    struct sb_scheduler *s = w->scheduler;
    struct sb_error error;
    struct desk *desk;
    w->passes++;
    enum sb_status status = find_desk(w, w->jobs[0]->model, &desk, &error);
    if (status != SB_OK) {
        fail_all(w, status, &error);
        return;
    }
    gather(w, desk->batch);
    *rows = desk->batch->count;
    *tokens = desk->batch->tokens;
    if (*rows == 0)
        return;
    if (s->options.on_pass)
        s->options.on_pass(s->options.context, *rows, *tokens);
    status = sb_session_forward(desk->session, desk->batch->rows, desk->batch->count, &error);
    if (status == SB_OK)
        sb_task_batch_deliver(desk->batch);
    else
        fail_all(w, status, &error);
}

/* ---- workers ---- */

static void call_done(struct line *done)
{
    int64_t now = sb_now_ns();
    for (struct sb_job *job = done->first; job;) {
        struct sb_job *next = job->next; /* done() may free the job */
        job->finished_ns = now;
        job->done(job, job->context);
        job = next;
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    struct sb_scheduler *s = w->scheduler;
    struct line done;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->line.first && !s->stopping)
            pthread_cond_wait(&s->work, &s->lock);
        if (!s->line.first)
            break; /* a worker still in a pass takes what its jobs leave or submit */
        line_clear(&done);
        drop_dead(s, &done);
        take_jobs(w);
        s->busy++;
        pthread_mutex_unlock(&s->lock);

        call_done(&done);
        line_clear(&done);
        size_t rows = 0, tokens = 0;
        if (w->count)
            run_pass(w, &rows, &tokens);

        pthread_mutex_lock(&s->lock);
        s->busy--;
        s->stats.passes += rows > 0;
        s->stats.rows += (int64_t)rows;
        s->stats.tokens += (int64_t)tokens;
        return_jobs(w, &done);
        pthread_mutex_unlock(&s->lock);
        call_done(&done);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < SESSIONS; i++)
        desk_clear(&w->desks[i]);
    return NULL;
}

struct sb_scheduler_options sb_scheduler_defaults(void)
{
    return (struct sb_scheduler_options){.max_queue = 512, .max_batch_tokens = 512, .max_batch_rows = 128};
}

enum sb_status sb_scheduler_new(struct sb_scheduler **scheduler, const struct sb_scheduler_options *options,
                                struct sb_error *error)
{
    int threads = options->threads ? options->threads : sb_cpu_count();
    *scheduler = NULL;
    if (threads < 1 || threads > 1024)
        return sb_fail(error, SB_INVALID, "threads is %d; 1 to 1024 are possible", threads);
    if (options->max_batch_tokens < 1 || options->max_batch_tokens > 1 << 20)
        return sb_fail(error, SB_INVALID, "max_batch_tokens is %zu; 1 to 1048576 are possible",
                       options->max_batch_tokens);
    if (options->max_batch_rows < 1 || options->max_batch_rows > 1 << 16)
        return sb_fail(error, SB_INVALID, "max_batch_rows is %zu; 1 to 65536 are possible", options->max_batch_rows);
    struct sb_scheduler *s = calloc(1, sizeof *s + (size_t)threads * sizeof *s->workers);
    if (!s)
        return sb_fail(error, SB_NO_MEMORY, "scheduler: no memory");
    s->options = *options;
    s->stats.threads = threads;
    line_clear(&s->line);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    for (; s->started < threads; s->started++) {
        struct worker *w = &s->workers[s->started];
        w->scheduler = s;
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            sb_fail(error, SB_NO_MEMORY, "scheduler: thread %d of %d can not be started", s->started + 1, threads);
            sb_scheduler_free(s);
            return SB_NO_MEMORY;
        }
    }
    *scheduler = s;
    return SB_OK;
}

enum sb_status sb_scheduler_submit(struct sb_scheduler *scheduler, struct sb_job *job, struct sb_error *error)
{
    struct sb_scheduler *s = scheduler;
    enum sb_status status = SB_OK;
    job->submitted_ns = sb_now_ns();
    job->started_ns = job->finished_ns = 0;
    job->served = false;
    pthread_mutex_lock(&s->lock);
    if (!job->continues && s->stats.queued >= s->options.max_queue) {
        status =
            sb_fail(error, SB_OVERLOADED, "the queue is full: %zu requests wait; try again later", s->stats.queued);
    } else {
        s->stats.queued++;
        line_append(&s->line, job);
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

void sb_scheduler_free(struct sb_scheduler *scheduler)
{
    if (!scheduler)
        return;
    pthread_mutex_lock(&scheduler->lock);
    scheduler->stopping = true;
    pthread_cond_broadcast(&scheduler->work);
    pthread_mutex_unlock(&scheduler->lock);
    for (int i = 0; i < scheduler->started; i++)
        pthread_join(scheduler->workers[i].thread, NULL);
    pthread_cond_destroy(&scheduler->work);
    pthread_mutex_destroy(&scheduler->lock);
    free(scheduler);
}

struct sb_scheduler_stats sb_scheduler_stats(struct sb_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    struct sb_scheduler_stats stats = scheduler->stats;
    pthread_mutex_unlock(&scheduler->lock);
    return stats;
}
