/*
 * One training run: from the beginning or from its checkpoint to the model that is saved.
 */
#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "cli/finetune.h"
#include "training/checkpoints.h"
#include "weights/convert.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number)
{
    stop_asked = 1;
    signal(signal_number, SIG_DFL); /* the second one does not wait */
}

struct run {
    const struct sb_finetune_task *task;
    const struct sb_recipe *recipe;
    struct sb_pool *pool;
    struct sb_parallel *parallel;
    struct sb_finetune *finetune;
    struct sb_trainer *trainer;
    struct sb_finetune_events events;
    struct sb_report report;
    double best;          /* of the evaluations so far; NaN: none */
    uint64_t best_step, worse; /* evaluations since the best one */
    bool leads;           /* of several processes the one that writes and tells */
};

/* a is better than b; anything is better than NaN. */
static bool is_better(const char *metric, double a, double b)
{
    return !isnan(a) && (isnan(b) || (sb_metric_falls(metric) ? a < b : a > b));
}

/* ---- Reports ---- */

/* What has been trained is not lost for a report that can not be written. */
static void save_report(struct run *r, const char *dir)
{
    struct sb_error error;
    if (sb_report_save(&r->report, dir, &error) != SB_OK)
        sb_finetune_tell_message(&r->events, "warn", "the report can not be written: %s", error.message);
}

/* ---- What a checkpoint keeps beside the trainer's state ---- */

/* Numbers that must come back with all their bits stand in texts: cJSON prints a number that it has read with 15 digits where
   those are near enough. */
static enum sb_status put_extra(const struct run *r, struct sb_buffer *extra, struct sb_error *error)
{
    struct sb_buffer report = {0};
    sb_buffer_format(extra, "{\"best_step\":%" PRIu64 ",\"worse\":%" PRIu64, r->best_step, r->worse);
    if (!isnan(r->best))
        sb_buffer_format(extra, ",\"best\":\"%.17g\"", r->best);
    enum sb_status status = sb_report_to_json(&r->report, &report, error);
    sb_buffer_text(extra, ",\"report\":");
    sb_buffer_json_string(extra, report.data ? report.data : "", report.length);
    sb_buffer_text(extra, "}");
    sb_buffer_free(&report);
    return status == SB_OK && extra->failed ? sb_fail(error, SB_NO_MEMORY, "no memory for a checkpoint") : status;
}

static enum sb_status checkpoint(struct run *r, struct sb_error *error)
{
    struct sb_buffer extra = {0};
    char path[PATH_MAX];
    uint64_t step = sb_trainer_steps(r->trainer);
    if (!r->leads)
        return SB_OK;
    sb_finetune_report_end(&r->report, stop_asked ? SB_REPORT_STOPPED : SB_REPORT_RUNNING, NULL, r->trainer);
    enum sb_status status = put_extra(r, &extra, error);
    if (status == SB_OK)
        status = sb_trainer_checkpoint(r->trainer, r->task->checkpoints, extra.data, r->recipe->checkpoint.keep, error);
    sb_buffer_free(&extra);
    if (status == SB_OK) {
        sb_checkpoints_path(path, sizeof path, r->task->checkpoints, step);
        sb_finetune_tell_checkpoint(&r->events, step, path);
        save_report(r, r->task->checkpoints);
    }
    return status;
}

static enum sb_status take_extra(struct run *r, const char *extra, struct sb_error *error)
{
    cJSON *json = cJSON_Parse(extra);
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(json, "best_step"),
                *worse = cJSON_GetObjectItemCaseSensitive(json, "worse");
    const char *best = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "best")),
               *report = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "report"));
    r->best = best ? strtod(best, NULL) : NAN;
    r->best_step = cJSON_IsNumber(step) ? (uint64_t)step->valuedouble : 0;
    r->worse = cJSON_IsNumber(worse) ? (uint64_t)worse->valuedouble : 0;
    enum sb_status status = sb_report_from_json(&r->report, report ? report : "", report ? strlen(report) : 0, error);
    cJSON_Delete(json);
    return status == SB_OK ? SB_OK : sb_fail_context(error, status, "%s", r->task->checkpoints);
}

static enum sb_status measure_before(struct run *r, struct sb_error *error)
{
    struct sb_metrics before;
    if (sb_measures_training_data(r->recipe))
        sb_finetune_tell_message(&r->events, "info", "no evaluation files: measured on part of the training data");
    enum sb_status status = sb_measure_model(&before, r->task->model, r->recipe, r->task->threads, true, error);
    if (status != SB_OK)
        return status;
    sb_finetune_tell_metrics(&r->events, 0, &before);
    sb_finetune_report_metrics(&r->report, 0, false, &before);
    status = sb_metrics_choose(r->task->recipe, &before, error);
    if (status == SB_OK)
        status = sb_finetune_report_paraphrases(&r->report, r->task->model, r->task, false, error);
    return status;
}

