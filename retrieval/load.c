/*
 * Reading into memory what the file holds. The sentences of a small file are read when it is opened; those of a large
 * one a collection at a time, when they are first needed, so that a large store opens as fast as a small one.
 *
 * The file is outside data too: rows are held to the rules that calls are held to.
 */
#include "retrieval/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read at opening up to here: some ten thousand sentences, in a tenth of a second. */
enum { SMALL_FILE = 32 << 20 };

/* Copies a text column into a field; false when it does not fit. */
static bool copy_column(char *field, size_t size, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    int written = snprintf(field, size, "%s", text ? text : "");
    return written >= 0 && (size_t)written < size;
}

static enum sb_status load_info(struct sb_store *store, sqlite3_stmt *statement, struct sb_error *error)
{
    struct sb_collection_info info = {.dimensions = sqlite3_column_int(statement, 4),
                                      .created_at = sqlite3_column_int64(statement, 5),
                                      .count = sqlite3_column_int64(statement, 8)};
    bool fits = copy_column(info.name, sizeof info.name, statement, 1);
    fits = copy_column(info.model_name, sizeof info.model_name, statement, 2) && fits;
    fits = copy_column(info.model_hash, sizeof info.model_hash, statement, 3) && fits;
    fits = sb_vectors_parse((const char *)sqlite3_column_text(statement, 6), &info.vectors) && fits;
    fits = sb_search_kind_parse((const char *)sqlite3_column_text(statement, 7), &info.search) && fits;
    struct sb_reembedding reembedding = {.target_dimensions = sqlite3_column_int(statement, 13),
                                         .run = sqlite3_column_int64(statement, 14)};
    fits = copy_column(reembedding.target_name, sizeof reembedding.target_name, statement, 11) && fits;
    fits = copy_column(reembedding.target_hash, sizeof reembedding.target_hash, statement, 12) && fits;
    if (!fits || sb_collection_info_check(&info, NULL) != SB_OK)
        return sb_fail(error, SB_CORRUPT, "%s: collection '%.64s' has impossible properties", store->path, info.name);
    struct sb_collection *collection = sb_collection_new(&info, sqlite3_column_int64(statement, 0));
    if (!collection || !sb_collection_reserve_place(store)) {
        sb_collection_release(collection);
        return sb_store_no_memory(store, error);
    }
    collection->generation = sqlite3_column_int64(statement, 9);
    collection->current = sqlite3_column_int(statement, 10) != 0;
    reembedding.is_clean = reembedding.run == 0;
    collection->reembedding = reembedding;
    sb_collection_add(store, collection);
    return SB_OK;
}

/* Columns sequence, id, text, metadata, vector. Borrowed from the statement; the vector as it is stored. */
static enum sb_status read_row(const struct sb_store *store, const struct sb_collection *c, sqlite3_stmt *statement,
                               struct sb_sentence *sentence, const void **stored, struct sb_error *error)
{
    size_t expected = sb_vector_stored_size(c->info.vectors, (size_t)c->info.dimensions);
    long long sequence = sqlite3_column_int64(statement, 0);
    *sentence = (struct sb_sentence){.id = (const char *)sqlite3_column_text(statement, 1),
                                     .text = (const char *)sqlite3_column_text(statement, 2),
                                     .text_size = (size_t)sqlite3_column_bytes(statement, 2),
                                     .metadata = (const char *)sqlite3_column_text(statement, 3)};
    *stored = sqlite3_column_blob(statement, 4);
    size_t bytes = (size_t)sqlite3_column_bytes(statement, 4);
    if (!sentence->id || !sentence->text || !sentence->metadata || !*stored || bytes != expected)
        return sb_fail(error, SB_CORRUPT, "%s: sentence %lld of collection '%s' has a vector of %zu bytes, not %zu",
                       store->path, sequence, c->info.name, bytes, expected);
    if (strlen(sentence->id) > SB_SENTENCE_ID_MAX || sentence->text_size > SB_SENTENCE_TEXT_MAX ||
        strlen(sentence->metadata) > SB_SENTENCE_METADATA_MAX)
        return sb_fail(error, SB_CORRUPT, "%s: sentence %lld of collection '%s' is too long", store->path, sequence,
                       c->info.name);
    return SB_OK;
}

/* The sentence against the rules, its vector as row `row` of the index holds it. vector: room for it. */
static enum sb_status check_row(const struct sb_store *store, const struct sb_collection *c, size_t row,
                                struct sb_sentence *sentence, int64_t sequence, float *vector, struct sb_error *error)
{
    sb_matrix_get(&c->index.matrix, row, vector);
    sentence->vector = vector;
    enum sb_status status = sb_sentence_check(sentence, (size_t)c->info.dimensions, (size_t)sequence, error);
    return status == SB_INVALID ? sb_fail_context(error, SB_CORRUPT, "%s: collection '%s'", store->path, c->info.name)
                                : status;
}

enum sb_status sb_row_check(const struct sb_store *store, struct sb_collection *c, sqlite3_stmt *statement,
                            float *vector, struct sb_error *error)
{
    struct sb_sentence sentence;
    const void *stored;
    enum sb_status status = read_row(store, c, statement, &sentence, &stored, error);
    if (status == SB_OK && !sb_matrix_reserve(&c->index.matrix, 1))
        status = sb_store_no_memory(store, error);
    if (status != SB_OK)
        return status;
    sb_matrix_put(&c->index.matrix, 0, stored);
    return check_row(store, c, 0, &sentence, sqlite3_column_int64(statement, 0), vector, error);
}

