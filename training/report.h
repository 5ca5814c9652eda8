/*
 * The report of a training run: what it was told, what it did, and what came of it, as JSON for programs and as a page for
 * people.
 *
 *     struct sb_report report = {0};
 *     sb_report_set(&report.model, "models/simbert-small-zh", &report);
 *     report.started = time(NULL);
 *     sb_report_evaluation(&report, 0, false);
 *     sb_report_measure(&report, "pairs.dev.spearman", 0.71);
 *     while (...)
 *         sb_report_step(&report, &step, rows_per_second);
 *     sb_report_evaluation(&report, step.number, false);
 *     sb_report_measure(&report, "pairs.dev.spearman", 0.78);
 *     report.result = SB_REPORT_SUCCEEDED;
 *     sb_report_save(&report, "my-model", &error);                // my-model/report.json and report.html
 *     sb_report_free(&report);
 *
 * A zeroed struct is an empty report. The plain fields are the caller's to set; lists grow by calls. Its size has a bound
 * whatever the run: lists that are full grow thinner (steps, evaluations) or take no more (files, example texts). Running
 * out of memory is remembered in `failed`, after which the calls do nothing, and reported by what writes.
 *
 * A run that is interrupted keeps its report as JSON in its checkpoints and goes on with it.
 *
 * Thread rule: one thread.
 */
#ifndef SB_TRAINING_REPORT_H
#define SB_TRAINING_REPORT_H

#include "base/buffer.h"
#include "base/status.h"
#include "training/data.h"
#include "training/trainer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SB_REPORT_POINTS = 2000,
    SB_REPORT_EVALUATIONS = 256,
    SB_REPORT_MEASURES = 128, /* of an evaluation */
    SB_REPORT_FILES = 64,
    SB_REPORT_EXAMPLES = 16,
    SB_REPORT_PARAPHRASES = 8, /* of an example, before and after each */
};

enum sb_report_result { SB_REPORT_RUNNING, SB_REPORT_SUCCEEDED, SB_REPORT_STOPPED, SB_REPORT_FAILED };
const char *sb_report_result_name(enum sb_report_result result); /* "running", "succeeded", "stopped", "failed" */

/* The mean of `steps` steps of which the last is number `last`; NaN: not known. A value that is no number does not count. */
struct sb_report_point {
    uint64_t last, steps;
    double loss, adversarial, learning_rate, gradient_norm, rows_per_second;
    double *values; /* [value_count], parts of the loss; owned by the report */
};

struct sb_report_measure {
    char name[96]; /* "pairs.dev.spearman": the file and what was measured */
    double value;
};

struct sb_report_evaluation {
    uint64_t step;
    bool sampled; /* on fewer examples than before and after the training */
    struct sb_report_measure *measures;
    size_t count, capacity;
};

struct sb_report_paraphrase {
    char *text;
    double similarity; /* cosine to the source */
};

struct sb_report_example {
    char *source;
    struct sb_report_paraphrase before[SB_REPORT_PARAPHRASES], after[SB_REPORT_PARAPHRASES];
    size_t before_count, after_count;
};

struct sb_report {
    /* Texts are owned and set by sb_report_set; NULL: not known. recipe: JSON. */
    char *model, *output, *recipe, *version, *dtype, *optimizer, *message;
    enum sb_report_result result;
    uint64_t started, finished; /* Unix seconds; 0: not known */
    double seconds;             /* of training, interruptions not counted */
    uint64_t threads, processes, seed, steps_planned, data_examples;
    uint64_t steps, tokens, rows; /* done, tokens and rows that were computed; sb_report_step counts rows */
    uint64_t optimizer_bytes, training_bytes, peak_bytes;
    struct {
        char metric[96]; /* "": none */
        double before, after;
        bool passed;
    } gate;
    bool measured_on_training_data;

    /* Grown by the calls below. */
    char *value_names[SB_TRAINER_LESSONS * (SB_LESSON_LOSSES + 1)];
    size_t value_count;
    struct sb_report_point *points; /* [SB_REPORT_POINTS], rising */
    size_t point_count;
    uint64_t stride; /* steps of every point but the last, which may have fewer; a power of two */
    struct sb_report_evaluation evaluations[SB_REPORT_EVALUATIONS]; /* the first is "before", the last "after" */
    size_t evaluation_count;
    struct sb_data_report files[SB_REPORT_FILES]; /* paths are owned */
    size_t file_count, files_left_out;
    struct sb_report_example examples[SB_REPORT_EXAMPLES];
    size_t example_count;
    bool failed; /* out of memory */
};

void sb_report_free(struct sb_report *report); /* empty afterwards; NULL is fine */

/* Copies text (NULL: takes it away) to a field of the report. */
void sb_report_set(char **field, const char *text, struct sb_report *report);

/* One more step. Parts of the loss are those of the first step that the report saw; of a step with other ones only the loss
   itself counts. When SB_REPORT_POINTS are full, neighbours become one: what the report holds depends on the steps alone. */
void sb_report_step(struct sb_report *report, const struct sb_trainer_step *step, double rows_per_second);

/* Begins an evaluation, of which the following measures are. When SB_REPORT_EVALUATIONS are full, every second one goes, the
   first excepted. */
void sb_report_evaluation(struct sb_report *report, uint64_t step, bool sampled);
void sb_report_measure(struct sb_report *report, const char *name, double value);

/* A training file; copied. Those past SB_REPORT_FILES are only counted. */
void sb_report_file(struct sb_report *report, const struct sb_data_report *file);

/* What the model makes of a text, before the training or after. A new source becomes an example; text NULL: it has none. Past the
   limits nothing is added. */
void sb_report_paraphrase(struct sb_report *report, const char *source, bool after, const char *text, double similarity);

/* ---- Writing and reading ---- */

/* Appends the report as one JSON object; numbers that are none become null. SB_NO_MEMORY when the report or out has failed. */
SB_MUST_CHECK enum sb_status sb_report_to_json(const struct sb_report *report, struct sb_buffer *out,
                                               struct sb_error *error);
/* Fills an empty report with what sb_report_to_json wrote. SB_INVALID: it is something else; the report is then empty. */
SB_MUST_CHECK enum sb_status sb_report_from_json(struct sb_report *report, const char *text, size_t size,
                                                 struct sb_error *error);

/* Appends a page that needs nothing beside it: no network, no scripts. */
SB_MUST_CHECK enum sb_status sb_report_to_html(const struct sb_report *report, struct sb_buffer *out,
                                               struct sb_error *error);

/* report.json and report.html in an existing folder, each there completely or not at all. */
SB_MUST_CHECK enum sb_status sb_report_save(const struct sb_report *report, const char *dir, struct sb_error *error);

#endif
