/*
 * Inside of the store over SQLite, and what the other one shares with it. Only retrieval/ includes this.
 *
 * Locks, in the order in which they are taken:
 *   writer   one change at a time: SQLite transaction, then memory. Also guards `db`
 *   list     the arrays of collections and aliases, while a name is looked up: read by every call, written by those that
 *            change them
 *   index    one collection's sentences in memory (retrieval/index.h): written only once a change is on disk
 *   ann      its approximate index (retrieval/ann.h)
 *
 * A call that reads keeps its collection by counting itself among the holders, not by a lock on the list: a long search
 * holds up neither create nor drop, and a dropped collection lives until the last search in it is done.
 */
#ifndef SB_RETRIEVAL_STORE_IMPL_H
#define SB_RETRIEVAL_STORE_IMPL_H

#include "kernels/scores.h"
#include "retrieval/ann.h"
#include "retrieval/index.h"
#include "retrieval/recall.h"
#include "retrieval/sqlite.h"
#include "retrieval/worker.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* What is known of a change of model (retrieval/reembed.c), under `writer`. */
struct sb_reembedding {
    char target_name[128], target_hash[64]; /* hash "": none */
    int target_dimensions;
    int64_t run;    /* collections.run */
    int64_t cursor; /* sequence up to which this pass has looked */
    int64_t done;   /* rows that have the new vector, about */
    bool is_counted; /* done is known */
    bool found_any;  /* this pass has found rows without the new vector */
    bool is_clean;   /* no row has a vector that is of no use */
};

struct sb_collection {
    struct sb_collection_info info; /* count: what the file held when it was opened */
    int64_t key;                    /* collections.id */
    int64_t generation;             /* of its last change, under `writer` */
    int current;                    /* which column of sentences holds the vectors: 0 vector, 1 other_vector */
    struct sb_reembedding reembedding;
    atomic_size_t holders;          /* the list, and each call that reads; the last one frees it */
    bool loaded; /* its sentences are in the index. Read under `writer` or `index`, changed under both */
    atomic_bool dropped;
    struct sb_index index;
    int64_t ann_generation; /* of the approximate index's file when the sentences were read */
    struct sb_ann ann;
};

struct sb_store {
    struct sb_store_base base;
    char *path;
    int lock_file;
    const struct sb_score_kernels *kernels;
    sqlite3 *db;
    pthread_mutex_t writer;
    pthread_rwlock_t list;
    struct sb_collection **collections; /* [count], sorted by name */
    size_t count;
    struct sb_alias *aliases; /* [alias_count], sorted by name */
    size_t alias_count;
    atomic_size_t approximate_from; /* sentences */
    struct sb_recall recall;
    struct sb_worker worker;
};

/* store.c: of a file that is not open yet; sb_store_close frees it. NULL: no memory. */
struct sb_store *sb_store_new(const char *path);
/* Keeps all others out, until the store is closed. */
SB_MUST_CHECK enum sb_status sb_store_lock(struct sb_store *store, struct sb_error *error);

/* Turns SQLite's code into ours, with the file and SQLite's words. */
enum sb_status sb_sqlite_fail(const struct sb_store *store, int code, const char *doing, struct sb_error *error);

/* schema.c: opens the file, checks that it is ours, brings the schema up to date. */
SB_MUST_CHECK enum sb_status sb_schema_open(struct sb_store *store, struct sb_error *error);

/* Runs statements without results. */
SB_MUST_CHECK enum sb_status sb_sqlite_run(const struct sb_store *store, const char *sql, const char *doing,
                                           struct sb_error *error);
/* The one number that a statement answers with. */
SB_MUST_CHECK enum sb_status sb_sqlite_int(const struct sb_store *store, const char *sql, int64_t *value,
                                           struct sb_error *error);

/* BEGIN, work, COMMIT; anything that fails leaves the file as it was. Under `writer`. */
SB_MUST_CHECK enum sb_status sb_in_transaction(struct sb_store *store,
                                               enum sb_status (*work)(void *context, struct sb_error *error),
                                               void *context, struct sb_error *error);

/* sentence_copy.c: id, text and metadata, each with a NUL behind it, copied to `at`; what lies behind them. */
size_t sb_sentence_strings_size(const struct sb_sentence *sentence);
char *sb_sentence_copy(struct sb_sentence *to, const struct sb_sentence *from, char *at);

