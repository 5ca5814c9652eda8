/*
 * Sums in a fixed order that vectorises: eight running sums in double, then their sum from first to last.
 */
#ifndef SB_TRAINING_SUMS_IMPL_H
#define SB_TRAINING_SUMS_IMPL_H

#include <stddef.h>

/* sum of x[i]^2, i < n */
double sb_sum_squares(const float *x, size_t n);

/* sum of x[i] y[i], i < n */
double sb_sum_products(const double *x, const double *y, size_t n);

#endif
