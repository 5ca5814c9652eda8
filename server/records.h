/*
 * What the server remembers of files, fine-tuning jobs and aliases across restarts: <data>/jobs.db. A change that a call
 * has acknowledged is on disk. The files' contents and the jobs' folders lie beside it; see server/uploads.h and
 * server/jobs.h.
 *
 *     struct sb_records *records;
 *     sb_records_open(&records, "data/jobs.db", &error);
 *     struct sb_job_record job;
 *     if (sb_records_job(records, "ftjob-…", &job, &error) == SB_OK)
 *         printf("%s\n", sb_job_status_name(job.status));
 *     sb_job_record_clear(&job);
 *     sb_records_close(records);
 *
 * Thread rule: every call from any number of threads, except open and close. Calls read and write the disk.
 */
#ifndef SB_SERVER_RECORDS_H
#define SB_SERVER_RECORDS_H

#include "base/status.h"
#include "server/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_records;

enum { SB_ID_SIZE = 40, SB_FILENAME_MAX = 255 };

SB_MUST_CHECK enum sb_status sb_records_open(struct sb_records **records, const char *path, struct sb_error *error);
void sb_records_close(struct sb_records *records); /* NULL is fine */

int64_t sb_records_now(void); /* seconds since 1970 */

/* prefix and 24 random letters and digits. */
void sb_records_new_id(char id[SB_ID_SIZE], const char *prefix);

/* ---- files ---- */

struct sb_file_record {
    char id[SB_ID_SIZE]; /* "file-…" */
    char stored[64];     /* its name in <data>/files */
    char filename[SB_FILENAME_MAX + 1];
    char purpose[32];
    int64_t bytes, created_at;
};

