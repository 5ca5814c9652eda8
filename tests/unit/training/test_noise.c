/*
 * Noise: the golden draws of both exposure-bias rules, schedules, masking and corruption against their probabilities.
 */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAX = 64 };

struct golden_row {
    int32_t ids[ROW_MAX];
    size_t length, prefix;
};

static const void *named(struct golden_tensors *t, bool ints, int row, const char *format, size_t *count)
{
    char name[64];
    snprintf(name, sizeof name, format, row);
    return ints ? (const void *)golden_i32(t, name, count) : (const void *)golden_f32(t, name, count);
}

static struct golden_row read_row(struct golden_tensors *batch, int i)
{
    struct golden_row row = {0};
    const int32_t *ids = named(batch, true, i, "r%d/ids", &row.length);
    ck_assert_uint_le(row.length, ROW_MAX);
    memcpy(row.ids, ids, row.length * sizeof *ids);
    row.prefix = (size_t) * (const int32_t *)named(batch, true, i, "r%d/prefix", NULL);
    return row;
}

/* The golden draws are float32. */
static void read_draws(double *out, struct golden_tensors *t, int row, const char *format)
{
    size_t n;
    const float *in = named(t, false, row, format, &n);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)in[i];
}

static void same_ids(const int32_t *found, const int32_t *expected, size_t n, int row)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(found[i] == expected[i], "row %d, token %zu is %d, expected %d", row, i, found[i], expected[i]);
}

START_TEST(replaced_inputs_equal_the_golden_ones)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          noise = golden_open("train/tiny-bert/exposure-bias.safetensors");
    int replaced = 0, untouched = 0;
    for (int i = 0; i < 8; i++) {
        struct golden_row row = read_row(&batch, i);
        double u[ROW_MAX], pick[ROW_MAX];
        int32_t out[ROW_MAX];
        size_t n;
        const int32_t *expected = named(&noise, true, i, "random/r%d/input", &n);
        ck_assert_uint_eq(n, row.length);
        read_draws(u, &noise, i, "random/r%d/u");
        read_draws(pick, &noise, i, "random/r%d/pick");
        bool left = *(const float *)named(&noise, false, i, "random/r%d/u_row", NULL) < 0.5f;
        sb_replace_inputs(out, row.ids, row.length, row.prefix, left ? 0 : 0.3, u, pick, NULL, 0);
        same_ids(out, expected, n, i);
        untouched += left;
        replaced += memcmp(out, row.ids, n * sizeof *out) != 0;
    }
    ck_assert_int_gt(replaced, 0);
    ck_assert_int_gt(untouched, 0);
    golden_close(&noise);
    golden_close(&batch);
}
END_TEST

START_TEST(scheduled_inputs_equal_the_golden_ones)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          noise = golden_open("train/tiny-bert/exposure-bias.safetensors");
    double probability = (double)*golden_f32(&noise, "scheduled/probability", NULL);
    for (int i = 0; i < 8; i++) {
        struct golden_row row = read_row(&batch, i);
        double u[ROW_MAX];
        int32_t out[ROW_MAX];
        read_draws(u, &noise, i, "scheduled/r%d/u");
        sb_replace_by_predictions(out, row.ids, row.length, row.prefix, probability, u,
                                  named(&noise, true, i, "scheduled/r%d/argmax", NULL));
        same_ids(out, named(&noise, true, i, "scheduled/r%d/input", NULL), row.length, i);
    }
    golden_close(&noise);
    golden_close(&batch);
}
END_TEST

START_TEST(replacements_may_come_from_anywhere)
{
    const int32_t ids[] = {2, 10, 3, 11, 12, 3}, choices[] = {70, 71};
    const double u[] = {0, 0, 0, 0, 0.9, 0}, pick[] = {0, 0, 0, 0.99999999999999999, 0, 0};
    int32_t out[6];
    sb_replace_inputs(out, ids, 6, 3, 0.3, u, pick, choices, 2);
    same_ids(out, (const int32_t[]){2, 10, 3, 71, 12, 3}, 6, 0);
}
END_TEST

