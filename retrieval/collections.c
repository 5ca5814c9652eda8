/*
 * The list of collections: finding, holding, creating, describing and dropping them.
 */
#include "retrieval/store_impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DIMENSIONS = 16384 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored vectors are little-endian and are read as they lie");

enum sb_status sb_store_no_memory(const struct sb_store *store, struct sb_error *error)
{
    return sb_fail(error, SB_NO_MEMORY, "%s: no memory for its collections", store->path);
}

struct sb_collection *sb_collection_new(const struct sb_collection_info *info, int64_t key)
{
    struct sb_collection *c = calloc(1, sizeof *c);
    if (!c || !sb_index_init(&c->index, info->vectors, (size_t)info->dimensions)) {
        free(c);
        return NULL;
    }
    sb_ann_init(&c->ann);
    c->info = *info;
    c->key = key;
    c->ann_generation = -1;
    atomic_init(&c->dropped, false);
    atomic_init(&c->holders, 1);
    return c;
}

void sb_collection_release(struct sb_collection *collection)
{
    if (!collection || atomic_fetch_sub(&collection->holders, 1) > 1)
        return;
    sb_ann_free(&collection->ann);
    sb_index_free(&collection->index);
    free(collection);
}

/* The place of a name in the sorted array, and whether it is there. */
static bool find_place(const struct sb_store *store, const char *name, size_t *place)
{
    size_t low = 0, high = store->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(store->collections[middle]->info.name, name);
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

struct sb_collection *sb_collection_find(const struct sb_store *store, const char *name, struct sb_error *error)
{
    size_t place;
    if (find_place(store, name, &place))
        return store->collections[place];
    const char *target = sb_alias_target(store, name);
    if (target && find_place(store, target, &place))
        return store->collections[place];
    sb_fail(error, SB_NOT_FOUND, "collection '%.64s' does not exist", name);
    return NULL;
}

bool sb_collection_reserve_place(struct sb_store *store)
{
    pthread_rwlock_wrlock(&store->list);
    struct sb_collection **grown = realloc(store->collections, (store->count + 1) * sizeof *grown);
    if (grown)
        store->collections = grown;
    pthread_rwlock_unlock(&store->list);
    return grown != NULL;
}

void sb_collection_add(struct sb_store *store, struct sb_collection *collection)
{
    size_t place;
    pthread_rwlock_wrlock(&store->list);
    find_place(store, collection->info.name, &place);
    memmove(store->collections + place + 1, store->collections + place,
            (store->count - place) * sizeof *store->collections);
    store->collections[place] = collection;
    store->count++;
    pthread_rwlock_unlock(&store->list);
}

/* Finds a collection and counts the caller among its holders. */
static struct sb_collection *hold(struct sb_store *store, const char *name, struct sb_error *error)
{
    pthread_rwlock_rdlock(&store->list);
    struct sb_collection *c = sb_collection_find(store, name, error);
    if (c)
        atomic_fetch_add(&c->holders, 1);
    pthread_rwlock_unlock(&store->list);
    return c;
}

struct sb_collection **sb_collections_hold(struct sb_store *store, size_t *count)
{
    pthread_rwlock_rdlock(&store->list);
    struct sb_collection **all = malloc((store->count + 1) * sizeof *all);
    for (*count = 0; all && *count < store->count; ++*count) {
        all[*count] = store->collections[*count];
        atomic_fetch_add(&all[*count]->holders, 1);
    }
    pthread_rwlock_unlock(&store->list);
    return all;
}

void sb_collection_changed(struct sb_store *store, const struct sb_collection *c)
{
    if (c->info.search == SB_SEARCH_AUTO && c->index.live >= atomic_load(&store->approximate_from))
        sb_worker_wake(store);
}

static enum sb_status load_by_name(struct sb_store *store, const char *name, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, name, error);
    enum sb_status status = c ? sb_collection_load(store, c, error) : SB_NOT_FOUND;
    pthread_mutex_unlock(&store->writer);
    return status;
}

enum sb_status sb_collection_begin_read(struct sb_store *store, const char *name, struct sb_collection **collection,
                                        struct sb_error *error)
{
    for (;;) {
        struct sb_collection *c = hold(store, name, error);
        if (!c)
            return SB_NOT_FOUND;
        pthread_rwlock_rdlock(&c->index.lock);
        if (c->loaded) {
            *collection = c;
            return SB_OK;
        }
        sb_collection_end_read(c);
        /* By name and once more from the start: what was held may have been dropped in the meantime. */
        enum sb_status status = load_by_name(store, name, error);
        if (status != SB_OK)
            return status;
    }
}

void sb_collection_end_read(struct sb_collection *collection)
{
    pthread_rwlock_unlock(&collection->index.lock);
    sb_collection_release(collection);
}

enum sb_status sb_collection_name_check(const char *name, struct sb_error *error)
{
    size_t length = strnlen(name, SB_COLLECTION_NAME_MAX + 1);
    bool good = length > 0 && length <= SB_COLLECTION_NAME_MAX && name[0] != '.';
    for (size_t i = 0; good && i < length; i++)
        good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
               (name[i] >= '0' && name[i] <= '9') || strchr("_-.", name[i]);
    return good ? SB_OK
                : sb_fail(error, SB_INVALID,
                          "collection name '%.64s': 1 to %d letters, digits, '_', '-' and '.', not starting with '.'",
                          name, SB_COLLECTION_NAME_MAX);
}

