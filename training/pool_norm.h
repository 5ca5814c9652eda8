/*
 * Batch normalisation of sentence vectors (Ioffe and Szegedy, 2015), as a head that disappears: it is folded into the
 * pooler for inference.
 *
 *     sb_pool_norm_new(&norm, dimensions, max_rows, &error);
 *     sb_pool_norm_forward(norm, y, pooled, rows, gamma, beta, &error);         // statistics of this batch
 *     loss(y, dy);
 *     sb_pool_norm_backward(norm, dpooled, dy, gamma, dgamma, dbeta);
 *     ...
 *     sb_pool_norm_fold(norm, weight, bias, in, gamma, beta);                   // the running statistics, for good
 *
 * For each of the d dimensions, over the rows of a batch:
 *
 *     y = gamma (x - mean) / sqrt(variance + epsilon) + beta
 *     running += momentum (of the batch - running)
 *
 * Within a batch the variance is the mean of squares; the running one is of rows - 1, as torch has it. epsilon is 1e-5,
 * momentum .1. gamma and beta are parameters like any other: start them at 1 and 0. In an accumulated step each
 * micro-batch is a batch of its own here.
 *
 * Thread rule: one thread at a time for a norm.
 */
#ifndef SB_TRAINING_POOL_NORM_H
#define SB_TRAINING_POOL_NORM_H

#include "base/status.h"
#include "training/state.h"

struct sb_pool_norm;

/* Running mean 0 and variance 1. */
SB_MUST_CHECK enum sb_status sb_pool_norm_new(struct sb_pool_norm **norm, size_t dimensions, size_t max_rows,
                                              struct sb_error *error);
void sb_pool_norm_free(struct sb_pool_norm *norm);

/* y[rows, d] of x[rows, d], which may be y; moves the running statistics. SB_INVALID for less than 2 rows, SB_LIMIT
   for more than max_rows. */
SB_MUST_CHECK enum sb_status sb_pool_norm_forward(struct sb_pool_norm *norm, float *y, const float *x, size_t rows,
                                                  const float *gamma, const float *beta, struct sb_error *error);

/* Of the last forward: dx[rows, d] is stored and may be dy; dgamma[d] and dbeta[d] are added to. */
void sb_pool_norm_backward(struct sb_pool_norm *norm, float *dx, const float *dy, const float *gamma, float *dgamma,
                           float *dbeta);

/* y[rows, d] by the running statistics; y may be x. */
void sb_pool_norm_apply(const struct sb_pool_norm *norm, float *y, const float *x, size_t rows, const float *gamma,
                        const float *beta);

/* A linear pooler x = weight[d, in] h + bias[d] becomes one whose output is what apply makes of x. */
void sb_pool_norm_fold(const struct sb_pool_norm *norm, float *weight, float *bias, size_t in, const float *gamma,
                       const float *beta);

/* "pool_norm.mean" and "pool_norm.variance" (state.h). */
size_t sb_pool_norm_state(const struct sb_pool_norm *norm, const struct sb_state_array **arrays);

#endif
