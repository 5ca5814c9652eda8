/*
 * What an example becomes: which of its texts, their tokens, labels and scores.
 */
#include "training/batch_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- Texts ---- */

static void keep_first(void *context, const char *text, size_t size)
{
    struct sb_text_view *first = context;
    if (!first->text)
        *first = (struct sb_text_view){text, size};
}

/* The first piece of a text that is too long; a part of it. */
static enum sb_status cut_text(struct sb_text_view *text, size_t characters, struct sb_error *error)
{
    if (characters == 0)
        return SB_OK;
    struct sb_text_view first = {0};
    enum sb_status status = sb_segment_text(text->text, text->size, characters, SB_SEGMENT_SEPARATORS,
                                            SB_SEGMENT_STRIPS, keep_first, &first, error);
    *text = first.text ? first : (struct sb_text_view){text->text, 0};
    return status;
}

static void pick_pair(struct sb_text_view *members, const struct sb_example *e, struct sb_draws *draws)
{
    size_t i = sb_draw_below(draws, e->count), j = i;
    if (e->count > 1) {
        j = sb_draw_below(draws, e->count - 1);
        j += j >= i;
    }
    members[0] = e->texts[i];
    members[1] = e->texts[j];
}

enum sb_status sb_batch_members(struct sb_batches *b, struct sb_text_view members[SB_LOSS_MATRICES], uint64_t epoch,
                                size_t number, struct sb_error *error)
{
    enum sb_rows rows = b->options.rows;
    size_t wanted = rows == SB_ROWS_SEQ2SEQ ? 2 : b->rows_per_example;
    const struct sb_example *e = &b->example;
    enum sb_status status = sb_data_read(b->data, number, &b->example, error);
    struct sb_draws draws = sb_batch_draws(b->seed, epoch, number, SB_DRAW_MEMBERS, 0);
    for (size_t i = 0; i < SB_LOSS_MATRICES; i++)
        members[i] = (struct sb_text_view){0};
    if (status != SB_OK)
        return status;
    if (wanted == 1)
        members[0] = e->texts[sb_draw_below(&draws, e->count)];
    else if (e->kind == SB_DATA_SYNONYMS)
        pick_pair(members, e, &draws);
    else
        for (size_t i = 0; i < wanted; i++)
            members[i] = e->texts[i < e->count ? i : 0];
    for (size_t i = 0; status == SB_OK && i < wanted; i++)
        status = cut_text(&members[i], b->options.text_characters, error);
    return status;
}

/* ---- Tokens ---- */

/* [CLS] text [SEP] into ids[limit]; *count of them. What does not fit is cut before the [SEP]. */
static enum sb_status encode(struct sb_batches *b, int32_t *ids, size_t *count, size_t limit, struct sb_text_view text,
                             struct sb_error *error)
{
    enum sb_status status =
        sb_tokenizer_encode(b->tokenizer, &b->encoding, text.text, text.size, NULL, 0, limit, error);
    if (status != SB_OK)
        return status;
    *count = b->encoding.length;
    if (*count < 2 || *count > limit)
        return sb_fail(error, SB_INTERNAL, "%zu tokens where 2 to %zu were asked for", *count, limit);
    memcpy(ids, b->encoding.ids, *count * sizeof *ids);
    return SB_OK;
}

/* Takes token n - 2, before the [SEP], out of ids[n]. */
static void drop_one(int32_t *ids, size_t *n)
{
    ids[*n - 2] = ids[*n - 1];
    --*n;
}

/* source [CLS] a [SEP] and target [CLS] b [SEP], until they fit into one row, where the target has no [CLS]. */
static void truncate_pair(struct sb_batches *b, size_t *source, size_t *target)
{
    size_t uncounted = b->options.pair_rule == SB_PAIR_ROFORMER_SIM ? 1 : 0;
    while (*source + *target - 1 > b->options.max_length) {
        if ((*source >= *target - uncounted && *source > 2) || *target <= 2)
            drop_one(b->source, source);
        else
            drop_one(b->target, target);
    }
}

