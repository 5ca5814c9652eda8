#include "server/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    APPLICATION_ID = 0x53424A42, /* "SBJB" */
    BUSY_TIMEOUT_MS = 5000,      /* for a moment's lock by a tool that looks after the file, such as a backup */
};

struct sb_database {
    char *path;
    sqlite3 *sqlite;
};

static enum sb_status fail(const struct sb_database *db, int code, struct sb_error *error)
{
    enum sb_status status = SB_INTERNAL;
    switch (code & 0xFF) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT: /* our statements are fixed: with a sound file these can not be */
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: status = SB_CORRUPT; break;
    case SQLITE_NOMEM: status = SB_NO_MEMORY; break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: status = SB_CONFLICT; break;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_TOOBIG: status = SB_IO; break;
    default: break;
    }
    return sb_fail(error, status, "%s: %s", db->path, db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code));
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

static enum sb_status script(struct sb_database *db, const char *sql, struct sb_error *error)
{
    int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SB_OK : fail(db, code, error);
}

/* Takes the missing steps in one transaction. */
static enum sb_status migrate(struct sb_database *db, const char *const *steps, int64_t version, int count,
                              struct sb_error *error)
{
    char mark[128];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", APPLICATION_ID, count);
    enum sb_status status = script(db, "BEGIN IMMEDIATE", error);
    for (int64_t i = version; status == SB_OK && i < count; i++)
        status = script(db, steps[i], error);
    if (status == SB_OK)
        status = script(db, mark, error);
    if (status != SB_OK)
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static enum sb_status recognise(struct sb_database *db, const char *const *steps, int count, struct sb_error *error)
{
    int64_t application = 0, version = 0, tables = 0;
    enum sb_status status = sb_database_number(db, &application, error, "PRAGMA application_id", "");
    if (status == SB_OK)
        status = sb_database_number(db, &version, error, "PRAGMA user_version", "");
    if (status == SB_OK)
        status = sb_database_number(db, &tables, error, "SELECT count(*) FROM sqlite_schema", "");
    if (status != SB_OK)
        return status;
    if (application != APPLICATION_ID && (tables || application || version))
        return sb_fail(error, SB_INVALID, "%s: a database of another program; it is left as it is", db->path);
    if (version > count)
        return sb_fail(error, SB_UNSUPPORTED, "%s: schema version %lld is newer than this program's %d", db->path,
                       (long long)version, count);
    if (version < 0)
        return sb_fail(error, SB_CORRUPT, "%s: schema version %lld", db->path, (long long)version);
    return version < count ? migrate(db, steps, version, count, error) : SB_OK;
}

/* SQLite answers with the mode that it could take, and opens a file that it may only read without a word. */
static enum sb_status make_durable(struct sb_database *db, struct sb_error *error)
{
    sqlite3_stmt *statement;
    bool row = false;
    if (sqlite3_db_readonly(db->sqlite, "main") == 1)
        return sb_fail(error, SB_IO, "%s: the file is read-only", db->path);
    enum sb_status status = sb_database_query(db, &statement, error, "PRAGMA journal_mode = WAL", "");
    if (status == SB_OK)
        status = sb_database_step(db, statement, &row, error);
    if (status == SB_OK && (!row || strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0))
        status = sb_fail(error, SB_IO, "%s: this file system can not keep a write-ahead log", db->path);
    sqlite3_finalize(statement);
    /* FULL: a commit returns when the log is on disk */
    return status == SB_OK ? script(db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;", error) : status;
}

enum sb_status sb_database_open(struct sb_database **db, const char *path, const char *const *steps, int count,
                                struct sb_error *error)
{
    struct sb_database *d = calloc(1, sizeof *d);
    *db = NULL;
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the database", path);
    }
    int code =
        sqlite3_open_v2(path, &d->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    enum sb_status status = code == SQLITE_OK ? SB_OK : fail(d, code, error);
    if (status == SB_OK) {
        sqlite3_extended_result_codes(d->sqlite, 1);
        sqlite3_busy_timeout(d->sqlite, BUSY_TIMEOUT_MS);
        status = recognise(d, steps, count, error);
    }
    if (status == SB_OK)
        status = make_durable(d, error);
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
