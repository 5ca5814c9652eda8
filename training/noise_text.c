/*
 * Masking and corruption of tokens, unit by unit.
 */
#include "base/utf8.h"
#include "tokenizer/unicode.h"
#include "training/noise.h"

#include <stdlib.h>
#include <string.h>

enum token_kind { PLAIN, IDEOGRAPH, CONTINUES };

static enum token_kind kind_of(const char *token)
{
    size_t size = strlen(token), at = 0;
    if (size > 2 && memcmp(token, "##", 2) == 0)
        return CONTINUES;
    if (size == 0)
        return PLAIN;
    int32_t c = sb_utf8_next(token, size, &at);
    return c >= 0 && at == size && sb_char_facts(c) & SB_CHAR_CJK ? IDEOGRAPH : PLAIN;
}

enum sb_status sb_noise_vocabulary_open(struct sb_noise_vocabulary *vocabulary, const struct sb_tokenizer *tokenizer,
                                        bool needs_mask, struct sb_error *error)
{
    size_t size = (size_t)sb_tokenizer_vocab_size(tokenizer);
    struct sb_noise_vocabulary v = {.mask = sb_tokenizer_special(tokenizer).mask, .size = size};
    *vocabulary = (struct sb_noise_vocabulary){0};
    if (v.mask < 0 && needs_mask)
        return sb_fail(error, SB_UNSUPPORTED, "the vocabulary has no [MASK], which masking and denoising need");
    v.ordinary = malloc((size + 1) * sizeof *v.ordinary);
    v.kinds = malloc(size + 1);
    if (!v.ordinary || !v.kinds) {
        sb_noise_vocabulary_close(&v);
        return sb_fail(error, SB_NO_MEMORY, "no memory for the kinds of %zu tokens", size);
    }
    for (int32_t id = 0; id < (int32_t)size; id++) {
        const char *token = sb_tokenizer_token(tokenizer, id);
        bool unused = strncmp(token, "[unused", 7) == 0; /* places kept free, which no text gives */
        v.kinds[id] = (uint8_t)kind_of(token);
        if (!sb_tokenizer_is_special(tokenizer, id) && *token && !unused)
            v.ordinary[v.ordinary_count++] = id;
    }
    *vocabulary = v;
    return SB_OK;
}

void sb_noise_vocabulary_close(struct sb_noise_vocabulary *vocabulary)
{
    free(vocabulary->ordinary);
    free(vocabulary->kinds);
    *vocabulary = (struct sb_noise_vocabulary){0};
}

static enum token_kind kind_at(const struct sb_noise_vocabulary *vocabulary, int32_t id)
{
    return id >= 0 && (size_t)id < vocabulary->size ? (enum token_kind)vocabulary->kinds[id] : PLAIN;
}

/* How many ideographs the next run has at most. */
static size_t draw_run(struct sb_draws *draws)
{
    double u = sb_draw(draws);
    return u < 0.4 ? 1 : u < 0.7 ? 2 : u < 0.9 ? 3 : 4;
}

size_t sb_noise_units(size_t *ends, const int32_t *ids, size_t n, enum sb_noise_unit unit,
                      const struct sb_noise_vocabulary *vocabulary, struct sb_draws *draws)
{
    size_t count = 0;
    for (size_t i = 0; i < n; ends[count++] = i) {
        enum token_kind kind = kind_at(vocabulary, ids[i]);
        size_t run = unit == SB_UNIT_NGRAM && kind == IDEOGRAPH ? draw_run(draws) : 0;
        size_t word = unit == SB_UNIT_WORD && vocabulary->words ? sb_word_list_match(vocabulary->words, ids + i, n - i) : 0;
        i += word ? word : 1;
        if (run > 0)
            for (; --run > 0 && i < n && kind_at(vocabulary, ids[i]) == IDEOGRAPH; i++)
                ;
        else if (unit != SB_UNIT_TOKEN)
            for (; i < n && kind_at(vocabulary, ids[i]) == CONTINUES; i++)
                ;
    }
    return count;
}

static int32_t draw_token(const struct sb_noise_vocabulary *vocabulary, int32_t otherwise, struct sb_draws *draws)
{
    size_t count = vocabulary->ordinary_count;
    return count ? vocabulary->ordinary[sb_draw_below(draws, count)] : otherwise;
}

