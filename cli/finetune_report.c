/*
 * How a training run fills its report (training/report.h).
 */
#include "cli/finetune.h"
#include "model/paraphrase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* SAMPLES are drawn of each of TEXTS, of which the nearest KEPT are shown. */
enum { TEXTS = 6, SAMPLES = 20, KEPT = 5, EXAMPLES_READ = 200 };

void sb_finetune_report_begin(struct sb_report *report, const struct sb_finetune_task *task, struct sb_finetune *run,
                              int processes)
{
    struct sb_buffer recipe = {0};
    const struct sb_data_report *file;
    sb_recipe_write_json(task->recipe, &recipe);
    report->failed |= recipe.failed;
    sb_report_set(&report->recipe, recipe.data, report);
    sb_buffer_free(&recipe);
    sb_report_set(&report->model, task->model, report);
    sb_report_set(&report->output, task->output, report);
    sb_report_set(&report->version, "simbert " SB_VERSION, report);
    sb_report_set(&report->dtype, task->recipe->dtype, report);
    sb_report_set(&report->optimizer, task->recipe->optimizer.name, report);
    report->threads = (uint64_t)task->threads;
    report->processes = (uint64_t)processes;
    report->seed = task->recipe->seed;
    report->steps_planned = sb_finetune_steps(run);
    report->data_examples = sb_finetune_examples(run);
    report->optimizer_bytes = sb_trainer_optimizer_bytes(sb_finetune_trainer(run));
    report->training_bytes = sb_finetune_bytes(run);
    report->measured_on_training_data = sb_measures_training_data(task->recipe);
    for (size_t i = 0; report->file_count == 0 && (file = sb_finetune_data(run, i)); i++)
        sb_report_file(report, file);
}

void sb_finetune_report_metrics(struct sb_report *report, uint64_t step, bool sampled, const struct sb_metrics *metrics)
{
    if (metrics->count == 0)
        return;
    sb_report_evaluation(report, step, sampled);
    for (size_t i = 0; i < metrics->count; i++)
        sb_report_measure(report, metrics->items[i].name, metrics->items[i].value);
}

struct sb_metrics sb_finetune_report_before(const struct sb_report *report)
{
    struct sb_metrics metrics = {.count = 0};
    const struct sb_report_evaluation *first = report->evaluations;
    for (size_t i = 0; i < (report->evaluation_count ? first->count : 0) && i < SB_METRICS_MAX; i++) {
        struct sb_metric *metric = &metrics.items[metrics.count++];
        memcpy(metric->name, first->measures[i].name, sizeof metric->name);
        metric->value = first->measures[i].value;
    }
    return metrics;
}

void sb_finetune_report_end(struct sb_report *report, enum sb_report_result result, const char *message,
                            const struct sb_trainer *trainer)
{
    struct rusage usage;
    report->result = result;
    sb_report_set(&report->message, message, report);
    report->finished = (uint64_t)time(NULL);
    report->steps = sb_trainer_steps(trainer);
    report->tokens = sb_trainer_tokens(trainer);
    if (getrusage(RUSAGE_SELF, &usage) == 0 && (uint64_t)usage.ru_maxrss * 1024 > report->peak_bytes)
        report->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

/* ---- Paraphrases ---- */

static enum sb_status show_text(struct sb_report *report, const char *text, bool after, struct sb_session *session,
                                uint64_t seed, struct sb_error *error)
{
    struct sb_paraphrase_options options = sb_paraphrase_defaults();
    struct sb_task *task = NULL;
    options.n = KEPT;
    options.num_candidates = SAMPLES;
    options.drop_copies = true;
    options.decode.seed = seed;
    enum sb_status status = sb_paraphrase_task_new(&task, sb_session_model(session), text, strlen(text), &options, error);
    if (status == SB_OK)
        status = sb_task_run(task, session, error);
    if (status == SB_OK) {
        size_t count;
        const struct sb_paraphrase *results = sb_paraphrase_task_results(task, &count);
        for (size_t i = 0; i < count; i++)
            sb_report_paraphrase(report, text, after, results[i].text, results[i].similarity);
    }
    sb_task_free(task);
    return status;
}

/* The first texts of examples, in an order that the seed names. */
static enum sb_status choose_texts(struct sb_report *report, const struct sb_data_file *file, uint64_t seed,
                                   struct sb_error *error)
{
    struct sb_data_options tolerant = sb_data_defaults(); /* whoever measures or trains on the file judges it */
    struct sb_data *data = NULL;
    struct sb_example example = {0};
    tolerant.bad_lines_max = SIZE_MAX;
    tolerant.bad_share_max = 1;
    enum sb_status status = sb_data_open(&data, file, 1, &tolerant, error);
    size_t count = status == SB_OK ? sb_data_count(data) : 0;
    for (size_t i = 0; i < count && i < EXAMPLES_READ && report->example_count < TEXTS && status == SB_OK; i++) {
        status = sb_data_read(data, sb_permute(count, seed, 0, i), &example, error);
        char *text = status == SB_OK ? strndup(example.texts[0].text, example.texts[0].size) : NULL;
        if (text)
            sb_report_paraphrase(report, text, false, NULL, NAN);
        free(text);
    }
    sb_example_free(&example);
    sb_data_close(data);
    return status;
}

enum sb_status sb_finetune_report_paraphrases(struct sb_report *report, const char *model,
                                              const struct sb_finetune_task *task, bool after, struct sb_error *error)
{
    struct sb_model *opened = NULL;
    struct sb_session *session = NULL;
    const struct sb_recipe_files *files = sb_measured_files(task->recipe);
    uint64_t seed = task->recipe->seed;
    enum sb_status status = sb_model_open(&opened, model, NULL, error);
    bool writes = status == SB_OK && sb_model_can_generate(opened);
    if (writes)
        status = sb_session_new(&session, opened, NULL, error);
    if (writes && status == SB_OK && !after && files->count)
        status = choose_texts(report, &files->items[0], seed, error);
    for (size_t i = 0; writes && i < report->example_count && status == SB_OK; i++)
        status = show_text(report, report->examples[i].source, after, session, seed, error);
    sb_session_free(session);
    sb_model_release(opened);
    return status;
}
