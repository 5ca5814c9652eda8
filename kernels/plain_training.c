/*
 * What only training needs, in plain C: the formulas one loop at a time, and what the fast variants are tested against.
 */
#include "kernels/plain_act.h"
#include "kernels/variants.h"

#include <math.h>

static void plain_matmul(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t rows,
                         size_t depth, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float sum = 0;
            for (size_t p = 0; p < depth; p++)
                sum += a[i * ld_a + p] * b[p * ld_b + j];
            c[i * ld_c + j] = sum;
        }
}

static void plain_transpose(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[j * ld_to + i] = from[i * ld_from + j];
}

static void plain_softmax(float *x, size_t n, float scale)
{
    float top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = fmaxf(top, x[i] * scale);
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] * scale - top);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void plain_softmax_backward(float *dx, const float *p, const float *dp, size_t n, float scale)
{
    float mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += p[i] * dp[i];
    for (size_t i = 0; i < n; i++)
        dx[i] = scale * p[i] * (dp[i] - mean);
}

static void plain_exp_scale(float *x, size_t n, float shift, float scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = expf(x[i] - shift) * scale;
}

static void plain_activate_backward(float *dx, const float *x, size_t n, enum sb_act act)
{
    for (size_t i = 0; i < n; i++)
        dx[i] *= plain_act_slope(x[i], act);
}

static void mean_and_inverse_deviation(float *mean, float *inverse, const float *x, float eps, size_t n)
{
    float sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / (float)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *inverse = 1.0f / sqrtf(squares / (float)n + eps);
}

/* With h = (x - mean) * inverse and g = dy * gamma: dx = inverse * (g - mean(g) - h * mean(g * h)). */
static void plain_layer_norm_backward(float *dx, const float *dy, const float *x, const float *gamma, float eps,
                                      size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, dx += n, dy += n, x += n) {
        float mean, inverse, mean_g = 0, mean_gh = 0;
        mean_and_inverse_deviation(&mean, &inverse, x, eps, n);
        for (size_t i = 0; i < n; i++) {
            mean_g += dy[i] * gamma[i];
            mean_gh += dy[i] * gamma[i] * ((x[i] - mean) * inverse);
        }
        mean_g /= (float)n;
        mean_gh /= (float)n;
        for (size_t i = 0; i < n; i++)
            dx[i] = inverse * (dy[i] * gamma[i] - mean_g - (x[i] - mean) * inverse * mean_gh);
    }
}

static void plain_layer_norm_gradients(float *dgamma, float *dbeta, const float *dy, const float *x, float eps,
                                       size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, dy += n, x += n) {
        float mean, inverse;
        mean_and_inverse_deviation(&mean, &inverse, x, eps, n);
        for (size_t i = 0; i < n; i++) {
            dgamma[i] += dy[i] * ((x[i] - mean) * inverse);
            dbeta[i] += dy[i];
        }
    }
}

static void plain_add_rows(float *sum, const float *x, size_t ld_x, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            sum[i] += x[r * ld_x + i];
}

static void plain_add_scaled(float *y, const float *x, float scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += scale * x[i];
}

const struct sb_training_kernels sb_training_plain = {
    .matmul = plain_matmul,
    .transpose = plain_transpose,
    .softmax = plain_softmax,
    .softmax_backward = plain_softmax_backward,
    .exp_scale = plain_exp_scale,
    .activate_backward = plain_activate_backward,
    .layer_norm_backward = plain_layer_norm_backward,
    .layer_norm_gradients = plain_layer_norm_gradients,
    .add_rows = plain_add_rows,
    .add_scaled = plain_add_scaled,
};
