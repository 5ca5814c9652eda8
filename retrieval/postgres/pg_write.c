/*
 * Changing sentences: some hundred a statement, all of a call in one transaction. The collection's row is locked first, so
 * that writers of a collection, in whatever process, come one after the other.
 */
#include "base/buffer.h"
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 256, ROW_VALUES = 5 };

/* Counts the sentences anew, of a change by so many. */
static enum sb_status count_change(struct sb_pg *pg, int64_t key, int64_t change, struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    if (change == 0)
        return SB_OK;
    sb_pg_number(&values, key);
    sb_pg_number(&values, change);
    return sb_pg_query(pg, "UPDATE simbert.collections SET sentences = sentences + $2 WHERE key = $1", &values,
                       "counting sentences", NULL, error);
}

/* ---- upsert ---- */

/* The parameters of one statement for up to ROWS sentences. */
struct rows {
    const char *data[ROWS * ROW_VALUES];
    int sizes[ROWS * ROW_VALUES], is_binary[ROWS * ROW_VALUES];
    size_t terms_at[ROWS + 1];
    struct sb_buffer sql, terms;
    char *vectors;
};

struct upserting {
    const char *collection, *model_hash;
    const struct sb_sentence *sentences;
    size_t n, inserted;
    struct rows *rows;
    int64_t key;      /* of the collection that was found */
    bool needs_index; /* of its vectors */
};

static void write_sql(struct sb_buffer *sql, int64_t key, size_t n)
{
    sb_buffer_reset(sql);
    sb_buffer_format(sql, "INSERT INTO simbert.sentences_%lld (id, text, metadata, terms, vector) VALUES ",
                     (long long)key);
    for (size_t i = 0, v = 1; i < n; i++, v += ROW_VALUES)
        sb_buffer_format(sql, "%s($%zu::text, $%zu::text, $%zu::json, $%zu::bigint[], $%zu::vector)", i ? ", " : "", v,
                         v + 1, v + 2, v + 3, v + 4);
    sb_buffer_text(sql, " ON CONFLICT (id) DO UPDATE SET text = excluded.text, metadata = excluded.metadata,"
                        " terms = excluded.terms, vector = excluded.vector"
                        " RETURNING xmax = 0"); /* of a row that was there, xmax is this transaction */
}

static void set(struct rows *rows, size_t at, const char *data, size_t size, bool is_binary)
{
    rows->data[at] = data;
    rows->sizes[at] = (int)size;
    rows->is_binary[at] = is_binary;
}

/* False: no memory. */
static bool fill_rows(struct rows *rows, const struct sb_sentence *sentences, size_t n, int64_t key, size_t dimensions)
{
    size_t vector_size = sb_pg_vector_size(dimensions);
    write_sql(&rows->sql, key, n);
    sb_buffer_reset(&rows->terms);
    for (size_t i = 0; i < n; i++) {
        rows->terms_at[i] = rows->terms.length;
        sb_pg_terms_put(&rows->terms, sentences[i].text, sentences[i].text_size);
    }
    rows->terms_at[n] = rows->terms.length;
    if (rows->sql.failed || rows->terms.failed)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct sb_sentence *s = &sentences[i];
        size_t at = i * ROW_VALUES;
        char *vector = rows->vectors + i * vector_size;
        sb_pg_vector_put(vector, s->vector, dimensions);
        set(rows, at, s->id, 0, false);
        set(rows, at + 1, s->text, s->text_size, true);
        set(rows, at + 2, s->metadata ? s->metadata : "{}", 0, false);
        set(rows, at + 3, rows->terms.data + rows->terms_at[i], rows->terms_at[i + 1] - rows->terms_at[i], true);
        set(rows, at + 4, vector, vector_size, true);
    }
    return true;
}

static enum sb_status write_rows(struct sb_pg *pg, struct upserting *u, size_t first, size_t n, size_t dimensions,
                                 struct sb_error *error)
{
    struct rows *rows = u->rows;
    if (!fill_rows(rows, u->sentences + first, n, u->key, dimensions))
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", n);
    PGresult *result = PQexecParams(pg->connection, rows->sql.data, (int)(n * ROW_VALUES), NULL, rows->data,
                                    rows->sizes, rows->is_binary, 1);
    enum sb_status status = SB_OK;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        status = sb_pg_fail(pg, result, "storing sentences", error);
    for (int i = 0; status == SB_OK && i < PQntuples(result); i++)
        u->inserted += sb_pg_get_bool(result, i, 0);
    PQclear(result);
    return status;
}

