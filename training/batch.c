/*
 * Which examples make a batch, in what order. What they become is in batch_rows.c.
 */
#include "base/random.h"
#include "base/utf8.h"
#include "training/batch_impl.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 1 << 12, MAX_LENGTH = 1 << 16, MAX_CHARACTERS = 1 << 20 };

struct sb_batch_options sb_batch_defaults(enum sb_rows rows)
{
    struct sb_batch_options o = {
        .rows = rows,
        .examples = 64,
        .window = 1,
        .text_characters = 30,
        .max_length = 64,
        .mask = {.probability = 0.15, .mask = 0.8, .random = 0.1, .unit = SB_UNIT_NGRAM},
        .denoise = {.mask = 0.15, .erase = 0.05, .replace = 0.05, .permute = 0.1, .distance = 3, .unit = SB_UNIT_NGRAM},
    };
    o.mask.at_least_one = rows == SB_ROWS_MASKED_LM;
    return o;
}

/* ---- Making ---- */

static bool is_share(double p)
{
    return p >= 0 && p <= 1;
}

static enum sb_status check_options(const struct sb_batch_options *o, struct sb_error *error)
{
    if (o->examples < 1 || o->examples > SB_BATCH_MAX_EXAMPLES)
        return sb_fail(error, SB_INVALID, "a batch of %zu examples: 1 to %d are possible", o->examples,
                       SB_BATCH_MAX_EXAMPLES);
    if (o->window < 1 || o->window > MAX_WINDOW)
        return sb_fail(error, SB_INVALID, "a window of %zu batches: 1 to %d are possible", o->window, MAX_WINDOW);
    if (o->max_length < 6 || o->max_length > MAX_LENGTH) /* a pair of single tokens, and room to halve it */
        return sb_fail(error, SB_INVALID, "max_length %zu: 6 to %d are possible", o->max_length, MAX_LENGTH);
    if (o->text_characters > MAX_CHARACTERS)
        return sb_fail(error, SB_INVALID, "text_characters %zu: at most %d", o->text_characters, MAX_CHARACTERS);
    if (o->stream >= SB_BATCH_MAX_STREAM)
        return sb_fail(error, SB_INVALID, "stream %ju: below %d", (uintmax_t)o->stream, SB_BATCH_MAX_STREAM);
    const struct sb_denoise_rule *d = &o->denoise;
    if (!is_share(o->source_probability) || !is_share(o->mask.probability) ||
        !is_share(o->mask.mask + o->mask.random) || !is_share(o->mask.mask) || !is_share(o->replace_row) ||
        !is_share(o->replace_token) || !is_share(d->mask) || !is_share(d->erase) ||
        !is_share(d->mask + d->erase + d->replace) || !is_share(d->permute))
        return sb_fail(error, SB_INVALID, "a probability of the noise is not in [0, 1], or their sum is above 1");
    return SB_OK;
}

/* Do the data have what the rows need? */
static enum sb_status check_kinds(const struct sb_batches *b, unsigned kinds, struct sb_error *error)
{
    if (b->options.rows == SB_ROWS_SEQ2SEQ && kinds & 1u << SB_DATA_SENTENCES)
        return sb_fail(error, SB_INVALID,
                       "seq2seq needs pairs of texts; lone sentences are for denoising and the language "
                       "models");
    if (b->options.want_negatives && kinds != 1u << SB_DATA_TRIPLETS)
        return sb_fail(error, SB_INVALID, "hard negatives come from triplets, and the data have other examples too");
    return SB_OK;
}

static size_t rows_of(const struct sb_batch_options *o, unsigned kinds)
{
    switch (o->rows) {
    case SB_ROWS_SEQ2SEQ: return kinds & 1u << SB_DATA_CHAT ? 1 : 2;
    case SB_ROWS_SENTENCES:
        if (o->want_negatives)
            return 3;
        return o->lone_once && kinds == 1u << SB_DATA_SENTENCES ? 1 : 2;
    default: return 1;
    }
}

