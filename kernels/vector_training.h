/*
 * What only training needs (kernels/training_kernels.h), at the vector width of the including variant. A loop's body is a
 * function of `lanes`: SB_LANES, a constant after inlining, for whole vectors, and what is left over for the last one.
 */
#ifndef SB_KERNELS_VECTOR_TRAINING_H
#define SB_KERNELS_VECTOR_TRAINING_H

#include "kernels/training_kernels.h"
#include "kernels/vector_rows.h"
#include "kernels/vector_tile.h"
#include "kernels/vector_transpose.h"

static void vector_matmul(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t rows,
                          size_t depth, size_t columns)
{
    size_t whole = columns / SB_LANES * SB_LANES;
    for (size_t j = 0, width; j < columns; j += width) {
        width = j == whole ? columns - whole : whole - j < SB_TILE_COLUMNS ? whole - j : SB_TILE_COLUMNS;
        for (size_t i = 0; i < rows; i += SB_TILE_ROWS) {
            size_t height = rows - i < SB_TILE_ROWS ? rows - i : SB_TILE_ROWS;
            (j == whole ? tile_last_columns : tile)(c + i * ld_c + j, ld_c, a + i * ld_a, ld_a, b + j, ld_b, depth,
                                                    height, width);
        }
    }
}

/* Lanes past the row's end take no part: -FLT_MAX gives probability 0. */
static void vector_softmax(float *x, size_t n, float scale)
{
    size_t whole = n / SB_LANES * SB_LANES, rest = n - whole;
    vec last = vec_set(-FLT_MAX), total = {0};
    if (rest)
        last = vec_select(vec_first_lanes(rest), vec_load_part(x + whole, rest) * scale, last);
    vec top = last;
    for (size_t i = 0; i < whole; i += SB_LANES)
        top = vec_max(top, vec_load(x + i) * scale);
    float largest = vec_largest(top);
    for (size_t i = 0; i < whole; i += SB_LANES) {
        vec e = vec_exp(vec_load(x + i) * scale - largest);
        vec_store(x + i, e);
        total += e;
    }
    last = vec_exp(last - largest);
    float inverse = 1.0f / vec_sum(total + last);
    for (size_t i = 0; i < whole; i += SB_LANES)
        vec_store(x + i, vec_load(x + i) * inverse);
    if (rest)
        vec_store_part(x + whole, last * inverse, rest);
}

SB_INLINE void softmax_backward_lanes(float *dx, const float *p, const float *dp, float mean, float scale, size_t lanes)
{
    vec_store_lanes(dx, scale * vec_load_lanes(p, lanes) * (vec_load_lanes(dp, lanes) - mean), lanes);
}

static void vector_softmax_backward(float *dx, const float *p, const float *dp, size_t n, float scale)
{
    float mean = vector_dot(p, dp, n);
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        softmax_backward_lanes(dx + i, p + i, dp + i, mean, scale, SB_LANES);
    if (i < n)
        softmax_backward_lanes(dx + i, p + i, dp + i, mean, scale, n - i);
}

SB_INLINE void exp_scale_lanes(float *x, float shift, float scale, size_t lanes)
{
    vec_store_lanes(x, vec_exp(vec_load_lanes(x, lanes) - shift) * scale, lanes);
}

static void vector_exp_scale(float *x, size_t n, float shift, float scale)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        exp_scale_lanes(x + i, shift, scale, SB_LANES);
    if (i < n)
        exp_scale_lanes(x + i, shift, scale, n - i);
}

/* Phi(x) + x phi(x): the normal distribution, by its tail on either side of 0, and its density. */
SB_INLINE vec vec_gelu_slope(vec x)
{
    vec bell = vec_exp(-0.5f * x * x);
    vec tail = 0.5f * vec_scaled_erfc(vec_abs(x) * 0.70710678f) * bell;
    return vec_select(x > vec_set(0), 1.0f - tail, tail) + 0.39894228f * x * bell;
}

/* With s = (1 + tanh(u)) / 2 = sigmoid(2u): gelu = x s, gelu' = s + x 2u' s (1 - s). */
SB_INLINE vec vec_gelu_tanh_slope(vec x)
{
    vec s = vec_sigmoid(1.5957691f * (x + 0.044715f * x * x * x));
    return s + x * (1.5957691f + 0.21406444f * x * x) * (s * (1.0f - s));
}

/* act'(x) */
SB_INLINE vec vec_slope(vec x, enum sb_act act)
{
    vec s;
    switch (act) {
    case SB_ACT_GELU: return vec_gelu_slope(x);
    case SB_ACT_GELU_TANH: return vec_gelu_tanh_slope(x);
    case SB_ACT_RELU: return vec_select(x > vec_set(0), vec_set(1), vec_set(0));
    case SB_ACT_SWISH: s = vec_sigmoid(x); return s + x * (s * (1.0f - s));
    case SB_ACT_TANH: s = vec_tanh(x); return 1.0f - s * s;
    case SB_ACT_NONE: break;
    }
    return vec_set(1);
}

SB_INLINE void activate_backward_lanes(float *dx, const float *x, enum sb_act act, size_t lanes)
{
    vec_store_lanes(dx, vec_load_lanes(dx, lanes) * vec_slope(vec_load_lanes(x, lanes), act), lanes);
}

static void vector_activate_backward(float *dx, const float *x, size_t n, enum sb_act act)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        activate_backward_lanes(dx + i, x + i, act, SB_LANES);
    if (i < n)
        activate_backward_lanes(dx + i, x + i, act, n - i);
}

