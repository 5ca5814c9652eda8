/*
 * The error bounds that kernels/vector_math.h and kernels/vector_rows.h state, measured against double precision on every
 * variant that this processor runs. The plain kernels add one number after the other, so what sums is held to less there.
 */
#include "kernels/kernels.h"

#include "base/random.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A bound and the largest error seen. */
struct error_bound {
    const char *what;
    double bound, seen;
};

static void note(struct error_bound *e, double error)
{
    if (!(error <= e->seen)) /* NaN counts as an error */
        e->seen = error;
}

static void assert_within(const struct error_bound *e, const char *variant)
{
    ck_assert_msg(e->seen <= e->bound, "%s: %s is off by %.3g, the bound is %.3g", variant, e->what, e->seen, e->bound);
    ck_assert_msg(e->seen > 0, "%s: %s was not measured", variant, e->what);
}

static float normal(uint64_t stream, size_t i)
{
    return (float)sb_random_normal(11, stream, i);
}

/* ---- activations ---- */

static double gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double swish(double x)
{
    return x / (1 + exp(-x));
}

static const struct activation {
    const char *name;
    enum sb_act act;
    double (*exact)(double x);
    double bound; /* absolute where |x| < 1, relative to |x| above */
} activations[] = {
    {"gelu", SB_ACT_GELU, gelu, 4e-7},
    {"gelu by tanh", SB_ACT_GELU_TANH, gelu_tanh, 4e-7},
    {"swish", SB_ACT_SWISH, swish, 4e-7},
    {"tanh", SB_ACT_TANH, tanh, 3e-7},
};

/* Floats of both signs from 2^-20 to 2^6, evenly spread over their bits; whole vectors and a tail. */
START_TEST(activations_keep_their_bounds)
{
    enum { BLOCK = 1021, STEP = 1009 };
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t k = 0; k < sizeof activations / sizeof *activations; k++) {
            const struct activation *a = &activations[k];
            struct error_bound bound = {a->name, a->bound, 0};
            float x[BLOCK], y[BLOCK];
            uint32_t bits = 0x35800000;
            while (bits < 0x42800000) {
                for (size_t i = 0; i < BLOCK; i++, bits += STEP) {
                    memcpy(&x[i], &bits, sizeof *x);
                    x[i] = i % 2 ? -x[i] : x[i];
                }
                memcpy(y, x, sizeof y);
                kernels->activate(y, BLOCK, a->act);
                for (size_t i = 0; i < BLOCK; i++)
                    note(&bound, fabs(y[i] - a->exact(x[i])) / fmax(1, fabs((double)x[i])));
            }
            assert_within(&bound, kernels->name);
        }
}
END_TEST

/* Far below zero swish(x) is x exp(x), to a reciprocal and two products: what is left of the error is the exponential's. */
START_TEST(exp_keeps_its_bound)
{
    enum { POINTS = 600001 };
    const struct sb_kernels *kernels;
    float *x = malloc(POINTS * sizeof *x), *y = malloc(POINTS * sizeof *y);
    for (size_t i = 0; i < POINTS; i++)
        x[i] = -20 - (float)i * 1e-4f;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++) {
        /* without a fused multiply-add the reduced argument has half a unit in the last place of x log2 e as error */
        bool fused = strcmp(kernels->name, "vector128") != 0;
        struct error_bound bound = {"exp", 4e-7, 0};
        memcpy(y, x, POINTS * sizeof *x);
        kernels->activate(y, POINTS, SB_ACT_SWISH);
        for (size_t i = 0; i < POINTS; i++)
            note(&bound, fabs(y[i] / swish(x[i]) - 1) / (fused ? 1 : 1 + fabs((double)x[i]) / 6));
        assert_within(&bound, kernels->name);
    }
    free(x), free(y);
}
END_TEST

/* ---- softmax ---- */

enum { KEY_SIZE = 64, MOST_KEYS = 512 };

/* probabilities[n] = softmax(logits) as attention computes it: keys of one element, values that pick one key each. */
static void softmax_by_attention(const struct sb_kernels *kernels, float *probabilities, const float *logits, size_t n)
{
    static float keys[MOST_KEYS][KEY_SIZE], values[MOST_KEYS][KEY_SIZE], q[KEY_SIZE] = {8}; /* sqrt(KEY_SIZE) */
    const float *key_rows[MOST_KEYS], *value_rows[MOST_KEYS];
    float out[KEY_SIZE], scratch[MOST_KEYS];
    for (size_t i = 0; i < n; i++) {
        keys[i][0] = logits[i];
        key_rows[i] = keys[i];
        value_rows[i] = values[i];
    }
    for (size_t first = 0; first < n; first += KEY_SIZE) {
        size_t part = n - first < KEY_SIZE ? n - first : KEY_SIZE;
        for (size_t i = 0; i < part; i++)
            values[first + i][i] = 1;
        kernels->attention_step(&(struct sb_attention_step){.q = q,
                                                            .keys = key_rows,
                                                            .values = value_rows,
                                                            .out = out,
                                                            .count = n,
                                                            .heads = 1,
                                                            .key_size = KEY_SIZE,
                                                            .value_size = KEY_SIZE,
                                                            .scratch = scratch});
        memcpy(probabilities + first, out, part * sizeof *out);
        for (size_t i = 0; i < part; i++)
            values[first + i][i] = 0;
    }
}

