/*
 * What happens to gradients between the backward pass and the optimizer.
 *
 *     memset(gradients, 0, size * sizeof *gradients);
 *     for (int i = 0; i < micro_batches; i++)
 *         sb_pass_backward(...);                                         // adds to gradients
 *     sb_gradients_scale(gradients, size, 1.0 / micro_batches, pool);    // the mean
 *     double norm = sb_gradients_clip(gradients, size, 1.0, pool);
 *     if (!isfinite(norm))
 *         ...                                                            // nothing was changed: skip the step
 *
 * All work on flat arrays in the parameters' layout. Sums have one order, whatever the number of threads.
 *
 * Thread rule: no state; pool (NULL: this thread) is used until the call returns.
 */
#ifndef SB_TRAINING_GRADIENTS_H
#define SB_TRAINING_GRADIENTS_H

#include "base/pool.h"

#include <stddef.h>

/* sum[size] += parts[0][size] + parts[1][size] + ... in this order. */
void sb_gradients_add(float *sum, const float *const *parts, size_t count, size_t size, struct sb_pool *pool);

/* gradients[size] *= factor */
void sb_gradients_scale(float *gradients, size_t size, double factor, struct sb_pool *pool);

/* The root of the sum of all squares. Infinite or NaN if, and only if, some gradient is. */
double sb_gradients_norm(const float *gradients, size_t size, struct sb_pool *pool);

/* gradients *= most / norm when the norm exceeds `most` (Pascanu et al., 2013). Returns the norm before. A norm that
   is not finite leaves them as they are. */
double sb_gradients_clip(float *gradients, size_t size, double most, struct sb_pool *pool);

#endif