enum sb_status sb_collection_info_check(const struct sb_collection_info *info, struct sb_error *error)
{
    enum sb_status status = sb_collection_name_check(info->name, error);
    if (status != SB_OK)
        return status;
    if (info->dimensions < 1 || info->dimensions > MAX_DIMENSIONS)
        return sb_fail(error, SB_INVALID, "collection '%s': %d dimensions; 1 to %d are allowed", info->name,
                       info->dimensions, MAX_DIMENSIONS);
    if ((unsigned)info->vectors >= SB_VECTORS_FORMS || (unsigned)info->search >= SB_SEARCH_KINDS)
        return sb_fail(error, SB_INVALID, "collection '%s': unknown form of vectors or kind of search", info->name);
    return SB_OK;
}

static enum sb_status insert_collection(struct sb_store *store, const struct sb_collection_info *info,
                                        struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        store->db,
        "INSERT INTO collections (name, model_name, model_hash, dimensions, created_at, vectors, search)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, info->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, info->model_name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, info->model_hash, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 4, info->dimensions);
        sqlite3_bind_int64(statement, 5, info->created_at);
        sqlite3_bind_text(statement, 6, sb_vectors_name(info->vectors), -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 7, sb_search_kind_name(info->search), -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(store, code, "creating a collection", error);
    sqlite3_finalize(statement);
    return status;
}

/* On disk first, then in memory; under `writer`. */
static enum sb_status create_new(struct sb_store *store, const struct sb_collection_info *wanted,
                                 struct sb_error *error)
{
    struct sb_collection_info info = *wanted;
    info.created_at = (int64_t)time(NULL);
    info.count = 0;
    struct sb_collection *collection = sb_collection_new(&info, 0);
    bool room = collection && sb_collection_reserve_place(store);
    enum sb_status status = room ? insert_collection(store, &info, error) : sb_store_no_memory(store, error);
    if (status != SB_OK) {
        sb_collection_release(collection);
        return status;
    }
    collection->key = sqlite3_last_insert_rowid(store->db);
    collection->loaded = true;
    collection->reembedding.is_clean = true;
    sb_collection_add(store, collection);
    return SB_OK;
}

enum sb_status sb_sqlite_create(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                                struct sb_error *error)
{
    enum sb_status status = sb_collection_info_check(info, error);
    if (status != SB_OK)
        return status;
    pthread_mutex_lock(&store->writer);
    size_t place;
    bool exists = find_place(store, info->name, &place); /* only writers change the list */
    const char *target = sb_alias_target(store, info->name);
    if (target) {
        status = sb_fail(error, SB_CONFLICT, "'%s' is an alias of collection '%s'", info->name, target);
    } else if (!exists) {
        status = create_new(store, info, error);
    } else {
        const struct sb_collection_info *old = &store->collections[place]->info;
        if (old->dimensions != info->dimensions || strcmp(old->model_hash, info->model_hash) != 0)
            status =
                sb_fail(error, SB_CONFLICT, "collection '%s' exists already, with model '%s' (%.16s) and %d dimensions",
                        info->name, old->model_name, old->model_hash, old->dimensions);
    }
    if (created)
        *created = status == SB_OK && !exists;
    pthread_mutex_unlock(&store->writer);
    return status;
}

/* Under `list`. */
static struct sb_collection_info describe(struct sb_collection *collection)
{
    pthread_rwlock_rdlock(&collection->index.lock);
    struct sb_collection_info info = collection->info;
    if (collection->loaded) {
        info.count = (int64_t)collection->index.live;
        pthread_rwlock_rdlock(&collection->ann.lock);
        info.is_indexed = collection->ann.ready;
        pthread_rwlock_unlock(&collection->ann.lock);
    }
    pthread_rwlock_unlock(&collection->index.lock);
    return info;
}

enum sb_status sb_sqlite_describe(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                                  struct sb_error *error)
{
    struct sb_collection *c = hold(store, collection, error);
    if (!c)
        return SB_NOT_FOUND;
    *info = describe(c);
    sb_collection_release(c);
    return SB_OK;
}

enum sb_status sb_sqlite_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                              struct sb_error *error)
{
    pthread_rwlock_rdlock(&store->list);
    *count = store->count;
    *infos = malloc((store->count + 1) * sizeof **infos);
    for (size_t i = 0; *infos && i < store->count; i++)
        (*infos)[i] = describe(store->collections[i]);
    pthread_rwlock_unlock(&store->list);
    return *infos ? SB_OK : sb_store_no_memory(store, error);
}

static enum sb_status delete_collection(struct sb_store *store, int64_t key, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "DELETE FROM collections WHERE id = ?", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, key);
        code = sqlite3_step(statement);
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(store, code, "dropping a collection", error);
    sqlite3_finalize(statement);
    return status;
}

/* Takes a collection, and its aliases, from the lists. Under `writer`. */
static void forget(struct sb_store *store, struct sb_collection *c)
{
    size_t place;
    pthread_rwlock_wrlock(&store->list);
    find_place(store, c->info.name, &place);
    memmove(store->collections + place, store->collections + place + 1,
            (store->count - place - 1) * sizeof *store->collections);
    store->count--;
    sb_aliases_forget(store, c->info.name);
    pthread_rwlock_unlock(&store->list);
    sb_collection_release(c);
}

enum sb_status sb_sqlite_drop(struct sb_store *store, const char *collection, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? SB_OK : SB_NOT_FOUND;
    if (c && strcmp(c->info.name, collection) != 0)
        status = sb_fail(error, SB_CONFLICT, "'%s' is an alias of collection '%s': drop that by its own name",
                         collection, c->info.name);
    if (status == SB_OK)
        status = delete_collection(store, c->key, error);
    if (status == SB_OK) {
        atomic_store(&c->dropped, true);
        sb_ann_file_remove(store, c);
        forget(store, c);
    }
    pthread_mutex_unlock(&store->writer);
    return status;
}
