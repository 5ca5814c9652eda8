/*
 * A job's result becomes a model that is served: opened where the child left it, warmed up, listed, and only then told
 * as a success, so that who reads "succeeded" can use it at once. The folder moves last; a crash before that is made
 * good at the next start.
 */
#include "server/jobs_impl.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "server/model_folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULT_EVENTS_MAX = 1 << 20 };

/* ---- the result file: the metrics events' data, one object a line ---- */

static void put_metrics(void *context, const struct sb_event_record *event)
{
    struct sb_buffer *lines = context;
    if (event->data) {
        sb_buffer_text(lines, event->data);
        sb_buffer_text(lines, "\n");
    }
}

static enum sb_status write_result(struct sb_job_run *run, struct sb_file_record *file, struct sb_error *error)
{
    struct sb_records *records = run->jobs->options.records;
    struct sb_buffer lines = {0};
    bool has_more;
    char *path = NULL;
    const struct sb_record_page page = {.job = run->job.key, .limit = RESULT_EVENTS_MAX, .oldest_first = true};
    enum sb_status status = sb_records_events(records, &page, put_metrics, &lines, &has_more, error);
    *file = (struct sb_file_record){
        .purpose = "fine-tune-results", .bytes = (int64_t)lines.length, .created_at = sb_records_now()};
    sb_records_new_id(file->id, "file-");
    snprintf(file->stored, sizeof file->stored, "%s.jsonl", file->id);
    snprintf(file->filename, sizeof file->filename, "%s.metrics.jsonl", run->job.id);
    if (status == SB_OK && (lines.failed || asprintf(&path, "%s/files/%s", run->jobs->data, file->stored) < 0))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the result file of %s", run->job.id);
    if (status == SB_OK)
        status = sb_write_file(path, lines.data ? lines.data : "", lines.length, error);
    if (status == SB_OK)
        status = sb_records_add_file(records, file, error);
    sb_buffer_free(&lines);
    free(path);
    return status;
}

/* ---- serving it ---- */

static enum sb_status serve(struct sb_job_run *run, struct sb_error *error)
{
    const struct sb_jobs_options *o = &run->jobs->options;
    const struct sb_model_options options = {.name = run->job.name, .kernels = o->kernels, .dtype = o->dtype};
    struct sb_model_origin origin = {.fine_tuned = true, .created_at = sb_records_now()};
    struct sb_model *model = NULL;
    int64_t start = sb_now_ns();
    char *from = sb_path_join(run->dir, "model"), *to = sb_model_folder(run->jobs->data, run->job.name);
    enum sb_status status = from && to ? sb_model_open_warm(&model, from, &options, error)
                                       : sb_fail(error, SB_NO_MEMORY, "no memory to open the model of %s", run->job.id);
    if (status == SB_OK && strlen(to) >= sizeof origin.dir)
        status = sb_fail(error, SB_LIMIT, "the path %s is longer than %zu bytes", to, sizeof origin.dir - 1);
    if (status == SB_OK) {
        memcpy(origin.dir, to, strlen(to) + 1);
        status = sb_registry_add_from(o->registry, model, &origin, error);
    }
    if (status == SB_OK)
        sb_log(SB_LOG_INFO, "jobs", "%s: serves %s, opened and warmed up in %.0f ms", run->job.id, run->job.name,
               (double)(sb_now_ns() - start) / 1e6);
    sb_model_release(model);
    free(from);
    free(to);
    return status;
}

static void take_back(struct sb_job_run *run)
{
    struct sb_error error;
    if (sb_registry_remove(run->jobs->options.registry, run->job.name, &error) != SB_OK)
        sb_job_log_failure(run->job.id, &error);
}

enum sb_status sb_job_publish(struct sb_job_run *run, struct sb_error *error)
{
    struct sb_file_record result;
    struct sb_error why;
    bool changed = false;
    enum sb_status status = serve(run, error);
    if (status != SB_OK)
        return status;
    status = write_result(run, &result, error);
    const struct sb_job_change succeeded = {.from = SB_JOB_HAS_CHILD,
                                            .to = SB_JOB_SUCCEEDED,
                                            .message = "The job has successfully completed",
                                            .trained_tokens = run->reported_tokens,
                                            .result_file = result.id};
    if (status == SB_OK)
        status = sb_records_change_job(run->jobs->options.records, run->job.id, &succeeded, &changed, error);
    if (!changed)
        take_back(run);
    else if (sb_job_settle(run->jobs->data, &run->job, &why) != SB_OK)
        sb_job_log_failure(run->job.id, &why); /* it is served from where it is until the next start */
    return status;
}
