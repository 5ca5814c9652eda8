/*
 * Second names of collections. On disk first, then in memory, as all changes.
 */
#include "retrieval/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of a name in the sorted array, and whether it is there. */
static bool find_alias(const struct sb_store *store, const char *name, size_t *place)
{
    size_t low = 0, high = store->alias_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(store->aliases[middle].name, name);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

const char *sb_alias_target(const struct sb_store *store, const char *alias)
{
    size_t place;
    return find_alias(store, alias, &place) ? store->aliases[place].collection : NULL;
}

static void remove_at(struct sb_store *store, size_t place)
{
    memmove(store->aliases + place, store->aliases + place + 1,
            (store->alias_count - place - 1) * sizeof *store->aliases);
    store->alias_count--;
}

void sb_aliases_forget(struct sb_store *store, const char *collection)
{
    for (size_t i = store->alias_count; i-- > 0;)
        if (strcmp(store->aliases[i].collection, collection) == 0)
            remove_at(store, i);
}

/* Room for one more, so that showing it can not fail. */
static bool reserve(struct sb_store *store)
{
    pthread_rwlock_wrlock(&store->list);
    struct sb_alias *grown = realloc(store->aliases, (store->alias_count + 1) * sizeof *grown);
    if (grown)
        store->aliases = grown;
    pthread_rwlock_unlock(&store->list);
    return grown != NULL;
}

static void show(struct sb_store *store, const char *alias, const char *collection)
{
    size_t place;
    pthread_rwlock_wrlock(&store->list);
    if (!find_alias(store, alias, &place)) {
        memmove(store->aliases + place + 1, store->aliases + place,
                (store->alias_count - place) * sizeof *store->aliases);
        store->alias_count++;
        snprintf(store->aliases[place].name, sizeof store->aliases[place].name, "%s", alias);
    }
    snprintf(store->aliases[place].collection, sizeof store->aliases[place].collection, "%s", collection);
    pthread_rwlock_unlock(&store->list);
}

/* Runs a statement whose parameters are the alias's name and, if the statement has a second one, the collection. */
static enum sb_status write_alias(struct sb_store *store, const char *sql, const char *alias, int64_t collection,
                                  struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, alias, -1, SQLITE_STATIC);
        if (sqlite3_bind_parameter_count(statement) > 1)
            sqlite3_bind_int64(statement, 2, collection);
        code = sqlite3_step(statement);
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(store, code, "changing an alias", error);
    sqlite3_finalize(statement);
    return status;
}

static enum sb_status set(struct sb_store *store, const char *alias, const char *collection, struct sb_error *error)
{
    struct sb_collection *c = sb_collection_find(store, collection, error), *taken;
    if (!c)
        return SB_NOT_FOUND;
    taken = sb_collection_find(store, alias, NULL);
    if (taken && strcmp(taken->info.name, alias) == 0)
        return sb_fail(error, SB_CONFLICT, "'%s' is a collection and can not be an alias too", alias);
    if (!reserve(store))
        return sb_store_no_memory(store, error);
    enum sb_status status = write_alias(store,
                                        "INSERT INTO aliases (name, collection) VALUES (?, ?)"
                                        " ON CONFLICT (name) DO UPDATE SET collection = excluded.collection",
                                        alias, c->key, error);
    if (status == SB_OK)
        show(store, alias, c->info.name);
    return status;
}

enum sb_status sb_sqlite_alias_set(struct sb_store *store, const char *alias, const char *collection,
                                   struct sb_error *error)
{
    enum sb_status status = sb_collection_name_check(alias, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "alias");
    pthread_mutex_lock(&store->writer);
    status = set(store, alias, collection, error);
    pthread_mutex_unlock(&store->writer);
    return status;
}

enum sb_status sb_sqlite_alias_delete(struct sb_store *store, const char *alias, struct sb_error *error)
{
    size_t place;
    pthread_mutex_lock(&store->writer);
    enum sb_status status = SB_OK;
    if (!find_alias(store, alias, &place))
        status = sb_fail(error, SB_NOT_FOUND, "alias '%.64s' does not exist", alias);
    if (status == SB_OK)
        status = write_alias(store, "DELETE FROM aliases WHERE name = ?", alias, 0, error);
    if (status == SB_OK) {
        pthread_rwlock_wrlock(&store->list);
        remove_at(store, place);
        pthread_rwlock_unlock(&store->list);
    }
    pthread_mutex_unlock(&store->writer);
    return status;
}

enum sb_status sb_sqlite_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                    struct sb_error *error)
{
    pthread_rwlock_rdlock(&store->list);
    *count = store->alias_count;
    *aliases = malloc((store->alias_count + 1) * sizeof **aliases);
    if (*aliases && store->alias_count)
        memcpy(*aliases, store->aliases, store->alias_count * sizeof **aliases);
    pthread_rwlock_unlock(&store->list);
    return *aliases ? SB_OK : sb_store_no_memory(store, error);
}

static enum sb_status load_alias(struct sb_store *store, sqlite3_stmt *statement, struct sb_error *error)
{
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *collection = (const char *)sqlite3_column_text(statement, 1);
    struct sb_collection *c = collection ? sb_collection_find(store, collection, NULL) : NULL;
    struct sb_collection *taken = name ? sb_collection_find(store, name, NULL) : NULL;
    if (!name || !c || taken || sb_collection_name_check(name, NULL) != SB_OK)
        return sb_fail(error, SB_CORRUPT, "%s: alias '%.64s' has an impossible name or collection", store->path,
                       name ? name : "");
    if (!reserve(store))
        return sb_store_no_memory(store, error);
    show(store, name, c->info.name);
    return SB_OK;
}

enum sb_status sb_aliases_load(struct sb_store *store, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sb_status status = SB_OK;
    int code = sqlite3_prepare_v2(
        store->db,
        "SELECT aliases.name, collections.name FROM aliases LEFT JOIN collections ON collections.id = collection", -1,
        &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    while (code == SQLITE_ROW && status == SB_OK) {
        status = load_alias(store, statement, error);
        if (status == SB_OK)
            code = sqlite3_step(statement);
    }
    if (status == SB_OK && code != SQLITE_DONE)
        status = sb_sqlite_fail(store, code, "reading the aliases", error);
    sqlite3_finalize(statement);
    return status;
}