/* load.c: fills an index that nobody sees yet, from the column `current`. Under `writer`. */
SB_MUST_CHECK enum sb_status sb_sentences_load(struct sb_store *store, struct sb_collection *c, struct sb_error *error);

/* sentence_check.c: what may be stored. index names the sentence in the error. */
SB_MUST_CHECK enum sb_status sb_sentence_check(const struct sb_sentence *sentence, size_t dimensions, size_t index,
                                               struct sb_error *error);
/* All of them; no id twice. */
SB_MUST_CHECK enum sb_status sb_sentences_check(const struct sb_sentence *sentences, size_t n, size_t dimensions,
                                                struct sb_error *error);

/* search_check.c: what may be asked for. */
SB_MUST_CHECK enum sb_status sb_search_check(const struct sb_search *search, const struct sb_collection_info *info,
                                             struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_text_search_check(const struct sb_text_search *search, struct sb_error *error);

/* collections.c. The list under `writer`, or before anybody else knows the store. */
enum sb_status sb_store_no_memory(const struct sb_store *store, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_collection_info_check(const struct sb_collection_info *info, struct sb_error *error);
/* Tells the worker if it may have something to do for the collection. Under `writer`. */
void sb_collection_changed(struct sb_store *store, const struct sb_collection *c);
/* All of them, each held; free() the array and release each. NULL: no memory. */
struct sb_collection **sb_collections_hold(struct sb_store *store, size_t *count);
struct sb_collection *sb_collection_new(const struct sb_collection_info *info, int64_t key); /* NULL: no memory */
void sb_collection_release(struct sb_collection *collection);                                /* NULL is fine */
/* By its name or an alias; NULL with the error set to SB_NOT_FOUND. */
struct sb_collection *sb_collection_find(const struct sb_store *store, const char *name, struct sb_error *error);
/* Makes room for one more, so that adding it can not fail. False when out of memory. */
bool sb_collection_reserve_place(struct sb_store *store);
/* Takes the collection, after sb_collection_reserve_place. */
void sb_collection_add(struct sb_store *store, struct sb_collection *collection);
/* Finds a collection with its sentences in memory and locks them for reading, until sb_collection_end_read. */
SB_MUST_CHECK enum sb_status sb_collection_begin_read(struct sb_store *store, const char *name,
                                                      struct sb_collection **collection, struct sb_error *error);
void sb_collection_end_read(struct sb_collection *collection);

/* search.c: sb_store_search of a collection that is held. */
SB_MUST_CHECK enum sb_status sb_search_held(struct sb_store *store, struct sb_collection *c,
                                            const struct sb_search *search, struct sb_search_results *results,
                                            bool *approximate, struct sb_error *error);

/* 1 to SB_COLLECTION_NAME_MAX bytes of what a collection or an alias may be called. */
SB_MUST_CHECK enum sb_status sb_collection_name_check(const char *name, struct sb_error *error);

/* aliases.c. Under `list` or `writer`: the name of the collection that an alias stands for, NULL if it is none. */
const char *sb_alias_target(const struct sb_store *store, const char *alias);
/* Forgets a dropped collection's aliases. Under `writer` and `list`. */
void sb_aliases_forget(struct sb_store *store, const char *collection);
/* At opening, after the collections. */
SB_MUST_CHECK enum sb_status sb_aliases_load(struct sb_store *store, struct sb_error *error);

/* load.c: the list of collections, and the sentences too if the file is small. At opening. */
SB_MUST_CHECK enum sb_status sb_collections_load(struct sb_store *store, struct sb_error *error);
/* The list alone; counted: with the number of each one's sentences, for which their index is read. */
SB_MUST_CHECK enum sb_status sb_collections_load_infos(struct sb_store *store, bool counted, struct sb_error *error);
/* Whether a row (sequence, id, text, metadata, vector) may stand in an unread collection. vector: room for one. */
SB_MUST_CHECK enum sb_status sb_row_check(const struct sb_store *store, struct sb_collection *c, sqlite3_stmt *statement,
                                          float *vector, struct sb_error *error);
/* Reads a collection's sentences unless they are in memory. Under `writer`. */
SB_MUST_CHECK enum sb_status sb_collection_load(struct sb_store *store, struct sb_collection *collection,
                                                struct sb_error *error);

#endif
