#include "model/paraphrase_impl.h"

#include "base/edit_distance.h"

#include <stdlib.h>
#include <string.h>

enum sb_status sb_paraphrase_candidates_init(struct sb_paraphrase_candidates *candidates, size_t capacity,
                                             struct sb_error *error)
{
    candidates->capacity = capacity;
    candidates->items = calloc(capacity, sizeof *candidates->items);
    candidates->results = calloc(capacity, sizeof *candidates->results);
    if (!candidates->items || !candidates->results)
        return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory for %zu candidates", capacity);
    return SB_OK;
}

static void free_candidate(struct sb_paraphrase_candidate *c)
{
    free((char *)c->result.text);
    free(c->ids);
    sb_code_points_free(&c->normalized);
    *c = (struct sb_paraphrase_candidate){0};
}

void sb_paraphrase_candidates_free(struct sb_paraphrase_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free_candidate(&candidates->items[i]);
    free(candidates->items);
    free(candidates->results);
    free(candidates->distances);
    sb_buffer_free(&candidates->text);
    sb_encoding_free(&candidates->encoding);
}

/* True if an earlier sample gave the same text. */
static bool is_duplicate(const struct sb_paraphrase_candidates *candidates, const struct sb_paraphrase_candidate *new)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].index < new->index &&
            sb_code_points_equal(&candidates->items[i].normalized, &new->normalized))
            return true;
    return false;
}

static enum sb_status measure_distance(struct sb_paraphrase_candidates *candidates, struct sb_paraphrase_candidate *new,
                                       const struct sb_paraphrase_source *source, struct sb_error *error)
{
    size_t needed = new->normalized.count + 1;
    if (needed > candidates->distances_capacity) {
        size_t *distances = realloc(candidates->distances, needed * sizeof *distances);
        if (!distances)
            return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory for a candidate of %zu characters", needed);
        candidates->distances = distances;
        candidates->distances_capacity = needed;
    }
    new->result.edit_distance =
        (int)sb_edit_distance(source->normalized.points, source->normalized.count, new->normalized.points,
                              new->normalized.count, candidates->distances);
    return SB_OK;
}

/* Text and row of a candidate that was not dropped. */
static enum sb_status write_down(struct sb_paraphrase_candidates *candidates, struct sb_paraphrase_candidate *new,
                                 const struct sb_tokenizer *tokenizer, size_t max_length, struct sb_error *error)
{
    struct sb_encoding *encoding = &candidates->encoding;
    enum sb_status status = sb_tokenizer_encode(tokenizer, encoding, candidates->text.data, candidates->text.length,
                                                NULL, 0, max_length, error);
    if (status != SB_OK)
        return status;
    new->length = encoding->length;
    new->ids = malloc(new->length * sizeof *new->ids);
    char *text = malloc(candidates->text.length + 1);
    new->result.text = text;
    new->result.size = candidates->text.length;
    if (!new->ids || !text)
        return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory for a candidate of %zu tokens", new->length);
    memcpy(new->ids, encoding->ids, new->length * sizeof *new->ids);
    memcpy(text, candidates->text.data, candidates->text.length + 1);
    return SB_OK;
}

/* The counter of why the new candidate is dropped, NULL if it is not. Its normalized text is known. */
static int64_t *judge(struct sb_paraphrase_candidates *candidates, const struct sb_paraphrase_candidate *new,
                      const struct sb_paraphrase_source *source, const struct sb_paraphrase_options *options)
{
    struct sb_paraphrase_counts *counts = &candidates->counts;
    if (new->normalized.count == 0)
        return &counts->dropped_empty;
    if (options->drop_copies && sb_code_points_equal(&new->normalized, &source->normalized))
        return &counts->dropped_copies;
    return is_duplicate(candidates, new) ? &counts->dropped_duplicates : NULL;
}

/* The hypothesis' text, plain in candidates->text and normalized in new. */
static enum sb_status read_text(struct sb_paraphrase_candidates *candidates, struct sb_paraphrase_candidate *new,
                                const struct sb_hypothesis *hypothesis, const struct sb_tokenizer *tokenizer,
                                struct sb_error *error)
{
    struct sb_buffer *text = &candidates->text;
    sb_buffer_reset(text);
    sb_buffer_text(text, ""); /* so that there is a text even if no token has one */
    enum sb_status status = sb_tokenizer_decode(tokenizer, text, hypothesis->ids, hypothesis->length, false, error);
    if (status == SB_OK && text->failed)
        status = sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory for a candidate's text");
    if (status == SB_OK)
        status = sb_text_normalize(&new->normalized, text->data, text->length, error);
    return status;
}

