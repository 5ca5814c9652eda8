/* Batch-normalised sentence vectors against Keras, torch's running variance, and finite differences. */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/pool_norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, D = 12, IN = 10 };

static void expect_close(const float *got, const float *want, size_t count, double tolerance, const char *what)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= tolerance, "%s[%zu]: %.9g, not %.9g", what, i,
                      (double)got[i], (double)want[i]);
}

/* A norm with the golden file's running statistics. */
static struct sb_pool_norm *start(const struct golden_tensors *tensors)
{
    struct sb_pool_norm *norm;
    const struct sb_state_array *state;
    ck_assert_int_eq(sb_pool_norm_new(&norm, D, ROWS, NULL), SB_OK);
    ck_assert_uint_eq(sb_pool_norm_state(norm, &state), 2);
    ck_assert_uint_eq(state[0].count, D);
    ck_assert(state[0].values[0] == 0.0F && state[1].values[D - 1] == 1.0F);
    memcpy(state[0].values, golden_f32(tensors, "bn/running_mean", NULL), D * sizeof(float));
    memcpy(state[1].values, golden_f32(tensors, "bn/running_var", NULL), D * sizeof(float));
    return norm;
}

START_TEST(against_keras)
{
    struct golden_tensors t = golden_open("init/heads.safetensors");
    struct sb_pool_norm *norm = start(&t);
    const struct sb_state_array *state;
    const float *gamma = golden_f32(&t, "bn/gamma", NULL), *beta = golden_f32(&t, "bn/beta", NULL);
    const float *x = golden_f32(&t, "bn/x", NULL), *dy = golden_f32(&t, "bn/upstream", NULL);
    float y[ROWS * D], dx[ROWS * D], dgamma[D] = {0}, dbeta[D] = {0};
    ck_assert_int_eq(sb_pool_norm_forward(norm, y, x, ROWS, gamma, beta, NULL), SB_OK);
    expect_close(y, golden_f32(&t, "bn/train_out", NULL), ROWS * D, 1e-5, "train_out");
    sb_pool_norm_state(norm, &state);
    expect_close(state[0].values, golden_f32(&t, "bn/new_running_mean", NULL), D, 1e-6, "running mean");
    expect_close(state[1].values, golden_f32(&t, "bn/new_running_var_unbiased", NULL), D, 1e-6, "running variance");

    sb_pool_norm_backward(norm, dx, dy, gamma, dgamma, dbeta);
    expect_close(dx, golden_f32(&t, "bn/grad_x", NULL), ROWS * D, 1e-5, "grad_x");
    expect_close(dgamma, golden_f32(&t, "bn/grad_gamma", NULL), D, 1e-5, "grad_gamma");
    expect_close(dbeta, golden_f32(&t, "bn/grad_beta", NULL), D, 1e-5, "grad_beta");

    float in_place[ROWS * D], once[D];
    memcpy(in_place, dy, sizeof in_place);
    memcpy(once, dgamma, sizeof once);
    sb_pool_norm_backward(norm, in_place, in_place, gamma, dgamma, dbeta);
    ck_assert_mem_eq(in_place, dx, sizeof dx);
    for (int j = 0; j < D; j++)
        ck_assert(dgamma[j] == 2 * once[j]); /* added to */
    sb_pool_norm_free(norm);
    golden_close(&t);
}
END_TEST

/* Keras' inference and folding, which rest on its biased running variance. */
START_TEST(inference_and_folding)
{
    struct golden_tensors t = golden_open("init/heads.safetensors");
    struct sb_pool_norm *norm = start(&t);
    const struct sb_state_array *state;
    sb_pool_norm_state(norm, &state);
    memcpy(state[0].values, golden_f32(&t, "bn/new_running_mean", NULL), D * sizeof(float));
    memcpy(state[1].values, golden_f32(&t, "bn/new_running_var_biased", NULL), D * sizeof(float));
    const float *gamma = golden_f32(&t, "bn/gamma", NULL), *beta = golden_f32(&t, "bn/beta", NULL);
    float y[ROWS * D], weight[D * IN], bias[D];
    sb_pool_norm_apply(norm, y, golden_f32(&t, "bn/x", NULL), ROWS, gamma, beta);
    expect_close(y, golden_f32(&t, "bn/inference_out", NULL), ROWS * D, 1e-5, "inference_out");

    const float *kernel = golden_f32(&t, "bn/pooler_kernel", NULL), *folded = golden_f32(&t, "bn/folded_kernel", NULL);
    memcpy(bias, golden_f32(&t, "bn/pooler_bias", NULL), sizeof bias);
    for (int i = 0; i < IN; i++) /* theirs is [in, out] */
        for (int j = 0; j < D; j++)
            weight[j * IN + i] = kernel[i * D + j];
    sb_pool_norm_fold(norm, weight, bias, IN, gamma, beta);
    for (int i = 0; i < IN; i++)
        for (int j = 0; j < D; j++)
            expect_close(&weight[j * IN + i], &folded[i * D + j], 1, 1e-6, "folded_kernel");
    expect_close(bias, golden_f32(&t, "bn/folded_bias", NULL), D, 1e-6, "folded_bias");
    sb_pool_norm_free(norm);
    golden_close(&t);
}
END_TEST

