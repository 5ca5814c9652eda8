/*
 * Running a study: the start, then every seed of every run. Seeds are the outer loop, so that a machine that gets slower or faster
 * meanwhile does so for all runs.
 */
#include "base/file.h"
#include "study/merge.h"
#include "study/results.h"
#include "study/start.h"
#include "study/whiten.h"
#include "training/finetune.h"
#include "weights/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The loss of a run is the mean over the last fifth of its steps. */
enum { LAST_PART = 5 };

struct runner {
    const struct sb_study_setup *setup;
    struct sb_study_results *results;
    char *start, *trained; /* model directories in the work folder */
    bool generates;
};

/* A trial that is being run. */
struct trial {
    struct runner *runner;
    const struct sb_study_run *run;
    struct sb_study_trial *out;
    struct sb_recipe *recipe;
    struct sb_finetune *finetune;
    double *times; /* [steps], seconds of processor time */
    uint64_t seed;
};

static enum sb_status tell(const struct runner *r, const char *message, struct sb_error *error)
{
    return r->setup->tell ? r->setup->tell(r->setup->context, message, error) : SB_OK;
}

static enum sb_status measure(const struct runner *r, struct sb_study_measures *measures, const char *model,
                              unsigned parts, struct sb_error *error)
{
    return parts ? r->setup->measure(r->setup->context, measures, model, parts, error) : SB_OK;
}

/* ---- The recipe ---- */

static enum sb_status recipe_json(cJSON **json, const struct trial *t, struct sb_error *error)
{
    char numbers[128];
    snprintf(numbers, sizeof numbers, "{\"seed\": %" PRIu64 ", \"steps\": %" PRIu64 "}", t->seed,
             t->runner->results->steps);
    *json = NULL;
    enum sb_status status = sb_study_overlay(json, t->runner->setup->study->recipe, error);
    if (status == SB_OK)
        status = sb_study_overlay(json, numbers, error);
    return status == SB_OK ? sb_study_overlay(json, t->run->recipe, error) : status;
}

static enum sb_status make_recipe(struct trial *t, struct sb_error *error)
{
    struct sb_data_file file = {.path = t->runner->setup->train};
    cJSON *json;
    char *text = NULL;
    enum sb_status status = recipe_json(&json, t, error);
    if (status == SB_OK && !(text = cJSON_PrintUnformatted(json)))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a recipe");
    if (status == SB_OK)
        status = sb_recipe_read(&t->recipe, text, strlen(text), error);
    free(text);
    cJSON_Delete(json);
    if (status == SB_OK)
        status = sb_recipe_train_on(t->recipe, &file, 1, t->runner->generates, error);
    return status == SB_OK ? sb_recipe_resolve(t->recipe, error) : status;
}

/* ---- The model that it starts from ---- */

/* trial NULL: the start that all share. */
static enum sb_status make_start(const struct runner *r, const struct trial *trial, struct sb_error *error)
{
    struct sb_study_start start = {.model = r->setup->model, .layers = r->setup->layers};
    cJSON *config = NULL;
    char *text = NULL;
    enum sb_status status = SB_OK;
    if (trial) {
        start.redraws = r->setup->study->redraws;
        start.initialiser = sb_recipe_initialiser(trial->recipe);
        status = sb_study_overlay(&config, r->setup->study->config, error);
        if (status == SB_OK)
            status = sb_study_overlay(&config, trial->run->config, error);
    }
    if (status == SB_OK && config && !(text = cJSON_PrintUnformatted(config)))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a config");
    start.config = text;
    if (status == SB_OK)
        status = sb_study_make_start(&start, r->start, error);
    free(text);
    cJSON_Delete(config);
    return status;
}

/* ---- A trial ---- */

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum sb_status check(struct trial *t, uint64_t step, struct sb_error *error)
{
    const struct sb_study *study = t->runner->setup->study;
    struct sb_study_results *results = t->runner->results;
    for (size_t i = 0; i < results->check_count; i++) {
        struct sb_study_measures measures = {.count = 0};
        if (results->check_steps[i] != step)
            continue;
        enum sb_status status = sb_finetune_save(t->finetune, t->runner->trained, SB_F32, error);
        if (status == SB_OK)
            status = measure(t->runner, &measures, t->runner->trained, study->curve_part, error);
        if (status != SB_OK)
            return status;
        t->out->checks[i] = sb_study_measured(&measures, study->curve);
    }
    return SB_OK;
}

