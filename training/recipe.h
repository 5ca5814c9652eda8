/*
 * The recipe: everything that a training run can be told, as one JSON object.
 *
 *     struct sb_recipe *recipe;
 *     sb_recipe_read(&recipe, "{\"epochs\": 5, \"optimizer\": {\"name\": \"lamb\"}}", size, &error);   // or sb_recipe_new
 *     sb_recipe_train_on(recipe, &file, 1, true, &error);      // --train FILE: data, and objectives if there are none
 *     sb_recipe_write_json(recipe, &out);                      // the recipe with every value that is in force
 *     sb_recipe_free(recipe);
 *
 * One table names every key with its type, default, bounds and help (training/recipe_fields.c); reading, printing and the
 * documentation come from it. A key that is not there is an error that names the nearest one. null, or leaving a key out,
 * is the default.
 *
 * Objectives are summed by weight. One without "data" shares the rows of the objective before it: SimBERT is
 *
 *     "objectives": [{"name": "seq2seq", "data": ["synonyms.jsonl"]}, {"name": "in_batch", "scale": 30}]
 *
 * where the same forward pass gives both losses. A step takes a batch of each objective that has data.
 *
 * Thread rule: whoever reads it may not change it meanwhile.
 */
#ifndef SB_TRAINING_RECIPE_H
#define SB_TRAINING_RECIPE_H

#include "base/buffer.h"
#include "base/status.h"
#include "training/adversarial.h"
#include "training/batch.h"
#include "training/data.h"
#include "training/initialise.h"
#include "training/losses.h"
#include "training/noise.h"
#include "training/optimizer.h"
#include "training/schedule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lists, owned by the recipe. given: the recipe has the key, even if empty. */
struct sb_recipe_texts {
    const char **items;
    size_t count;
    bool given;
};
struct sb_recipe_numbers {
    double *items;
    size_t count;
    bool given;
};
struct sb_recipe_files {
    struct sb_data_file *items;
    size_t count;
};

/* A count that was left to be worked out, before sb_recipe_resolve. */
#define SB_RECIPE_AUTO UINT64_MAX

struct sb_recipe_noise {
    double source; /* seq2seq: share of rows with a masked source */
    double mask;   /* share of units that are taken (masked_lm, masked sources) or masked (denoising) */
    double mask_share, random_share;
    double erase, replace, permute;
    uint64_t distance;
    bool infill;
    int unit; /* enum sb_noise_unit */
    const char *words; /* NULL: none */
};

struct sb_recipe_objective {
    const char *name;
    double weight;
    struct sb_recipe_files data; /* none: the rows of the objective before */
    double scale, margin;        /* NaN: of no meaning for it */
    const char *distance;        /* "cosine", "euclidean" */
    struct sb_recipe_numbers dimensions, dimension_weights;
    uint64_t classes;
    uint64_t batch_size, max_length, text_characters, window;
    bool hard_negatives;
    struct sb_recipe_noise noise;
};

struct sb_recipe_objectives {
    struct sb_recipe_objective *items;
    size_t count;
};

struct sb_recipe {
    uint64_t seed, steps;
    double epochs;
    uint64_t batch_size, accumulation;
    uint64_t maxlen, max_length, text_characters, window;
    int pair_rule; /* enum sb_pair_rule */
    double learning_rate, clip_norm;
    struct {
        const char *name;
        double warmup, floor;
    } schedule;
    struct {
        const char *name;
        double beta1, beta2, epsilon, weight_decay, clip;
        struct sb_recipe_texts exclusions; /* not given: biases and normalisation do not decay */
        bool scale_by_parameter, relative_step;
    } optimizer;
    struct {
        double hidden, attention;
    } dropout;
    const char *dtype; /* "f32", "bf16" */
    bool recompute;
    uint64_t threads; /* 0: as many as there are */
    struct sb_recipe_objectives objectives;
    const char *teacher; /* model directory; NULL: none */
    struct {
        const char *method, *target, *combine;
        double epsilon, alpha, length, xi, weight;
        uint64_t steps;
    } adversarial;
    struct {
        const char *method;
        double row_probability, probability;
        int schedule; /* enum sb_probability_schedule */
        uint64_t schedule_steps;
    } exposure_bias;
    struct {
        double decay; /* 0: no average */
    } average;
    struct {
        uint64_t k; /* 0: none */
        double alpha;
    } lookahead;
    const char *pool_norm;
    struct {
        uint64_t dimensions; /* 0: not whitened */
        uint64_t sentences;
    } whiten;
    struct {
        const char *method;
        double std;
        bool keep_std;
    } initialise;
    struct {
        uint64_t hidden_size, attention_key_size, intermediate_size; /* 0: as it is */
        struct sb_recipe_texts attention_parts; /* none: as it is */
        uint64_t factor_a, factor_b, factor_rank;
        const char *vocabulary;
    } resize;
    struct {
        struct sb_recipe_files files;
        uint64_t every, patience;
        const char *metric; /* NULL: what the files have says which */
    } evaluation;
    struct {
        uint64_t every, keep;
    } checkpoint;
    struct {
        const char *metric;
        double min_change;
    } gate;
    struct {
        uint64_t max_lines;
        double max_share;
    } bad_lines;
    /* Inside: who owns the texts. */
    void *json;
    struct sb_recipe_texts copies;
};

