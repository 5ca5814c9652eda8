/*
 * Changing and reading the sentences of a collection. A change is checked whole, made in one transaction, and shown in
 * memory only when that is on disk.
 */
#include "retrieval/store_impl.h"

#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    const struct sb_sentence *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static enum sb_status check_unique(const struct sb_sentence *sentences, size_t n, struct sb_error *error)
{
    const struct sb_sentence **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &sentences[i];
    qsort(sorted, n, sizeof *sorted, by_id);
    enum sb_status status = SB_OK;
    for (size_t i = 1; status == SB_OK && i < n; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = sb_fail(error, SB_INVALID, "id '%.100s' stands twice in one call (sentences %zu and %zu)",
                             sorted[i]->id, (size_t)(sorted[i - 1] - sentences), (size_t)(sorted[i] - sentences));
    free(sorted);
    return status;
}

/* One change, under the writer's lock. */
struct change {
    struct sb_store *store;
    struct sb_collection *collection;
    const struct sb_sentence *sentences;
    size_t n;
    struct sb_item **items; /* [n], made before the transaction so that nothing can fail behind it */
};

static void free_items(struct change *c)
{
    for (size_t i = 0; c->items && i < c->n; i++)
        free(c->items[i]);
    free(c->items);
}

/* Items and room for them; after this the change in memory can not fail. */
static enum sb_status prepare(struct change *c, struct sb_error *error)
{
    c->items = calloc(c->n + 1, sizeof *c->items);
    bool good = c->items != NULL;
    for (size_t i = 0; good && i < c->n; i++)
        good = (c->items[i] = sb_item_new(&c->sentences[i])) != NULL;
    if (good) {
        pthread_rwlock_wrlock(&c->collection->index.lock);
        good = sb_index_reserve(&c->collection->index, c->n);
        pthread_rwlock_unlock(&c->collection->index.lock);
    }
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu sentences", c->store->path, c->n);
}

static int write_sentence(sqlite3_stmt *statement, const struct change *c, size_t i)
{
    const struct sb_sentence *s = &c->sentences[i];
    sqlite3_bind_int64(statement, 1, c->collection->key);
    sqlite3_bind_text(statement, 2, s->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, s->text, (int)s->text_size, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, s->metadata ? s->metadata : "{}", -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, s->vector, (int)(c->collection->index.dimensions * sizeof(float)), SQLITE_STATIC);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static enum sb_status write_all(const struct change *c, struct sb_error *error)
{
    static const char sql[] =
        "INSERT INTO sentences (collection, id, text, metadata, vector) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (collection, id) DO UPDATE SET text = excluded.text, metadata = excluded.metadata,"
        " vector = excluded.vector";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->store->db, sql, -1, &statement, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < c->n; i++)
        code = write_sentence(statement, c, i);
    enum sb_status status = code == SQLITE_OK ? SB_OK : sb_sqlite_fail(c->store, code, "storing sentences", error);
    sqlite3_finalize(statement);
    return status;
}

/* BEGIN, work, COMMIT; anything that fails leaves the file as it was. */
static enum sb_status in_transaction(const struct change *c,
                                     enum sb_status (*work)(const struct change *, struct sb_error *),
                                     struct sb_error *error)
{
    enum sb_status status = sb_sqlite_run(c->store, "BEGIN IMMEDIATE", "beginning a change", error);
    if (status != SB_OK)
        return status;
    status = work(c, error);
    if (status == SB_OK)
        status = sb_sqlite_run(c->store, "COMMIT", "committing a change", error);
    if (status != SB_OK)
        sqlite3_exec(c->store->db, "ROLLBACK", NULL, NULL,
                     NULL); /* an error here means there is nothing to roll back */
    return status;
}

/* Shows the change to readers, all of it at once. */
static size_t show(struct change *c)
{
    struct sb_index *index = &c->collection->index;
    pthread_rwlock_wrlock(&index->lock);
    size_t before = index->live;
    for (size_t i = 0; i < c->n; i++) {
        sb_index_put(index, c->items[i], c->sentences[i].vector);
        c->items[i] = NULL;
    }
    size_t added = index->live - before;
    pthread_rwlock_unlock(&index->lock);
    return added;
}

static enum sb_status upsert(struct sb_store *store, const char *collection, const char *model_hash,
                             const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                             struct sb_error *error)
{
    struct change c = {store, sb_collection_find(store, collection, error), sentences, n, NULL};
    if (!c.collection)
        return SB_NOT_FOUND;
    if (strcmp(c.collection->info.model_hash, model_hash) != 0)
        return sb_fail(error, SB_CONFLICT, "collection '%s' holds vectors of model '%s' (%.16s), not of %.16s",
                       collection, c.collection->info.model_name, c.collection->info.model_hash, model_hash);
    enum sb_status status = sb_collection_load(store, c.collection, error);
    for (size_t i = 0; status == SB_OK && i < n; i++)
        status = sb_sentence_check(&sentences[i], c.collection->index.dimensions, i, error);
    if (status == SB_OK)
        status = check_unique(sentences, n, error);
    if (status == SB_OK)
        status = prepare(&c, error);
    if (status == SB_OK)
        status = in_transaction(&c, write_all, error);
    if (status == SB_OK) {
        size_t added = show(&c);
        if (inserted)
            *inserted = added;
        if (updated)
            *updated = n - added;
    }
    free_items(&c);
    return status;
}

enum sb_status sb_store_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                               const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                               struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    enum sb_status status = upsert(store, collection, model_hash, sentences, n, inserted, updated, error);
    pthread_mutex_unlock(&store->writer);
    return status;
}

