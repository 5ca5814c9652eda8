/* PostgreSQL's errors in our words, by the class of their SQLSTATE. */
#include "retrieval/postgres/postgres.h"

#include <string.h>

static bool starts(const char *state, const char *class)
{
    return strncmp(state, class, strlen(class)) == 0;
}

/* 57P01 to 57P03: it is stopping, has crashed, is starting. */
static bool is_away(const char *state)
{
    return starts(state, "08") || starts(state, "57P0");
}

static enum sb_status status_of(const char *state)
{
    static const struct {
        const char *class;
        enum sb_status status;
    } classes[] = {
        {"57014", SB_DEADLINE},  /* statement_timeout */
        {"55P03", SB_DEADLINE},  /* lock_timeout */
        {"42P01", SB_NOT_FOUND}, /* a table: of a collection that was dropped since it was looked up */
        {"40", SB_OVERLOADED},   /* transactions that hinder each other */
        {"22", SB_INVALID},      /* a value that can not be stored */
        {"53200", SB_NO_MEMORY}, {"53300", SB_OVERLOADED}, {"53", SB_IO}, /* resources: the disk */
        {"25006", SB_IO},        /* a server that only reads */
        {"42501", SB_IO},        /* not allowed */
        {"58", SB_IO},           {"XX001", SB_CORRUPT},    {"XX002", SB_CORRUPT},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (starts(state, classes[i].class))
            return classes[i].status;
    return SB_INTERNAL;
}

enum sb_status sb_pg_fail(struct sb_pg *pg, const PGresult *result, const char *doing, struct sb_error *error)
{
    const char *field = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL, *state = field ? field : "";
    const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *words = primary ? primary : PQerrorMessage(pg->connection);
    int length = (int)strcspn(words, "\n");
    bool is_lost = PQstatus(pg->connection) != CONNECTION_OK || is_away(state);
    pg->is_lost = pg->is_lost || is_lost || starts(state, "40");
    if (is_lost)
        return sb_fail(error, SB_UNAVAILABLE, "%s does not answer: %.*s", pg->store->name, length, words);
    return sb_fail(error, status_of(state), "%s: %s: %.*s", pg->store->name, doing, length, words);
}