/* Moves one row into the index, if it may stand there. */
static enum sb_status load_sentence(struct sb_store *store, struct sb_collection *c, sqlite3_stmt *statement,
                                    float *vector, struct sb_error *error)
{
    struct sb_index *index = &c->index;
    size_t row = index->rows;
    int64_t sequence = sqlite3_column_int64(statement, 0);
    struct sb_sentence sentence;
    const void *stored;
    enum sb_status status = read_row(store, c, statement, &sentence, &stored, error);
    if (status != SB_OK)
        return status;
    if (!sb_index_reserve(index, 1, sb_index_record_size(&sentence)))
        return sb_store_no_memory(store, error);
    if (sb_index_put(index, &sentence, stored, sequence) != row)
        return sb_fail(error, SB_CORRUPT, "%s: sentence %lld of collection '%s' has the id of another", store->path,
                       (long long)sequence, c->info.name);
    if (sqlite3_column_int64(statement, 5) > c->ann_generation)
        sb_ann_moved(&c->ann, row);
    return check_row(store, c, row, &sentence, sequence, vector, error);
}

/* Takes every row that a statement answers with: a sentence of c, or with c NULL a collection. */
static enum sb_status load_rows(struct sb_store *store, const char *sql, struct sb_collection *c, float *vector,
                                struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum sb_status status = SB_OK;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && c)
        code = sqlite3_bind_int64(statement, 1, c->key);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    while (code == SQLITE_ROW && status == SB_OK) {
        status = c ? load_sentence(store, c, statement, vector, error) : load_info(store, statement, error);
        if (status == SB_OK)
            code = sqlite3_step(statement);
    }
    if (status == SB_OK && code != SQLITE_DONE)
        status = sb_sqlite_fail(store, code, "reading the collections", error);
    sqlite3_finalize(statement);
    return status;
}

/* Every sentence of a collection in the order of insertion. The inner SELECT reads only the index on (collection, id) and
   sorts numbers; ordering the rows themselves would sort the vectors. */
enum sb_status sb_sentences_load(struct sb_store *store, struct sb_collection *c, struct sb_error *error)
{
    static const char *const sql[2] = {
        "SELECT sequence, id, text, metadata, vector, generation FROM sentences"
        " WHERE sequence IN (SELECT sequence FROM sentences WHERE collection = ?) ORDER BY sequence",
        "SELECT sequence, id, text, metadata, other_vector, generation FROM sentences"
        " WHERE sequence IN (SELECT sequence FROM sentences WHERE collection = ?) ORDER BY sequence"};
    float *vector = malloc((size_t)c->info.dimensions * sizeof *vector);
    enum sb_status status = vector ? load_rows(store, sql[c->current], c, vector, error)
                                   : sb_store_no_memory(store, error);
    free(vector);
    return status;
}

enum sb_status sb_collections_load_infos(struct sb_store *store, bool counted, struct sb_error *error)
{
    static const char *const sql[2] = {
        "SELECT id, name, model_name, model_hash, dimensions, created_at, vectors, search, 0, generation, current,"
        " target_name, target_hash, target_dimensions, run FROM collections",
        "SELECT id, name, model_name, model_hash, dimensions, created_at, vectors, search,"
        " (SELECT count(*) FROM sentences WHERE collection = collections.id), generation, current,"
        " target_name, target_hash, target_dimensions, run FROM collections"};
    return load_rows(store, sql[counted], NULL, NULL, error);
}

enum sb_status sb_collection_load(struct sb_store *store, struct sb_collection *c, struct sb_error *error)
{
    if (c->loaded)
        return SB_OK;
    /* Nobody looks at the index of a collection that is not loaded: it is filled without its lock. */
    c->ann_generation = sb_ann_file_generation(store, c);
    c->ann.tracks = c->ann_generation >= 0;
    enum sb_status status = sb_index_reserve(&c->index, (size_t)c->info.count, 0)
                                ? sb_sentences_load(store, c, error)
                                : sb_store_no_memory(store, error);
    if (status != SB_OK) {
        sb_index_clear(&c->index);
        sb_ann_clear(&c->ann);
        return status;
    }
    pthread_rwlock_wrlock(&c->index.lock);
    c->loaded = true;
    pthread_rwlock_unlock(&c->index.lock);
    sb_collection_changed(store, c);
    return SB_OK;
}

enum sb_status sb_collections_load(struct sb_store *store, struct sb_error *error)
{
    int64_t pages = 0, page_size = 0;
    enum sb_status status = sb_sqlite_int(store, "PRAGMA page_count", &pages, error);
    if (status == SB_OK)
        status = sb_sqlite_int(store, "PRAGMA page_size", &page_size, error);
    if (status == SB_OK)
        status = sb_collections_load_infos(store, true, error);
    bool is_small = pages * page_size <= SMALL_FILE; /* at most 2^32 pages of 2^16 bytes */
    for (size_t i = 0; status == SB_OK && is_small && i < store->count; i++)
        status = sb_collection_load(store, store->collections[i], error);
    return status;
}
