/*
 * Lexical search: BM25 over the terms that are stored with the sentences, by the database, the same scores as those of
 * retrieval/lexical.c. A query's lone characters are what all their pairs have in common, so these look through the whole
 * collection; other terms have an index.
 */
#include "base/buffer.h"
#include "retrieval/postgres/postgres.h"
#include "retrieval/terms.h"

#include <stdio.h>
#include <stdlib.h>

/* $1: the query's terms, each as often as it stands there. K1 1.2, B 0.75. */
static const char sql_start[] =
    "DECLARE found NO SCROLL CURSOR FOR"
    " WITH query AS (SELECT term, count(*) AS times FROM unnest($1::bigint[]) AS q(term) GROUP BY term),"
    " hit AS (SELECT d.sequence, q.term, q.times, count(*)::float8 AS frequency, cardinality(d.terms)::float8 AS length"
    "  FROM simbert.sentences_%lld d CROSS JOIN unnest(d.terms) AS x(term) JOIN query q ON %s"
    "  WHERE %s GROUP BY d.sequence, q.term, q.times),"
    " total AS (SELECT count(*)::float8 AS n, greatest(coalesce(avg(cardinality(terms)), 1), 1)::float8 AS length"
    "  FROM simbert.sentences_%lld),"
    " weight AS (SELECT term, times * ln(1 + (n - count(*) + 0.5) / (count(*) + 0.5)) AS weight"
    "  FROM hit CROSS JOIN total GROUP BY term, times, n),"
    " score AS (SELECT sequence, sum(weight * frequency * 2.2 /"
    "   (frequency + 1.2 * (0.25 + 0.75 * hit.length / total.length))) AS score"
    "  FROM hit JOIN weight USING (term) CROSS JOIN total GROUP BY sequence)"
    " SELECT id, text, metadata, score::float8 FROM score JOIN simbert.sentences_%lld USING (sequence)"
    " ORDER BY score DESC, sequence";

static const char by_index_on[] = "q.term = x.term", by_index_where[] = "d.terms && $1::bigint[]";
/* A pair (retrieval/terms.h) holds its characters in 21 bits each, a lone one 0 as the second; words are below 0. */
static const char by_character_on[] =
    "(q.term = x.term OR (x.term >= 0 AND q.term >= 0 AND q.term & 2097151 = 0"
    " AND (x.term >> 21 = q.term >> 21 OR x.term & 2097151 = q.term >> 21)))";

struct searching {
    const char *collection;
    const struct sb_text_search *search;
    struct sb_search_results *results;
    struct sb_pg_ranking ranking;
    struct sb_buffer terms, sql;
};

static bool has_lone_character(struct sb_text_query query)
{
    struct sb_terms terms = sb_terms_of(query.text, query.size);
    sb_term term;
    while (sb_terms_next(&terms, &term))
        if (sb_term_character(term))
            return true;
    return false;
}

static enum sb_status search_one(struct sb_pg *pg, struct searching *s, int64_t key, struct sb_text_query query,
                                 struct sb_error *error)
{
    bool by_character = has_lone_character(query), complete;
    struct sb_pg_values values = {.count = 0};
    long long k = (long long)key;
    sb_buffer_reset(&s->terms);
    sb_buffer_reset(&s->sql);
    sb_pg_terms_put(&s->terms, query.text, query.size);
    sb_buffer_format(&s->sql, sql_start, k, by_character ? by_character_on : by_index_on,
                     by_character ? "true" : by_index_where, k, k);
    if (s->terms.failed || s->sql.failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a query");
    sb_pg_bytes(&values, s->terms.data, s->terms.length);
    return sb_pg_rank(pg, &s->ranking, s->sql.data, &values, &complete, error);
}

static enum sb_status search_all(struct sb_pg *pg, struct searching *s, struct sb_error *error)
{
    struct sb_pg_collection c;
    enum sb_status status = sb_pg_find(pg, s->collection, false, &c, error);
    if (status != SB_OK)
        return status;
    s->ranking.ends = calloc(s->search->queries, sizeof *s->ranking.ends);
    if (!s->ranking.ends)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu queries", s->search->queries);
    for (size_t i = 0; status == SB_OK && i < s->search->queries; i++)
        status = search_one(pg, s, c.key, s->search->texts[i], error);
    if (status == SB_OK && !sb_pg_ranking_finish(&s->ranking, s->results))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the results of %zu queries", s->search->queries);
    return status;
}

static enum sb_status search_work(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct searching *s = context;
    const struct sb_text_search *search = s->search;
    sb_search_results_free(s->results); /* of an attempt that broke off */
    s->ranking = (struct sb_pg_ranking){.top_k = search->top_k,
                                        .min_score = search->min_score,
                                        .keep = search->keep,
                                        .keep_context = search->keep_context};
    enum sb_status status = search_all(pg, s, error);
    sb_pg_ranking_free(&s->ranking);
    return status;
}

enum sb_status sb_pg_search_text(struct sb_store *store, const char *collection, const struct sb_text_search *search,
                                 struct sb_search_results *results, struct sb_error *error)
{
    struct searching s = {.collection = collection, .search = search, .results = results};
    *results = (struct sb_search_results){0};
    enum sb_status status = sb_text_search_check(search, error);
    if (status == SB_OK)
        status = sb_pg_transaction(sb_postgres_of(store), SB_PG_READ, search_work, &s, error);
    sb_buffer_free(&s.terms);
    sb_buffer_free(&s.sql);
    if (status != SB_OK)
        sb_search_results_free(results);
    return status;
}
