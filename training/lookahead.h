/*
 * Lookahead (Zhang et al., 2019): slow weights that follow the optimizer's. Every `interval` steps they move by
 * `rate` of the way to the weights, and the weights go on from there. They start where the weights start.
 *
 *     struct sb_lookahead_options options = {.interval = 5, .rate = 0.5};
 *     sb_lookahead_new(&lookahead, &options, values, size, pool, &error);
 *     sb_optimizer_step(optimizer, values, gradients, rate);
 *     sb_lookahead_step(lookahead, values);
 *
 * Thread rule: one thread at a time for a lookahead; it shares the work among the pool's.
 */
#ifndef SB_TRAINING_LOOKAHEAD_H
#define SB_TRAINING_LOOKAHEAD_H

#include "base/pool.h"
#include "base/status.h"
#include "training/state.h"

#include <stdint.h>

struct sb_lookahead;

struct sb_lookahead_options {
    uint64_t interval; /* >= 1 */
    double rate;       /* (0, 1] */
};

/* Copies values[size]. pool (NULL: this thread) is borrowed. */
SB_MUST_CHECK enum sb_status sb_lookahead_new(struct sb_lookahead **lookahead,
                                              const struct sb_lookahead_options *options, const float *values,
                                              size_t size, struct sb_pool *pool, struct sb_error *error);
void sb_lookahead_free(struct sb_lookahead *lookahead);

/* After each step of the optimizer; changes values[size] on every interval-th call. */
void sb_lookahead_step(struct sb_lookahead *lookahead, float *values);

/* As in state.h and optimizer.h. */
size_t sb_lookahead_state(const struct sb_lookahead *lookahead, const struct sb_state_array **arrays);
uint64_t sb_lookahead_steps(const struct sb_lookahead *lookahead);
void sb_lookahead_set_steps(struct sb_lookahead *lookahead, uint64_t steps);

#endif
