/* Jobs in the records. */
#include "server/records_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[SB_JOB_STATUSES] = {"validating_files", "queued", "running",  "paused",
                                                          "succeeded",        "failed", "cancelled"};

const char *sb_job_status_name(enum sb_job_status status)
{
    return status_names[status];
}

void sb_job_record_clear(struct sb_job_record *job)
{
    free(job->method);
    free(job->hyperparameters);
    free(job->metadata);
    free(job->recipe);
    free(job->error_code);
    free(job->error_message);
    free(job->error_param);
    *job = (struct sb_job_record){0};
}

/* ---- reading rows ---- */

#define COLUMNS                                                                                                        \
    "key, id, status, model, name, training_file, validation_file, result_file, created_at, finished_at, "             \
    "trained_tokens, seed, method, hyperparameters, metadata, recipe, error_code, error_message, error_param"

/* A malloc'd copy; NULL stays NULL. False: no memory. */
static bool take_text(char **field, sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    *field = text ? strdup(text) : NULL;
    return *field || !text;
}

static enum sb_status read_job(struct sb_job_record *job, sqlite3_stmt *row, struct sb_error *error)
{
    int64_t status = sqlite3_column_int64(row, 2);
    job->key = sqlite3_column_int64(row, 0);
    sb_records_column(job->id, sizeof job->id, row, 1);
    if (status < 0 || status >= SB_JOB_STATUSES)
        return sb_fail(error, SB_CORRUPT, "job %s has the unknown status %lld", job->id, (long long)status);
    job->status = (enum sb_job_status)status;
    sb_records_column(job->model, sizeof job->model, row, 3);
    sb_records_column(job->name, sizeof job->name, row, 4);
    sb_records_column(job->training_file, sizeof job->training_file, row, 5);
    sb_records_column(job->validation_file, sizeof job->validation_file, row, 6);
    sb_records_column(job->result_file, sizeof job->result_file, row, 7);
    job->created_at = sqlite3_column_int64(row, 8);
    job->finished_at = sqlite3_column_int64(row, 9);
    job->trained_tokens = sqlite3_column_int64(row, 10);
    job->seed = sqlite3_column_int64(row, 11);
    bool ok = take_text(&job->method, row, 12) && take_text(&job->hyperparameters, row, 13) &&
              take_text(&job->metadata, row, 14) && take_text(&job->recipe, row, 15) &&
              take_text(&job->error_code, row, 16) && take_text(&job->error_message, row, 17) &&
              take_text(&job->error_param, row, 18);
    return ok ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for job %s", job->id);
}

/* Takes the first row of a query, if there is one, and ends the query. With the lock held. */
static enum sb_status take_one(struct sb_records *records, sqlite3_stmt *rows, struct sb_job_record *job, bool *found,
                               struct sb_error *error)
{
    enum sb_status status = sb_database_step(records->db, rows, found, error);
    if (status == SB_OK && *found)
        status = read_job(job, rows, error);
    sqlite3_finalize(rows);
    return status;
}

static enum sb_status no_job(const char *id, struct sb_error *error)
{
    return sb_fail(error, SB_NOT_FOUND, "there is no fine-tuning job \"%.64s\"", id);
}

enum sb_status sb_records_job(struct sb_records *records, const char *id, struct sb_job_record *job,
                              struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool found = false;
    *job = (struct sb_job_record){0};
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_query(records->db, &rows, error, "SELECT " COLUMNS " FROM jobs WHERE id = ?", "t", id);
    if (status == SB_OK)
        status = take_one(records, rows, job, &found, error);
    pthread_mutex_unlock(&records->lock);
    return status == SB_OK && !found ? no_job(id, error) : status;
}

enum sb_status sb_records_next_job(struct sb_records *records, enum sb_job_status job_status, int64_t after,
                                   struct sb_job_record *job, bool *found, struct sb_error *error)
{
    sqlite3_stmt *rows;
    *job = (struct sb_job_record){0};
    *found = false;
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_database_query(
        records->db, &rows, error, "SELECT " COLUMNS " FROM jobs WHERE status = ? AND key > ? ORDER BY key LIMIT 1",
        "ii", (int64_t)job_status, after);
    if (status == SB_OK)
        status = take_one(records, rows, job, found, error);
    pthread_mutex_unlock(&records->lock);
    return status;
}

/* With the lock held. */
static enum sb_status read_jobs(struct sb_records *records, const char *after, int64_t limit,
                                struct sb_job_record *jobs, size_t *count, struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    int64_t key = INT64_MAX;
    enum sb_status status = SB_OK;
    if (after)
        status = sb_database_number(records->db, &key, error, "SELECT key FROM jobs WHERE id = ?", "t", after);
    if (status == SB_OK && key == 0)
        status = no_job(after, error);
    if (status != SB_OK)
        return status;
    status = sb_database_query(records->db, &rows, error,
                               "SELECT " COLUMNS " FROM jobs WHERE key < ? ORDER BY key DESC LIMIT ?", "ii", key,
                               limit);
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row)
        status = read_job(&jobs[(*count)++], rows, error);
    sqlite3_finalize(rows);
    return status;
}

