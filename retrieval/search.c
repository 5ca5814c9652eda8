/*
 * Exact search: every vector is scored against every query, a block of rows at a time so that a block that was read for
 * one query is still in the cache for the next; the best k of a query stay in a heap whose root is the worst of them.
 */
#include "kernels/kernels.h"
#include "retrieval/hits.h"
#include "retrieval/store_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 256, MAX_TOP_K = 1000, MAX_QUERIES = 4096 };

/* Under the index's lock. A row is only offered to the filter if it would be found without it. */
static bool is_wanted(const struct sb_hits *heap, const struct sb_index *index, const struct sb_search *search,
                      struct sb_hit hit)
{
    if (!index->items[hit.row] || (heap->count == search->top_k && !sb_hit_behind(heap->items[0], hit)))
        return false;
    if (!search->keep)
        return true;
    struct sb_sentence sentence = sb_item_sentence(index->items[hit.row]);
    return search->keep(search->keep_context, &sentence);
}

/* Under the index's lock. */
static void score_all(struct sb_hits *heaps, const struct sb_index *index, const struct sb_search *search,
                      const struct sb_kernels *kernels)
{
    float scores[BLOCK_ROWS];
    /* no bound at -1: a cosine may come out below it by rounding, and vectors need not be normalised */
    double min_score = search->min_score <= -1 ? -INFINITY : search->min_score;
    for (size_t row = 0; row < index->rows; row += BLOCK_ROWS) {
        size_t n = index->rows - row < BLOCK_ROWS ? index->rows - row : BLOCK_ROWS;
        for (size_t q = 0; q < search->queries; q++) {
            kernels->scores(scores, index->matrix + row * index->dimensions, index->dimensions, n,
                            search->vectors + q * index->dimensions, index->dimensions);
            for (size_t i = 0; i < n; i++) {
                struct sb_hit hit = {scores[i], row + i};
                if (scores[i] >= min_score && is_wanted(&heaps[q], index, search, hit))
                    sb_hits_offer(&heaps[q], search->top_k, hit);
            }
        }
    }
}

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

/* Under the index's lock. */
static enum sb_status search_collection(const struct sb_store *store, const struct sb_collection *c,
                                        const struct sb_search *search, struct sb_search_results *results,
                                        struct sb_error *error)
{
    enum sb_status status = check_search(search, c->index.dimensions, error);
    if (status != SB_OK)
        return status;
    struct sb_hits *heaps = calloc(search->queries, sizeof *heaps);
    struct sb_hit *hits = malloc(search->queries * search->top_k * sizeof *hits);
    bool good = heaps && hits;
    for (size_t q = 0; good && q < search->queries; q++)
        heaps[q].items = hits + q * search->top_k;
    if (good) {
        score_all(heaps, &c->index, search, store->kernels);
        for (size_t q = 0; q < search->queries; q++)
            sb_hits_sort(&heaps[q]);
        good = sb_search_results_copy(results, heaps, search->queries, &c->index);
    }
    free(heaps);
    free(hits);
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
