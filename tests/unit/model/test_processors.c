/*
 * Logits processors and warpers against Hugging Face's (golden/decode/processors*). Of the golden cases those for
 * options that we do not offer are left out: min_p, typical_p, epsilon_cutoff, eta_cutoff, sequence_bias.
 */
#include "model/logits_processors.h"
#include "model/sampling.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VOCAB = 30, END = 3, ROWS = 6 };
static const float minus_infinity = -1e30f; /* how the golden files say it */

struct golden_case {
    struct golden_tensors tensors;
    size_t rows, length;
    const int32_t *history; /* [rows, length] */
    const float *in, *out;  /* [rows, VOCAB] */
    float row[VOCAB];       /* the current one */
};

static struct golden_case open_case(const char *file, const char *name)
{
    struct golden_case c = {.tensors = golden_open(file)};
    char key[64];
    size_t ids, logits, out;
    snprintf(key, sizeof key, "%s/input_ids", name);
    c.history = golden_i32(&c.tensors, key, &ids);
    snprintf(key, sizeof key, "%s/in", name);
    c.in = golden_f32(&c.tensors, key, &logits);
    snprintf(key, sizeof key, "%s/out", name);
    c.out = golden_f32(&c.tensors, key, &out);
    ck_assert_uint_eq(logits % VOCAB, 0);
    c.rows = out / VOCAB; /* the Hamming case has more rows of input */
    c.length = ids / (logits / VOCAB);
    return c;
}

static void assert_row(const struct golden_case *c, const float *ours, size_t row, const char *name)
{
    for (size_t i = 0; i < VOCAB; i++) {
        float expected = c->out[row * VOCAB + i];
        if (expected == minus_infinity)
            ck_assert_msg(ours[i] == -INFINITY, "%s row %zu token %zu: %g is not forbidden", name, row, i,
                          (double)ours[i]);
        else
            ck_assert_msg(fabsf(ours[i] - expected) <= 1e-6f * (1 + fabsf(expected)),
                          "%s row %zu token %zu: %.8g, expected %.8g", name, row, i, (double)ours[i], (double)expected);
    }
}

static struct sb_processors processors_of(const struct sb_decode_options *options, size_t prompt_length)
{
    static uint32_t stamps[VOCAB];
    memset(stamps, 0, sizeof stamps);
    return (struct sb_processors){
        .options = options, .vocab_size = VOCAB, .prompt_length = prompt_length, .end_id = END, .stamps = stamps};
}

/* Rules of the options, through the one call that the searches use. */
static void check_processors(const char *name, const struct sb_decode_options *options, size_t prompt_length)
{
    char key[64];
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "%s/%d", name, i);
        struct golden_case c = open_case("decode/processors.safetensors", key);
        struct sb_processors processors = processors_of(options, prompt_length);
        for (size_t row = 0; row < c.rows; row++) {
            memcpy(c.row, c.in + row * VOCAB, sizeof c.row);
            sb_processors_apply(&processors, c.row, c.history + row * c.length, c.length);
            assert_row(&c, c.row, row, key);
        }
        golden_close(&c.tensors);
    }
}

START_TEST(repetition_penalty)
{
    struct sb_decode_options options = sb_decode_defaults();
    options.repetition_penalty = 1.3;
    check_processors("repetition_penalty_1.3", &options, 5);
    options.repetition_penalty = 0.8;
    check_processors("repetition_penalty_0.8", &options, 5);
}
END_TEST

START_TEST(no_repeat_ngram)
{
    struct sb_decode_options options = sb_decode_defaults();
    for (options.no_repeat_ngram_size = 1; options.no_repeat_ngram_size <= 3; options.no_repeat_ngram_size++) {
        char name[32];
        snprintf(name, sizeof name, "no_repeat_ngram_%d", options.no_repeat_ngram_size);
        check_processors(name, &options, 5);
    }
}
END_TEST

START_TEST(min_new_tokens)
{
    struct sb_decode_options options = sb_decode_defaults();
    options.min_new_tokens = 6;
    check_processors("min_new_tokens_active", &options, 5);
    options.min_new_tokens = 4;
    check_processors("min_new_tokens_past", &options, 5);
}
END_TEST

START_TEST(bad_words)
{
    static const int32_t ids[] = {7, 8, 9, 10, 11, 12};
    static const size_t ends[] = {1, 3, 6};
    struct sb_decode_options options = sb_decode_defaults();
    options.bad_words = (struct sb_token_lists){ids, ends, 3};
    check_processors("bad_words", &options, 2);
}
END_TEST

START_TEST(a_bad_word_that_is_the_end_token_is_ignored)
{
    static const int32_t ids[] = {END, 4, END};
    static const size_t ends[] = {1, 3};
    float row[VOCAB] = {0};
    sb_bad_words(row, (int32_t[]){5, 6}, 2, &(struct sb_token_lists){ids, ends, 2}, END);
    ck_assert(row[END] == 0);
    sb_bad_words(row, (int32_t[]){5, 4}, 2, &(struct sb_token_lists){ids, ends, 2}, END);
    ck_assert(row[END] == -INFINITY);
}
END_TEST

