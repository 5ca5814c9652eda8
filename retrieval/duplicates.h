/*
 * Paraphrase mining: the pairs of a set of sentences that are most alike, every pair compared.
 *
 *     struct sb_duplicates found;
 *     if (sb_duplicates_find(&found, &set, 0.9, 100, &error) == SB_OK)
 *         for (size_t i = 0; i < found.count; i++)
 *             print(found.pairs[i].first, found.pairs[i].second, found.pairs[i].score);
 *     sb_duplicates_free(&found);
 *
 * Time: count^2 / 2 dot products; 20,000 vectors of 512 take some 3 seconds of one processor, 100,000 over a minute.
 */
#ifndef SB_RETRIEVAL_DUPLICATES_H
#define SB_RETRIEVAL_DUPLICATES_H

#include "retrieval/mining.h"

struct sb_duplicate {
    uint32_t first, second; /* first < second */
    float score;            /* cosine */
};

struct sb_duplicates {
    struct sb_duplicate *pairs; /* best first; equal ones by first, then second */
    size_t count;               /* at most the limit */
    uint64_t total;             /* how many pairs there are, also beyond the limit */
};

/* limit at least 1. SB_CANCELLED when the set's stop() says so. */
SB_MUST_CHECK enum sb_status sb_duplicates_find(struct sb_duplicates *found, const struct sb_mining *set,
                                                double min_score, size_t limit, struct sb_error *error);
void sb_duplicates_free(struct sb_duplicates *found);

#endif
