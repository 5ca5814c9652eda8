/*
 * Connections, statements and transactions. Connections are made when they are needed, and kept. After the database has
 * gone away all are stale: the first one that finds out drops the idle ones, and its work is done again on a new one.
 * While it is away, attempts to connect come at growing distances, and calls in between fail at once.
 */
#include "retrieval/postgres/postgres.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OLDEST_SERVER = 120000 };
static const int64_t FIRST_DELAY = 100000000, LONGEST_DELAY = 2000000000; /* ns */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- connecting ---- */

/* Notices say nothing that matters; libpq would print them. */
static void ignore_notice(void *context, const char *message)
{
    (void)context, (void)message;
}

static PGconn *dial(const struct sb_postgres *store)
{
    /* what the URL says has the last word */
    const char *names[] = {"connect_timeout", "keepalives_idle", "tcp_user_timeout", "application_name",
                           "dbname",          "client_encoding", NULL};
    const char *values[] = {"5", "30", "30000", "simbert", store->url, "UTF8", NULL};
    PGconn *connection = PQconnectdbParams(names, values, 1);
    if (connection)
        PQsetNoticeProcessor(connection, ignore_notice, NULL);
    return connection;
}

/* No statement waits for ever, unless the database or its user has limits of its own; a commit is on disk. */
static const char settings_sql[] =
    "SELECT set_config('statement_timeout', '60s', false) WHERE current_setting('statement_timeout') = '0'"
    " UNION ALL SELECT set_config('lock_timeout', '30s', false) WHERE current_setting('lock_timeout') = '0'"
    " UNION ALL SELECT set_config('idle_in_transaction_session_timeout', '5min', false)"
    " WHERE current_setting('idle_in_transaction_session_timeout') = '0'"
    " UNION ALL SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')";

static enum sb_status set_up(struct sb_pg *pg, struct sb_error *error)
{
    const char *encoding = PQparameterStatus(pg->connection, "server_encoding");
    if (PQserverVersion(pg->connection) < OLDEST_SERVER)
        return sb_fail(error, SB_UNSUPPORTED, "%s: PostgreSQL %d is too old; 12 is needed", pg->store->name,
                       PQserverVersion(pg->connection) / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s: its encoding is %s; a database of UTF8 is needed", pg->store->name,
                       encoding ? encoding : "unknown");
    return sb_pg_query(pg, settings_sql, NULL, "preparing a connection", NULL, error);
}

/* Without the lock. */
PGconn *sb_pg_connect(struct sb_postgres *store, struct sb_error *error)
{
    struct sb_pg pg = {.store = store, .connection = dial(store)};
    enum sb_status status = SB_OK;
    if (!pg.connection)
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for a connection", store->name);
    else if (PQstatus(pg.connection) != CONNECTION_OK)
        status = sb_pg_fail(&pg, NULL, "connecting", error);
    else
        status = set_up(&pg, error);
    if (status == SB_OK)
        return pg.connection;
    PQfinish(pg.connection);
    return NULL;
}

/* Counts the caller among those in use. An idle connection if there is one, or NULL: it is to make one. Under the
   lock. */
static enum sb_status wait_for_place(struct sb_postgres *store, PGconn **idle, struct sb_error *error)
{
    while (store->in_use == SB_PG_CONNECTIONS)
        pthread_cond_wait(&store->freed, &store->lock);
    *idle = NULL;
    if (store->idle_count > 0)
        *idle = store->idle[--store->idle_count];
    else if (now() < store->connect_at)
        return sb_fail(error, SB_UNAVAILABLE, "%s", store->reason);
    store->in_use++;
    return SB_OK;
}

/* Under the lock. */
static void note_attempt(struct sb_postgres *store, bool connected, const struct sb_error *error)
{
    store->delay = connected ? 0 : store->delay ? 2 * store->delay : FIRST_DELAY;
    if (store->delay > LONGEST_DELAY)
        store->delay = LONGEST_DELAY;
    store->connect_at = connected ? 0 : now() + store->delay;
    if (!connected)
        snprintf(store->reason, sizeof store->reason, "%s", error->message);
}

/* In a database whose schema is up to date. */
static enum sb_status begin_use(struct sb_pg *pg, struct sb_error *error)
{
    struct sb_postgres *store = pg->store;
    struct sb_error why = {0};
    pthread_mutex_lock(&store->lock);
    enum sb_status status = wait_for_place(store, &pg->connection, error);
    bool is_migrated = store->is_migrated;
    pthread_mutex_unlock(&store->lock);
    if (status != SB_OK || pg->connection)
        return status;
    pg->connection = sb_pg_connect(store, &why);
    status = pg->connection ? SB_OK : why.status;
    if (status == SB_OK && !is_migrated)
        status = sb_pg_migrate(pg, &why);
    pthread_mutex_lock(&store->lock);
    note_attempt(store, status == SB_OK, &why);
    store->is_migrated = store->is_migrated || status == SB_OK;
    if (status != SB_OK) {
        store->in_use--;
        pthread_cond_signal(&store->freed);
    }
    pthread_mutex_unlock(&store->lock);
    if (status == SB_OK)
        return SB_OK;
    PQfinish(pg->connection);
    pg->connection = NULL;
    return sb_fail(error, status, "%s", why.message);
}

