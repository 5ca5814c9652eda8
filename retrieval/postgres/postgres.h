/*
 * Inside of the store over PostgreSQL with the extension pgvector. Any number of stores, in any number of processes, may
 * share a database: nothing of it is kept in memory, so that what one has committed is there for all.
 *
 *     simbert.collections    a row a collection; its lock serialises the collection's writers, so that sentences come into
 *                            sight in the order of their sequence
 *     simbert.sentences_KEY  its sentences: sequence, id, text, metadata, terms, vector; an index of terms (GIN) and,
 *                            once it is large, one of vectors (HNSW)
 *     simbert.aliases        other names
 *
 * Values are parameters of statements; the only thing that is written into one is KEY, a number of ours. Only
 * retrieval/postgres/ includes this.
 */
#ifndef SB_RETRIEVAL_POSTGRES_POSTGRES_H
#define SB_RETRIEVAL_POSTGRES_POSTGRES_H

#include "retrieval/store_impl.h"

#include <libpq-fe.h>

enum { SB_PG_CONNECTIONS = 8, SB_PG_PARAMETERS = 8 };

struct sb_postgres {
    struct sb_store_base base;
    char *url;  /* with its password: never shown */
    char *name; /* what errors call the database */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t freed;
    PGconn *idle[SB_PG_CONNECTIONS];
    int idle_count, in_use;
    int64_t connect_at; /* on CLOCK_MONOTONIC, ns: not earlier, after attempts that failed */
    int64_t delay;
    char reason[sizeof ((struct sb_error *)0)->message]; /* why they did */
    bool is_migrated;
    atomic_size_t approximate_from;
    atomic_uint_fast64_t exact, approximate; /* queries */
    /* The thread that makes indexes of vectors. */
    pthread_t indexer;
    pthread_cond_t wake;
    PGcancel *cancel; /* of its connection, while it has one */
    bool has_indexer, stopping, is_woken;
};

/* A transaction on a connection of its own. */
struct sb_pg {
    struct sb_postgres *store;
    PGconn *connection;
    bool is_lost;    /* the connection broke, or the database asked to repeat the transaction */
    bool is_visible; /* the caller has seen results: it must not be repeated */
};

/* ---- pg_connect.c: connections ---- */

static inline struct sb_postgres *sb_postgres_of(struct sb_store *store)
{
    return (struct sb_postgres *)(void *)store;
}

/* One connection, for work that waits long. NULL with the error set: SB_UNAVAILABLE if the database is away. */
PGconn *sb_pg_connect(struct sb_postgres *store, struct sb_error *error);

/* The parameters of a statement, $1 to $count. Texts are borrowed. */
struct sb_pg_values {
    const char *data[SB_PG_PARAMETERS];
    int sizes[SB_PG_PARAMETERS], is_binary[SB_PG_PARAMETERS];
    char numbers[SB_PG_PARAMETERS][24];
    int count;
};
void sb_pg_text(struct sb_pg_values *values, const char *text);
void sb_pg_number(struct sb_pg_values *values, int64_t number);
void sb_pg_bytes(struct sb_pg_values *values, const void *bytes, size_t size);

/* Runs a statement; values and result may be NULL. *result: PQclear it, in binary form. */
SB_MUST_CHECK enum sb_status sb_pg_query(struct sb_pg *pg, const char *sql, const struct sb_pg_values *values,
                                         const char *doing, PGresult **result, struct sb_error *error);

int64_t sb_pg_get_int(const PGresult *result, int row, int column);   /* of a bigint */
double sb_pg_get_double(const PGresult *result, int row, int column); /* of a double precision */
bool sb_pg_get_bool(const PGresult *result, int row, int column);

enum sb_pg_mode { SB_PG_READ /* one state of the database */, SB_PG_WRITE };

/* BEGIN, work, COMMIT on a connection of the pool. Is repeated once if the connection breaks, so work must leave nothing
   behind when it fails. */
SB_MUST_CHECK enum sb_status sb_pg_transaction(struct sb_postgres *store, enum sb_pg_mode mode,
                                               enum sb_status (*work)(struct sb_pg *pg, void *context,
                                                                      struct sb_error *error),
                                               void *context, struct sb_error *error);

/* ---- pg_errors.c ---- */

/* Turns what a statement (result), or the connection (NULL) complains of into ours; notes in pg whether to repeat it. */
enum sb_status sb_pg_fail(struct sb_pg *pg, const PGresult *result, const char *doing, struct sb_error *error);

/* ---- pg_schema.c ---- */

/* Brings the schema up to date. However many processes do that at once, it happens once. */
SB_MUST_CHECK enum sb_status sb_pg_migrate(struct sb_pg *pg, struct sb_error *error);