/* Goes on from the newest checkpoint, or measures the model and begins. */
static enum sb_status begin(struct run *r, struct sb_error *error)
{
    char *extra = NULL;
    enum sb_status status = sb_trainer_resume(r->trainer, r->task->checkpoints, &extra, error);
    if (status == SB_OK && extra)
        status = take_extra(r, extra, error);
    free(extra);
    if (status != SB_OK && status != SB_NOT_FOUND)
        return status;
    if (!r->leads)
        return SB_OK;
    bool resumes = status == SB_OK;
    if (!resumes)
        r->report.started = (uint64_t)time(NULL);
    sb_finetune_tell_start(&r->events, r->finetune, sb_trainer_steps(r->trainer));
    if (resumes) {
        struct sb_metrics before = sb_finetune_report_before(&r->report);
        status = sb_metrics_choose(r->task->recipe, &before, error);
    } else {
        status = measure_before(r, error);
    }
    sb_finetune_report_begin(&r->report, r->task, r->finetune, sb_parallel_size(r->parallel));
    return status;
}

/* ---- Evaluation on the way ---- */

static void path_beside(const struct run *r, char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", r->task->checkpoints, name);
}

/* What can not be removed stays: it is in nobody's way. */
static void remove_folder(const char *dir)
{
    struct sb_error ignored;
    if (sb_folder_remove(dir, &ignored) != SB_OK)
        return;
}

/* The model as it is now becomes the best one when it is; with patience, the last one that was best is what is saved in the end. */
static enum sb_status judge(struct run *r, const char *evaluated, const struct sb_metrics *metrics)
{
    char best[PATH_MAX];
    double value = sb_metrics_mean(metrics, r->recipe->evaluation.metric);
    path_beside(r, best, sizeof best, "best");
    if (!is_better(r->recipe->evaluation.metric, value, r->best)) {
        r->worse++;
        return SB_OK;
    }
    r->best = value;
    r->best_step = sb_trainer_steps(r->trainer);
    r->worse = 0;
    remove_folder(best);
    if (rename(evaluated, best) != 0)
        sb_finetune_tell_message(&r->events, "warn", "%s: can not be kept as the best", evaluated);
    return SB_OK;
}

static enum sb_status evaluate(struct run *r, struct sb_error *error)
{
    char path[PATH_MAX];
    struct sb_metrics metrics;
    if (!r->leads)
        return SB_OK;
    path_beside(r, path, sizeof path, "evaluated");
    enum sb_status status = sb_finetune_save(r->finetune, path, SB_F32, error);
    if (status == SB_OK)
        status = sb_measure_model(&metrics, path, r->recipe, r->task->threads, false, error);
    if (status != SB_OK)
        return status;
    sb_finetune_tell_metrics(&r->events, sb_trainer_steps(r->trainer), &metrics);
    sb_finetune_report_metrics(&r->report, sb_trainer_steps(r->trainer), true, &metrics);
    if (r->recipe->evaluation.patience)
        judge(r, path, &metrics);
    remove_folder(path);
    return SB_OK;
}

/* ---- The loop ---- */

static bool is_due(uint64_t step, uint64_t every, const struct run *r)
{
    return step % (every ? every : sb_finetune_steps_in_epoch(r->finetune)) == 0;
}

/* What all processes decide alike: one that was asked to stop stops all. */
static bool agrees(struct run *r, bool flag)
{
    double votes = flag;
    sb_parallel_sum_doubles(r->parallel, &votes, 1);
    return votes > 0;
}

static enum sb_status take_step(struct run *r, struct sb_trainer_step *step, struct sb_error *error)
{
    int64_t start = sb_now_ns();
    enum sb_status status = sb_trainer_step(r->trainer, step, error);
    double seconds = (double)(sb_now_ns() - start) / 1e9;
    if (status != SB_OK || !r->leads)
        return status;
    sb_finetune_tell_step(&r->events, step, sb_trainer_tokens(r->trainer));
    sb_report_step(&r->report, step, seconds > 0 ? (double)step->rows / seconds : NAN);
    r->report.seconds += seconds;
    return SB_OK;
}

static enum sb_status train(struct run *r, struct sb_error *error)
{
    uint64_t steps = sb_finetune_steps(r->finetune), patience = r->recipe->evaluation.patience;
    while (sb_trainer_steps(r->trainer) < steps) {
        struct sb_trainer_step step;
        enum sb_status status = take_step(r, &step, error);
        if (status != SB_OK)
            return status;
        bool last = step.number == steps, stops = agrees(r, stop_asked);
        if (!last && is_due(step.number, r->recipe->evaluation.every, r))
            status = evaluate(r, error);
        if (status == SB_OK && (stops || (!last && is_due(step.number, r->recipe->checkpoint.every, r))))
            status = checkpoint(r, error);
        if (status != SB_OK)
            return status;
        if (stops)
            return sb_fail(error, SB_CANCELLED, "stopped at step %" PRIu64 " of %" PRIu64 "; the same command goes on from there",
                           step.number, steps);
        if (patience && agrees(r, r->leads && r->worse >= patience)) {
            sb_finetune_tell_message(&r->events, "info", "stopped early: no better %s since step %" PRIu64,
                                     r->recipe->evaluation.metric, r->best_step);
            break;
        }
    }
    return SB_OK;
}

