/*
 * Beam searches: the parts they share. Three rules say how a step selects: Hugging Face 5.x (beam_search.c), Hugging
 * Face 4.46 for groups and forced words (beam_groups.c, beam_forced.c), and the SimBERT scripts (beam_reference.c).
 *
 * All beams of a search have the same length. Groups own consecutive rows: group g the rows [g * size, (g + 1) * size).
 */
#ifndef SB_MODEL_BEAM_IMPL_H
#define SB_MODEL_BEAM_IMPL_H

#include "model/decode_impl.h"

/* A live beam extended by one token. */
struct sb_candidate {
    double score;
    size_t parent; /* row */
    int32_t token;
};

/* The best `limit` candidates, the best first; ties: the smaller (parent, token). */
struct sb_candidates {
    struct sb_candidate *items; /* [limit] */
    size_t count, limit;
    double epsilon; /* scores add log(probability + epsilon) */
};

/* Extends one beam by every token. row[n]: log probabilities, minus infinity for what cannot come. */
void sb_candidates_scan(struct sb_candidates *candidates, size_t parent, double score, const float *row, size_t n);

/* Finished hypotheses of a group: the best `capacity`, the best first; ties: what came first. */
struct sb_pool {
    struct sb_hypothesis *items; /* [capacity] */
    int32_t *ids;                /* [capacity, max_new]: their tokens, in the same order */
    size_t count, capacity;
};

/* hypothesis->ids are copied. Nothing happens when the pool is full of no worse ones. */
void sb_pool_add(struct sb_pool *pool, const struct sb_hypothesis *hypothesis, size_t max_new);

static inline bool sb_pool_full(const struct sb_pool *pool)
{
    return pool->count == pool->capacity;
}

struct sb_group {
    size_t first, count; /* live rows [first, first + count) */
    size_t width;        /* rows that the next step may fill */
    bool done;
    struct sb_pool pool;
};

/* A selected or forced candidate among those of its bank (model/constraints.h). */
struct sb_ranked {
    struct sb_candidate candidate;
    size_t bank, rank; /* rank: place within the bank */
    bool taken;
};

struct sb_beams {
    struct sb_live *next;                /* [row_count]: being built while the live ones are still read */
    float *logprobs;                     /* [row_count, vocab_size]: the model's own, of each live row */
    size_t accepted, live_count, length; /* length: tokens that each beam has */
    struct sb_group *groups;             /* [num_beam_groups] */
    size_t group_count, group_size;
    struct sb_candidates candidates;
    struct sb_candidate *selected; /* [group_size]: what becomes the group's next beams */
    size_t selected_count;
    int32_t *chosen; /* [row_count]: tokens that earlier groups took in this step */
    size_t chosen_count;
    struct sb_candidate *forced; /* [group_size, SB_MAX_FORCE_WORDS]: extensions by a forced word's next token */
    size_t forced_count;
    struct sb_ranked *ranked;                                           /* [group_size * (1 + SB_MAX_FORCE_WORDS)] */
    void (*select)(struct sb_decoder *decoder, struct sb_group *group); /* the rule */
};

/* A rule reads the group's live rows and candidates, adds to the pool what ends, leaves in `selected` what goes on, and
   sets group->done; selected is ignored then. */
void sb_select_beams(struct sb_decoder *decoder, struct sb_group *group);
void sb_select_group(struct sb_decoder *decoder, struct sb_group *group);
void sb_select_reference(struct sb_decoder *decoder, struct sb_group *group);

/* Fills candidates from the group's live rows, processors applied; with forced words, `forced` too. */
void sb_find_candidates(struct sb_decoder *decoder, const struct sb_group *group, size_t limit);

/* After a row's processors: notes what a forced word would add to this beam. */
void sb_forced_note(struct sb_decoder *decoder, size_t row, const float *logprobs);
/* Mixes `forced` into `selected`, from every bank in turn, up to width in all. */
void sb_forced_mix(struct sb_decoder *decoder, size_t width);
/* Whether the row's tokens hold all forced words, with one more token if it is not negative. */
bool sb_forced_met(const struct sb_decoder *decoder, size_t row, int32_t token);

/* Adds a candidate to the pool, its sum divided by length^length_penalty. */
void sb_end_candidate(struct sb_decoder *decoder, struct sb_group *group, const struct sb_candidate *candidate,
                      bool satisfied);

/* Stops the group when nothing can follow: its beams end as they stand. */
bool sb_end_if_stuck(struct sb_decoder *decoder, struct sb_group *group);

/* Whether beams whose best sum is `best` may still beat the worst of a full pool. At equality they
   give up. */
bool sb_can_improve(const struct sb_decoder *decoder, const struct sb_group *group, double best);

/* sum / length^length_penalty */
double sb_length_normalised(const struct sb_decoder *decoder, double sum, size_t length);

#endif
