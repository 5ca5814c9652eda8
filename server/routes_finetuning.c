/* OpenAI's fine-tuning jobs but for their creation: list, describe, cancel, pause, resume, events, checkpoints. */
#include "server/finetuning_job.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum { JOBS_DEFAULT = 20, JOBS_MAX = 100, ROWS_MAX = 1000, CHECKPOINTS_DEFAULT = 10 };

/* ---- a job as JSON ---- */

static void put_or_null(struct sb_buffer *out, const char *name, const char *text)
{
    sb_buffer_format(out, ",\"%s\":", name);
    if (text && text[0])
        sb_put_text(out, text);
    else
        sb_buffer_text(out, "null");
}

static void put_number(struct sb_buffer *out, const char *name, int64_t value)
{
    sb_buffer_format(out, ",\"%s\":", name);
    if (value)
        sb_buffer_format(out, "%lld", (long long)value);
    else
        sb_buffer_text(out, "null");
}

static void put_error(struct sb_buffer *out, const struct sb_job_record *job)
{
    sb_buffer_text(out, ",\"error\":");
    if (job->status != SB_JOB_FAILED) {
        sb_buffer_text(out, "null");
        return;
    }
    sb_buffer_text(out, "{\"code\":");
    sb_put_text(out, job->error_code ? job->error_code : "");
    put_or_null(out, "message", job->error_message);
    put_or_null(out, "param", job->error_param);
    sb_buffer_text(out, "}");
}

static void put_files(struct sb_buffer *out, const struct sb_job_record *job)
{
    put_or_null(out, "training_file", job->training_file);
    put_or_null(out, "validation_file", job->validation_file);
    sb_buffer_text(out, ",\"result_files\":[");
    if (job->result_file[0])
        sb_put_text(out, job->result_file);
    sb_buffer_text(out, "]");
}

void sb_finetuning_job_print(struct sb_buffer *out, struct sb_server *server, const struct sb_job_record *job)
{
    double seconds = 0;
    bool estimated = job->status == SB_JOB_RUNNING && sb_jobs_eta(server->jobs, job->id, &seconds);
    sb_buffer_format(out, "{\"object\":\"fine_tuning.job\",\"id\":\"%s\",\"model\":", job->id);
    sb_put_text(out, job->model);
    sb_buffer_format(out, ",\"created_at\":%lld", (long long)job->created_at);
    put_number(out, "finished_at", job->finished_at);
    put_or_null(out, "fine_tuned_model", job->status == SB_JOB_SUCCEEDED ? job->name : NULL);
    sb_buffer_format(out, ",\"organization_id\":\"org-%s\",\"status\":\"%s\"", SB_ORGANIZATION,
                     sb_job_status_name(job->status));
    put_files(out, job);
    sb_buffer_format(out, ",\"hyperparameters\":%s,\"method\":%s", job->hyperparameters, job->method);
    put_number(out, "trained_tokens", job->trained_tokens);
    put_error(out, job);
    sb_buffer_format(out, ",\"seed\":%lld", (long long)job->seed);
    put_number(out, "estimated_finish", estimated ? sb_records_now() + (int64_t)seconds : 0);
    sb_buffer_format(out, ",\"integrations\":[],\"metadata\":%s}", job->metadata ? job->metadata : "null");
}

/* The job that the path names, for the caller to clear; false: the request has been answered. */
static bool find_job(struct sb_request *request, struct sb_job_record *job)
{
    struct sb_error error;
    enum sb_status status = sb_records_job(request->server->records, request->params[0], job, &error);
    if (status == SB_OK)
        return true;
    sb_job_record_clear(job);
    sb_request_fail(request, status, status == SB_NOT_FOUND ? "fine_tuning_job_id" : NULL, &error);
    return false;
}

static void send_job(struct sb_request *request)
{
    struct sb_job_record job;
    if (!find_job(request, &job))
        return;
    sb_finetuning_job_print(&request->reply.body, request->server, &job);
    sb_job_record_clear(&job);
    sb_request_send(request, 200);
}

void sb_handle_job(struct sb_request *request)
{
    sb_request_later(request, send_job);
}

/* ---- list ---- */

