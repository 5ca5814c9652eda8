/*
 * Sampling with shared beginnings. The samples drawn so far form a tree of tokens. A node of it is one token that some
 * samples share; it is fed once, and each of its samples draws its next token from the same logits.
 *
 * Rows walk the tree. When the samples of a row draw different tokens, the row goes on with one and puts the others
 * aside; at an end it returns to the deepest that it put aside. So what a row has put aside hangs on its own current
 * path:
 *
 *     history of a row   a b c d e          e: being fed
 *     put aside              x   y          as its own: continues "a" with x, "a b c" with y; y comes first
 *
 * A row with nothing left takes over the shallowest node that another has put aside (the largest piece of work)
 * together with a copy of the path to it. Slots in use are therefore at most rows * (max_new_tokens - 1), however many
 * samples there are.
 */
#include "model/decode_impl.h"

#include "base/random.h"
#include "model/sampling.h"

#include <string.h>

enum { AT_PROMPT = -1 }; /* put aside before any row lived: follows the prompt */

/* A token that has been drawn and not been fed. */
struct node {
    int32_t token;
    int32_t row;    /* on whose path it hangs */
    int32_t sample; /* the first of its samples; next_sample[] chains the others */
    size_t depth;   /* generated tokens up to this one */
    double logprob;
};

/* Samples of one row that drew the same token. */
struct group {
    size_t choice; /* index in the distribution */
    int32_t first, last;
};

struct sb_sampler {
    struct node *nodes; /* [num_sequences] put aside */
    size_t node_count;
    int32_t *row_sample;  /* [row_count]: first sample of the row */
    int32_t *next_sample; /* [num_sequences], -1 ends a chain */
    struct group *groups; /* [num_sequences] */
    int32_t *group_of;    /* [vocab_size]: a choice's group, -1 between calls */
    int32_t *result_ids;  /* [num_sequences, max_new] */
    size_t result_ids_count;
    struct sb_distribution distribution;
};

void sb_sampler_lay_out(struct sb_decoder *decoder)
{
    struct sb_arena *a = &decoder->arena;
    size_t samples = (size_t)decoder->options.num_sequences, vocab_size = decoder->vocab_size;
    struct sb_sampler *s = sb_arena_take(a, 1, sizeof *s);
    struct sb_sampler taken = {
        .nodes = sb_arena_take(a, samples, sizeof *s->nodes),
        .row_sample = sb_arena_take(a, decoder->row_count, sizeof *s->row_sample),
        .next_sample = sb_arena_take(a, samples, sizeof *s->next_sample),
        .groups = sb_arena_take(a, samples, sizeof *s->groups),
        .group_of = sb_arena_take(a, vocab_size, sizeof *s->group_of),
        .result_ids = sb_arena_take(a, samples * decoder->max_new, sizeof *s->result_ids),
        .distribution.logits = sb_arena_take(a, vocab_size, sizeof(float)),
        .distribution.ids = sb_arena_take(a, vocab_size, sizeof(int32_t)),
        .distribution.weights = sb_arena_take(a, vocab_size, sizeof(double)),
    };
    if (!a->base)
        return;
    memset(taken.group_of, 0xFF, vocab_size * sizeof *taken.group_of);
    *s = taken;
    decoder->sampler = s;
}

/* Completes a chain of samples: generated tokens [length]. */
static void complete(struct sb_decoder *d, const int32_t *generated, size_t length, int32_t sample, double logprob,
                     bool stopped)
{
    struct sb_sampler *s = d->sampler;
    int32_t *ids = s->result_ids + s->result_ids_count++ * d->max_new;
    memcpy(ids, generated, length * sizeof *ids);
    for (; sample >= 0; sample = s->next_sample[sample])
        d->results[d->result_count++] = (struct sb_hypothesis){
            .ids = ids,
            .length = length,
            .score = logprob,
            .logprob = logprob,
            .stopped = stopped,
            .satisfied = true,
            .index = (size_t)sample,
        };
}

/* Every sample of the chain draws; the chain falls apart into one for each token drawn. Returns how many. */
static size_t draw_all(struct sb_decoder *d, int32_t sample, size_t step)
{
    struct sb_sampler *s = d->sampler;
    size_t count = 0;
    for (int32_t next; sample >= 0; sample = next) {
        size_t choice =
            sb_distribution_draw(&s->distribution, sb_random_uniform(d->options.seed, (uint64_t)sample, step));
        next = s->next_sample[sample];
        s->next_sample[sample] = -1;
        struct group *group = &s->groups[s->group_of[choice] < 0 ? count : (size_t)s->group_of[choice]];
        if (s->group_of[choice] < 0) {
            s->group_of[choice] = (int32_t)count++;
            *group = (struct group){choice, sample, sample};
        } else {
            s->next_sample[group->last] = sample;
            group->last = sample;
        }
    }
    for (size_t i = 0; i < count; i++)
        s->group_of[s->groups[i].choice] = -1;
    return count;
}

