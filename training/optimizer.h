/*
 * Optimizers: from gradients to the next weights. They work on the flat array of all parameters (model/parameters.h).
 *
 *     struct sb_optimizer_options options = sb_optimizer_defaults(SB_OPTIMIZER_ADAMW);
 *     options.weight_decay = 0.01;
 *     struct sb_optimizer *optimizer;
 *     sb_optimizer_new(&optimizer, &options, parameters, pool, &error);
 *     for (uint64_t step = 0; step < steps; step++)
 *         sb_optimizer_step(optimizer, values, gradients, sb_schedule_rate(&schedule, step));
 *     sb_optimizer_free(optimizer);
 *
 * Below, t = 1, 2, ... counts the steps, lr is the step's learning rate, g the gradient, w the weights.
 *
 * AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019); with weight decay 0 it is Adam:
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     w -= lr (m' / (sqrt(v') + epsilon) + decay w)      m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
 *
 * LAMB (You et al., 2020), a matrix or vector at a time:
 *     u = m' / (sqrt(v') + epsilon) + decay w,  w -= lr |w| / |u| u      the ratio is 1 when a norm is 0
 *
 * AdaFactor (Shazeer and Stern, 2018). g2 = g^2 + epsilon; beta2(t) = 1 - t^-0.8 unless beta2 is given:
 *     matrices with both sizes >= min_factored_size keep only means of g2 over rows and over columns:
 *         r = beta2 r + (1 - beta2) rowmean(g2),  c likewise,  v = r c^T / mean(r)
 *     the others: v = beta2 v + (1 - beta2) g2
 *     u = g / sqrt(v + epsilon),  u /= max(1, rms(u) / clip)
 *     beta1 > 0: m = beta1 m + (1 - beta1) u, u = m
 *     w -= lr (scale u + decay w),  scale = max(rms(w), scale_epsilon), or 1 without scale_by_parameter
 *     relative_step: lr is multiplied by min(1 / sqrt(t), 0.01), without scale_by_parameter by 0.05 of that
 *
 * Every result is a function of its inputs alone: sums have one order, whatever the number of threads.
 *
 * Thread rule: one thread at a time for an optimizer; it shares the work among the pool's.
 */
#ifndef SB_TRAINING_OPTIMIZER_H
#define SB_TRAINING_OPTIMIZER_H

#include "base/pool.h"
#include "base/status.h"
#include "model/parameters.h"
#include "training/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_optimizer;

enum sb_optimizer_kind { SB_OPTIMIZER_ADAMW, SB_OPTIMIZER_LAMB, SB_OPTIMIZER_ADAFACTOR };

/* How AdamW and LAMB make up for moments that start at 0. */
enum sb_bias_correction {
    SB_CORRECTION_FULL,  /* as above */
    SB_CORRECTION_NONE,  /* m' = m, v' = v */
    SB_CORRECTION_KERAS, /* m' = m sqrt(1 - beta2^t) / (1 - beta1^t), v' = v: epsilon meets the uncorrected root, as in
                            Keras' Adam, with which the released SimBERT was trained (epsilon 1e-7) */
};

struct sb_optimizer_options {
    enum sb_optimizer_kind kind;
    double beta1, beta2; /* [0, 1). AdaFactor: beta1 0 keeps no first moment, beta2 0 is the rising one */
    double epsilon;      /* > 0 */
    enum sb_bias_correction bias_correction;
    double weight_decay;
    /* NULL-terminated list: parameters whose name contains one of these strings do not decay, all others do. NULL: the
       parameters' own `decays` decides. Read by sb_optimizer_new only, as is the next. */
    const char *const *decay_exclusions;
    const char *const *adaptation_exclusions; /* LAMB, in the same way: these keep a ratio of 1 */
    /* AdaFactor */
    bool scale_by_parameter, relative_step;
    double scale_epsilon;
    double clip; /* 0: none */
    size_t min_factored_size;
};

/* beta1 .9, beta2 .999, epsilon 1e-6, weight decay .01, full correction; AdaFactor: beta1 0, rising beta2, epsilon
   1e-30, no decay, clip 1, scaled by the parameter (scale_epsilon 1e-3), factored from 128. */
struct sb_optimizer_options sb_optimizer_defaults(enum sb_optimizer_kind kind);

/* The defaults of "adam", "adamw", "adam_keras", "lamb", "adafactor". */
SB_MUST_CHECK enum sb_status sb_optimizer_options_named(struct sb_optimizer_options *options, const char *name,
                                                        struct sb_error *error);

/* parameters and pool (NULL: this thread) are borrowed. SB_INVALID for options out of range, SB_NO_MEMORY. */
SB_MUST_CHECK enum sb_status sb_optimizer_new(struct sb_optimizer **optimizer,
                                              const struct sb_optimizer_options *options,
                                              const struct sb_parameters *parameters, struct sb_pool *pool,
                                              struct sb_error *error);
void sb_optimizer_free(struct sb_optimizer *optimizer);

/* values[parameters->size] become those of the next step. */
void sb_optimizer_step(struct sb_optimizer *optimizer, float *values, const float *gradients, double learning_rate);

/* All memory that it holds besides the weights and gradients: state, and the scratch of a step. */
size_t sb_optimizer_bytes(const struct sb_optimizer *optimizer);

/* Points *arrays at the state (state.h) and returns their number. Together with the number of steps they are all that
   a step depends on. */
size_t sb_optimizer_state(const struct sb_optimizer *optimizer, const struct sb_state_array **arrays);
uint64_t sb_optimizer_steps(const struct sb_optimizer *optimizer);
void sb_optimizer_set_steps(struct sb_optimizer *optimizer, uint64_t steps);

#endif