/* PostgreSQL's texts hold no NUL. */
static enum sb_status check_nul(const struct sb_sentence *sentences, size_t n, struct sb_error *error)
{
    for (size_t i = 0; i < n; i++)
        if (memchr(sentences[i].text, '\0', sentences[i].text_size))
            return sb_fail(error, SB_UNSUPPORTED,
                           "sentence %zu: its text holds U+0000, which PostgreSQL can not store", i);
    return SB_OK;
}

static enum sb_status upsert(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct upserting *u = context;
    struct sb_pg_collection c;
    u->inserted = 0; /* by an attempt that broke off */
    enum sb_status status = sb_pg_find(pg, u->collection, true, &c, error);
    if (status != SB_OK)
        return status;
    if (strcmp(c.info.model_hash, u->model_hash) != 0)
        return sb_fail(error, SB_CONFLICT, "collection '%s' holds vectors of model '%s' (%.16s), not of %.16s",
                       u->collection, c.info.model_name, c.info.model_hash, u->model_hash);
    size_t dimensions = (size_t)c.info.dimensions;
    status = sb_sentences_check(u->sentences, u->n, dimensions, error);
    if (status == SB_OK)
        status = check_nul(u->sentences, u->n, error);
    if (status != SB_OK)
        return status;
    u->key = c.key;
    free(u->rows->vectors);
    u->rows->vectors = malloc(ROWS * sb_pg_vector_size(dimensions));
    if (!u->rows->vectors)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", u->n);
    for (size_t i = 0; status == SB_OK && i < u->n; i += ROWS)
        status = write_rows(pg, u, i, u->n - i < ROWS ? u->n - i : ROWS, dimensions, error);
    u->needs_index = c.info.search == SB_SEARCH_AUTO && !c.info.is_indexed &&
                     (size_t)c.info.count + u->inserted >= atomic_load(&pg->store->approximate_from);
    return status == SB_OK ? count_change(pg, c.key, (int64_t)u->inserted, error) : status;
}

enum sb_status sb_pg_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                            const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                            struct sb_error *error)
{
    struct upserting u = {.collection = collection, .model_hash = model_hash, .sentences = sentences, .n = n};
    u.rows = calloc(1, sizeof *u.rows);
    if (!u.rows)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", n);
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, upsert, &u, error);
    sb_buffer_free(&u.rows->sql);
    sb_buffer_free(&u.rows->terms);
    free(u.rows->vectors);
    free(u.rows);
    if (status != SB_OK)
        return status;
    if (inserted)
        *inserted = u.inserted;
    if (updated)
        *updated = n - u.inserted;
    if (u.needs_index)
        sb_pg_indexer_wake(sb_postgres_of(store));
    return SB_OK;
}

/* ---- delete ---- */

struct deleting {
    const char *collection;
    const char *const *ids;
    size_t n, deleted;
};

static enum sb_status delete_rows(struct sb_pg *pg, int64_t key, const char *const *ids, size_t n, size_t *deleted,
                                  struct sb_error *error)
{
    struct sb_buffer sql = {0};
    sb_buffer_format(&sql, "DELETE FROM simbert.sentences_%lld WHERE id IN (", (long long)key);
    for (size_t i = 0; i < n; i++)
        sb_buffer_format(&sql, "%s$%zu::text", i ? ", " : "", i + 1);
    sb_buffer_text(&sql, ")");
    if (sql.failed) {
        sb_buffer_free(&sql);
        return sb_fail(error, SB_NO_MEMORY, "no memory to delete %zu sentences", n);
    }
    PGresult *result = PQexecParams(pg->connection, sql.data, (int)n, NULL, ids, NULL, NULL, 1);
    enum sb_status status = SB_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        status = sb_pg_fail(pg, result, "deleting sentences", error);
    else
        *deleted += strtoull(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    sb_buffer_free(&sql);
    return status;
}

static enum sb_status delete_all(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct deleting *d = context;
    struct sb_pg_collection c;
    d->deleted = 0;
    enum sb_status status = sb_pg_find(pg, d->collection, true, &c, error);
    for (size_t i = 0; status == SB_OK && i < d->n; i += ROWS)
        status = delete_rows(pg, c.key, d->ids + i, d->n - i < ROWS ? d->n - i : ROWS, &d->deleted, error);
    return status == SB_OK ? count_change(pg, c.key, -(int64_t)d->deleted, error) : status;
}

enum sb_status sb_pg_delete(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                            size_t *deleted, struct sb_error *error)
{
    struct deleting d = {.collection = collection, .ids = ids, .n = n};
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_WRITE, delete_all, &d, error);
    if (deleted)
        *deleted = status == SB_OK ? d.deleted : 0;
    return status;
}
