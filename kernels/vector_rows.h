/*
 * Kernels that walk one row at a time: dot products, LayerNorm, softmax, activations.
 *
 * Error bounds (tests/unit/kernels/test_math.c measures them against double precision, on rows of up to the lengths named):
 * softmax, to 512: a probability 8e-7 (1 + (largest - x) / 8) relative; the second part is the rounding of x - largest.
 * LayerNorm, to 4096: 6e-7 (1 + |mean| / deviation) absolute, before gamma and beta; what the values have in common cancels.
 * log_sum_exp, to 21,128: 5e-6 relative, absolute below 1.
 */
#ifndef SB_KERNELS_VECTOR_ROWS_H
#define SB_KERNELS_VECTOR_ROWS_H

#include "kernels/vector_softmax.h"

#include <float.h>
#include <math.h>

/* Four chains of sums hide the latency of the multiply-add. */
static float vector_dot(const float *a, const float *b, size_t n)
{
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    size_t i = 0;
    for (; i + 4 * SB_LANES <= n; i += 4 * SB_LANES) {
        s0 += vec_load(a + i) * vec_load(b + i);
        s1 += vec_load(a + i + SB_LANES) * vec_load(b + i + SB_LANES);
        s2 += vec_load(a + i + 2 * SB_LANES) * vec_load(b + i + 2 * SB_LANES);
        s3 += vec_load(a + i + 3 * SB_LANES) * vec_load(b + i + 3 * SB_LANES);
    }
    for (; i + SB_LANES <= n; i += SB_LANES)
        s0 += vec_load(a + i) * vec_load(b + i);
    if (i < n)
        s1 += vec_load_part(a + i, n - i) * vec_load_part(b + i, n - i);
    return vec_sum((s0 + s1) + (s2 + s3));
}

static void vector_scores(float *scores, const float *matrix, size_t ld_matrix, size_t rows, const float *x, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        scores[i] = vector_dot(matrix + i * ld_matrix, x, n);
}

static float row_sum(const float *x, size_t n)
{
    vec sum = {0};
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        sum += vec_load(x + i);
    if (i < n)
        sum += vec_load_part(x + i, n - i);
    return vec_sum(sum);
}

static float row_squared_distance(const float *x, float mean, size_t n)
{
    vec sum = {0};
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES) {
        vec d = vec_load(x + i) - mean;
        sum += d * d;
    }
    float total = vec_sum(sum);
    for (; i < n; i++)
        total += (x[i] - mean) * (x[i] - mean);
    return total;
}

SB_INLINE void row_statistics(float *mean, float *inverse_deviation, const float *x, float eps, size_t n)
{
    *mean = row_sum(x, n) / (float)n;
    *inverse_deviation = 1.0f / sqrtf(row_squared_distance(x, *mean, n) / (float)n + eps);
}

static void vector_layer_norm(float *y, const float *x, const float *gamma, const float *beta, float eps, size_t rows,
                              size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float mean, scale;
        row_statistics(&mean, &scale, x, eps, n);
        size_t i = 0;
        for (; i + SB_LANES <= n; i += SB_LANES)
            vec_store(y + i, (vec_load(x + i) - mean) * scale * vec_load(gamma + i) + vec_load(beta + i));
        for (; i < n; i++)
            y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

static void vector_activate(float *x, size_t n, enum sb_act act)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        vec_store(x + i, vec_activate(vec_load(x + i), act));
    if (i < n)
        vec_store_part(x + i, vec_activate(vec_load_part(x + i, n - i), act), n - i);
}

static float row_largest(const float *x, size_t n)
{
    float best = -FLT_MAX;
    size_t i = 0;
    if (n >= SB_LANES) {
        vec top = vec_load(x);
        for (i = SB_LANES; i + SB_LANES <= n; i += SB_LANES)
            top = vec_max(top, vec_load(x + i));
        best = vec_largest(top);
    }
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

static void vector_log_sum_exp(float *largest, float *log_sum, const float *x, size_t n)
{
    float top = row_largest(x, n);
    vec sum = {0};
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        sum += vec_exp(vec_load(x + i) - top);
    float total = vec_sum(sum);
    if (i < n) {
        vec e = vec_exp(vec_load_part(x + i, n - i) - top);
        for (size_t j = 0; j < n - i; j++)
            total += e[j];
    }
    *largest = top;
    *log_sum = logf(total);
}

#endif
