/* Whitening against numpy's, its folding, and the eigenvectors under it. */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/eigen.h"
#include "training/whitening.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 150, D = 12, SHOWN = 20 };

static struct sb_whitening *solved(const struct golden_tensors *t, size_t kept)
{
    struct sb_whitening *whitening;
    struct sb_error error;
    const float *vectors = golden_f32(t, "whitening/vectors", NULL);
    ck_assert_int_eq(sb_whitening_new(&whitening, D, NULL), SB_OK);
    sb_whitening_add(whitening, vectors, 100); /* in parts */
    sb_whitening_add(whitening, vectors + 100 * D, N - 100);
    ck_assert_msg(sb_whitening_solve(whitening, kept, &error) == SB_OK, "%s", error.message);
    return whitening;
}

/* Cosines of the first vectors, whitened by a folded pooler that was the identity. */
static void expect_similarities(const struct golden_tensors *t, size_t kept, const char *name)
{
    struct sb_whitening *whitening = solved(t, kept);
    float identity[D * D] = {0}, zero[D] = {0}, weight[D * D], bias[D];
    double y[SHOWN][D];
    const float *vectors = golden_f32(t, "whitening/vectors", NULL), *want = golden_f32(t, name, NULL);
    for (int i = 0; i < D; i++)
        identity[i * D + i] = 1;
    sb_whitening_fold(whitening, weight, bias, identity, zero, D);
    for (size_t row = 0; row < SHOWN; row++) {
        double squares = 0;
        for (size_t i = 0; i < kept; i++) {
            y[row][i] = (double)bias[i];
            for (size_t j = 0; j < D; j++)
                y[row][i] += (double)weight[i * D + j] * (double)vectors[row * D + j];
            squares += y[row][i] * y[row][i];
        }
        for (size_t i = 0; i < kept; i++)
            y[row][i] /= sqrt(squares);
    }
    for (size_t a = 0; a < SHOWN; a++)
        for (size_t b = 0; b < SHOWN; b++) {
            double cosine = 0;
            for (size_t i = 0; i < kept; i++)
                cosine += y[a][i] * y[b][i];
            ck_assert_double_eq_tol(cosine, (double)want[a * SHOWN + b], 1e-5);
        }
    sb_whitening_free(whitening);
}

START_TEST(against_numpy)
{
    struct golden_tensors t = golden_open("init/heads.safetensors");
    struct sb_whitening *whitening = solved(&t, D);
    const float *mean = golden_f32(&t, "whitening/mean", NULL);
    const float *want = golden_f32(&t, "whitening/kernel_up_to_column_sign", NULL); /* [in, out] */
    const double *kernel = sb_whitening_kernel(whitening);
    for (int i = 0; i < D; i++)
        ck_assert_double_eq_tol(sb_whitening_mean(whitening)[i], (double)mean[i], 1e-6);
    for (int i = 0; i < D; i++) {
        double largest = 0, sign = 1;
        for (int j = 0; j < D; j++)
            if (fabs(kernel[i * D + j]) > largest) {
                largest = kernel[i * D + j];
                sign = want[j * D + i] < 0 ? -1 : 1;
            }
        ck_assert_double_gt(largest, 0); /* the sign is ours to choose, and fixed */
        for (int j = 0; j < D; j++)
            ck_assert_double_eq_tol(kernel[i * D + j], sign * (double)want[j * D + i], 1e-5);
    }
    sb_whitening_free(whitening);
    expect_similarities(&t, D, "whitening/similarity_first20");
    expect_similarities(&t, 5, "whitening/similarity_first20_5_dimensions");
    golden_close(&t);
}
END_TEST

/* Fold(W, b) h = K (W h + b - mean), for a pooler that is no identity. */
START_TEST(folds_into_a_pooler)
{
    enum { IN = 7, KEPT = 4 };
    struct golden_tensors t = golden_open("init/heads.safetensors");
    struct sb_whitening *whitening = solved(&t, KEPT);
    float weight[D * IN], bias[D], new_weight[KEPT * IN], new_bias[KEPT], h[IN];
    for (int i = 0; i < D * IN; i++)
        weight[i] = (float)sin(i * 1.7);
    for (int i = 0; i < D; i++)
        bias[i] = (float)cos(i * 2.3);
    for (int i = 0; i < IN; i++)
        h[i] = (float)sin(5 + i);
    sb_whitening_fold(whitening, new_weight, new_bias, weight, bias, IN);
    double x[D];
    for (int i = 0; i < D; i++) {
        x[i] = (double)bias[i] - sb_whitening_mean(whitening)[i];
        for (int j = 0; j < IN; j++)
            x[i] += (double)weight[i * IN + j] * (double)h[j];
    }
    for (int i = 0; i < KEPT; i++) {
        double want = 0, got = (double)new_bias[i];
        for (int j = 0; j < D; j++)
            want += sb_whitening_kernel(whitening)[i * D + j] * x[j];
        for (int j = 0; j < IN; j++)
            got += (double)new_weight[i * IN + j] * (double)h[j];
        ck_assert_double_eq_tol(got, want, 1e-5);
    }
    sb_whitening_free(whitening);
    golden_close(&t);
}
END_TEST

