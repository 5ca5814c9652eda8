/* One job that runs: its child's start, what stops it, and how its end is recorded. On the jobs' thread. */
#include "server/jobs_impl.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    PAUSED_STATUS = 75,                          /* of the child: it has written a checkpoint and goes on when started again */
    GRACE_SECONDS = 60,                          /* to write it, then the child is killed */
};

/* True when it is recorded, or was not to be: the job is in another status. */
static bool change(struct sb_job_run *run, const struct sb_job_change *to)
{
    struct sb_error error;
    bool changed;
    if (sb_records_change_job(run->jobs->options.records, run->job.id, to, &changed, &error) != SB_OK) {
        sb_job_log_failure(run->job.id, &error);
        return false;
    }
    if (changed && to->to == SB_JOB_FAILED)
        sb_log(SB_LOG_WARN, "jobs", "%s: failed: %s", run->job.id, to->message);
    return true;
}

/* ---- start ---- */

/* A member of job.json with the path of an uploaded file, or null. */
static enum sb_status put_file(struct sb_job_run *run, struct sb_buffer *json, const char *name, const char *id,
                               struct sb_error *error)
{
    struct sb_file_record file;
    enum sb_status status = SB_OK;
    char *path = NULL;
    sb_buffer_format(json, ",\"%s\":", name);
    if (!id[0]) {
        sb_buffer_text(json, "null");
        return SB_OK;
    }
    status = sb_records_file(run->jobs->options.records, id, &file, error);
    if (status == SB_OK && asprintf(&path, "%s/files/%s", run->jobs->data, file.stored) < 0)
        status = sb_fail(error, SB_NO_MEMORY, "no memory to start job %s", run->job.id);
    if (status == SB_OK)
        sb_buffer_json_string(json, path, strlen(path));
    free(path);
    return status;
}

static void put_text(struct sb_buffer *json, const char *name, const char *text)
{
    sb_buffer_format(json, ",\"%s\":", name);
    sb_buffer_json_string(json, text, strlen(text));
}

static enum sb_status write_job(struct sb_job_run *run, struct sb_error *error)
{
    struct sb_model_origin origin;
    struct sb_buffer json = {0};
    if (!sb_registry_origin(run->jobs->options.registry, run->job.model, &origin) || !origin.dir[0])
        return sb_fail(error, SB_NOT_FOUND, "the base model \"%s\" is no longer served", run->job.model);
    char *base = realpath(origin.dir, NULL), *path = sb_path_join(run->dir, "job.json");
    char *output = sb_path_join(run->dir, "model");
    enum sb_status status = base && path && output ? sb_make_folders(run->dir, error)
                                                   : sb_fail(error, SB_IO, "%s can not be found", origin.dir);
    if (status == SB_OK) {
        sb_buffer_format(&json, "{\"recipe\":%s", run->job.recipe);
        put_text(&json, "model", base);
        put_text(&json, "output", output);
        put_text(&json, "name", run->job.name);
        status = put_file(run, &json, "train", run->job.training_file, error);
    }
    if (status == SB_OK)
        status = put_file(run, &json, "validation", run->job.validation_file, error);
    sb_buffer_text(&json, "}\n");
    if (status == SB_OK && json.failed)
        status = sb_fail(error, SB_NO_MEMORY, "no memory to start job %s", run->job.id);
    if (status == SB_OK)
        status = sb_write_file(path, json.data, json.length, error);
    sb_buffer_free(&json);
    free(base);
    free(path);
    free(output);
    return status;
}

static enum sb_status launch(struct sb_job_run *run, struct sb_error *error)
{
    const struct sb_jobs_options *o = &run->jobs->options;
    run->dir = sb_job_folder(run->jobs->data, run->job.id);
    if (!run->dir)
        return sb_fail(error, SB_NO_MEMORY, "no memory to start job %s", run->job.id);
    enum sb_status status = write_job(run, error);
    const struct sb_job_child_options child = {.program = o->program,
                                               .dir = run->dir,
                                               .niceness = o->niceness,
                                               .threads = o->threads,
                                               .memory_bytes = o->memory_bytes};
    return status == SB_OK ? sb_job_child_start(&run->child, &child, error) : status;
}

