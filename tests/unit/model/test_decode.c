/*
 * What a decoder promises whatever the network: paths name the right slots, samples equal independent ones, results do
 * not depend on how rows are grouped, nothing is allocated while decoding, bad options are refused by name. The network
 * here is a function of the history.
 */
#include "base/random.h"
#include "model/decode.h"
#include "model/logits_processors.h"
#include "model/sampling.h"
#include "tests/unit/model/count_allocations.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 40, END = 3, PROMPT = 4, MAX_NEW = 12, MOST_SLOTS = 4096 };
static const int32_t prompt[PROMPT] = {2, 11, 12, 3};

static uint64_t hash_of(const int32_t *history, size_t length)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint64_t)(history[i] + 1)) * 1099511628211u;
    return hash;
}

/* Peaked, so that samples share their beginnings; the end becomes likely after a few tokens. */
static void script(float *logits, const int32_t *history, size_t length)
{
    uint64_t hash = hash_of(history, length);
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = (float)(2 * sb_random_normal(hash, 0, i));
    logits[END] += length > PROMPT + 3 ? 3 : -1;
}

/* A cache that remembers which history each slot was filled for. */
struct script_cache {
    uint64_t slots[MOST_SLOTS];
    size_t used, fed; /* slots in use at most; tokens fed */
};

static void feed(struct script_cache *cache, float *logits, const struct sb_decoder_row *row, size_t slot_count)
{
    ck_assert_uint_eq(row->path_length + 1 + PROMPT, row->length);
    ck_assert(memcmp(row->history, prompt, sizeof prompt) == 0);
    for (size_t i = 0; i < row->path_length; i++)
        ck_assert_msg(cache->slots[row->path[i]] == hash_of(row->history, PROMPT + i + 1), "token %zu lies elsewhere",
                      i);
    ck_assert(row->slot >= 0 && (size_t)row->slot < slot_count);
    cache->slots[row->slot] = hash_of(row->history, row->length);
    cache->used = (size_t)row->slot + 1 > cache->used ? (size_t)row->slot + 1 : cache->used;
    cache->fed++;
    script(logits, row->history, row->length);
}

