/*
 * The new vectors go into the column of sentences that does not hold the current ones, with the number of the run that made
 * them; a row whose run is not the collection's has none. So neither beginning, nor cancelling, nor the change itself
 * touches the rows.
 */
#include "retrieval/reembed.h"

#include "retrieval/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AT_ONCE = 2048 };

static bool is_running(const struct sb_collection *c)
{
    return c->reembedding.target_hash[0] != '\0';
}

/* Runs a statement with the collection's key as ?1, and if it has them, texts ?2 and ?3 and a number ?4. */
static enum sb_status run_for(struct sb_store *store, const char *sql, int64_t key, const char *name, const char *hash,
                              int dimensions, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, key);
        if (sqlite3_bind_parameter_count(statement) == 4) {
            sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
            sqlite3_bind_text(statement, 3, hash, -1, SQLITE_STATIC);
            sqlite3_bind_int(statement, 4, dimensions);
        }
        code = sqlite3_step(statement);
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(store, code, "changing the model", error);
    sqlite3_finalize(statement);
    return status;
}

/* ---- begin, cancel, progress ---- */

static enum sb_status begin(struct sb_store *store, struct sb_collection *c, const char *model_name,
                            const char *model_hash, int dimensions, struct sb_error *error)
{
    struct sb_reembedding *r = &c->reembedding;
    struct sb_collection_info info = c->info;
    info.dimensions = dimensions;
    if (is_running(c))
        return strcmp(r->target_hash, model_hash) == 0
                   ? SB_OK
                   : sb_fail(error, SB_CONFLICT, "collection '%s' is changing to model '%s' (%.16s) already",
                             c->info.name, r->target_name, r->target_hash);
    if (strcmp(c->info.model_hash, model_hash) == 0)
        return sb_fail(error, SB_CONFLICT, "collection '%s' has model '%s' (%.16s) already", c->info.name,
                       c->info.model_name, c->info.model_hash);
    struct sb_reembedding next = {.target_dimensions = dimensions, .run = r->run + 1, .is_counted = true};
    int name_size = snprintf(next.target_name, sizeof next.target_name, "%s", model_name);
    int hash_size = snprintf(next.target_hash, sizeof next.target_hash, "%s", model_hash);
    if (name_size >= (int)sizeof next.target_name || hash_size >= (int)sizeof next.target_hash || hash_size == 0)
        return sb_fail(error, SB_INVALID, "model '%.100s': its name or hash is too long or missing", model_name);
    enum sb_status status = sb_collection_info_check(&info, error);
    if (status == SB_OK)
        status = run_for(store,
                         "UPDATE collections SET target_name = ?2, target_hash = ?3, target_dimensions = ?4,"
                         " run = run + 1 WHERE id = ?1",
                         c->key, model_name, model_hash, dimensions, error);
    if (status == SB_OK)
        *r = next;
    return status;
}

enum sb_status sb_sqlite_reembed_begin(struct sb_store *store, const char *collection, const char *model_name,
                                       const char *model_hash, int dimensions, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? begin(store, c, model_name, model_hash, dimensions, error) : SB_NOT_FOUND;
    pthread_mutex_unlock(&store->writer);
    return status;
}

enum sb_status sb_sqlite_reembed_cancel(struct sb_store *store, const char *collection, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? SB_OK : SB_NOT_FOUND;
    if (c && is_running(c)) {
        status = run_for(store,
                         "UPDATE collections SET target_name = NULL, target_hash = NULL, target_dimensions = NULL"
                         " WHERE id = ?1",
                         c->key, NULL, NULL, 0, error);
        if (status == SB_OK)
            c->reembedding = (struct sb_reembedding){.run = c->reembedding.run};
    }
    pthread_mutex_unlock(&store->writer);
    return status;
}

/* A number that the file answers with, of this collection and its run. */
static enum sb_status ask(struct sb_store *store, const struct sb_collection *c, const char *format, int64_t *answer,
                          struct sb_error *error)
{
    char sql[512];
    snprintf(sql, sizeof sql, format, (long long)c->key, (long long)c->reembedding.run);
    return sb_sqlite_int(store, sql, answer, error);
}

static enum sb_status count_done(struct sb_store *store, struct sb_collection *c, struct sb_error *error)
{
    if (c->reembedding.is_counted)
        return SB_OK;
    enum sb_status status = ask(store, c, "SELECT count(*) FROM sentences WHERE +collection = %lld AND run = %lld",
                                &c->reembedding.done, error);
    c->reembedding.is_counted = status == SB_OK;
    return status;
}

static enum sb_reembed_state state_of(const struct sb_collection *c)
{
    if (is_running(c))
        return SB_REEMBED_RUNNING;
    return c->reembedding.is_clean ? SB_REEMBED_NONE : SB_REEMBED_CLEANING;
}

