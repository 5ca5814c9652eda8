/*
 * A collection's sentences in memory, in the order of their insertion: what searches read. Only retrieval/ includes this.
 *
 *     row 0   row 1   row 2 (deleted)   row 3 ...      places[row] -> texts, sequences[row], row of matrix
 *
 * texts holds a record a sentence, one behind the other:
 *
 *     | id_size: u32 | text_size: u32 | metadata_size: u32 | id | 0 | text | 0 | metadata | 0 |
 *
 * Without metadata ("{}") its size is 0 and it takes no byte. A deleted sentence leaves its row empty, and a replaced one
 * its record dead; when half of the rows or of the texts are dead, they close up (sb_index_tidy). An id finds its row through a hash
 * table. Readers hold the lock for reading, the one writer for writing.
 */
#ifndef SB_RETRIEVAL_INDEX_H
#define SB_RETRIEVAL_INDEX_H

#include "retrieval/lexical.h"
#include "retrieval/vectors.h"

#include <pthread.h>

struct sb_index {
    pthread_rwlock_t lock;
    struct sb_matrix matrix;
    uint64_t *places;   /* [rows]: where its record begins, plus 1; 0: deleted */
    int64_t *sequences; /* [rows]: sentences.sequence, increasing */
    size_t rows, capacity, live;
    struct sb_region texts;
    size_t texts_size, texts_dead;
    uint32_t *slots; /* row + 1, 0: empty; linear probing */
    size_t slot_mask;
    uint64_t hash_key;
    uint64_t epoch; /* counts the times that rows got other numbers */
    /* The index of words (retrieval/search_text.c), NULL until it is asked for. Readers that bring it up to date hold
       this lock too; changes, under the index's lock, tell it which rows it must forget. */
    pthread_mutex_t lexical_lock;
    struct sb_lexical *lexical;
};

enum { SB_NO_ROW = -1 };

/* A lock whose writers are not starved by readers. */
bool sb_index_lock_init(pthread_rwlock_t *lock);

bool sb_index_init(struct sb_index *index, enum sb_vectors form, size_t dimensions);
void sb_index_clear(struct sb_index *index); /* as after sb_index_init */
void sb_index_free(struct sb_index *index);

static inline bool sb_index_is_live(const struct sb_index *index, size_t row)
{
    return index->places[row] != 0;
}

/* Exchanges what two indexes hold; their rows count as renumbered. Under both locks, writing. */
void sb_index_swap(struct sb_index *a, struct sb_index *b);

/* Of a live row, borrowed from the index; without the vector. Under the lock. */
struct sb_sentence sb_index_sentence(const struct sb_index *index, size_t row);

/* The row of an id, SB_NO_ROW if there is none. Under the lock. */
int64_t sb_index_find(const struct sb_index *index, const char *id);

/* Bytes of a sentence's record. */
size_t sb_index_record_size(const struct sb_sentence *sentence);
/* Makes room for `more` sentences with `bytes` of records, so that putting them can not fail. False when out of memory.
   Under the lock, writing. */
bool sb_index_reserve(struct sb_index *index, size_t more, size_t bytes);
/* Replaces the sentence with this id, which keeps its row and sequence, or else appends. stored: sb_vector_encode's. The
   row. Under the lock, writing, after sb_index_reserve. */
size_t sb_index_put(struct sb_index *index, const struct sb_sentence *sentence, const void *stored, int64_t sequence);
/* The row that it had, SB_NO_ROW if there is none. Under the lock, writing. */
int64_t sb_index_remove(struct sb_index *index, const char *id);
/* Behind a change: closes up what is mostly dead; rows may get other numbers. Under the lock, writing. */
void sb_index_tidy(struct sb_index *index);

#endif
