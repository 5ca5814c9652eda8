/* What the MPI module offers to training/parallel.c. Only these two include this. */
#ifndef SB_TRAINING_PARALLEL_BACKEND_H
#define SB_TRAINING_PARALLEL_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

/* Counts are int in MPI: the caller cuts what is longer. */
struct sb_parallel_backend {
    bool (*start)(int *rank, int *size);
    void (*stop)(void);
    void (*sum)(float *values, int count);
    void (*sum_doubles)(double *values, int count);
    void (*broadcast)(float *values, int count, int from);
};

/* The symbol that the module exports. */
#define SB_PARALLEL_SYMBOL "sb_mpi_backend"

#endif
