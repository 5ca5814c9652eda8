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

/* How a collection keeps its vectors, on disk and in memory; fixed when it is made. */
enum sb_vectors {
    SB_VECTORS_F32, /* as they came */
    SB_VECTORS_F16,
    SB_VECTORS_INT16, /* with a scale a vector: the size of f16, more exact, and searched by the upper bytes first */
    SB_VECTORS_INT8,  /* with a scale a vector */
    SB_VECTORS_FORMS
};
const char *sb_vectors_name(enum sb_vectors vectors); /* "f32", "f16", "int16", "int8" */
bool sb_vectors_parse(const char *name, enum sb_vectors *vectors);

enum sb_search_kind {
    SB_SEARCH_AUTO,  /* approximate once the collection is large and its index is built */
    SB_SEARCH_EXACT, /* no index is built */
    SB_SEARCH_KINDS
};
const char *sb_search_kind_name(enum sb_search_kind kind); /* "auto", "exact" */
bool sb_search_kind_parse(const char *name, enum sb_search_kind *kind);

struct sb_collection_info {
    char name[SB_COLLECTION_NAME_MAX + 1];
    char model_name[128];
    char model_hash[64]; /* of the model that makes this collection's vectors */
    int dimensions;
    enum sb_vectors vectors;
    enum sb_search_kind search;
    bool is_indexed;    /* searches are approximate now (out only) */
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

/* path: a file; or a URL as libpq takes it, postgresql://user@host:5432/name: a PostgreSQL database with the extension
   pgvector, which any number of processes may share (docs/collections.md). What it has not, says SB_UNSUPPORTED; while it
   does not answer, calls fail with SB_UNAVAILABLE. What follows is of files.

   kernels NULL: the best. Creates the file, and beside it <path>.lock; refuses a database of another program
   (SB_INVALID), of a newer version (SB_UNSUPPORTED), and one that is open already, in this process or another
   (SB_CONFLICT). */
SB_MUST_CHECK enum sb_status sb_store_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                                           struct sb_error *error);
void sb_store_close(struct sb_store *store); /* checkpoints the WAL */

/* SB_CONFLICT if it exists with another model or size, or if the name is an alias; SB_OK and *created false if it exists
   with these: its vectors and search stay as they are. created may be NULL. */
SB_MUST_CHECK enum sb_status sb_store_create(struct sb_store *store, const struct sb_collection_info *info,
                                             bool *created, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_store_describe(struct sb_store *store, const char *collection,
                                               struct sb_collection_info *info,
                                               struct sb_error *error); /* SB_NOT_FOUND */
/* *infos: array of *count sorted by name, free() it. */
SB_MUST_CHECK enum sb_status sb_store_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                                           struct sb_error *error);
/* Its aliases go with it. Searches that have begun end as if it were still there. SB_CONFLICT for an alias. */
SB_MUST_CHECK enum sb_status sb_store_drop(struct sb_store *store, const char *collection, struct sb_error *error);

/* Another name for a collection. Every call that takes a collection's name takes an alias too, but for create and drop. */
struct sb_alias {
    char name[SB_COLLECTION_NAME_MAX + 1];
    char collection[SB_COLLECTION_NAME_MAX + 1];
};
/* Makes the alias, or lets it name another collection from now on: a call sees the one or the other. SB_CONFLICT if a
   collection has that name. */
SB_MUST_CHECK enum sb_status sb_store_alias_set(struct sb_store *store, const char *alias, const char *collection,
                                                struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_store_alias_delete(struct sb_store *store, const char *alias,
                                                   struct sb_error *error); /* SB_NOT_FOUND */
/* *aliases: array of *count sorted by name, free() it. */
SB_MUST_CHECK enum sb_status sb_store_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                                 struct sb_error *error);

/* All n or none, in one transaction. SB_INVALID for a duplicate id within the call or a bad id, text, metadata or
   vector (names the index). inserted and updated may be NULL. model_hash must be the collection's (SB_CONFLICT). */
