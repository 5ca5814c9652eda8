/*
 * Checking a database, and making a sound one of what is intact: SQLite's own check of the file's structure, then each row
 * by the rules that calls are held to. Rows behind a damaged page are looked for one by one.
 */
#include "base/file.h"
#include "retrieval/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_STRUCTURE_PROBLEMS = 20 };

struct checking {
    struct sb_store *store, *repaired; /* repaired NULL: only looks */
    struct sb_check *result;
    void (*tell)(void *context, const char *line);
    void *context;
    float *vector; /* room for the largest of the collections' */
    sqlite3_stmt *insert;
};

static void problem(struct checking *c, const char *line)
{
    c->result->problems++;
    if (c->tell)
        c->tell(c->context, line);
}

static enum sb_status check_structure(struct checking *c, struct sb_error *error)
{
    char sql[64], line[512];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "PRAGMA integrity_check(%d)", MOST_STRUCTURE_PROBLEMS);
    int code = sqlite3_prepare_v2(c->store->db, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (text && strcmp(text, "ok") != 0) {
            snprintf(line, sizeof line, "%s: %s", c->store->path, text);
            problem(c, line);
        }
    }
    if ((code & 0xFF) == SQLITE_CORRUPT) {
        snprintf(line, sizeof line, "%s: %s", c->store->path, sqlite3_errmsg(c->store->db));
        problem(c, line);
        code = SQLITE_DONE;
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(c->store, code, "checking", error);
    sqlite3_finalize(statement);
    return status;
}

/* ---- sentences ---- */

/* sb_row_check's columns first, for either of the columns that may hold the vector. */
static const char row_sql[] =
    "SELECT sequence, sentences.id, text, metadata, CASE collections.current WHEN 0 THEN vector ELSE "
    "other_vector END, collection, vector, other_vector, sentences.generation,"
    " sentences.run"
    " FROM sentences LEFT JOIN collections ON collections.id = collection ";
enum { COLUMN_COLLECTION = 5, COLUMN_VECTOR, COLUMN_OTHER, COLUMN_GENERATION, COLUMN_RUN };

static struct sb_collection *with_key(const struct sb_store *store, int64_t key)
{
    for (size_t i = 0; i < store->count; i++)
        if (store->collections[i]->key == key)
            return store->collections[i];
    return NULL;
}

static enum sb_status copy_row(struct checking *c, sqlite3_stmt *row, struct sb_error *error)
{
    static const int columns[] = {0,         COLUMN_COLLECTION, 1, 2, 3, COLUMN_VECTOR, COLUMN_GENERATION, COLUMN_OTHER,
                                  COLUMN_RUN};
    for (int i = 0; i < (int)(sizeof columns / sizeof *columns); i++)
        sqlite3_bind_value(c->insert, i + 1, sqlite3_column_value(row, columns[i]));
    int code = sqlite3_step(c->insert);
    sqlite3_reset(c->insert);
    if (code == SQLITE_DONE || (code & 0xFF) == SQLITE_CONSTRAINT) {
        if (code != SQLITE_DONE)
            problem(c, "a sentence has the id of another; the first one stays");
        c->result->sentences += code == SQLITE_DONE;
        return SB_OK;
    }
    return sb_sqlite_fail(c->repaired, code, "copying what is intact", error);
}

/* A row that could be read: counts it, and copies it, if it may stand there. */
static enum sb_status take_row(struct checking *c, sqlite3_stmt *row, struct sb_error *error)
{
    struct sb_error why;
    struct sb_collection *collection = with_key(c->store, sqlite3_column_int64(row, COLUMN_COLLECTION));
    enum sb_status status = collection ? sb_row_check(c->store, collection, row, c->vector, &why)
                                       : sb_fail(&why, SB_CORRUPT, "%s: sentence %lld is of no collection",
                                                 c->store->path, (long long)sqlite3_column_int64(row, 0));
    if (status == SB_CORRUPT) {
        problem(c, why.message);
        return SB_OK;
    }
    if (status != SB_OK)
        return sb_fail(error, status, "%s", why.message);
    if (c->insert)
        return copy_row(c, row, error);
    c->result->sentences++;
    return SB_OK;
}

