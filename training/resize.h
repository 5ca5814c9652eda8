/*
 * Other sizes for trained weights: hidden, key and intermediate size, and the vocabulary. A wider model starts as the
 * one it came from, not from noise.
 *
 *     struct sb_resize_options options = {.heads = 12};
 *     sb_resize_parameters(values, parameters, old_values, old_parameters, &options, &error);
 *     sb_resize_vocabulary(table, columns, old_table, rows, keep, keep_count, compounds, compound_count, &error);
 *
 * Orthogonal resize, as bert4keras does it. Along an axis that grows, pairs of neighbours are repeated
 * ceil(to / from) times and cut:
 *
 *     from 4 to 8:  0 1 2 3  ->  0 1 0 1 2 3 2 3          from 4 to 6:  0 1 0 1 2 3
 *
 * An axis that shrinks is cut. Then the tensor is scaled to its old norm, which keeps an orthogonal matrix close to
 * one.
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_RESIZE_H
#define SB_TRAINING_RESIZE_H

#include "base/status.h"
#include "model/parameters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_axis {
    size_t from, to;
    size_t groups; /* equal parts, each resized by itself, such as the attention heads; 0 or 1: the axis as one */
};

/* out[rows.to, columns.to] from in[rows.from, columns.from]; a vector has rows {1, 1}. SB_INVALID when a growing part
   has an odd size, or groups do not divide a size. */
SB_MUST_CHECK enum sb_status sb_resize(float *out, const float *in, const struct sb_axis *rows,
                                       const struct sb_axis *columns, struct sb_error *error);

struct sb_resize_options {
    /* When both models have as many attention heads: these are kept apart. 0: bert4keras' way, which mixes heads unless
       the key size grows by a whole factor. */
    size_t heads;
    bool relu; /* the activation of the feed-forward part */
};

/*
 * Fills the parameters that the old model has, by name: those of the same shape are copied, the others resized and
 * scaled, so that attention and feed-forward parts keep the size of what they put out:
 *
 *     query, key             (to / from)^(1/4), of their outputs: their product meets a scale of 1 / sqrt(key size)
 *     feed-forward, in       sqrt(to / from), of its outputs
 *     feed-forward, out      sqrt(from / to), of its inputs (its bias: of its size)
 *
 * With relu both feed-forward matrices are scaled as the last one is. Parameters that the old model lacks stay as they
 * are. A vocabulary of another size is SB_INVALID.
 */
SB_MUST_CHECK enum sb_status sb_resize_parameters(float *values, const struct sb_parameters *parameters,
                                                  const float *old_values, const struct sb_parameters *old,
                                                  const struct sb_resize_options *options, struct sb_error *error);

/* A new token that stands for several old ones; it starts as their weighted mean. */
struct sb_compound_token {
    const int32_t *ids;   /* [count], rows of the table that `keep` has left */
    const float *weights; /* [count], NULL: equal */
    size_t count;
};

/* out[keep_count + compound_count, columns]: rows keep[0], keep[1], ... of table[rows, columns], then the compound
   tokens. keep NULL: all rows in their order, whatever keep_count says. For the word embeddings, and with columns 1
   for the output bias. SB_INVALID for an id out of range, for weights that do not add up to more than 0. */
SB_MUST_CHECK enum sb_status sb_resize_vocabulary(float *out, size_t columns, const float *table, size_t rows,
                                                  const int32_t *keep, size_t keep_count,
                                                  const struct sb_compound_token *compounds, size_t compound_count,
                                                  struct sb_error *error);

#endif
