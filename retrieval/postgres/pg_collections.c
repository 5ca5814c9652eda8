/* Collections: a row in a table of them, and a table of its own for the sentences of each. */
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Rows of sentences lie in the table itself, a vector with them, as far as a page takes it: an exact search reads them
   all. */
enum { PLAIN_VECTOR_MAX = 4000 };

/* ---- finding ---- */

#define COLUMNS                                                                                                        \
    "SELECT c.key, c.name, c.model_name, c.model_hash, c.dimensions, c.search, c.created_at, c.sentences,"             \
    " EXISTS (SELECT FROM pg_index WHERE indisvalid"                                                                   \
    "         AND indexrelid = to_regclass('simbert.sentences_' || c.key || '_vectors'))"                              \
    " FROM simbert.collections c "

static void copy_text(char *to, size_t size, const PGresult *result, int row, int column)
{
    snprintf(to, size, "%s", PQgetvalue(result, row, column));
}

static struct sb_pg_collection read_row(const PGresult *result, int row)
{
    struct sb_pg_collection c = {.key = sb_pg_get_int(result, row, 0)};
    struct sb_collection_info *info = &c.info;
    copy_text(info->name, sizeof info->name, result, row, 1);
    copy_text(info->model_name, sizeof info->model_name, result, row, 2);
    copy_text(info->model_hash, sizeof info->model_hash, result, row, 3);
    info->dimensions = (int)sb_pg_get_int(result, row, 4);
    if (!sb_search_kind_parse(PQgetvalue(result, row, 5), &info->search))
        info->search = SB_SEARCH_EXACT;
    info->created_at = sb_pg_get_int(result, row, 6);
    info->count = sb_pg_get_int(result, row, 7);
    info->is_indexed = sb_pg_get_bool(result, row, 8);
    return c;
}

enum sb_status sb_pg_find(struct sb_pg *pg, const char *name, bool to_change, struct sb_pg_collection *collection,
                          struct sb_error *error)
{
    static const char where[] =
        COLUMNS "WHERE c.name = $1 OR c.key = (SELECT collection FROM simbert.aliases WHERE name = $1)";
    static const char where_to_change[] =
        COLUMNS "WHERE c.name = $1 OR c.key = (SELECT collection FROM simbert.aliases WHERE name = $1)"
                " FOR NO KEY UPDATE OF c";
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    sb_pg_text(&values, name);
    enum sb_status status = sb_pg_query(pg, to_change ? where_to_change : where, &values, "looking up a collection",
                                        &result, error);
    if (status != SB_OK)
        return status;
    if (PQntuples(result) == 1)
        *collection = read_row(result, 0);
    else
        status = sb_fail(error, SB_NOT_FOUND, "collection '%.64s' does not exist", name);
    PQclear(result);
    return status;
}

/* ---- creating ---- */

struct creation {
    const struct sb_collection_info *info;
    bool created;
};

static enum sb_status make_table(struct sb_pg *pg, int64_t key, int dimensions, struct sb_error *error)
{
    char table[768], terms[160], storage[160];
    long long k = (long long)key;
    snprintf(table, sizeof table,
             "CREATE TABLE simbert.sentences_%lld ("
             " sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
             " id text COLLATE \"C\" NOT NULL UNIQUE,"
             " text text NOT NULL, metadata json NOT NULL, terms bigint[] NOT NULL, vector vector(%d) NOT NULL)"
             " WITH (toast_tuple_target = 8160)",
             k, dimensions);
    snprintf(terms, sizeof terms, "CREATE INDEX sentences_%lld_terms ON simbert.sentences_%lld USING gin (terms)", k,
             k);
    snprintf(storage, sizeof storage, "ALTER TABLE simbert.sentences_%lld ALTER COLUMN vector SET STORAGE %s", k,
             sb_pg_vector_size((size_t)dimensions) <= PLAIN_VECTOR_MAX ? "PLAIN" : "EXTERNAL");
    enum sb_status status = sb_pg_query(pg, table, NULL, "making a collection's table", NULL, error);
    if (status == SB_OK)
        status = sb_pg_query(pg, storage, NULL, "making a collection's table", NULL, error);
    return status == SB_OK ? sb_pg_query(pg, terms, NULL, "making a collection's index", NULL, error) : status;
}

static enum sb_status insert_collection(struct sb_pg *pg, const struct sb_collection_info *info, int64_t *key,
                                        struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    sb_pg_text(&values, info->name);
    sb_pg_text(&values, info->model_name);
    sb_pg_text(&values, info->model_hash);
    sb_pg_number(&values, info->dimensions);
    sb_pg_text(&values, sb_search_kind_name(info->search));
    sb_pg_number(&values, (int64_t)time(NULL));
    enum sb_status status = sb_pg_query(pg,
                                        "INSERT INTO simbert.collections"
                                        " (name, model_name, model_hash, dimensions, search, created_at)"
                                        " VALUES ($1, $2, $3, $4, $5, $6) RETURNING key",
                                        &values, "creating a collection", &result, error);
    if (status == SB_OK)
        *key = sb_pg_get_int(result, 0, 0);
    if (status == SB_OK)
        PQclear(result);
    return status;
}