START_TEST(refuses)
{
    struct sb_whitening *whitening;
    struct sb_error error;
    ck_assert_int_eq(sb_whitening_new(&whitening, 3, NULL), SB_OK);
    const float vectors[] = {1, 2, 0, 2, 4, 0, 3, 7, 0, -1, -2, 0}; /* the third dimension is constant */
    sb_whitening_add(whitening, vectors, 1);
    ck_assert_int_eq(sb_whitening_solve(whitening, 1, NULL), SB_INVALID);
    sb_whitening_add(whitening, vectors + 3, 3);
    ck_assert_int_eq(sb_whitening_solve(whitening, 0, NULL), SB_INVALID);
    ck_assert_int_eq(sb_whitening_solve(whitening, 4, NULL), SB_INVALID);
    ck_assert_int_eq(sb_whitening_solve(whitening, 2, NULL), SB_OK);
    ck_assert_int_eq(sb_whitening_solve(whitening, 3, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "span 2 dimensions"));
    sb_whitening_add(whitening, (const float[]){NAN, 0, 0}, 1);
    ck_assert_int_eq(sb_whitening_solve(whitening, 1, NULL), SB_INVALID);
    sb_whitening_free(whitening);
    sb_whitening_free(NULL);
    ck_assert_int_eq(sb_whitening_new(&whitening, SIZE_MAX / 2, NULL), SB_NO_MEMORY);
}
END_TEST

/* A = X^T X of random X[rank, n], put together again from its eigenvectors; 1 x 1 and rank-deficient ones too. */
static void check_eigen(size_t n, size_t rank)
{
    double *a = calloc(n * n, sizeof *a), *x = calloc(rank * n, sizeof *x), *vectors = calloc(n * n, sizeof *vectors);
    double *values = calloc(n, sizeof *values), trace = 0;
    uint32_t seed = (uint32_t)(n * 31 + rank);
    for (size_t i = 0; i < rank * n; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = ((double)(seed >> 8) / (1 << 24) - 0.5) / (double)(1 + i / n); /* eigenvalues of many sizes */
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < rank; k++)
                a[i * n + j] += x[k * n + i] * x[k * n + j];
    for (size_t i = 0; i < n; i++)
        trace += a[i * n + i];
    memcpy(vectors, a, n * n * sizeof *a);
    ck_assert_int_eq(sb_eigen(vectors, values, n, NULL), SB_OK);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || values[i] <= values[i - 1]);
        ck_assert_msg((values[i] > 0) == (i < rank), "%zu x %zu of rank %zu: value %zu is %g", n, n, rank, i,
                      values[i]);
        for (size_t j = 0; j < n; j++) {
            double product = 0, again = 0;
            for (size_t k = 0; k < n; k++) {
                product += vectors[i * n + k] * vectors[j * n + k];
                again += values[k] * vectors[k * n + i] * vectors[k * n + j];
            }
            ck_assert_double_eq_tol(product, i == j && i < rank ? 1 : 0, 1e-9);
            ck_assert_double_eq_tol(again, a[i * n + j], 1e-13 * trace);
        }
    }
    free(a);
    free(x);
    free(vectors);
    free(values);
}

START_TEST(eigenvectors)
{
    static const size_t cases[][2] = {{1, 1}, {2, 2}, {2, 1}, {7, 7}, {33, 33}, {33, 20}, {64, 64}, {100, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_eigen(cases[i][0], cases[i][1]);
    /* Rank 1 to rounding: what remains of the other rows has no direction and must be let be. */
    enum { ONES = 127 };
    double *ones = malloc(ONES * ONES * sizeof *ones), of_ones[ONES];
    for (size_t i = 0; i < ONES * ONES; i++)
        ones[i] = 1;
    ck_assert_int_eq(sb_eigen(ones, of_ones, ONES, NULL), SB_OK);
    ck_assert_double_eq_tol(of_ones[0], ONES, 1e-10);
    ck_assert(of_ones[1] == 0.0 && ones[ONES] == 0.0);
    free(ones);

    double identity[9] = {2, 0, 0, 0, 2, 0, 0, 0, 2}, zero[4] = {0}, values[3];
    ck_assert_int_eq(sb_eigen(identity, values, 3, NULL), SB_OK); /* equal eigenvalues */
    ck_assert(values[0] == 2.0 && values[2] == 2.0 && identity[4] == 1.0);
    ck_assert_int_eq(sb_eigen(zero, values, 2, NULL), SB_OK);
    ck_assert(values[0] == 0.0 && values[1] == 0.0);
    double infinite[1] = {(double)INFINITY};
    ck_assert_int_eq(sb_eigen(infinite, values, 1, NULL), SB_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/whitening");
    TCase *tests = tcase_create("whitening");
    tcase_add_test(tests, against_numpy);
    tcase_add_test(tests, folds_into_a_pooler);
    tcase_add_test(tests, refuses);
    tcase_add_test(tests, eigenvectors);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
