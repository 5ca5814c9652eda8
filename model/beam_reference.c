/*
 * Beam search of the SimBERT scripts: the best k extensions of all go on, ended ones too until min_new_tokens is
 * reached; then the best is returned if it has ended, and otherwise what has ended is dropped and k shrinks by it.
 * Ended means that it ends with the end token and holds min_ends of them.
 */
#include "model/beam_impl.h"

#include <math.h>

static bool ended(const struct sb_decoder *d, const struct sb_candidate *candidate)
{
    const int32_t *generated = sb_generated(d, &d->live[candidate->parent]);
    int ends = 1;
    for (size_t i = 0; i < d->beams->length; i++)
        ends += generated[i] == d->end_id;
    return candidate->token == d->end_id && ends >= d->options.reference_min_ends;
}

void sb_select_reference(struct sb_decoder *decoder, struct sb_group *group)
{
    struct sb_beams *b = decoder->beams;
    size_t length = b->length + 1;
    bool may_end = length >= (size_t)decoder->options.min_new_tokens;
    b->candidates.epsilon = 1e-12;
    sb_find_candidates(decoder, group, group->width);
    if (sb_end_if_stuck(decoder, group)) {
        group->done = true;
        return;
    }
    if (may_end && ended(decoder, &b->candidates.items[0])) {
        sb_end_candidate(decoder, group, &b->candidates.items[0], true);
        group->done = true;
        return;
    }
    for (size_t i = 0; i < b->candidates.count; i++)
        if (!may_end || !ended(decoder, &b->candidates.items[i]))
            b->selected[b->selected_count++] = b->candidates.items[i];
    group->width = b->selected_count;
    if (length == decoder->max_new) {
        sb_end_candidate(decoder, group, &b->selected[0], true);
        group->done = true;
    }
}