/* sums of g = dy * gamma and of g * h, h = (x - mean) * inverse */
SB_INLINE void norm_sums_lanes(vec *sum_g, vec *sum_gh, const float *dy, const float *x, const float *gamma, float mean,
                               float inverse, size_t lanes)
{
    vec g = vec_load_lanes(dy, lanes) * vec_load_lanes(gamma, lanes);
    *sum_g += g;
    *sum_gh += g * ((vec_load_lanes(x, lanes) - mean) * inverse);
}

SB_INLINE void norm_backward_lanes(float *dx, const float *dy, const float *x, const float *gamma, float mean,
                                   float inverse, float mean_g, float mean_gh, size_t lanes)
{
    vec g = vec_load_lanes(dy, lanes) * vec_load_lanes(gamma, lanes);
    vec h = (vec_load_lanes(x, lanes) - mean) * inverse;
    vec_store_lanes(dx, inverse * (g - mean_g - h * mean_gh), lanes);
}

/* dx = inverse * (g - mean(g) - h * mean(g * h)) */
static void vector_layer_norm_backward(float *dx, const float *dy, const float *x, const float *gamma, float eps,
                                       size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, dx += n, dy += n, x += n) {
        float mean, inverse;
        row_statistics(&mean, &inverse, x, eps, n);
        vec sum_g = {0}, sum_gh = {0};
        size_t i = 0;
        for (; i + SB_LANES <= n; i += SB_LANES)
            norm_sums_lanes(&sum_g, &sum_gh, dy + i, x + i, gamma + i, mean, inverse, SB_LANES);
        if (i < n)
            norm_sums_lanes(&sum_g, &sum_gh, dy + i, x + i, gamma + i, mean, inverse, n - i);
        float mean_g = vec_sum(sum_g) / (float)n, mean_gh = vec_sum(sum_gh) / (float)n;
        for (i = 0; i + SB_LANES <= n; i += SB_LANES)
            norm_backward_lanes(dx + i, dy + i, x + i, gamma + i, mean, inverse, mean_g, mean_gh, SB_LANES);
        if (i < n)
            norm_backward_lanes(dx + i, dy + i, x + i, gamma + i, mean, inverse, mean_g, mean_gh, n - i);
    }
}

SB_INLINE void norm_gradients_lanes(float *dgamma, float *dbeta, const float *dy, const float *x, float mean,
                                    float inverse, size_t lanes)
{
    vec d = vec_load_lanes(dy, lanes), h = (vec_load_lanes(x, lanes) - mean) * inverse;
    vec_store_lanes(dgamma, vec_load_lanes(dgamma, lanes) + d * h, lanes);
    vec_store_lanes(dbeta, vec_load_lanes(dbeta, lanes) + d, lanes);
}

static void vector_layer_norm_gradients(float *dgamma, float *dbeta, const float *dy, const float *x, float eps,
                                        size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, dy += n, x += n) {
        float mean, inverse;
        row_statistics(&mean, &inverse, x, eps, n);
        size_t i = 0;
        for (; i + SB_LANES <= n; i += SB_LANES)
            norm_gradients_lanes(dgamma + i, dbeta + i, dy + i, x + i, mean, inverse, SB_LANES);
        if (i < n)
            norm_gradients_lanes(dgamma + i, dbeta + i, dy + i, x + i, mean, inverse, n - i);
    }
}

SB_INLINE void add_rows_lanes(float *sum, const float *x, size_t ld_x, const size_t rows, size_t lanes)
{
    vec total = vec_load_lanes(sum, lanes);
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++)
        total += vec_load_lanes(x + r * ld_x, lanes);
    vec_store_lanes(sum, total, lanes);
}

/* Several rows at a time, one after the other, spare reading and writing the sums. */
SB_INLINE void add_some_rows(float *sum, const float *x, size_t ld_x, const size_t rows, size_t n)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        add_rows_lanes(sum + i, x + i, ld_x, rows, SB_LANES);
    if (i < n)
        add_rows_lanes(sum + i, x + i, ld_x, rows, n - i);
}

static void vector_add_rows(float *sum, const float *x, size_t ld_x, size_t rows, size_t n)
{
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        add_some_rows(sum, x + r * ld_x, ld_x, 4, n);
    for (; r < rows; r++)
        add_some_rows(sum, x + r * ld_x, ld_x, 1, n);
}

SB_INLINE void add_scaled_lanes(float *y, const float *x, float scale, size_t lanes)
{
    vec_store_lanes(y, vec_load_lanes(y, lanes) + scale * vec_load_lanes(x, lanes), lanes);
}

static void vector_add_scaled(float *y, const float *x, float scale, size_t n)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        add_scaled_lanes(y + i, x + i, scale, SB_LANES);
    if (i < n)
        add_scaled_lanes(y + i, x + i, scale, n - i);
}

static const struct sb_training_kernels vector_training = {
    .matmul = vector_matmul,
    .transpose = vector_transpose,
    .softmax = vector_softmax,
    .softmax_backward = vector_softmax_backward,
    .exp_scale = vector_exp_scale,
    .activate_backward = vector_activate_backward,
    .layer_norm_backward = vector_layer_norm_backward,
    .layer_norm_gradients = vector_layer_norm_gradients,
    .add_rows = vector_add_rows,
    .add_scaled = vector_add_scaled,
};

#endif