/* Unit ids[start, end) is taken; u in [0, 1) says what becomes of it. */
static void take_unit(int32_t *ids, int32_t *labels, size_t start, size_t end, double u,
                      const struct sb_mask_rule *rule, const struct sb_noise_vocabulary *vocabulary,
                      struct sb_draws *draws)
{
    for (size_t i = start; i < end; i++) {
        if (labels)
            labels[i] = ids[i];
        if (u < rule->mask)
            ids[i] = vocabulary->mask;
        else if (u < rule->mask + rule->random)
            ids[i] = draw_token(vocabulary, ids[i], draws);
    }
}

void sb_mask_tokens(int32_t *ids, int32_t *labels, size_t n, const struct sb_mask_rule *rule,
                    const struct sb_noise_vocabulary *vocabulary, size_t *ends, struct sb_draws *draws)
{
    size_t units = sb_noise_units(ends, ids, n, rule->unit, vocabulary, draws), taken = 0;
    for (size_t i = 0; labels && i < n; i++)
        labels[i] = -1;
    for (size_t k = 0; k < units; k++) {
        double u = sb_draw(draws);
        if (u >= rule->probability)
            continue;
        taken++;
        /* Given that it is below the probability, u / probability is uniform again. */
        take_unit(ids, labels, k ? ends[k - 1] : 0, ends[k], u / rule->probability, rule, vocabulary, draws);
    }
    if (taken == 0 && units > 0 && rule->at_least_one) {
        size_t k = sb_draw_below(draws, units);
        take_unit(ids, labels, k ? ends[k - 1] : 0, ends[k], sb_draw(draws), rule, vocabulary, draws);
    }
}

/* order[count]: the units after local shuffling: unit i is sorted by i + u (distance + 1), so it passes none that is farther than
   distance. An insertion sort: the units are nearly in order. */
static void shuffle_units(size_t *order, double *keys, size_t count, size_t distance, struct sb_draws *draws)
{
    for (size_t i = 0; i < count; i++) {
        double key = (double)i + sb_draw(draws) * (double)(distance + 1);
        size_t at = i;
        for (; at > 0 && keys[at - 1] > key; at--) {
            keys[at] = keys[at - 1];
            order[at] = order[at - 1];
        }
        keys[at] = key;
        order[at] = i;
    }
}

/* Unit ids[start, end) as it becomes, at out; returns how many tokens. */
static size_t corrupt_unit(int32_t *out, const int32_t *ids, size_t start, size_t end,
                           const struct sb_denoise_rule *rule, const struct sb_noise_vocabulary *vocabulary,
                           struct sb_draws *draws)
{
    double u = sb_draw(draws);
    size_t length = end - start;
    if (u < rule->mask) {
        length = rule->infill ? 1 : length;
        for (size_t i = 0; i < length; i++)
            out[i] = vocabulary->mask;
        return length;
    }
    if (u < rule->mask + rule->erase)
        return 0;
    bool replaced = u < rule->mask + rule->erase + rule->replace;
    for (size_t i = 0; i < length; i++)
        out[i] = replaced ? draw_token(vocabulary, ids[start + i], draws) : ids[start + i];
    return length;
}

size_t sb_denoise_tokens(int32_t *out, const int32_t *ids, size_t n, const struct sb_denoise_rule *rule,
                         const struct sb_noise_vocabulary *vocabulary, size_t *ends, double *keys,
                         struct sb_draws *draws)
{
    size_t units = sb_noise_units(ends, ids, n, rule->unit, vocabulary, draws), length = 0;
    size_t *order = ends + n;
    bool permuted = sb_draw(draws) < rule->permute;
    if (permuted)
        shuffle_units(order, keys, units, rule->distance, draws);
    for (size_t i = 0; i < units; i++) {
        size_t k = permuted ? order[i] : i;
        length += corrupt_unit(out + length, ids, k ? ends[k - 1] : 0, ends[k], rule, vocabulary, draws);
    }
    if (length == 0 && n > 0)
        out[length++] = vocabulary->mask;
    return length;
}