static struct sb_decoder *new_decoder(const struct sb_decode_options *options, size_t max_rows)
{
    struct sb_decoder_input input = {.prompt = prompt,
                                     .prompt_length = PROMPT,
                                     .vocab_size = VOCAB,
                                     .end_id = END,
                                     .kernels = sb_kernels_choose("plain", NULL),
                                     .max_rows = max_rows};
    struct sb_decoder *decoder;
    struct sb_error error;
    enum sb_status status = sb_decoder_new(&decoder, options, &input, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return decoder;
}

/* Decodes to the end. order: rows are accepted in order, backwards, or some now and some later. */
enum order { IN_ORDER, BACKWARDS, SOME };

static struct sb_decoder *decode(const struct sb_decode_options *options, size_t max_rows, enum order order,
                                 struct script_cache *cache)
{
    struct sb_decoder *decoder = new_decoder(options, max_rows);
    float logits[VOCAB];
    ck_assert_uint_le(sb_decoder_slots(decoder), MOST_SLOTS);
    memset(cache, 0, sizeof *cache);
    script(logits, prompt, PROMPT);
    sb_decoder_start(decoder, logits);
    for (uint64_t round = 0; !sb_decoder_finished(decoder); round++) {
        size_t rows = sb_decoder_rows(decoder);
        struct sb_decoder_row row;
        for (size_t i = 0; i < rows; i++) {
            size_t at = order == BACKWARDS ? rows - 1 - i : i;
            if (order == SOME && sb_random_uniform(9, round, i) < 0.5)
                continue;
            if (!sb_decoder_row(decoder, at, &row))
                continue;
            feed(cache, logits, &row, sb_decoder_slots(decoder));
            sb_decoder_accept(decoder, at, logits);
        }
        ck_assert_msg(round < 10000, "the decoder does not end");
    }
    ck_assert_uint_le(cache->used, sb_decoder_slots(decoder));
    return decoder;
}

static struct sb_decode_options sampling_options(int samples)
{
    struct sb_decode_options o = sb_decode_defaults();
    o.num_sequences = samples;
    o.max_new_tokens = MAX_NEW;
    o.seed = 7;
    return o;
}

static struct sb_decode_options beam_options(int beams)
{
    struct sb_decode_options o = sb_decode_defaults();
    o.do_sample = false;
    o.num_beams = o.num_sequences = beams;
    o.max_new_tokens = MAX_NEW;
    return o;
}

/* One sample alone, without a decoder. */
static size_t sample_alone(int32_t *generated, double *logprob, const struct sb_decode_options *o, size_t sample)
{
    const struct sb_kernels *kernels = sb_kernels_choose("plain", NULL);
    int32_t history[PROMPT + MAX_NEW], ids[VOCAB];
    uint32_t stamps[VOCAB] = {0};
    float logits[VOCAB], kept[VOCAB], largest, log_sum;
    double weights[VOCAB];
    struct sb_processors processors = {
        .options = o, .vocab_size = VOCAB, .prompt_length = PROMPT, .end_id = END, .stamps = stamps};
    struct sb_distribution d = {.logits = kept, .ids = ids, .weights = weights};
    memcpy(history, prompt, sizeof prompt);
    *logprob = 0;
    size_t n = 0;
    while (n < MAX_NEW && (n == 0 || history[PROMPT + n - 1] != END)) {
        script(logits, history, PROMPT + n);
        kernels->log_sum_exp(&largest, &log_sum, logits, VOCAB);
        float raw[VOCAB];
        memcpy(raw, logits, sizeof raw);
        sb_processors_apply(&processors, logits, history, PROMPT + n);
        sb_distribution_make(&d, logits, VOCAB, o, kernels);
        int32_t token = ids[sb_distribution_draw(&d, sb_random_uniform(o->seed, sample, n))];
        *logprob += (double)(raw[token] - largest - log_sum);
        history[PROMPT + n++] = token;
    }
    memcpy(generated, history + PROMPT, n * sizeof *generated);
    return n;
}

static void check_samples(const struct sb_decoder *decoder, const struct sb_decode_options *o)
{
    bool *seen = calloc((size_t)o->num_sequences, sizeof *seen);
    ck_assert_uint_eq(sb_decoder_results(decoder), (size_t)o->num_sequences);
    for (size_t i = 0; i < sb_decoder_results(decoder); i++) {
        const struct sb_hypothesis *h = sb_decoder_result(decoder, i);
        int32_t alone[MAX_NEW];
        double logprob;
        ck_assert(h->index < (size_t)o->num_sequences && !seen[h->index]);
        seen[h->index] = true;
        size_t n = sample_alone(alone, &logprob, o, h->index);
        ck_assert_msg(h->length == n && memcmp(h->ids, alone, n * sizeof *alone) == 0, "sample %zu differs", h->index);
        ck_assert(h->logprob == logprob && h->score == logprob);
        ck_assert_int_eq(h->stopped, alone[n - 1] == END);
    }
    free(seen);
}

/* Tokens that must be fed: distinct beginnings of the samples that are neither whole nor empty. */
static size_t distinct_beginnings(const struct sb_decoder *decoder)
{
    static uint64_t hashes[1000 * MAX_NEW];
    size_t count = 0;
    for (size_t i = 0; i < sb_decoder_results(decoder); i++)
        for (size_t n = 1; n < sb_decoder_result(decoder, i)->length; n++) {
            uint64_t hash = hash_of(sb_decoder_result(decoder, i)->ids, n);
            size_t j = 0;
            while (j < count && hashes[j] != hash)
                j++;
            hashes[j] = hash;
            count += j == count;
        }
    return count;
}

START_TEST(samples_equal_independent_ones)
{
    static const size_t rows[] = {1, 2, 3, 7, 32, 0};
    static struct script_cache cache;
    struct sb_decode_options all[4] = {sampling_options(100), sampling_options(100), sampling_options(1),
                                       sampling_options(40)};
    all[1].top_k = 0, all[1].top_p = 0.9, all[1].temperature = 1.5, all[1].repetition_penalty = 1.3;
    all[3].top_k = 0, all[3].min_new_tokens = 6, all[3].no_repeat_ngram_size = 2;
    for (size_t o = 0; o < 4; o++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (enum order order = IN_ORDER; order <= SOME; order++) {
                struct sb_decoder *decoder = decode(&all[o], rows[r], order, &cache);
                check_samples(decoder, &all[o]);
                ck_assert_uint_eq(cache.fed, distinct_beginnings(decoder));
                sb_decoder_free(decoder);
            }
}
END_TEST

START_TEST(one_row_needs_the_slots_of_one_sample)
{
    static struct script_cache cache;
    struct sb_decode_options o = sampling_options(200);
    o.top_k = 0;
    struct sb_decoder *decoder = decode(&o, 1, IN_ORDER, &cache);
    ck_assert_uint_eq(sb_decoder_slots(decoder), MAX_NEW - 1);
    ck_assert_uint_eq(sb_decoder_slots_of(&o, 1), MAX_NEW - 1);
    sb_decoder_free(decoder);
    o.max_new_tokens = 1; /* nothing is fed */
    decoder = decode(&o, 0, IN_ORDER, &cache);
    ck_assert_uint_eq(cache.fed, 0);
    ck_assert_uint_eq(sb_decoder_results(decoder), 200);
    ck_assert_uint_eq(sb_decoder_slots(decoder), 1);
    sb_decoder_free(decoder);
}
END_TEST

START_TEST(free_rows_take_over_work)
{
    struct sb_decode_options o = sampling_options(100);
    o.top_k = 0, o.temperature = 3;
    struct sb_decoder *decoder = new_decoder(&o, 8);
    struct sb_decoder_row row;
    float logits[VOCAB];
    size_t rounds = 0, idle = 0, done = 0;
    script(logits, prompt, PROMPT);
    sb_decoder_start(decoder, logits);
    for (; !sb_decoder_finished(decoder); rounds++) {
        done = sb_decoder_results(decoder);
        for (size_t i = 0; i < 8; i++) {
            bool needed = sb_decoder_row(decoder, i, &row);
            idle += !needed && done < 80; /* towards the end rows run out of work */
            if (needed) {
                script(logits, row.history, row.length);
                sb_decoder_accept(decoder, i, logits);
            }
        }
    }
    ck_assert_uint_eq(idle, 0);
    ck_assert_uint_gt(rounds, MAX_NEW);
    sb_decoder_free(decoder);
}
END_TEST

START_TEST(seeds_matter)
{
    static struct script_cache cache;
    struct sb_decode_options o = sampling_options(20), other = o;
    other.seed++;
    struct sb_decoder *a = decode(&o, 0, IN_ORDER, &cache), *b = decode(&other, 0, IN_ORDER, &cache);
    size_t same = 0;
    for (size_t i = 0; i < 20; i++)
        for (size_t j = 0; j < 20; j++) {
            const struct sb_hypothesis *x = sb_decoder_result(a, i), *y = sb_decoder_result(b, j);
            same += x->index == y->index && x->length == y->length &&
                    memcmp(x->ids, y->ids, x->length * sizeof *x->ids) == 0;
        }
    ck_assert_uint_lt(same, 10);
    sb_decoder_free(a);
    sb_decoder_free(b);
}
END_TEST

static const int32_t forced_ids[] = {20, 21, 22, 30};
static const size_t forced_ends[] = {3, 4};

/* One of each kind of search. */
static size_t searches(struct sb_decode_options *all)
{
    size_t n = 0;
    all[n++] = beam_options(1);
    all[n++] = beam_options(5);
    all[n] = beam_options(6), all[n].num_beam_groups = 3, all[n++].diversity_penalty = 0.5;
    all[n] = beam_options(4), all[n++].force_words = (struct sb_token_lists){forced_ids, forced_ends, 2};
    all[n] = beam_options(5), all[n].reference = true, all[n].num_sequences = 1, all[n++].reference_min_ends = 2;
    all[n] = beam_options(64), all[n++].early_stopping = SB_STOP_NEVER;
    all[n] = beam_options(4), all[n].early_stopping = SB_STOP_TRUE, all[n++].no_repeat_ngram_size = 1;
    all[n++] = sampling_options(50);
    return n;
}

static void assert_same_results(const struct sb_decoder *a, const struct sb_decoder *b)
{
    ck_assert_uint_eq(sb_decoder_results(a), sb_decoder_results(b));
    for (size_t i = 0; i < sb_decoder_results(a); i++) {
        const struct sb_hypothesis *x = sb_decoder_result(a, i), *y = sb_decoder_result(b, i);
        ck_assert(x->length == y->length && memcmp(x->ids, y->ids, x->length * sizeof *x->ids) == 0);
        ck_assert(x->score == y->score && x->logprob == y->logprob && x->stopped == y->stopped &&
                  x->satisfied == y->satisfied);
    }
}

START_TEST(beams_do_not_depend_on_the_order_of_rows)
{
    static struct script_cache cache;
    struct sb_decode_options all[16];
    size_t n = searches(all) - 1; /* samples complete in another order then; they are compared above */
    for (size_t s = 0; s < n; s++) {
        struct sb_decoder *a = decode(&all[s], 0, IN_ORDER, &cache);
        for (enum order order = BACKWARDS; order <= SOME; order++) {
            struct sb_decoder *b = decode(&all[s], 0, order, &cache);
            assert_same_results(a, b);
            sb_decoder_free(b);
        }
        sb_decoder_free(a);
    }
}
END_TEST

START_TEST(logprob_is_the_models_own)
{
    static struct script_cache cache;
    const struct sb_kernels *kernels = sb_kernels_choose("plain", NULL);
    struct sb_decode_options all[16];
    size_t n = searches(all);
    for (size_t s = 0; s < n; s++) {
        all[s].repetition_penalty = 1.4; /* changes scores, not log probabilities */
        struct sb_decoder *decoder = decode(&all[s], 0, IN_ORDER, &cache);
        ck_assert_uint_ge(sb_decoder_results(decoder), 1);
        for (size_t i = 0; i < sb_decoder_results(decoder); i++) {
            const struct sb_hypothesis *h = sb_decoder_result(decoder, i);
            int32_t history[PROMPT + MAX_NEW];
            float logits[VOCAB], largest, log_sum;
            double logprob = 0;
            memcpy(history, prompt, sizeof prompt);
            for (size_t t = 0; t < h->length; t++) {
                script(logits, history, PROMPT + t);
                kernels->log_sum_exp(&largest, &log_sum, logits, VOCAB);
                logprob += (double)(logits[h->ids[t]] - largest - log_sum);
                history[PROMPT + t] = h->ids[t];
            }
            ck_assert_msg(fabs(logprob - h->logprob) < 1e-5, "search %zu: %.8f, from the logits %.8f", s, h->logprob,
                          logprob);
        }
        sb_decoder_free(decoder);
    }
}
END_TEST

START_TEST(decoding_allocates_nothing)
{
    static struct script_cache cache;
    struct sb_decode_options all[16];
    size_t n = searches(all);
    for (size_t s = 0; s < n; s++) {
        struct sb_decoder *decoder = new_decoder(&all[s], 0);
        struct sb_decoder_row row;
        float logits[VOCAB];
        memset(&cache, 0, sizeof cache);
        script(logits, prompt, PROMPT);
        allocations_begin();
        sb_decoder_start(decoder, logits);
        while (!sb_decoder_finished(decoder))
            for (size_t i = 0; i < sb_decoder_rows(decoder); i++)
                if (sb_decoder_row(decoder, i, &row)) {
                    script(logits, row.history, row.length);
                    sb_decoder_accept(decoder, i, logits);
                }
        ck_assert_int_eq(allocations_end(), 0);
        sb_decoder_free(decoder);
    }
    ck_assert(allocations_are_counted());
}
END_TEST

START_TEST(minimum_and_maximum_length)
{
    static struct script_cache cache;
    struct sb_decode_options all[16];
    size_t n = searches(all);
    for (size_t s = 0; s < n; s++) {
        if (all[s].reference)
            continue;
        all[s].min_new_tokens = all[s].max_new_tokens = 7;
        struct sb_decoder *decoder = decode(&all[s], 0, IN_ORDER, &cache);
        for (size_t i = 0; i < sb_decoder_results(decoder); i++) {
            ck_assert_uint_eq(sb_decoder_result(decoder, i)->length, 7);
            ck_assert(!sb_decoder_result(decoder, i)->stopped);
        }
        sb_decoder_free(decoder);
    }
}
END_TEST

START_TEST(the_reference_adds_a_little_to_every_probability)
{
    /* Two tokens are possible; the improbable one costs log(1e-12), not -100. */
    struct sb_decode_options o = beam_options(2);
    o.reference = true, o.num_sequences = 1, o.max_new_tokens = 1, o.reference_min_ends = 2;
    float logits[VOCAB];
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = i == 5 ? 100 : i == 6 ? 0 : -INFINITY;
    static const int32_t five[] = {5};
    static const size_t end[] = {1};
    o.bad_words = (struct sb_token_lists){five, end, 1};
    struct sb_decoder *decoder = new_decoder(&o, 0);
    sb_decoder_start(decoder, logits);
    ck_assert(sb_decoder_finished(decoder));
    const struct sb_hypothesis *h = sb_decoder_result(decoder, 0);
    ck_assert_int_eq(h->ids[0], 6);
    ck_assert_msg(fabs(h->score - log(1e-12)) < 1e-6, "%g", h->score);
    ck_assert(fabs(h->logprob + 100) < 1e-6);
    sb_decoder_free(decoder);
}
END_TEST

START_TEST(an_improbable_end_finishes_nothing)
{
    /* 4.46: an end finishes a beam only if it is among the best `width` extensions. In a group of two at the second
       step "5 end" is first, "5 5" second and "6 end" third: too late, although the group has room for it. */
    struct sb_decode_options o = beam_options(4);
    o.num_beam_groups = 2, o.diversity_penalty = 1e-9, o.max_new_tokens = 3, o.min_new_tokens = 1,
    o.early_stopping = SB_STOP_TRUE;
    struct sb_decoder *decoder = new_decoder(&o, 0);
    float logits[VOCAB];
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = i == END ? 1 : i == 5 ? 0.95f : i == 6 ? 0.5f : -INFINITY;
    sb_decoder_start(decoder, logits);
    struct sb_decoder_row next;
    while (!sb_decoder_finished(decoder))
        for (size_t i = 0; i < sb_decoder_rows(decoder); i++)
            if (sb_decoder_row(decoder, i, &next))
                sb_decoder_accept(decoder, i, logits);
    ck_assert_uint_eq(sb_decoder_results(decoder), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(sb_decoder_result(decoder, i)->ids[0], 5);
    sb_decoder_free(decoder);
}
END_TEST

START_TEST(when_every_token_is_forbidden)
{
    static struct script_cache cache;
    struct sb_decode_options all[16];
    size_t n = searches(all);
    int32_t ids[VOCAB];
    size_t ends[VOCAB];
    for (size_t i = 0; i < VOCAB; i++)
        ids[i] = (int32_t)i, ends[i] = i + 1;
    for (size_t s = 0; s < n; s++) {
        /* All but the end token, which no_repeat_ngram then forbids, being in the prompt; or but one token, usable
         * once. */
        for (int allowed = 0; allowed < 2; allowed++) {
            struct sb_decode_options o = all[s];
            o.bad_words = (struct sb_token_lists){ids + allowed, ends, VOCAB - (size_t)allowed};
            o.no_repeat_ngram_size = 1;
            struct sb_decoder *decoder = decode(&o, 0, IN_ORDER, &cache);
            ck_assert_uint_ge(sb_decoder_results(decoder), 1);
            for (size_t i = 0; i < sb_decoder_results(decoder); i++) {
                const struct sb_hypothesis *h = sb_decoder_result(decoder, i);
                ck_assert_uint_eq(h->length, (size_t)allowed);
                ck_assert(!h->stopped && (!allowed || h->ids[0] == 0));
            }
            sb_decoder_free(decoder);
        }
    }
}
END_TEST

START_TEST(forced_words_may_be_unsatisfied_and_say_so)
{
    static struct script_cache cache;
    struct sb_decode_options all[16], o;
    searches(all);
    o = all[3];
    int satisfied = 0;
    struct sb_decoder *decoder = decode(&o, 0, IN_ORDER, &cache);
    for (size_t i = 0; i < sb_decoder_results(decoder); i++)
        satisfied += sb_decoder_result(decoder, i)->satisfied;
    ck_assert_int_ge(satisfied, 1);
    sb_decoder_free(decoder);
    o.max_new_tokens = 3; /* there is no room for four tokens */
    decoder = decode(&o, 0, IN_ORDER, &cache);
    for (size_t i = 0; i < sb_decoder_results(decoder); i++)
        ck_assert(!sb_decoder_result(decoder, i)->satisfied);
    sb_decoder_free(decoder);
}
END_TEST

static void assert_refused(const struct sb_decode_options *o, const char *part)
{
    struct sb_decoder_input input = {.prompt = prompt,
                                     .prompt_length = PROMPT,
                                     .vocab_size = VOCAB,
                                     .end_id = END,
                                     .kernels = sb_kernels_choose("plain", NULL)};
    struct sb_decoder *decoder = (struct sb_decoder *)1;
    struct sb_error error = {0};
    ck_assert_msg(sb_decoder_new(&decoder, o, &input, &error) == SB_INVALID, "accepted; expected: %s", part);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' does not say '%s'", error.message, part);
    ck_assert_ptr_null(decoder);
}

START_TEST(bad_options_are_refused_by_name)
{
    struct sb_decode_options s = sampling_options(5), b = beam_options(4), o;
    static const int32_t outside[] = {VOCAB}, inside[] = {1, 2, 3, 4};
    static const size_t one[] = {1}, none[] = {0}, four[] = {4};
#define REFUSED(from, change, part) (o = (from), change, assert_refused(&o, part))
    REFUSED(s, o.temperature = 0, "temperature must be more than 0");
    REFUSED(s, o.temperature = NAN, "temperature");
    REFUSED(s, o.temperature = INFINITY, "temperature");
    REFUSED(s, o.temperature = -1, "temperature");
    REFUSED(s, o.top_p = 0, "top_p must be more than 0 and at most 1");
    REFUSED(s, o.top_p = 1.01, "top_p");
    REFUSED(s, o.top_p = NAN, "top_p");
    REFUSED(s, o.top_k = -1, "top_k must be 0 to 40, not -1");
    REFUSED(s, o.top_k = VOCAB + 1, "top_k");
    REFUSED(s, o.repetition_penalty = 0, "repetition_penalty");
    REFUSED(s, o.repetition_penalty = NAN, "repetition_penalty");
    REFUSED(s, o.length_penalty = NAN, "length_penalty");
    REFUSED(s, o.length_penalty = INFINITY, "length_penalty");
    REFUSED(s, o.diversity_penalty = -1, "diversity_penalty");
    REFUSED(s, o.no_repeat_ngram_size = -1, "no_repeat_ngram_size");
    REFUSED(s, o.max_new_tokens = 0, "max_new_tokens");
    REFUSED(s, o.max_new_tokens = SB_MAX_NEW_TOKENS + 1, "max_new_tokens must be 1 to 8192");
    REFUSED(s, o.min_new_tokens = -1, "min_new_tokens");
    REFUSED(s, o.min_new_tokens = MAX_NEW + 1, "min_new_tokens is 13: it must be at most max_new_tokens, which is 12");
    REFUSED(s, o.num_sequences = 0, "num_sequences");
    REFUSED(s, o.num_sequences = SB_MAX_SEQUENCES + 1, "num_sequences must be 1 to 1000");
    REFUSED(s, o.num_beams = 2, "do_sample false");
    REFUSED(s, o.reference = true, "do_sample false");
    REFUSED(b, o.num_beams = 0, "num_beams must be 1 to 64");
    REFUSED(b, o.num_beams = SB_MAX_BEAMS + 1, "num_beams");
    REFUSED(b, o.num_sequences = 5, "num_sequences is 5");
    REFUSED(b, o.num_beam_groups = 3, "num_beam_groups is 3: it must divide num_beams");
    REFUSED(b, o.num_beam_groups = 0, "num_beam_groups");
    REFUSED(b, o.num_beam_groups = 2, "diversity_penalty must be more than 0");
    REFUSED(b, o.diversity_penalty = 1, "diversity_penalty needs num_beam_groups");
    REFUSED(b, o.early_stopping = (enum sb_early_stopping)3, "early_stopping");
    REFUSED(b, (o.reference = true, o.num_sequences = 2), "num_sequences");
    REFUSED(b, o.reference_min_ends = 0, "min_ends");
    REFUSED(s, (o.force_words = (struct sb_token_lists){inside, one, 1}), "force_words need beam search");
    REFUSED(b, (o.force_words = (struct sb_token_lists){inside, one, SB_MAX_FORCE_WORDS + 1}), "force_words: 33 words");
    REFUSED(b, (o.force_words = (struct sb_token_lists){outside, one, 1}),
            "force_words: word 0: token id 40 is outside");
    REFUSED(b, (o.force_words = (struct sb_token_lists){inside, four, 1}, o.max_new_tokens = 3),
            "force_words: word 0 has 4 tokens");
    REFUSED(b, (o.bad_words = (struct sb_token_lists){inside, none, 1}), "bad_words: word 0 has no tokens");
#undef REFUSED
}
END_TEST

START_TEST(bad_inputs_are_refused)
{
    struct sb_decode_options o = sampling_options(5);
    static const int32_t outside[] = {-1};
    const struct sb_decoder_input good = {.prompt = prompt,
                                          .prompt_length = PROMPT,
                                          .vocab_size = VOCAB,
                                          .end_id = END,
                                          .kernels = sb_kernels_choose("plain", NULL)};
    struct sb_decoder_input inputs[] = {good, good, good, good};
    inputs[0].prompt = outside, inputs[0].prompt_length = 1;
    inputs[1].end_id = VOCAB;
    inputs[2].banned = outside, inputs[2].banned_count = 1;
    inputs[3].vocab_size = 0;
    for (size_t i = 0; i < 4; i++) {
        struct sb_decoder *decoder;
        ck_assert_int_eq(sb_decoder_new(&decoder, &o, &inputs[i], NULL), SB_INVALID);
    }
    sb_decoder_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, samples_equal_independent_ones);
    tcase_add_test(tcase, one_row_needs_the_slots_of_one_sample);
    tcase_add_test(tcase, free_rows_take_over_work);
    tcase_add_test(tcase, seeds_matter);
    tcase_add_test(tcase, beams_do_not_depend_on_the_order_of_rows);
    tcase_add_test(tcase, logprob_is_the_models_own);
    tcase_add_test(tcase, decoding_allocates_nothing);
    tcase_add_test(tcase, minimum_and_maximum_length);
    tcase_add_test(tcase, the_reference_adds_a_little_to_every_probability);
    tcase_add_test(tcase, an_improbable_end_finishes_nothing);
    tcase_add_test(tcase, when_every_token_is_forbidden);
    tcase_add_test(tcase, forced_words_may_be_unsatisfied_and_say_so);
    tcase_add_test(tcase, bad_options_are_refused_by_name);
    tcase_add_test(tcase, bad_inputs_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
