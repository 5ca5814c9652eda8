/*
 * Inside of the store. Only retrieval/ includes this.
 *
 * Locks, in the order in which they are taken:
 *   writer   one change at a time: SQLite transaction, then memory
 *   list     the array of collections: read by every call, written by create and drop
 *   index    one collection's sentences in memory (retrieval/index.h): written only once a change is on disk
 */
#ifndef SB_RETRIEVAL_STORE_IMPL_H
#define SB_RETRIEVAL_STORE_IMPL_H

#include "retrieval/index.h"
#include "retrieval/store.h"

#include <pthread.h>
#include <sqlite3.h>

struct sb_collection {
    struct sb_collection_info info; /* count is taken from the index */
    int64_t key;                    /* collections.id */
    struct sb_index index;
};

struct sb_store {
    char *path;
    int lock_file;
    const struct sb_kernels *kernels;
    sqlite3 *db; /* used under `writer` */
    pthread_mutex_t writer;
    pthread_rwlock_t list;
    struct sb_collection **collections; /* [count], sorted by name */
    size_t count;
};

/* Turns SQLite's code into ours, with the file and SQLite's words. */
enum sb_status sb_sqlite_fail(const struct sb_store *store, int code, const char *doing, struct sb_error *error);

/* schema.c: opens the file, checks that it is ours, brings the schema up to date. */
SB_MUST_CHECK enum sb_status sb_schema_open(struct sb_store *store, struct sb_error *error);

/* Runs statements without results. */
SB_MUST_CHECK enum sb_status sb_sqlite_run(const struct sb_store *store, const char *sql, const char *doing,
                                           struct sb_error *error);

/* collections.c; under `list`. NULL with the error set to SB_NOT_FOUND. */
struct sb_collection *sb_collection_find(const struct sb_store *store, const char *name, struct sb_error *error);
/* Reads all collections and their sentences into memory. */
SB_MUST_CHECK enum sb_status sb_collections_load(struct sb_store *store, struct sb_error *error);
void sb_collection_free(struct sb_collection *collection);

#endif