/* Rows from sequence `first` on, until one can not be read. *next: where to go on; -1: all are read. */
static enum sb_status take_rows(struct checking *c, int64_t first, int64_t *next, struct sb_error *error)
{
    char sql[512];
    sqlite3_stmt *row = NULL;
    enum sb_status status = SB_OK;
    snprintf(sql, sizeof sql, "%sWHERE sequence >= %lld ORDER BY sequence", row_sql, (long long)first);
    int code = sqlite3_prepare_v2(c->store->db, sql, -1, &row, NULL);
    *next = first;
    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    while (status == SB_OK && code == SQLITE_ROW) {
        *next = sqlite3_column_int64(row, 0) + 1;
        status = take_row(c, row, error);
        if (status == SB_OK)
            code = sqlite3_step(row);
    }
    if (status == SB_OK && code == SQLITE_DONE)
        *next = -1;
    else if (status == SB_OK && (code & 0xFF) != SQLITE_CORRUPT)
        status = sb_sqlite_fail(c->store, code, "reading sentences", error);
    sqlite3_finalize(row);
    return status;
}

/* Whether the row can be reached at all. */
static bool can_read(sqlite3_stmt *probe, int64_t sequence)
{
    sqlite3_bind_int64(probe, 1, sequence);
    bool can = sqlite3_step(probe) == SQLITE_ROW;
    sqlite3_reset(probe);
    return can;
}

/* The highest sequence that was ever given, as far as the file still says so. */
static int64_t last_sequence(const struct sb_store *store)
{
    int64_t last = 0;
    if (sb_sqlite_int(store, "SELECT seq FROM sqlite_sequence WHERE name = 'sentences'", &last, NULL) != SB_OK &&
        sb_sqlite_int(store, "SELECT max(sequence) FROM sentences", &last, NULL) != SB_OK)
        return 0;
    return last;
}

static enum sb_status take_all(struct checking *c, struct sb_error *error)
{
    int64_t next = 0, last = last_sequence(c->store);
    sqlite3_stmt *probe = NULL;
    char line[512];
    int code =
        sqlite3_prepare_v2(c->store->db, "SELECT length(vector) FROM sentences WHERE sequence = ?", -1, &probe, NULL);
    enum sb_status status = code == SQLITE_OK ? SB_OK : sb_sqlite_fail(c->store, code, "reading sentences", error);
    while (status == SB_OK && next >= 0 && next <= last) {
        int64_t from = next;
        status = take_rows(c, from, &next, error);
        if (status != SB_OK || next < 0)
            break;
        int64_t damaged = next; /* the next one is behind a damaged page */
        do
            next++;
        while (next <= last && !can_read(probe, next));
        snprintf(line, sizeof line, "%s: sentences %lld to %lld can not be read", c->store->path, (long long)damaged,
                 (long long)next - 1);
        problem(c, line);
    }
    sqlite3_finalize(probe);
    return status;
}

/* ---- the new file ---- */

