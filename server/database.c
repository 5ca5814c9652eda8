#include "server/database.h"

#include "retrieval/sqlite_file.h"

#include <stdlib.h>
#include <string.h>

enum { APPLICATION_ID = 0x53424A42 }; /* "SBJB" */

struct sb_database {
    char *path;
    sqlite3 *sqlite;
};

static enum sb_status fail(const struct sb_database *db, int code, struct sb_error *error)
{
    return sb_fail(error, sb_sqlite_status(code), "%s: %s", db->path, sqlite3_errmsg(db->sqlite));
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *statement, const char *types, va_list args)
{
    int code = SQLITE_OK;
    for (int i = 1; *types && code == SQLITE_OK; i++, types++) {
        if (*types == 't')
            code = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else if (*types == 'i')
            code = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        else
            code = sqlite3_bind_double(statement, i, va_arg(args, double));
    }
    return code;
}

static enum sb_status prepare(struct sb_database *db, sqlite3_stmt **statement, struct sb_error *error, const char *sql,
                              const char *types, va_list args)
{
    int code = sqlite3_prepare_v2(db->sqlite, sql, -1, statement, NULL);
    if (code == SQLITE_OK)
        code = bind(*statement, types, args);
    if (code == SQLITE_OK)
        return SB_OK;
    enum sb_status status = fail(db, code, error);
    sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

enum sb_status sb_database_step(struct sb_database *db, sqlite3_stmt *statement, bool *row, struct sb_error *error)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? SB_OK : fail(db, code, error);
}

enum sb_status sb_database_query(struct sb_database *db, sqlite3_stmt **statement, struct sb_error *error,
                                 const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    enum sb_status status = prepare(db, statement, error, sql, types, args);
    va_end(args);
    return status;
}

enum sb_status sb_database_run(struct sb_database *db, struct sb_error *error, const char *sql, const char *types, ...)
{
    va_list args;
    sqlite3_stmt *statement;
    bool row;
    va_start(args, types);
    enum sb_status status = prepare(db, &statement, error, sql, types, args);
    va_end(args);
    if (status == SB_OK)
        status = sb_database_step(db, statement, &row, error);
    sqlite3_finalize(statement);
    return status;
}

enum sb_status sb_database_number(struct sb_database *db, int64_t *value, struct sb_error *error, const char *sql,
                                  const char *types, ...)
{
    va_list args;
    sqlite3_stmt *statement;
    bool row = false;
    va_start(args, types);
    enum sb_status status = prepare(db, &statement, error, sql, types, args);
    va_end(args);
    if (status == SB_OK)
        status = sb_database_step(db, statement, &row, error);
    *value = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

int64_t sb_database_changes(const struct sb_database *db)
{
    return sqlite3_changes64(db->sqlite);
}

int64_t sb_database_last_key(const struct sb_database *db)
{
    return sqlite3_last_insert_rowid(db->sqlite);
}

/* ---- opening ---- */

enum sb_status sb_database_open(struct sb_database **db, const char *path, const char *const *steps, int count,
                                struct sb_error *error)
{
    struct sb_database *d = calloc(1, sizeof *d);
    *db = NULL;
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the database", path);
    }
    enum sb_status status = sb_sqlite_file_open(&d->sqlite, path, APPLICATION_ID, steps, count, error);
    if (status != SB_OK) {
        sb_database_close(d);
        return status;
    }
    *db = d;
    return SB_OK;
}

void sb_database_close(struct sb_database *db)
{
    if (!db)
        return;
    sqlite3_close(db->sqlite);
    free(db->path);
    free(db);
}