void sb_job_run_start(struct sb_job_run *run)
{
    struct sb_error error;
    const struct sb_job_change started = {
        .from = 1u << SB_JOB_QUEUED, .to = SB_JOB_RUNNING, .message = "Fine-tuning job started"};
    enum sb_status status = launch(run, &error);
    if (status == SB_OK) {
        sb_log(SB_LOG_INFO, "jobs", "%s: started, process %ld", run->job.id, (long)run->child.pid);
    } else {
        run->ended = true;
        snprintf(run->failure, sizeof run->failure, "%s", error.message);
        run->wait_status = W_EXITCODE(status == SB_CONFLICT ? PAUSED_STATUS : 1, 0); /* as if it had ended so */
    }
    if (status != SB_CONFLICT) /* else it waits in the queue; a job cancelled at this moment is found so by obey */
        (void)change(run, &started);
}

/* ---- while it runs ---- */

void sb_job_run_read(struct sb_job_run *run)
{
    for (int reads = 0; reads < 16 && sb_job_child_read(&run->child, sb_job_progress_line, run); reads++)
        continue; /* not for ever: there may be others */
}

static void stop(struct sb_job_run *run)
{
    int64_t now = sb_now_ns();
    if (run->told_to_stop_ns == 0) {
        run->told_to_stop_ns = now;
        sb_job_child_signal(&run->child, SIGTERM);
    } else if (now - run->told_to_stop_ns > GRACE_SECONDS * INT64_C(1000000000)) {
        sb_job_child_signal(&run->child, SIGKILL); /* it goes on from the checkpoint before */
    }
}

void sb_job_run_obey(struct sb_job_run *run, bool stopping)
{
    struct sb_job_record job;
    if (run->ended)
        return;
    enum sb_status status = sb_records_job(run->jobs->options.records, run->job.id, &job, NULL);
    if (status == SB_OK && job.status == SB_JOB_CANCELLED)
        sb_job_child_signal(&run->child, SIGKILL);
    else if (stopping || run->told_to_stop_ns || (status == SB_OK && job.status == SB_JOB_PAUSED))
        stop(run);
    sb_job_record_clear(&job);
}

/* ---- the end ---- */

/* Why a child failed, in words and as the error's code. */
static const char *explain(struct sb_job_run *run)
{
    char *text = run->failure, words[256];
    int status = run->wait_status;
    if (text[0]) {
        bool no_memory = strstr(text, "no memory") != NULL;
        return no_memory ? "out_of_memory" : "training_failed";
    }
    sb_job_child_last_words(run->dir, words, sizeof words);
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        snprintf(text, sizeof run->failure, "the trainer was ended by signal %d (%s)%s%s%s", number, strsignal(number),
                 number == SIGKILL ? "; often the memory ran out" : "", words[0] ? ": " : "", words);
        return "killed";
    }
    snprintf(text, sizeof run->failure, "the trainer ended with status %d%s%s", WEXITSTATUS(status),
             words[0] ? ": " : " and gave no reason", words);
    return "training_failed";
}

static bool fail(struct sb_job_run *run, const char *code, const char *message)
{
    return change(run, &(struct sb_job_change){.from = SB_JOB_HAS_CHILD,
                                               .to = SB_JOB_FAILED,
                                               .message = message,
                                               .error_code = code,
                                               .error_message = message,
                                               .trained_tokens = run->reported_tokens});
}

static bool succeed(struct sb_job_run *run)
{
    struct sb_error error;
    if (run->gate == SB_GATE_FAILED)
        return fail(run, "eval_gate", run->gate_text);
    if (sb_job_publish(run, &error) == SB_OK)
        return true;
    return fail(run, error.status == SB_IO ? "storage" : "model_not_loaded", error.message);
}

static bool set_paused(struct sb_job_run *run)
{
    return change(run, &(struct sb_job_change){
                           .from = 1u << SB_JOB_RUNNING,
                           .to = SB_JOB_PAUSED,
                           .message = "The trainer was stopped from outside; resume the job to go on"});
}

bool sb_job_run_end(struct sb_job_run *run, bool stopping)
{
    if (!run->ended) {
        if (!sb_job_child_ended(&run->child, &run->wait_status))
            return false;
        sb_job_run_read(run); /* what it told last */
        run->ended = true;
        sb_log(SB_LOG_INFO, "jobs", "%s: its process has ended", run->job.id);
    }
    bool exited = WIFEXITED(run->wait_status), stopped = run->told_to_stop_ns || stopping;
    int status = exited ? WEXITSTATUS(run->wait_status) : -1;
    bool recorded;
    if (status == 0 && run->done)
        recorded = succeed(run);
    else if (status == PAUSED_STATUS)
        recorded = stopped || run->child.pid < 0 || set_paused(run); /* no child: it waits in the queue */
    else if (stopped && !exited)
        recorded = true; /* it goes on from the checkpoint before */
    else
        recorded = fail(run, explain(run), run->failure);
    return recorded || stopping; /* else it is tried again: the disk may be full */
}
