#include "server/paraphrase_query.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

void sb_paraphrase_query_free(struct sb_paraphrase_query *query)
{
    free(query->bad_words.ids);
    free(query->bad_words.ends);
    free(query->force_words.ids);
    free(query->force_words.ends);
    free(query->mask);
    *query = (struct sb_paraphrase_query){0};
}

static bool parse_number(struct sb_parse *parse, const char *key, int *value)
{
    int64_t wide = *value;
    if (!sb_parse_int(parse, key, -INT32_MAX, INT32_MAX, &wide))
        return false;
    *value = (int)wide;
    return true;
}

static bool parse_real(struct sb_parse *parse, const char *key, double *value)
{
    return sb_parse_double(parse, key, -1e9, 1e9, value);
}

/* ---- lists ---- */

static bool add_word(struct sb_parse *parse, struct sb_word_lists *words, const struct sb_encoding *encoding)
{
    if (words->capacity - words->length < encoding->length) {
        size_t capacity = (words->capacity + encoding->length) * 2;
        int32_t *ids = realloc(words->ids, capacity * sizeof *ids);
        if (!ids)
            return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for %s", parse->param);
        words->ids = ids;
        words->capacity = capacity;
    }
    memcpy(words->ids + words->length, encoding->ids, encoding->length * sizeof *words->ids);
    words->length += encoding->length;
    words->ends[words->count++] = words->length;
    return true;
}

static bool parse_word(struct sb_parse *parse, const struct sb_tokenizer *tokenizer, const cJSON *item,
                       struct sb_encoding *encoding, struct sb_word_lists *words)
{
    if (!cJSON_IsString(item))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s: element %zu is not a text", parse->param, words->count);
    if (sb_tokenizer_encode_plain(tokenizer, encoding, item->valuestring, strlen(item->valuestring), &parse->error) !=
        SB_OK)
        return sb_parse_fail(parse, SB_PROBLEM_TOKENIZER, "%s: element %zu: %s", parse->param, words->count,
                             parse->error.message);
    if (encoding->length == 0)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s: element %zu holds no word", parse->param, words->count);
    return add_word(parse, words, encoding);
}

/* A list of texts as token lists. */
static bool parse_words(struct sb_parse *parse, const char *key, const struct sb_tokenizer *tokenizer, size_t limit,
                        struct sb_word_lists *words, struct sb_token_lists *lists)
{
    const cJSON *field = sb_parse_field(parse, key);
    struct sb_encoding encoding = {0};
    if (!field)
        return true;
    size_t count = (size_t)cJSON_GetArraySize(field);
    if (!cJSON_IsArray(field))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s must be a list of texts", key);
    if (count > limit)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s has %zu elements; at most %zu are possible", key, count,
                             limit);
    words->ends = calloc(count + 1, sizeof *words->ends);
    bool ok = words->ends || sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for %s", key);
    for (const cJSON *item = field->child; item && ok; item = item->next)
        ok = parse_word(parse, tokenizer, item, &encoding, words);
    sb_encoding_free(&encoding);
    *lists = (struct sb_token_lists){words->ids, words->ends, words->count};
    return ok;
}

/* [[start, end], …] in characters of the text. */
static bool parse_mask(struct sb_parse *parse, struct sb_paraphrase_query *query)
{
    const cJSON *field = sb_parse_field(parse, "mask");
    if (!field)
        return true;
    if (!cJSON_IsArray(field))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "mask must be a list of [start, end]");
    query->mask = calloc((size_t)cJSON_GetArraySize(field) + 1, sizeof *query->mask);
    if (!query->mask)
        return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for the mask");
    size_t n = 0;
    for (const cJSON *item = field->child; item; item = item->next) {
        int64_t start, end;
        if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 ||
            !sb_json_as_int(&start, 0, INT32_MAX, item->child) ||
            !sb_json_as_int(&end, 0, INT32_MAX, item->child->next))
            return sb_parse_fail(parse, SB_PROBLEM_INVALID, "mask: element %zu is not [start, end]", n);
        query->mask[n++] = (struct sb_text_range){(size_t)start, (size_t)end};
    }
    query->options.mask = query->mask;
    query->options.mask_count = n;
    return true;
}

static bool parse_early_stopping(struct sb_parse *parse, enum sb_early_stopping *stopping)
{
    const cJSON *field = sb_parse_field(parse, "early_stopping");
    if (!field)
        return true;
    if (cJSON_IsBool(field))
        *stopping = cJSON_IsTrue(field) ? SB_STOP_TRUE : SB_STOP_FALSE;
    else if (cJSON_IsString(field) && strcmp(field->valuestring, "never") == 0)
        *stopping = SB_STOP_NEVER;
    else
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "early_stopping must be true, false or \"never\"");
    return true;
}

/* ---- all ---- */

static bool parse_decoding(struct sb_parse *parse, struct sb_decode_options *o)
{
    int64_t seed = (int64_t)sb_random_fresh_seed();
    int64_t beams = o->num_beams; /* checked here: it also sets how many sequences are returned */
    o->do_sample = sb_parse_field(parse, "num_beams") == NULL;
    if (!sb_parse_bool(parse, "do_sample", &o->do_sample) || !sb_parse_int(parse, "seed", 0, INT64_C(1) << 53, &seed) ||
        !sb_parse_int(parse, "num_beams", 1, SB_MAX_BEAMS, &beams))
        return false;
    o->seed = (uint64_t)seed;
    o->num_beams = (int)beams;
    return parse_number(parse, "num_beam_groups", &o->num_beam_groups) &&
           parse_real(parse, "diversity_penalty", &o->diversity_penalty) && parse_number(parse, "top_k", &o->top_k) &&
           parse_real(parse, "top_p", &o->top_p) && parse_real(parse, "temperature", &o->temperature) &&
           parse_real(parse, "length_penalty", &o->length_penalty) && parse_early_stopping(parse, &o->early_stopping) &&
           parse_number(parse, "no_repeat_ngram_size", &o->no_repeat_ngram_size) &&
           parse_real(parse, "repetition_penalty", &o->repetition_penalty) &&
           parse_number(parse, "min_new_tokens", &o->min_new_tokens) &&
           parse_number(parse, "max_new_tokens", &o->max_new_tokens);
}

bool sb_parse_paraphrase(struct sb_parse *parse, const struct sb_model *model, struct sb_paraphrase_query *query)
{
    const struct sb_tokenizer *tokenizer = sb_model_tokenizer(model);
    struct sb_paraphrase_options *o = &query->options;
    *o = sb_paraphrase_defaults();
    return parse_decoding(parse, &o->decode) && parse_number(parse, "n", &o->n) &&
           parse_number(parse, "num_candidates", &o->num_candidates) &&
           parse_real(parse, "min_similarity", &o->min_similarity) &&
           parse_real(parse, "max_similarity", &o->max_similarity) &&
           parse_number(parse, "min_edit_distance", &o->min_edit_distance) &&
           sb_parse_bool(parse, "drop_copies", &o->drop_copies) && sb_parse_bool(parse, "rerank", &o->rerank) &&
           parse_words(parse, "bad_words", tokenizer, SB_MAX_BAD_WORDS, &query->bad_words, &o->decode.bad_words) &&
           parse_words(parse, "force_words", tokenizer, SB_MAX_FORCE_WORDS, &query->force_words,
                       &o->decode.force_words) &&
           parse_mask(parse, query);
}