static enum sb_status progress_of(struct sb_store *store, struct sb_collection *c, struct sb_reembed_progress *progress,
                                  struct sb_error *error)
{
    const struct sb_reembedding *r = &c->reembedding;
    enum sb_status status = sb_collection_load(store, c, error);
    if (status == SB_OK && is_running(c))
        status = count_done(store, c, error);
    if (status != SB_OK)
        return status;
    progress->state = state_of(c);
    progress->total = (int64_t)c->index.live;
    if (!is_running(c))
        return SB_OK;
    memcpy(progress->model_name, r->target_name, sizeof progress->model_name);
    memcpy(progress->model_hash, r->target_hash, sizeof progress->model_hash);
    progress->dimensions = r->target_dimensions;
    progress->done = r->done < progress->total ? r->done : progress->total;
    return SB_OK;
}

enum sb_status sb_sqlite_reembed_progress(struct sb_store *store, const char *collection,
                                          struct sb_reembed_progress *progress, struct sb_error *error)
{
    *progress = (struct sb_reembed_progress){0};
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? progress_of(store, c, progress, error) : SB_NOT_FOUND;
    pthread_mutex_unlock(&store->writer);
    return status;
}

/* ---- a batch of sentences ---- */

struct batch {
    struct sb_store *store;
    int64_t key, run; /* which collection and run it is for */
    int current, dimensions;
    enum sb_vectors form;
    size_t most, n;
    int64_t *sequences, *generations; /* [most] */
    struct sb_sentence *sentences;    /* [most], their strings owned */
    float *vectors;                   /* [most, dimensions] */
    char *stored;                     /* one vector, in its form */
};

static void batch_free(struct batch *b)
{
    for (size_t i = 0; b->sentences && i < b->n; i++)
        free((char *)(uintptr_t)b->sentences[i].id); /* the first of its strings */
    free(b->sentences);
    free(b->sequences);
    free(b->generations);
    free(b->vectors);
    free(b->stored);
}

static bool batch_init(struct batch *b, struct sb_store *store, const struct sb_collection *c, size_t most)
{
    size_t dimensions = (size_t)c->reembedding.target_dimensions;
    *b = (struct batch){.store = store,
                        .key = c->key,
                        .run = c->reembedding.run,
                        .current = c->current,
                        .dimensions = c->reembedding.target_dimensions,
                        .form = c->info.vectors,
                        .most = most,
                        .sequences = calloc(most, sizeof *b->sequences),
                        .generations = calloc(most, sizeof *b->generations),
                        .sentences = calloc(most, sizeof *b->sentences),
                        .vectors = calloc(most * dimensions, sizeof *b->vectors),
                        .stored = malloc(sb_vector_stored_size(c->info.vectors, dimensions))};
    return b->sequences && b->generations && b->sentences && b->vectors && b->stored;
}

/* Columns sequence, generation, id, text, metadata. */
static bool batch_take(struct batch *b, sqlite3_stmt *row)
{
    struct sb_sentence sentence = {.id = (const char *)sqlite3_column_text(row, 2),
                                   .text = (const char *)sqlite3_column_text(row, 3),
                                   .text_size = (size_t)sqlite3_column_bytes(row, 3),
                                   .metadata = (const char *)sqlite3_column_text(row, 4)};
    char *memory =
        sentence.id && sentence.text && sentence.metadata ? malloc(sb_sentence_strings_size(&sentence)) : NULL;
    if (!memory)
        return false;
    sb_sentence_copy(&b->sentences[b->n], &sentence, memory);
    b->sequences[b->n] = sqlite3_column_int64(row, 0);
    b->generations[b->n++] = sqlite3_column_int64(row, 1);
    return true;
}

/* The next sentences without a vector of the new model, behind the cursor. Under `writer`. */
static enum sb_status batch_read(struct batch *b, struct sb_collection *c, struct sb_error *error)
{
    static const char sql[] = "SELECT sequence, generation, id, text, metadata FROM sentences"
                              " WHERE sequence > ?1 AND +collection = ?2 AND run <> ?3 ORDER BY sequence LIMIT ?4";
    sqlite3_stmt *row = NULL;
    bool good = true;
    int code = sqlite3_prepare_v2(b->store->db, sql, -1, &row, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, c->reembedding.cursor);
        sqlite3_bind_int64(row, 2, b->key);
        sqlite3_bind_int64(row, 3, b->run);
        sqlite3_bind_int64(row, 4, (int64_t)b->most);
        while (good && (code = sqlite3_step(row)) == SQLITE_ROW)
            good = batch_take(b, row);
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK
                            : good              ? sb_sqlite_fail(b->store, code, "reading sentences", error)
                                                : sb_store_no_memory(b->store, error);
    sqlite3_finalize(row);
    if (status == SB_OK && b->n > 0) {
        c->reembedding.cursor = b->sequences[b->n - 1];
        c->reembedding.found_any = true;
    }
    return status;
}