static enum sb_status allocate(struct sb_batches *b, struct sb_error *error)
{
    const struct sb_batch_options *o = &b->options;
    size_t n = o->max_length, per_batch = b->count / b->batch_count + 1;
    size_t batches = o->window < b->batch_count ? o->window : b->batch_count;
    b->window_capacity = per_batch * batches;
    b->window = malloc(b->window_capacity * sizeof *b->window);
    b->source = malloc(n * sizeof *b->source);
    b->target = malloc(n * sizeof *b->target);
    b->marks = malloc(n * sizeof *b->marks);
    b->ends = malloc(2 * n * sizeof *b->ends);
    b->keys = malloc(n * sizeof *b->keys);
    b->picks = malloc(n * sizeof *b->picks);
    if (!b->window || !b->source || !b->target || !b->marks || !b->ends || !b->keys || !b->picks)
        return sb_fail(error, SB_NO_MEMORY, "no memory to build batches of %zu examples", o->examples);
    return SB_OK;
}

enum sb_status sb_batches_new(struct sb_batches **batches, const struct sb_data *data,
                              const struct sb_tokenizer *tokenizer, const struct sb_batch_options *options,
                              struct sb_error *error)
{
    *batches = NULL;
    enum sb_status status = check_options(options, error);
    if (status != SB_OK)
        return status;
    struct sb_batches *b = calloc(1, sizeof *b);
    if (!b)
        return sb_fail(error, SB_NO_MEMORY, "no memory to build batches");
    uint32_t words[4];
    b->data = data;
    b->tokenizer = tokenizer;
    b->options = *options;
    b->count = sb_data_count(data);
    b->batch_count = (b->count + options->examples - 1) / options->examples;
    b->rows_per_example = rows_of(options, sb_data_kinds(data));
    sb_random_words(words, options->seed, options->stream, 0);
    b->seed = (uint64_t)words[1] << 32 | words[0];
    struct sb_special_ids special = sb_tokenizer_special(tokenizer);
    bool masks =
        options->rows == SB_ROWS_MASKED_LM || options->rows == SB_ROWS_DENOISING || options->source_probability > 0;
    status = check_kinds(b, sb_data_kinds(data), error);
    if (status == SB_OK && (special.cls < 0 || special.sep < 0))
        status = sb_fail(error, SB_UNSUPPORTED, "the vocabulary has no [CLS] or no [SEP], which the rows need");
    if (status == SB_OK)
        status = sb_noise_vocabulary_open(&b->vocabulary, tokenizer, masks, error);
    if (status == SB_OK && masks && options->words)
        status = sb_word_list_open(&b->words, options->words, tokenizer, error);
    b->vocabulary.words = b->words;
    if (status == SB_OK)
        status = allocate(b, error);
    if (status == SB_OK)
        *batches = b;
    else
        sb_batches_free(b);
    return status;
}

void sb_batches_free(struct sb_batches *b)
{
    if (!b)
        return;
    sb_noise_vocabulary_close(&b->vocabulary);
    sb_word_list_free(b->words);
    sb_example_free(&b->example);
    sb_encoding_free(&b->encoding);
    free(b->window);
    free(b->source);
    free(b->target);
    free(b->marks);
    free(b->ends);
    free(b->keys);
    free(b->picks);
    free(b);
}

size_t sb_batches_in_epoch(const struct sb_batches *batches)
{
    return batches->batch_count;
}

size_t sb_batches_rows_per_example(const struct sb_batches *batches)
{
    return batches->rows_per_example;
}

size_t sb_batches_max_rows(const struct sb_batches *b)
{
    return (b->count + b->batch_count - 1) / b->batch_count * b->rows_per_example;
}

/* ---- Order ---- */

/* Where batch `index` of the epoch starts among its examples; sizes differ by one at most. */
static size_t start_of(const struct sb_batches *b, size_t index)
{
    size_t size = b->count / b->batch_count, longer = b->count % b->batch_count;
    return index * size + (index < longer ? index : longer);
}

