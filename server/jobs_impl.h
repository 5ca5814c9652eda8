/*
 * What the parts of the jobs share: jobs.c (the thread, the queue), jobs_run.c (one job that runs), jobs_progress.c
 * (what its child tells), jobs_publish.c (its result becomes a model that is served), jobs_follow.c (streams of
 * events), jobs_recover.c (what the last run left).
 */
#ifndef SB_SERVER_JOBS_IMPL_H
#define SB_SERVER_JOBS_IMPL_H

#include "server/job_child.h"
#include "server/jobs.h"

#include <pthread.h>

enum { SB_JOB_MEASURES = 16 };

/* The last numbers that a child has told. */
struct sb_job_progress {
    int64_t step, steps, tokens;
    double loss, rows_per_second, eta_seconds;
    int64_t told_ns; /* when; 0: nothing yet */
    struct sb_job_measure {
        char name[48];
        double value;
    } losses[SB_JOB_MEASURES], metrics[SB_JOB_MEASURES]; /* of the objectives; of the last evaluation */
    size_t loss_count, metric_count;
};

enum sb_gate { SB_GATE_NONE, SB_GATE_PASSED, SB_GATE_FAILED };

/* A job that has a child. Changed only by the jobs' thread; what others read is guarded by sb_jobs.lock. */
struct sb_job_run {
    bool used;                       /* lock */
    struct sb_job_record job;        /* as it was when it started; id: lock */
    struct sb_job_progress progress; /* lock */
    struct sb_jobs *jobs;
    char *dir; /* <data>/jobs/<id> */
    struct sb_job_child child;
    int64_t told_to_stop_ns; /* 0: not */
    int64_t stored_ns;       /* when the last step was stored as an event */
    int64_t reported_tokens;
    bool done;               /* the child told that it is */
    enum sb_gate gate;
    char gate_text[256];
    char failure[512]; /* what the child told as the reason */
    bool ended;        /* the child has; its end may still have to be recorded */
    int wait_status;
};

struct sb_job_follower; /* jobs_follow.c */

struct sb_jobs {
    struct sb_jobs_options options;
    char *data; /* absolute */
    pthread_t thread;
    bool started;
    int wake_fd;
    pthread_mutex_t lock; /* guards all below, and what is said in sb_job_run */
    struct sb_job_run runs[SB_JOBS_RUNNING_MAX];
    struct sb_job_follower *followers;
    bool quiescing;
};

/* Statuses of a job whose child may still be there: paused and resumed before it has ended, for one. */
enum { SB_JOB_HAS_CHILD = 1 << SB_JOB_QUEUED | 1 << SB_JOB_RUNNING | 1 << SB_JOB_PAUSED };

/* jobs_run.c. Start: the job stays queued while an earlier child still ends in its folder. */
void sb_job_run_start(struct sb_job_run *run);
void sb_job_run_read(struct sb_job_run *run);
/* Obeys the records: stops the child of a job that was cancelled or paused, or of all when stopping. */
void sb_job_run_obey(struct sb_job_run *run, bool stopping);
/* Looks whether the child has ended and records how; true when the run is free again. */
bool sb_job_run_end(struct sb_job_run *run, bool stopping);

/* jobs_progress.c */
void sb_job_progress_line(void *run, const char *text, size_t size);

/* jobs_publish.c: opens what the job made, warms it up, serves it, records the success. SB_OK also when the job was
   cancelled meanwhile: then it is taken back. */
SB_MUST_CHECK enum sb_status sb_job_publish(struct sb_job_run *run, struct sb_error *error);

/* jobs_recover.c: moves the model of a job that succeeded to its place and removes what is needed no more. */
SB_MUST_CHECK enum sb_status sb_job_settle(const char *data, const struct sb_job_record *job, struct sb_error *error);
char *sb_job_folder(const char *data, const char *id);        /* malloc'd; NULL: no memory */
void sb_job_folder_remove(const char *data, const char *id); /* what can not be removed is logged */

/* jobs_follow.c. Deliver: writes new events, ends what is over; all of them when ending. */
void sb_jobs_deliver(struct sb_jobs *jobs, bool ending);
bool sb_jobs_has_followers(struct sb_jobs *jobs);

/* Logs a failure to write the records: nobody waits for an answer. */
void sb_job_log_failure(const char *id, const struct sb_error *error);

#endif