static enum sb_status check_vectors(const struct batch *b, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; status == SB_OK && i < b->n; i++) {
        struct sb_sentence sentence = b->sentences[i];
        sentence.vector = b->vectors + i * (size_t)b->dimensions;
        status = sb_sentence_check(&sentence, (size_t)b->dimensions, i, error);
    }
    return status;
}

/* A sentence that has changed, or gone, since it was read is left for another step: its generation is another. */
static enum sb_status batch_write(void *context, struct sb_error *error)
{
    static const char *const sql[2] = {
        "UPDATE sentences SET other_vector = ?1, run = ?2 WHERE sequence = ?3 AND generation = ?4",
        "UPDATE sentences SET vector = ?1, run = ?2 WHERE sequence = ?3 AND generation = ?4"};
    struct batch *b = context;
    size_t dimensions = (size_t)b->dimensions, size = sb_vector_stored_size(b->form, dimensions);
    sqlite3_stmt *update = NULL;
    int code = sqlite3_prepare_v2(b->store->db, sql[b->current], -1, &update, NULL);
    bool fits = true;
    for (size_t i = 0; code == SQLITE_OK && fits && i < b->n; i++) {
        fits = sb_vector_encode(b->stored, b->form, b->vectors + i * dimensions, dimensions);
        sqlite3_bind_blob(update, 1, b->stored, (int)size, SQLITE_STATIC);
        sqlite3_bind_int64(update, 2, b->run);
        sqlite3_bind_int64(update, 3, b->sequences[i]);
        sqlite3_bind_int64(update, 4, b->generations[i]);
        code = sqlite3_step(update);
        sqlite3_reset(update);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    enum sb_status status = SB_OK;
    if (!fits)
        status = sb_fail(error, SB_INVALID, "an element of a new vector is too large for f16");
    else if (code != SQLITE_OK)
        status = sb_sqlite_fail(b->store, code, "storing new vectors", error);
    sqlite3_finalize(update);
    return status;
}

/* ---- the change ---- */

struct change {
    struct sb_store *store;
    int64_t key;
};

static enum sb_status write_change(void *context, struct sb_error *error)
{
    struct change *change = context;
    return run_for(change->store,
                   "UPDATE collections SET model_name = target_name, model_hash = target_hash,"
                   " dimensions = target_dimensions, current = 1 - current, generation = generation + 1,"
                   " target_name = NULL, target_hash = NULL, target_dimensions = NULL WHERE id = ?1",
                   change->key, NULL, NULL, 0, error);
}

/* The collection as it will be, with the new vectors in memory; nobody else sees it. */
static enum sb_status load_changed(struct sb_store *store, const struct sb_collection *c,
                                   struct sb_collection **changed, struct sb_error *error)
{
    const struct sb_reembedding *r = &c->reembedding;
    struct sb_collection_info info = c->info;
    snprintf(info.model_name, sizeof info.model_name, "%s", r->target_name);
    snprintf(info.model_hash, sizeof info.model_hash, "%s", r->target_hash);
    info.dimensions = r->target_dimensions;
    *changed = sb_collection_new(&info, c->key);
    if (!*changed)
        return sb_store_no_memory(store, error);
    (*changed)->current = 1 - c->current;
    return sb_sentences_load(store, *changed, error);
}

/* All rows have the new vector. Under `writer`. */
static enum sb_status change_over(struct sb_store *store, struct sb_collection *c, struct sb_error *error)
{
    struct sb_collection *changed = NULL;
    struct change change = {store, c->key};
    enum sb_status status = load_changed(store, c, &changed, error);
    if (status == SB_OK)
        status = sb_in_transaction(store, write_change, &change, error);
    if (status == SB_OK) {
        sb_ann_file_remove(store, c);
        pthread_rwlock_wrlock(&c->index.lock);
        sb_index_swap(&c->index, &changed->index);
        c->info = changed->info;
        pthread_rwlock_unlock(&c->index.lock);
        c->current = changed->current;
        c->generation++;
        c->reembedding = (struct sb_reembedding){.run = c->reembedding.run};
        sb_collection_changed(store, c);
    }
    sb_collection_release(changed);
    return status;
}

/* Removes some of the vectors that nobody needs any more. */
static enum sb_status clean_some(struct sb_store *store, struct sb_collection *c, size_t most, struct sb_error *error)
{
    static const char *const find[2] = {
        "SELECT coalesce(max(sequence), -1) FROM (SELECT sequence FROM sentences WHERE sequence > %lld AND"
        " +collection = %lld AND length(other_vector) > 0 ORDER BY sequence LIMIT %zu)",
        "SELECT coalesce(max(sequence), -1) FROM (SELECT sequence FROM sentences WHERE sequence > %lld AND"
        " +collection = %lld AND length(vector) > 0 ORDER BY sequence LIMIT %zu)"};
    static const char *const clear[2] = {
        "UPDATE sentences SET other_vector = NULL, run = 0 WHERE sequence > %lld AND sequence <= %lld AND"
        " +collection = %lld AND length(other_vector) > 0",
        "UPDATE sentences SET vector = x'', run = 0 WHERE sequence > %lld AND sequence <= %lld AND"
        " +collection = %lld AND length(vector) > 0"};
    char sql[512];
    int64_t last, from = c->reembedding.cursor;
    snprintf(sql, sizeof sql, find[c->current], (long long)from, (long long)c->key, most);
    enum sb_status status = sb_sqlite_int(store, sql, &last, error);
    if (status == SB_OK && last >= 0) {
        snprintf(sql, sizeof sql, clear[c->current], (long long)from, (long long)last, (long long)c->key);
        status = sb_sqlite_run(store, sql, "removing old vectors", error);
    }
    if (status == SB_OK) {
        c->reembedding.is_clean = last < 0;
        c->reembedding.cursor = last < 0 ? 0 : last;
    }
    return status;
}

/* ---- a step ---- */

/* What is to be embedded, or the rest of the work if it is nothing. Under `writer`. */
static enum sb_status first_half(struct sb_store *store, struct sb_collection *c, struct batch *b, size_t most,
                                 struct sb_error *error)
{
    enum sb_status status = sb_collection_load(store, c, error);
    if (status != SB_OK)
        return status;
    if (!is_running(c))
        return c->reembedding.is_clean ? SB_OK : clean_some(store, c, most, error);
    status = count_done(store, c, error);
    if (status == SB_OK && !batch_init(b, store, c, most))
        status = sb_store_no_memory(store, error);
    if (status == SB_OK)
        status = batch_read(b, c, error);
    if (status != SB_OK || b->n > 0)
        return status;
    /* Rows that came, or changed, behind the cursor are found by another pass. One that finds nothing saw all of them. */
    if (!c->reembedding.found_any)
        return change_over(store, c, error);
    c->reembedding.cursor = 0;
    c->reembedding.found_any = false;
    return SB_OK;
}

/* Unless the run was cancelled, or the collection dropped, while its sentences were embedded. Under `writer`. */
static enum sb_status second_half(struct sb_store *store, struct sb_collection *c, struct batch *b,
                                  struct sb_error *error)
{
    if (c->key != b->key || !is_running(c) || c->reembedding.run != b->run)
        return SB_OK;
    enum sb_status status = sb_in_transaction(store, batch_write, b, error);
    if (status == SB_OK)
        c->reembedding.done += (int64_t)b->n;
    else
        c->reembedding.cursor = 0; /* what was read is still to be done */
    return status;
}

static enum sb_status step(struct sb_store *store, const char *collection, struct batch *b, size_t most,
                           sb_embed_texts embed, void *context, enum sb_reembed_state *state, struct sb_error *error)
{
    pthread_mutex_lock(&store->writer);
    struct sb_collection *c = sb_collection_find(store, collection, error);
    enum sb_status status = c ? first_half(store, c, b, most, error) : SB_NOT_FOUND;
    if (status == SB_OK)
        *state = state_of(c);
    pthread_mutex_unlock(&store->writer);
    if (status != SB_OK || b->n == 0)
        return status;
    status = embed(context, b->sentences, b->n, b->vectors, error);
    if (status == SB_OK)
        status = check_vectors(b, error);
    pthread_mutex_lock(&store->writer);
    c = sb_collection_find(store, collection, error);
    if (c && status != SB_OK)
        c->reembedding.cursor = 0;
    else
        status = c ? second_half(store, c, b, error) : SB_NOT_FOUND;
    pthread_mutex_unlock(&store->writer);
    return status;
}

enum sb_status sb_sqlite_reembed_step(struct sb_store *store, const char *collection, size_t most, sb_embed_texts embed,
                                      void *context, enum sb_reembed_state *state, struct sb_error *error)
{
    struct batch b = {0};
    *state = SB_REEMBED_NONE;
    if (most < 1 || most > MOST_AT_ONCE)
        return sb_fail(error, SB_INVALID, "%zu sentences at once; 1 to %d are allowed", most, MOST_AT_ONCE);
    enum sb_status status = step(store, collection, &b, most, embed, context, state, error);
    batch_free(&b);
    return status;
}
