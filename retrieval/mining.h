/*
 * What work on all pairs of a set of vectors shares: the set, who may stop it, and cosines a block at a time.
 *
 *     struct sb_mining set = {.vectors = vectors, .count = n, .dimensions = 512, .kernels = kernels};
 *     sb_duplicates_find(&found, &set, 0.9, 100, &error);         // retrieval/duplicates.h
 *     sb_clusters_agglomerate(&clusters, &set, 0.8, &error);      // retrieval/clusters.h
 *
 * All vectors have length 1, so that a dot product is a cosine. Results depend neither on the number of threads nor on
 * which of them did what.
 *
 * Thread rule: one call a set at a time; stop() is called from the pool's threads.
 */
#ifndef SB_RETRIEVAL_MINING_H
#define SB_RETRIEVAL_MINING_H

#include "base/pool.h"
#include "base/status.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_mining {
    const float *vectors; /* [count, dimensions] */
    size_t count;         /* below 2^32 */
    size_t dimensions;
    const struct sb_kernels *kernels;
    struct sb_pool *pool;        /* NULL: one thread */
    bool (*stop)(void *context); /* NULL, or true: end with SB_CANCELLED; called some times a second */
    void *context;
};

/* ---- for duplicates.c and clusters.c ---- */

enum { SB_MINING_BLOCK = 256 };

/* A thread's memory for blocks of cosines. */
struct sb_cosines {
    struct sb_packed packed;
    void *memory;  /* of packed */
    float *scores; /* [SB_MINING_BLOCK, columns of packed] */
};

/* Room to compare with up to `columns` vectors at a time. */
SB_MUST_CHECK bool sb_cosines_init(struct sb_cosines *cosines, const struct sb_mining *set, size_t columns);
void sb_cosines_free(struct sb_cosines *cosines); /* a zeroed one is fine */
/* The vectors to compare with: with[count, dimensions], count <= columns. */
void sb_cosines_with(struct sb_cosines *cosines, const struct sb_mining *set, const float *with, size_t count);
/* scores[i * columns + j] = cosine of vector first + i and with[j], for i < rows <= SB_MINING_BLOCK. */
void sb_cosines_of(struct sb_cosines *cosines, const struct sb_mining *set, size_t first, size_t rows);

bool sb_mining_stops(const struct sb_mining *set);
SB_MUST_CHECK enum sb_status sb_mining_cancelled(struct sb_error *error);

/* Cosines of vectors [row, row + rows) with [column, column + columns): that of row + i and column + j is
   scores[i * stride + j]. */
struct sb_mining_block {
    const float *scores;
    size_t row, rows, column, columns, stride;
};

/* The pairs of row + i are those with its first so many columns: no vector is paired with itself, and no two twice. */
static inline size_t sb_mining_row_pairs(const struct sb_mining_block *block, size_t i)
{
    size_t before = block->row + i - block->column;
    return before < block->columns ? before : block->columns;
}

/* Calls body with blocks that hold every pair of the set of which at least one is among the first `first` vectors.
   body may be called by several threads at once. */
SB_MUST_CHECK enum sb_status sb_mining_pairs(const struct sb_mining *set, size_t first,
                                             void (*body)(void *context, const struct sb_mining_block *block,
                                                          int worker),
                                             void *context, struct sb_error *error);

/* Vectors of block b. */
size_t sb_mining_block_rows(const struct sb_mining *set, size_t block);

#endif