/* Half a unit in the last place of x - largest is a relative error of its exponential, so the bound grows with it. */
START_TEST(softmax_keeps_its_bound)
{
    static const size_t sizes[] = {1, 2, 7, 16, 31, 33, 100, 511, 512};
    static const double spreads[] = {0.1, 1, 4, 20}; /* of the logits; softmax's is up to 80 below the largest */
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++) {
        struct error_bound bound = {"softmax", v ? 8e-7 : 1e-6, 0};
        for (size_t c = 0; c < sizeof sizes / sizeof *sizes * 4; c++) {
            size_t n = sizes[c / 4];
            float logits[MOST_KEYS], probabilities[MOST_KEYS];
            double largest = -INFINITY, total = 0;
            for (size_t i = 0; i < n; i++) {
                logits[i] = (float)(spreads[c % 4] * (double)normal(c, i));
                largest = fmax(largest, (double)logits[i]);
            }
            for (size_t i = 0; i < n; i++)
                total += exp(logits[i] - largest);
            softmax_by_attention(kernels, probabilities, logits, n);
            for (size_t i = 0; i < n; i++) {
                double exact = exp(logits[i] - largest) / total;
                if (logits[i] - largest > -80)
                    note(&bound, fabs(probabilities[i] - exact) / exact / (1 + (largest - logits[i]) / 8));
            }
        }
        assert_within(&bound, kernels->name);
    }
}
END_TEST

START_TEST(log_sum_exp_keeps_its_bound)
{
    static const size_t sizes[] = {2, 7, 33, 1000, 21128};
    const struct sb_kernels *kernels;
    float *x = malloc(21128 * sizeof *x);
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++) {
        struct error_bound bound = {"log_sum_exp", v ? 5e-6 : 2e-5, 0};
        for (size_t c = 0; c < sizeof sizes / sizeof *sizes * 4; c++) {
            size_t n = sizes[c / 4];
            double total = 0;
            float largest, log_sum, top = -INFINITY;
            for (size_t i = 0; i < n; i++) {
                x[i] = (0.1f + 2 * (float)(c % 4)) * normal(c, i);
                top = fmaxf(top, x[i]);
            }
            for (size_t i = 0; i < n; i++)
                total += exp((double)x[i] - top);
            kernels->log_sum_exp(&largest, &log_sum, x, n);
            ck_assert_float_eq(largest, top);
            note(&bound, fabs(log_sum - log(total)) / fmax(1, log(total)));
        }
        assert_within(&bound, kernels->name);
    }
    free(x);
}
END_TEST

/* ---- LayerNorm ---- */

/* The subtraction of the mean cancels what values have in common, so the bound grows with |mean| / deviation. */
START_TEST(layer_norm_keeps_its_bound)
{
    static const size_t sizes[] = {7, 31, 64, 511, 512, 768, 1024, 4096};
    static const double means[] = {0, 1, 30};
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++) {
        struct error_bound bound = {"layer_norm", v ? 6e-7 : 3e-6, 0};
        for (size_t c = 0; c < sizeof sizes / sizeof *sizes * 3; c++) {
            size_t n = sizes[c / 3];
            static float x[4096], y[4096], ones[4096], zeros[4096];
            double mean = 0, variance = 0;
            for (size_t i = 0; i < n; i++) {
                mean += x[i] = (float)means[c % 3] + normal(c, i);
                ones[i] = 1;
            }
            mean /= (double)n;
            for (size_t i = 0; i < n; i++)
                variance += (x[i] - mean) * (x[i] - mean);
            double deviation = sqrt(variance / (double)n + 1e-12);
            kernels->layer_norm(y, x, ones, zeros, 1e-12f, 1, n);
            for (size_t i = 0; i < n; i++)
                note(&bound, fabs(y[i] - (x[i] - mean) / deviation) / (1 + fabs(mean) / deviation));
        }
        assert_within(&bound, kernels->name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels/math");
    TCase *tests = tcase_create("bounds");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, activations_keep_their_bounds);
    tcase_add_test(tests, exp_keeps_its_bound);
    tcase_add_test(tests, softmax_keeps_its_bound);
    tcase_add_test(tests, log_sum_exp_keeps_its_bound);
    tcase_add_test(tests, layer_norm_keeps_its_bound);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
