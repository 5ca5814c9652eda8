/* Reading sentences: by id, in pages, all of them. */
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VISIT_ROWS = 500 };

struct sb_sentence sb_pg_sentence(const PGresult *result, int row)
{
    return (struct sb_sentence){.id = PQgetvalue(result, row, 0),
                                .text = PQgetvalue(result, row, 1),
                                .text_size = (size_t)PQgetlength(result, row, 1),
                                .metadata = PQgetvalue(result, row, 2)};
}

static enum sb_status bad_vector(const struct sb_pg *pg, const char *id, struct sb_error *error)
{
    return sb_fail(error, SB_CORRUPT, "%s: the vector of sentence '%.100s' has a wrong size", pg->store->name, id);
}

/* Copies all rows into one allocation; with dimensions, the vectors in column 3 too. */
static enum sb_status copy_rows(struct sb_pg *pg, struct sb_sentences *out, const PGresult *result, size_t dimensions,
                                struct sb_error *error)
{
    size_t n = (size_t)PQntuples(result), bytes = n * (sizeof(struct sb_sentence) + dimensions * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        struct sb_sentence sentence = sb_pg_sentence(result, (int)i);
        bytes += sb_sentence_strings_size(&sentence);
    }
    char *memory = malloc(bytes + 1);
    if (!memory)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", n);
    struct sb_sentence *items = (struct sb_sentence *)(void *)memory;
    float *vectors = (float *)(void *)(items + n);
    char *at = (char *)(vectors + n * dimensions);
    for (size_t i = 0; i < n; i++) {
        struct sb_sentence sentence = sb_pg_sentence(result, (int)i);
        at = sb_sentence_copy(&items[i], &sentence, at);
        if (dimensions == 0)
            continue;
        items[i].vector = vectors + i * dimensions;
        if (!sb_pg_vector_get(vectors + i * dimensions, dimensions, result, (int)i, 3)) {
            enum sb_status status = bad_vector(pg, items[i].id, error);
            free(memory);
            return status;
        }
    }
    *out = (struct sb_sentences){items, n, dimensions, memory};
    return SB_OK;
}

/* ---- get, scroll ---- */

struct reading {
    const char *collection, *id; /* of the sentence, or after which; NULL: from the start */
    size_t limit;
    struct sb_sentences *out;
};

static enum sb_status get(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct reading *r = context;
    struct sb_pg_collection c;
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    char sql[128];
    enum sb_status status = sb_pg_find(pg, r->collection, false, &c, error);
    if (status != SB_OK)
        return status;
    sb_pg_text(&values, r->id);
    snprintf(sql, sizeof sql, "SELECT id, text, metadata, vector FROM simbert.sentences_%lld WHERE id = $1",
             (long long)c.key);
    status = sb_pg_query(pg, sql, &values, "reading a sentence", &result, error);
    if (status != SB_OK)
        return status;
    sb_sentences_free(r->out); /* of an attempt that broke off */
    if (PQntuples(result) == 1)
        status = copy_rows(pg, r->out, result, (size_t)c.info.dimensions, error);
    else
        status = sb_fail(error, SB_NOT_FOUND, "collection '%s' has no sentence '%.100s'", r->collection, r->id);
    PQclear(result);
    return status;
}

static enum sb_status read_sentences(struct sb_store *store, struct reading *r,
                                     enum sb_status (*work)(struct sb_pg *pg, void *context, struct sb_error *error),
                                     struct sb_error *error)
{
    *r->out = (struct sb_sentences){0};
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, work, r, error);
    if (status != SB_OK)
        sb_sentences_free(r->out);
    return status;
}

enum sb_status sb_pg_get(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                         struct sb_error *error)
{
    struct reading r = {.collection = collection, .id = id, .out = out};
    return read_sentences(store, &r, get, error);
}