static void end_use(struct sb_pg *pg)
{
    struct sb_postgres *store = pg->store;
    PGconn *stale[SB_PG_CONNECTIONS + 1];
    int count = 0;
    bool is_sound = PQstatus(pg->connection) == CONNECTION_OK && PQtransactionStatus(pg->connection) == PQTRANS_IDLE;
    pthread_mutex_lock(&store->lock);
    if (is_sound) {
        store->idle[store->idle_count++] = pg->connection;
    } else {
        stale[count++] = pg->connection;
        while (store->idle_count > 0)
            stale[count++] = store->idle[--store->idle_count];
    }
    store->in_use--;
    pthread_cond_signal(&store->freed);
    pthread_mutex_unlock(&store->lock);
    while (count > 0)
        PQfinish(stale[--count]);
}

/* ---- statements ---- */

void sb_pg_bytes(struct sb_pg_values *values, const void *bytes, size_t size)
{
    values->data[values->count] = bytes;
    values->sizes[values->count] = (int)size;
    values->is_binary[values->count++] = 1;
}

void sb_pg_text(struct sb_pg_values *values, const char *text)
{
    values->data[values->count] = text;
    values->is_binary[values->count++] = 0;
}

void sb_pg_number(struct sb_pg_values *values, int64_t number)
{
    char *digits = values->numbers[values->count];
    snprintf(digits, sizeof *values->numbers, "%lld", (long long)number);
    sb_pg_text(values, digits);
}

enum sb_status sb_pg_query(struct sb_pg *pg, const char *sql, const struct sb_pg_values *values, const char *doing,
                           PGresult **result, struct sb_error *error)
{
    static const struct sb_pg_values none = {.count = 0};
    if (!values)
        values = &none;
    PGresult *answer = PQexecParams(pg->connection, sql, values->count, NULL, values->data, values->sizes,
                                    values->is_binary, 1);
    ExecStatusType code = PQresultStatus(answer); /* of NULL: an error */
    bool good = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK;
    enum sb_status status = good ? SB_OK : sb_pg_fail(pg, answer, doing, error);
    if (result)
        *result = good ? answer : NULL;
    if (!good || !result)
        PQclear(answer);
    return status;
}

static uint64_t get_64(const PGresult *result, int row, int column)
{
    uint64_t bits = 0;
    if (PQgetlength(result, row, column) == sizeof bits)
        memcpy(&bits, PQgetvalue(result, row, column), sizeof bits);
    return be64toh(bits);
}

int64_t sb_pg_get_int(const PGresult *result, int row, int column)
{
    return (int64_t)get_64(result, row, column);
}

double sb_pg_get_double(const PGresult *result, int row, int column)
{
    uint64_t bits = get_64(result, row, column);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool sb_pg_get_bool(const PGresult *result, int row, int column)
{
    return PQgetlength(result, row, column) == 1 && PQgetvalue(result, row, column)[0];
}

/* ---- transactions ---- */

static enum sb_status transact(struct sb_pg *pg, enum sb_pg_mode mode,
                               enum sb_status (*work)(struct sb_pg *pg, void *context, struct sb_error *error),
                               void *context, struct sb_error *error)
{
    static const char *const begin[] = {[SB_PG_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                                        [SB_PG_WRITE] = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"};
    enum sb_status status = begin_use(pg, error);
    if (status != SB_OK)
        return status;
    status = sb_pg_query(pg, begin[mode], NULL, "beginning a transaction", NULL, error);
    if (status == SB_OK)
        status = work(pg, context, error);
    if (status == SB_OK)
        status = sb_pg_query(pg, "COMMIT", NULL, "committing", NULL, error);
    else if (PQstatus(pg->connection) == CONNECTION_OK)
        (void)!sb_pg_query(pg, "ROLLBACK", NULL, "rolling back", NULL, NULL);
    end_use(pg);
    return status;
}

enum sb_status sb_pg_transaction(struct sb_postgres *store, enum sb_pg_mode mode,
                                 enum sb_status (*work)(struct sb_pg *pg, void *context, struct sb_error *error),
                                 void *context, struct sb_error *error)
{
    struct sb_pg pg = {.store = store};
    enum sb_status status = transact(&pg, mode, work, context, error);
    if (!pg.is_lost || pg.is_visible)
        return status;
    pg = (struct sb_pg){.store = store};
    return transact(&pg, mode, work, context, error);
}
