/*
 * What all beam searches do: keep the rows' log probabilities until a step is complete, let the rule select, fork the
 * chosen beams, hand out slots, and return the best of what has finished.
 */
#include "model/beam_impl.h"

#include <math.h>
#include <string.h>

static void (*rule_of(const struct sb_decode_options *o))(struct sb_decoder *, struct sb_group *)
{
    if (o->reference)
        return sb_select_reference;
    return o->num_beam_groups > 1 || o->force_words.count > 0 ? sb_select_group : sb_select_beams;
}

void sb_beams_lay_out(struct sb_decoder *decoder, const int32_t *prompt)
{
    struct sb_arena *a = &decoder->arena;
    const struct sb_decode_options *o = &decoder->options;
    size_t rows = decoder->row_count, groups = (size_t)o->num_beam_groups, size = rows / groups;
    size_t max_new = decoder->max_new, forced = o->force_words.count * size;
    struct sb_beams *b = sb_arena_take(a, 1, sizeof *b);
    struct sb_beams taken = {
        .group_count = groups,
        .group_size = size,
        .next = sb_live_lay_out(decoder, rows, prompt),
        .logprobs = sb_arena_take(a, rows, decoder->vocab_size * sizeof(float)),
        .groups = sb_arena_take(a, groups, sizeof *b->groups),
        .candidates.items = sb_arena_take(a, 2 * size, sizeof *b->candidates.items),
        .selected = sb_arena_take(a, size, sizeof *b->selected),
        .chosen = sb_arena_take(a, rows, sizeof *b->chosen),
        .forced = sb_arena_take(a, forced, sizeof *b->forced),
        .ranked = sb_arena_take(a, forced ? size + forced : 0, sizeof *b->ranked),
        .select = rule_of(o),
    };
    struct sb_hypothesis *items = sb_arena_take(a, rows, sizeof *items);
    int32_t *ids = sb_arena_take(a, rows * max_new, sizeof *ids);
    if (!a->base)
        return;
    *b = taken;
    decoder->beams = b;
    for (size_t g = 0; g < groups; g++)
        b->groups[g] = (struct sb_group){
            .first = g * size,
            .width = size,
            .pool = {.items = items + g * size, .ids = ids + g * size * max_new, .capacity = size},
        };
}

static float *logprobs_of(const struct sb_decoder *d, size_t row)
{
    return d->beams->logprobs + row * d->vocab_size;
}

double sb_length_normalised(const struct sb_decoder *decoder, double sum, size_t length)
{
    return sum / pow((double)length, decoder->options.length_penalty);
}

void sb_find_candidates(struct sb_decoder *decoder, const struct sb_group *group, size_t limit)
{
    struct sb_beams *b = decoder->beams;
    b->candidates.count = b->selected_count = b->forced_count = 0;
    b->candidates.limit = limit;
    for (size_t row = group->first; row < group->first + group->count; row++) {
        const struct sb_live *live = &decoder->live[row];
        memcpy(decoder->scratch, logprobs_of(decoder, row), decoder->vocab_size * sizeof *decoder->scratch);
        sb_hamming_penalty(decoder->scratch, b->chosen, b->chosen_count, decoder->options.diversity_penalty);
        sb_processors_apply(&decoder->processors, decoder->scratch, live->history,
                            decoder->prompt_length + live->length);
        sb_candidates_scan(&b->candidates, row, live->score, decoder->scratch, decoder->vocab_size);
        if (decoder->options.force_words.count > 0)
            sb_forced_note(decoder, row, decoder->scratch);
    }
}

/* Adds the row's tokens to the pool, with one more if it is not negative. */
static void end_beam(struct sb_decoder *d, struct sb_group *group, size_t row, int32_t token, double score,
                     bool satisfied)
{
    struct sb_live *live = &d->live[row];
    int32_t *generated = sb_generated(d, live);
    struct sb_hypothesis h = {
        .ids = generated, .length = live->length, .logprob = live->logprob, .satisfied = satisfied};
    if (token >= 0) {
        generated[h.length++] = token; /* behind the live tokens: overwritten by the next candidate */
        h.logprob += (double)logprobs_of(d, row)[token];
        h.stopped = token == d->end_id;
    }
    h.score = d->options.reference || h.length == 0 ? score : sb_length_normalised(d, score, h.length);
    sb_pool_add(&group->pool, &h, d->max_new);
}

void sb_end_candidate(struct sb_decoder *decoder, struct sb_group *group, const struct sb_candidate *candidate,
                      bool satisfied)
{
    end_beam(decoder, group, candidate->parent, candidate->token, candidate->score, satisfied);
}

