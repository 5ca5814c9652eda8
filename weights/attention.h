/*
 * Which attention a model has, as its config says it.
 *
 *     "attention_parts": ["random", "vanilla", "+talking"], "factor_a": 16, "factor_b": 32, "factor_rank": 8
 *
 * The parts each give logits of how much a query looks at a key; of several, the sum weighted by a softmax over one
 * number a part is taken. "+talking" mixes the heads before and after the softmax.
 *
 *     vanilla            Q K^T / sqrt(key size)                       Vaswani et al., 2017
 *     rotary             the same of Q and K turned by their position Su et al., RoFormer, 2021
 *     dense              W2 relu(W1 x_i + b1) + b2, cut to the row    Tay et al., Synthesizer, 2020
 *     random             a trained table R[i, j]                      "
 *     fixed_random       a table that training leaves alone           "
 *     factorised_dense   a of factor_a and b of factor_b numbers, both as in dense; logit p is a[p / factor_b] b[p %
 * factor_b] factorised_random  R1 R2^T of rank factor_rank                  " +talking           Shazeer et al.,
 * Talking-Heads Attention, 2020
 */
#ifndef SB_WEIGHTS_ATTENTION_H
#define SB_WEIGHTS_ATTENTION_H

#include "base/status.h"

#include <stdbool.h>

enum sb_attention_part {
    SB_PART_VANILLA,
    SB_PART_ROTARY,
    SB_PART_DENSE,
    SB_PART_RANDOM,
    SB_PART_FIXED_RANDOM,
    SB_PART_FACTORISED_DENSE,
    SB_PART_FACTORISED_RANDOM,
    SB_ATTENTION_PARTS
};

struct sb_attention_config {
    enum sb_attention_part parts[SB_ATTENTION_PARTS]; /* [part_count], each once, in the config's order */
    int part_count;                                   /* at least 1 */
    bool talking_heads;
    int factor_a, factor_b; /* of factorised_dense: factor_a * factor_b >= max_position_embeddings */
    int factor_rank;        /* of factorised_random */
};

bool sb_attention_has(const struct sb_attention_config *config, enum sb_attention_part part);

/* "vanilla" and so on. */
const char *sb_attention_part_name(enum sb_attention_part part);

/* Reads the names of a config's "attention_parts", "+talking" among them. SB_INVALID names the one that is unknown or
   there twice. */
SB_MUST_CHECK enum sb_status sb_attention_from_names(struct sb_attention_config *config, const char *const *names,
                                                     int count, struct sb_error *error);

/* Finds the factors that are 0, for rows of at most `positions` tokens, and makes those 0 that no part needs.
   SB_INVALID when factor_a * factor_b does not reach the last position. */
SB_MUST_CHECK enum sb_status sb_attention_complete(struct sb_attention_config *config, int positions,
                                                   struct sb_error *error);

/* The names again: at most SB_ATTENTION_PARTS + 1, all literals. Returns how many. */
int sb_attention_names(const char *names[SB_ATTENTION_PARTS + 1], const struct sb_attention_config *config);

#endif
