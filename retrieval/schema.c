/*
 * The store's database file: its schema, and how statements and transactions run in it.
 */
#include "retrieval/sqlite_file.h"
#include "retrieval/store_impl.h"

enum { APPLICATION_ID = 0x53424D54 }; /* "SBMT" */

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

enum sb_status sb_sqlite_fail(const struct sb_store *store, int code, const char *doing, struct sb_error *error)
{
    return sb_fail(error, sb_sqlite_status(code), "%s: %s: %s", store->path, doing,
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

enum sb_status sb_schema_open(struct sb_store *store, struct sb_error *error)
{
    return sb_sqlite_file_open(&store->db, store->path, APPLICATION_ID, steps, sizeof steps / sizeof *steps, error);
}