/* The samples of a live hypothesis draw their next tokens. */
static void fan_out(struct sb_decoder *d, const struct sb_live *live, int32_t row, int32_t sample, const float *logits)
{
    struct sb_sampler *s = d->sampler;
    struct sb_normalizer normalizer = sb_normalizer_of(d, logits);
    memcpy(d->scratch, logits, d->vocab_size * sizeof *logits);
    sb_processors_apply(&d->processors, d->scratch, live->history, d->prompt_length + live->length);
    sb_distribution_make(&s->distribution, d->scratch, d->vocab_size, &d->options, d->kernels);
    int32_t *generated = sb_generated(d, live);
    if (s->distribution.count == 0) {
        complete(d, generated, live->length, sample, live->logprob, false);
        return;
    }
    size_t count = draw_all(d, sample, live->length), depth = live->length + 1;
    for (size_t i = 0; i < count; i++) {
        int32_t token = s->distribution.ids[s->groups[i].choice], first = s->groups[i].first;
        double logprob = live->logprob + (double)(logits[token] - normalizer.largest - normalizer.log_sum);
        if (token == d->end_id || depth == d->max_new) {
            generated[depth - 1] = token; /* free: the row goes on with another token, or not at all */
            complete(d, generated, depth, first, logprob, token == d->end_id);
        } else {
            s->nodes[s->node_count++] = (struct node){token, row, first, depth, logprob};
        }
    }
}

/* Makes a row live with a node that was put aside, which is removed. */
static void resume(struct sb_decoder *d, size_t row, size_t index)
{
    struct sb_sampler *s = d->sampler;
    struct sb_live *live = &d->live[row];
    struct node node = s->nodes[index];
    s->nodes[index] = s->nodes[--s->node_count];
    size_t before = node.depth - 1;
    if (node.row == (int32_t)row) {
        sb_slots_drop(&d->slots, live->path + before, live->length - before);
    } else if (node.row != AT_PROMPT) {
        const struct sb_live *other = &d->live[node.row];
        memcpy(sb_generated(d, live), sb_generated(d, other), before * sizeof *live->history);
        memcpy(live->path, other->path, before * sizeof *live->path);
        sb_slots_hold(&d->slots, live->path, before);
    }
    sb_generated(d, live)[before] = node.token;
    live->path[before] = sb_slots_take(&d->slots);
    live->length = node.depth;
    live->logprob = node.logprob;
    live->waiting = true;
    s->row_sample[row] = node.sample;
}

/* The row's own deepest node; node_count if it has none. */
static size_t deepest_of(const struct sb_sampler *s, size_t row)
{
    size_t best = s->node_count;
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].row == (int32_t)row && (best == s->node_count || s->nodes[i].depth > s->nodes[best].depth))
            best = i;
    return best;
}

static size_t shallowest(const struct sb_sampler *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->node_count; i++)
        if (s->nodes[i].depth < s->nodes[best].depth)
            best = i;
    return best;
}

/* Gives rows without a token what was put aside. */
static void employ_rows(struct sb_decoder *d)
{
    size_t waiting = 0;
    for (size_t row = 0; row < d->row_count; row++) {
        if (!d->live[row].waiting && d->sampler->node_count > 0)
            resume(d, row, shallowest(d->sampler));
        waiting += d->live[row].waiting;
    }
    d->finished = waiting == 0;
}

static void start(struct sb_decoder *d, const float *logits)
{
    size_t samples = (size_t)d->options.num_sequences;
    for (size_t i = 0; i < samples; i++)
        d->sampler->next_sample[i] = i + 1 < samples ? (int32_t)i + 1 : -1;
    fan_out(d, &d->live[0], AT_PROMPT, 0, logits);
    employ_rows(d);
}

static void accept(struct sb_decoder *d, size_t row, const float *logits)
{
    struct sb_sampler *s = d->sampler;
    struct sb_live *live = &d->live[row];
    live->waiting = false;
    fan_out(d, live, (int32_t)row, s->row_sample[row], logits);
    size_t own = deepest_of(s, row);
    if (own < s->node_count) {
        resume(d, row, own);
    } else {
        sb_slots_drop(&d->slots, live->path, live->length);
        live->length = 0;
    }
    employ_rows(d);
}

const struct sb_search sb_sampling_search = {start, accept};
