/*
 * Scores of stored vectors: every variant against double precision over odd sizes; sums of integers are exact; a score does
 * not depend, bitwise, on the rows and queries beside it.
 */
#include "kernels/scores.h"

#include "base/dtype.h"
#include "base/random.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = {1, 2, 7, 15, 16, 31, 33, 63, 64, 65, 127, 512, 513};
static const size_t counts[] = {1, 2, 3, 4, 5, 7, 9};
enum { SIZES = sizeof sizes / sizeof *sizes, COUNTS = sizeof counts / sizeof *counts, MOST_ROWS = 9, MOST = 513 };

static struct {
    float rows[MOST_ROWS * MOST], queries[MOST_ROWS * MOST], halves_as_floats[MOST_ROWS * MOST];
    uint16_t halves[MOST_ROWS * MOST];
    uint8_t bytes[MOST_ROWS * MOST];
    int8_t signed_bytes[MOST_ROWS * MOST];
} x;

static void fill(void)
{
    for (size_t i = 0; i < MOST_ROWS * MOST; i++) {
        uint32_t words[4];
        sb_random_words(words, 3, 1, i);
        x.rows[i] = (float)sb_random_normal(3, 2, i);
        x.queries[i] = (float)sb_random_normal(3, 3, i);
        x.bytes[i] = (uint8_t)words[0];
        x.signed_bytes[i] = (int8_t)words[1];
    }
    /* the sums that reach furthest */
    memset(x.bytes, 255, MOST);
    memset(x.signed_bytes, 127, MOST);
    memset(x.signed_bytes + MOST, 0x80, MOST);
    sb_from_f32(x.halves, SB_F16, x.rows, MOST_ROWS * MOST);
    sb_to_f32(x.halves_as_floats, x.halves, SB_F16, MOST_ROWS * MOST);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void assert_near(double value, double expected, size_t n, const char *what)
{
    double tolerance = 1e-5 * sqrt((double)n) * fmax(1, fabs(expected));
    ck_assert_msg(fabs(value - expected) <= tolerance, "%s, n %zu: %.9g, expected %.9g", what, n, value, expected);
}

/* Rows in any order, some twice. */
static void check_gather(const struct sb_score_kernels *k, size_t rows, size_t n)
{
    static const uint32_t which[MOST_ROWS] = {8, 0, 0, 5, 7, 1, 2, 8, 3};
    int32_t sums[MOST_ROWS + 1], sum;
    sums[rows] = 0x55555555;
    k->gather_int8(sums, x.bytes, which, rows, x.signed_bytes, n);
    for (size_t j = 0; j < rows; j++) {
        k->sums_int8(&sum, 1, x.bytes + which[j] * n, 1, x.signed_bytes, 1, n);
        ck_assert_int_eq(sums[j], sum);
    }
    ck_assert_int_eq(sums[rows], 0x55555555);
}

static void check_scores(const struct sb_score_kernels *k, size_t rows, size_t queries, size_t n)
{
    enum { LD = MOST_ROWS + 2 };
    float f32[MOST_ROWS * LD], f16[MOST_ROWS * LD], alone;
    int32_t sums[MOST_ROWS * LD];
    memset(sums, 0x55, sizeof sums);
    k->scores_f32(f32, LD, x.rows, rows, x.queries, queries, n);
    k->scores_f16(f16, LD, x.halves, rows, x.queries, queries, n);
    k->sums_int8(sums, LD, x.bytes, rows, x.signed_bytes, queries, n);
    for (size_t q = 0; q < queries; q++) {
        for (size_t r = 0; r < rows; r++) {
            const float *query = x.queries + q * n;
            assert_near(f32[q * LD + r], dot(x.rows + r * n, query, n), n, "scores_f32");
            assert_near(f16[q * LD + r], dot(x.halves_as_floats + r * n, query, n), n, "scores_f16");
            k->scores_f32(&alone, 1, x.rows + r * n, 1, query, 1, n);
            ck_assert(memcmp(&alone, &f32[q * LD + r], sizeof alone) == 0);
            k->scores_f16(&alone, 1, x.halves + r * n, 1, query, 1, n);
            ck_assert(memcmp(&alone, &f16[q * LD + r], sizeof alone) == 0);
            int32_t sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += (x.bytes[r * n + i] - 128) * x.signed_bytes[q * n + i];
            ck_assert_int_eq(sums[q * LD + r], sum);
        }
        for (size_t r = rows; r < LD; r++)
            ck_assert_int_eq(sums[q * LD + r], 0x55555555); /* nothing is written past the rows */
    }
}

START_TEST(every_variant_scores_right)
{
    const struct sb_score_kernels *k = sb_score_kernels_at((size_t)_i);
    fill();
    for (size_t s = 0; k && s < SIZES; s++)
        for (size_t r = 0; r < COUNTS; check_gather(k, counts[r++], sizes[s]))
            for (size_t q = 0; q < COUNTS; q++)
                check_scores(k, counts[r], counts[q], sizes[s]);
}
END_TEST

START_TEST(every_variant_dots_right)
{
    const struct sb_score_kernels *k = sb_score_kernels_at((size_t)_i);
    fill();
    for (size_t s = 0; k && s < SIZES; s++) {
        size_t n = sizes[s];
        const uint8_t *high = x.bytes, *low = x.bytes + 2 * MOST;
        double int16 = 0, int8 = 0;
        int32_t pair = 0;
        for (size_t i = 0; i < n; i++) {
            int16 += (256.0 * (high[i] - 128) + low[i] - 128) * (double)x.queries[i];
            int8 += (high[i] - 128) * (double)x.queries[i];
            pair += (high[i] - 128) * (low[i] - 128);
        }
        assert_near(k->dot_f32(x.rows, x.queries, n), dot(x.rows, x.queries, n), n, "dot_f32");
        assert_near(k->dot_f16(x.halves, x.queries, n), dot(x.halves_as_floats, x.queries, n), n, "dot_f16");
        assert_near(k->dot_int16(high, low, x.queries, n) / 32768, int16 / 32768, n, "dot_int16");
        assert_near(k->dot_int8(high, x.queries, n) / 128, int8 / 128, n, "dot_int8");
        assert_near(k->pair_f16(x.halves, x.halves + MOST, n), dot(x.halves_as_floats, x.halves_as_floats + MOST, n), n,
                    "pair_f16");
        ck_assert_int_eq(k->pair_int8(high, low, n), pair);
    }
}
END_TEST

START_TEST(a_table_goes_with_every_variant)
{
    const struct sb_kernels *kernels;
    for (size_t i = 0; (kernels = sb_kernels_at(i)) != NULL; i++)
        ck_assert_str_eq(sb_score_kernels_choose(kernels)->name, kernels->name);
    ck_assert_str_eq(sb_score_kernels_at(0)->name, "plain");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scores");
    TCase *tests = tcase_create("scores");
    int tables = 0;
    while (sb_score_kernels_at((size_t)tables))
        tables++;
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_variant_scores_right, 0, tables);
    tcase_add_loop_test(tests, every_variant_dots_right, 0, tables);
    tcase_add_test(tests, a_table_goes_with_every_variant);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
