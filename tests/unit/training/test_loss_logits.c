/*
 * Losses on rows of logits, with every kernel variant: values against double arithmetic, gradients against the formulas
 * and against central differences of the values, chunks that make no difference.
 */
#include "base/random.h"
#include "tests/unit/support.h"
#include "training/loss_logits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 5, VOCAB = 1037 };
static const int32_t labels[ROWS] = {0, 1036, 17, 500, 17};

static float *make(uint64_t seed, double spread)
{
    float *x = malloc(ROWS * VOCAB * sizeof *x);
    for (size_t i = 0; i < ROWS * VOCAB; i++)
        x[i] = (float)(spread * sb_random_normal(seed, 0, i));
    return x;
}

static double log_sum_exp(const float *x)
{
    double largest = (double)x[0], sum = 0;
    for (size_t i = 0; i < VOCAB; i++)
        largest = fmax(largest, (double)x[i]);
    for (size_t i = 0; i < VOCAB; i++)
        sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

/* ---- cross entropy ---- */

static struct sb_cross_entropy entropy(const struct sb_kernels *kernels, double smoothing)
{
    return (struct sb_cross_entropy){.kernels = kernels,
                                     .vocab_size = VOCAB,
                                     .labels = labels,
                                     .normaliser = 7,
                                     .weight = 2,
                                     .smoothing = smoothing};
}

/* Target probability of token i. */
static double target(int32_t label, size_t i, double smoothing)
{
    return smoothing / VOCAB + (i == (size_t)label ? 1 - smoothing : 0);
}

static void check_cross_entropy(const struct sb_kernels *kernels, double smoothing)
{
    float *x = make(1, 6), *dx = make(1, 6);
    struct sb_cross_entropy loss = entropy(kernels, smoothing);
    sb_cross_entropy(&loss, dx, 0, 2);
    sb_cross_entropy(&loss, dx + 2 * VOCAB, 2, ROWS - 2);
    double value = 0;
    for (size_t r = 0; r < ROWS; r++) {
        const float *row = x + r * VOCAB;
        double log_sum = log_sum_exp(row);
        for (size_t i = 0; i < VOCAB; i++) {
            double q = target(labels[r], i, smoothing), logp = (double)row[i] - log_sum;
            double gradient = 2.0 / 7 * (exp(logp) - q);
            value -= q * logp / 7;
            ck_assert_msg(fabs((double)dx[r * VOCAB + i] - gradient) <= 1e-8 + 3e-6 * fabs(gradient), "%s: %zu, %zu",
                          kernels->name, r, i);
        }
    }
    ck_assert_msg(fabs(loss.value - value) <= 2e-6 * value, "%s: %.9g, not %.9g", kernels->name, loss.value, value);
    free(x);
    free(dx);
}

START_TEST(cross_entropy_with_every_kernel)
{
    for (size_t i = 0; sb_kernels_at(i); i++) {
        check_cross_entropy(sb_kernels_at(i), 0);
        check_cross_entropy(sb_kernels_at(i), 0.1);
    }
}
END_TEST

/* A certain prediction costs nothing, an impossible one its whole distance; neither stops being a number. */
START_TEST(cross_entropy_of_extremes)
{
    float *x = make(1, 1);
    struct sb_cross_entropy loss = entropy(sb_kernels_choose("plain", NULL), 0);
    for (size_t i = 0; i < VOCAB; i++)
        x[i] = i == 0 ? 300 : -300;
    sb_cross_entropy(&loss, x, 0, 1);
    ck_assert_double_eq(loss.value, 0);
    ck_assert_float_eq(x[0], 0);
    for (size_t i = 0; i < VOCAB; i++)
        x[i] = i == 3 ? 300 : -300;
    sb_cross_entropy(&loss, x, 0, 1);
    ck_assert_double_eq_tol(loss.value, 600.0 / 7, 1e-4);
    ck_assert_float_eq_tol(x[0], -2.f / 7, 1e-6f);
    ck_assert_float_eq_tol(x[3], 2.f / 7, 1e-6f);
    free(x);
}
END_TEST

/* ---- divergence ---- */

/* Also for perturbations so small that float sums would lose the divergence. */
static void check_divergence(const struct sb_kernels *kernels, double perturbation)
{
    float *clean = make(1, 6), *x = make(2, perturbation), *dx = malloc(ROWS * VOCAB * sizeof *dx);
    float *kept_rows = calloc(ROWS * VOCAB, sizeof *kept_rows), scratch[VOCAB];
    for (size_t i = 0; i < ROWS * VOCAB; i++)
        dx[i] = x[i] += clean[i];
    struct sb_kept_logits kept = {.vocab_size = VOCAB, .logits = kept_rows};
    sb_keep_logits(&kept, clean, 0, 3);
    sb_keep_logits(&kept, clean + 3 * VOCAB, 3, ROWS - 3);
    ck_assert(memcmp(kept_rows, clean, ROWS * VOCAB * sizeof *clean) == 0);
    struct sb_kl_divergence loss = {
        .kernels = kernels, .clean = &kept, .scratch = scratch, .normaliser = 3, .weight = 0.5};
    sb_kl_divergence(&loss, dx, 0, 1);
    sb_kl_divergence(&loss, dx + VOCAB, 1, ROWS - 1);
    double value = 0;
    for (size_t r = 0; r < ROWS; r++) {
        double log_p = log_sum_exp(clean + r * VOCAB), log_q = log_sum_exp(x + r * VOCAB), largest = 0;
        for (size_t i = r * VOCAB; i < (r + 1) * VOCAB; i++) {
            double p = exp((double)clean[i] - log_p), q = exp((double)x[i] - log_q);
            value += p * ((double)clean[i] - log_p - ((double)x[i] - log_q)) / 3;
            largest = fmax(largest, fabs(q - p) / 6);
        }
        for (size_t i = r * VOCAB; i < (r + 1) * VOCAB; i++) {
            double gradient = (exp((double)x[i] - log_q) - exp((double)clean[i] - log_p)) / 6;
            ck_assert_msg(fabs((double)dx[i] - gradient) <= 1e-4 * largest, "%s: %zu", kernels->name, i);
        }
    }
    ck_assert_msg(fabs(loss.value - value) <= 1e-5 * value, "%s: %.9g, not %.9g", kernels->name, loss.value, value);
    free(clean);
    free(x);
    free(dx);
    free(kept_rows);
}

START_TEST(divergence_with_every_kernel)
{
    for (size_t i = 0; sb_kernels_at(i); i++) {
        check_divergence(sb_kernels_at(i), 3);
        check_divergence(sb_kernels_at(i), 0.1);
    }
}
END_TEST

/* ---- differences ---- */

static double value_of(const float *row, const struct sb_kept_logits *kept, double smoothing)
{
    float x[VOCAB], scratch[VOCAB];
    const struct sb_kernels *kernels = sb_kernels_choose("plain", NULL);
    struct sb_cross_entropy cross = entropy(kernels, smoothing);
    struct sb_kl_divergence divergence = {
        .kernels = kernels, .clean = kept, .scratch = scratch, .normaliser = 1, .weight = 1};
    memcpy(x, row, sizeof x);
    if (kept)
        sb_kl_divergence(&divergence, x, 0, 1);
    else
        sb_cross_entropy(&cross, x, 0, 1);
    return kept ? divergence.value : cross.value * cross.weight;
}

START_TEST(gradients_are_those_of_differences)
{
    float *clean = make(1, 1), *x = make(2, 1), dx[VOCAB], scratch[VOCAB];
    const struct sb_kernels *kernels = sb_kernels_choose("plain", NULL);
    struct sb_kept_logits kept = {.vocab_size = VOCAB, .logits = clean};
    for (int kind = 0; kind < 3; kind++) {
        struct sb_cross_entropy cross = entropy(kernels, kind * 0.1);
        struct sb_kl_divergence divergence = {
            .kernels = kernels, .clean = &kept, .scratch = scratch, .normaliser = 1, .weight = 1};
        memcpy(dx, x, sizeof dx);
        if (kind == 2)
            sb_kl_divergence(&divergence, dx, 0, 1);
        else
            sb_cross_entropy(&cross, dx, 0, 1);
        for (size_t i = 0; i < VOCAB; i += 61) {
            float at = x[i];
            x[i] = at + 0.25f;
            double up = value_of(x, kind == 2 ? &kept : NULL, kind * 0.1);
            x[i] = at - 0.25f;
            double down = value_of(x, kind == 2 ? &kept : NULL, kind * 0.1);
            x[i] = at;
            /* sinh(h) / h of the exponential that the estimate is off by */
            ck_assert_double_eq_tol((up - down) / 0.5, (double)dx[i], 0.02 * fabs((double)dx[i]) + 2e-5);
        }
    }
    free(clean);
    free(x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_logits");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, cross_entropy_with_every_kernel);
    tcase_add_test(tcase, cross_entropy_of_extremes);
    tcase_add_test(tcase, divergence_with_every_kernel);
    tcase_add_test(tcase, gradients_are_those_of_differences);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
