/* Second names of collections. */
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum sb_status sb_pg_lock_names(struct sb_pg *pg, struct sb_error *error)
{
    return sb_pg_query(pg, "SELECT pg_advisory_xact_lock(1936289122, 1)", NULL, "waiting for the list of collections",
                       NULL, error);
}

enum sb_status sb_pg_alias_target(struct sb_pg *pg, const char *alias, char target[SB_COLLECTION_NAME_MAX + 1],
                                  struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    sb_pg_text(&values, alias);
    enum sb_status status = sb_pg_query(pg,
                                        "SELECT c.name FROM simbert.aliases a"
                                        " JOIN simbert.collections c ON c.key = a.collection WHERE a.name = $1",
                                        &values, "looking up an alias", &result, error);
    if (status != SB_OK)
        return status;
    snprintf(target, SB_COLLECTION_NAME_MAX + 1, "%s", PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return SB_OK;
}

static enum sb_status set(struct sb_pg *pg, void *context, struct sb_error *error)
{
    const struct sb_alias *wanted = context;
    struct sb_pg_collection found, taken;
    struct sb_error missing;
    struct sb_pg_values values = {.count = 0};
    enum sb_status status = sb_pg_lock_names(pg, error);
    if (status == SB_OK)
        status = sb_pg_find(pg, wanted->collection, false, &found, error);
    if (status != SB_OK)
        return status;
    status = sb_pg_find(pg, wanted->name, false, &taken, &missing);
    if (status == SB_OK && strcmp(taken.info.name, wanted->name) == 0)
        return sb_fail(error, SB_CONFLICT, "'%s' is a collection and can not be an alias too", wanted->name);
    if (status != SB_OK && status != SB_NOT_FOUND)
        return sb_fail(error, status, "%s", missing.message);
    sb_pg_text(&values, wanted->name);
    sb_pg_number(&values, found.key);
    return sb_pg_query(pg,
                       "INSERT INTO simbert.aliases (name, collection) VALUES ($1, $2)"
                       " ON CONFLICT (name) DO UPDATE SET collection = excluded.collection",
                       &values, "changing an alias", NULL, error);
}

enum sb_status sb_pg_alias_set(struct sb_store *store, const char *alias, const char *collection,
                               struct sb_error *error)
{
    struct sb_alias wanted;
    enum sb_status status = sb_collection_name_check(alias, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "alias");
    if (strlen(collection) > SB_COLLECTION_NAME_MAX)
        return sb_fail(error, SB_NOT_FOUND, "collection '%.64s' does not exist", collection);
    snprintf(wanted.name, sizeof wanted.name, "%s", alias);
    snprintf(wanted.collection, sizeof wanted.collection, "%s", collection);
    return sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, set, &wanted, error);
}

static enum sb_status delete(struct sb_pg *pg, void *context, struct sb_error *error)
{
    const char *alias = context;
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    sb_pg_text(&values, alias);
    enum sb_status status = sb_pg_query(pg, "DELETE FROM simbert.aliases WHERE name = $1 RETURNING 1", &values,
                                        "deleting an alias", &result, error);
    if (status != SB_OK)
        return status;
    if (PQntuples(result) == 0)
        status = sb_fail(error, SB_NOT_FOUND, "alias '%.64s' does not exist", alias);
    PQclear(result);
    return status;
}

enum sb_status sb_pg_alias_delete(struct sb_store *store, const char *alias, struct sb_error *error)
{
    return sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, delete, (void *)(uintptr_t)alias, error);
}

struct listing {
    struct sb_alias *aliases;
    size_t count;
};

static enum sb_status list(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct listing *listing = context;
    PGresult *result;
    enum sb_status status = sb_pg_query(pg,
                                        "SELECT a.name, c.name FROM simbert.aliases a"
                                        " JOIN simbert.collections c ON c.key = a.collection ORDER BY a.name",
                                        NULL, "listing the aliases", &result, error);
    if (status != SB_OK)
        return status;
    listing->count = (size_t)PQntuples(result);
    free(listing->aliases); /* of an attempt that broke off */
    listing->aliases = calloc(listing->count + 1, sizeof *listing->aliases);
    for (size_t i = 0; listing->aliases && i < listing->count; i++) {
        struct sb_alias *alias = &listing->aliases[i];
        snprintf(alias->name, sizeof alias->name, "%s", PQgetvalue(result, (int)i, 0));
        snprintf(alias->collection, sizeof alias->collection, "%s", PQgetvalue(result, (int)i, 1));
    }
    PQclear(result);
    return listing->aliases ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the list of aliases");
}

enum sb_status sb_pg_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                struct sb_error *error)
{
    struct listing listing = {0};
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, list, &listing, error);
    if (status != SB_OK) {
        free(listing.aliases);
        return status;
    }
    *aliases = listing.aliases;
    *count = listing.count;
    return SB_OK;
}
