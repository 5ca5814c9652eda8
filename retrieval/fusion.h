/*
 * Joins the results of two searches for the same queries into one ranking by reciprocal rank fusion (Cormack, Clarke,
 * Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", 2009): a sentence
 * that stands at rank r of a ranking, counted from 1, gets 1 / (60 + r) of it. Scores of different kinds need no common
 * scale.
 *
 *     sb_fuse(&fused, &by_meaning, &by_words, 10, &error);
 *     sb_search_results_free(&fused);          // before what it was made of
 */
#ifndef SB_RETRIEVAL_FUSION_H
#define SB_RETRIEVAL_FUSION_H

#include "retrieval/store.h"

/* At most top_k a query, best first; equal ones in the order in which `a`, then `b`, has them. The score is the sum.
   The sentences are borrowed from a and b. */
SB_MUST_CHECK enum sb_status sb_fuse(struct sb_search_results *fused, const struct sb_search_results *a,
                                     const struct sb_search_results *b, size_t top_k, struct sb_error *error);

#endif
