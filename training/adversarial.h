/*
 * Adversarial training: gradients at inputs that were moved to where the loss is larger (REFERENCE section 7).
 *
 *     struct sb_adversary_options options = sb_adversary_defaults(SB_ADVERSARY_FGM);
 *     struct sb_adversary *adversary;
 *     sb_adversary_new(&adversary, &options, network, max_tokens, pool, &error);
 *     memset(gradients, 0, ...);
 *     sb_adversary_run(adversary, &objective, gradients, &result, &error);        // in place of objective.run(...)
 *     sb_adversary_free(adversary);
 *
 * What moves is the embedding matrix E, which is tied to the output layer, or each occurrence of a word: a vector added to every
 * token's word embedding. With g the clean gradient by it, || || the root of the sum of squares (+ 1e-8):
 *
 *     fgm      delta = epsilon g / ||g||                          Miyato et al., 2017. Occurrences: a delta for each row, here and in pgd
 *     fgsm     delta = epsilon sign(g), where |g| >= 1e-7         Goodfellow et al., 2015
 *     pgd      steps times: delta += alpha g / ||g||, back to the ball ||delta|| <= epsilon; g there     Madry et al., 2018
 *     penalty  loss + epsilon / 2 ||g||^2, occurrences only. Its gradient is the clean one plus
 *              epsilon (G(+h g) - G(-h g)) / 2h with h ||g|| = length: no second derivatives
 *     vat      loss + weight KL(clean || moved), moved by epsilon along the gradient of that KL at xi times a random direction;
 *              Miyato et al., 2018. Needs no labels, but logits
 *
 * fgm, fgsm and pgd put the gradient at the moved point in place of the clean one, or add it (sum).
 *
 * Thread rule: one thread at a time; the work is shared among the pool's.
 */
#ifndef SB_TRAINING_ADVERSARIAL_H
#define SB_TRAINING_ADVERSARIAL_H

#include "base/pool.h"
#include "base/status.h"
#include "model/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_adversary_method {
    SB_ADVERSARY_NONE,
    SB_ADVERSARY_FGM,
    SB_ADVERSARY_FGSM,
    SB_ADVERSARY_PGD,
    SB_ADVERSARY_PENALTY,
    SB_ADVERSARY_VAT,
};

enum sb_adversary_target { SB_ADVERSARY_MATRIX, SB_ADVERSARY_OCCURRENCE };

struct sb_adversary_options {
    enum sb_adversary_method method;
    enum sb_adversary_target target;
    double epsilon; /* > 0 */
    double alpha;   /* pgd: > 0 */
    int steps;      /* pgd: 1 or more */
    bool sum;
    double length; /* penalty: of the step of the finite difference */
    double xi;     /* vat: of the first step */
    double weight; /* vat */
};

/* epsilon .5 (fgsm .01, penalty .1), alpha .3, 3 steps, length .005 (floats err least there), xi 1, weight 1. */
struct sb_adversary_options sb_adversary_defaults(enum sb_adversary_method method);

/* "none", "fgm", "fgsm", "pgd", "penalty", "vat" */
SB_MUST_CHECK enum sb_status sb_adversary_named(enum sb_adversary_method *method, const char *name,
                                                struct sb_error *error);

enum sb_objective_what {
    SB_OBJECTIVE_LOSS,
    SB_OBJECTIVE_LOSS_AND_KEEP, /* the loss, and remember the distributions */
    SB_OBJECTIVE_DIVERGENCE,    /* KL(remembered || present), mean over target tokens */
};

/* One evaluation at the network's present values. */
struct sb_objective_call {
    enum sb_objective_what what;
    float *gradients;            /* [parameters->size]: weight times the gradient is added */
    double weight;
    const float *perturbation;   /* as in struct sb_pass_input, or NULL */
    float *occurrence_gradients; /* the same */
};

/* What is minimised on the batch at hand. */
struct sb_objective {
    enum sb_status (*run)(void *context, const struct sb_objective_call *call, double *value, struct sb_error *error);
    void *context;
    size_t rows;               /* of the batch */
    const size_t *first_token; /* [rows + 1] */
    uint64_t seed, step;       /* name vat's direction */
};

struct sb_adversary;

/* pool (NULL: this thread) and network are borrowed. SB_INVALID names the option; SB_UNSUPPORTED: penalty of the matrix. */
SB_MUST_CHECK enum sb_status sb_adversary_new(struct sb_adversary **adversary, const struct sb_adversary_options *options,
                                              struct sb_network *network, size_t max_tokens, struct sb_pool *pool,
                                              struct sb_error *error);
void sb_adversary_free(struct sb_adversary *adversary);
size_t sb_adversary_bytes(const struct sb_adversary *adversary);

struct sb_adversary_result {
    double loss;        /* clean */
    double adversarial; /* at the moved point; penalty: ||g||^2; vat: the divergence */
};

/* Adds to gradients, which are zero on entry. The network's values are as before when it returns, also after a failure.
   direction: vat's first direction in the target's layout, or NULL: random, from the objective's seed and step. */
SB_MUST_CHECK enum sb_status sb_adversary_run(struct sb_adversary *adversary, const struct sb_objective *objective,
                                              float *gradients, const float *direction,
                                              struct sb_adversary_result *result, struct sb_error *error);

#endif