static void list(struct sb_request *request)
{
    struct sb_job_record *jobs = NULL;
    struct sb_error error;
    const char *after = NULL, *param = "limit";
    int64_t limit = JOBS_DEFAULT;
    size_t count = 0;
    bool has_more = false;
    enum sb_status status = sb_request_query_int(request, "limit", 1, JOBS_MAX, &limit, &error);
    if (status == SB_OK)
        status = sb_request_query(request, param = "after", &after, &error);
    if (status == SB_OK)
        status = sb_records_jobs(request->server->records, after, limit, &jobs, &count, &has_more, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, param, &error);
        return;
    }
    struct sb_buffer *out = &request->reply.body;
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(out, i ? "," : "");
        sb_finetuning_job_print(out, request->server, &jobs[i]);
        sb_job_record_clear(&jobs[i]);
    }
    sb_buffer_format(out, "],\"has_more\":%s}", has_more ? "true" : "false");
    free(jobs);
    sb_request_send(request, 200);
}

void sb_handle_jobs(struct sb_request *request)
{
    sb_request_later(request, list);
}

/* ---- cancel, pause, resume ---- */

static const char *const verbs[SB_JOB_STATUSES] = {
    [SB_JOB_CANCELLED] = "cancelled", [SB_JOB_PAUSED] = "paused", [SB_JOB_QUEUED] = "resumed"};

static void change(struct sb_request *request, unsigned from, enum sb_job_status to, const char *message)
{
    struct sb_server *server = request->server;
    const struct sb_job_change wanted = {.from = from, .to = to, .message = message};
    struct sb_job_record job;
    struct sb_error error;
    bool changed = false;
    if (!find_job(request, &job))
        return;
    enum sb_status status = sb_records_change_job(server->records, job.id, &wanted, &changed, &error);
    if (status == SB_OK && !changed)
        status = sb_fail(&error, SB_CONFLICT, "job %s is %s; it can not be %s", job.id, sb_job_status_name(job.status),
                         verbs[to]);
    sb_job_record_clear(&job);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    if (to == SB_JOB_CANCELLED)
        sb_jobs_clean(server->jobs, request->params[0]);
    else
        sb_jobs_wake(server->jobs);
    send_job(request);
}

static void cancel(struct sb_request *request)
{
    change(request,
           1u << SB_JOB_VALIDATING | 1u << SB_JOB_QUEUED | 1u << SB_JOB_RUNNING | 1u << SB_JOB_PAUSED |
               1u << SB_JOB_FAILED, /* which gives up what it could go on from */
           SB_JOB_CANCELLED, "The job was cancelled");
}

void sb_handle_job_cancel(struct sb_request *request)
{
    sb_request_later(request, cancel);
}

static void pause_job(struct sb_request *request)
{
    change(request, 1u << SB_JOB_VALIDATING | 1u << SB_JOB_QUEUED | 1u << SB_JOB_RUNNING, SB_JOB_PAUSED,
           "The job was paused");
}

void sb_handle_job_pause(struct sb_request *request)
{
    sb_request_later(request, pause_job);
}

/* A failed job has its checkpoints still: when the reason is gone (a full disk, too little memory) it can go on. */
static void resume(struct sb_request *request)
{
    change(request, 1u << SB_JOB_PAUSED | 1u << SB_JOB_FAILED, SB_JOB_QUEUED, "The job was resumed");
}

void sb_handle_job_resume(struct sb_request *request)
{
    sb_request_later(request, resume);
}

/* ---- events ---- */

/* Rows as the elements of a list. */
struct rows {
    struct sb_buffer *out;
    const struct sb_job_record *job;
    int64_t first, last;
};

static void next_row(struct rows *rows, int64_t key)
{
    sb_buffer_text(rows->out, rows->last ? "," : "");
    rows->first = rows->first ? rows->first : key;
    rows->last = key;
}

static void put_event(void *context, const struct sb_event_record *event)
{
    struct rows *rows = context;
    next_row(rows, event->key);
    sb_job_event_print(rows->out, event);
}