enum sb_status sb_paraphrase_candidates_add(struct sb_paraphrase_candidates *candidates,
                                            const struct sb_hypothesis *hypothesis,
                                            const struct sb_paraphrase_source *source,
                                            const struct sb_tokenizer *tokenizer, size_t max_length,
                                            const struct sb_paraphrase_options *options, struct sb_error *error)
{
    struct sb_paraphrase_counts *counts = &candidates->counts;
    struct sb_paraphrase_candidate new = {.index = hypothesis->index};
    int64_t *counter = &counts->dropped_force_words;
    enum sb_status status = SB_OK;
    new.result.logprob = hypothesis->logprob;
    new.result.stopped = hypothesis->stopped;
    counts->generated_tokens += (int64_t)hypothesis->length;
    if (hypothesis->ids == candidates->last_ids) { /* shares its fate, except that one is enough */
        ++*(candidates->last_counter ? candidates->last_counter : &counts->dropped_duplicates);
        return SB_OK;
    }
    if (hypothesis->satisfied) {
        status = read_text(candidates, &new, hypothesis, tokenizer, error);
        if (status == SB_OK)
            counter = judge(candidates, &new, source, options);
    }
    if (status == SB_OK && !counter)
        status = measure_distance(candidates, &new, source, error);
    if (status == SB_OK && !counter)
        status = write_down(candidates, &new, tokenizer, max_length, error);
    if (status == SB_OK && !counter) {
        new.offered = new.result.edit_distance < options->min_edit_distance; /* not worth a vector */
        candidates->to_embed += !new.offered;
        candidates->items[candidates->count++] = new;
    } else {
        free_candidate(&new);
    }
    if (status == SB_OK && counter)
        ++*counter;
    candidates->last_ids = hypothesis->ids;
    candidates->last_counter = counter;
    return status;
}

static bool is_similar_enough(const struct sb_paraphrase *result, const struct sb_paraphrase_options *options)
{
    return result->similarity >= options->min_similarity && result->similarity <= options->max_similarity;
}

void sb_paraphrase_candidates_embedded(struct sb_paraphrase_candidates *candidates, size_t i,
                                       const struct sb_paraphrase_options *options)
{
    struct sb_paraphrase_candidate *c = &candidates->items[i];
    c->embedded = true;
    candidates->to_embed--;
    for (size_t j = 0; j < candidates->count; j++)
        if (candidates->items[j].reported && sb_code_points_equal(&candidates->items[j].normalized, &c->normalized))
            return;
    if (!is_similar_enough(&c->result, options))
        return;
    c->reported = true;
    if (options->on_candidate)
        options->on_candidate(options->context, &c->result);
}

static int by_index(const void *a, const void *b)
{
    const struct sb_paraphrase_candidate *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_similarity(const void *a, const void *b)
{
    const struct sb_paraphrase_candidate *x = a, *y = b;
    if (x->result.similarity != y->result.similarity)
        return x->result.similarity > y->result.similarity ? -1 : 1;
    return by_index(a, b);
}

void sb_paraphrase_candidates_rank(struct sb_paraphrase_candidates *candidates,
                                   const struct sb_paraphrase_options *options)
{
    struct sb_paraphrase_counts *counts = &candidates->counts;
    qsort(candidates->items, candidates->count, sizeof *candidates->items, options->rerank ? by_similarity : by_index);
    for (size_t i = 0; i < candidates->count; i++) {
        const struct sb_paraphrase_candidate *c = &candidates->items[i];
        if (is_duplicate(candidates, c))
            counts->dropped_duplicates++;
        else if (c->result.edit_distance < options->min_edit_distance)
            counts->dropped_edit_distance++;
        else if (!is_similar_enough(&c->result, options))
            counts->dropped_similarity++;
        else
            candidates->results[candidates->result_count++] = c->result;
    }
    if (candidates->result_count > (size_t)options->n)
        candidates->result_count = (size_t)options->n;
}
