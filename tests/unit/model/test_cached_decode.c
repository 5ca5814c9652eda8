/*
 * Decoding through the key/value cache equals decoding by computing every row whole: logits to 1e-5, at every step of
 * every kind of search. And greedy decoding of a real model against the reference (golden/real).
 */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/model/families.h"
#include "tests/unit/model/network.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 64, END = 3 };

/* The logits behind the history, computed without a cache, against the step's. Returns the largest difference. */
static double difference(struct network *n, const struct sb_decoder_row *next, size_t prefix, const float *step_logits)
{
    uint8_t segments[LONGEST];
    double largest = 0;
    ck_assert_uint_le(next->length, LONGEST);
    for (size_t i = 0; i < next->length; i++)
        segments[i] = i >= prefix;
    struct sb_row row = {
        .ids = next->history, .segments = segments, .length = next->length, .prefix = prefix, .want = SB_WANT_LOGITS};
    ck_assert_int_eq(sb_session_forward(n->session, &row, 1, NULL), SB_OK);
    for (size_t i = 0; i < n->vocab_size; i++) {
        double d = fabs((double)row.logits[i] - (double)step_logits[i]);
        largest = d > largest || isnan(d) ? d : largest;
    }
    return largest;
}

/* Returns the number of steps compared. */
static size_t check_search(struct network *n, const struct sb_decode_options *options, const int32_t *prompt,
                           size_t length)
{
    struct sb_decoder_input input = {.prompt = prompt,
                                     .prompt_length = length,
                                     .vocab_size = n->vocab_size,
                                     .end_id = n->end_id,
                                     .kernels = sb_model_kernels(n->model),
                                     .max_rows = 4};
    struct sb_decoder *decoder;
    size_t steps = 0;
    ck_assert_int_eq(sb_decoder_new(&decoder, options, &input, NULL), SB_OK);
    sb_kv_cache_free(n->cache);
    ck_assert_int_eq(sb_kv_cache_new(&n->cache, n->model, length, sb_decoder_slots(decoder), NULL), SB_OK);
    struct sb_row source = {.ids = prompt, .length = length, .prefix = length, .cache = n->cache};
    sb_decoder_start(decoder, network_forward(n, &source));
    while (!sb_decoder_finished(decoder)) {
        struct sb_decoder_row next;
        for (size_t i = 0; i < sb_decoder_rows(decoder); i++) {
            if (!sb_decoder_row(decoder, i, &next))
                continue;
            struct sb_row row = network_step_row(n, &next);
            const float *logits = network_forward(n, &row);
            double d = difference(n, &next, length, logits);
            ck_assert_msg(d <= 1e-5, "step %zu, %zu tokens: logits differ by %g", steps, next.length, d);
            sb_decoder_accept(decoder, i, logits);
            steps++;
        }
    }
    ck_assert_uint_ge(sb_decoder_results(decoder), 1);
    sb_decoder_free(decoder);
    return steps;
}

static size_t check_searches(struct network *n, const int32_t *prompt, size_t length, int max_new)
{
    struct sb_decode_options sampling = sb_decode_defaults(), beams, groups, reference;
    sampling.num_sequences = 12;
    sampling.max_new_tokens = max_new;
    beams = sampling;
    beams.do_sample = false;
    beams.num_beams = beams.num_sequences = 4;
    groups = beams;
    groups.num_beam_groups = 2;
    groups.diversity_penalty = 1;
    reference = beams;
    reference.reference = true;
    reference.num_sequences = 1;
    return check_search(n, &sampling, prompt, length) + check_search(n, &beams, prompt, length) +
           check_search(n, &groups, prompt, length) + check_search(n, &reference, prompt, length);
}

START_TEST(tiny_models)
{
    struct network network = network_open(family_dir(_i), END);
    int longest = sb_model_max_length(network.model);
    size_t steps = 0;
    for (uint64_t source = 0; source < 4; source++) {
        int32_t prompt[24] = {2};
        size_t length = (size_t[]){3, 5, 9, 20}[source];
        int room = longest - (int)length;
        for (size_t i = 1; i + 1 < length; i++)
            prompt[i] = 6 + (int32_t)(sb_random_uniform(1, source, i) * ((double)network.vocab_size - 10));
        prompt[length - 1] = END;
        steps += check_searches(&network, prompt, length, room < 12 ? room : 12);
    }
    ck_assert_uint_ge(steps, 200);
    network_close(&network);
}
END_TEST

static struct sb_encoding encode(const struct network *n, const char *text)
{
    struct sb_encoding encoding = {0};
    ck_assert_int_eq(
        sb_tokenizer_encode(sb_model_tokenizer(n->model), &encoding, text, strlen(text), NULL, 0, 512, NULL), SB_OK);
    return encoding;
}

START_TEST(a_real_model)
{
    struct network network = network_open("models/simbert-small-zh", END);
    struct sb_encoding encoding = encode(&network, "花呗绑定几个支付宝号");
    ck_assert_uint_ge(check_searches(&network, encoding.ids, encoding.length, 10), 60);
    sb_encoding_free(&encoding);
    network_close(&network);
}
END_TEST

/* Ids are exact wherever the best two tokens differ by more than 1e-3, log probabilities agree to 1e-3. */
START_TEST(greedy_decoding_of_a_real_model)
{
    struct network network = network_open("models/simbert-small-zh", END);
    void *lines = NULL;
    int count = 0;
    for (cJSON *line; (line = golden_next_line(&lines, "real/simbert-small-zh.greedy.jsonl"));
         count++, cJSON_Delete(line)) {
        const cJSON *output = cJSON_GetObjectItem(line, "output"), *logprobs = cJSON_GetObjectItem(line, "logprobs");
        struct sb_encoding encoding = encode(&network, cJSON_GetObjectItem(line, "text")->valuestring);
        struct sb_decode_options o = sb_decode_defaults();
        o.do_sample = false;
        int length = cJSON_GetArraySize(output);
        o.max_new_tokens = cJSON_GetArrayItem(output, length - 1)->valueint == END ? 64 : length;
        struct sb_decoder *decoder = network_decode(&network, &o, encoding.ids, encoding.length, encoding.length, 0);
        const struct sb_hypothesis *h = sb_decoder_result(decoder, 0);
        double logprob = 0;
        for (int i = 0; i < cJSON_GetArraySize(logprobs); i++)
            logprob += cJSON_GetArrayItem(logprobs, i)->valuedouble;
        bool same = h->length == (size_t)cJSON_GetArraySize(output);
        for (int i = 0; same && i < cJSON_GetArraySize(output); i++)
            same = h->ids[i] == cJSON_GetArrayItem(output, i)->valueint;
        ck_assert_msg(same || cJSON_GetObjectItem(line, "smallest_gap")->valuedouble <= 1e-3, "text %d: other tokens",
                      count);
        if (same)
            ck_assert_msg(fabs(h->logprob - logprob) <= 1e-3, "text %d: log probability %.6f, reference %.6f", count,
                          h->logprob, logprob);
        sb_decoder_free(decoder);
        sb_encoding_free(&encoding);
    }
    ck_assert_int_eq(count, 60);
    network_close(&network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cached_decode");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, tiny_models, 0, FAMILIES);
    tcase_add_test(tcase, a_real_model);
    tcase_add_test(tcase, greedy_decoding_of_a_real_model);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