/* What is small is copied whole: without its collections no sentence means anything. */
static enum sb_status copy_small(struct checking *c, const char *select, const char *insert, int columns,
                                 struct sb_error *error)
{
    sqlite3_stmt *from = NULL, *to = NULL;
    struct sb_store *failed = c->store;
    int code = sqlite3_prepare_v2(c->store->db, select, -1, &from, NULL);
    if (code == SQLITE_OK) {
        failed = c->repaired;
        code = sqlite3_prepare_v2(c->repaired->db, insert, -1, &to, NULL);
    }
    while (code == SQLITE_OK) {
        failed = c->store;
        code = sqlite3_step(from);
        if (code != SQLITE_ROW)
            break;
        for (int i = 0; i < columns; i++)
            sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
        failed = c->repaired;
        code = sqlite3_step(to);
        sqlite3_reset(to);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    enum sb_status status = code == SQLITE_DONE ? SB_OK : sb_sqlite_fail(failed, code, "repairing", error);
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    return status;
}

static enum sb_status copy_all(void *context, struct sb_error *error)
{
    struct checking *c = context;
    enum sb_status status = copy_small(
        c,
        "SELECT id, name, model_name, model_hash, dimensions, created_at, vectors, search, generation, current,"
        " target_name, target_hash, target_dimensions, run FROM collections",
        "INSERT INTO collections (id, name, model_name, model_hash, dimensions, created_at, vectors, search, "
        "generation,"
        " current, target_name, target_hash, target_dimensions, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?)",
        14, error);
    if (status != SB_OK)
        return status;
    /* an alias can be set again */
    if (copy_small(c, "SELECT name, collection FROM aliases", "INSERT INTO aliases (name, collection) VALUES (?, ?)", 2,
                   NULL) != SB_OK)
        problem(c, "the aliases can not all be read");
    int code = sqlite3_prepare_v2(c->repaired->db,
                                  "INSERT INTO sentences (sequence, collection, id, text, metadata, vector, generation,"
                                  " other_vector, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  -1, &c->insert, NULL);
    c->result->sentences = 0;
    status = code == SQLITE_OK ? take_all(c, error) : sb_sqlite_fail(c->repaired, code, "repairing", error);
    sqlite3_finalize(c->insert);
    c->insert = NULL;
    return status;
}

/* <path><ending>, and for the log of writes that SQLite may have left beside it. */
static bool rename_database(const char *from, const char *to)
{
    char *old_log = NULL, *new_log = NULL;
    bool good = asprintf(&old_log, "%s-wal", from) >= 0 && asprintf(&new_log, "%s-wal", to) >= 0 &&
                rename(from, to) == 0 && (rename(old_log, new_log) == 0 || errno == ENOENT);
    free(old_log);
    free(new_log);
    return good;
}

/* Puts the new file in the old one's place. Both are closed. */
static enum sb_status put_in_place(const char *path, const char *fresh, struct sb_error *error)
{
    char *damaged = NULL;
    bool good =
        asprintf(&damaged, "%s.damaged", path) >= 0 && rename_database(path, damaged) && rename_database(fresh, path);
    free(damaged);
    return good ? SB_OK : sb_fail(error, SB_IO, "%s: can not be replaced by %s: %s", path, fresh, strerror(errno));
}

static void close_database(struct sb_store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
}

static enum sb_status repair(struct checking *c, struct sb_error *error)
{
    char *fresh = NULL;
    if (asprintf(&fresh, "%s.repaired", c->store->path) < 0)
        return sb_store_no_memory(c->store, error);
    unlink(fresh); /* of an attempt that was broken off */
    c->repaired = sb_store_new(fresh);
    enum sb_status status = c->repaired ? sb_schema_open(c->repaired, error) : sb_store_no_memory(c->store, error);
    int64_t problems = c->result->problems;
    if (status == SB_OK)
        status = sb_in_transaction(c->repaired, copy_all, c, error);
    c->result->problems = problems; /* they have been told already */
    if (c->repaired)
        close_database(c->repaired);
    if (status == SB_OK) {
        close_database(c->store);
        status = put_in_place(c->store->path, fresh, error);
    }
    c->result->was_repaired = status == SB_OK;
    sb_sqlite_close(c->repaired);
    free(fresh);
    return status;
}

/* The file is open and locked. */
static enum sb_status check_open(struct checking *c, bool wants_repair, struct sb_error *error)
{
    size_t most = 1;
    enum sb_status status = check_structure(c, error);
    if (status == SB_OK)
        status = sb_collections_load_infos(c->store, false, error);
    for (size_t i = 0; status == SB_OK && i < c->store->count; i++)
        most = (size_t)c->store->collections[i]->info.dimensions > most
                   ? (size_t)c->store->collections[i]->info.dimensions
                   : most;
    if (status == SB_OK && !(c->vector = malloc(most * sizeof *c->vector)))
        status = sb_store_no_memory(c->store, error);
    c->result->collections = (int64_t)c->store->count;
    if (status == SB_OK)
        status = take_all(c, error);
    if (status == SB_OK && c->result->problems > 0)
        status = wants_repair
                     ? repair(c, error)
                     : sb_fail(error, SB_CORRUPT, "%s: %lld problems; %lld sentences are intact", c->store->path,
                               (long long)c->result->problems, (long long)c->result->sentences);
    free(c->vector);
    return status;
}

enum sb_status sb_store_check(const char *path, bool wants_repair, void (*tell)(void *context, const char *line),
                              void *context, struct sb_check *check, struct sb_error *error)
{
    *check = (struct sb_check){0};
    if (!sb_file_exists(path))
        return sb_fail(error, SB_NOT_FOUND, "%s: there is no such file", path);
    struct sb_store *store = sb_store_new(path);
    if (!store)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to check the database", path);
    struct checking c = {.store = store, .result = check, .tell = tell, .context = context};
    enum sb_status status = sb_store_lock(store, error);
    if (status == SB_OK)
        status = sb_schema_open(store, error);
    if (status == SB_OK)
        status = check_open(&c, wants_repair, error);
    sb_sqlite_close(store);
    return status;
}