bool sb_end_if_stuck(struct sb_decoder *decoder, struct sb_group *group)
{
    struct sb_beams *b = decoder->beams;
    if (b->candidates.count > 0)
        return false;
    for (size_t row = group->first; row < group->first + group->count; row++)
        end_beam(decoder, group, row, -1, decoder->live[row].score, sb_forced_met(decoder, row, -1));
    return true;
}

bool sb_can_improve(const struct sb_decoder *decoder, const struct sb_group *group, double best)
{
    const struct sb_decode_options *o = &decoder->options;
    bool longest = o->early_stopping == SB_STOP_NEVER && o->length_penalty > 0;
    double attainable = sb_length_normalised(decoder, best, longest ? decoder->max_new : decoder->beams->length + 1);
    return attainable > group->pool.items[group->pool.count - 1].score;
}

/* next[row] = the candidate's parent with one more token. Its path holds the slots of all the parent's tokens. */
static void fork_beam(struct sb_decoder *d, size_t row, const struct sb_candidate *candidate)
{
    const struct sb_live *parent = &d->live[candidate->parent];
    struct sb_live *child = &d->beams->next[row];
    memcpy(sb_generated(d, child), sb_generated(d, parent), parent->length * sizeof *child->history);
    memcpy(child->path, parent->path, parent->length * sizeof *child->path);
    sb_slots_hold(&d->slots, child->path, parent->length);
    sb_generated(d, child)[parent->length] = candidate->token;
    child->length = parent->length + 1;
    child->score = candidate->score;
    child->logprob = parent->logprob + (double)logprobs_of(d, candidate->parent)[candidate->token];
    child->waiting = true;
}

/* The forked beams become the live ones: the old paths are dropped before the new tokens' slots are taken. */
static void turn_over(struct sb_decoder *d)
{
    struct sb_beams *b = d->beams;
    for (size_t row = 0; row < d->row_count; row++)
        sb_slots_drop(&d->slots, d->live[row].path, d->live[row].length);
    struct sb_live *old = d->live;
    d->live = b->next;
    b->next = old;
    b->length++;
    b->live_count = b->accepted = 0;
    for (size_t row = 0; row < d->row_count; row++) {
        struct sb_live *live = &d->live[row];
        if (live->waiting) {
            live->path[live->length - 1] = sb_slots_take(&d->slots);
            b->live_count++;
        }
    }
}

/* The best num_sequences of all groups. */
static void finish(struct sb_decoder *d)
{
    struct sb_beams *b = d->beams;
    d->finished = true;
    while (d->result_count < (size_t)d->options.num_sequences) {
        struct sb_pool *best = NULL;
        for (size_t g = 0; g < b->group_count; g++) {
            struct sb_pool *pool = &b->groups[g].pool;
            if (pool->count > 0 && (!best || pool->items[0].score > best->items[0].score))
                best = pool;
        }
        if (!best)
            return;
        d->results[d->result_count] = *best->items;
        d->results[d->result_count].index = d->result_count;
        d->result_count++;
        best->items++;
        best->count--;
    }
}

static void step(struct sb_decoder *d)
{
    struct sb_beams *b = d->beams;
    size_t running = 0;
    for (size_t row = 0; row < d->row_count; row++)
        b->next[row].length = b->next[row].waiting = 0;
    b->chosen_count = 0;
    for (size_t g = 0; g < b->group_count; g++) {
        struct sb_group *group = &b->groups[g];
        if (group->done)
            continue;
        b->select(d, group);
        group->count = group->done ? 0 : b->selected_count;
        for (size_t i = 0; i < group->count; i++)
            fork_beam(d, group->first + i, &b->selected[i]);
        running += group->count;
    }
    if (running == 0)
        finish(d);
    else
        turn_over(d);
}

static void keep_logprobs(struct sb_decoder *d, size_t row, const float *logits)
{
    struct sb_normalizer n = sb_normalizer_of(d, logits);
    float *logprobs = logprobs_of(d, row);
    for (size_t i = 0; i < d->vocab_size; i++)
        logprobs[i] = logits[i] - n.largest - n.log_sum;
}

/* Every group begins with one empty beam behind the prompt. */
static void start(struct sb_decoder *d, const float *logits)
{
    struct sb_beams *b = d->beams;
    for (size_t g = 0; g < b->group_count; g++) {
        keep_logprobs(d, b->groups[g].first, logits);
        b->groups[g].count = 1;
    }
    step(d);
}

static void accept(struct sb_decoder *d, size_t row, const float *logits)
{
    keep_logprobs(d, row, logits);
    d->live[row].waiting = false;
    if (++d->beams->accepted == d->beams->live_count)
        step(d);
}

const struct sb_search sb_beam_search = {start, accept};
