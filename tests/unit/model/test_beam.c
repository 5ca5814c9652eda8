/*
 * Beam searches against the goldens (golden/decode): the reference's (bert4keras), Hugging Face 5.x, and groups and
 * forced words of Hugging Face 4.46. Sequences are exact, scores agree to 2e-4. All of them run through the key/value
 * cache.
 */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/model/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { END = 3, MOST = 64 };

static size_t int_list(int32_t *out, const cJSON *list)
{
    const cJSON *item;
    size_t n = 0;
    cJSON_ArrayForEach(item, list)
    {
        ck_assert_uint_lt(n, MOST);
        out[n++] = item->valueint;
    }
    return n;
}

static double number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static struct sb_token_lists word_lists(const cJSON *lists, int32_t *ids, size_t *ends)
{
    const cJSON *list;
    size_t n = 0, count = 0;
    cJSON_ArrayForEach(list, lists)
    {
        n += int_list(ids + n, list);
        ends[count++] = n;
    }
    return (struct sb_token_lists){ids, ends, count};
}

static void assert_ids(const struct sb_hypothesis *h, const cJSON *expected, int line)
{
    int32_t ids[MOST];
    size_t n = int_list(ids, expected);
    ck_assert_msg(h->length == n && memcmp(h->ids, ids, n * sizeof *ids) == 0,
                  "line %d: %zu tokens %d %d %d ..., expected %zu: %d %d %d", line, h->length, h->ids[0], h->ids[1],
                  h->ids[2], n, ids[0], ids[1], ids[2]);
    ck_assert_int_eq(h->stopped, ids[n - 1] == END);
}

static void assert_score(double ours, double expected, int line)
{
    ck_assert_msg(fabs(ours - expected) <= 2e-4, "line %d: score %.6f, expected %.6f", line, ours, expected);
}

START_TEST(reference)
{
    struct network network = network_open(golden("models/tiny-bert"), END);
    void *lines = NULL;
    int count = 0;
    for (cJSON *line; (line = golden_next_line(&lines, "decode/beam.jsonl")); count++, cJSON_Delete(line)) {
        int32_t source[MOST];
        size_t n = int_list(source, cJSON_GetObjectItem(line, "source"));
        struct sb_decode_options o = sb_decode_defaults();
        o.do_sample = false;
        o.reference = true;
        o.num_beams = (int)number(line, "topk", 0);
        o.reference_min_ends = (int)number(line, "min_ends", 0);
        o.min_new_tokens = (int)number(line, "minlen", 0);
        o.max_new_tokens = (int)number(line, "maxlen", 0);
        network.scale = number(line, "scale", 0);
        network.end_bias = number(line, "end_bias", 0);
        struct sb_decoder *decoder = network_decode(&network, &o, source, n, n, 0);
        ck_assert_uint_eq(sb_decoder_results(decoder), 1);
        assert_ids(sb_decoder_result(decoder, 0), cJSON_GetObjectItem(line, "output"), count + 1);
        assert_score(sb_decoder_result(decoder, 0)->score, number(line, "score", NAN), count + 1);
        sb_decoder_free(decoder);
    }
    ck_assert_int_eq(count, 189);
    network_close(&network);
}
END_TEST

static struct sb_decode_options options_of(const cJSON *json, int32_t *ids, size_t *ends)
{
    struct sb_decode_options o = sb_decode_defaults();
    o.do_sample = false;
    o.num_beams = (int)number(json, "num_beams", 1);
    o.num_sequences = (int)number(json, "num_return_sequences", 1);
    o.num_beam_groups = (int)number(json, "num_beam_groups", 1);
    o.diversity_penalty = number(json, "diversity_penalty", 0);
    o.length_penalty = number(json, "length_penalty", 1);
    o.no_repeat_ngram_size = (int)number(json, "no_repeat_ngram_size", 0);
    o.repetition_penalty = number(json, "repetition_penalty", 1);
    o.min_new_tokens = (int)number(json, "min_new_tokens", 0);
    o.max_new_tokens = (int)number(json, "max_new_tokens", 0);
    const cJSON *early = cJSON_GetObjectItem(json, "early_stopping");
    o.early_stopping = cJSON_IsString(early) ? SB_STOP_NEVER : cJSON_IsTrue(early) ? SB_STOP_TRUE : SB_STOP_FALSE;
    o.bad_words = word_lists(cJSON_GetObjectItem(json, "bad_words_ids"), ids, ends);
    if (o.bad_words.count == 0)
        o.force_words = word_lists(cJSON_GetObjectItem(json, "force_words_ids"), ids, ends);
    return o;
}

static bool holds(const struct sb_hypothesis *h, const struct sb_token_lists *words)
{
    for (size_t w = 0, start = 0; w < words->count; start = words->ends[w++]) {
        size_t n = words->ends[w] - start;
        bool found = false;
        for (size_t i = 0; i + n <= h->length && !found; i++)
            found = memcmp(h->ids + i, words->ids + start, n * sizeof *h->ids) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* A file of generations by Hugging Face with tiny-bert as a causal language model: prefix 0, all segments 0. */
static int check_file(const char *file)
{
    struct network network = network_open(golden("models/tiny-bert"), END);
    network.target_segment = 0;
    void *lines = NULL;
    int count = 0;
    for (cJSON *line; (line = golden_next_line(&lines, file)); count++, cJSON_Delete(line)) {
        int32_t source[MOST], ids[MOST];
        size_t ends[MOST], n = int_list(source, cJSON_GetObjectItem(line, "source"));
        struct sb_decode_options o = options_of(cJSON_GetObjectItem(line, "options"), ids, ends);
        network.scale = number(line, "scale", 0);
        network.end_bias = number(line, "end_bias", 0);
        struct sb_decoder *decoder = network_decode(&network, &o, source, n, 0, 0);
        const cJSON *sequences = cJSON_GetObjectItem(line, "sequences"), *scores = cJSON_GetObjectItem(line, "scores");
        ck_assert_int_eq((int)sb_decoder_results(decoder), cJSON_GetArraySize(sequences));
        for (int i = 0; i < cJSON_GetArraySize(sequences); i++) {
            const struct sb_hypothesis *h = sb_decoder_result(decoder, (size_t)i);
            assert_ids(h, cJSON_GetArrayItem(sequences, i), count + 1);
            if (cJSON_IsArray(scores))
                assert_score(h->score, cJSON_GetArrayItem(scores, i)->valuedouble, count + 1);
            ck_assert_int_eq(h->satisfied, holds(h, &o.force_words));
        }
        sb_decoder_free(decoder);
    }
    network_close(&network);
    return count;
}

START_TEST(hugging_face_beams_and_greedy)
{
    ck_assert_int_eq(check_file("decode/hf-beam.jsonl"), 372);
}
END_TEST

START_TEST(hugging_face_groups_and_forced_words)
{
    ck_assert_int_eq(check_file("decode/hf-groups.jsonl"), 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beam");
    TCase *tcase = tcase_create("golden");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, reference);
    tcase_add_test(tcase, hugging_face_beams_and_greedy);
    tcase_add_test(tcase, hugging_face_groups_and_forced_words);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
