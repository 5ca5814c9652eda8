/*
 * Data-parallel training: the processes that `mpirun -n N simbert finetune ...` starts, each with a part of every batch.
 *
 *     struct sb_parallel *parallel;
 *     sb_parallel_start(&parallel, &error);                 // one process that was started alone: size 1, nothing is loaded
 *     first = rows * rank / size; ...
 *     sb_parallel_gather(parallel, vectors, borders);        // everyone's rows to everyone: in-batch negatives
 *     sb_parallel_sum(parallel, gradients, count);
 *     sb_parallel_stop(parallel);
 *
 * MPI itself lives in a module beside the program (training/mpi), loaded only when the environment says that an mpirun started it:
 * the program needs no MPI otherwise, and starts as fast without it.
 *
 * A process that fails ends all of them (MPI's rule). Thread rule: one thread.
 */
#ifndef SB_TRAINING_PARALLEL_H
#define SB_TRAINING_PARALLEL_H

#include "base/status.h"

#include <stddef.h>

struct sb_parallel;

/* SB_UNSUPPORTED: started by an mpirun, but built without MPI. */
SB_MUST_CHECK enum sb_status sb_parallel_start(struct sb_parallel **parallel, struct sb_error *error);
void sb_parallel_stop(struct sb_parallel *parallel); /* waits for the others; NULL is fine */

int sb_parallel_rank(const struct sb_parallel *parallel); /* 0 <= rank < size; NULL: 0 of 1 */
int sb_parallel_size(const struct sb_parallel *parallel);

/* values[count] = sum over all processes, the same bits everywhere. */
void sb_parallel_sum(struct sb_parallel *parallel, float *values, size_t count);
void sb_parallel_sum_doubles(struct sb_parallel *parallel, double *values, size_t count);

/* Process r has filled values[borders[r], borders[r + 1]); afterwards everyone has all. borders: [size + 1]. */
void sb_parallel_gather(struct sb_parallel *parallel, float *values, const size_t *borders);

#endif
