/*
 * simbert finetune: what its parts share.
 *
 *   finetune.c           the command line, or a job's file, becomes a task; the recipe
 *   finetune_run.c       the training from beginning, or from its checkpoint, to the model that is saved
 *   finetune_measure.c   a model measured on files, as a list of numbers with names
 *   finetune_report.c    what the report is filled with
 *   finetune_events.c    what is told meanwhile: a line on the terminal, or JSON lines to the server
 */
#ifndef SB_CLI_FINETUNE_H
#define SB_CLI_FINETUNE_H

#include "base/status.h"
#include "training/finetune.h"
#include "training/report.h"

#include <stdbool.h>
#include <stdint.h>

/* What is to be done. All borrowed. */
struct sb_finetune_task {
    const char *model, *output; /* directories: what is improved, and the result */
    const char *start;          /* what training begins with: model, or that in other sizes */
    const char *checkpoints;    /* folder; stays after success only for a job */
    bool is_job;                /* started by the server: events as JSON lines on standard output */
    struct sb_recipe *recipe;   /* resolved */
    int threads;
    enum sb_dtype dtype;  /* of what is saved */
    const char *progress; /* SB_PROGRESS_CHOICES */
};

/* SB_CANCELLED: it was stopped by a signal and can be resumed. */
SB_MUST_CHECK enum sb_status sb_finetune_run(const struct sb_finetune_task *task, struct sb_error *error);

/* ---- finetune_measure.c ---- */

struct sb_metric {
    char name[96]; /* "pairs.dev.spearman": file and measure */
    double value;
};
enum { SB_METRICS_MAX = 128 };
struct sb_metrics {
    struct sb_metric items[SB_METRICS_MAX];
    size_t count;
};

/* Measures the model on the recipe's evaluation files; without any, on a part of its training files (is_training says so). whole:
   paraphrases and likelihood too, and more examples. */
SB_MUST_CHECK enum sb_status sb_measure_model(struct sb_metrics *metrics, const char *model,
                                              const struct sb_recipe *recipe, int threads, bool whole,
                                              struct sb_error *error);
bool sb_measures_training_data(const struct sb_recipe *recipe);
/* The files that are measured: borrowed from the recipe, may be none. */
const struct sb_recipe_files *sb_measured_files(const struct sb_recipe *recipe);

/* The mean over the files of one measure ("spearman"); NaN if no file has it. */
double sb_metrics_mean(const struct sb_metrics *metrics, const char *measure);
bool sb_metric_falls(const char *measure); /* smaller is better: "nll" */
/* By what was measured before training: fills in the recipe's measures that were left open (NULL: nothing is measured), and
   refuses those that have no value. */
SB_MUST_CHECK enum sb_status sb_metrics_choose(struct sb_recipe *recipe, const struct sb_metrics *before,
                                               struct sb_error *error);

/* ---- finetune_report.c ---- */

/* What is known before the first step. A report that an interrupted run began keeps what it has seen. */
void sb_finetune_report_begin(struct sb_report *report, const struct sb_finetune_task *task, struct sb_finetune *run,
                              int processes);
void sb_finetune_report_metrics(struct sb_report *report, uint64_t step, bool sampled, const struct sb_metrics *metrics);
/* Those of the first evaluation. */
struct sb_metrics sb_finetune_report_before(const struct sb_report *report);
/* Paraphrases by the model in a directory, if it can write: before, of texts that it chooses from the files that are measured;
   after, of the same texts. */
SB_MUST_CHECK enum sb_status sb_finetune_report_paraphrases(struct sb_report *report, const char *model,
                                                            const struct sb_finetune_task *task, bool after,
                                                            struct sb_error *error);
/* How far it has come, and how it stands. message: NULL: none. */
void sb_finetune_report_end(struct sb_report *report, enum sb_report_result result, const char *message,
                            const struct sb_trainer *trainer);

/* ---- finetune_events.c ---- */

struct sb_finetune_events {
    bool as_json, shows_line, is_terminal, shown;
    int64_t start_ns, shown_ns; /* of this process */
    uint64_t first_step, steps;
    uint64_t rows; /* since start_ns */
    double loss, smoothed_loss; /* of the last step */
    uint64_t measured_step;     /* the last evaluation's, which a checkpoint of the same step tells again */
    struct sb_metrics metrics;
};
struct sb_finetune_events sb_finetune_events_begin(const struct sb_finetune_task *task);
void sb_finetune_tell_start(struct sb_finetune_events *events, const struct sb_finetune *run, uint64_t step);
void sb_finetune_tell_step(struct sb_finetune_events *events, const struct sb_trainer_step *step, uint64_t tokens);
void sb_finetune_tell_metrics(struct sb_finetune_events *events, uint64_t step, const struct sb_metrics *metrics);
void sb_finetune_tell_checkpoint(struct sb_finetune_events *events, uint64_t step, const char *path);
void sb_finetune_tell_message(struct sb_finetune_events *events, const char *level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sb_finetune_tell_done(struct sb_finetune_events *events, const struct sb_report *report);
void sb_finetune_tell_failed(struct sb_finetune_events *events, const char *message);
double sb_finetune_rows_per_second(const struct sb_finetune_events *events);

#endif
