/*
 * Every kernel in plain C: the formulas as they stand in the reference, one loop at a time. What the fast variants are tested
 * against, and what to read first.
 */
#include "kernels/plain_act.h"
#include "kernels/variants.h"

#include <math.h>

static void plain_activate(float *x, size_t n, enum sb_act act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = plain_act(x[i], act);
}

static void plain_layer_norm(float *y, const float *x, const float *gamma, const float *beta, float eps, size_t rows,
                             size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++)
            mean += x[i];
        mean /= (float)n;
        for (size_t i = 0; i < n; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        variance /= (float)n;
        float scale = 1.0f / sqrtf(variance + eps);
        for (size_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

static float plain_dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void plain_scores(float *scores, const float *matrix, size_t ld_matrix, size_t rows, const float *x, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        scores[i] = plain_dot(matrix + i * ld_matrix, x, n);
}

static void plain_log_sum_exp(float *largest, float *log_sum, const float *x, size_t n)
{
    float top = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += expf(x[i] - top);
    *largest = top;
    *log_sum = logf(sum);
}

/* x = softmax(x) */
static void softmax(float *x, size_t n)
{
    float largest, log_sum;
    plain_log_sum_exp(&largest, &log_sum, x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = expf(x[i] - largest - log_sum);
}

static void plain_attention_step(const struct sb_attention_step *a)
{
    float scale = 1.0f / sqrtf((float)a->key_size), *weights = a->scratch;
    for (size_t h = 0; h < a->heads; h++) {
        for (size_t j = 0; j < a->count; j++)
            weights[j] = scale * plain_dot(a->q + h * a->key_size, a->keys[j] + h * a->key_size, a->key_size);
        softmax(weights, a->count);
        for (size_t d = h * a->value_size; d < (h + 1) * a->value_size; d++) {
            float sum = 0;
            for (size_t j = 0; j < a->count; j++)
                sum += weights[j] * a->values[j][d];
            a->out[d] = sum;
        }
    }
}

static void plain_attention(const struct sb_attention *a)
{
    float scale = 1.0f / sqrtf((float)a->key_size), *weights = a->scratch;
    for (size_t h = 0; h < a->heads; h++) {
        for (size_t i = 0; i < a->queries; i++) {
            size_t visible = (size_t)a->visible[i];
            for (size_t j = 0; j < visible; j++)
                weights[j] = scale * plain_dot(a->q + i * a->ld_q + h * a->key_size,
                                               a->k + j * a->ld_k + h * a->key_size, a->key_size);
            softmax(weights, visible);
            for (size_t d = h * a->value_size; d < (h + 1) * a->value_size; d++) {
                float sum = 0;
                for (size_t j = 0; j < visible; j++)
                    sum += weights[j] * a->v[j * a->ld_v + d];
                a->out[i * a->ld_out + d] = sum;
            }
        }
    }
}

static bool always(void)
{
    return true;
}

const struct sb_kernels sb_kernels_plain = {
    .name = "plain",
    .runs_here = always,
    .layer_norm = plain_layer_norm,
    .activate = plain_activate,
    .attention = plain_attention,
    .attention_step = plain_attention_step,
    .dot = plain_dot,
    .scores = plain_scores,
    .log_sum_exp = plain_log_sum_exp,
    .training = &sb_training_plain,
};