SB_MUST_CHECK enum sb_status sb_store_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                                             const struct sb_sentence *sentences, size_t n, size_t *inserted,
                                             size_t *updated, struct sb_error *error);

/* Owned by the caller: free with sb_sentences_free. */
struct sb_sentences {
    struct sb_sentence *items;
    size_t count;
    size_t dimensions; /* of the vectors, if they are there: a collection may have changed its model just before */
    void *memory;
};
void sb_sentences_free(struct sb_sentences *sentences);

/* One by id (SB_NOT_FOUND), with its vector. */
SB_MUST_CHECK enum sb_status sb_store_get(struct sb_store *store, const char *collection, const char *id,
                                          struct sb_sentences *out, struct sb_error *error);
/* Up to limit sentences in insertion order behind id `after` (NULL: from the start); vectors are not read. */
SB_MUST_CHECK enum sb_status sb_store_scroll(struct sb_store *store, const char *collection, const char *after,
                                             size_t limit, struct sb_sentences *out, struct sb_error *error);
/* Every sentence with its vector[dimensions], in insertion order, until visit says false; the dimensions are the same in
   all calls. What visit gets is borrowed for its call; the collection can not change meanwhile, so visit must not call the
   store. */
typedef bool (*sb_visit)(void *context, const struct sb_sentence *sentence, size_t dimensions);
SB_MUST_CHECK enum sb_status sb_store_visit(struct sb_store *store, const char *collection, sb_visit visit, void *context,
                                            struct sb_error *error);
/* Deletes those that exist; *deleted says how many. */
SB_MUST_CHECK enum sb_status sb_store_delete(struct sb_store *store, const char *collection, const char *const *ids,
                                             size_t n, size_t *deleted, struct sb_error *error);

struct sb_search {
    const float *vectors; /* [queries, dimensions] */
    size_t queries;
    size_t top_k;     /* 1..1000 */
    double min_score; /* -1 or less: no bound */
    /* NULL: all. Says whether a sentence (without its vector) may be found; called for those that would be found without
       it, on the calling thread. What it gets is borrowed for its call; it must not call the store. */
    bool (*keep)(void *context, const struct sb_sentence *sentence);
    void *keep_context;
    bool exact; /* compare every vector, even if there is an approximate index */
    /* NULL: not checked. Of the model that made the vectors: SB_CONFLICT if the collection's are of another, as they are once
       it has been embedded anew (retrieval/reembed.h) */
    const char *model_hash;
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

/* Collections of so many sentences and more, whose search is SB_SEARCH_AUTO, get an approximate index, built in the
   background. Default: SB_APPROXIMATE_FROM, where it is faster in every form (bench/search.md). */
enum { SB_APPROXIMATE_FROM = 20000 };
void sb_store_set_approximate_from(struct sb_store *store, size_t sentences);

/* Counts since the store was opened. Recall of approximate searches: found / expected, of the samples that were repeated
   exactly in the background. */
struct sb_search_stats {
    uint64_t exact, approximate; /* queries */
    uint64_t samples;            /* queries that were checked */
    uint64_t expected, found;    /* sentences */
};
void sb_store_search_stats(struct sb_store *store, struct sb_search_stats *stats);

/* Looks at all of a database that no other process has open. With repair, a damaged one is replaced by what is intact of
   it, and stays beside it as <path>.damaged. tell, which may be NULL, gets a line for each problem. SB_OK: it is sound, or
   was repaired; SB_CORRUPT: it is damaged. */
struct sb_check {
    int64_t collections, sentences; /* intact */
    int64_t problems;
    bool was_repaired;
};
SB_MUST_CHECK enum sb_status sb_store_check(const char *path, bool repair, void (*tell)(void *context, const char *line),
                                            void *context, struct sb_check *check, struct sb_error *error);

#endif
