#include "model/decode_options.h"

struct sb_decode_options sb_decode_defaults(void)
{
    return (struct sb_decode_options){
        .do_sample = true,
        .num_sequences = 1,
        .num_beams = 1,
        .num_beam_groups = 1,
        .top_k = 5,
        .top_p = 1,
        .temperature = 1,
        .length_penalty = 1,
        .repetition_penalty = 1,
        .max_new_tokens = 64,
        .reference_min_ends = 1,
    };
}

static enum sb_status check_int(const char *name, int value, int low, int high, struct sb_error *error)
{
    if (value >= low && value <= high)
        return SB_OK;
    return sb_fail(error, SB_INVALID, "%s must be %d to %d, not %d", name, low, high, value);
}

/* Refuses NaN too. */
static enum sb_status check_double(const char *name, double value, double low, double high, struct sb_error *error)
{
    if (value >= low && value <= high)
        return SB_OK;
    return sb_fail(error, SB_INVALID, "%s must be %g to %g, not %g", name, low, high, value);
}

/* In (0, high]. */
static enum sb_status check_positive(const char *name, double value, double high, struct sb_error *error)
{
    if (value > 0 && value <= high)
        return SB_OK;
    return sb_fail(error, SB_INVALID, "%s must be more than 0 and at most %g, not %g", name, high, value);
}

static enum sb_status check_numbers(const struct sb_decode_options *o, size_t vocab_size, struct sb_error *error)
{
    int top_k_limit = vocab_size < INT32_MAX ? (int)vocab_size : INT32_MAX;
    const struct {
        const char *name;
        int value, low, high;
    } whole[] = {
        {"num_sequences", o->num_sequences, 1, SB_MAX_SEQUENCES},
        {"num_beams", o->num_beams, 1, SB_MAX_BEAMS},
        {"num_beam_groups", o->num_beam_groups, 1, SB_MAX_BEAMS},
        {"top_k", o->top_k, 0, top_k_limit},
        {"early_stopping", (int)o->early_stopping, SB_STOP_FALSE, SB_STOP_NEVER},
        {"no_repeat_ngram_size", o->no_repeat_ngram_size, 0, SB_MAX_NEW_TOKENS},
        {"max_new_tokens", o->max_new_tokens, 1, SB_MAX_NEW_TOKENS},
        {"min_new_tokens", o->min_new_tokens, 0, SB_MAX_NEW_TOKENS},
        {"min_ends", o->reference_min_ends, 1, SB_MAX_NEW_TOKENS},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (check_int(whole[i].name, whole[i].value, whole[i].low, whole[i].high, error) != SB_OK)
            return SB_INVALID;
    if (check_positive("temperature", o->temperature, 100, error) != SB_OK ||
        check_positive("top_p", o->top_p, 1, error) != SB_OK ||
        check_positive("repetition_penalty", o->repetition_penalty, 100, error) != SB_OK ||
        check_double("length_penalty", o->length_penalty, -100, 100, error) != SB_OK ||
        check_double("diversity_penalty", o->diversity_penalty, 0, 1000, error) != SB_OK)
        return SB_INVALID;
    if (o->min_new_tokens > o->max_new_tokens)
        return sb_fail(error, SB_INVALID, "min_new_tokens is %d: it must be at most max_new_tokens, which is %d",
                       o->min_new_tokens, o->max_new_tokens);
    return SB_OK;
}

static enum sb_status check_lists(const char *name, const struct sb_token_lists *lists, size_t most, size_t longest,
                                  size_t vocab_size, struct sb_error *error)
{
    if (lists->count > most)
        return sb_fail(error, SB_INVALID, "%s: %zu words; at most %zu", name, lists->count, most);
    for (size_t i = 0, start = 0; i < lists->count; start = lists->ends[i++]) {
        if (lists->ends[i] <= start)
            return sb_fail(error, SB_INVALID, "%s: word %zu has no tokens", name, i);
        if (lists->ends[i] - start > longest)
            return sb_fail(error, SB_INVALID, "%s: word %zu has %zu tokens; at most %zu", name, i,
                           lists->ends[i] - start, longest);
        for (size_t j = start; j < lists->ends[i]; j++)
            if (lists->ids[j] < 0 || (size_t)lists->ids[j] >= vocab_size)
                return sb_fail(error, SB_INVALID, "%s: word %zu: token id %d is outside the vocabulary of %zu", name, i,
                               lists->ids[j], vocab_size);
    }
    return SB_OK;
}

/* Options that exclude each other. */
static enum sb_status check_mode(const struct sb_decode_options *o, struct sb_error *error)
{
    bool beams = !o->do_sample && o->num_beams > 1;
    if (o->do_sample && (o->num_beams > 1 || o->num_beam_groups > 1 || o->reference))
        return sb_fail(error, SB_INVALID, "num_beams, num_beam_groups and the reference's search need do_sample false");
    if (o->num_beams % o->num_beam_groups != 0)
        return sb_fail(error, SB_INVALID, "num_beam_groups is %d: it must divide num_beams, which is %d",
                       o->num_beam_groups, o->num_beams);
    if (o->num_beam_groups > 1 && o->diversity_penalty == 0)
        return sb_fail(error, SB_INVALID,
                       "diversity_penalty must be more than 0 with num_beam_groups: the groups would be equal");
    if (o->num_beam_groups == 1 && o->diversity_penalty != 0)
        return sb_fail(error, SB_INVALID, "diversity_penalty needs num_beam_groups of 2 or more");
    if (o->force_words.count > 0 && (!beams || o->num_beam_groups > 1 || o->reference))
        return sb_fail(error, SB_INVALID,
                       "force_words need beam search: do_sample false, num_beams 2 or more and one group of beams");
    if (!o->do_sample && o->num_sequences > (o->reference ? 1 : o->num_beams))
        return sb_fail(error, SB_INVALID, "num_sequences is %d: without do_sample it must be at most %d",
                       o->num_sequences, o->reference ? 1 : o->num_beams);
    return SB_OK;
}

enum sb_status sb_decode_options_check(const struct sb_decode_options *options, size_t vocab_size,
                                       struct sb_error *error)
{
    enum sb_status status = check_numbers(options, vocab_size, error);
    if (status == SB_OK)
        status = check_mode(options, error);
    size_t longest = (size_t)options->max_new_tokens;
    if (status == SB_OK)
        status = check_lists("bad_words", &options->bad_words, SB_MAX_BAD_WORDS, SB_MAX_NEW_TOKENS, vocab_size, error);
    if (status == SB_OK)
        status = check_lists("force_words", &options->force_words, SB_MAX_FORCE_WORDS, longest, vocab_size, error);
    return status;
}
