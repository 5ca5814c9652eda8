/*
 * The best k rows of one query: a heap whose root is the worst of them, until it is sorted. Only retrieval/ includes this.
 *
 *     struct sb_hits hits = {.items = memory};                  // [top_k]
 *     sb_hits_offer(&hits, top_k, (struct sb_hit){score, row}); // each row
 *     sb_hits_sort(&hits);                                      // best first
 */
#ifndef SB_RETRIEVAL_HITS_H
#define SB_RETRIEVAL_HITS_H

#include "retrieval/index.h"

struct sb_hit {
    float score;
    size_t row;
};

struct sb_hits {
    struct sb_hit *items; /* [top_k] */
    size_t count;
};

/* a ranks behind b: a lower score, or the same and inserted later. */
bool sb_hit_behind(struct sb_hit a, struct sb_hit b);

void sb_hits_offer(struct sb_hits *hits, size_t top_k, struct sb_hit hit);
/* Best first; the heap is used up. */
void sb_hits_sort(struct sb_hits *hits);

/* Copies what the sorted hits[queries] name into results; false: no memory. Under the index's lock. */
bool sb_search_results_copy(struct sb_search_results *results, const struct sb_hits *hits, size_t queries,
                            const struct sb_index *index);

#endif