static enum sb_status take_steps(struct trial *t, struct sb_error *error)
{
    uint64_t steps = t->runner->results->steps;
    for (uint64_t i = 0; i < steps; i++) {
        struct sb_trainer_step step;
        char message[256];
        double before = processor_seconds();
        enum sb_status status = sb_trainer_step(sb_finetune_trainer(t->finetune), &step, error);
        if (status != SB_OK)
            return status;
        t->times[i] = processor_seconds() - before;
        t->out->losses[i] = step.loss;
        snprintf(message, sizeof message, "%s, seed %" PRIu64 ": step %" PRIu64 " of %" PRIu64 ", loss %.4f",
                 t->run->label, t->seed, i + 1, steps, step.loss);
        status = tell(t->runner, message, error);
        if (status == SB_OK)
            status = check(t, i + 1, error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* What the trainer itself knows: loss, memory, time. */
static void measure_training(struct trial *t)
{
    struct sb_study_measures *m = &t->out->after;
    uint64_t steps = t->runner->results->steps, last = (steps + LAST_PART - 1) / LAST_PART;
    double sum = 0;
    for (uint64_t i = steps - last; i < steps; i++)
        sum += t->out->losses[i];
    qsort(t->times, steps, sizeof *t->times, compare);
    sb_study_measure(m, "loss", sum / (double)last);
    sb_study_measure(m, "step_ms", 1000 * t->times[steps / 2]);
    sb_study_measure(m, "state_mb", (double)sb_trainer_optimizer_bytes(sb_finetune_trainer(t->finetune)) / 1e6);
}

static enum sb_status train(struct trial *t, struct sb_error *error)
{
    uint64_t steps = t->runner->results->steps;
    enum sb_status status =
        sb_finetune_new(&t->finetune, t->recipe, t->runner->start, t->runner->setup->pool, NULL, error);
    if (status == SB_OK && !(t->times = calloc(steps, sizeof *t->times)))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %" PRIu64 " steps", steps);
    if (status == SB_OK && !t->run->is_untrained)
        status = take_steps(t, error);
    if (status == SB_OK && !t->run->is_untrained)
        measure_training(t);
    return status == SB_OK ? sb_finetune_save(t->finetune, t->runner->trained, SB_F32, error) : status;
}

static enum sb_status run_trial(struct trial *t, struct sb_error *error)
{
    const struct sb_study_setup *setup = t->runner->setup;
    enum sb_status status = make_recipe(t, error);
    if (status == SB_OK && setup->study->redraws[0])
        status = make_start(t->runner, t, error);
    if (status == SB_OK)
        status = train(t, error);
    if (status == SB_OK && t->run->whitens)
        status = sb_study_whiten(t->runner->trained, setup->train, setup->pool, error);
    if (status == SB_OK)
        status = measure(t->runner, &t->out->after, t->runner->trained, setup->study->parts, error);
    sb_finetune_free(t->finetune);
    sb_recipe_free(t->recipe);
    free(t->times);
    return status == SB_OK ? SB_OK : sb_fail_context(error, status, "%s, seed %" PRIu64, t->run->label, t->seed);
}

/* ---- All ---- */

static enum sb_status begin(struct runner *r, struct sb_error *error)
{
    struct sb_weights *weights = NULL;
    enum sb_status status = sb_make_folders(r->setup->work, error);
    if (status == SB_OK)
        status = sb_weights_open(&weights, r->setup->model, error);
    if (status != SB_OK)
        return status;
    r->generates = sb_weights_has_mlm(weights);
    sb_weights_close(weights);
    if (r->setup->study->redraws[0])
        return SB_OK;
    status = make_start(r, NULL, error);
    if (status == SB_OK)
        status = tell(r, "measuring the model that all start from", error);
    return status == SB_OK ? measure(r, &r->results->before, r->start, r->setup->study->parts, error) : status;
}

enum sb_status sb_study_run(struct sb_study_results **results, const struct sb_study_setup *setup,
                            struct sb_error *error)
{
    uint64_t steps = setup->steps ? setup->steps : setup->study->steps;
    *results = NULL;
    if (setup->seeds < 1 || setup->seeds > SB_STUDY_SEEDS)
        return sb_fail(error, SB_INVALID, "seeds must be 1 to %d, not %zu", SB_STUDY_SEEDS, setup->seeds);
    struct runner r = {
        .setup = setup, .start = sb_path_join(setup->work, "start"), .trained = sb_path_join(setup->work, "trained")};
    r.results = sb_study_results_new(setup->study, steps, setup->seeds);
    enum sb_status status = r.results && r.start && r.trained
                                ? begin(&r, error)
                                : sb_fail(error, SB_NO_MEMORY, "no memory for the results");
    for (size_t s = 0; s < setup->seeds && status == SB_OK; s++)
        for (size_t i = 0; i < r.results->run_count && status == SB_OK; i++) {
            struct trial t = {
                .runner = &r, .run = &setup->study->runs[i], .out = sb_study_trial(r.results, i, s), .seed = s + 1};
            status = run_trial(&t, error);
        }
    free(r.start);
    free(r.trained);
    if (status == SB_OK)
        *results = r.results;
    else
        sb_study_results_free(r.results);
    return status;
}
