#include "retrieval/sqlite_file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BUSY_TIMEOUT_MS = 5000 }; /* for a moment's lock by a tool that looks after the file, such as a backup */

struct file {
    sqlite3 *db;
    const char *path;
    int application_id;
    const char *const *steps;
    int count;
};

enum sb_status sb_sqlite_status(int code)
{
    switch (code & 0xFF) {
    /* Our statements are fixed, and what they write keeps the constraints: with a sound file these two can not be. */
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return SB_CORRUPT;
    case SQLITE_NOMEM: return SB_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return SB_CONFLICT;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_TOOBIG: return SB_IO;
    default: return SB_INTERNAL;
    }
}

static enum sb_status fail(const struct file *file, int code, const char *doing, struct sb_error *error)
{
    return sb_fail(error, sb_sqlite_status(code), "%s: %s: %s", file->path, doing,
                   file->db ? sqlite3_errmsg(file->db) : sqlite3_errstr(code));
}

static enum sb_status run(const struct file *file, const char *sql, const char *doing, struct sb_error *error)
{
    int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SB_OK : fail(file, code, doing, error);
}

static enum sb_status number(const struct file *file, const char *sql, int64_t *value, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SB_OK : fail(file, code, "opening the database", error);
}

/* Takes the missing steps in one transaction. */
static enum sb_status migrate(const struct file *file, int64_t version, struct sb_error *error)
{
    char mark[128];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", file->application_id,
             file->count);
    enum sb_status status = run(file, "BEGIN IMMEDIATE", "creating the schema", error);
    for (int64_t i = version; status == SB_OK && i < file->count; i++)
        status = run(file, file->steps[i], "creating the schema", error);
    if (status == SB_OK)
        status = run(file, mark, "creating the schema", error);
    if (status != SB_OK)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static enum sb_status recognise(const struct file *file, struct sb_error *error)
{
    int64_t application = 0, version = 0, tables = 0;
    enum sb_status status = number(file, "PRAGMA application_id", &application, error);
    if (status == SB_OK)
        status = number(file, "PRAGMA user_version", &version, error);
    if (status == SB_OK)
        status = number(file, "SELECT count(*) FROM sqlite_schema", &tables, error);
    if (status != SB_OK)
        return status;
    if (tables == 0 && application == 0 && version == 0)
        return migrate(file, 0, error);
    if (application != file->application_id)
        return sb_fail(error, SB_INVALID, "%s: a database of another program; it is left as it is", file->path);
    if (version > file->count)
        return sb_fail(error, SB_UNSUPPORTED, "%s: schema version %lld is newer than this program's %d", file->path,
                       (long long)version, file->count);
    if (version < 1)
        return sb_fail(error, SB_CORRUPT, "%s: schema version %lld; the first one is 1", file->path,
                       (long long)version);
    return version < file->count ? migrate(file, version, error) : SB_OK;
}

/* SQLite answers with the mode that it could take, and opens a file that it may only read without a word. */
static enum sb_status make_durable(const struct file *file, struct sb_error *error)
{
    if (sqlite3_db_readonly(file->db, "main") == 1)
        return sb_fail(error, SB_IO, "%s: the file is read-only", file->path);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    const char *mode = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    enum sb_status status = SB_OK;
    if (code != SQLITE_ROW)
        status = fail(file, code, "opening the database", error);
    else if (!mode || strcmp(mode, "wal") != 0)
        status = sb_fail(error, SB_IO, "%s: this file system can not keep a write-ahead log", file->path);
    sqlite3_finalize(statement);
    /* FULL: a commit returns when the log is on disk */
    return status == SB_OK ? run(file, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;", "opening the database", error)
                           : status;
}

enum sb_status sb_sqlite_file_open(sqlite3 **db, const char *path, int application_id, const char *const *steps,
                                   int count, struct sb_error *error)
{
    struct file file = {.path = path, .application_id = application_id, .steps = steps, .count = count};
    int code = sqlite3_open_v2(path, &file.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    enum sb_status status = code == SQLITE_OK ? SB_OK : fail(&file, code, "opening the database", error);
    if (status == SB_OK) {
        sqlite3_extended_result_codes(file.db, 1);
        sqlite3_busy_timeout(file.db, BUSY_TIMEOUT_MS);
        status = recognise(&file, error);
    }
    if (status == SB_OK)
        status = make_durable(&file, error);
    if (status != SB_OK) {
        sqlite3_close(file.db);
        file.db = NULL;
    }
    *db = file.db;
    return status;
}