enum sb_status sb_records_jobs(struct sb_records *records, const char *after, int64_t limit,
                               struct sb_job_record **jobs, size_t *count, bool *has_more, struct sb_error *error)
{
    *count = 0;
    *has_more = false;
    *jobs = calloc((size_t)limit + 1, sizeof **jobs);
    if (!*jobs)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %lld jobs", (long long)limit);
    pthread_mutex_lock(&records->lock);
    enum sb_status status = read_jobs(records, after, limit + 1, *jobs, count, error);
    pthread_mutex_unlock(&records->lock);
    *has_more = *count > (size_t)limit;
    if (*has_more)
        sb_job_record_clear(&(*jobs)[--*count]);
    if (status == SB_OK)
        return SB_OK;
    while (*count > 0)
        sb_job_record_clear(&(*jobs)[--*count]);
    free(*jobs);
    *jobs = NULL;
    return status;
}

enum sb_status sb_records_count_jobs(struct sb_records *records, int64_t counts[SB_JOB_STATUSES],
                                     struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    for (int i = 0; i < SB_JOB_STATUSES; i++)
        counts[i] = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_query(records->db, &rows, error, "SELECT status, count(*) FROM jobs GROUP BY status", "");
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row) {
        int64_t i = sqlite3_column_int64(rows, 0);
        if (i >= 0 && i < SB_JOB_STATUSES)
            counts[i] = sqlite3_column_int64(rows, 1);
    }
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    return status;
}

enum sb_status sb_records_jobs_of_model(struct sb_records *records, const char *model, int64_t *count,
                                        struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_number(records->db, count, error, "SELECT count(*) FROM jobs WHERE status < ? AND model = ?", "it",
                           (int64_t)SB_JOB_SUCCEEDED, model);
    pthread_mutex_unlock(&records->lock);
    return status;
}

/* ---- writing ---- */

enum sb_status sb_records_add_job(struct sb_records *records, const struct sb_job_record *job, struct sb_error *error)
{
    const struct sb_event_record event = {
        .created_at = job->created_at, .level = "info", .type = "message", .message = "Created fine-tuning job"};
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_records_begin(records, error);
    if (status == SB_OK) {
        status = sb_database_run(
            records->db, error,
            "INSERT INTO jobs (id, status, model, name, training_file, validation_file, result_file, created_at,"
            " finished_at, trained_tokens, seed, method, hyperparameters, metadata, recipe)"
            " VALUES (?, ?, ?, ?, ?, ?, '', ?, 0, 0, ?, ?, ?, ?, ?)",
            "tittttiitttt", job->id, (int64_t)job->status, job->model, job->name, job->training_file,
            job->validation_file, job->created_at, job->seed, job->method, job->hyperparameters, job->metadata,
            job->recipe);
        if (status == SB_OK)
            status = sb_records_insert_event(records, sb_database_last_key(records->db), &event, error);
        status = sb_records_end(records, status, error);
    }
    pthread_mutex_unlock(&records->lock);
    return status;
}

/* Within a change. */
static enum sb_status apply(struct sb_records *records, const char *id, const struct sb_job_change *change,
                            bool *changed, struct sb_error *error)
{
    int64_t now = sb_records_now(), key = 0;
    const struct sb_event_record event = {.created_at = now,
                                          .level = change->to == SB_JOB_FAILED ? "error" : "info",
                                          .type = "message",
                                          .message = change->message};
    enum sb_status status = sb_database_run(
        records->db, error,
        "UPDATE jobs SET status = ?, finished_at = ?, error_code = ?, error_message = ?, error_param = ?,"
        " trained_tokens = max(trained_tokens, ?), result_file = ifnull(?, result_file)"
        " WHERE id = ? AND ((1 << status) & ?) != 0",
        "iitttitti", (int64_t)change->to, sb_job_is_over(change->to) ? now : (int64_t)0, change->error_code,
        change->error_message, change->error_param, change->trained_tokens, change->result_file, id,
        (int64_t)change->from);
    *changed = status == SB_OK && sb_database_changes(records->db) == 1;
    if (!*changed)
        return status;
    status = sb_database_number(records->db, &key, error, "SELECT key FROM jobs WHERE id = ?", "t", id);
    return status == SB_OK ? sb_records_insert_event(records, key, &event, error) : status;
}

enum sb_status sb_records_change_job(struct sb_records *records, const char *id, const struct sb_job_change *change,
                                     bool *changed, struct sb_error *error)
{
    *changed = false;
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_records_begin(records, error);
    if (status == SB_OK)
        status = sb_records_end(records, apply(records, id, change, changed, error), error);
    pthread_mutex_unlock(&records->lock);
    *changed = *changed && status == SB_OK;
    return status;
}