static bool grow(struct sb_batch *batch, size_t tokens)
{
    if (batch->row_count == batch->row_capacity) {
        size_t capacity = batch->row_capacity ? 2 * batch->row_capacity : 64;
        struct sb_pass_row *rows = realloc(batch->rows, capacity * sizeof *rows);
        if (!rows)
            return false;
        batch->rows = rows;
        batch->row_capacity = capacity;
    }
    size_t capacity = batch->token_capacity ? batch->token_capacity : 1024;
    while (capacity - batch->token_count < tokens)
        capacity *= 2;
    if (capacity == batch->token_capacity)
        return true;
    int32_t *ids = realloc(batch->ids, capacity * sizeof *ids);
    batch->ids = ids ? ids : batch->ids;
    int32_t *labels = realloc(batch->labels, capacity * sizeof *labels);
    batch->labels = labels ? labels : batch->labels;
    uint8_t *segments = realloc(batch->segments, capacity);
    batch->segments = segments ? segments : batch->segments;
    if (!ids || !labels || !segments)
        return false;
    batch->token_capacity = capacity;
    return true;
}

/* Appends source, then target (count 0: none); segments 0 and 1, no labels yet. */
static enum sb_status append_row(struct sb_batch *batch, const int32_t *source, size_t source_count,
                                 const int32_t *target, size_t target_count, struct sb_error *error)
{
    size_t n = source_count + target_count, at = batch->token_count;
    if (!grow(batch, n))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the tokens of a batch");
    memcpy(batch->ids + at, source, source_count * sizeof *source);
    memset(batch->segments + at, 0, source_count);
    if (target_count > 0) {
        memcpy(batch->ids + at + source_count, target, target_count * sizeof *target);
        memset(batch->segments + at + source_count, 1, target_count);
    }
    for (size_t i = 0; i < n; i++)
        batch->labels[at + i] = -1;
    batch->rows[batch->row_count++] = (struct sb_pass_row){.length = n, .prefix = source_count};
    batch->token_count += n;
    return SB_OK;
}

/* The row that was appended last: tokens from `from` on are labels of the position before them. */
static void label_next(struct sb_batch *batch, size_t from)
{
    size_t n = batch->rows[batch->row_count - 1].length, start = batch->token_count - n;
    for (size_t i = from; i < n; i++)
        batch->labels[start + i - 1] = batch->ids[start + i];
}

/* Decoder inputs of the last row are replaced at random; the labels have been set. */
static void replace_inputs(struct sb_batches *b, struct sb_batch *batch, struct sb_draws draws)
{
    const struct sb_batch_options *o = &b->options;
    const struct sb_pass_row *row = &batch->rows[batch->row_count - 1];
    int32_t *ids = batch->ids + (batch->token_count - row->length);
    if (o->replace_row == 0 || o->replace_token == 0 || sb_draw(&draws) >= o->replace_row)
        return;
    for (size_t j = 0; j < row->length; j++) {
        b->keys[j] = sb_draw(&draws);
        b->picks[j] = sb_draw(&draws);
    }
    memcpy(b->marks, ids, row->length * sizeof *ids);
    bool anywhere = o->replace_from_vocabulary;
    sb_replace_inputs(ids, b->marks, row->length, row->prefix, o->replace_token, b->keys, b->picks,
                      anywhere ? b->vocabulary.ordinary : NULL, anywhere ? b->vocabulary.ordinary_count : 0);
}

/* [CLS] source [SEP] target [SEP] of what b->source and b->target hold. */
static enum sb_status append_pair(struct sb_batches *b, struct sb_batch *batch, size_t source, size_t target,
                                  uint64_t epoch, size_t number, size_t row, struct sb_error *error)
{
    enum sb_status status = append_row(batch, b->source, source, b->target + 1, target - 1, error);
    if (status != SB_OK)
        return status;
    label_next(batch, source);
    replace_inputs(b, batch, sb_batch_draws(b->seed, epoch, number, SB_DRAW_REPLACE, row));
    return SB_OK;
}

/* ---- Rows by kind ---- */

static enum sb_status add_seq2seq(struct sb_batches *b, struct sb_batch *batch, struct sb_text_view from,
                                  struct sb_text_view to, uint64_t epoch, size_t number, size_t row,
                                  struct sb_error *error)
{
    const struct sb_batch_options *o = &b->options;
    struct sb_draws draws = sb_batch_draws(b->seed, epoch, number, SB_DRAW_SOURCE, row);
    bool masked = o->source_probability > 0 && sb_draw(&draws) < o->source_probability;
    size_t source = 0, target = 0;
    /* Each is first cut to what a row holds; the pair rule goes on from there and ends where it would have ended anyway. */
    enum sb_status status = encode(b, b->source, &source, masked ? o->max_length / 2 : o->max_length, from, error);
    if (status == SB_OK)
        status = encode(b, b->target, &target, o->max_length, to, error);
    if (status != SB_OK)
        return status;
    if (masked)
        sb_mask_tokens(b->source + 1, NULL, source - 2, &o->mask, &b->vocabulary, b->ends, &draws);
    truncate_pair(b, &source, &target);
    return append_pair(b, batch, source, target, epoch, number, row, error);
}

