#include "model/decode_impl.h"

#include <stdlib.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t rows_of(const struct sb_decode_options *options, size_t max_rows)
{
    if (options->do_sample)
        return smaller((size_t)options->num_sequences, max_rows ? max_rows : SB_DECODER_ROWS);
    return (size_t)options->num_beams;
}

size_t sb_decoder_slots_of(const struct sb_decode_options *options, size_t max_rows)
{
    /* A hypothesis' last token is never fed. */
    size_t slots = rows_of(options, max_rows) * ((size_t)options->max_new_tokens - 1);
    return slots ? slots : 1;
}

/* Greedy search is one sample that always draws the best token. */
static struct sb_decode_options search_options(const struct sb_decode_options *options)
{
    struct sb_decode_options o = *options;
    if (!o.do_sample && o.num_beams == 1 && !o.reference) {
        o.do_sample = true;
        o.top_k = 1;
        o.top_p = o.temperature = 1;
    }
    return o;
}

static struct sb_token_lists copy_lists(struct sb_arena *arena, const struct sb_token_lists *lists)
{
    size_t total = lists->count ? lists->ends[lists->count - 1] : 0;
    int32_t *ids = sb_arena_take(arena, total, sizeof *ids);
    size_t *ends = sb_arena_take(arena, lists->count, sizeof *ends);
    if (arena->base && total > 0) {
        memcpy(ids, lists->ids, total * sizeof *ids);
        memcpy(ends, lists->ends, lists->count * sizeof *ends);
    }
    return (struct sb_token_lists){ids, ends, lists->count};
}

struct sb_live *sb_live_lay_out(struct sb_decoder *decoder, size_t count, const int32_t *prompt)
{
    struct sb_live *live = sb_arena_take(&decoder->arena, count, sizeof *live);
    size_t history = decoder->prompt_length + decoder->max_new;
    int32_t *histories = sb_arena_take(&decoder->arena, count * history, sizeof *histories);
    int32_t *paths = sb_arena_take(&decoder->arena, count * decoder->max_new, sizeof *paths);
    for (size_t i = 0; decoder->arena.base && i < count; i++) {
        live[i].history = histories + i * history;
        live[i].path = paths + i * decoder->max_new;
        memcpy(live[i].history, prompt, decoder->prompt_length * sizeof *prompt);
    }
    return live;
}

static void lay_out(struct sb_decoder *d, const struct sb_decode_options *options, const struct sb_decoder_input *input)
{
    struct sb_arena *a = &d->arena;
    d->options = search_options(options);
    d->options.bad_words = copy_lists(a, &options->bad_words);
    d->options.force_words = copy_lists(a, &options->force_words);
    int32_t *banned = sb_arena_take(a, input->banned_count, sizeof *banned);
    if (banned && input->banned_count > 0)
        memcpy(banned, input->banned, input->banned_count * sizeof *banned);
    d->processors = (struct sb_processors){
        .options = &d->options,
        .vocab_size = d->vocab_size,
        .prompt_length = d->prompt_length,
        .end_id = d->end_id,
        .banned = banned,
        .banned_count = input->banned_count,
        .stamps = sb_arena_take(a, d->vocab_size, sizeof(uint32_t)),
    };
    d->slots.holders = sb_arena_take(a, d->slots.count, sizeof *d->slots.holders);
    d->slots.free_list = sb_arena_take(a, d->slots.count, sizeof *d->slots.free_list);
    d->live = sb_live_lay_out(d, d->row_count, input->prompt);
    d->scratch = sb_arena_take(a, d->vocab_size, sizeof *d->scratch);
    d->results = sb_arena_take(a, (size_t)options->num_sequences, sizeof *d->results);
    if (d->options.do_sample)
        sb_sampler_lay_out(d);
    else
        sb_beams_lay_out(d, input->prompt);
}

