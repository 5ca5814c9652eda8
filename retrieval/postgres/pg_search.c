/*
 * Search by vectors. Exact: every vector is compared, equal scores come in the order of insertion. Approximate, once
 * the collection has its index: what the index gives, in a fixed number; if a filter leaves too few of that, exact.
 */
#include "retrieval/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>

enum { EF_MIN = 100, EF_MAX = 1000 }; /* candidates of the index; pgvector allows 1000 */

struct searching {
    const char *collection;
    const struct sb_search *search;
    struct sb_search_results *results;
    struct sb_pg_ranking ranking;
    char *vector; /* a query in binary form */
    size_t approximate, exact; /* queries */
};

/* <#> is the negative dot product. */
static void exact_sql(char *sql, size_t size, int64_t key)
{
    snprintf(sql, size,
             "DECLARE found NO SCROLL CURSOR FOR SELECT id, text, metadata, -(vector <#> $1::vector)"
             " FROM simbert.sentences_%lld ORDER BY vector <#> $1::vector, sequence",
             (long long)key);
}

static void approximate_sql(char *sql, size_t size, int64_t key, size_t candidates)
{
    snprintf(sql, size,
             "DECLARE found NO SCROLL CURSOR FOR SELECT id, text, metadata, -distance FROM"
             " (SELECT id, text, metadata, sequence, vector <#> $1::vector AS distance FROM simbert.sentences_%lld"
             " ORDER BY vector <#> $1::vector LIMIT %zu) candidates ORDER BY distance, sequence",
             (long long)key, candidates);
}

static enum sb_status use_index(struct sb_pg *pg, bool use, size_t candidates, struct sb_error *error)
{
    struct sb_pg_values values = {.count = 0};
    sb_pg_number(&values, (int64_t)candidates);
    sb_pg_text(&values, use ? "on" : "off");
    sb_pg_text(&values, use ? "off" : "on");
    return sb_pg_query(pg,
                       "SELECT set_config('hnsw.ef_search', $1, true), set_config('enable_indexscan', $2, true),"
                       " set_config('enable_seqscan', $3, true)",
                       &values, "choosing how to search", NULL, error);
}

static size_t candidates_of(const struct sb_search *search)
{
    size_t wanted = search->keep ? EF_MAX : 2 * search->top_k;
    return wanted < EF_MIN ? EF_MIN : wanted > EF_MAX ? EF_MAX : wanted;
}

static enum sb_status search_one(struct sb_pg *pg, struct searching *s, const struct sb_pg_collection *c, size_t query,
                                 struct sb_error *error)
{
    const struct sb_search *search = s->search;
    size_t dimensions = (size_t)c->info.dimensions, candidates = candidates_of(search);
    struct sb_pg_values values = {.count = 0};
    char sql[512];
    bool complete = false;
    enum sb_status status = SB_OK;
    sb_pg_vector_put(s->vector, search->vectors + query * dimensions, dimensions);
    sb_pg_bytes(&values, s->vector, sb_pg_vector_size(dimensions));
    if (c->info.is_indexed && !search->exact) {
        approximate_sql(sql, sizeof sql, c->key, candidates);
        status = use_index(pg, true, candidates, error);
        if (status == SB_OK)
            status = sb_pg_rank(pg, &s->ranking, sql, &values, &complete, error);
        s->approximate += status == SB_OK && complete;
        if (status != SB_OK || complete)
            return status;
        sb_pg_ranking_drop_last(&s->ranking);
    }
    exact_sql(sql, sizeof sql, c->key);
    status = use_index(pg, false, candidates, error);
    if (status == SB_OK)
        status = sb_pg_rank(pg, &s->ranking, sql, &values, &complete, error);
    s->exact += status == SB_OK;
    return status;
}

static enum sb_status search_all(struct sb_pg *pg, struct searching *s, struct sb_error *error)
{
    struct sb_pg_collection c;
    enum sb_status status = sb_pg_find(pg, s->collection, false, &c, error);
    if (status == SB_OK)
        status = sb_search_check(s->search, &c.info, error);
    if (status != SB_OK)
        return status;
    s->vector = malloc(sb_pg_vector_size((size_t)c.info.dimensions));
    s->ranking.ends = calloc(s->search->queries, sizeof *s->ranking.ends);
    if (!s->vector || !s->ranking.ends)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu queries", s->search->queries);
    for (size_t i = 0; status == SB_OK && i < s->search->queries; i++)
        status = search_one(pg, s, &c, i, error);
    if (status == SB_OK && !sb_pg_ranking_finish(&s->ranking, s->results))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the results of %zu queries", s->search->queries);
    return status;
}

static enum sb_status search_work(struct sb_pg *pg, void *context, struct sb_error *error)
{
    struct searching *s = context;
    const struct sb_search *search = s->search;
    sb_search_results_free(s->results); /* of an attempt that broke off */
    s->exact = s->approximate = 0;
    s->ranking = (struct sb_pg_ranking){.top_k = search->top_k,
                                        .min_score = search->min_score,
                                        .keep = search->keep,
                                        .keep_context = search->keep_context};
    enum sb_status status = search_all(pg, s, error);
    sb_pg_ranking_free(&s->ranking);
    free(s->vector);
    s->vector = NULL;
    return status;
}

enum sb_status sb_pg_search(struct sb_store *store, const char *collection, const struct sb_search *search,
                            struct sb_search_results *results, struct sb_error *error)
{
    struct sb_postgres *p = sb_postgres_of(store);
    struct searching s = {.collection = collection, .search = search, .results = results};
    *results = (struct sb_search_results){0};
    enum sb_status status = sb_pg_transaction(p, SB_PG_READ, search_work, &s, error);
    if (status != SB_OK) {
        sb_search_results_free(results);
        return status;
    }
    atomic_fetch_add(&p->exact, s.exact);
    atomic_fetch_add(&p->approximate, s.approximate);
    return SB_OK;
}
