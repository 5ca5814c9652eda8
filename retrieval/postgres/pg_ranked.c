/*
 * What searches find. Their statements give sentences best first and without end; rows are fetched in growing pieces
 * until enough of them are kept.
 */
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_FETCH_MIN = 64, FETCH_MAX = 4096 };

static bool add(struct sb_pg_ranking *r, const struct sb_sentence *sentence, double score)
{
    if (r->count == r->capacity) {
        size_t capacity = 2 * r->capacity + 64;
        struct sb_match *matches = realloc(r->matches, capacity * sizeof *matches);
        if (!matches)
            return false;
        r->matches = matches;
        r->capacity = capacity;
    }
    char *memory = malloc(sb_sentence_strings_size(sentence));
    if (!memory)
        return false;
    sb_sentence_copy(&r->matches[r->count].sentence, sentence, memory);
    r->matches[r->count++].score = score;
    return true;
}

static void drop_from(struct sb_pg_ranking *r, size_t first)
{
    while (r->count > first)
        free((char *)(uintptr_t)r->matches[--r->count].sentence.id); /* the first of its strings */
}

/* Columns id, text, metadata, score. */
static enum sb_status take(struct sb_pg_ranking *r, const PGresult *result, size_t most, bool *complete,
                           struct sb_error *error)
{
    for (int i = 0; !*complete && i < PQntuples(result); i++) {
        struct sb_sentence sentence = sb_pg_sentence(result, i);
        double score = sb_pg_get_double(result, i, 3);
        *complete = score < r->min_score;
        if (*complete || (r->keep && !r->keep(r->keep_context, &sentence)))
            continue;
        if (!add(r, &sentence, score))
            return sb_fail(error, SB_NO_MEMORY, "no memory for the results of a search");
        *complete = r->count == most;
    }
    return SB_OK;
}

enum sb_status sb_pg_rank(struct sb_pg *pg, struct sb_pg_ranking *ranking, const char *sql,
                          const struct sb_pg_values *values, bool *complete, struct sb_error *error)
{
    size_t most = ranking->count + ranking->top_k, piece = ranking->top_k;
    char fetch[64];
    bool at_end = false;
    *complete = false;
    if (ranking->keep && piece < FIRST_FETCH_MIN)
        piece = FIRST_FETCH_MIN;
    enum sb_status status = sb_pg_query(pg, sql, values, "searching", NULL, error);
    while (status == SB_OK && !*complete && !at_end) {
        PGresult *result;
        snprintf(fetch, sizeof fetch, "FETCH %zu FROM found", piece);
        status = sb_pg_query(pg, fetch, NULL, "searching", &result, error);
        if (status != SB_OK)
            break;
        at_end = (size_t)PQntuples(result) < piece;
        status = take(ranking, result, most, complete, error);
        PQclear(result);
        piece = 2 * piece < FETCH_MAX ? 2 * piece : FETCH_MAX;
    }
    if (status == SB_OK)
        status = sb_pg_query(pg, "CLOSE found", NULL, "searching", NULL, error);
    if (status == SB_OK)
        ranking->ends[ranking->queries++] = ranking->count;
    return status;
}

void sb_pg_ranking_drop_last(struct sb_pg_ranking *ranking)
{
    ranking->queries--;
    drop_from(ranking, ranking->queries ? ranking->ends[ranking->queries - 1] : 0);
}

bool sb_pg_ranking_finish(struct sb_pg_ranking *ranking, struct sb_search_results *results)
{
    size_t strings = 0, count = ranking->count, queries = ranking->queries;
    for (size_t i = 0; i < count; i++)
        strings += sb_sentence_strings_size(&ranking->matches[i].sentence);
    char *memory = malloc(count * sizeof(struct sb_match) + queries * sizeof(size_t) + strings + 1);
    if (!memory)
        return false;
    struct sb_match *matches = (struct sb_match *)(void *)memory;
    size_t *ends = (size_t *)(void *)(matches + count);
    char *at = (char *)(ends + queries);
    for (size_t i = 0; i < count; i++) {
        at = sb_sentence_copy(&matches[i].sentence, &ranking->matches[i].sentence, at);
        matches[i].score = ranking->matches[i].score;
    }
    for (size_t q = 0; q < queries; q++)
        ends[q] = ranking->ends[q];
    *results = (struct sb_search_results){matches, ends, queries, memory};
    return true;
}

void sb_pg_ranking_free(struct sb_pg_ranking *ranking)
{
    drop_from(ranking, 0);
    free(ranking->matches);
    free(ranking->ends);
}