/* The scalar of the finite differences: sum of y * upstream */
static double scalar(struct sb_pool_norm *norm, const float *x, const float *gamma, const float *beta, const float *dy)
{
    float y[ROWS * D];
    double sum = 0;
    ck_assert_int_eq(sb_pool_norm_forward(norm, y, x, ROWS, gamma, beta, NULL), SB_OK);
    for (int i = 0; i < ROWS * D; i++)
        sum += (double)y[i] * (double)dy[i];
    return sum;
}

static double slope(struct sb_pool_norm *norm, float *variable, const float *x, const float *gamma, const float *beta,
                    const float *dy)
{
    float kept = *variable, step = 0.01F;
    *variable = kept + step;
    double high = scalar(norm, x, gamma, beta, dy), width = (double)*variable;
    *variable = kept - step;
    double low = scalar(norm, x, gamma, beta, dy);
    width -= (double)*variable;
    *variable = kept;
    return (high - low) / width;
}

START_TEST(finite_differences)
{
    struct golden_tensors t = golden_open("init/heads.safetensors");
    struct sb_pool_norm *norm = start(&t);
    float x[ROWS * D], gamma[D], beta[D], dx[ROWS * D], dgamma[D] = {0}, dbeta[D] = {0};
    const float *dy = golden_f32(&t, "bn/upstream", NULL);
    memcpy(x, golden_f32(&t, "bn/x", NULL), sizeof x);
    memcpy(gamma, golden_f32(&t, "bn/gamma", NULL), sizeof gamma);
    memcpy(beta, golden_f32(&t, "bn/beta", NULL), sizeof beta);
    scalar(norm, x, gamma, beta, dy);
    sb_pool_norm_backward(norm, dx, dy, gamma, dgamma, dbeta);
    for (int i = 0; i < ROWS * D; i++)
        ck_assert_double_eq_tol(slope(norm, &x[i], x, gamma, beta, dy), (double)dx[i], 1e-3);
    for (int j = 0; j < D; j++) {
        ck_assert_double_eq_tol(slope(norm, &gamma[j], x, gamma, beta, dy), (double)dgamma[j], 1e-3);
        ck_assert_double_eq_tol(slope(norm, &beta[j], x, gamma, beta, dy), (double)dbeta[j], 1e-3);
    }
    sb_pool_norm_free(norm);
    golden_close(&t);
}
END_TEST

START_TEST(refuses)
{
    struct sb_pool_norm *norm;
    float x[3] = {1, 2, 3}, y[3], one = 1, zero = 0;
    ck_assert_int_eq(sb_pool_norm_new(&norm, 1, 2, NULL), SB_OK);
    ck_assert_int_eq(sb_pool_norm_forward(norm, y, x, 1, &one, &zero, NULL), SB_INVALID);
    ck_assert_int_eq(sb_pool_norm_forward(norm, y, x, 3, &one, &zero, NULL), SB_LIMIT);
    ck_assert_int_eq(sb_pool_norm_forward(norm, x, x, 2, &one, &zero, NULL), SB_OK); /* in place */
    ck_assert_double_eq_tol((double)x[1], 1, 1e-4);
    sb_pool_norm_free(norm);
    sb_pool_norm_free(NULL);
    ck_assert_int_eq(sb_pool_norm_new(&norm, SIZE_MAX / 2, 2, NULL), SB_NO_MEMORY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/pool_norm");
    TCase *tests = tcase_create("pool_norm");
    tcase_add_test(tests, against_keras);
    tcase_add_test(tests, inference_and_folding);
    tcase_add_test(tests, finite_differences);
    tcase_add_test(tests, refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