START_TEST(hamming_diversity)
{
    /* Six beams in three groups of two; the third group is penalised for what the first four chose. */
    static const int32_t chosen[] = {5, 7, 5, 5};
    for (int i = 0; i < 2; i++) {
        struct golden_case c =
            open_case("decode/processors-legacy.safetensors", i ? "hamming-group2-of-3/1" : "hamming-group2-of-3/0");
        for (size_t row = 0; row < c.rows; row++) {
            memcpy(c.row, c.in + row * VOCAB, sizeof c.row);
            sb_hamming_penalty(c.row, chosen, 4, 0.7);
            assert_row(&c, c.row, row, "hamming");
        }
        golden_close(&c.tensors);
    }
}
END_TEST

/* Hugging Face's warpers keep logits / temperature; we keep tokens and their probabilities. */
static void check_warpers(const char *name, const struct sb_decode_options *options, bool processors_first)
{
    char key[64];
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "%s/%d", name, i);
        struct golden_case c = open_case("decode/processors.safetensors", key);
        struct sb_processors processors = processors_of(options, 0);
        float logits[VOCAB];
        int32_t ids[VOCAB];
        double weights[VOCAB];
        struct sb_distribution d = {.logits = logits, .ids = ids, .weights = weights};
        for (size_t row = 0; row < c.rows; row++) {
            memcpy(c.row, c.in + row * VOCAB, sizeof c.row);
            if (processors_first)
                sb_processors_apply(&processors, c.row, c.history + row * c.length, c.length);
            sb_distribution_make(&d, c.row, VOCAB, options, sb_kernels_choose(NULL, NULL));
            double ours[VOCAB] = {0}, sum = 0;
            for (size_t j = 0; j < d.count; j++)
                ours[ids[j]] = weights[j] / d.total;
            const float *out = c.out + row * VOCAB;
            for (size_t j = 0; j < VOCAB; j++)
                sum += out[j] == minus_infinity ? 0 : exp((double)out[j]);
            for (size_t j = 0; j < VOCAB; j++) {
                double expected = out[j] == minus_infinity ? 0 : exp((double)out[j]) / sum;
                ck_assert_msg((ours[j] > 0) == (expected > 0), "%s row %zu: token %zu is %s", key, row, j,
                              ours[j] > 0 ? "kept" : "dropped");
                ck_assert_msg(fabs(ours[j] - expected) < 1e-6, "%s row %zu token %zu: %.8g, expected %.8g", key, row, j,
                              ours[j], expected);
            }
        }
        golden_close(&c.tensors);
    }
}

START_TEST(temperature_top_k_and_top_p)
{
    struct sb_decode_options off = sb_decode_defaults(), options = off;
    off.top_k = 0;
    options = off, options.temperature = 0.7;
    check_warpers("temperature", &options, false);
    for (size_t i = 0; i < 3; i++) {
        char name[32];
        options = off, options.top_k = (int[]){1, 5, 50}[i];
        snprintf(name, sizeof name, "top_k_%d", options.top_k);
        check_warpers(name, &options, false);
    }
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        options = off, options.top_p = (double[]){0.1, 0.5, 0.9, 0.95, 1}[i];
        snprintf(name, sizeof name, "top_p_%g", options.top_p);
        check_warpers(name, &options, false);
    }
}
END_TEST

START_TEST(the_whole_chain)
{
    struct sb_decode_options options = sb_decode_defaults();
    options.repetition_penalty = 1.2;
    options.no_repeat_ngram_size = 2;
    options.temperature = 0.8;
    options.top_k = 8;
    options.top_p = 0.8;
    check_warpers("chain", &options, true);
}
END_TEST

START_TEST(banned_tokens_and_old_stamps)
{
    struct sb_decode_options options = sb_decode_defaults();
    options.repetition_penalty = 2;
    struct sb_processors processors = processors_of(&options, 0);
    static const int32_t banned[] = {0, 29};
    processors.banned = banned;
    processors.banned_count = 2;
    processors.stamp = UINT32_MAX - 1; /* wraps around at the second call */
    for (int call = 0; call < 4; call++) {
        float row[VOCAB];
        for (size_t i = 0; i < VOCAB; i++)
            row[i] = i % 2 ? 1 : -1;
        sb_processors_apply(&processors, row, (int32_t[]){5, 5, 6}, 3);
        ck_assert(row[0] == -INFINITY && row[29] == -INFINITY);
        ck_assert(row[5] == 0.5f && row[6] == -2 && row[7] == 1 && row[8] == -1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processors");
    TCase *tcase = tcase_create("golden");
    tcase_add_test(tcase, repetition_penalty);
    tcase_add_test(tcase, no_repeat_ngram);
    tcase_add_test(tcase, min_new_tokens);
    tcase_add_test(tcase, bad_words);
    tcase_add_test(tcase, a_bad_word_that_is_the_end_token_is_ignored);
    tcase_add_test(tcase, hamming_diversity);
    tcase_add_test(tcase, temperature_top_k_and_top_p);
    tcase_add_test(tcase, the_whole_chain);
    tcase_add_test(tcase, banned_tokens_and_old_stamps);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