START_TEST(probabilities_follow_their_schedules)
{
    ck_assert_double_eq(sb_probability_at(SB_PROBABILITY_CONSTANT, 0.4, 0, 10), 0.4);
    ck_assert_double_eq(sb_probability_at(SB_PROBABILITY_LINEAR, 0.4, 0, 10), 0);
    ck_assert_double_eq_tol(sb_probability_at(SB_PROBABILITY_LINEAR, 0.4, 5, 10), 0.2, 1e-15);
    ck_assert_double_eq(sb_probability_at(SB_PROBABILITY_LINEAR, 0.4, 50, 10), 0.4);
    const uint64_t lengths[] = {1, 2, 10, 1000, 1000000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        double before = 0;
        for (uint64_t s = 0; s <= 10; s++) {
            double p = sb_probability_at(SB_PROBABILITY_INVERSE_SIGMOID, 0.4, s * lengths[i] / 10, lengths[i]);
            ck_assert(p >= before && p <= 0.4);
            before = p;
        }
    }
    ck_assert_double_eq_tol(sb_probability_at(SB_PROBABILITY_INVERSE_SIGMOID, 0.4, 500, 1000), 0.2, 1e-9);
    ck_assert_double_lt(sb_probability_at(SB_PROBABILITY_INVERSE_SIGMOID, 0.4, 0, 1000), 0.01);
    ck_assert_double_gt(sb_probability_at(SB_PROBABILITY_INVERSE_SIGMOID, 0.4, 1000, 1000), 0.39);
}
END_TEST

static struct sb_tokenizer *tokenizer;
static struct sb_noise_vocabulary vocabulary;

static void open_vocabulary(void)
{
    ck_assert_int_eq(sb_tokenizer_open(&tokenizer, golden("tokenizers/simbert"), NULL), SB_OK);
    ck_assert_int_eq(sb_noise_vocabulary_open(&vocabulary, tokenizer, true, NULL), SB_OK);
}

static void close_vocabulary(void)
{
    sb_noise_vocabulary_close(&vocabulary);
    sb_tokenizer_free(tokenizer);
}

/* Tokens without [CLS] and [SEP]. */
static size_t tokens_of(int32_t *ids, const char *text)
{
    struct sb_encoding e = {0};
    ck_assert_int_eq(sb_tokenizer_encode_plain(tokenizer, &e, text, strlen(text), NULL), SB_OK);
    size_t n = e.length;
    ck_assert_uint_le(n, ROW_MAX);
    memcpy(ids, e.ids, n * sizeof *ids);
    sb_encoding_free(&e);
    return n;
}

START_TEST(ordinary_tokens_are_no_special_ones)
{
    ck_assert_uint_gt(vocabulary.ordinary_count, 13000);
    for (size_t i = 0; i < vocabulary.ordinary_count; i++) {
        const char *token = sb_tokenizer_token(tokenizer, vocabulary.ordinary[i]);
        ck_assert_msg(*token && !sb_tokenizer_is_special(tokenizer, vocabulary.ordinary[i]) &&
                          strncmp(token, "[unused", 7) != 0,
                      "token %d", vocabulary.ordinary[i]);
    }
}
END_TEST

