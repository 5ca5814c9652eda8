#include "training/whitening.h"

#include "base/arena.h"
#include "training/eigen.h"
#include "training/sums_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A variance that is smaller than this part of the largest is rounding of the floats: scaled to 1 it would be noise. What
   LayerNorm gives has such a direction, because its numbers have a fixed sum. */
#define ROUNDING 1e-11

struct sb_whitening {
    size_t dimensions, kept; /* kept: of the last solve */
    size_t rows;             /* taken in so far */
    struct sb_arena arena;
    double *mean;            /* [d] */
    double *products;        /* [d, d], lower half: sums of (x - mean)(x - mean)^T */
    double *kernel;          /* [d, d]; the first `kept` rows count */
    double *values, *offset; /* [d]: eigenvalues; x - mean of the row in hand */
};

static void layout(struct sb_whitening *w)
{
    size_t d = w->dimensions;
    w->mean = sb_arena_take(&w->arena, d, sizeof *w->mean);
    w->values = sb_arena_take(&w->arena, d, sizeof *w->values);
    w->offset = sb_arena_take(&w->arena, d, sizeof *w->offset);
    w->products = sb_arena_take(&w->arena, d, d * sizeof *w->products);
    w->kernel = sb_arena_take(&w->arena, d, d * sizeof *w->kernel);
}

enum sb_status sb_whitening_new(struct sb_whitening **result, size_t dimensions, struct sb_error *error)
{
    *result = NULL;
    struct sb_whitening *whitening = calloc(1, sizeof *whitening);
    if (!whitening)
        return sb_fail(error, SB_NO_MEMORY, "whitening: no memory");
    whitening->dimensions = dimensions;
    layout(whitening);
    if (!sb_arena_commit(&whitening->arena)) {
        sb_whitening_free(whitening);
        return sb_fail(error, SB_NO_MEMORY, "whitening: no memory for a covariance of %zu dimensions", dimensions);
    }
    layout(whitening);
    *result = whitening;
    return SB_OK;
}

void sb_whitening_free(struct sb_whitening *whitening)
{
    if (!whitening)
        return;
    sb_arena_free(&whitening->arena);
    free(whitening);
}

/* Row n changes the sums about the mean by (n - 1) / n (x - mean)(x - mean)^T with the mean before it, and the mean by
   (x - mean) / n (Welford, 1962): no cancellation, however far the mean is from 0. */
void sb_whitening_add(struct sb_whitening *w, const float *vectors, size_t rows)
{
    size_t d = w->dimensions;
    for (size_t row = 0; row < rows; row++) {
        double n = (double)++w->rows, share = (n - 1) / n, *restrict offset = w->offset;
        for (size_t i = 0; i < d; i++) {
            offset[i] = (double)vectors[row * d + i] - w->mean[i];
            w->mean[i] += offset[i] / n;
        }
        for (size_t i = 0; i < d; i++) {
            double factor = share * offset[i], *restrict sums = w->products + i * d;
            for (size_t j = 0; j <= i; j++)
                sums[j] += factor * offset[j];
        }
    }
}

/* Eigenvector to row of K: divided by the root of its eigenvalue, the largest element positive. */
static void scale_row(double *row, size_t d, double value)
{
    double largest = 0;
    for (size_t i = 0; i < d; i++)
        if (fabs(row[i]) > fabs(largest))
            largest = row[i];
    double scale = copysign(1 / sqrt(value), largest);
    for (size_t i = 0; i < d; i++)
        row[i] *= scale;
}

enum sb_status sb_whitening_solve(struct sb_whitening *w, size_t kept, struct sb_error *error)
{
    size_t d = w->dimensions;
    if (kept < 1 || kept > d)
        return sb_fail(error, SB_INVALID, "whitening: %zu dimensions to keep, of %zu", kept, d);
    if (w->rows < 2)
        return sb_fail(error, SB_INVALID, "whitening: %zu vectors have no covariance", w->rows);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j <= i; j++)
            w->kernel[i * d + j] = w->kernel[j * d + i] = w->products[i * d + j] / (double)(w->rows - 1);
    enum sb_status status = sb_eigen(w->kernel, w->values, d, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "whitening");
    size_t spanned = 0;
    while (spanned < d && w->values[spanned] > w->values[0] * ROUNDING)
        spanned++;
    if (spanned < kept)
        return sb_fail(error, SB_INVALID, "whitening: the %zu vectors span %zu dimensions; %zu cannot be kept", w->rows,
                       spanned, kept);
    for (size_t i = 0; i < kept; i++)
        scale_row(w->kernel + i * d, d, w->values[i]);
    w->kept = kept;
    return SB_OK;
}

const double *sb_whitening_mean(const struct sb_whitening *whitening)
{
    return whitening->mean;
}

const double *sb_whitening_kernel(const struct sb_whitening *whitening)
{
    return whitening->kernel;
}

void sb_whitening_fold(const struct sb_whitening *w, float *new_weight, float *new_bias, const float *weight,
                       const float *bias, size_t in)
{
    size_t d = w->dimensions;
    for (size_t i = 0; i < w->kept; i++) {
        const double *kernel = w->kernel + i * d;
        double sum = 0;
        for (size_t k = 0; k < d; k++)
            sum += kernel[k] * ((double)bias[k] - w->mean[k]);
        new_bias[i] = (float)sum;
        for (size_t j = 0; j < in; j++) {
            sum = 0;
            for (size_t k = 0; k < d; k++)
                sum += kernel[k] * (double)weight[k * in + j];
            new_weight[i * in + j] = (float)sum;
        }
    }
}
