/*
 * Changing the sentences of a collection. A change is checked whole, made in one transaction, and shown in
 * memory only when that is on disk.
 */
#include "retrieval/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One change, under the writer's lock. */
struct change {
    struct sb_store *store;
    struct sb_collection *collection;
    const struct sb_sentence *sentences;
    size_t n;
    char *stored;       /* [n, stored_size]: the vectors as they are kept, made before the transaction */
    int64_t *sequences; /* [n]: of each sentence's row in the file */
    size_t stored_size;
    int64_t generation; /* what the collection's becomes */
};

static struct change change_of(struct sb_store *store, struct sb_collection *c, const struct sb_sentence *sentences,
                               size_t n)
{
    return (struct change){.store = store,
                           .collection = c,
                           .sentences = sentences,
                           .n = n,
                           .stored_size = sb_vector_stored_size(c->info.vectors, (size_t)c->info.dimensions),
                           .generation = c->generation + 1};
}

static void free_change(struct change *c)
{
    free(c->stored);
    free(c->sequences);
}

static enum sb_status encode_all(struct change *c, struct sb_error *error)
{
    const struct sb_collection_info *info = &c->collection->info;
    for (size_t i = 0; i < c->n; i++)
        if (!sb_vector_encode(c->stored + i * c->stored_size, info->vectors, c->sentences[i].vector,
                              (size_t)info->dimensions))
            return sb_fail(error, SB_INVALID, "sentence %zu: an element of its vector is too large for f16", i);
    return SB_OK;
}

/* Vectors in their form, and room for all; after this the change in memory can not fail. */
static enum sb_status prepare(struct change *c, struct sb_error *error)
{
    size_t bytes = 0;
    c->stored = malloc(c->n * c->stored_size + 1);
    c->sequences = calloc(c->n + 1, sizeof *c->sequences);
    for (size_t i = 0; i < c->n; i++)
        bytes += sb_index_record_size(&c->sentences[i]);
    bool good = c->stored && c->sequences;
    if (good) {
        pthread_rwlock_wrlock(&c->collection->index.lock);
        good = sb_index_reserve(&c->collection->index, c->n, bytes);
        pthread_rwlock_unlock(&c->collection->index.lock);
    }
    return good ? encode_all(c, error)
                : sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu sentences", c->store->path, c->n);
}

static enum sb_status write_generation(const struct change *c, struct sb_error *error)
{
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE collections SET generation = %lld WHERE id = %lld", (long long)c->generation,
             (long long)c->collection->key);
    return sb_sqlite_run(c->store, sql, "storing a change", error);
}

enum { COLLECTION = 1, ID, TEXT, METADATA, VECTOR, GENERATION, SEQUENCE };

/* A sentence with a vector of the current model alone: what another model made of it before is gone. */
static const char *const insert_sql[2] = {
    "INSERT INTO sentences (collection, id, text, metadata, vector, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    "INSERT INTO sentences (collection, id, text, metadata, vector, other_vector, generation)"
    " VALUES (?1, ?2, ?3, ?4, x'', ?5, ?6)"};
static const char *const update_sql[2] = {
    "UPDATE sentences SET text = ?3, metadata = ?4, vector = ?5, other_vector = NULL, run = 0,"
    " generation = ?6 WHERE sequence = ?7",
    "UPDATE sentences SET text = ?3, metadata = ?4, vector = x'', other_vector = ?5, run = 0,"
    " generation = ?6 WHERE sequence = ?7"};

