/*
 * How good approximate searches are: one of many is repeated, approximately and exactly, by the store's worker, and the
 * share of the exact answers that were found is counted. Only retrieval/ includes this; sb_store_search_stats is public.
 */
#ifndef SB_RETRIEVAL_RECALL_H
#define SB_RETRIEVAL_RECALL_H

#include "retrieval/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SB_RECALL_WAITING = 8 }; /* samples: more are not taken until the worker has caught up */

struct sb_recall_sample {
    char collection[SB_COLLECTION_NAME_MAX + 1];
    size_t top_k, dimensions;
    float *vector; /* owned */
};

struct sb_recall {
    pthread_mutex_t lock; /* of waiting */
    struct sb_recall_sample waiting[SB_RECALL_WAITING];
    size_t count;
    atomic_uint_fast64_t approximate, exact, samples, expected, found;
};

void sb_recall_init(struct sb_recall *recall);
void sb_recall_free(struct sb_recall *recall);
/* Counts a search's queries, and takes a sample now and then of those without a filter. True if one was taken. */
bool sb_recall_note(struct sb_recall *recall, const char *collection, size_t dimensions, const struct sb_search *search,
                    bool approximate);
/* Checks one sample, by the worker. True if there are more. */
bool sb_recall_check(struct sb_store *store);

#endif
