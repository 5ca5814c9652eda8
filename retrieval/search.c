/*
 * Exact search: every vector is scored against every query, a block of rows at a time so that a block that was read for
 * one query is still in the cache for the next; the best k of a query stay in a heap whose root is the worst of them.
 */
#include "kernels/kernels.h"
#include "retrieval/store_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 256, MAX_TOP_K = 1000, MAX_QUERIES = 4096 };

struct hit {
    float score;
    size_t row;
};

struct heap {
    struct hit *hits; /* [top_k] */
    size_t count;
};

/* a ranks behind b: a lower score, or the same and inserted later. */
static bool behind(struct hit a, struct hit b)
{
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

static void sift_down(struct heap *heap, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && behind(heap->hits[child + 1], heap->hits[child]))
            child++;
        if (!behind(heap->hits[child], heap->hits[at]))
            return;
        struct hit swap = heap->hits[at];
        heap->hits[at] = heap->hits[child];
        heap->hits[child] = swap;
    }
}

static void offer(struct heap *heap, size_t top_k, struct hit hit)
{
    if (heap->count == top_k) {
        if (behind(heap->hits[0], hit)) {
            heap->hits[0] = hit;
            sift_down(heap, 0);
        }
        return;
    }
    size_t at = heap->count++;
    for (; at > 0 && behind(hit, heap->hits[(at - 1) / 2]); at = (at - 1) / 2)
        heap->hits[at] = heap->hits[(at - 1) / 2];
    heap->hits[at] = hit;
}

/* Best first; the heap is used up. */
static void sort_heap(struct heap *heap)
{
    size_t count = heap->count;
    while (heap->count > 1) {
        struct hit worst = heap->hits[0];
        heap->hits[0] = heap->hits[--heap->count];
        heap->hits[heap->count] = worst;
        sift_down(heap, 0);
    }
    heap->count = count;
}

/* Under the index's lock. A row is only offered to the filter if it would be found without it. */
static bool is_wanted(const struct heap *heap, const struct sb_index *index, const struct sb_search *search,
                      struct hit hit)
{
    if (!index->items[hit.row] || (heap->count == search->top_k && !behind(heap->hits[0], hit)))
        return false;
    if (!search->keep)
        return true;
    struct sb_sentence sentence = sb_item_sentence(index->items[hit.row]);
    return search->keep(search->keep_context, &sentence);
}

/* Under the index's lock. */
static void score_all(struct heap *heaps, const struct sb_index *index, const struct sb_search *search,
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
                struct hit hit = {scores[i], row + i};
                if (scores[i] >= min_score && is_wanted(&heaps[q], index, search, hit))
                    offer(&heaps[q], search->top_k, hit);
            }
        }
    }
}

/* One allocation holds matches, ends and strings. Under the index's lock. */
static bool copy_matches(struct sb_search_results *results, const struct heap *heaps, size_t queries,
                         const struct sb_index *index)
{
    size_t count = 0, strings = 0;
    for (size_t q = 0; q < queries; q++) {
        count += heaps[q].count;
        for (size_t i = 0; i < heaps[q].count; i++) {
            const struct sb_item *item = index->items[heaps[q].hits[i].row];
            strings += item->id_size + item->text_size + item->metadata_size + 3;
        }
    }
    char *memory = malloc(count * sizeof(struct sb_match) + queries * sizeof(size_t) + strings + 1);
    if (!memory)
        return false;
    struct sb_match *matches = (struct sb_match *)(void *)memory;
    size_t *ends = (size_t *)(void *)(matches + count), m = 0;
    char *at = (char *)(ends + queries);
    for (size_t q = 0; q < queries; q++) {
        for (size_t i = 0; i < heaps[q].count; i++) {
            const struct sb_item *item = index->items[heaps[q].hits[i].row];
            size_t bytes = item->id_size + item->text_size + item->metadata_size + 3;
            memcpy(at, item->strings, bytes);
            matches[m].sentence = (struct sb_sentence){at, at + item->id_size + 1, item->text_size,
                                                       at + item->id_size + item->text_size + 2, NULL};
            matches[m++].score = heaps[q].hits[i].score;
            at += bytes;
        }
        ends[q] = m;
    }
    *results = (struct sb_search_results){matches, ends, queries, memory};
    return true;
}

void sb_search_results_free(struct sb_search_results *results)
{
    free(results->memory);
    *results = (struct sb_search_results){0};
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
    struct heap *heaps = calloc(search->queries, sizeof *heaps);
    struct hit *hits = malloc(search->queries * search->top_k * sizeof *hits);
    bool good = heaps && hits;
    for (size_t q = 0; good && q < search->queries; q++)
        heaps[q].hits = hits + q * search->top_k;
    if (good) {
        score_all(heaps, &c->index, search, store->kernels);
        for (size_t q = 0; q < search->queries; q++)
            sort_heap(&heaps[q]);
        good = copy_matches(results, heaps, search->queries, &c->index);
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
