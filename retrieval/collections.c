/*
 * Opening and closing the store; creating, describing and dropping collections.
 */
#include "base/utf8.h"
#include "kernels/kernels.h"
#include "retrieval/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DIMENSIONS = 16384 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored vectors are little-endian and are read as they lie");

void sb_collection_free(struct sb_collection *collection)
{
    if (!collection)
        return;
    sb_index_free(&collection->index);
    free(collection);
}

static struct sb_collection *collection_new(const struct sb_collection_info *info, int64_t key)
{
    struct sb_collection *c = calloc(1, sizeof *c);
    if (!c || !sb_index_init(&c->index, (size_t)info->dimensions)) {
        free(c);
        return NULL;
    }
    c->info = *info;
    c->key = key;
    return c;
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
    sb_fail(error, SB_NOT_FOUND, "collection '%.64s' does not exist", name);
    return NULL;
}

/* Makes room for one more, so that adding it can not fail. Under `list`, writing. */
static bool reserve_place(struct sb_store *store)
{
    struct sb_collection **grown = realloc(store->collections, (store->count + 1) * sizeof *grown);
    if (grown)
        store->collections = grown;
    return grown != NULL;
}

/* Takes the collection. Under `list`, writing, after reserve_place. */
static void add_collection(struct sb_store *store, struct sb_collection *collection)
{
    size_t place;
    find_place(store, collection->info.name, &place);
    memmove(store->collections + place + 1, store->collections + place,
            (store->count - place) * sizeof *store->collections);
    store->collections[place] = collection;
    store->count++;
}

static enum sb_status no_memory(const struct sb_store *store, struct sb_error *error)
{
    return sb_fail(error, SB_NO_MEMORY, "%s: no memory for its collections", store->path);
}

/* Copies a text column into a field; false when it does not fit. */
static bool copy_column(char *field, size_t size, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    int written = snprintf(field, size, "%s", text ? text : "");
    return written >= 0 && (size_t)written < size;
}

static enum sb_status load_collection_row(struct sb_store *store, sqlite3_stmt *statement, struct sb_error *error)
{
    struct sb_collection_info info = {.dimensions = sqlite3_column_int(statement, 4),
                                      .created_at = sqlite3_column_int64(statement, 5)};
    if (!copy_column(info.name, sizeof info.name, statement, 1) ||
        !copy_column(info.model_name, sizeof info.model_name, statement, 2) ||
        !copy_column(info.model_hash, sizeof info.model_hash, statement, 3) || info.dimensions < 1 ||
        info.dimensions > MAX_DIMENSIONS)
        return sb_fail(error, SB_CORRUPT, "%s: collection '%.64s' has impossible properties", store->path, info.name);
    struct sb_collection *collection = collection_new(&info, sqlite3_column_int64(statement, 0));
    if (!collection || !reserve_place(store)) {
        sb_collection_free(collection);
        return no_memory(store, error);
    }
    add_collection(store, collection);
    return SB_OK;
}

static enum sb_status load_sentence_row(struct sb_store *store, struct sb_collection *c, sqlite3_stmt *statement,
                                        struct sb_error *error)
{
    struct sb_sentence sentence = {.id = (const char *)sqlite3_column_text(statement, 1),
                                   .text = (const char *)sqlite3_column_text(statement, 2),
                                   .text_size = (size_t)sqlite3_column_bytes(statement, 2),
                                   .metadata = (const char *)sqlite3_column_text(statement, 3)};
    const void *vector = sqlite3_column_blob(statement, 4);
    size_t bytes = (size_t)sqlite3_column_bytes(statement, 4), expected = c->index.dimensions * sizeof(float);
    if (!sentence.id || !sentence.text || !vector || bytes != expected)
        return sb_fail(error, SB_CORRUPT, "%s: sentence %lld of collection '%s' has a vector of %zu bytes, not %zu",
                       store->path, (long long)sqlite3_column_int64(statement, 0), c->info.name, bytes, expected);
    struct sb_item *item = sb_item_new(&sentence);
    if (!item || !sb_index_reserve(&c->index, 1)) {
        free(item);
        return no_memory(store, error);
    }
    sb_index_put(&c->index, item, vector);
    const float *stored = c->index.matrix + (c->index.rows - 1) * c->index.dimensions; /* aligned, unlike the column */
    for (size_t i = 0; i < c->index.dimensions; i++)
        if (!isfinite(stored[i]))
            return sb_fail(error, SB_CORRUPT,
                           "%s: sentence %lld of collection '%s': element %zu of its vector is not finite", store->path,
                           (long long)sqlite3_column_int64(statement, 0), c->info.name, i);
    return SB_OK;
}

/* Calls row() for each row of a query. */
static enum sb_status each_row(struct sb_store *store, const char *sql, int64_t key, struct sb_collection *collection,
                               struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sb_status status = SB_OK;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && collection)
        code = sqlite3_bind_int64(statement, 1, key);
    while (code == SQLITE_OK && status == SB_OK) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        status = collection ? load_sentence_row(store, collection, statement, error)
                            : load_collection_row(store, statement, error);
        code = SQLITE_OK;
    }
    if (status == SB_OK && code != SQLITE_DONE)
        status = sb_sqlite_fail(store, code, "reading the collections", error);
    sqlite3_finalize(statement);
    return status;
}

enum sb_status sb_collections_load(struct sb_store *store, struct sb_error *error)
{
    enum sb_status status = each_row(
        store, "SELECT id, name, model_name, model_hash, dimensions, created_at FROM collections", 0, NULL, error);
    for (size_t i = 0; status == SB_OK && i < store->count; i++)
        status = each_row(
            store, "SELECT sequence, id, text, metadata, vector FROM sentences WHERE collection = ? ORDER BY sequence",
            store->collections[i]->key, store->collections[i], error);
    return status;
}

