/*
 * Noise on token rows: what makes decoder inputs differ from the labels (against exposure bias), masked language
 * modelling, and the corruption of text that a denoising model undoes. And how the strength of it goes over the steps.
 *
 * The functions that decide are given their random draws, uniform in [0, 1), or take them from a numbered stream
 * (struct sb_draws); nothing else influences them.
 *
 *     struct sb_draws draws = {.seed = seed, .stream = example};
 *     double u[64], pick[64];
 *     for (size_t i = 0; i < length; i++) {
 *         u[i] = sb_draw(&draws);
 *         pick[i] = sb_draw(&draws);
 *     }
 *     sb_replace_inputs(inputs, ids, length, prefix, 0.3, u, pick, NULL, 0);
 *
 * Thread rule: a vocabulary never changes after open; the rest are functions of their arguments.
 */
#ifndef SB_TRAINING_NOISE_H
#define SB_TRAINING_NOISE_H

#include "base/status.h"
#include "tokenizer/tokenizer.h"
#include "training/word_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_draws {
    uint64_t seed, stream, next;
};
double sb_draw(struct sb_draws *draws);                     /* in [0, 1) */
size_t sb_draw_below(struct sb_draws *draws, size_t bound); /* in [0, bound), bound >= 1 */

/* ---- Exposure bias (REFERENCE 6) ---- */

/*
 * Random replacement: input j in [prefix, length - 2] becomes choices[floor(pick[j] * count)] if u[j] < probability.
 * choices NULL: the row's own target, ids[prefix, length), the final [SEP] included. The last token is the input of no
 * label. out[length] and ids do not overlap; u and pick are [length]. Whether a row is touched at all is the caller's
 * draw.
 */
void sb_replace_inputs(int32_t *out, const int32_t *ids, size_t length, size_t prefix, double probability,
                       const double *u, const double *pick, const int32_t *choices, size_t count);

/* Scheduled sampling (Bengio et al., 2015): input j in [prefix, length - 2] becomes predictions[j - 1], what the model
   said at the position before, if u[j] < probability. predictions[length]; prefix >= 1. */
void sb_replace_by_predictions(int32_t *out, const int32_t *ids, size_t length, size_t prefix, double probability,
                               const double *u, const int32_t *predictions);

enum sb_probability_schedule {
    SB_PROBABILITY_CONSTANT,
    SB_PROBABILITY_LINEAR,          /* from 0 at step 0 to the full probability at step `steps`, then constant */
    SB_PROBABILITY_INVERSE_SIGMOID, /* the model's share 1 - k / (k + exp(step / k)); k such that half of it is reached at
                                       steps / 2 */
};

/* The probability at a step (from 0); steps >= 1. Never above `probability`, never falling. */
double sb_probability_at(enum sb_probability_schedule schedule, double probability, uint64_t step, uint64_t steps);

/* ---- Tokens that noise is made of ---- */

struct sb_noise_vocabulary {
    int32_t mask;      /* id of [MASK] */
    int32_t *ordinary; /* [ordinary_count] ids that are no special tokens and not empty */
    size_t ordinary_count;
    uint8_t *kinds; /* [size] inside */
    size_t size;
    const struct sb_word_list *words; /* of SB_UNIT_WORD, borrowed; NULL: none */
};
/* SB_UNSUPPORTED if the vocabulary has no [MASK] and needs_mask. */
SB_MUST_CHECK enum sb_status sb_noise_vocabulary_open(struct sb_noise_vocabulary *vocabulary,
                                                      const struct sb_tokenizer *tokenizer, bool needs_mask,
                                                      struct sb_error *error);
void sb_noise_vocabulary_close(struct sb_noise_vocabulary *vocabulary); /* a zeroed one is fine */

enum sb_noise_unit {
    SB_UNIT_TOKEN, /* each token by itself */
    SB_UNIT_WORD,  /* the longest word of the list, if there is one; else a token and the "##" pieces that continue it */
    SB_UNIT_NGRAM, /* words, and runs of 1 to 4 ideographs (with .4, .3, .2, .1; Cui et al., MacBERT, 2020): Chinese words are
                      not marked, and no dictionary is needed */
};

/* Cuts ids[n] into units: unit i ends before ends[i]; ends has room for n. Returns how many. */
size_t sb_noise_units(size_t *ends, const int32_t *ids, size_t n, enum sb_noise_unit unit,
                      const struct sb_noise_vocabulary *vocabulary, struct sb_draws *draws);

/* ---- Masking ---- */

/* Devlin et al., 2019; RoFormer-Sim's masked source: each unit is taken with `probability`, and then masked, replaced by
   ordinary tokens at random, or left as it is. */
struct sb_mask_rule {
    double probability;  /* .15 */
    double mask, random; /* shares of what is taken: .8, .1; the rest is left */
    enum sb_noise_unit unit;
    bool at_least_one; /* a unit is taken even when no draw says so */
};

/* ids[n]: tokens without [CLS] and [SEP]. Changes them in place; labels[i] (NULL: not wanted) becomes the token that stood at a
   place that was taken, -1 elsewhere. ends: [n] of scratch. */
void sb_mask_tokens(int32_t *ids, int32_t *labels, size_t n, const struct sb_mask_rule *rule,
                    const struct sb_noise_vocabulary *vocabulary, size_t *ends, struct sb_draws *draws);

/* ---- Denoising ---- */

/* Lewis et al. (BART), 2020. Of each unit one of mask, erase and replace, or nothing, is done, with these probabilities; then, with
   probability `permute` for the row, units change places, none moving farther than `distance` units (Lample et al., 2018). */
struct sb_denoise_rule {
    double mask, erase, replace; /* their sum is at most 1 */
    bool infill;                 /* a masked unit becomes one [MASK], not one a token */
    double permute;
    size_t distance;
    enum sb_noise_unit unit;
};

/* ids[n] -> out[n], returns how many tokens are left; never 0 for n > 0. ends: [2 n] and keys: [n] of scratch. */
size_t sb_denoise_tokens(int32_t *out, const int32_t *ids, size_t n, const struct sb_denoise_rule *rule,
                         const struct sb_noise_vocabulary *vocabulary, size_t *ends, double *keys,
                         struct sb_draws *draws);

#endif
