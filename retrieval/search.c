/*
 * Searches: what is asked for is checked, candidates are found, scored from what is stored, and copied for the caller.
 */
#include "retrieval/scan.h"

#include <stdlib.h>

enum { FILTER_SAMPLE = 200 };

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

/* The share of sentences that the filter keeps, of some that lie all over the collection. Under the index's lock. */
static double share_kept(const struct sb_index *index, const struct sb_search *search)
{
    size_t step = index->rows / FILTER_SAMPLE + 1, asked = 0, kept = 0;
    if (!search->keep)
        return 1;
    for (size_t row = 0; row < index->rows; row += step)
        if (sb_index_is_live(index, row)) {
            asked++;
            kept += sb_search_keeps(search, index, row);
        }
    return asked ? (double)kept / (double)asked : 0;
}

/* From the approximate index, if there is one and it can serve this search. Under the index's lock. */
static bool find_approximately(const struct sb_store *store, struct sb_collection *c, const struct sb_search *search,
                               struct work *work)
{
    size_t from = atomic_load(&store->approximate_from);
    if (search->exact || !sb_ann_serves(&c->ann, &c->index, from, search->top_k, 1))
        return false;
    double kept = share_kept(&c->index, search);
    return sb_ann_serves(&c->ann, &c->index, from, search->top_k, kept) &&
           sb_ann_search(&c->ann, work->heaps, work->limit, &c->index, store->kernels, &work->queries, search, kept);
}

enum sb_status sb_search_held(struct sb_store *store, struct sb_collection *c, const struct sb_search *search,
                              struct sb_search_results *results, bool *approximate, struct sb_error *error)
{
    const struct sb_index *index = &c->index;
    struct work work;
    enum sb_status status = sb_search_check(search, &c->info, error);
    if (status != SB_OK)
        return status;
    bool good = work_init(&work, index, search);
    if (good) {
        *approximate = find_approximately(store, c, search, &work);
        if (!*approximate)
            sb_scan(work.heaps, work.limit, index, store->kernels, &work.queries, search, 0, index->rows);
        for (size_t q = 0; q < search->queries; q++)
            sb_rescore(&work.heaps[q], index, store->kernels, search, q);
        good = sb_search_results_copy(results, work.heaps, search->queries, index);
        work_free(&work);
    }
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the results of %zu queries", search->queries);
}

enum sb_status sb_sqlite_search(struct sb_store *store, const char *collection, const struct sb_search *search,
                                struct sb_search_results *results, struct sb_error *error)
{
    *results = (struct sb_search_results){0};
    struct sb_collection *c;
    bool approximate = false, sampled = false;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    status = sb_search_held(store, c, search, results, &approximate, error);
    if (status == SB_OK)
        sampled = sb_recall_note(&store->recall, c->info.name, (size_t)c->info.dimensions, search, approximate);
    sb_collection_end_read(c);
    if (sampled)
        sb_worker_wake(store);
    return status;
}
