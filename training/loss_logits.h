/*
 * Losses on rows of logits, in the form in which sb_pass_logits (model/network.h) hands them out: chunk by chunk, each
 * chunk replaced by its gradient.
 *
 *     struct sb_cross_entropy loss = {.kernels = kernels, .vocab_size = v, .labels = labels, .normaliser = count, .weight = 1};
 *     sb_pass_logits(pass, positions, count, sb_cross_entropy, &loss, gradients);
 *     printf("%g\n", loss.value);
 *
 * Rows are float, sums over a row and over rows are double and in order. Thread rule: a struct belongs to one call.
 */
#ifndef SB_TRAINING_LOSS_LOGITS_H
#define SB_TRAINING_LOSS_LOGITS_H

#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

/* sum over rows of -log softmax(logits)[label] / normaliser. With label smoothing e (Szegedy et al., 2016) the target is
   (1 - e) at the label and e / V everywhere. */
struct sb_cross_entropy {
    const struct sb_kernels *kernels;
    size_t vocab_size;
    const int32_t *labels; /* [count of the whole call], each in [0, vocab_size) */
    double normaliser;     /* what the sum is divided by: the number of target tokens of the batch */
    double weight;         /* factor of the gradient; the value is without it */
    double smoothing;      /* [0, 1) */
    double value;          /* out: is added to */
};
void sb_cross_entropy(void *cross_entropy, float *logits, size_t first, size_t count);

/* Keeps a copy of all rows, for a later pass to be compared with; leaves them as they are. */
struct sb_kept_logits {
    size_t vocab_size;
    float *logits; /* [count of the whole call, vocab_size] */
};
void sb_keep_logits(void *kept_logits, float *logits, size_t first, size_t count);

/* sum over rows of KL(clean || perturbed) / normaliser, for virtual adversarial training (Miyato et al., 2018): clean are
   the kept rows of an earlier pass, which count as constant, perturbed those of this one. */
struct sb_kl_divergence {
    const struct sb_kernels *kernels;
    const struct sb_kept_logits *clean; /* of the same positions */
    float *scratch;                     /* [vocab_size] */
    double normaliser, weight;          /* as above */
    double value;                       /* out: is added to */
};
void sb_kl_divergence(void *kl_divergence, float *logits, size_t first, size_t count);

#endif