static enum sb_status check_input(const struct sb_decoder_input *input, struct sb_error *error)
{
    size_t vocab_size = input->vocab_size;
    if (vocab_size < 1 || vocab_size > INT32_MAX)
        return sb_fail(error, SB_INVALID, "decoder: a vocabulary of %zu tokens", vocab_size);
    if (input->end_id < 0 || (size_t)input->end_id >= vocab_size)
        return sb_fail(error, SB_INVALID, "decoder: the end token %d is outside the vocabulary of %zu", input->end_id,
                       vocab_size);
    for (size_t i = 0; i < input->prompt_length; i++)
        if (input->prompt[i] < 0 || (size_t)input->prompt[i] >= vocab_size)
            return sb_fail(error, SB_INVALID, "decoder: prompt token %d is outside the vocabulary of %zu",
                           input->prompt[i], vocab_size);
    for (size_t i = 0; i < input->banned_count; i++)
        if (input->banned[i] < 0 || (size_t)input->banned[i] >= vocab_size)
            return sb_fail(error, SB_INVALID, "decoder: banned token %d is outside the vocabulary of %zu",
                           input->banned[i], vocab_size);
    return SB_OK;
}

enum sb_status sb_decoder_new(struct sb_decoder **decoder, const struct sb_decode_options *options,
                              const struct sb_decoder_input *input, struct sb_error *error)
{
    *decoder = NULL;
    enum sb_status status = check_input(input, error);
    if (status == SB_OK)
        status = sb_decode_options_check(options, input->vocab_size, error);
    if (status != SB_OK)
        return status;
    struct sb_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return sb_fail(error, SB_NO_MEMORY, "decoder: no memory");
    d->kernels = input->kernels;
    d->vocab_size = input->vocab_size;
    d->prompt_length = input->prompt_length;
    d->max_new = (size_t)options->max_new_tokens;
    d->end_id = input->end_id;
    d->row_count = rows_of(options, input->max_rows);
    d->slots.count = sb_decoder_slots_of(options, input->max_rows);
    lay_out(d, options, input);
    size_t bytes = d->arena.used;
    if (!sb_arena_commit(&d->arena)) {
        free(d);
        return sb_fail(error, SB_NO_MEMORY, "decoder: no memory for %zu bytes", bytes);
    }
    lay_out(d, options, input);
    sb_slots_init(&d->slots);
    d->search = d->options.do_sample ? &sb_sampling_search : &sb_beam_search;
    *decoder = d;
    return SB_OK;
}

void sb_decoder_free(struct sb_decoder *decoder)
{
    if (!decoder)
        return;
    sb_arena_free(&decoder->arena);
    free(decoder);
}

size_t sb_decoder_slots(const struct sb_decoder *decoder)
{
    return decoder->slots.count;
}

void sb_decoder_start(struct sb_decoder *decoder, const float *logits)
{
    decoder->search->start(decoder, logits);
}

size_t sb_decoder_rows(const struct sb_decoder *decoder)
{
    return decoder->row_count;
}

bool sb_decoder_row(const struct sb_decoder *decoder, size_t i, struct sb_decoder_row *row)
{
    const struct sb_live *live = &decoder->live[i];
    if (decoder->finished || !live->waiting)
        return false;
    *row = (struct sb_decoder_row){
        .history = live->history,
        .length = decoder->prompt_length + live->length,
        .path = live->path,
        .path_length = live->length - 1,
        .slot = live->path[live->length - 1],
    };
    return true;
}

void sb_decoder_accept(struct sb_decoder *decoder, size_t i, const float *logits)
{
    decoder->search->accept(decoder, i, logits);
}

bool sb_decoder_finished(const struct sb_decoder *decoder)
{
    return decoder->finished;
}

size_t sb_decoder_results(const struct sb_decoder *decoder)
{
    return decoder->result_count;
}

const struct sb_hypothesis *sb_decoder_result(const struct sb_decoder *decoder, size_t i)
{
    return &decoder->results[i];
}