static int by_length(const void *left, const void *right)
{
    const struct sb_keyed *a = left, *b = right;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static enum sb_status load_window(struct sb_batches *b, uint64_t epoch, size_t first, size_t last,
                                  struct sb_error *error)
{
    size_t start = start_of(b, first), count = start_of(b, last) - start;
    b->window_valid = false;
    for (size_t i = 0; i < count; i++) {
        struct sb_keyed *k = &b->window[i];
        *k = (struct sb_keyed){.position = start + i, .number = sb_permute(b->count, b->seed, epoch, start + i)};
        if (b->options.window == 1)
            continue;
        struct sb_text_view members[SB_LOSS_MATRICES];
        enum sb_status status = sb_batch_members(b, members, epoch, k->number, error);
        if (status != SB_OK)
            return status;
        for (size_t r = 0; r < SB_LOSS_MATRICES && members[r].text; r++)
            k->length += sb_utf8_length(members[r].text, members[r].size);
    }
    if (b->options.window > 1)
        qsort(b->window, count, sizeof *b->window, by_length);
    b->window_first = first;
    b->window_epoch = epoch;
    b->window_valid = true;
    return SB_OK;
}

/* The examples of batch `index`, in the window. */
static enum sb_status find_examples(struct sb_batches *b, uint64_t epoch, size_t index, const struct sb_keyed **keyed,
                                    size_t *count, struct sb_error *error)
{
    size_t first = index / b->options.window * b->options.window, last = first + b->options.window;
    last = last < b->batch_count ? last : b->batch_count;
    if (!b->window_valid || b->window_epoch != epoch || b->window_first != first) {
        enum sb_status status = load_window(b, epoch, first, last, error);
        if (status != SB_OK)
            return status;
    }
    /* The batches of a window change places, in another order for each window. */
    size_t cut = first + sb_permute(last - first, b->seed + 1 + first, epoch, index - first);
    *keyed = b->window + (start_of(b, cut) - start_of(b, first));
    *count = start_of(b, cut + 1) - start_of(b, cut);
    return SB_OK;
}

/* ---- Building ---- */

struct sb_draws sb_batch_draws(uint64_t seed, uint64_t epoch, uint64_t example, enum sb_purpose purpose, size_t row)
{
    /* stream: epoch (24 bits), example (40); index: purpose, row, and 32 bits of draws. */
    return (struct sb_draws){
        .seed = seed,
        .stream = epoch << 40 | (example & (((uint64_t)1 << 40) - 1)),
        .next = (uint64_t)purpose << 48 | (uint64_t)row << 32,
    };
}

static enum sb_status reserve_examples(struct sb_batch *batch, size_t count, struct sb_error *error)
{
    if (count <= batch->example_capacity)
        return SB_OK;
    uint64_t *examples = realloc(batch->examples, count * sizeof *examples);
    batch->examples = examples ? examples : batch->examples;
    float *scores = realloc(batch->scores, count * sizeof *scores);
    batch->scores = scores ? scores : batch->scores;
    int32_t *classes = realloc(batch->classes, count * sizeof *classes);
    batch->classes = classes ? classes : batch->classes;
    struct sb_class_range *ranges = realloc(batch->classes_of, count * sizeof *ranges);
    batch->classes_of = ranges ? ranges : batch->classes_of;
    if (!examples || !scores || !classes || !ranges)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a batch of %zu examples", count);
    batch->example_capacity = count;
    return SB_OK;
}

/* Rows know where they start only when all tokens are there: ids may have moved meanwhile. */
static void place_rows(struct sb_batch *batch)
{
    size_t at = 0;
    for (size_t i = 0; i < batch->row_count; i++) {
        batch->rows[i].ids = batch->ids + at;
        batch->rows[i].segments = batch->segments + at;
        at += batch->rows[i].length;
    }
}

enum sb_status sb_batches_build(struct sb_batches *b, struct sb_batch *batch, uint64_t epoch, size_t index,
                                struct sb_error *error)
{
    const struct sb_keyed *keyed;
    size_t count;
    batch->kind = b->options.rows;
    batch->rows_per_example = b->rows_per_example;
    batch->row_count = batch->token_count = batch->example_count = 0;
    batch->draw_seed = b->seed;
    batch->draw_epoch = epoch;
    if (index >= b->batch_count)
        return sb_fail(error, SB_INVALID, "there is no batch %zu: an epoch has %zu", index, b->batch_count);
    enum sb_status status = find_examples(b, epoch, index, &keyed, &count, error);
    if (status == SB_OK)
        status = reserve_examples(batch, count, error);
    for (size_t i = 0; status == SB_OK && i < count; i++) {
        struct sb_text_view members[SB_LOSS_MATRICES];
        status = sb_batch_members(b, members, epoch, keyed[i].number, error);
        if (status == SB_OK)
            status = sb_batch_add(b, batch, members, epoch, keyed[i].number, error);
    }
    place_rows(batch);
    return status;
}

void sb_batch_free(struct sb_batch *batch)
{
    free(batch->rows);
    free(batch->ids);
    free(batch->segments);
    free(batch->labels);
    free(batch->examples);
    free(batch->scores);
    free(batch->classes);
    free(batch->classes_of);
    *batch = (struct sb_batch){0};
}

/* ---- Using ---- */

void sb_batch_share(const struct sb_batch *batch, size_t rank, size_t size, size_t *first_row, size_t *row_count)
{
    size_t first = rank * batch->example_count / size, last = (rank + 1) * batch->example_count / size;
    *first_row = first * batch->rows_per_example;
    *row_count = (last - first) * batch->rows_per_example;
}

size_t sb_batch_targets(const struct sb_batch *batch, size_t first, size_t count, size_t *positions, int32_t *labels)
{
    size_t found = 0, at = 0;
    for (size_t r = first; r < first + count; r++) {
        const int32_t *row_labels = batch->labels + (batch->rows[r].ids - batch->ids);
        for (size_t i = 0; i < batch->rows[r].length; i++, at++)
            if (row_labels[i] >= 0) {
                positions[found] = at;
                labels[found++] = row_labels[i];
            }
    }
    return found;
}

size_t sb_batch_clean_text(const struct sb_batch *batch, size_t row, int32_t *ids)
{
    const struct sb_pass_row *r = &batch->rows[row];
    const int32_t *labels = batch->labels + (r->ids - batch->ids);
    if (batch->kind == SB_ROWS_DENOISING) { /* the labels are the text and its [SEP] */
        memcpy(ids, labels + r->prefix - 1, (r->length - r->prefix) * sizeof *ids);
        return r->length - r->prefix;
    }
    for (size_t i = 0; i < r->prefix; i++)
        ids[i] = batch->kind == SB_ROWS_MASKED_LM && labels[i] >= 0 ? labels[i] : r->ids[i];
    return r->prefix;
}

void sb_batch_replace_scheduled(struct sb_batch *batch, size_t first, size_t count, const int32_t *predictions,
                                double probability)
{
    if (batch->kind != SB_ROWS_SEQ2SEQ && batch->kind != SB_ROWS_DENOISING)
        return;
    for (size_t r = first; r < first + count; r++) {
        const struct sb_pass_row *row = &batch->rows[r];
        int32_t *ids = batch->ids + (row->ids - batch->ids);
        struct sb_draws draws =
            sb_batch_draws(batch->draw_seed, batch->draw_epoch, batch->examples[r / batch->rows_per_example],
                           SB_DRAW_SCHEDULED, r % batch->rows_per_example);
        for (size_t j = row->prefix; j + 1 < row->length; j++)
            if (sb_draw(&draws) < probability)
                ids[j] = predictions[j - 1];
        predictions += row->length;
    }
}
