/*
 * A collection's sentences in memory, in the order of their insertion, with their vectors in one matrix: what searches
 * read. Only retrieval/ includes this.
 *
 *     row 0   row 1   row 2 (deleted)   row 3 ...      items[row], matrix[row * dimensions]
 *
 * A deleted sentence leaves its row empty; when half of the rows are empty they close up. An id finds its row through a
 * hash table. Readers hold the lock for reading, the one writer for writing.
 */
#ifndef SB_RETRIEVAL_INDEX_H
#define SB_RETRIEVAL_INDEX_H

#include "retrieval/store.h"

#include <pthread.h>

/* One allocation: the struct, then id, text and metadata, each with a NUL behind it. */
struct sb_item {
    size_t id_size, text_size, metadata_size;
    char strings[];
};

struct sb_index {
    pthread_rwlock_t lock;
    size_t dimensions;
    struct sb_item **items; /* [rows] */
    float *matrix;          /* [rows, dimensions] */
    size_t rows, capacity, live;
    uint32_t *slots; /* row + 1, 0: empty; linear probing */
    size_t slot_mask;
    uint64_t hash_key;
};

enum { SB_NO_ROW = -1 };

/* A lock whose writers are not starved by readers. */
bool sb_index_lock_init(pthread_rwlock_t *lock);

bool sb_index_init(struct sb_index *index, size_t dimensions);
void sb_index_clear(struct sb_index *index); /* as after sb_index_init */
void sb_index_free(struct sb_index *index);

/* NULL when out of memory. */
struct sb_item *sb_item_new(const struct sb_sentence *sentence);
const char *sb_item_id(const struct sb_item *item);
const char *sb_item_text(const struct sb_item *item);
const char *sb_item_metadata(const struct sb_item *item);
/* Borrowed from the item; without the vector. */
struct sb_sentence sb_item_sentence(const struct sb_item *item);

/* The row of an id, SB_NO_ROW if there is none. Under the lock. */
int64_t sb_index_find(const struct sb_index *index, const char *id);

/* Makes room for `more` sentences, so that putting them can not fail. False when out of memory. Under the lock,
   writing. */
bool sb_index_reserve(struct sb_index *index, size_t more);
/* Takes the item; replaces the one with its id, else appends. Under the lock, writing, after sb_index_reserve. */
void sb_index_put(struct sb_index *index, struct sb_item *item, const float *vector);
/* False if there is none. Under the lock, writing. */
bool sb_index_remove(struct sb_index *index, const char *id);

#endif
