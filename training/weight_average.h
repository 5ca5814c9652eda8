/*
 * Exponential moving average of the weights: a smoother model than the last step's, for evaluation and for what is
 * saved.
 *
 *     sb_weight_average_new(&average, 0.999, size, pool, &error);
 *     sb_optimizer_step(optimizer, values, gradients, rate);
 *     sb_weight_average_update(average, values);          // a = momentum a + (1 - momentum) values, from a = 0
 *     sb_weight_average_read(average, averaged);          // a / (1 - momentum^updates): without that 0
 *
 * Thread rule: one thread at a time for an average; it shares the work among the pool's.
 */
#ifndef SB_TRAINING_WEIGHT_AVERAGE_H
#define SB_TRAINING_WEIGHT_AVERAGE_H

#include "base/pool.h"
#include "base/status.h"
#include "training/state.h"

#include <stdint.h>

struct sb_weight_average;

/* momentum in [0, 1); of arrays of `size` floats. pool (NULL: this thread) is borrowed. */
SB_MUST_CHECK enum sb_status sb_weight_average_new(struct sb_weight_average **average, double momentum, size_t size,
                                                   struct sb_pool *pool, struct sb_error *error);
void sb_weight_average_free(struct sb_weight_average *average);

void sb_weight_average_update(struct sb_weight_average *average, const float *values);

/* averaged[size]; may not be called before the first update. */
void sb_weight_average_read(const struct sb_weight_average *average, float *averaged);

/* As in state.h and optimizer.h. The array is a as it is kept, before the division. */
size_t sb_weight_average_state(const struct sb_weight_average *average, const struct sb_state_array **arrays);
uint64_t sb_weight_average_updates(const struct sb_weight_average *average);
void sb_weight_average_set_updates(struct sb_weight_average *average, uint64_t updates);

#endif