static enum sb_status create(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct creation *creation = context;
    const struct sb_collection_info *info = creation->info;
    struct sb_pg_collection old;
    struct sb_error missing;
    char target[SB_COLLECTION_NAME_MAX + 1];
    int64_t key;
    creation->created = false;
    enum sb_status status = sb_pg_lock_names(pg, error);
    if (status == SB_OK)
        status = sb_pg_alias_target(pg, info->name, target, error);
    if (status != SB_OK)
        return status;
    if (target[0])
        return sb_fail(error, SB_CONFLICT, "'%s' is an alias of collection '%s'", info->name, target);
    status = sb_pg_find(pg, info->name, false, &old, &missing);
    if (status == SB_OK &&
        (old.info.dimensions != info->dimensions || strcmp(old.info.model_hash, info->model_hash) != 0))
        return sb_fail(error, SB_CONFLICT, "collection '%s' exists already, with model '%s' (%.16s) and %d dimensions",
                       info->name, old.info.model_name, old.info.model_hash, old.info.dimensions);
    if (status != SB_NOT_FOUND)
        return status == SB_OK ? SB_OK : sb_fail(error, status, "%s", missing.message);
    status = insert_collection(pg, info, &key, error);
    if (status == SB_OK)
        status = make_table(pg, key, info->dimensions, error);
    creation->created = status == SB_OK;
    return status;
}

enum sb_status sb_pg_create(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                            struct sb_error *error)
{
    struct creation creation = {.info = info};
    enum sb_status status = sb_collection_info_check(info, error);
    if (status == SB_OK && info->vectors != SB_VECTORS_F32)
        status = sb_fail(error, SB_UNSUPPORTED, "collection '%s': vectors %s; over PostgreSQL only f32 are possible",
                         info->name, sb_vectors_name(info->vectors));
    if (status == SB_OK)
        status = sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, create, &creation, error);
    if (created)
        *created = status == SB_OK && creation.created;
    return status;
}

/* ---- describing ---- */

struct description {
    const char *name;
    struct sb_collection_info *info;
};

static enum sb_status describe(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct description *d = context;
    struct sb_pg_collection found;
    enum sb_status status = sb_pg_find(pg, d->name, false, &found, error);
    if (status == SB_OK)
        *d->info = found.info;
    return status;
}

enum sb_status sb_pg_describe(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                              struct sb_error *error)
{
    struct description description = {collection, info};
    return sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, describe, &description, error);
}

struct listing {
    struct sb_collection_info *infos;
    size_t count;
};

static enum sb_status list(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct listing *listing = context;
    PGresult *result;
    enum sb_status status = sb_pg_query(pg, COLUMNS "ORDER BY c.name", NULL, "listing the collections", &result, error);
    if (status != SB_OK)
        return status;
    listing->count = (size_t)PQntuples(result);
    free(listing->infos); /* of an attempt that broke off */
    listing->infos = malloc((listing->count + 1) * sizeof *listing->infos);
    for (size_t i = 0; listing->infos && i < listing->count; i++)
        listing->infos[i] = read_row(result, (int)i).info;
    PQclear(result);
    return listing->infos ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the list of collections");
}

enum sb_status sb_pg_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                          struct sb_error *error)
{
    struct listing listing = {0};
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, list, &listing, error);
    if (status != SB_OK) {
        free(listing.infos);
        return status;
    }
    *infos = listing.infos;
    *count = listing.count;
    return SB_OK;
}

/* ---- dropping ---- */

static enum sb_status drop(struct sb_pg *pg, void *context, struct sb_error *error)
{
    const char *name = context;
    char target[SB_COLLECTION_NAME_MAX + 1], sql[96];
    struct sb_pg_collection found;
    struct sb_pg_values values = {.count = 0};
    enum sb_status status = sb_pg_lock_names(pg, error);
    if (status == SB_OK)
        status = sb_pg_alias_target(pg, name, target, error);
    if (status == SB_OK && target[0])
        status = sb_fail(error, SB_CONFLICT, "'%.64s' is an alias of collection '%s': drop that by its own name",
                         name, target);
    if (status == SB_OK)
        status = sb_pg_find(pg, name, true, &found, error);
    if (status != SB_OK)
        return status;
    sb_pg_number(&values, found.key);
    snprintf(sql, sizeof sql, "DROP TABLE simbert.sentences_%lld", (long long)found.key);
    status = sb_pg_query(pg, "DELETE FROM simbert.collections WHERE key = $1", &values, "dropping a collection", NULL,
                         error);
    return status == SB_OK ? sb_pg_query(pg, sql, NULL, "dropping a collection", NULL, error) : status;
}

enum sb_status sb_pg_drop(struct sb_store *store, const char *collection, struct sb_error *error)
{
    return sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, drop, (void *)(uintptr_t)collection, error);
}