/* Sequences begin at 1. */
static enum sb_status find_start(struct sb_pg *pg, int64_t key, const char *after, int64_t *sequence,
                                 struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    char sql[96];
    *sequence = 0;
    if (!after)
        return SB_OK;
    sb_pg_text(&values, after);
    snprintf(sql, sizeof sql, "SELECT sequence FROM simbert.sentences_%lld WHERE id = $1", (long long)key);
    enum sb_status status = sb_pg_query(pg, sql, &values, "reading sentences", &result, error);
    if (status != SB_OK)
        return status;
    if (PQntuples(result) == 1)
        *sequence = sb_pg_get_int(result, 0, 0);
    else
        status = sb_fail(error, SB_NOT_FOUND, "there is no sentence '%.100s' to go on after", after);
    PQclear(result);
    return status;
}

static enum sb_status scroll(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct reading *r = context;
    struct sb_pg_collection c;
    struct sb_pg_values values = {.count = 0};
    PGresult *result;
    int64_t start;
    char sql[160];
    enum sb_status status = sb_pg_find(pg, r->collection, false, &c, error);
    if (status == SB_OK)
        status = find_start(pg, c.key, r->id, &start, error);
    if (status != SB_OK)
        return status;
    sb_pg_number(&values, start);
    sb_pg_number(&values, r->limit < INT32_MAX ? (int64_t)r->limit : INT32_MAX);
    snprintf(sql, sizeof sql,
             "SELECT id, text, metadata FROM simbert.sentences_%lld WHERE sequence > $1 ORDER BY sequence LIMIT $2",
             (long long)c.key);
    status = sb_pg_query(pg, sql, &values, "reading sentences", &result, error);
    if (status == SB_OK) {
        sb_sentences_free(r->out); /* of an attempt that broke off */
        status = copy_rows(pg, r->out, result, 0, error);
        PQclear(result);
    }
    return status;
}

enum sb_status sb_pg_scroll(struct sb_store *store, const char *collection, const char *after, size_t limit,
                            struct sb_sentences *out, struct sb_error *error)
{
    struct reading r = {.collection = collection, .id = after, .limit = limit, .out = out};
    return read_sentences(store, &r, scroll, error);
}

/* ---- visit ---- */

struct visiting {
    const char *collection;
    sb_visit visit;
    void *context;
    float *vector;
};

/* Columns id, text, metadata, vector, sequence. */
static enum sb_status visit_rows(struct sb_pg *pg, struct visiting *v, const PGresult *result, size_t dimensions,
                                 bool *goes_on, struct sb_error *error)
{
    pg->is_visible = true;
    for (int i = 0; *goes_on && i < PQntuples(result); i++) {
        struct sb_sentence sentence = sb_pg_sentence(result, i);
        if (!sb_pg_vector_get(v->vector, dimensions, result, i, 3))
            return bad_vector(pg, sentence.id, error);
        sentence.vector = v->vector;
        *goes_on = v->visit(v->context, &sentence, dimensions);
    }
    return SB_OK;
}

static enum sb_status visit(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct visiting *v = context;
    struct sb_pg_collection c;
    int64_t start = 0;
    bool goes_on = true;
    char sql[192];
    enum sb_status status = sb_pg_find(pg, v->collection, false, &c, error);
    if (status != SB_OK)
        return status;
    free(v->vector);
    v->vector = malloc((size_t)c.info.dimensions * sizeof *v->vector);
    if (!v->vector)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a vector");
    snprintf(sql, sizeof sql,
             "SELECT id, text, metadata, vector, sequence FROM simbert.sentences_%lld WHERE sequence > $1"
             " ORDER BY sequence LIMIT %d",
             (long long)c.key, VISIT_ROWS);
    while (status == SB_OK && goes_on) {
        struct sb_pg_values values = {.count = 0};
        PGresult *result;
        sb_pg_number(&values, start);
        status = sb_pg_query(pg, sql, &values, "reading sentences", &result, error);
        if (status != SB_OK)
            break;
        int n = PQntuples(result);
        goes_on = n > 0;
        start = goes_on ? sb_pg_get_int(result, n - 1, 4) : 0;
        status = visit_rows(pg, v, result, (size_t)c.info.dimensions, &goes_on, error);
        PQclear(result);
    }
    return status;
}

enum sb_status sb_pg_visit(struct sb_store *store, const char *collection, sb_visit callback, void *context,
                           struct sb_error *error)
{
    struct visiting v = {.collection = collection, .visit = callback, .context = context};
    enum sb_status status = sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, visit, &v, error);
    free(v.vector);
    return status;
}
