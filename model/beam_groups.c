/*
 * Beam search as in Hugging Face 4.46, for what 5.x no longer has: groups of beams that are kept apart by a penalty on
 * tokens which earlier groups take in the same step, and forced words.
 *
 * It differs from 5.x in the details: extensions are looked at in order until the group is full, whether a group is
 * done is judged by the best extension, ended or not, and what still runs at the maximum length joins the finished
 * ones.
 */
#include "model/beam_impl.h"

/* The beams that still run at the maximum length. With forced words those that hold them all; if they are too few, the
   others too. */
static void end_running(struct sb_decoder *d, struct sb_group *group)
{
    struct sb_beams *b = d->beams;
    size_t satisfied = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < b->selected_count; i++) {
            const struct sb_candidate *c = &b->selected[i];
            bool met = sb_forced_met(d, c->parent, c->token);
            satisfied += pass == 0 && met;
            if (met == (pass == 0) && (met || satisfied < (size_t)d->options.num_sequences))
                sb_end_candidate(d, group, c, met);
        }
}

void sb_select_group(struct sb_decoder *decoder, struct sb_group *group)
{
    struct sb_beams *b = decoder->beams;
    const struct sb_decode_options *o = &decoder->options;
    sb_find_candidates(decoder, group, 2 * group->width);
    if (sb_end_if_stuck(decoder, group)) {
        group->done = true;
        return;
    }
    for (size_t rank = 0; rank < b->candidates.count && b->selected_count < group->width; rank++) {
        const struct sb_candidate *candidate = &b->candidates.items[rank];
        if (candidate->token != decoder->end_id)
            b->selected[b->selected_count++] = *candidate;
        else if (rank < group->width && sb_forced_met(decoder, candidate->parent, -1))
            sb_end_candidate(decoder, group, candidate, true);
    }
    if (o->force_words.count > 0)
        sb_forced_mix(decoder, group->width);
    for (size_t i = 0; i < b->selected_count; i++)
        b->chosen[b->chosen_count++] = b->selected[i].token;
    group->done = sb_pool_full(&group->pool) &&
                  (o->early_stopping == SB_STOP_TRUE || !sb_can_improve(decoder, group, b->candidates.items[0].score));
    if (!group->done && b->length + 1 == decoder->max_new) {
        end_running(decoder, group);
        group->done = true;
    }
}