START_TEST(units_are_words)
{
    int32_t ids[ROW_MAX];
    size_t ends[ROW_MAX], n = tokens_of(ids, "花呗 unbelievableness 怎么还");
    struct sb_draws draws = {.seed = 1};
    ck_assert_uint_eq(sb_noise_units(ends, ids, n, SB_UNIT_TOKEN, &vocabulary, &draws), n);
    ck_assert_uint_gt(n, 6);
    ck_assert_uint_eq(sb_noise_units(ends, ids, n, SB_UNIT_WORD, &vocabulary, &draws), 6);
    ck_assert_uint_eq(ends[1], 2);
    ck_assert_uint_eq(ends[2], n - 3);
    ck_assert_uint_eq(draws.next, 0);
    /* n-grams: each ideograph run has 1 to 4, and never crosses a word. */
    int lengths[5] = {0};
    n = tokens_of(ids, "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十");
    for (uint64_t s = 0; s < 500; s++) {
        draws = (struct sb_draws){.seed = 1, .stream = s};
        size_t units = sb_noise_units(ends, ids, n, SB_UNIT_NGRAM, &vocabulary, &draws);
        ck_assert_uint_eq(ends[units - 1], n);
        for (size_t k = 0; k + 1 < units; k++) /* the last one is cut */
            lengths[ends[k] - (k ? ends[k - 1] : 0)]++;
    }
    double all = lengths[1] + lengths[2] + lengths[3] + lengths[4];
    for (int k = 1; k <= 4; k++)
        ck_assert_double_eq_tol(lengths[k] / all, 0.5 - 0.1 * k, 0.02);
    n = tokens_of(ids, "花呗 unbelievableness 怎么还");
    for (uint64_t s = 0; s < 100; s++) {
        draws = (struct sb_draws){.seed = 2, .stream = s};
        size_t units = sb_noise_units(ends, ids, n, SB_UNIT_NGRAM, &vocabulary, &draws);
        bool before = false, behind = false;
        for (size_t k = 0; k < units; k++) {
            before |= ends[k] == 2;
            behind |= ends[k] == n - 3;
        }
        ck_assert(before && behind);
    }
}
END_TEST

START_TEST(masking_keeps_its_shares)
{
    int32_t ids[ROW_MAX], masked[ROW_MAX], labels[ROW_MAX];
    size_t ends[ROW_MAX], n = tokens_of(ids, "怎么申请退货花呗怎么还款如何提前还款借呗怎么开通");
    struct sb_mask_rule rule = {.probability = 0.15, .mask = 0.8, .random = 0.1, .unit = SB_UNIT_TOKEN};
    int taken = 0, mask = 0, kept = 0, other = 0;
    enum { ROWS = 4000 };
    for (uint64_t s = 0; s < ROWS; s++) {
        struct sb_draws draws = {.seed = 3, .stream = s};
        memcpy(masked, ids, sizeof ids);
        sb_mask_tokens(masked, labels, n, &rule, &vocabulary, ends, &draws);
        for (size_t i = 0; i < n; i++) {
            if (labels[i] < 0) {
                ck_assert_int_eq(masked[i], ids[i]);
                continue;
            }
            ck_assert_int_eq(labels[i], ids[i]);
            taken++;
            mask += masked[i] == vocabulary.mask;
            kept += masked[i] == ids[i];
            other += masked[i] != vocabulary.mask && masked[i] != ids[i];
        }
    }
    ck_assert_double_eq_tol(taken / (double)(ROWS * n), 0.15, 0.005);
    ck_assert_double_eq_tol(mask / (double)taken, 0.8, 0.02);
    ck_assert_double_eq_tol(kept / (double)taken, 0.1, 0.015);
    ck_assert_double_eq_tol(other / (double)taken, 0.1, 0.015);
    /* A word is taken as a whole. */
    rule.unit = SB_UNIT_WORD;
    n = tokens_of(ids, "花呗 unbelievableness 怎么还");
    rule.at_least_one = true;
    for (uint64_t s = 0; s < 300; s++) {
        struct sb_draws draws = {.seed = 4, .stream = s};
        memcpy(masked, ids, sizeof ids);
        sb_mask_tokens(masked, labels, n, &rule, &vocabulary, ends, &draws);
        size_t of_word = 0, of_row = 0;
        for (size_t i = 0; i < n; i++) {
            of_row += labels[i] >= 0;
            of_word += i >= 2 && i < n - 3 && labels[i] >= 0;
        }
        ck_assert_uint_gt(of_row, 0);
        ck_assert(of_word == 0 || of_word == n - 5);
    }
}
END_TEST

