/*
 * Forced words in beam search. Besides the best extensions, each beam is offered the tokens that bring its words
 * further. All are sorted into banks by how far they have come, and the next beams are taken from the banks in turn,
 * the fullest first, so that beams which make progress survive beside more probable ones which do not.
 */
#include "model/beam_impl.h"

#include "model/constraints.h"

#include <math.h>
#include <string.h>

static void replay(struct sb_constraint_state *state, const struct sb_decoder *d, size_t row, int32_t token)
{
    const struct sb_token_lists *words = &d->options.force_words;
    const struct sb_live *live = &d->live[row];
    sb_constraints_replay(state, words, sb_generated(d, live), live->length);
    if (token >= 0 && !sb_constraints_met(state, words))
        sb_constraints_push(state, words, token);
}

bool sb_forced_met(const struct sb_decoder *decoder, size_t row, int32_t token)
{
    struct sb_constraint_state state;
    if (decoder->options.force_words.count == 0)
        return true;
    replay(&state, decoder, row, token);
    return sb_constraints_met(&state, &decoder->options.force_words);
}

void sb_forced_note(struct sb_decoder *decoder, size_t row, const float *logprobs)
{
    struct sb_beams *b = decoder->beams;
    struct sb_constraint_state state;
    int32_t tokens[SB_MAX_FORCE_WORDS];
    replay(&state, decoder, row, -1);
    if (sb_constraints_met(&state, &decoder->options.force_words))
        return;
    size_t count = sb_constraints_next(&state, &decoder->options.force_words, tokens);
    for (size_t i = 0; i < count; i++)
        if (logprobs[tokens[i]] > -INFINITY)
            b->forced[b->forced_count++] =
                (struct sb_candidate){decoder->live[row].score + (double)logprobs[tokens[i]], row, tokens[i]};
}

static bool same_text(const struct sb_decoder *d, const struct sb_candidate *a, const struct sb_candidate *b)
{
    return a->token == b->token &&
           (a->parent == b->parent || memcmp(sb_generated(d, &d->live[a->parent]), sb_generated(d, &d->live[b->parent]),
                                             d->beams->length * sizeof(int32_t)) == 0);
}

static size_t bank_of(const struct sb_decoder *d, const struct sb_candidate *c)
{
    struct sb_constraint_state state;
    replay(&state, d, c->parent, c->token);
    return sb_constraints_bank(&state, &d->options.force_words);
}

/* selected, then those of forced that are new. Returns how many. */
static size_t gather(struct sb_decoder *d)
{
    struct sb_beams *b = d->beams;
    size_t count = 0;
    for (size_t i = 0; i < b->selected_count + b->forced_count; i++) {
        const struct sb_candidate *c = i < b->selected_count ? &b->selected[i] : &b->forced[i - b->selected_count];
        bool known = false;
        for (size_t j = 0; i >= b->selected_count && j < count && !known; j++)
            known = same_text(d, c, &b->ranked[j].candidate);
        if (!known)
            b->ranked[count++] = (struct sb_ranked){.candidate = *c, .bank = bank_of(d, c)};
    }
    return count;
}

/* Whether a comes before b in their bank. */
static bool comes_before(const struct sb_ranked *a, const struct sb_ranked *b)
{
    return a->candidate.score > b->candidate.score || (a->candidate.score == b->candidate.score && a < b);
}

/* rank: how many of the same bank come before. */
static void rank_in_banks(struct sb_ranked *ranked, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            ranked[i].rank += ranked[j].bank == ranked[i].bank && comes_before(&ranked[j], &ranked[i]);
}

void sb_forced_mix(struct sb_decoder *decoder, size_t width)
{
    struct sb_beams *b = decoder->beams;
    size_t count = gather(decoder);
    if (count == b->selected_count) /* nothing new */
        return;
    rank_in_banks(b->ranked, count);
    b->selected_count = count < width ? count : width;
    for (size_t i = 0; i < b->selected_count; i++) {
        struct sb_ranked *best = NULL;
        for (struct sb_ranked *r = b->ranked; r < b->ranked + count; r++)
            if (!r->taken && (!best || r->rank < best->rank || (r->rank == best->rank && r->bank > best->bank)))
                best = r;
        best->taken = true;
        b->selected[i] = best->candidate;
    }
}