/* ---- The end ---- */

/* With patience the best one, unless the last is better still. */
static bool takes_best(const struct run *r, const char *best)
{
    return r->recipe->evaluation.patience && r->best_step && r->best_step < sb_trainer_steps(r->trainer) && r->worse > 0 &&
           sb_folder_exists(best);
}

static enum sb_status save_plain(struct run *r, const char *dir, enum sb_dtype dtype, struct sb_error *error)
{
    char best[PATH_MAX];
    path_beside(r, best, sizeof best, "best");
    return takes_best(r, best) ? sb_convert(best, dir, dtype, error) : sb_finetune_save(r->finetune, dir, dtype, error);
}

/* Whitening rewrites a folder step by step, so it has one of its own. */
static enum sb_status save(struct run *r, struct sb_error *error)
{
    char model[PATH_MAX];
    if (!r->recipe->whiten.dimensions)
        return save_plain(r, r->task->output, r->task->dtype, error);
    path_beside(r, model, sizeof model, "whitened");
    remove_folder(model);
    enum sb_status status = save_plain(r, model, SB_F32, error);
    if (status == SB_OK)
        status = sb_finetune_whiten(r->finetune, model, error);
    if (status == SB_OK)
        status = sb_convert(model, r->task->output, r->task->dtype, error);
    remove_folder(model);
    return status;
}

/* Compares what was measured before and after; fills the report's verdict. A measure that has no value any more is no better. */
static void compare(struct run *r, const struct sb_metrics *after)
{
    struct sb_metrics before = sb_finetune_report_before(&r->report);
    const char *metric = r->recipe->gate.metric;
    if (!metric)
        return;
    double was = sb_metrics_mean(&before, metric), is = sb_metrics_mean(after, metric);
    double change = sb_metric_falls(metric) ? was - is : is - was;
    snprintf(r->report.gate.metric, sizeof r->report.gate.metric, "%s", metric);
    r->report.gate.before = was;
    r->report.gate.after = is;
    r->report.gate.passed = change >= r->recipe->gate.min_change;
}

static enum sb_status finish(struct run *r, struct sb_error *error)
{
    struct sb_metrics after;
    if (!r->leads)
        return SB_OK;
    enum sb_status status = save(r, error);
    if (status == SB_OK)
        status = sb_measure_model(&after, r->task->output, r->recipe, r->task->threads, true, error);
    if (status == SB_OK)
        status = sb_finetune_report_paraphrases(&r->report, r->task->output, r->task, true, error);
    if (status != SB_OK)
        return status;
    sb_finetune_tell_metrics(&r->events, sb_trainer_steps(r->trainer), &after);
    compare(r, &after);
    sb_finetune_report_metrics(&r->report, sb_trainer_steps(r->trainer), false, &after);
    sb_finetune_report_end(&r->report, SB_REPORT_SUCCEEDED, NULL, r->trainer);
    save_report(r, r->task->output);
    if (!r->task->is_job)
        remove_folder(r->task->checkpoints);
    sb_finetune_tell_done(&r->events, &r->report);
    return SB_OK;
}

/* Beside the checkpoints, if there are any: a model that was in the output before keeps its own report. */
static void report_failure(struct run *r, const char *message)
{
    if (!r->leads || !r->trainer || !sb_folder_exists(r->task->checkpoints))
        return;
    sb_finetune_report_end(&r->report, SB_REPORT_FAILED, message, r->trainer);
    save_report(r, r->task->checkpoints);
}

static enum sb_status run(struct run *r, struct sb_error *error)
{
    enum sb_status status = sb_parallel_start(&r->parallel, error);
    if (status != SB_OK)
        return status;
    r->leads = sb_parallel_rank(r->parallel) == 0;
    if (!r->leads)
        r->events.as_json = r->events.shows_line = false;
    status = sb_finetune_new(&r->finetune, r->recipe, r->task->start, r->pool, r->parallel, error);
    if (status != SB_OK)
        return status;
    r->trainer = sb_finetune_trainer(r->finetune);
    status = begin(r, error);
    if (status == SB_OK)
        status = train(r, error);
    return status == SB_OK ? finish(r, error) : status;
}

enum sb_status sb_finetune_run(const struct sb_finetune_task *task, struct sb_error *error)
{
    struct run r = {.task = task, .recipe = task->recipe, .best = NAN, .events = sb_finetune_events_begin(task)};
    struct sb_error own;
    signal(SIGINT, ask_to_stop);
    signal(SIGTERM, ask_to_stop);
    r.pool = sb_pool_new(task->threads);
    enum sb_status status = run(&r, error ? error : &own);
    if (status != SB_OK && status != SB_CANCELLED) {
        report_failure(&r, (error ? error : &own)->message);
        sb_finetune_tell_failed(&r.events, (error ? error : &own)->message);
    }
    sb_report_free(&r.report);
    sb_finetune_free(r.finetune);
    sb_parallel_stop(r.parallel);
    sb_pool_free(r.pool);
    return status;
}