START_TEST(denoising_keeps_its_shares)
{
    int32_t ids[ROW_MAX], out[ROW_MAX];
    size_t ends[2 * ROW_MAX], n = tokens_of(ids, "怎么申请退货花呗怎么还款如何提前还款借呗怎么开通");
    double keys[ROW_MAX];
    struct sb_denoise_rule rule = {.mask = 0.2, .erase = 0.1, .unit = SB_UNIT_TOKEN};
    size_t masks = 0, left = 0;
    enum { ROWS = 3000 };
    for (uint64_t s = 0; s < ROWS; s++) {
        struct sb_draws draws = {.seed = 5, .stream = s};
        size_t length = sb_denoise_tokens(out, ids, n, &rule, &vocabulary, ends, keys, &draws);
        left += length;
        for (size_t i = 0; i < length; i++)
            masks += out[i] == vocabulary.mask;
    }
    ck_assert_double_eq_tol((double)left / (double)(ROWS * n), 0.9, 0.005);
    ck_assert_double_eq_tol((double)masks / (double)(ROWS * n), 0.2, 0.005);
    /* Permutation: the same tokens, none farther than the distance, and something moves. */
    rule = (struct sb_denoise_rule){.permute = 1, .distance = 3, .unit = SB_UNIT_TOKEN};
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(1000 + i);
    int moved = 0;
    for (uint64_t s = 0; s < 200; s++) {
        struct sb_draws draws = {.seed = 6, .stream = s};
        ck_assert_uint_eq(sb_denoise_tokens(out, ids, n, &rule, &vocabulary, ends, keys, &draws), n);
        bool seen[ROW_MAX] = {false};
        for (size_t i = 0; i < n; i++) {
            ck_assert(!seen[out[i] - 1000]);
            seen[out[i] - 1000] = true;
            ck_assert_int_le(abs(out[i] - 1000 - (int)i), 3);
            moved += out[i] - 1000 != (int)i;
        }
    }
    ck_assert_int_gt(moved, 1000);
    /* All erased: one [MASK] stays. Whole words as one [MASK]. */
    struct sb_draws draws = {.seed = 7};
    rule = (struct sb_denoise_rule){.erase = 1};
    ck_assert_uint_eq(sb_denoise_tokens(out, ids, n, &rule, &vocabulary, ends, keys, &draws), 1);
    ck_assert_int_eq(out[0], vocabulary.mask);
    rule = (struct sb_denoise_rule){.mask = 1, .infill = true, .unit = SB_UNIT_WORD};
    n = tokens_of(ids, "花呗 unbelievableness 怎么还");
    ck_assert_uint_eq(sb_denoise_tokens(out, ids, n, &rule, &vocabulary, ends, keys, &draws), 6);
    rule = (struct sb_denoise_rule){.replace = 1};
    ck_assert_uint_eq(sb_denoise_tokens(out, ids, n, &rule, &vocabulary, ends, keys, &draws), n);
    ck_assert_int_ne(memcmp(out, ids, n * sizeof *out), 0);
    ck_assert_uint_eq(sb_denoise_tokens(out, ids, 0, &rule, &vocabulary, ends, keys, &draws), 0);
}
END_TEST

START_TEST(draws_are_named_by_seed_and_stream)
{
    struct sb_draws a = {.seed = 1, .stream = 2}, b = a, c = {.seed = 1, .stream = 3};
    int same = 0;
    for (int i = 0; i < 100; i++) {
        double u = sb_draw(&a);
        ck_assert_double_eq(u, sb_draw(&b));
        same += u == sb_draw(&c);
    }
    ck_assert_int_eq(same, 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_lt(sb_draw_below(&a, 3), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/noise");
    TCase *inputs = tcase_create("inputs"), *text = tcase_create("text");
    tcase_add_test(inputs, replaced_inputs_equal_the_golden_ones);
    tcase_add_test(inputs, scheduled_inputs_equal_the_golden_ones);
    tcase_add_test(inputs, replacements_may_come_from_anywhere);
    tcase_add_test(inputs, probabilities_follow_their_schedules);
    tcase_add_test(inputs, draws_are_named_by_seed_and_stream);
    suite_add_tcase(suite, inputs);
    tcase_add_checked_fixture(text, open_vocabulary, close_vocabulary);
    tcase_set_timeout(text, 60);
    tcase_add_test(text, ordinary_tokens_are_no_special_ones);
    tcase_add_test(text, units_are_words);
    tcase_add_test(text, masking_keeps_its_shares);
    tcase_add_test(text, denoising_keeps_its_shares);
    suite_add_tcase(suite, text);
    return run_suite(suite);
}