/* One process a database: the lock is gone with the process, however it ends. */
static enum sb_status take_lock(struct sb_store *store, struct sb_error *error)
{
    char *path = NULL;
    if (asprintf(&path, "%s.lock", store->path) < 0)
        return no_memory(store, error);
    enum sb_status status = SB_OK;
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock_file < 0)
        status = sb_fail(error, SB_IO, "%s: %s", path, strerror(errno));
    else if (flock(store->lock_file, LOCK_EX | LOCK_NB) != 0)
        status = errno == EWOULDBLOCK
                     ? sb_fail(error, SB_CONFLICT, "%s: another simbert process has this database open", store->path)
                     : sb_fail(error, SB_IO, "%s: %s", path, strerror(errno));
    free(path);
    return status;
}

enum sb_status sb_store_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                             struct sb_error *error)
{
    *store = NULL;
    struct sb_store *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the database", path);
    }
    pthread_mutex_init(&s->writer, NULL);
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->list, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    s->lock_file = -1;
    enum sb_status status = SB_OK;
    s->kernels = kernels ? kernels : sb_kernels_choose(NULL, error);
    if (!s->kernels)
        status = error ? error->status : SB_INVALID;
    if (status == SB_OK)
        status = take_lock(s, error);
    if (status == SB_OK)
        status = sb_schema_open(s, error);
    if (status == SB_OK)
        status = sb_collections_load(s, error);
    if (status != SB_OK) {
        sb_store_close(s);
        return status;
    }
    *store = s;
    return SB_OK;
}

void sb_store_close(struct sb_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        sb_collection_free(store->collections[i]);
    free(store->collections);
    sqlite3_close(store->db);
    if (store->lock_file >= 0)
        close(store->lock_file);
    pthread_mutex_destroy(&store->writer);
    pthread_rwlock_destroy(&store->list);
    free(store->path);
    free(store);
}

static enum sb_status check_info(const struct sb_collection_info *info, struct sb_error *error)
{
    const char *name = info->name;
    size_t length = strnlen(name, sizeof info->name);
    bool good = length > 0 && length <= SB_COLLECTION_NAME_MAX && name[0] != '.';
    for (size_t i = 0; good && i < length; i++)
        good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
               (name[i] >= '0' && name[i] <= '9') || strchr("_-.", name[i]);
    if (!good)
        return sb_fail(error, SB_INVALID,
                       "collection name '%.64s': 1 to %d letters, digits, '_', '-' and '.', not starting with '.'",
                       name, SB_COLLECTION_NAME_MAX);
    if (info->dimensions < 1 || info->dimensions > MAX_DIMENSIONS)
        return sb_fail(error, SB_INVALID, "collection '%s': %d dimensions; 1 to %d are allowed", name, info->dimensions,
                       MAX_DIMENSIONS);
    return SB_OK;
}

static enum sb_status insert_collection(struct sb_store *store, const struct sb_collection_info *info,
                                        struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        store->db,
        "INSERT INTO collections (name, model_name, model_hash, dimensions, created_at) VALUES (?, ?, ?, ?, ?)", -1,
        &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, info->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, info->model_name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, info->model_hash, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 4, info->dimensions);
        sqlite3_bind_int64(statement, 5, info->created_at);
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
    struct sb_collection *collection = collection_new(&info, 0);
    pthread_rwlock_wrlock(&store->list);
    bool room = reserve_place(store);
    pthread_rwlock_unlock(&store->list);
    enum sb_status status = collection && room ? insert_collection(store, &info, error) : no_memory(store, error);
    if (status != SB_OK) {
        sb_collection_free(collection);
        return status;
    }
    collection->key = sqlite3_last_insert_rowid(store->db);
    pthread_rwlock_wrlock(&store->list);
    add_collection(store, collection);
    pthread_rwlock_unlock(&store->list);
    return SB_OK;
}

enum sb_status sb_store_create(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                               struct sb_error *error)
{
    enum sb_status status = check_info(info, error);
    if (status != SB_OK)
        return status;
    pthread_mutex_lock(&store->writer);
    size_t place;
    bool exists = find_place(store, info->name, &place); /* only writers change the list */
    if (!exists) {
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
    struct sb_collection_info info = collection->info;
    pthread_rwlock_rdlock(&collection->index.lock);
    info.count = (int64_t)collection->index.live;
    pthread_rwlock_unlock(&collection->index.lock);
    return info;
}

enum sb_status sb_store_describe(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                                 struct sb_error *error)
{
    pthread_rwlock_rdlock(&store->list);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    if (c)
        *info = describe(c);
    pthread_rwlock_unlock(&store->list);
    return c ? SB_OK : SB_NOT_FOUND;
}

enum sb_status sb_store_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                             struct sb_error *error)
{
    pthread_rwlock_rdlock(&store->list);
    *count = store->count;
    *infos = malloc((store->count + 1) * sizeof **infos);
    for (size_t i = 0; *infos && i < store->count; i++)
        (*infos)[i] = describe(store->collections[i]);
    pthread_rwlock_unlock(&store->list);
    return *infos ? SB_OK : no_memory(store, error);
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

enum sb_status sb_store_drop(struct sb_store *store, const char *collection, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? delete_collection(store, c->key, error) : SB_NOT_FOUND;
    if (status == SB_OK) {
        size_t place;
        pthread_rwlock_wrlock(&store->list); /* waits for the searches that still read it */
        find_place(store, collection, &place);
        memmove(store->collections + place, store->collections + place + 1,
                (store->count - place - 1) * sizeof *store->collections);
        store->count--;
        pthread_rwlock_unlock(&store->list);
        sb_collection_free(c);
    }
    pthread_mutex_unlock(&store->writer);
    return status;
}
