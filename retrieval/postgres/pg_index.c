/*
 * The indexes of vectors. Each process looks now and then which collections are large enough and have none; a lock of
 * the database sees to it that one process makes an index. It is made beside what goes on (CONCURRENTLY), and once it is
 * valid every process finds it.
 */
#include "base/log.h"
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOOK_EVERY = 60, AFTER_FAILURE = 10, INDEXED_DIMENSIONS_MAX = 2000 /* of pgvector */ };

/* The largest that needs one; false if there is none, or the database could not be asked. */
static bool find_work(struct sb_pg *pg, int64_t *key, char name[SB_COLLECTION_NAME_MAX + 1], struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    size_t from = atomic_load(&pg->store->approximate_from);
    sb_pg_number(&values, from < INT64_MAX ? (int64_t)from : INT64_MAX);
    sb_pg_number(&values, INDEXED_DIMENSIONS_MAX);
    if (sb_pg_query(pg,
                    "SELECT key, name FROM simbert.collections c"
                    " WHERE search = 'auto' AND sentences >= $1::bigint AND dimensions <= $2::bigint"
                    " AND NOT EXISTS (SELECT FROM pg_index WHERE indisvalid"
                    "                 AND indexrelid = to_regclass('simbert.sentences_' || c.key || '_vectors'))"
                    " ORDER BY sentences DESC LIMIT 1",
                    &values, "looking for collections without an index", &result, error) != SB_OK)
        return false;
    bool found = PQntuples(result) == 1;
    if (found) {
        *key = sb_pg_get_int(result, 0, 0);
        snprintf(name, SB_COLLECTION_NAME_MAX + 1, "%s", PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return found;
}

/* Whether this process is the one that makes indexes, until its connection ends. */
static bool is_chosen(struct sb_pg *pg, struct sb_error *error)
{
    PGresult *result;
    if (sb_pg_query(pg, "SELECT pg_try_advisory_lock(1936289122, 2)", NULL, "taking turns", &result, error) != SB_OK)
        return false;
    bool chosen = sb_pg_get_bool(result, 0, 0);
    PQclear(result);
    return chosen;
}

static enum sb_status make_index(struct sb_pg *pg, int64_t key, struct sb_error *error)
{
    char drop[96], create[160];
    long long k = (long long)key;
    /* what an attempt that failed has left */
    snprintf(drop, sizeof drop, "DROP INDEX IF EXISTS simbert.sentences_%lld_vectors", k);
    snprintf(create, sizeof create,
             "CREATE INDEX CONCURRENTLY sentences_%lld_vectors ON simbert.sentences_%lld"
             " USING hnsw (vector vector_ip_ops)",
             k, k);
    enum sb_status status = sb_pg_query(pg, drop, NULL, "making an index", NULL, error);
    return status == SB_OK ? sb_pg_query(pg, create, NULL, "making an index", NULL, error) : status;
}

static bool is_stopping(struct sb_postgres *store)
{
    pthread_mutex_lock(&store->lock);
    bool stopping = store->stopping;
    pthread_mutex_unlock(&store->lock);
    return stopping;
}

/* Makes all that are missing. */
static enum sb_status make_indexes(struct sb_pg *pg, struct sb_error *error)
{
    int64_t key;
    char name[SB_COLLECTION_NAME_MAX + 1];
    error->status = SB_OK;
    enum sb_status status = sb_pg_query(
        pg, "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)", NULL,
        "preparing a connection", NULL, error);
    while (status == SB_OK && !is_stopping(pg->store) && is_chosen(pg, error) && find_work(pg, &key, name, error)) {
        sb_log(SB_LOG_INFO, "search", "%s: making the index of its vectors", name);
        status = make_index(pg, key, error);
        if (status == SB_OK)
            sb_log(SB_LOG_INFO, "search", "%s: searches are approximate now", name);
    }
    return status == SB_OK ? error->status : status;
}

/* Waits so many seconds, or until there may be work; at least one second, in which writers may wake it often. Under the
   lock. False: it is to end. */
static bool wait_for_work(struct sb_postgres *store, int seconds)
{
    struct timespec soon, late;
    clock_gettime(CLOCK_REALTIME, &soon);
    late = soon;
    soon.tv_sec += 1;
    late.tv_sec += seconds;
    for (int code = 0; !store->stopping && code == 0;)
        code = pthread_cond_timedwait(&store->wake, &store->lock, &soon);
    for (int code = 0; !store->stopping && !store->is_woken && code == 0;)
        code = pthread_cond_timedwait(&store->wake, &store->lock, &late);
    store->is_woken = false;
    return !store->stopping;
}

/* What ends a statement that runs, from another thread. */
static void set_cancel(struct sb_postgres *store, PGcancel *cancel)
{
    pthread_mutex_lock(&store->lock);
    PGcancel *old = store->cancel;
    store->cancel = cancel;
    pthread_mutex_unlock(&store->lock);
    PQfreeCancel(old);
}

static void *run(void *argument)
{
    struct sb_postgres *store = argument;
    int pause = LOOK_EVERY;
    pthread_mutex_lock(&store->lock);
    while (wait_for_work(store, pause)) {
        bool is_migrated = store->is_migrated;
        pthread_mutex_unlock(&store->lock);
        struct sb_error error = {0};
        struct sb_pg pg = {.store = store, .connection = is_migrated ? sb_pg_connect(store, &error) : NULL};
        if (pg.connection)
            set_cancel(store, PQgetCancel(pg.connection));
        enum sb_status status = pg.connection ? make_indexes(&pg, &error) : error.status;
        set_cancel(store, NULL);
        if (status != SB_OK && !is_stopping(store))
            sb_log(SB_LOG_WARN, "search", "an index of vectors could not be made: %s", error.message);
        PQfinish(pg.connection);
        pause = status == SB_OK ? LOOK_EVERY : AFTER_FAILURE;
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

bool sb_pg_indexer_start(struct sb_postgres *store)
{
    store->has_indexer = pthread_create(&store->indexer, NULL, run, store) == 0;
    return store->has_indexer;
}

void sb_pg_indexer_wake(struct sb_postgres *store)
{
    pthread_mutex_lock(&store->lock);
    store->is_woken = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

void sb_pg_indexer_stop(struct sb_postgres *store)
{
    char words[256];
    if (!store->has_indexer)
        return;
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    if (store->cancel)
        (void)!PQcancel(store->cancel, words, sizeof words);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->indexer, NULL);
}
