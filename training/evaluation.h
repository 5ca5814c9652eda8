/*
 * Measures of a model, as pure functions of what it computed.
 *
 *     struct sb_pair_measures m;
 *     sb_measure_pairs(&m, similarities, labels, n, 0.9, &error);
 *     printf("Spearman %.4f, AUC %.4f, accuracy %.4f at %.3f\n", m.spearman, m.auc, m.best_accuracy, m.best_threshold);
 *
 * A measure that is not defined for its input, as a correlation with a constant, is NaN. No input may hold NaN.
 * All functions are thread-safe.
 */
#ifndef SB_TRAINING_EVALUATION_H
#define SB_TRAINING_EVALUATION_H

#include "base/status.h"
#include "model/text_normalize.h"

#include <stddef.h>
#include <stdint.h>

/* ---- Pairs: similarities x and labels y, [n] ---- */

double sb_pearson(const float *x, const float *y, size_t n);

/* Pearson's correlation of the ranks; equal values share the mean of their ranks. */
SB_MUST_CHECK enum sb_status sb_spearman(double *correlation, const float *x, const float *y, size_t n,
                                         struct sb_error *error);

/* Area under the curve: the share of all pairs of a positive (y >= .5) and a negative in which the positive has the larger
   x, equal ones counting half. */
SB_MUST_CHECK enum sb_status sb_auc(double *auc, const float *x, const float *y, size_t n, struct sb_error *error);

/* Share of the pairs for which (x > threshold) is (y >= .5). */
double sb_accuracy(const float *x, const float *y, size_t n, double threshold);

/* The threshold of the best accuracy: in the middle between two values of x, below all or above all of them. The
   lowest, if several are as good. */
SB_MUST_CHECK enum sb_status sb_best_accuracy(double *accuracy, double *threshold, const float *x, const float *y,
                                              size_t n, struct sb_error *error);

struct sb_pair_measures {
    size_t count, positives; /* positives: y >= .5 */
    double spearman, pearson;
    double auc;
    double threshold, accuracy; /* the threshold that was given */
    double best_threshold, best_accuracy;
};
SB_MUST_CHECK enum sb_status sb_measure_pairs(struct sb_pair_measures *measures, const float *similarities,
                                              const float *labels, size_t n, double threshold, struct sb_error *error);

/* ---- Retrieval ---- */

/* ranks[r], from 1, of the candidates relevant[r] among all but `self` (SIZE_MAX: among all) by descending score. The
   other relevant ones do not count, and a candidate of equal score stands ahead. */
void sb_retrieval_ranks(size_t *ranks, const float *scores, size_t candidates, size_t self, const size_t *relevant,
                        size_t count);

/* Share of the ranks that are at most k. */
double sb_recall_at(const size_t *ranks, size_t count, size_t k);

/* 1 / the smallest rank; its mean over the queries is the mean reciprocal rank, MRR. */
double sb_reciprocal_rank(const size_t *ranks, size_t count);

/* ---- Texts ---- */

/* distinct-n (Li et al., 2016) of the paraphrases of one text: different n-grams of characters / all of them, 0 without any.
   The characters are those of model/text_normalize.h. n: 1 or 2. */
SB_MUST_CHECK enum sb_status sb_distinct(double *distinct, const struct sb_code_points *texts, size_t count, size_t n,
                                         struct sb_error *error);

#endif
