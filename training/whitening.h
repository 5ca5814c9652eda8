/*
 * Whitening of sentence vectors (Su et al., 2021): a linear map after which the vectors of a corpus have mean 0 and a
 * covariance of 1 in every direction, optionally only the `kept` directions of largest variance. It is folded into
 * the pooler.
 *
 *     sb_whitening_new(&whitening, dimensions, &error);
 *     while (...)
 *         sb_whitening_add(whitening, vectors, rows);                            // of the whole corpus
 *     sb_whitening_solve(whitening, kept, &error);
 *     sb_whitening_fold(whitening, new_weight, new_bias, weight, bias, in);
 *     sb_whitening_free(whitening);
 *
 * With the covariance C = U diag(s) U^T (of rows - 1, s falling): y = K (x - mean), K[kept, d] = diag(s^-1/2) U^T cut
 * to its first rows. A row of K may have either sign; here its largest element is positive, so that one corpus gives
 * one K.
 *
 * Thread rule: one thread at a time for a whitening.
 */
#ifndef SB_TRAINING_WHITENING_H
#define SB_TRAINING_WHITENING_H

#include "base/status.h"

#include <stddef.h>

struct sb_whitening;

SB_MUST_CHECK enum sb_status sb_whitening_new(struct sb_whitening **whitening, size_t dimensions,
                                              struct sb_error *error);
void sb_whitening_free(struct sb_whitening *whitening);

/* Takes in vectors[rows, d], before any normalisation. */
void sb_whitening_add(struct sb_whitening *whitening, const float *vectors, size_t rows);

/* 1 <= kept <= d. SB_INVALID when the vectors span fewer dimensions than that: what LayerNorm gives
   spans d - 1 at most. A few seconds for 512 dimensions. */
SB_MUST_CHECK enum sb_status sb_whitening_solve(struct sb_whitening *whitening, size_t kept, struct sb_error *error);

/* Of the last solve, until the next or sb_whitening_free: mean[d], K[kept, d]. */
const double *sb_whitening_mean(const struct sb_whitening *whitening);
const double *sb_whitening_kernel(const struct sb_whitening *whitening);

/* For a linear pooler x = weight[d, in] h + bias[d]: new_weight[kept, in] and new_bias[kept], whose output is the
   whitened x. They may not overlap weight and bias. */
void sb_whitening_fold(const struct sb_whitening *whitening, float *new_weight, float *new_bias, const float *weight,
                       const float *bias, size_t in);

#endif
