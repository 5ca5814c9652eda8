/*
 * What sampling keeps and draws: against the reference (golden/decode/sampling: bert4keras), and over a vocabulary of
 * real size against a plain sort.
 */
#include "base/random.h"
#include "model/logits_scan.h"
#include "model/sampling.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 21128 };

static struct sb_distribution new_distribution(size_t n)
{
    return (struct sb_distribution){
        .logits = malloc(n * sizeof(float)), .ids = malloc(n * sizeof(int32_t)), .weights = malloc(n * sizeof(double))};
}

static void free_distribution(struct sb_distribution *d)
{
    free(d->logits), free(d->ids), free(d->weights);
}

static double number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

START_TEST(keeps_what_the_reference_keeps)
{
    struct golden_tensors g = golden_open("decode/sampling.safetensors");
    const struct sb_kernels *kernels = sb_kernels_at((size_t)_i);
    void *lines = NULL;
    int cases = 0;
    for (cJSON *line; kernels && (line = golden_next_line(&lines, "decode/sampling.jsonl"));
         cases++, cJSON_Delete(line)) {
        struct sb_decode_options options = sb_decode_defaults();
        options.top_k = (int)number(line, "top_k", 0);
        options.top_p = number(line, "top_p", 1);
        options.temperature = number(line, "temperature", 1);
        char key[32];
        size_t n;
        snprintf(key, sizeof key, "c%d/logits", cases);
        const float *logits = golden_f32(&g, key, &n);
        snprintf(key, sizeof key, "c%d/probabilities", cases);
        const float *expected = golden_f32(&g, key, NULL);
        float *row = malloc(n * sizeof *row);
        double *ours = calloc(n, sizeof *ours);
        memcpy(row, logits, n * sizeof *row);
        struct sb_distribution d = new_distribution(n);
        sb_distribution_make(&d, row, n, &options, kernels);
        for (size_t i = 0; i < d.count; i++)
            ours[d.ids[i]] = d.weights[i] / d.total;
        for (size_t i = 0; i < n; i++)
            ck_assert_msg((ours[i] > 0) == (expected[i] > 0) && fabs(ours[i] - (double)expected[i]) <= 1e-6,
                          "case %d token %zu: %.8g, reference %.8g", cases, i, ours[i], (double)expected[i]);
        free_distribution(&d);
        free(row), free(ours);
    }
    ck_assert_int_eq(cases, kernels ? 48 : 0);
    golden_close(&g);
}
END_TEST

static const float *sorting;

static int by_logit(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (sorting[x] != sorting[y])
        return sorting[x] > sorting[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The same by sorting everything: order, and probabilities before the nucleus is cut. Returns how many can be kept. */
static size_t sort_all(int32_t *order, double *probabilities, const float *logits, size_t n,
                       const struct sb_decode_options *o)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    sorting = logits;
    qsort(order, n, sizeof *order, by_logit);
    size_t possible = o->top_k > 0 && (size_t)o->top_k < n ? (size_t)o->top_k : n;
    while (possible > 0 && logits[order[possible - 1]] == -INFINITY)
        possible--;
    double all = 0;
    for (size_t i = 0; i < possible; i++)
        all += probabilities[i] = exp((double)(logits[order[i]] - logits[order[0]]) / o->temperature);
    for (size_t i = 0; i < possible; i++)
        probabilities[i] /= all;
    return possible;
}

/* Flat, usual and peaked rows; some tokens forbidden, many equal. */
static void random_logits(float *logits, size_t n, uint64_t stream)
{
    double spread = (double[]){0.01, 2, 8}[stream % 3];
    for (size_t i = 0; i < n; i++) {
        double x = spread * sb_random_normal(5, stream, i);
        logits[i] = (float)(stream % 2 ? x : round(x * 4) / 4);
    }
    for (size_t i = 0; i < n; i += 37)
        logits[i] = -INFINITY;
}

START_TEST(a_large_vocabulary_is_cut_as_by_sorting)
{
    static float logits[LARGE], row[LARGE];
    static int32_t order[LARGE];
    static double probabilities[LARGE];
    static size_t place[LARGE]; /* of a token in the distribution, from 1 */
    static const struct {
        int top_k;
        double top_p, temperature;
    } settings[] = {{5, 1, 1},       {1, 1, 1},      {100, 0.9, 1},   {0, 0.95, 1},      {0, 0.3, 0.5},
                    {0, 0.999, 1.7}, {0, 0.9, 0.01}, {3000, 0.95, 2}, {0, 0.95, 1e-300}, {5, 0.9, 1e-300}};
    struct sb_distribution d = new_distribution(LARGE);
    for (uint64_t stream = 0; stream < 6; stream++)
        for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
            struct sb_decode_options o = sb_decode_defaults();
            o.top_k = settings[s].top_k, o.top_p = settings[s].top_p, o.temperature = settings[s].temperature;
            random_logits(logits, LARGE, stream);
            memcpy(row, logits, sizeof row);
            sb_distribution_make(&d, row, LARGE, &o, sb_kernels_choose(NULL, NULL));
            size_t possible = sort_all(order, probabilities, logits, LARGE, &o);
            ck_assert(d.count >= 1 && d.count <= possible);
            double kept = 0;
            for (size_t i = 0; i < d.count; i++)
                kept += probabilities[i];
            /* The smallest set that reaches top_p, to the rounding of a float sum over the vocabulary. */
            ck_assert_msg(d.count == possible || kept >= o.top_p - 1e-5, "row %d setting %zu: %zu tokens, %.9g",
                          (int)stream, s, d.count, kept);
            ck_assert_msg(kept - probabilities[d.count - 1] < o.top_p + 1e-5, "row %d setting %zu: %zu tokens, %.9g",
                          (int)stream, s, d.count, kept);
            for (size_t i = 0; i < d.count; i++)
                place[d.ids[i]] = i + 1;
            for (size_t i = 0; i < d.count; i++) {
                size_t at = place[order[i]];
                if (at == 0) { /* a temperature can make logits equal that were not, to the rounding of the division */
                    ck_assert(o.temperature != 1 && fabsf(logits[order[i]] - logits[order[d.count - 1]]) < 1e-5f);
                    continue;
                }
                ck_assert_msg(o.top_k == 0 || at == i + 1, "row %d setting %zu place %zu", (int)stream, s, i);
                ck_assert(fabs(d.weights[at - 1] / d.total - probabilities[i] / kept) < 1e-6);
            }
            for (size_t i = 0; i < d.count; i++)
                place[d.ids[i]] = 0;
        }
    free_distribution(&d);
}
END_TEST

