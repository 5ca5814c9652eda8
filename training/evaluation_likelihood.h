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
 *   gap      Let z be what the model writes greedily behind s: z_t = argmax p(. | s, z_1 ... z_(t-1)), without any rule
 *            against a token. At every t from 2 to m up to which z has not ended (none of z_1 ... z_(t-1) is [SEP]),
 *            `forced` adds -log p(y_t | s, y_1 ... y_(t-1)) and `free` adds -log p(y_t | s, z_1 ... z_(t-1)). Both are of
 *            the same tokens behind prefixes of the same length; their difference a token is the cost of relying on
 *            its own words: the exposure bias (Ranzato et al., 2016) together with what the prefix says of the rest.
 *
 * Each pair is one prefill and at most 2 (m - 1) steps over one key/value cache. Thread rule: the session's.
 */
#ifndef SB_TRAINING_EVALUATION_LIKELIHOOD_H
#define SB_TRAINING_EVALUATION_LIKELIHOOD_H

#include "model/session.h"

struct sb_likelihood_pair {
    const int32_t *source; /* [source_length], with its [CLS] and [SEP] */
    const int32_t *target; /* [target_length], with its [SEP]; at least 1 */
    size_t source_length, target_length;
};

struct sb_likelihood {
    size_t tokens;
    double nll; /* of all tokens, in nats */
    size_t compared;
    double forced, free; /* of the tokens compared */
};

/* likelihoods[count]. SB_INVALID: an id is out of range, or source and target are longer than the model takes;
   SB_UNSUPPORTED: the model can not generate. Independent of how pairs are grouped. */
SB_MUST_CHECK enum sb_status sb_measure_likelihood(struct sb_likelihood *likelihoods, struct sb_session *session,
                                                   const struct sb_likelihood_pair *pairs, size_t count,
                                                   struct sb_error *error);

/* sum += one */
void sb_likelihood_add(struct sb_likelihood *sum, const struct sb_likelihood *one);

#endif
