#include "cli/eval.h"
#include "cli/finetune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { QUICK_EXAMPLES = 1000, WHOLE_EXAMPLES = 5000, TEXTS = 60, PARAPHRASES = 5 };

bool sb_metric_falls(const char *measure)
{
    return strcmp(measure, "nll") == 0;
}

static void add(struct sb_metrics *metrics, const char *file, const char *measure, double value)
{
    if (metrics->count == SB_METRICS_MAX || isnan(value))
        return;
    struct sb_metric *m = &metrics->items[metrics->count++];
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    const char *dot = strrchr(base, '.');
    int length = dot && dot != base ? (int)(dot - base) : (int)strlen(base);
    snprintf(m->name, sizeof m->name, "%.*s.%s", length > 60 ? 60 : length, base, measure);
    m->value = value;
}

static void add_result(struct sb_metrics *metrics, const struct sb_eval_result *r)
{
    if (r->pairs.count) {
        add(metrics, r->path, "spearman", r->pairs.spearman);
        add(metrics, r->path, "pearson", r->pairs.pearson);
    }
    if (r->pairs.count && !r->graded) {
        add(metrics, r->path, "auc", r->pairs.auc);
        add(metrics, r->path, "accuracy", r->pairs.accuracy);
        add(metrics, r->path, "best_accuracy", r->pairs.best_accuracy);
    }
    if (r->retrieval.queries) {
        add(metrics, r->path, "recall_at_1", r->retrieval.recall[0]);
        add(metrics, r->path, "recall_at_10", r->retrieval.recall[2]);
        add(metrics, r->path, "mrr", r->retrieval.mrr);
    }
    if (r->likelihood_pairs) {
        const struct sb_likelihood_gap *gap = &r->likelihood.guessed;
        add(metrics, r->path, "nll", r->likelihood.nll / (double)r->likelihood.tokens);
        add(metrics, r->path, "exposure_gap", (gap->own - gap->forced) / (double)gap->tokens);
    }
    if (r->paraphrases.texts) {
        add(metrics, r->path, "paraphrase_similarity", r->paraphrases.similarity);
        add(metrics, r->path, "paraphrase_edit_distance", r->paraphrases.edit_distance);
        add(metrics, r->path, "copy_rate", r->paraphrases.copy_rate);
        add(metrics, r->path, "distinct_2", r->paraphrases.distinct[1]);
    }
}

bool sb_measures_training_data(const struct sb_recipe *recipe)
{
    return recipe->evaluation.files.count == 0;
}

/* Those of the recipe, else the training files that hold pairs of texts. */
const struct sb_recipe_files *sb_measured_files(const struct sb_recipe *recipe)
{
    if (!sb_measures_training_data(recipe))
        return &recipe->evaluation.files;
    for (size_t i = 0; i < recipe->objectives.count; i++)
        if (recipe->objectives.items[i].data.count)
            return &recipe->objectives.items[i].data;
    return &recipe->evaluation.files;
}

static enum sb_status measure(struct sb_metrics *metrics, struct sb_workers *workers, const struct sb_recipe *recipe,
                              bool whole, struct sb_error *error)
{
    const struct sb_recipe_files *files = sb_measured_files(recipe);
    bool strict = !sb_measures_training_data(recipe);
    struct sb_eval_options options = sb_eval_defaults();
    options.limit = whole ? WHOLE_EXAMPLES : QUICK_EXAMPLES;
    bool by_likelihood = recipe->evaluation.metric && strcmp(recipe->evaluation.metric, "nll") == 0;
    options.texts = whole || by_likelihood ? TEXTS : 0;
    options.paraphrases = whole ? PARAPHRASES : 0;
    options.progress = "never";
    options.tolerant = !strict;
    for (size_t i = 0; i < files->count; i++) {
        struct sb_eval_result result;
        options.form = files->items[i];
        enum sb_status status = sb_eval_file(&result, workers, files->items[i].path, &options, error);
        if (status == SB_OK)
            add_result(metrics, &result);
        else if (strict || (status != SB_INVALID && status != SB_UNSUPPORTED))
            return status; /* but a training file of another kind, sentences say, is not measured */
    }
    return SB_OK;
}

enum sb_status sb_measure_model(struct sb_metrics *metrics, const char *model, const struct sb_recipe *recipe,
                                int threads, bool whole, struct sb_error *error)
{
    struct sb_model *opened = NULL;
    struct sb_workers *workers = NULL;
    metrics->count = 0;
    enum sb_status status = sb_model_open(&opened, model, NULL, error);
    if (status == SB_OK)
        status = sb_workers_new(&workers, opened, threads, error);
    if (status == SB_OK)
        status = measure(metrics, workers, recipe, whole, error);
    sb_workers_free(workers);
    sb_model_release(opened);
    return status;
}

/* A measure that the recipe names must be there; before lists what is. */
static enum sb_status require(const struct sb_metrics *before, const char *key, const char *measure_name,
                              struct sb_error *error)
{
    struct sb_buffer there = {0};
    if (!measure_name || !isnan(sb_metrics_mean(before, measure_name)))
        return SB_OK;
    for (size_t i = 0; i < before->count; i++)
        sb_buffer_format(&there, "%s%s", i ? ", " : "; there is ", before->items[i].name);
    enum sb_status status = sb_fail(error, SB_INVALID,
                                    "recipe.%s: nothing that is measured before training has a value for \"%s\"%.800s", key,
                                    measure_name, there.data ? there.data : ": no file holds pairs or synonyms");
    sb_buffer_free(&there);
    return status;
}

enum sb_status sb_metrics_choose(struct sb_recipe *recipe, const struct sb_metrics *before, struct sb_error *error)
{
    static const char *const preferred[] = {"spearman", "mrr", "nll"};
    for (size_t i = 0; !recipe->evaluation.metric && i < sizeof preferred / sizeof *preferred; i++)
        if (!isnan(sb_metrics_mean(before, preferred[i])))
            recipe->evaluation.metric = preferred[i];
    if (!recipe->gate.metric)
        recipe->gate.metric = recipe->evaluation.metric;
    enum sb_status status = require(before, "evaluation.metric", recipe->evaluation.metric, error);
    if (status == SB_OK)
        status = require(before, "gate.metric", recipe->gate.metric, error);
    if (status == SB_OK && recipe->evaluation.patience && !recipe->evaluation.metric)
        status = sb_fail(error, SB_INVALID, "recipe.evaluation.patience: no file holds pairs or synonyms to measure on");
    return status;
}

double sb_metrics_mean(const struct sb_metrics *metrics, const char *measure_name)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < metrics->count; i++) {
        const char *dot = strrchr(metrics->items[i].name, '.');
        if (dot && strcmp(dot + 1, measure_name) == 0) {
            sum += metrics->items[i].value;
            count++;
        }
    }
    return count ? sum / (double)count : NAN;
}