static int write_sentence(const struct change *c, size_t i, sqlite3_stmt *insert, sqlite3_stmt *update)
{
    const struct sb_sentence *s = &c->sentences[i];
    const struct sb_index *index = &c->collection->index;
    int64_t row = sb_index_find(index, s->id);
    sqlite3_stmt *statement = row == SB_NO_ROW ? insert : update;
    sqlite3_bind_text(statement, TEXT, s->text, (int)s->text_size, SQLITE_STATIC);
    sqlite3_bind_text(statement, METADATA, s->metadata ? s->metadata : "{}", -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, VECTOR, c->stored + i * c->stored_size, (int)c->stored_size, SQLITE_STATIC);
    sqlite3_bind_int64(statement, GENERATION, c->generation);
    if (row == SB_NO_ROW) {
        sqlite3_bind_int64(statement, COLLECTION, c->collection->key);
        sqlite3_bind_text(statement, ID, s->id, -1, SQLITE_STATIC);
    } else {
        sqlite3_bind_int64(statement, SEQUENCE, index->sequences[row]);
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        c->sequences[i] = row == SB_NO_ROW ? sqlite3_last_insert_rowid(c->store->db) : index->sequences[row];
    /* the file is only ours, so a row that is in memory and not in the file was lost by it */
    bool lost = code == SQLITE_DONE && row != SB_NO_ROW && sqlite3_changes(c->store->db) != 1;
    sqlite3_reset(statement);
    return code != SQLITE_DONE ? code : lost ? SQLITE_CORRUPT : SQLITE_OK;
}

static enum sb_status write_all(void *context, struct sb_error *error)
{
    const struct change *c = context;
    sqlite3_stmt *insert = NULL, *update = NULL;
    int code = sqlite3_prepare_v2(c->store->db, insert_sql[c->collection->current], -1, &insert, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(c->store->db, update_sql[c->collection->current], -1, &update, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < c->n; i++)
        code = write_sentence(c, i, insert, update);
    enum sb_status status = code == SQLITE_OK ? SB_OK : sb_sqlite_fail(c->store, code, "storing sentences", error);
    sqlite3_finalize(insert);
    sqlite3_finalize(update);
    return status == SB_OK ? write_generation(c, error) : status;
}

/* Shows the change to readers, all of it at once. */
static size_t show(struct change *c)
{
    struct sb_index *index = &c->collection->index;
    pthread_rwlock_wrlock(&index->lock);
    size_t before = index->live, rows = index->rows;
    for (size_t i = 0; i < c->n; i++) {
        size_t row = sb_index_put(index, &c->sentences[i], c->stored + i * c->stored_size, c->sequences[i]);
        if (row < rows)
            sb_ann_moved(&c->collection->ann, row);
    }
    size_t added = index->live - before;
    sb_index_tidy(index);
    pthread_rwlock_unlock(&index->lock);
    c->collection->generation = c->generation;
    sb_collection_changed(c->store, c->collection);
    return added;
}

static enum sb_status upsert(struct sb_store *store, const char *collection, const char *model_hash,
                             const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                             struct sb_error *error)
{
    struct sb_collection *found = sb_collection_find(store, collection, error);
    if (!found)
        return SB_NOT_FOUND;
    if (strcmp(found->info.model_hash, model_hash) != 0)
        return sb_fail(error, SB_CONFLICT, "collection '%s' holds vectors of model '%s' (%.16s), not of %.16s",
                       collection, found->info.model_name, found->info.model_hash, model_hash);
    struct change c = change_of(store, found, sentences, n);
    enum sb_status status = sb_collection_load(store, found, error);
    if (status == SB_OK)
        status = sb_sentences_check(sentences, n, (size_t)found->info.dimensions, error);
    if (status == SB_OK)
        status = prepare(&c, error);
    if (status == SB_OK)
        status = sb_in_transaction(store, write_all, &c, error);
    if (status == SB_OK) {
        size_t added = show(&c);
        if (inserted)
            *inserted = added;
        if (updated)
            *updated = n - added;
    }
    free_change(&c);
    return status;
}

enum sb_status sb_sqlite_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                                const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                                struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    enum sb_status status = upsert(store, collection, model_hash, sentences, n, inserted, updated, error);
    pthread_mutex_unlock(&store->writer);
    return status;
}

static enum sb_status delete_all(void *context, struct sb_error *error)
{
    const struct change *c = context;
    const struct sb_index *index = &c->collection->index;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->store->db, "DELETE FROM sentences WHERE sequence = ?", -1, &statement, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < c->n; i++) {
        int64_t row = sb_index_find(index, c->sentences[i].id);
        if (row == SB_NO_ROW)
            continue;
        sqlite3_bind_int64(statement, 1, index->sequences[row]);
        code = sqlite3_step(statement);
        sqlite3_reset(statement);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    enum sb_status status = code == SQLITE_OK ? SB_OK : sb_sqlite_fail(c->store, code, "deleting sentences", error);
    sqlite3_finalize(statement);
    return status == SB_OK ? write_generation(c, error) : status;
}

static size_t show_deletion(struct change *c)
{
    struct sb_index *index = &c->collection->index;
    pthread_rwlock_wrlock(&index->lock);
    size_t before = index->live;
    for (size_t i = 0; i < c->n; i++)
        sb_index_remove(index, c->sentences[i].id);
    size_t removed = before - index->live;
    sb_index_tidy(index);
    pthread_rwlock_unlock(&index->lock);
    c->collection->generation = c->generation;
    sb_collection_changed(c->store, c->collection);
    return removed;
}

static enum sb_status delete(struct sb_store *store, const char *collection, const struct sb_sentence *named, size_t n,
                             size_t *removed, struct sb_error *error)
{
    struct sb_collection *found = sb_collection_find(store, collection, error);
    if (!found)
        return SB_NOT_FOUND;
    struct change c = change_of(store, found, named, n);
    enum sb_status status = sb_collection_load(store, found, error);
    if (status == SB_OK)
        status = sb_in_transaction(store, delete_all, &c, error);
    if (status == SB_OK)
        *removed = show_deletion(&c);
    return status;
}

enum sb_status sb_sqlite_delete(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                                size_t *deleted, struct sb_error *error)
{
    struct sb_sentence *named = calloc(n + 1, sizeof *named);
    size_t removed = 0;
    if (!named)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to delete %zu sentences", store->path, n);
    for (size_t i = 0; i < n; i++)
        named[i].id = ids[i];
    pthread_mutex_lock(&store->writer);
    enum sb_status status = delete (store, collection, named, n, &removed, error);
    pthread_mutex_unlock(&store->writer);
    free(named);
    if (deleted)
        *deleted = removed;
    return status;
}
