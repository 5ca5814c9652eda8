/*
 * How likely the model finds the texts that it ought to write, with the right words before its eyes and with its own.
 *
 *     struct sb_likelihood_pair pair = {.source = ids, .source_length = n, .target = ids + n, .target_length = m};
 *     struct sb_likelihood likelihood;
 *     sb_measure_likelihood(&likelihood, session, &pair, 1, &error);
 *     printf("%g nats a token\n", likelihood.nll / (double)likelihood.tokens);
 *
 * For a source s = [CLS] a [SEP] and a target y_1 ... y_m = b [SEP]:
 *
 *   nll      the sum over t of -log p(y_t | s, y_1 ... y_(t-1)): teacher forcing.
 *
 * The other two compare that with the model's own words in place of the right ones. `forced` is -log p as above, `own` is
 * -log p of the same tokens behind prefixes of the same length; (own - forced) / tokens is the gap, in nats a token.
 *
 *   written  Let z be what the model writes greedily behind s: z_t = argmax p(. | s, z_1 ... z_(t-1)), without any rule
 *            against a token. own: -log p(y_t | s, z_1 ... z_(t-1)), for every t from 2 to m up to which z has not ended
 *            (none of z_1 ... z_(t-1) is [SEP]). The gap of free running: the exposure bias (Ranzato et al., 2016), and
 *            with it that another paraphrase was begun than the one that is to be continued.
 *
 *   guessed  Let g_t = argmax p(. | s, y_1 ... y_(t-1)), the model's guess where the right words stand before it.
 *            own: -log p(y_t | s, g_1 ... g_(t-1)), for every t from 2 to m. A guess stands where the word that it
 *            stands for stood, so this gap is that of wrong words alone; it is the input of scheduled sampling in two
 *            passes at a probability of 1 (Mihaylova and Martins, 2019).
 *
 * Each pair is one prefill and at most 3 (m - 1) steps over one key/value cache. Thread rule: the session's.
 */
#ifndef SB_TRAINING_EVALUATION_LIKELIHOOD_H
#define SB_TRAINING_EVALUATION_LIKELIHOOD_H

#include "model/session.h"

struct sb_likelihood_pair {
    const int32_t *source; /* [source_length], with its [CLS] and [SEP] */
    const int32_t *target; /* [target_length], with its [SEP]; at least 1 */
    size_t source_length, target_length;
};

struct sb_likelihood_gap {
    size_t tokens;
    double forced, own; /* sums, in nats */
};

struct sb_likelihood {
    size_t tokens;
    double nll; /* a sum, in nats */
    struct sb_likelihood_gap written, guessed;
};

/* likelihoods[count]. SB_INVALID: an id is out of range, or source and target are longer than the model takes;
   SB_UNSUPPORTED: the model can not generate. Independent of how pairs are grouped. */
SB_MUST_CHECK enum sb_status sb_measure_likelihood(struct sb_likelihood *likelihoods, struct sb_session *session,
                                                   const struct sb_likelihood_pair *pairs, size_t count,
                                                   struct sb_error *error);

/* sum += one */
void sb_likelihood_add(struct sb_likelihood *sum, const struct sb_likelihood *one);

#endif
