/* What a child tells, a JSON object a line: kept as progress, stored as events. On the jobs' thread. */
#include "server/jobs_impl.h"

#include "base/cpu.h"
#include "base/json.h"
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STORE_EVERY_MS = 1000 }; /* steps come faster than anybody reads */

/* ---- reading ---- */

static double number(const cJSON *json, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : otherwise;
}

static int64_t count(const cJSON *json, const char *key, int64_t otherwise)
{
    int64_t value = otherwise;
    sb_json_as_int(&value, 0, INT64_C(1) << 53, cJSON_GetObjectItemCaseSensitive(json, key));
    return value;
}

static const char *text_of(const cJSON *json, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
    return text ? text : otherwise;
}

static size_t read_measures(struct sb_job_measure measures[SB_JOB_MEASURES], const cJSON *object)
{
    size_t n = 0;
    for (const cJSON *item = cJSON_IsObject(object) ? object->child : NULL; item && n < SB_JOB_MEASURES;
         item = item->next)
        if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
            snprintf(measures[n].name, sizeof measures[n].name, "%s", item->string);
            measures[n++].value = item->valuedouble;
        }
    return n;
}

/* ---- storing ---- */

static void store(struct sb_job_run *run, const char *level, const cJSON *data, const char *message)
{
    struct sb_error error;
    char *json = data ? cJSON_PrintUnformatted(data) : NULL;
    const struct sb_event_record event = {.created_at = sb_records_now(),
                                          .level = level,
                                          .type = data ? "metrics" : "message",
                                          .message = message,
                                          .data = json};
    if (sb_records_add_event(run->jobs->options.records, run->job.key, &event, &error) != SB_OK)
        sb_job_log_failure(run->job.id, &error);
    cJSON_free(json);
}

/* Puts OpenAI's names beside ours. */
static void add_openai_names(cJSON *json, const struct sb_job_progress *progress, bool step)
{
    cJSON_DeleteItemFromObjectCaseSensitive(json, "event");
    if (progress->steps)
        cJSON_AddNumberToObject(json, "total_steps", (double)progress->steps);
    if (step)
        cJSON_AddNumberToObject(json, "train_loss", progress->loss);
}

/* ---- events ---- */

static void on_start(struct sb_job_run *run, cJSON *json)
{
    char message[256];
    int64_t resumed = count(json, "resumed_step", 0), examples = count(json, "examples", 0), dropped = 0;
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(json, "dropped");
    for (const cJSON *item = cJSON_IsObject(reasons) ? reasons->child : NULL; item; item = item->next)
        dropped += count(reasons, item->string, 0);
    pthread_mutex_lock(&run->jobs->lock);
    run->progress.steps = count(json, "steps", 0);
    run->progress.step = resumed;
    pthread_mutex_unlock(&run->jobs->lock);
    int n = snprintf(message, sizeof message, "Training on %" PRId64 " examples for %" PRId64 " steps", examples,
                     run->progress.steps);
    if (dropped && n > 0)
        n += snprintf(message + n, sizeof message - (size_t)n, ", %" PRId64 " dropped", dropped);
    if (resumed && n > 0)
        snprintf(message + n, sizeof message - (size_t)n, ", going on after step %" PRId64, resumed);
    add_openai_names(json, &run->progress, false);
    store(run, "info", json, message);
}

static void on_step(struct sb_job_run *run, cJSON *json)
{
    struct sb_job_progress now = run->progress;
    char message[128];
    int64_t clock = sb_now_ns();
    now.step = count(json, "step", now.step);
    now.steps = count(json, "steps", now.steps);
    now.tokens = count(json, "tokens", now.tokens);
    now.loss = number(json, "loss", NAN);
    now.rows_per_second = number(json, "rows_per_second", 0);
    now.eta_seconds = number(json, "eta_seconds", 0);
    now.loss_count = read_measures(now.losses, cJSON_GetObjectItemCaseSensitive(json, "losses"));
    now.told_ns = clock;
    pthread_mutex_lock(&run->jobs->lock);
    run->progress = now;
    pthread_mutex_unlock(&run->jobs->lock);
    run->reported_tokens = now.tokens;
    if (run->stored_ns && now.step < now.steps && clock - run->stored_ns < STORE_EVERY_MS * INT64_C(1000000))
        return;
    run->stored_ns = clock;
    snprintf(message, sizeof message, "Step %" PRId64 "/%" PRId64 ": training loss=%.4g", now.step, now.steps,
             now.loss);
    add_openai_names(json, &now, true);
    store(run, "info", json, message);
}

