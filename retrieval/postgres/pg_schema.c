/*
 * The schema, in steps: a database remembers how many it has made. All that are missing are made in one transaction,
 * which holds a lock of the database: of several processes that start at once one does it, the others wait and find it
 * done.
 */
#include "retrieval/postgres/postgres.h"

static const char first_step[] =
    "CREATE TABLE simbert.collections ("
    " key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text COLLATE \"C\" NOT NULL UNIQUE,"
    " model_name text NOT NULL, model_hash text NOT NULL, dimensions bigint NOT NULL, search text NOT NULL,"
    " created_at bigint NOT NULL,"
    " sentences bigint NOT NULL DEFAULT 0)";

static const char second_step[] =
    "CREATE TABLE simbert.aliases ("
    " name text COLLATE \"C\" PRIMARY KEY,"
    " collection bigint NOT NULL REFERENCES simbert.collections ON DELETE CASCADE)";

static const char *const steps[] = {first_step, second_step};

enum { STEPS = sizeof steps / sizeof *steps };

/* Class and object of pg_advisory_xact_lock; the class is "simb". */
static const char lock_sql[] = "SELECT pg_advisory_xact_lock(1936289122, 0)";

static enum sb_status create_version(struct sb_pg *pg, struct sb_error *error)
{
    static const char *const statements[] = {
        "CREATE SCHEMA IF NOT EXISTS simbert",
        "CREATE TABLE IF NOT EXISTS simbert.schema_version (steps bigint NOT NULL)",
        "INSERT INTO simbert.schema_version SELECT 0 WHERE NOT EXISTS (SELECT FROM simbert.schema_version)",
    };
    enum sb_status status = SB_OK;
    for (size_t i = 0; status == SB_OK && i < sizeof statements / sizeof *statements; i++)
        status = sb_pg_query(pg, statements[i], NULL, "making its schema", NULL, error);
    return status;
}

/* Only who may make it is asked to: a user who may not finds one that an administrator has made. */
static enum sb_status require_pgvector(struct sb_pg *pg, struct sb_error *error)
{
    PGresult *result;
    enum sb_status status = sb_pg_query(pg, "SELECT extversion FROM pg_extension WHERE extname = 'vector'", NULL,
                                        "looking for pgvector", &result, error);
    if (status != SB_OK)
        return status;
    bool exists = PQntuples(result) == 1;
    PQclear(result);
    if (!exists && sb_pg_query(pg, "CREATE EXTENSION vector", NULL, "adding pgvector", NULL, error) != SB_OK)
        return pg->is_lost ? SB_UNAVAILABLE
                           : sb_fail_context(error, SB_UNSUPPORTED,
                                             "the extension pgvector is needed, 0.5 or newer; an administrator of the "
                                             "database installs it and runs CREATE EXTENSION vector");
    status = sb_pg_query(pg, "SELECT FROM pg_am WHERE amname = 'hnsw'", NULL, "looking for pgvector", &result, error);
    if (status != SB_OK)
        return status;
    bool is_new = PQntuples(result) == 1;
    PQclear(result);
    return is_new ? SB_OK
                  : sb_fail(error, SB_UNSUPPORTED, "%s: its pgvector is too old; 0.5 is needed", pg->store->name);
}

/* -1: there is none yet. */
static enum sb_status read_version(struct sb_pg *pg, int64_t *version, struct sb_error *error)
{
    PGresult *result;
    enum sb_status status = sb_pg_query(pg, "SELECT to_regclass('simbert.schema_version') IS NOT NULL", NULL,
                                        "looking for its schema", &result, error);
    if (status != SB_OK)
        return status;
    bool exists = sb_pg_get_bool(result, 0, 0);
    PQclear(result);
    *version = -1;
    if (!exists)
        return SB_OK;
    status = sb_pg_query(pg, "SELECT steps FROM simbert.schema_version", NULL, "reading its schema's version", &result,
                         error);
    if (status != SB_OK)
        return status;
    if (PQntuples(result) == 1)
        *version = sb_pg_get_int(result, 0, 0);
    PQclear(result);
    return SB_OK;
}

static enum sb_status make_steps(struct sb_pg *pg, int64_t version, struct sb_error *error)
{
    enum sb_status status = version < 0 ? create_version(pg, error) : SB_OK;
    for (int64_t i = version < 0 ? 0 : version; status == SB_OK && i < STEPS; i++)
        status = sb_pg_query(pg, steps[i], NULL, "bringing its schema up to date", NULL, error);
    struct sb_pg_values values = {.count = 0};
    sb_pg_number(&values, STEPS);
    if (status == SB_OK)
        status = sb_pg_query(pg, "UPDATE simbert.schema_version SET steps = $1", &values,
                             "bringing its schema up to date", NULL, error);
    return status;
}

static enum sb_status migrate(struct sb_pg *pg, struct sb_error *error)
{
    int64_t version;
    enum sb_status status = sb_pg_query(pg, lock_sql, NULL, "waiting for its schema", NULL, error);
    if (status == SB_OK)
        status = require_pgvector(pg, error);
    if (status == SB_OK)
        status = read_version(pg, &version, error);
    if (status != SB_OK)
        return status;
    if (version > STEPS)
        return sb_fail(error, SB_UNSUPPORTED,
                       "%s: its schema is of version %lld, made by a newer simbert; this one knows %d", pg->store->name,
                       (long long)version, STEPS);
    return version < STEPS ? make_steps(pg, version, error) : SB_OK;
}

enum sb_status sb_pg_migrate(struct sb_pg *pg, struct sb_error *error)
{
    enum sb_status status = sb_pg_query(pg, "BEGIN", NULL, "beginning a transaction", NULL, error);
    if (status == SB_OK)
        status = migrate(pg, error);
    if (status == SB_OK)
        return sb_pg_query(pg, "COMMIT", NULL, "committing", NULL, error);
    if (PQstatus(pg->connection) == CONNECTION_OK)
        (void)!sb_pg_query(pg, "ROLLBACK", NULL, "rolling back", NULL, NULL);
    return status;
}