static enum sb_status delete_all(const struct change *c, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(c->store->db, "DELETE FROM sentences WHERE collection = ? AND id = ?", -1, &statement, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < c->n; i++) {
        sqlite3_bind_int64(statement, 1, c->collection->key);
        sqlite3_bind_text(statement, 2, c->sentences[i].id, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        sqlite3_reset(statement);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    enum sb_status status = code == SQLITE_OK ? SB_OK : sb_sqlite_fail(c->store, code, "deleting sentences", error);
    sqlite3_finalize(statement);
    return status;
}

enum sb_status sb_store_delete(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                               size_t *deleted, struct sb_error *error)
{
    struct sb_sentence *named = calloc(n + 1, sizeof *named);
    size_t removed = 0;
    if (!named)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to delete %zu sentences", store->path, n);
    for (size_t i = 0; i < n; i++)
        named[i].id = ids[i];
    pthread_mutex_lock(&store->writer);
    struct change c = {store, sb_collection_find(store, collection, error), named, n, NULL};
    enum sb_status status = c.collection ? sb_collection_load(store, c.collection, error) : SB_NOT_FOUND;
    if (status == SB_OK)
        status = in_transaction(&c, delete_all, error);
    if (status == SB_OK) {
        pthread_rwlock_wrlock(&c.collection->index.lock);
        for (size_t i = 0; i < n; i++)
            removed += sb_index_remove(&c.collection->index, ids[i]);
        pthread_rwlock_unlock(&c.collection->index.lock);
    }
    pthread_mutex_unlock(&store->writer);
    free(named);
    if (deleted)
        *deleted = removed;
    return status;
}

void sb_sentences_free(struct sb_sentences *sentences)
{
    free(sentences->memory);
    *sentences = (struct sb_sentences){0};
}

/* Copies rows of the index, with their vectors when asked for, into one allocation. Under the index's lock. */
static bool copy_rows(struct sb_sentences *out, const struct sb_index *index, const size_t *rows, size_t n,
                      bool with_vectors)
{
    size_t vector_bytes = with_vectors ? index->dimensions * sizeof(float) : 0, bytes = n * sizeof(struct sb_sentence);
    for (size_t i = 0; i < n; i++) {
        const struct sb_item *item = index->items[rows[i]];
        bytes += vector_bytes + item->id_size + item->text_size + item->metadata_size + 3;
    }
    char *memory = malloc(bytes + 1);
    if (!memory)
        return false;
    struct sb_sentence *items = (struct sb_sentence *)(void *)memory;
    float *vectors = (float *)(void *)(items + n);
    char *at = (char *)vectors + n * vector_bytes;
    for (size_t i = 0; i < n; i++) {
        const struct sb_item *item = index->items[rows[i]];
        size_t strings = item->id_size + item->text_size + item->metadata_size + 3;
        memcpy(at, item->strings, strings);
        items[i] = (struct sb_sentence){at, at + item->id_size + 1, item->text_size,
                                        at + item->id_size + item->text_size + 2, NULL};
        if (with_vectors) {
            items[i].vector = vectors + i * index->dimensions;
            memcpy(vectors + i * index->dimensions, index->matrix + rows[i] * index->dimensions, vector_bytes);
        }
        at += strings;
    }
    *out = (struct sb_sentences){items, n, memory};
    return true;
}

enum sb_status sb_store_get(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                            struct sb_error *error)
{
    *out = (struct sb_sentences){0};
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    int64_t found = sb_index_find(&c->index, id);
    size_t row = (size_t)found;
    if (found == SB_NO_ROW)
        status = sb_fail(error, SB_NOT_FOUND, "collection '%s' has no sentence '%.100s'", collection, id);
    else if (!copy_rows(out, &c->index, &row, 1, true))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a sentence");
    sb_collection_end_read(c);
    return status;
}

/* Under the index's lock. */
static enum sb_status scroll(const struct sb_index *index, const char *after, size_t limit, struct sb_sentences *out,
                             struct sb_error *error)
{
    int64_t start = after ? sb_index_find(index, after) : -1;
    if (after && start == SB_NO_ROW)
        return sb_fail(error, SB_NOT_FOUND, "there is no sentence '%.100s' to go on after", after);
    size_t most = limit < index->live ? limit : index->live, n = 0;
    size_t *rows = malloc((most + 1) * sizeof *rows);
    bool good = rows != NULL;
    for (size_t row = (size_t)(start + 1); good && row < index->rows && n < most; row++)
        if (index->items[row])
            rows[n++] = row;
    good = good && copy_rows(out, index, rows, n, false);
    free(rows);
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", most);
}

enum sb_status sb_store_scroll(struct sb_store *store, const char *collection, const char *after, size_t limit,
                               struct sb_sentences *out, struct sb_error *error)
{
    *out = (struct sb_sentences){0};
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status == SB_OK) {
        status = scroll(&c->index, after, limit, out, error);
        sb_collection_end_read(c);
    }
    return status;
}

enum sb_status sb_store_visit(struct sb_store *store, const char *collection,
                              bool (*visit)(void *context, const struct sb_sentence *sentence), void *context,
                              struct sb_error *error)
{
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    const struct sb_index *index = &c->index;
    bool goes_on = true;
    for (size_t row = 0; goes_on && row < index->rows; row++) {
        if (!index->items[row])
            continue;
        struct sb_sentence sentence = sb_item_sentence(index->items[row]);
        sentence.vector = index->matrix + row * index->dimensions;
        goes_on = visit(context, &sentence);
    }
    sb_collection_end_read(c);
    return SB_OK;
}
