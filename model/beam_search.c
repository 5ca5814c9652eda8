/*
 * Beam search as in Hugging Face 5.x. Of the 2 * num_beams best extensions those that end are finished if they are
 * among the best num_beams; the best num_beams of the others go on.
 */
#include "model/beam_impl.h"

void sb_select_beams(struct sb_decoder *decoder, struct sb_group *group)
{
    struct sb_beams *b = decoder->beams;
    bool last = b->length + 1 == decoder->max_new;
    sb_find_candidates(decoder, group, 2 * group->width);
    for (size_t rank = 0; rank < b->candidates.count; rank++) {
        const struct sb_candidate *candidate = &b->candidates.items[rank];
        if (candidate->token != decoder->end_id && !last) {
            if (b->selected_count < group->width)
                b->selected[b->selected_count++] = *candidate;
        } else if (rank < group->width) {
            sb_end_candidate(decoder, group, candidate, true);
        }
    }
    if (last || sb_end_if_stuck(decoder, group) || b->selected_count == 0)
        group->done = true;
    else if (sb_pool_full(&group->pool))
        group->done =
            decoder->options.early_stopping == SB_STOP_TRUE || !sb_can_improve(decoder, group, b->selected[0].score);
}
