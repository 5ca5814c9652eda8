/*
 * Exact search: every vector is compared with every query. Only retrieval/ includes this.
 */
#ifndef SB_RETRIEVAL_SCAN_H
#define SB_RETRIEVAL_SCAN_H

#include "retrieval/hits.h"
#include "retrieval/store_impl.h"

/* How many hits of a scan are worth rescoring, so that the best top_k are among them: scores of the scan are off by
   rounding, in int16 and int8 to 8 bits. */
size_t sb_scan_candidates(enum sb_vectors form, size_t top_k);

/* Offers the live rows first..last-1 that the search keeps to heaps[queries->count], of `limit` each. Under the index's lock. */
void sb_scan(struct sb_hits *heaps, size_t limit, const struct sb_index *index, const struct sb_score_kernels *kernels,
             const struct sb_queries *queries, const struct sb_search *search, size_t first, size_t last);

/* Whether the search's filter keeps a live row. Under the index's lock. */
bool sb_search_keeps(const struct sb_search *search, const struct sb_index *index, size_t row);

/* Scores the hits of query q anew from what is stored, sorts them, and leaves the best top_k of at least min_score.
   Under the index's lock. */
void sb_rescore(struct sb_hits *hits, const struct sb_index *index, const struct sb_score_kernels *kernels,
                const struct sb_search *search, size_t q);

#endif