static enum sb_status add_sentence(struct sb_batches *b, struct sb_batch *batch, struct sb_text_view text,
                                   struct sb_error *error)
{
    size_t count = 0;
    enum sb_status status = encode(b, b->source, &count, b->options.max_length, text, error);
    return status == SB_OK ? append_row(batch, b->source, count, NULL, 0, error) : status;
}

static enum sb_status add_causal(struct sb_batches *b, struct sb_batch *batch, struct sb_text_view text,
                                 struct sb_error *error)
{
    enum sb_status status = add_sentence(b, batch, text, error);
    if (status != SB_OK)
        return status;
    batch->rows[batch->row_count - 1].prefix = 0;
    label_next(batch, 1);
    return SB_OK;
}

static enum sb_status add_masked(struct sb_batches *b, struct sb_batch *batch, struct sb_text_view text, uint64_t epoch,
                                 size_t number, struct sb_error *error)
{
    enum sb_status status = add_sentence(b, batch, text, error);
    if (status != SB_OK)
        return status;
    struct sb_draws draws = sb_batch_draws(b->seed, epoch, number, SB_DRAW_SOURCE, 0);
    size_t n = batch->rows[batch->row_count - 1].length, start = batch->token_count - n;
    sb_mask_tokens(batch->ids + start + 1, batch->labels + start + 1, n - 2, &b->options.mask, &b->vocabulary, b->ends,
                   &draws);
    return SB_OK;
}

static enum sb_status add_denoising(struct sb_batches *b, struct sb_batch *batch, struct sb_text_view text,
                                    uint64_t epoch, size_t number, struct sb_error *error)
{
    size_t target = 0;
    struct sb_draws draws = sb_batch_draws(b->seed, epoch, number, SB_DRAW_SOURCE, 0);
    enum sb_status status = encode(b, b->target, &target, b->options.max_length / 2, text, error);
    if (status != SB_OK)
        return status;
    size_t noisy = sb_denoise_tokens(b->source + 1, b->target + 1, target - 2, &b->options.denoise, &b->vocabulary,
                                     b->ends, b->keys, &draws);
    b->source[0] = b->target[0];
    b->source[noisy + 1] = b->target[target - 1];
    return append_pair(b, batch, noisy + 2, target, epoch, number, 0, error);
}

/* ---- Examples ---- */

static void add_scores(struct sb_batch *batch, const struct sb_example *e, size_t number, bool binary)
{
    size_t i = batch->example_count++;
    bool nli = e->kind == SB_DATA_NLI;
    batch->examples[i] = number;
    bool positive = nli ? e->label == 0 : e->label >= 0.5f;
    batch->scores[i] = binary ? (float)positive : nli ? 1 - e->label / 2 : e->label;
    batch->classes[i] = nli ? 2 + (int32_t)e->label : positive;
    batch->classes_of[i] = nli ? (struct sb_class_range){2, 3} : (struct sb_class_range){0, 2};
}

enum sb_status sb_batch_add(struct sb_batches *b, struct sb_batch *batch, const struct sb_text_view *members,
                            uint64_t epoch, size_t number, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t row = 0; status == SB_OK && row < b->rows_per_example; row++)
        switch (b->options.rows) {
        case SB_ROWS_SEQ2SEQ:
            status = add_seq2seq(b, batch, members[row], members[1 - row], epoch, number, row, error);
            break;
        case SB_ROWS_CAUSAL_LM: status = add_causal(b, batch, members[row], error); break;
        case SB_ROWS_MASKED_LM: status = add_masked(b, batch, members[row], epoch, number, error); break;
        case SB_ROWS_DENOISING: status = add_denoising(b, batch, members[row], epoch, number, error); break;
        default: status = add_sentence(b, batch, members[row], error);
        }
    if (status == SB_OK)
        add_scores(batch, &b->example, number, b->options.binary_scores);
    else
        sb_fail_context(error, status, "example %zu", number);
    return status;
}