enum { SB_RECIPE_MAX_BYTES = 1 << 20, SB_RECIPE_MAX_OBJECTIVES = 64 };

/* The recipe of {}: all defaults, no objectives. */
SB_MUST_CHECK enum sb_status sb_recipe_new(struct sb_recipe **recipe, struct sb_error *error);
/* SB_INVALID names the key, the value, its bounds, and for an unknown key the nearest known one. */
SB_MUST_CHECK enum sb_status sb_recipe_read(struct sb_recipe **recipe, const char *text, size_t size,
                                            struct sb_error *error);
void sb_recipe_free(struct sb_recipe *recipe); /* NULL is fine */

/* Data that came beside the recipe. Without objectives, those are chosen that suit the first file (docs/recipes.md), for a model
   that can write (generates: it has an MLM head) or only embed; otherwise the first objective gets the files, which must have none
   of its own. Reads the beginning of the first file. Paths are copied. */
SB_MUST_CHECK enum sb_status sb_recipe_train_on(struct sb_recipe *recipe, const struct sb_data_file *files,
                                                size_t count, bool generates, struct sb_error *error);

/* Works out every value that was left to be worked out, and checks what can be checked without the model: are there objectives and
   data, do they go together? Once, before the functions below. */
SB_MUST_CHECK enum sb_status sb_recipe_resolve(struct sb_recipe *recipe, struct sb_error *error);

/* Appends the recipe as indented JSON, every key, the defaults too. Reading it again gives the same recipe. */
void sb_recipe_write_json(const struct sb_recipe *recipe, struct sb_buffer *out);
/* Appends the table of all keys in Markdown. */
void sb_recipe_write_table(struct sb_buffer *out);

/* ---- A resolved recipe in the terms of the parts of the trainer ---- */

/* Is it a loss on vectors? Its class, or NULL for seq2seq and the language models. */
const struct sb_loss_class *sb_recipe_loss_class(const struct sb_recipe_objective *objective);
/* The objective whose rows this one works on: itself if it has data. */
size_t sb_recipe_rows_of(const struct sb_recipe *recipe, size_t objective);

/* cuts: room for SB_LOSS_MAX_CUTS, to which the options point. */
struct sb_loss_options sb_recipe_loss_options(const struct sb_recipe_objective *objective,
                                              struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS]);
/* Of an objective that has data. */
struct sb_batch_options sb_recipe_batch_options(const struct sb_recipe *recipe, size_t objective);
struct sb_data_options sb_recipe_data_options(const struct sb_recipe *recipe, size_t objective);
struct sb_schedule sb_recipe_schedule(const struct sb_recipe *recipe, uint64_t steps);
/* Points into the recipe; exclusions: room for the recipe's and a NULL, SB_RECIPE_MAX_EXCLUSIONS + 1. */
enum { SB_RECIPE_MAX_EXCLUSIONS = 256 };
struct sb_optimizer_options sb_recipe_optimizer_options(const struct sb_recipe *recipe, const char **exclusions);
struct sb_adversary_options sb_recipe_adversary_options(const struct sb_recipe *recipe);
struct sb_initialiser sb_recipe_initialiser(const struct sb_recipe *recipe);

#endif
