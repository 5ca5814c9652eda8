/* Opening and closing the store over PostgreSQL, and the table of its calls. */
#include "retrieval/postgres.h"

#include "base/log.h"
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sb_status no_reembedding(struct sb_error *error)
{
    return sb_fail(error, SB_UNSUPPORTED,
                   "over PostgreSQL a collection can not change to another model; import it into a new one, and let an "
                   "alias name that");
}

static enum sb_status reembed_begin(struct sb_store *store, const char *collection, const char *model_name,
                                    const char *model_hash, int dimensions, struct sb_error *error)
{
    (void)store, (void)collection, (void)model_name, (void)model_hash, (void)dimensions;
    return no_reembedding(error);
}

/* Of a change that there can not be: nothing runs. */
static enum sb_status reembed_cancel(struct sb_store *store, const char *collection, struct sb_error *error)
{
    struct sb_collection_info info;
    return sb_pg_describe(store, collection, &info, error);
}

static enum sb_status reembed_progress(struct sb_store *store, const char *collection,
                                       struct sb_reembed_progress *progress, struct sb_error *error)
{
    struct sb_collection_info info = {.count = 0};
    enum sb_status status = sb_pg_describe(store, collection, &info, error);
    *progress = (struct sb_reembed_progress){.state = SB_REEMBED_NONE, .total = info.count};
    return status;
}

static enum sb_status reembed_step(struct sb_store *store, const char *collection, size_t most, sb_embed_texts embed,
                                   void *context, enum sb_reembed_state *state, struct sb_error *error)
{
    struct sb_collection_info info;
    (void)most, (void)embed, (void)context;
    *state = SB_REEMBED_NONE;
    return sb_pg_describe(store, collection, &info, error);
}

static void set_approximate_from(struct sb_store *store, size_t sentences)
{
    struct sb_postgres *p = sb_postgres_of(store);
    atomic_store(&p->approximate_from, sentences);
    sb_pg_indexer_wake(p);
}

/* Recall is not sampled: an exact search here is the database's work, which others wait for. */
static void search_stats(struct sb_store *store, struct sb_search_stats *stats)
{
    struct sb_postgres *p = sb_postgres_of(store);
    *stats = (struct sb_search_stats){.exact = atomic_load(&p->exact), .approximate = atomic_load(&p->approximate)};
}

static void close_store(struct sb_store *store)
{
    struct sb_postgres *p = sb_postgres_of(store);
    sb_pg_indexer_stop(p);
    for (int i = 0; i < p->idle_count; i++)
        PQfinish(p->idle[i]);
    pthread_cond_destroy(&p->freed);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->url);
    free(p->name);
    free(p);
}

static const struct sb_store_engine engine = {
    .close = close_store,
    .create = sb_pg_create,
    .describe = sb_pg_describe,
    .list = sb_pg_list,
    .drop = sb_pg_drop,
    .alias_set = sb_pg_alias_set,
    .alias_delete = sb_pg_alias_delete,
    .alias_list = sb_pg_alias_list,
    .upsert = sb_pg_upsert,
    .get = sb_pg_get,
    .scroll = sb_pg_scroll,
    .visit = sb_pg_visit,
    .remove = sb_pg_delete,
    .search = sb_pg_search,
    .search_text = sb_pg_search_text,
    .set_approximate_from = set_approximate_from,
    .search_stats = search_stats,
    .reembed_begin = reembed_begin,
    .reembed_cancel = reembed_cancel,
    .reembed_progress = reembed_progress,
    .reembed_step = reembed_step,
};

/* What errors call it: "PostgreSQL HOST:PORT/NAME", without user and password. NULL: libpq can not read the URL. */
static char *name_of(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    const char *host = "", *port = "5432", *database = "";
    char *name = NULL;
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "host") == 0)
            host = o->val;
        else if (o->val && strcmp(o->keyword, "port") == 0)
            port = o->val;
        else if (o->val && strcmp(o->keyword, "dbname") == 0)
            database = o->val;
    }
    if (options && asprintf(&name, "PostgreSQL %s:%s/%s", host, port, database) < 0)
        name = NULL;
    PQconninfoFree(options);
    return name;
}

static struct sb_postgres *new_store(const char *url, char *name)
{
    struct sb_postgres *p = calloc(1, sizeof *p);
    char *copy = strdup(url);
    if (!p || !copy) {
        free(p);
        free(copy);
        free(name);
        return NULL;
    }
    p->base.engine = &engine;
    p->url = copy;
    p->name = name;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->freed, NULL);
    pthread_cond_init(&p->wake, NULL);
    atomic_init(&p->approximate_from, SB_APPROXIMATE_FROM);
    return p;
}

static enum sb_status nothing(struct sb_pg *pg, void *context, struct sb_error *error)
{
    (void)pg, (void)context, (void)error;
    return SB_OK;
}

enum sb_status sb_postgres_open(struct sb_store **store, const char *url, struct sb_error *error)
{
    struct sb_error why;
    *store = NULL;
    char *name = name_of(url);
    if (!name) /* libpq's words may show the password */
        return sb_fail(error, SB_INVALID, "the URL of the database can not be read; a right one is "
                                          "postgresql://user@host:5432/name, with special characters as %%XX");
    struct sb_postgres *p = new_store(url, name);
    if (!p)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open the database");
    enum sb_status status = sb_pg_transaction(p, SB_PG_READ, nothing, NULL, &why);
    if (status == SB_UNAVAILABLE) {
        sb_log(SB_LOG_WARN, "search", "%s; collections answer once it does", why.message);
        status = SB_OK;
    }
    if (status == SB_OK && !sb_pg_indexer_start(p))
        status = sb_fail(&why, SB_NO_MEMORY, "no thread for indexes");
    if (status != SB_OK) {
        close_store((struct sb_store *)(void *)p);
        return sb_fail(error, status, "%s", why.message);
    }
    *store = (struct sb_store *)(void *)p;
    return SB_OK;
}
