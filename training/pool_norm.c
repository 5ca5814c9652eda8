#include "training/pool_norm.h"

#include "base/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EPSILON = 1e-5, MOMENTUM = 0.1;

struct sb_pool_norm {
    size_t dimensions, max_rows, rows; /* rows: of the last forward */
    struct sb_arena arena;
    float *mean, *variance;         /* [d], running */
    float *normalised;              /* [max_rows, d], before gamma and beta */
    double *batch_mean, *batch_std; /* [d]; std with epsilon */
    double *sums, *products;        /* [d], scratch */
    struct sb_state_array arrays[2];
};

static void layout(struct sb_pool_norm *norm)
{
    size_t d = norm->dimensions;
    norm->mean = sb_arena_take(&norm->arena, d, sizeof *norm->mean);
    norm->variance = sb_arena_take(&norm->arena, d, sizeof *norm->variance);
    norm->batch_mean = sb_arena_take(&norm->arena, d, sizeof *norm->batch_mean);
    norm->batch_std = sb_arena_take(&norm->arena, d, sizeof *norm->batch_std);
    norm->sums = sb_arena_take(&norm->arena, d, sizeof *norm->sums);
    norm->products = sb_arena_take(&norm->arena, d, sizeof *norm->products);
    norm->normalised = sb_arena_take(&norm->arena, norm->max_rows, d * sizeof *norm->normalised);
}

enum sb_status sb_pool_norm_new(struct sb_pool_norm **result, size_t dimensions, size_t max_rows,
                                struct sb_error *error)
{
    *result = NULL;
    struct sb_pool_norm *norm = calloc(1, sizeof *norm);
    if (!norm)
        return sb_fail(error, SB_NO_MEMORY, "pool norm: no memory");
    norm->dimensions = dimensions;
    norm->max_rows = max_rows;
    layout(norm);
    if (!sb_arena_commit(&norm->arena)) {
        sb_pool_norm_free(norm);
        return sb_fail(error, SB_NO_MEMORY, "pool norm: no memory for %zu rows of %zu dimensions", max_rows,
                       dimensions);
    }
    layout(norm);
    for (size_t j = 0; j < dimensions; j++)
        norm->variance[j] = 1;
    norm->arrays[0] = (struct sb_state_array){"pool_norm.mean", norm->mean, dimensions};
    norm->arrays[1] = (struct sb_state_array){"pool_norm.variance", norm->variance, dimensions};
    *result = norm;
    return SB_OK;
}

void sb_pool_norm_free(struct sb_pool_norm *norm)
{
    if (!norm)
        return;
    sb_arena_free(&norm->arena);
    free(norm);
}

/* Mean and variance of the batch, in two passes over it. */
static void measure(struct sb_pool_norm *norm, const float *x, size_t rows)
{
    size_t d = norm->dimensions;
    double *sums = norm->sums, *squares = norm->products, *mean = norm->batch_mean;
    memset(sums, 0, d * sizeof *sums);
    memset(squares, 0, d * sizeof *squares);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < d; j++)
            sums[j] += (double)x[i * d + j];
    for (size_t j = 0; j < d; j++)
        mean[j] = sums[j] / (double)rows;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < d; j++) {
            double from_mean = (double)x[i * d + j] - mean[j];
            squares[j] += from_mean * from_mean;
        }
    }
    for (size_t j = 0; j < d; j++) {
        double running_mean = (double)norm->mean[j], running_variance = (double)norm->variance[j];
        norm->batch_std[j] = sqrt(squares[j] / (double)rows + EPSILON);
        norm->mean[j] = (float)(running_mean + MOMENTUM * (mean[j] - running_mean));
        norm->variance[j] = (float)(running_variance + MOMENTUM * (squares[j] / (double)(rows - 1) - running_variance));
    }
}

enum sb_status sb_pool_norm_forward(struct sb_pool_norm *norm, float *y, const float *x, size_t rows,
                                    const float *gamma, const float *beta, struct sb_error *error)
{
    if (rows < 2)
        return sb_fail(error, SB_INVALID, "batch normalisation of sentence vectors needs 2 rows, not %zu", rows);
    if (rows > norm->max_rows)
        return sb_fail(error, SB_LIMIT, "batch normalisation: %zu rows, made for %zu", rows, norm->max_rows);
    size_t d = norm->dimensions;
    norm->rows = rows;
    measure(norm, x, rows);
    for (size_t i = 0; i < rows; i++) {
        float *normalised = norm->normalised + i * d;
        for (size_t j = 0; j < d; j++) {
            normalised[j] = (float)(((double)x[i * d + j] - norm->batch_mean[j]) / norm->batch_std[j]);
            y[i * d + j] = gamma[j] * normalised[j] + beta[j];
        }
    }
    return SB_OK;
}

/* With z the normalised x: dx = gamma / std (dy - mean(dy) - z mean(dy z)), means over the rows. */
void sb_pool_norm_backward(struct sb_pool_norm *norm, float *dx, const float *dy, const float *gamma, float *dgamma,
                           float *dbeta)
{
    size_t d = norm->dimensions, rows = norm->rows;
    double *sums = norm->sums, *products = norm->products;
    const float *z = norm->normalised;
    memset(sums, 0, d * sizeof *sums);
    memset(products, 0, d * sizeof *products);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < d; j++) {
            sums[j] += (double)dy[i * d + j];
            products[j] += (double)dy[i * d + j] * (double)z[i * d + j];
        }
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < d; j++) {
            double centred = (double)dy[i * d + j] - (sums[j] + (double)z[i * d + j] * products[j]) / (double)rows;
            dx[i * d + j] = (float)((double)gamma[j] / norm->batch_std[j] * centred);
        }
    }
    for (size_t j = 0; j < d; j++) {
        dgamma[j] += (float)products[j];
        dbeta[j] += (float)sums[j];
    }
}

/* By the running statistics, dimension j of y is factor * x + what is left of beta. */
static double running_factor(const struct sb_pool_norm *norm, size_t j, const float *gamma)
{
    return (double)gamma[j] / sqrt((double)norm->variance[j] + EPSILON);
}

void sb_pool_norm_apply(const struct sb_pool_norm *norm, float *y, const float *x, size_t rows, const float *gamma,
                        const float *beta)
{
    size_t d = norm->dimensions;
    for (size_t j = 0; j < d; j++) {
        double factor = running_factor(norm, j, gamma);
        for (size_t i = 0; i < rows; i++)
            y[i * d + j] = (float)(factor * ((double)x[i * d + j] - (double)norm->mean[j]) + (double)beta[j]);
    }
}

void sb_pool_norm_fold(const struct sb_pool_norm *norm, float *weight, float *bias, size_t in, const float *gamma,
                       const float *beta)
{
    for (size_t j = 0; j < norm->dimensions; j++) {
        double factor = running_factor(norm, j, gamma);
        for (size_t i = 0; i < in; i++)
            weight[j * in + i] = (float)(factor * (double)weight[j * in + i]);
        bias[j] = (float)(factor * ((double)bias[j] - (double)norm->mean[j]) + (double)beta[j]);
    }
}

size_t sb_pool_norm_state(const struct sb_pool_norm *norm, const struct sb_state_array **arrays)
{
    *arrays = norm->arrays;
    return 2;
}
