/*
 * Eigenvalues and eigenvectors of a symmetric matrix without negative eigenvalues, such as a covariance.
 *
 *     sb_eigen(covariance, values, n, &error);        // covariance = sum over i of values[i] vectors[i]^T vectors[i]
 *
 * One-sided Jacobi rotations (Hestenes, 1958) in double. Slower than a reduction to tridiagonal form, but a page of
 * code whose result is the same on every machine, without LAPACK, which not every OpenBLAS holds; 512 x 512 takes
 * seconds, once a whitening. Rows stay contiguous, so it vectorises.
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_EIGEN_H
#define SB_TRAINING_EIGEN_H

#include "base/status.h"

#include <stddef.h>

/* matrix[n, n] becomes the eigenvectors, one a row, each of norm 1 or, where the eigenvalue is 0 to rounding, 0;
   values[n] the eigenvalues, falling. SB_INVALID when the matrix holds a NaN or infinity. */
SB_MUST_CHECK enum sb_status sb_eigen(double *matrix, double *values, size_t n, struct sb_error *error);

#endif
