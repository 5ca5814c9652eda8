/*
 * Likelihoods through the cache against rows computed whole, against the reference's seq2seq loss of a batch
 * (golden/train) and against the reference's greedy decoding of a real model (golden/real).
 */
#include "base/random.h"
#include "kernels/kernels.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/evaluation_likelihood.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64, END = 3 };

static struct sb_model *open_model(const char *dir)
{
    struct sb_error error;
    struct sb_model *model;
    enum sb_status status = sb_model_open(&model, dir, NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return model;
}

static struct sb_session *open_session(struct sb_model *model, const struct sb_session_options *options)
{
    struct sb_session *session;
    ck_assert_int_eq(sb_session_new(&session, model, options, NULL), SB_OK);
    return session;
}

static void measure(struct sb_likelihood *likelihoods, struct sb_session *session,
                    const struct sb_likelihood_pair *pairs, size_t count)
{
    struct sb_error error;
    enum sb_status status = sb_measure_likelihood(likelihoods, session, pairs, count, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
}

/* ---- against rows computed whole ---- */

/* -log p(id | source, words[count]), and the most likely next word. */
static double surprise(struct sb_session *session, const struct sb_likelihood_pair *pair, const int32_t *words,
                       size_t count, int32_t id, int32_t *next)
{
    int32_t ids[LONGEST];
    uint8_t segments[LONGEST] = {0};
    struct sb_model *model = sb_session_model(session);
    size_t length = pair->source_length + count, vocab = (size_t)sb_model_config(model)->vocab_size;
    ck_assert_uint_le(length, LONGEST);
    memcpy(ids, pair->source, pair->source_length * sizeof *ids);
    if (count > 0)
        memcpy(ids + pair->source_length, words, count * sizeof *ids);
    memset(segments + pair->source_length, 1, count);
    struct sb_row row = {
        .ids = ids, .segments = segments, .length = length, .prefix = pair->source_length, .want = SB_WANT_LOGITS};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    double sum = 0;
    *next = 0;
    for (size_t i = 0; i < vocab; i++) {
        sum += exp((double)row.logits[i] - (double)row.logits[id]);
        if (row.logits[i] > row.logits[*next])
            *next = (int32_t)i;
    }
    return log(sum);
}

static void add(struct sb_likelihood_gap *gap, double forced, double own)
{
    gap->tokens++;
    gap->forced += forced;
    gap->own += own;
}

static struct sb_likelihood expected(struct sb_session *session, const struct sb_likelihood_pair *pair)
{
    struct sb_likelihood e = {.tokens = pair->target_length};
    int32_t written[LONGEST], guessed[LONGEST], ignored;
    bool ended = false;
    for (size_t t = 0; t < pair->target_length; t++) {
        double forced = surprise(session, pair, pair->target, t, pair->target[t], &guessed[t]);
        double behind_guesses = surprise(session, pair, guessed, t, pair->target[t], &ignored);
        double behind_written = surprise(session, pair, written, t, pair->target[t], &written[t]);
        e.nll += forced;
        if (t > 0)
            add(&e.guessed, forced, behind_guesses);
        if (t > 0 && !ended)
            add(&e.written, forced, behind_written);
        ended |= written[t] == END;
    }
    return e;
}

static void same_gap(const struct sb_likelihood_gap *mine, const struct sb_likelihood_gap *theirs)
{
    ck_assert_uint_eq(mine->tokens, theirs->tokens);
    ck_assert_double_eq_tol(mine->forced, theirs->forced, 1e-4);
    ck_assert_double_eq_tol(mine->own, theirs->own, 1e-4);
}

static void same(const struct sb_likelihood *mine, const struct sb_likelihood *theirs)
{
    ck_assert_uint_eq(mine->tokens, theirs->tokens);
    ck_assert_double_eq_tol(mine->nll, theirs->nll, 1e-4);
    same_gap(&mine->written, &theirs->written);
    same_gap(&mine->guessed, &theirs->guessed);
}

/* Sources and targets of many lengths, one of them of the end alone. */
enum { PAIRS = 37 };

static void make_pairs(struct sb_likelihood_pair *pairs, int32_t (*ids)[LONGEST])
{
    for (size_t p = 0; p < PAIRS; p++) {
        size_t source = 3 + p % 11, target = 1 + p * 7 % 19;
        for (size_t i = 0; i < source + target; i++)
            ids[p][i] = 6 + (int32_t)(sb_random_uniform(1, p, i) * 190);
        ids[p][0] = 2;
        ids[p][source - 1] = ids[p][source + target - 1] = END;
        pairs[p] = (struct sb_likelihood_pair){ids[p], ids[p] + source, source, target};
    }
}

START_TEST(through_the_cache_as_computed_whole)
{
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session *session = open_session(model, NULL);
    static int32_t ids[PAIRS][LONGEST];
    struct sb_likelihood_pair pairs[PAIRS];
    struct sb_likelihood together[PAIRS], alone, sum = {0};
    make_pairs(pairs, ids);
    measure(together, session, pairs, PAIRS);
    for (size_t p = 0; p < PAIRS; p++) {
        struct sb_likelihood e = expected(session, &pairs[p]);
        same(&together[p], &e);
        measure(&alone, session, &pairs[p], 1);
        ck_assert_msg(memcmp(&alone, &together[p], sizeof alone) == 0, "pair %zu depends on the others", p);
        sb_likelihood_add(&sum, &together[p]);
    }
    ck_assert_uint_gt(sum.written.tokens, 100);
    ck_assert_uint_eq(sum.guessed.tokens, sum.tokens - PAIRS);
    /* Else the prefixes were the same. */
    ck_assert(fabs(sum.written.own - sum.written.forced) > 0.1 && fabs(sum.guessed.own - sum.guessed.forced) > 0.1);
    ck_assert(fabs(sum.written.own - sum.guessed.own) > 0.1);
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

START_TEST(small_sessions_give_the_same)
{
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session_options limits = {.max_tokens = 64, .max_rows = 4, .max_logits = 5};
    struct sb_session *large = open_session(model, NULL), *small = open_session(model, &limits);
    static int32_t ids[PAIRS][LONGEST];
    struct sb_likelihood_pair pairs[PAIRS];
    struct sb_likelihood a[PAIRS], b[PAIRS];
    make_pairs(pairs, ids);
    measure(a, large, pairs, PAIRS);
    measure(b, small, pairs, PAIRS);
    ck_assert(memcmp(a, b, sizeof a) == 0);
    sb_session_free(large);
    sb_session_free(small);
    sb_model_release(model);
}
END_TEST

/* ---- against the reference ---- */

START_TEST(the_seq2seq_loss_of_a_batch)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors");
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session *session = open_session(model, NULL);
    struct sb_likelihood one, sum = {0};
    for (int r = 0; r < 8; r++) {
        char name[20];
        size_t length;
        snprintf(name, sizeof name, "r%d/ids", r);
        const int32_t *ids = golden_i32(&batch, name, &length);
        snprintf(name, sizeof name, "r%d/prefix", r);
        size_t prefix = (size_t)golden_i32(&batch, name, NULL)[0];
        struct sb_likelihood_pair pair = {ids, ids + prefix, prefix, length - prefix};
        measure(&one, session, &pair, 1);
        sb_likelihood_add(&sum, &one);
    }
    ck_assert_double_eq_tol(sum.nll / (double)sum.tokens, (double)golden_f32(&batch, "loss/seq2seq", NULL)[0], 1e-5);
    sb_session_free(session);
    sb_model_release(model);
    golden_close(&batch);
}
END_TEST

/* The target twice, its end only once. */
static size_t twice(int32_t *to, const int32_t *target, size_t count)
{
    memcpy(to, target, (count - 1) * sizeof *to);
    memcpy(to + count - 1, target, count * sizeof *to);
    return 2 * count - 1;
}

/* For what the model itself writes greedily there is no gap; behind its end nothing is compared. */
START_TEST(greedy_decoding_of_a_real_model)
{
    struct sb_model *model = open_model("models/simbert-small-zh");
    struct sb_session *session = open_session(model, NULL);
    struct sb_encoding encoding = {0};
    void *lines = NULL;
    size_t seen = 0;
    for (cJSON *line; (line = golden_next_line(&lines, "real/simbert-small-zh.greedy.jsonl")); cJSON_Delete(line)) {
        const char *text = cJSON_GetObjectItem(line, "text")->valuestring;
        const cJSON *output = cJSON_GetObjectItem(line, "output"), *logprobs = cJSON_GetObjectItem(line, "logprobs");
        if (cJSON_GetObjectItem(line, "smallest_gap")->valuedouble < 1e-3)
            continue;
        int32_t target[LONGEST * 2], longer[LONGEST * 4];
        size_t count = (size_t)cJSON_GetArraySize(output);
        ck_assert_uint_le(count, 2 * LONGEST);
        double nll = 0;
        for (size_t i = 0; i < count; i++) {
            target[i] = (int32_t)cJSON_GetArrayItem(output, (int)i)->valuedouble;
            nll -= cJSON_GetArrayItem(logprobs, (int)i)->valuedouble;
        }
        ck_assert_int_eq(
            sb_tokenizer_encode(sb_model_tokenizer(model), &encoding, text, strlen(text), NULL, 0, 512, NULL), SB_OK);
        struct sb_likelihood_pair pair = {encoding.ids, target, encoding.length, count};
        struct sb_likelihood mine;
        measure(&mine, session, &pair, 1);
        ck_assert_msg(fabs(mine.nll - nll) <= 1e-3 * (double)count, "%s: %g, not %g", text, mine.nll, nll);
        ck_assert(mine.written.tokens == count - 1 && mine.guessed.tokens == count - 1);
        ck_assert_double_eq_tol(mine.written.own, mine.written.forced, 1e-6);
        ck_assert_double_eq_tol(mine.guessed.own, mine.guessed.forced, 1e-6);
        pair = (struct sb_likelihood_pair){encoding.ids, longer, encoding.length, twice(longer, target, count)};
        measure(&mine, session, &pair, 1);
        ck_assert_uint_eq(mine.tokens, 2 * count - 1);
        ck_assert(mine.written.tokens == count - 1 && mine.guessed.tokens == 2 * count - 2);
        seen++;
    }
    ck_assert_uint_ge(seen, 40);
    sb_encoding_free(&encoding);
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

/* ---- what is refused ---- */

static void refused(struct sb_session *session, struct sb_likelihood_pair pair, enum sb_status expected_status)
{
    struct sb_likelihood likelihood;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_measure_likelihood(&likelihood, session, &pair, 1, &error), expected_status);
    ck_assert_str_ne(error.message, "");
}

START_TEST(bad_pairs_are_refused)
{
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session_options limits = {.max_tokens = 64, .max_rows = 2, .max_logits = 2};
    struct sb_session *session = open_session(model, NULL), *tiny = open_session(model, &limits);
    static int32_t ids[LONGEST + 1] = {2, 7, END, 8, END};
    refused(session, (struct sb_likelihood_pair){ids, ids, 3, 62}, SB_INVALID); /* 64 positions */
    refused(session, (struct sb_likelihood_pair){ids, ids, 3, 0}, SB_INVALID);
    refused(session, (struct sb_likelihood_pair){ids, ids, 0, 3}, SB_INVALID);
    refused(session, (struct sb_likelihood_pair){ids, (const int32_t[]){200}, 3, 1}, SB_INVALID);
    refused(session, (struct sb_likelihood_pair){ids, (const int32_t[]){-1}, 3, 1}, SB_INVALID);
    refused(session, (struct sb_likelihood_pair){(const int32_t[]){200}, ids, 1, 1}, SB_INVALID);
    refused(tiny, (struct sb_likelihood_pair){ids, ids + 3, 3, 2}, SB_LIMIT);
    sb_session_free(session);
    sb_session_free(tiny);
    sb_model_release(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluation_likelihood");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, through_the_cache_as_computed_whole);
    tcase_add_test(tcase, small_sessions_give_the_same);
    tcase_add_test(tcase, the_seq2seq_loss_of_a_batch);
    tcase_add_test(tcase, greedy_decoding_of_a_real_model);
    tcase_add_test(tcase, bad_pairs_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
