/*
 * Collections of sentences with their vectors: SQLite is the source of truth (WAL; a call that returns SB_OK is on
 * disk), searched exactly in memory.
 *
 *     struct sb_store *store;
 *     sb_store_open(&store, "data/simbert.db", NULL, &error);
 *     sb_store_create(store, &(struct sb_collection_info){.name = "faq", .model_name = "simbert-small-zh",
 *                     .model_hash = hash, .dimensions = 512}, NULL, &error);
 *     sb_store_upsert(store, "faq", hash, sentences, n, NULL, NULL, &error);
 *     sb_store_search(store, "faq", &query, &results, &error);
 *     sb_search_results_free(&results);
 *     sb_store_close(store);
 *
 * A change that fails (SB_IO: the disk is full, or broken) is not made, in memory or on disk; the store goes on as
 * before. Only if the disk takes the data, refuses to sync it, and stays broken until the process ends, the change may
 * be found made, whole, when the database is opened again.
 *
 * Memory: all sentences, with their vectors. A database of up to 32 MiB is read when it is opened; of a larger one, a
 * collection is read by the first call that needs its sentences, which then takes longer and is the one to find damage
 * (SB_CORRUPT).
 *
 * Thread rule: every call from any number of threads. Writers wait for each other; readers do not wait for the disk,
 * but for that first reading.
 */
#ifndef SB_RETRIEVAL_STORE_H
#define SB_RETRIEVAL_STORE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_store;
struct sb_kernels;

enum {
    SB_COLLECTION_NAME_MAX = 64,      /* bytes; letters, digits, '_', '-', '.', not starting with '.' */
    SB_SENTENCE_ID_MAX = 512,         /* bytes of UTF-8, no control characters */
    SB_SENTENCE_METADATA_MAX = 65536, /* bytes of JSON */
    SB_SENTENCE_TEXT_MAX = 1 << 20,
};

struct sb_collection_info {
    char name[SB_COLLECTION_NAME_MAX + 1];
    char model_name[128];
    char model_hash[64]; /* of the model that makes this collection's vectors */
    int dimensions;
    int64_t count;      /* sentences (out only) */
    int64_t created_at; /* Unix seconds (out only) */
};

/* Strings are borrowed for the call on the way in, and owned by the result on the way out. */
struct sb_sentence {
    const char *id;
    const char *text;
    size_t text_size;
    const char *metadata; /* a JSON object as text, NULL: {} */
    const float *vector;  /* [dimensions], finite; NULL on the way out unless asked for */
};

/* kernels NULL: the best. Creates the file, and beside it <path>.lock; refuses a database of another program
   (SB_INVALID), of a newer version (SB_UNSUPPORTED), and one that is open already, in this process or another
   (SB_CONFLICT). */
SB_MUST_CHECK enum sb_status sb_store_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                                           struct sb_error *error);
void sb_store_close(struct sb_store *store); /* checkpoints the WAL */

/* SB_CONFLICT if it exists with another model or size; SB_OK and *created false if it exists just so. created may be
   NULL. */
SB_MUST_CHECK enum sb_status sb_store_create(struct sb_store *store, const struct sb_collection_info *info,
                                             bool *created, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_store_describe(struct sb_store *store, const char *collection,
                                               struct sb_collection_info *info,
                                               struct sb_error *error); /* SB_NOT_FOUND */
/* *infos: array of *count sorted by name, free() it. */
SB_MUST_CHECK enum sb_status sb_store_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                                           struct sb_error *error);
/* Searches that have begun end as if it were still there. */
SB_MUST_CHECK enum sb_status sb_store_drop(struct sb_store *store, const char *collection, struct sb_error *error);

/* All n or none, in one transaction. SB_INVALID for a duplicate id within the call or a bad id, text, metadata or
   vector (names the index). inserted and updated may be NULL. model_hash must be the collection's (SB_CONFLICT). */
SB_MUST_CHECK enum sb_status sb_store_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                                             const struct sb_sentence *sentences, size_t n, size_t *inserted,
                                             size_t *updated, struct sb_error *error);

/* Owned by the caller: free with sb_sentences_free. */
struct sb_sentences {
    struct sb_sentence *items;
    size_t count;
    void *memory;
};
void sb_sentences_free(struct sb_sentences *sentences);

/* One by id (SB_NOT_FOUND), with its vector. */
SB_MUST_CHECK enum sb_status sb_store_get(struct sb_store *store, const char *collection, const char *id,
                                          struct sb_sentences *out, struct sb_error *error);
/* Up to limit sentences in insertion order behind id `after` (NULL: from the start); vectors are not read. */
SB_MUST_CHECK enum sb_status sb_store_scroll(struct sb_store *store, const char *collection, const char *after,
                                             size_t limit, struct sb_sentences *out, struct sb_error *error);
/* Deletes those that exist; *deleted says how many. */
SB_MUST_CHECK enum sb_status sb_store_delete(struct sb_store *store, const char *collection, const char *const *ids,
                                             size_t n, size_t *deleted, struct sb_error *error);

struct sb_search {
    const float *vectors; /* [queries, dimensions] */
    size_t queries;
    size_t top_k;     /* 1..1000 */
    double min_score; /* -1 or less: no bound */
};
struct sb_match {
    struct sb_sentence sentence;
    double score; /* dot product: the cosine for normalised vectors */
};
struct sb_search_results {
    struct sb_match *matches; /* all queries' one behind the other, best first; ties by insertion order */
    size_t *ends;             /* [queries]: query i's are matches[ends[i-1], ends[i]) */
    size_t queries;
    void *memory;
};
void sb_search_results_free(struct sb_search_results *results);
SB_MUST_CHECK enum sb_status sb_store_search(struct sb_store *store, const char *collection,
                                             const struct sb_search *search, struct sb_search_results *results,
                                             struct sb_error *error);

#endif
