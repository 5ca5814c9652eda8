/*
 * A copy of a collection's sentences, or of those that a filter keeps, with their vectors in one matrix: long work
 * reads it without holding up whoever changes the collection.
 *
 *     struct sb_sentence_set set = {0};
 *     if (sb_sentence_set_read(&set, store, "faq", filter, 100000, &error) == SB_OK)
 *         use(set.vectors, set.count, set.dimensions);
 *     sb_sentence_set_free(&set);
 */
#ifndef SB_SERVER_SENTENCE_SET_H
#define SB_SERVER_SENTENCE_SET_H

#include "base/buffer.h"
#include "retrieval/filter.h"
#include "retrieval/store.h"

struct sb_sentence_set {
    float *vectors; /* [count, dimensions], of length 1 */
    size_t count, capacity;
    size_t dimensions; /* 0 without a sentence */
    size_t *places; /* [count]: where a sentence begins in strings */
    struct sb_buffer strings;
};

/* filter NULL: all. SB_LIMIT: there are more than `most`. */
SB_MUST_CHECK enum sb_status sb_sentence_set_read(struct sb_sentence_set *set, struct sb_store *store,
                                                  const char *collection, const struct sb_filter *filter, size_t most,
                                                  struct sb_error *error);
void sb_sentence_set_free(struct sb_sentence_set *set);

/* Borrowed from the set; text is ended by NUL, too. */
struct sb_sentence sb_sentence_set_at(const struct sb_sentence_set *set, size_t i);

#endif