/* limit and after, the id of an event or a checkpoint; false: the request has been answered. */
static bool read_page(struct sb_request *request, const char *prefix, struct sb_record_page *page)
{
    struct sb_error error;
    const char *after = NULL, *param = "limit";
    enum sb_status status = sb_request_query_int(request, "limit", 1, ROWS_MAX, &page->limit, &error);
    if (status == SB_OK)
        status = sb_request_query(request, param = "after", &after, &error);
    if (status == SB_OK && after && !(page->after = sb_records_key_of(after, prefix)))
        status = sb_fail(&error, SB_INVALID, "after is \"%.64s\"; an id from this list is expected", after);
    if (status != SB_OK)
        sb_request_fail(request, status, param, &error);
    return status == SB_OK;
}

static void list_events(struct sb_request *request, const struct sb_record_page *page)
{
    struct sb_error error;
    struct rows rows = {.out = &request->reply.body};
    bool has_more;
    sb_buffer_text(rows.out, "{\"object\":\"list\",\"data\":[");
    enum sb_status status =
        sb_records_events(request->server->records, page, put_event, &rows, &has_more, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_format(rows.out, "],\"has_more\":%s}", has_more ? "true" : "false");
    sb_request_send(request, 200);
}

/* A list of events, newest first; with stream=true all from the oldest on, as they come. */
static void events(struct sb_request *request)
{
    struct sb_record_page page = {.limit = JOBS_DEFAULT};
    struct sb_job_record job;
    struct sb_error error;
    const char *stream = NULL;
    enum sb_status status = sb_request_query(request, "stream", &stream, &error);
    bool streams = stream && strcmp(stream, "true") == 0;
    if (status == SB_OK && stream && !streams && strcmp(stream, "false") != 0)
        status = sb_fail(&error, SB_INVALID, "stream is \"%.16s\"; true and false are possible", stream);
    if (status != SB_OK) {
        sb_request_fail(request, status, "stream", &error);
        return;
    }
    if (!read_page(request, "ftevent-", &page) || !find_job(request, &job))
        return;
    page.job = job.key;
    if (streams)
        sb_jobs_follow(request->server->jobs, request, &job, page.after);
    else
        list_events(request, &page);
    sb_job_record_clear(&job);
}

void sb_handle_job_events(struct sb_request *request)
{
    sb_request_later(request, events);
}

/* ---- checkpoints ---- */

static void put_checkpoint(void *context, const struct sb_checkpoint_record *checkpoint)
{
    struct rows *rows = context;
    char id[SB_ID_SIZE];
    sb_records_key_id(id, "ftckpt-", checkpoint->key);
    next_row(rows, checkpoint->key);
    sb_buffer_format(rows->out, "{\"object\":\"fine_tuning.job.checkpoint\",\"id\":\"%s\",\"created_at\":%lld,", id,
                     (long long)checkpoint->created_at);
    sb_buffer_format(rows->out, "\"fine_tuned_model_checkpoint\":\"%s:ckpt-step-%lld\",\"fine_tuning_job_id\":\"%s\",",
                     rows->job->name, (long long)checkpoint->step, rows->job->id);
    sb_buffer_format(rows->out, "\"step_number\":%lld,\"metrics\":%s}", (long long)checkpoint->step,
                     checkpoint->metrics);
}

static void checkpoints(struct sb_request *request)
{
    struct sb_record_page page = {.limit = CHECKPOINTS_DEFAULT};
    struct sb_job_record job;
    struct sb_error error;
    struct sb_buffer *out = &request->reply.body;
    bool has_more;
    char id[SB_ID_SIZE];
    if (!read_page(request, "ftckpt-", &page) || !find_job(request, &job))
        return;
    struct rows rows = {.out = out, .job = &job};
    page.job = job.key;
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    enum sb_status status =
        sb_records_checkpoints(request->server->records, &page, put_checkpoint, &rows, &has_more, &error);
    sb_job_record_clear(&job);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(out, "]");
    sb_records_key_id(id, "ftckpt-", rows.first);
    put_or_null(out, "first_id", rows.first ? id : NULL);
    sb_records_key_id(id, "ftckpt-", rows.last);
    put_or_null(out, "last_id", rows.last ? id : NULL);
    sb_buffer_format(out, ",\"has_more\":%s}", has_more ? "true" : "false");
    sb_request_send(request, 200);
}

void sb_handle_job_checkpoints(struct sb_request *request)
{
    sb_request_later(request, checkpoints);
}
