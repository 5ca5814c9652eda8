/*
 * Fine-tuning jobs: a queue, a child process for each job that runs, its progress as events, and what it made as a
 * model that is served.
 *
 *     struct sb_jobs *jobs;
 *     sb_jobs_new(&jobs, &options, &error);        // goes on with what the last run left
 *     sb_records_add_job(records, &job, &error);
 *     sb_jobs_wake(jobs);                          // looks at the records
 *     ...
 *     sb_jobs_quiesce(jobs);                       // no new ones; what runs is told to checkpoint; streams end
 *     sb_jobs_free(jobs);                          // waits for that
 *
 * The records say what is to be done (server/records.h): handlers change a job's status there, and one thread makes it
 * true. So whatever was acknowledged happens, also across a crash:
 *
 *     validating_files -> queued -> running -> succeeded | failed
 *                           ^          |
 *                           +- paused <+         and cancelled from each that is not the end; failed can go on, too
 *
 * <data>/jobs/<id>/ holds job.json, checkpoints/, log.txt, and model/ until it moves to <data>/models.
 *
 * Thread rule: every call from any number of threads, except new and free.
 */
#ifndef SB_SERVER_JOBS_H
#define SB_SERVER_JOBS_H

#include "base/buffer.h"
#include "server/records.h"
#include "server/request.h"

struct sb_jobs;

enum { SB_JOBS_RUNNING_MAX = 16 };

struct sb_jobs_options {
    const char *data;    /* the data directory */
    const char *program; /* that trains; NULL: this one */
    int max_running;     /* 1 to SB_JOBS_RUNNING_MAX; the rest queue */
    int niceness;        /* of a trainer, above the server's */
    int threads;         /* of a trainer */
    size_t memory_bytes; /* of a trainer; 0: no limit */
    const char *kernels, *dtype; /* how models are opened, as in sb_model_options */
    struct sb_records *records;  /* borrowed, as the registry */
    struct sb_registry *registry;
};

SB_MUST_CHECK enum sb_status sb_jobs_new(struct sb_jobs **jobs, const struct sb_jobs_options *options,
                                         struct sb_error *error);
void sb_jobs_wake(struct sb_jobs *jobs);    /* the records have changed */
void sb_jobs_quiesce(struct sb_jobs *jobs); /* NULL is fine */
void sb_jobs_free(struct sb_jobs *jobs);    /* NULL is fine */

/* Removes what a job that was cancelled left on disk, at once or when its child has ended. */
void sb_jobs_clean(struct sb_jobs *jobs, const char *id);

/* Answers the request with the job's events as server-sent events: those whose key is greater than after, then new ones
   as they come, until the job is over. */
void sb_jobs_follow(struct sb_jobs *jobs, struct sb_request *request, const struct sb_job_record *job, int64_t after);

/* Seconds that the running job still needs; false: not running, or not known yet. */
bool sb_jobs_eta(struct sb_jobs *jobs, const char *id, double *seconds);

/* Appends Prometheus metrics: jobs by status, and step, loss, evaluation and time to go of those that run. */
void sb_jobs_print_metrics(struct sb_jobs *jobs, struct sb_buffer *text);

/* A job's event as OpenAI's object. */
void sb_job_event_print(struct sb_buffer *out, const struct sb_event_record *event);

/* ---- before new: what an earlier run left half-done in the data directory ---- */

/* Jobs that ran are queued again, models of jobs that succeeded come to their place, files without a record go. */
SB_MUST_CHECK enum sb_status sb_jobs_recover(const char *data, struct sb_records *records, struct sb_error *error);

#endif
