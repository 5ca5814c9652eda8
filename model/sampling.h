/*
 * From a row of logits to a drawn token: temperature, then the top_k best, renormalised, then the smallest set of those
 * whose probability reaches top_p (the reference's order, which is Hugging Face's too).
 *
 *     sb_distribution_make(&distribution, row, vocab_size, &options, kernels);
 *     size_t i = sb_distribution_draw(&distribution, sb_random_uniform(seed, sample, step));
 *     use(distribution.ids[i]);
 *
 * Neither top_k nor top_p sorts the vocabulary: top_k keeps a heap of the best and skips blocks below its worst. top_p
 * guesses from a sample of the row where the nucleus ends and selects among the tokens around that place; of a peaked row
 * it collects those in a window below the largest logit, widened until their probability suffices.
 */
#ifndef SB_MODEL_SAMPLING_H
#define SB_MODEL_SAMPLING_H

#include "kernels/kernels.h"
#include "model/decode_options.h"

/* What may be drawn, in an order that depends on the row and the options alone (with top_k the best first; ties go to
   the smaller id). count is 0 when every token is forbidden. The arrays are the owner's: [vocab_size] each. */
struct sb_distribution {
    float *logits; /* of the kept tokens */
    int32_t *ids;
    double *weights; /* in proportion to the probability */
    double total;    /* of the weights */
    size_t count;
};

/* row[n] may be overwritten. Minus infinity and NaN are never kept. */
void sb_distribution_make(struct sb_distribution *distribution, float *row, size_t n,
                          const struct sb_decode_options *options, const struct sb_kernels *kernels);

/* The inverse of the cumulative distribution at u in [0, 1): an index below count, which must not be 0. */
size_t sb_distribution_draw(const struct sb_distribution *distribution, double u);

#endif
