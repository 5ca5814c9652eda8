/*
 * A block of rows at a time, so that what was read for one group of queries is still in the cache for the next.
 */
#include "retrieval/scan.h"

#include <math.h>

enum { BLOCK_ROWS = 256, GROUP_QUERIES = 16, LOOK_AT = 16 };

size_t sb_scan_candidates(enum sb_vectors form, size_t top_k)
{
    return form == SB_VECTORS_INT16 || form == SB_VECTORS_INT8 ? 2 * top_k + 54 : top_k + 6;
}

bool sb_search_keeps(const struct sb_search *search, const struct sb_index *index, size_t row)
{
    if (!search->keep)
        return true;
    struct sb_sentence sentence = sb_index_sentence(index, row);
    return search->keep(search->keep_context, &sentence);
}

/* Most of a block is below what a query has already: that is seen LOOK_AT rows at a time. */
static bool any_reaches(const float *scores, float least)
{
    int reaches = 0;
    for (int i = 0; i < LOOK_AT; i++)
        reaches |= scores[i] >= least;
    return reaches != 0;
}

/* scores: room for LOOK_AT more than rows. A row is only shown to the filter if it would be found without it. */
static void offer_block(struct sb_hits *heap, size_t limit, const struct sb_index *index,
                        const struct sb_search *search, float *scores, size_t first, size_t rows)
{
    for (size_t i = 0; i < LOOK_AT; i++)
        scores[rows + i] = -INFINITY;
    for (size_t at = 0; at < rows; at += LOOK_AT) {
        if (heap->count == limit && !any_reaches(scores + at, heap->items[0].score))
            continue;
        for (size_t i = at; i < at + LOOK_AT && i < rows; i++) {
            struct sb_hit hit = {scores[i], first + i};
            bool wanted = heap->count < limit || sb_hit_behind(heap->items[0], hit);
            if (wanted && sb_index_is_live(index, hit.row) && sb_search_keeps(search, index, hit.row))
                sb_hits_offer(heap, limit, hit);
        }
    }
}

void sb_scan(struct sb_hits *heaps, size_t limit, const struct sb_index *index, const struct sb_score_kernels *kernels,
             const struct sb_queries *queries, const struct sb_search *search, size_t first, size_t last)
{
    enum { LD = BLOCK_ROWS + LOOK_AT };
    float scores[GROUP_QUERIES * LD];
    for (size_t row = first; row < last; row += BLOCK_ROWS) {
        size_t rows = last - row < BLOCK_ROWS ? last - row : BLOCK_ROWS;
        for (size_t q = 0; q < queries->count; q += GROUP_QUERIES) {
            size_t group = queries->count - q < GROUP_QUERIES ? queries->count - q : GROUP_QUERIES;
            sb_matrix_scan(scores, LD, &index->matrix, kernels, row, rows, queries, q, group);
            for (size_t i = 0; i < group; i++)
                offer_block(&heaps[q + i], limit, index, search, scores + i * LD, row, rows);
        }
    }
}

void sb_rescore(struct sb_hits *hits, const struct sb_index *index, const struct sb_score_kernels *kernels,
                const struct sb_search *search, size_t q)
{
    const float *query = search->vectors + q * index->matrix.dimensions;
    /* no bound at -1: a cosine may come out below it by rounding, and vectors need not be normalised */
    double least = search->min_score <= -1 ? -INFINITY : search->min_score;
    size_t count = hits->count;
    hits->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct sb_hit hit = hits->items[i]; /* read before its place is taken: the heap holds at most i */
        hit.score = sb_matrix_dot(&index->matrix, kernels, hit.row, query);
        if (hit.score >= least)
            sb_hits_offer(hits, search->top_k, hit);
    }
    sb_hits_sort(hits);
}