static void on_evaluation(struct sb_job_run *run, cJSON *json)
{
    struct sb_buffer message = {0};
    struct sb_job_progress *p = &run->progress;
    pthread_mutex_lock(&run->jobs->lock);
    p->metric_count = read_measures(p->metrics, cJSON_GetObjectItemCaseSensitive(json, "metrics"));
    pthread_mutex_unlock(&run->jobs->lock);
    sb_buffer_format(&message, "Evaluation at step %" PRId64, count(json, "step", p->step));
    for (size_t i = 0; i < p->metric_count; i++)
        sb_buffer_format(&message, "%s %s=%.4g", i ? "," : ":", p->metrics[i].name, p->metrics[i].value);
    add_openai_names(json, p, false);
    if (!message.failed)
        store(run, "info", json, message.data);
    sb_buffer_free(&message);
}

static void on_checkpoint(struct sb_job_run *run, cJSON *json)
{
    struct sb_error error;
    char message[128];
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(json, "metrics");
    char *printed = cJSON_IsObject(metrics) ? cJSON_PrintUnformatted(metrics) : NULL;
    int64_t step = count(json, "step", run->progress.step);
    const struct sb_checkpoint_record checkpoint = {.created_at = sb_records_now(),
                                                    .step = step,
                                                    .path = text_of(json, "path", ""),
                                                    .metrics = printed ? printed : "{}"};
    if (sb_records_add_checkpoint(run->jobs->options.records, run->job.key, &checkpoint, &error) != SB_OK)
        sb_job_log_failure(run->job.id, &error);
    cJSON_free(printed);
    snprintf(message, sizeof message, "Checkpoint created at step %" PRId64, step);
    store(run, "info", NULL, message);
}

static void on_message(struct sb_job_run *run, cJSON *json)
{
    bool warns = strcmp(text_of(json, "level", "info"), "warn") == 0;
    store(run, warns ? "warn" : "info", NULL, text_of(json, "message", ""));
}

/* A measure can lose its value, as the correlation does when all vectors become equal. */
static void put_measure(char *text, size_t size, double value)
{
    if (isnan(value))
        snprintf(text, size, "without a value");
    else
        snprintf(text, size, "%.6g", value);
}

static void on_done(struct sb_job_run *run, cJSON *json)
{
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(json, "gate");
    const cJSON *passed = cJSON_GetObjectItemCaseSensitive(gate, "passed");
    run->done = true;
    run->reported_tokens = count(json, "tokens", run->reported_tokens);
    run->gate = !cJSON_IsBool(passed) ? SB_GATE_NONE : cJSON_IsTrue(passed) ? SB_GATE_PASSED : SB_GATE_FAILED;
    if (run->gate == SB_GATE_NONE) {
        store(run, "warn", NULL, "Nothing was measured by which the fine-tuned model could be compared with its base");
        return;
    }
    bool better = run->gate == SB_GATE_PASSED;
    char after[32];
    put_measure(after, sizeof after, number(gate, "after", NAN));
    snprintf(run->gate_text, sizeof run->gate_text, "The fine-tuned model %s the evaluation: %.80s was %.6g, is %s%s",
             better ? "passed" : "did not pass", text_of(gate, "metric", "the measure"), number(gate, "before", NAN),
             after, better ? "" : "; it is not served");
    if (better)
        store(run, "info", NULL, run->gate_text);
}

static void on_failed(struct sb_job_run *run, cJSON *json)
{
    snprintf(run->failure, sizeof run->failure, "%s", text_of(json, "message", "the trainer gave no reason"));
}

static const struct {
    const char *name;
    void (*take)(struct sb_job_run *run, cJSON *json);
} events[] = {
    {"start", on_start},     {"step", on_step}, {"evaluation", on_evaluation}, {"checkpoint", on_checkpoint},
    {"message", on_message}, {"done", on_done}, {"failed", on_failed},
};

void sb_job_progress_line(void *context, const char *text, size_t size)
{
    struct sb_job_run *run = context;
    struct sb_error error;
    cJSON *json = NULL;
    if (sb_json_parse(&json, text, size, &error) != SB_OK) {
        sb_log(SB_LOG_DEBUG, "jobs", "%s: not an event: %.200s", run->job.id, text);
        return;
    }
    const char *name = text_of(json, "event", "");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(name, events[i].name) == 0) {
            events[i].take(run, json); /* may take the name out of json */
            break;
        }
    cJSON_Delete(json);
}