SB_MUST_CHECK enum sb_status sb_records_add_file(struct sb_records *records, const struct sb_file_record *file,
                                                 struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_file(struct sb_records *records, const char *id, struct sb_file_record *file,
                                             struct sb_error *error);
/* SB_CONFLICT while a job that is not at its end needs it. */
SB_MUST_CHECK enum sb_status sb_records_remove_file(struct sb_records *records, const char *id,
                                                    struct sb_error *error);

struct sb_file_page {
    const char *after;   /* an id: what comes behind it; NULL: from the start */
    const char *purpose; /* NULL: any */
    int64_t limit;
    bool oldest_first;
};
/* *files is malloc'd. SB_NOT_FOUND: there is no file `after`. */
SB_MUST_CHECK enum sb_status sb_records_files(struct sb_records *records, const struct sb_file_page *page,
                                              struct sb_file_record **files, size_t *count, bool *has_more,
                                              struct sb_error *error);

/* ---- jobs ---- */

enum sb_job_status {
    SB_JOB_VALIDATING,
    SB_JOB_QUEUED,
    SB_JOB_RUNNING,
    SB_JOB_PAUSED,
    SB_JOB_SUCCEEDED,
    SB_JOB_FAILED,
    SB_JOB_CANCELLED,
    SB_JOB_STATUSES,
};
const char *sb_job_status_name(enum sb_job_status status); /* OpenAI's: "validating_files", "queued", … */
static inline bool sb_job_is_over(enum sb_job_status status)
{
    return status >= SB_JOB_SUCCEEDED;
}

struct sb_job_record {
    int64_t key;         /* grows with each job */
    char id[SB_ID_SIZE]; /* "ftjob-…" */
    enum sb_job_status status;
    char model[SB_MODEL_NAME_MAX + 1]; /* the base */
    char name[SB_MODEL_NAME_MAX + 1];  /* what the fine-tuned model is called */
    char training_file[SB_ID_SIZE], validation_file[SB_ID_SIZE], result_file[SB_ID_SIZE]; /* "": none */
    int64_t created_at, finished_at, trained_tokens, seed; /* 0: none yet */
    char *method, *hyperparameters, *metadata, *recipe;    /* JSON; metadata may be NULL */
    char *error_code, *error_message, *error_param;        /* NULL unless it failed */
};
void sb_job_record_clear(struct sb_job_record *job); /* frees the strings; twice is fine */

/* Takes a copy; key, finished_at and what a result is are left out. */
SB_MUST_CHECK enum sb_status sb_records_add_job(struct sb_records *records, const struct sb_job_record *job,
                                                struct sb_error *error);
/* The caller clears *job, also on failure. */
SB_MUST_CHECK enum sb_status sb_records_job(struct sb_records *records, const char *id, struct sb_job_record *job,
                                            struct sb_error *error);
/* Newest first, those older than the job `after` (NULL: all). *jobs is malloc'd; the caller clears each. */
SB_MUST_CHECK enum sb_status sb_records_jobs(struct sb_records *records, const char *after, int64_t limit,
                                             struct sb_job_record **jobs, size_t *count, bool *has_more,
                                             struct sb_error *error);
/* The oldest job with this status whose key is greater than after; *found false when there is none. */
SB_MUST_CHECK enum sb_status sb_records_next_job(struct sb_records *records, enum sb_job_status status, int64_t after,
                                                 struct sb_job_record *job, bool *found, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_count_jobs(struct sb_records *records, int64_t counts[SB_JOB_STATUSES],
                                                   struct sb_error *error);
/* How many jobs that are not at their end start from this model. */
SB_MUST_CHECK enum sb_status sb_records_jobs_of_model(struct sb_records *records, const char *model, int64_t *count,
                                                      struct sb_error *error);

/* A change of status, done together with the event that tells it. */
struct sb_job_change {
    unsigned from; /* bits 1 << status: where it may come from */
    enum sb_job_status to;
    const char *message;                                  /* of the event */
    const char *error_code, *error_message, *error_param; /* for SB_JOB_FAILED */
    int64_t trained_tokens;                               /* 0: leaves what is there */
    const char *result_file;                              /* NULL: leaves what is there */
};
/* *changed is false, and nothing was done, when the job was in another status. */
SB_MUST_CHECK enum sb_status sb_records_change_job(struct sb_records *records, const char *id,
                                                   const struct sb_job_change *change, bool *changed,
                                                   struct sb_error *error);

/* ---- events and checkpoints ---- */

struct sb_event_record {
    int64_t key, created_at;
    const char *level, *type, *message, *data; /* data: JSON or NULL */
};
SB_MUST_CHECK enum sb_status sb_records_add_event(struct sb_records *records, int64_t job,
                                                  const struct sb_event_record *event, struct sb_error *error);

struct sb_checkpoint_record {
    int64_t key, created_at, step;
    const char *path, *metrics; /* JSON */
};
/* A step that came before is replaced: a job that went on from an earlier checkpoint comes to it again. */
SB_MUST_CHECK enum sb_status sb_records_add_checkpoint(struct sb_records *records, int64_t job,
                                                       const struct sb_checkpoint_record *checkpoint,
                                                       struct sb_error *error);

struct sb_record_page {
    int64_t job;
    int64_t after; /* a key: what comes behind it in this order; 0: from the start */
    int64_t limit;
    bool oldest_first;
};
/* Calls each() for up to limit rows, with the records locked. */
SB_MUST_CHECK enum sb_status sb_records_events(struct sb_records *records, const struct sb_record_page *page,
                                               void (*each)(void *context, const struct sb_event_record *event),
                                               void *context, bool *has_more, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_checkpoints(struct sb_records *records, const struct sb_record_page *page,
                                                    void (*each)(void *context,
                                                                 const struct sb_checkpoint_record *checkpoint),
                                                    void *context, bool *has_more, struct sb_error *error);

/* Ids of events and checkpoints are their keys: "ftevent-00000000000000a1". 0: not such an id. */
void sb_records_key_id(char id[SB_ID_SIZE], const char *prefix, int64_t key);
int64_t sb_records_key_of(const char *id, const char *prefix);

/* ---- aliases ---- */

SB_MUST_CHECK enum sb_status sb_records_set_alias(struct sb_records *records, const char *name, const char *model,
                                                  struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_remove_alias(struct sb_records *records, const char *name,
                                                     struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_aliases(struct sb_records *records, struct sb_model_alias aliases[SB_ALIASES_MAX],
                                                size_t *count, struct sb_error *error);

#endif
