/*
 * Counter-based random numbers: a value is a pure function of (seed, stream, index), so results never depend on the
 * number of threads or on what else runs. Philox 4x32-10 (Salmon et al., "Parallel
 * random numbers: as easy as 1, 2, 3", 2011).
 *
 *     double u = sb_random_uniform(seed, row, step);      // stream and index: any two numbers that name the value
 */
#ifndef SB_BASE_RANDOM_H
#define SB_BASE_RANDOM_H

#include <stdint.h>

/* Four independent 32-bit words: counter (index, stream), low words first, key seed. All calls are thread-safe. */
void sb_random_words(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index);

/* In [0, 1), 53 bits. */
double sb_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal (Box-Muller on one counter value). */
double sb_random_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* A seed that differs from call to call, for requests that name none; below 2^53, so that JSON carries it exactly. */
uint64_t sb_random_fresh_seed(void);

#endif
