/*
 * The database file: opening, recognising, creating. Each schema version is a step from the one before; user_version
 * says how many have been taken.
 */
#include "retrieval/store_impl.h"

#include <stdio.h>
#include <string.h>

enum {
    APPLICATION_ID = 0x53424D54, /* "SBMT" */
    BUSY_TIMEOUT_MS = 5000,      /* for a moment's lock by a tool that looks after the file, such as a backup */
};

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE collections ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model_name TEXT NOT NULL, model_hash TEXT NOT NULL,"
    " dimensions INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE sentences ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE "
    "CASCADE,"
    " id TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL, vector BLOB NOT NULL, UNIQUE (collection, id)) "
    "STRICT;",
    /* 2: forms of vectors, aliases, the change that a row was last part of (what an index on disk may have missed), and
       the vectors of a model that is taking over: `current` says whether vector or other_vector answers; the other column
       is of the model that is to come if the row's run is the collection's, else of none */
    "ALTER TABLE collections ADD COLUMN vectors TEXT NOT NULL DEFAULT 'f32';"
    "ALTER TABLE collections ADD COLUMN search TEXT NOT NULL DEFAULT 'auto';"
    "ALTER TABLE collections ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE collections ADD COLUMN current INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE collections ADD COLUMN target_name TEXT;"
    "ALTER TABLE collections ADD COLUMN target_hash TEXT;"
    "ALTER TABLE collections ADD COLUMN target_dimensions INTEGER;"
    "ALTER TABLE collections ADD COLUMN run INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sentences ADD COLUMN run INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sentences ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sentences ADD COLUMN other_vector BLOB;"
    "CREATE TABLE aliases (name TEXT PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE "
    "CASCADE) STRICT, WITHOUT ROWID;",
};
enum { SCHEMA_VERSION = sizeof steps / sizeof *steps };

enum sb_status sb_sqlite_fail(const struct sb_store *store, int code, const char *doing, struct sb_error *error)
{
    enum sb_status status = SB_INTERNAL;
    switch (code & 0xFF) {
    /* Our statements are fixed, and what they write keeps the constraints: with a sound file these two can not be. */
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
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
    return sb_fail(error, status, "%s: %s: %s", store->path, doing,
                   store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
}

enum sb_status sb_sqlite_run(const struct sb_store *store, const char *sql, const char *doing, struct sb_error *error)
{
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SB_OK : sb_sqlite_fail(store, code, doing, error);
}

enum sb_status sb_sqlite_int(const struct sb_store *store, const char *sql, int64_t *value, struct sb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SB_OK : sb_sqlite_fail(store, code, "opening the database", error);
}

enum sb_status sb_in_transaction(struct sb_store *store, enum sb_status (*work)(void *context, struct sb_error *error),
                                 void *context, struct sb_error *error)
{
    enum sb_status status = sb_sqlite_run(store, "BEGIN IMMEDIATE", "beginning a change", error);
    if (status != SB_OK)
        return status;
    status = work(context, error);
    if (status == SB_OK)
        status = sb_sqlite_run(store, "COMMIT", "committing a change", error);
    if (status != SB_OK)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL,
                     NULL); /* an error here means there is nothing to roll back */
    return status;
}

/* Takes the missing steps in one transaction. */
static enum sb_status migrate(struct sb_store *store, int64_t version, struct sb_error *error)
{
    char mark[128];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", APPLICATION_ID,
             SCHEMA_VERSION);
    enum sb_status status = sb_sqlite_run(store, "BEGIN IMMEDIATE", "creating the schema", error);
    for (int64_t i = version; status == SB_OK && i < SCHEMA_VERSION; i++)
        status = sb_sqlite_run(store, steps[i], "creating the schema", error);
    if (status == SB_OK)
        status = sb_sqlite_run(store, mark, "creating the schema", error);
    if (status != SB_OK)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static enum sb_status recognise(struct sb_store *store, struct sb_error *error)
{
    int64_t application = 0, version = 0, tables = 0;
    enum sb_status status = sb_sqlite_int(store, "PRAGMA application_id", &application, error);
    if (status == SB_OK)
        status = sb_sqlite_int(store, "PRAGMA user_version", &version, error);
    if (status == SB_OK)
        status = sb_sqlite_int(store, "SELECT count(*) FROM sqlite_schema", &tables, error);
    if (status != SB_OK)
        return status;
    if (tables == 0 && application == 0 && version == 0)
        return migrate(store, 0, error);
    if (application != APPLICATION_ID)
        return sb_fail(error, SB_INVALID, "%s: a database of another program; it is left as it is", store->path);
    if (version > SCHEMA_VERSION)
        return sb_fail(error, SB_UNSUPPORTED, "%s: schema version %lld is newer than this program's %d", store->path,
                       (long long)version, SCHEMA_VERSION);
    if (version < 1)
        return sb_fail(error, SB_CORRUPT, "%s: schema version %lld; the first one is 1", store->path,
                       (long long)version);
    return version < SCHEMA_VERSION ? migrate(store, version, error) : SB_OK;
}

/* SQLite answers with the mode that it could take, and opens a file that it may only read without a word. */
static enum sb_status make_durable(struct sb_store *store, struct sb_error *error)
{
    if (sqlite3_db_readonly(store->db, "main") == 1)
        return sb_fail(error, SB_IO, "%s: the file is read-only", store->path);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    const char *mode = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    enum sb_status status = SB_OK;
    if (code != SQLITE_ROW)
        status = sb_sqlite_fail(store, code, "opening the database", error);
    else if (!mode || strcmp(mode, "wal") != 0)
        status = sb_fail(error, SB_IO, "%s: this file system can not keep a write-ahead log", store->path);
    sqlite3_finalize(statement);
    /* FULL: a commit returns when the log is on disk */
    return status == SB_OK ? sb_sqlite_run(store, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                                           "opening the database", error)
                           : status;
}

enum sb_status sb_schema_open(struct sb_store *store, struct sb_error *error)
{
    int code = sqlite3_open_v2(store->path, &store->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return sb_sqlite_fail(store, code, "opening the database", error);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    enum sb_status status = recognise(store, error);
    return status == SB_OK ? make_durable(store, error) : status;
}
