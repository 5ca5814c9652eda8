/*
 * Searches: what is asked for is checked, candidates are found, scored from what is stored, and copied for the caller.
 */
#include "retrieval/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOP_K = 1000, MAX_QUERIES = 4096 };

static enum sb_status check_search(const struct sb_search *search, size_t dimensions, struct sb_error *error)
{
    if (search->queries < 1 || search->queries > MAX_QUERIES)
        return sb_fail(error, SB_INVALID, "%zu queries; 1 to %d are allowed", search->queries, MAX_QUERIES);
    if (search->top_k < 1 || search->top_k > MAX_TOP_K)
        return sb_fail(error, SB_INVALID, "top_k %zu; 1 to %d are allowed", search->top_k, MAX_TOP_K);
    if (isnan(search->min_score))
        return sb_fail(error, SB_INVALID, "min_score is not a number");
    for (size_t i = 0; i < search->queries * dimensions; i++)
        if (!isfinite(search->vectors[i]))
            return sb_fail(error, SB_INVALID, "query %zu: element %zu of its vector is not finite", i / dimensions,
                           i % dimensions);
    return SB_OK;
}

/* What a search works in: candidates for each query. */
struct work {
    struct sb_queries queries;
    struct sb_hits *heaps; /* [queries], of `limit` each */
    struct sb_hit *items;
    size_t limit;
};

static void work_free(struct work *work)
{
    sb_queries_free(&work->queries);
    free(work->heaps);
    free(work->items);
}

static bool work_init(struct work *work, const struct sb_index *index, const struct sb_search *search)
{
    size_t limit = sb_scan_candidates(index->matrix.form, search->top_k);
    *work = (struct work){.heaps = calloc(search->queries, sizeof *work->heaps),
                          .items = malloc(search->queries * limit * sizeof *work->items),
                          .limit = limit};
    if (!work->heaps || !work->items ||
        !sb_queries_init(&work->queries, &index->matrix, search->vectors, search->queries)) {
        work_free(work);
        return false;
    }
    for (size_t q = 0; q < search->queries; q++)
        work->heaps[q].items = work->items + q * limit;
    return true;
}

/* Under the index's lock. */
static enum sb_status search_collection(const struct sb_store *store, const struct sb_collection *c,
                                        const struct sb_search *search, struct sb_search_results *results,
                                        struct sb_error *error)
{
    const struct sb_index *index = &c->index;
    struct work work;
    enum sb_status status = check_search(search, index->matrix.dimensions, error);
    if (status != SB_OK)
        return status;
    bool good = work_init(&work, index, search);
    if (good) {
        sb_scan(work.heaps, work.limit, index, store->kernels, &work.queries, search, 0, index->rows);
        for (size_t q = 0; q < search->queries; q++)
            sb_rescore(&work.heaps[q], index, store->kernels, search, q);
        good = sb_search_results_copy(results, work.heaps, search->queries, index);
        work_free(&work);
    }
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the results of %zu queries", search->queries);
}

enum sb_status sb_store_search(struct sb_store *store, const char *collection, const struct sb_search *search,
                               struct sb_search_results *results, struct sb_error *error)
{
    *results = (struct sb_search_results){0};
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status == SB_OK) {
        status = search_collection(store, c, search, results, error);
        sb_collection_end_read(c);
    }
    return status;
}