/* ---- pg_collections.c ---- */

struct sb_pg_collection {
    int64_t key;
    struct sb_collection_info info;
};
/* By name or alias, SB_NOT_FOUND; to change it: its row is locked. */
SB_MUST_CHECK enum sb_status sb_pg_find(struct sb_pg *pg, const char *name, bool to_change,
                                        struct sb_pg_collection *collection, struct sb_error *error);
enum sb_status sb_pg_create(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                            struct sb_error *error);
enum sb_status sb_pg_describe(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                              struct sb_error *error);
enum sb_status sb_pg_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                          struct sb_error *error);
enum sb_status sb_pg_drop(struct sb_store *store, const char *collection, struct sb_error *error);

/* ---- pg_aliases.c ---- */

/* The collection that an alias stands for, "" if it is none. */
SB_MUST_CHECK enum sb_status sb_pg_alias_target(struct sb_pg *pg, const char *alias,
                                                char target[SB_COLLECTION_NAME_MAX + 1], struct sb_error *error);
/* Collections and aliases share their names: nobody else changes any until the transaction ends. */
SB_MUST_CHECK enum sb_status sb_pg_lock_names(struct sb_pg *pg, struct sb_error *error);
enum sb_status sb_pg_alias_set(struct sb_store *store, const char *alias, const char *collection,
                               struct sb_error *error);
enum sb_status sb_pg_alias_delete(struct sb_store *store, const char *alias, struct sb_error *error);
enum sb_status sb_pg_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                struct sb_error *error);

/* ---- pg_vectors.c: the binary form of pgvector's type vector ---- */

size_t sb_pg_vector_size(size_t dimensions);
void sb_pg_vector_put(char *bytes, const float *vector, size_t dimensions);
/* False: it is not one of so many dimensions. */
bool sb_pg_vector_get(float *vector, size_t dimensions, const PGresult *result, int row, int column);

/* ---- pg_terms.c: the binary form of bigint[] ---- */

struct sb_buffer;
/* The terms of a text (retrieval/terms.h), as often as each stands there. */
void sb_pg_terms_put(struct sb_buffer *bytes, const char *text, size_t size);

/* ---- pg_write.c, pg_read.c, pg_search.c, pg_search_text.c ---- */

enum sb_status sb_pg_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                            const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                            struct sb_error *error);
enum sb_status sb_pg_delete(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                            size_t *deleted, struct sb_error *error);
enum sb_status sb_pg_get(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                         struct sb_error *error);
enum sb_status sb_pg_scroll(struct sb_store *store, const char *collection, const char *after, size_t limit,
                            struct sb_sentences *out, struct sb_error *error);
enum sb_status sb_pg_visit(struct sb_store *store, const char *collection, sb_visit visit, void *context,
                           struct sb_error *error);
/* id, text and metadata from columns 0 to 2, borrowed from the result. */
struct sb_sentence sb_pg_sentence(const PGresult *result, int row);
enum sb_status sb_pg_search(struct sb_store *store, const char *collection, const struct sb_search *search,
                            struct sb_search_results *results, struct sb_error *error);
enum sb_status sb_pg_search_text(struct sb_store *store, const char *collection, const struct sb_text_search *search,
                                 struct sb_search_results *results, struct sb_error *error);

/* ---- pg_ranked.c: what a search has found ---- */

struct sb_pg_ranking {
    size_t top_k;
    double min_score;
    bool (*keep)(void *context, const struct sb_sentence *sentence); /* NULL: all */
    void *keep_context;
    struct sb_match *matches; /* [count]; the strings of each are an allocation of their own */
    size_t count, capacity;
    size_t *ends; /* [queries] */
    size_t queries;
};
/* Takes the next query's matches from a statement whose rows are id, text, metadata, score, best first; as many rows as it
   takes. *complete: top_k were found, or no further row could be one. */
SB_MUST_CHECK enum sb_status sb_pg_rank(struct sb_pg *pg, struct sb_pg_ranking *ranking, const char *sql,
                                        const struct sb_pg_values *values, bool *complete, struct sb_error *error);
/* Forgets the matches of the last query. */
void sb_pg_ranking_drop_last(struct sb_pg_ranking *ranking);
/* False: no memory. */
bool sb_pg_ranking_finish(struct sb_pg_ranking *ranking, struct sb_search_results *results);
void sb_pg_ranking_free(struct sb_pg_ranking *ranking);

/* ---- pg_index.c: makes the indexes of vectors, in the background ---- */

SB_MUST_CHECK bool sb_pg_indexer_start(struct sb_postgres *store);
void sb_pg_indexer_wake(struct sb_postgres *store);
void sb_pg_indexer_stop(struct sb_postgres *store);

#endif