START_TEST(without_limits_every_possible_token_is_kept)
{
    static float row[LARGE];
    struct sb_distribution d = new_distribution(LARGE);
    struct sb_decode_options o = sb_decode_defaults();
    o.top_k = 0;
    random_logits(row, LARGE, 1);
    sb_distribution_make(&d, row, LARGE, &o, sb_kernels_choose(NULL, NULL));
    ck_assert_uint_eq(d.count, LARGE - (LARGE + 36) / 37);
    free_distribution(&d);
}
END_TEST

START_TEST(nothing_possible_keeps_nothing)
{
    float row[70];
    struct sb_distribution d = new_distribution(70);
    for (int setting = 0; setting < 6; setting++) {
        struct sb_decode_options o = sb_decode_defaults();
        o.top_k = setting % 3 == 0 ? 5 : 0;
        o.top_p = setting % 3 == 1 ? 0.9 : 1;
        for (size_t i = 0; i < 70; i++)
            row[i] = setting < 3 ? -INFINITY : NAN;
        sb_distribution_make(&d, row, 70, &o, sb_kernels_choose(NULL, NULL));
        ck_assert_uint_eq(d.count, 0);
    }
    free_distribution(&d);
}
END_TEST

START_TEST(draws_follow_the_probabilities)
{
    enum { DRAWS = 200000 };
    static const float logits[] = {0, 1, 2, 3, -1};
    float row[5];
    int seen[5] = {0};
    struct sb_distribution d = new_distribution(5);
    struct sb_decode_options o = sb_decode_defaults();
    o.top_k = 4;
    memcpy(row, logits, sizeof row);
    sb_distribution_make(&d, row, 5, &o, sb_kernels_choose(NULL, NULL));
    for (int i = 0; i < DRAWS; i++)
        seen[d.ids[sb_distribution_draw(&d, sb_random_uniform(1, (uint64_t)i, 0))]]++;
    double sum = 1 + exp(1) + exp(2) + exp(3);
    for (int i = 0; i < 4; i++) { /* five standard deviations */
        double p = exp((double)logits[i]) / sum;
        ck_assert(fabs(seen[i] - DRAWS * p) < 5 * sqrt(DRAWS * p * (1 - p)));
    }
    ck_assert_int_eq(seen[4], 0);
    ck_assert_uint_eq(sb_distribution_draw(&d, 0), 0);
    ck_assert_uint_eq(sb_distribution_draw(&d, nextafter(1, 0)), 3);
    free_distribution(&d);
}
END_TEST

START_TEST(the_scan_finds_every_place)
{
    enum { N = 200 };
    float x[N];
    for (size_t n = 0; n <= N; n += n < 70 ? 1 : 13)
        for (size_t from = 0; from <= n; from++) {
            for (size_t i = 0; i < N; i++)
                x[i] = i % 67 == 66 || i == 1 ? 1 : i % 5 ? 0 : NAN;
            size_t expected = from;
            while (expected < n && !(x[expected] > 0.5f))
                expected++;
            ck_assert_uint_eq(sb_find_above(x, n, from, 0.5f), expected);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampling");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, keeps_what_the_reference_keeps, 0, 4);
    tcase_add_test(tcase, a_large_vocabulary_is_cut_as_by_sorting);
    tcase_add_test(tcase, without_limits_every_possible_token_is_kept);
    tcase_add_test(tcase, nothing_possible_keeps_nothing);
    tcase_add_test(tcase, draws_follow_the_probabilities);
    tcase_add_test(tcase, the_scan_finds_every_place);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
