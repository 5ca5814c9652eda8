/*
 * Studies: what a technique does to this model, measured by training runs that differ in nothing else.
 *
 *     const struct sb_study *study = sb_study_find("optimizers", &error);
 *     struct sb_study_setup setup = {.study = study, .model = "models/simbert-small-zh", .work = "out/work", .layers = 2,
 *                                    .train = "synonyms.train.jsonl", .steps = 120, .seeds = 3, .pool = pool,
 *                                    .measure = measure, .context = &measurer};
 *     struct sb_study_results *results;
 *     sb_study_run(&results, &setup, &error);
 *     sb_study_save(results, &about, "out", &error);        // out/study.json, study.md, study.svg
 *     sb_study_results_free(results);
 *
 * A study is a list of runs: a label, and what its recipe says beside the recipe that all runs share. All start from the same model
 * and take the same steps on the same batches, once for each seed. The first run is what the others are compared with.
 *
 * A further study is a file that defines a `const struct sb_study`, and its row in the table of study/studies.c.
 *
 * Thread rule: one thread; training shares its work among the pool's.
 */
#ifndef SB_STUDY_STUDY_H
#define SB_STUDY_STUDY_H

#include "base/pool.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- What a study is ---- */

/* What is measured of a model after training, beside loss, memory and time. */
enum sb_study_part {
    SB_STUDY_PAIRS = 1,      /* spearman, auc; mrr */
    SB_STUDY_LIKELIHOOD = 2, /* nll, gap_written, gap_guessed */
    SB_STUDY_DECODING = 4,   /* greedy_* and beam_*: what it writes */
    SB_STUDY_SPREAD = 8,     /* mean_cosine: of texts that have nothing to do with each other */
};

struct sb_study_run {
    const char *label;
    const char *recipe; /* JSON, merged over the study's; NULL: nothing */
    const char *config; /* the same over the study's config; only where that has redraws */
    bool is_untrained;  /* takes no step */
    bool whitens;       /* afterwards its sentence vectors are whitened on the training texts (study/whiten.h) */
};

/* A column of the table. */
struct sb_study_column {
    const char *measure;
    const char *heading; /* with "lower is better" or the unit, if that is not plain */
    int decimals;
};

enum { SB_STUDY_RUNS = 16, SB_STUDY_COLUMNS = 12, SB_STUDY_SEEDS = 32, SB_STUDY_CHECKS = 8, SB_STUDY_REDRAWS = 3 };

struct sb_study {
    const char *name;    /* "optimizers" */
    const char *title;   /* of the page */
    const char *summary; /* one line for the list of studies */
    const char *about;   /* Markdown: the technique and whose it is */
    const char *recipe;  /* JSON that all runs share; without data, seed and steps */
    uint64_t steps;      /* by default */
    /* Of the start's parameters those whose name holds one of these are drawn anew, by the recipe's "initialise" and for every trial
       again; "" is in every name: nothing is left of what the model has learnt. Ended by NULL; none: all trials share one start. */
    const char *redraws[SB_STUDY_REDRAWS + 1];
    const char *config; /* JSON laid over the start's config, but not the number of layers; NULL: nothing. Only with redraws */
    unsigned parts;      /* of enum sb_study_part */
    const char *curve;   /* measure that is plotted at the checks; NULL: the training loss of every step */
    unsigned curve_part; /* that holds it */
    const char *curve_label;
    uint64_t checks;     /* measurements on the way, the last step included; 0 without curve */
    struct sb_study_run runs[SB_STUDY_RUNS];       /* ended by label NULL */
    struct sb_study_column columns[SB_STUDY_COLUMNS]; /* ended by measure NULL */
};

/* Ended by NULL. */
extern const struct sb_study *const sb_studies[];

/* SB_NOT_FOUND names the nearest one. */
SB_MUST_CHECK enum sb_status sb_study_find(const struct sb_study **study, const char *name, struct sb_error *error);

/* ---- Running it ---- */

/* Numbers with names; a name that is not there is NaN. */
enum { SB_STUDY_MEASURES = 32 };
struct sb_study_measures {
    struct {
        const char *name; /* a literal */
        double value;
    } items[SB_STUDY_MEASURES];
    size_t count;
};
void sb_study_measure(struct sb_study_measures *measures, const char *name, double value);
double sb_study_measured(const struct sb_study_measures *measures, const char *name);

/* Everything is borrowed for the run. */
struct sb_study_setup {
    const struct sb_study *study;
    const char *model; /* directory */
    const char *work;  /* folder for models on the way; made, and not removed */
    const char *train; /* file */
    int layers;        /* the first ones of the model that the start keeps; 0: all */
    uint64_t steps;    /* 0: the study's */
    size_t seeds;      /* 1 ... SB_STUDY_SEEDS */
    struct sb_pool *pool;
    /* Adds what the model in a directory is worth. */
    enum sb_status (*measure)(void *context, struct sb_study_measures *measures, const char *model, unsigned parts,
                              struct sb_error *error);
    /* How far it is; message is borrowed. NULL: nobody is told. SB_CANCELLED and the like end the study. */
    enum sb_status (*tell)(void *context, const char *message, struct sb_error *error);
    void *context;
};

/* One run with one seed. */
struct sb_study_trial {
    struct sb_study_measures after; /* and loss, step_ms, state_mb */
    double *losses;                 /* [steps], or NULL: untrained */
    double checks[SB_STUDY_CHECKS]; /* [check_count] of the study's curve */
};

struct sb_study_results {
    const struct sb_study *study;
    uint64_t steps;
    size_t seeds, run_count, check_count;
    uint64_t check_steps[SB_STUDY_CHECKS];
    struct sb_study_measures before; /* of the start that all trials share; else none */
    struct sb_study_trial *trials;   /* [run_count, seeds] */
};

/* SB_INVALID and the like name the run. */
SB_MUST_CHECK enum sb_status sb_study_run(struct sb_study_results **results, const struct sb_study_setup *setup,
                                          struct sb_error *error);
void sb_study_results_free(struct sb_study_results *results); /* NULL is fine */

/* ---- What came out ---- */

/* Of one measure of a run, over the seeds. */
struct sb_study_summary {
    double mean;
    double spread; /* standard deviation over the seeds; NaN of one seed */
    /* It differs from the first run by more than chance: Student's t of the differences at equal seeds, 95 %, two-sided. Never with one
       seed, nor for the first run. */
    bool differs;
};
struct sb_study_summary sb_study_summarise(const struct sb_study_results *results, size_t run, const char *measure);

/* What a page says of how it was made. Borrowed. */
struct sb_study_about {
    const char *command; /* that makes it again */
    const char *model, *train, *dev; /* their names */
    int layers;                      /* 0: all */
    const char *measured;            /* Markdown: on what */
};

/* study.json, study.md and study.svg in a folder, which is made. */
SB_MUST_CHECK enum sb_status sb_study_save(const struct sb_study_results *results, const struct sb_study_about *about,
                                           const char *dir, struct sb_error *error);

#endif
