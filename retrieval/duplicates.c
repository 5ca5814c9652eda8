#include "retrieval/duplicates.h"

#include <stdlib.h>

/* A thread's best pairs: unordered up to twice the limit, then the worse half is dropped. */
struct best {
    struct sb_duplicate *pairs; /* [2 * limit] */
    size_t count;
    uint64_t total;
    float low; /* what a pair must reach to matter */
};

struct search {
    const struct sb_mining *set;
    struct best *best; /* [threads] */
    size_t limit;
    float min_score;
};

static int by_score(const void *a, const void *b)
{
    const struct sb_duplicate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->second > y->second) - (x->second < y->second);
}

static void keep_best(struct best *best, size_t limit)
{
    qsort(best->pairs, best->count, sizeof *best->pairs, by_score);
    if (best->count < limit)
        return;
    best->count = limit;
    best->low = best->pairs[limit - 1].score; /* an equal one may still stand before it */
}

static void add(struct best *best, size_t limit, struct sb_duplicate pair)
{
    best->pairs[best->count++] = pair;
    if (best->count == 2 * limit)
        keep_best(best, limit);
}

static void look_at(void *context, const struct sb_mining_block *block, int worker)
{
    struct search *s = context;
    struct best *best = &s->best[worker];
    for (size_t i = 0; i < block->rows; i++) {
        const float *scores = block->scores + i * block->stride;
        size_t end = sb_mining_row_pairs(block, i);
        for (size_t j = 0; j < end; j++) {
            if (scores[j] < s->min_score)
                continue;
            best->total++;
            if (scores[j] >= best->low)
                add(best, s->limit,
                    (struct sb_duplicate){(uint32_t)(block->column + j), (uint32_t)(block->row + i), scores[j]});
        }
    }
}

/* All threads' best into the first one's, sorted. */
static void merge(struct search *s, size_t threads)
{
    struct best *all = &s->best[0];
    for (size_t t = 1; t < threads; t++) {
        all->total += s->best[t].total;
        for (size_t i = 0; i < s->best[t].count; i++)
            add(all, s->limit, s->best[t].pairs[i]);
    }
    keep_best(all, s->limit);
}

enum sb_status sb_duplicates_find(struct sb_duplicates *found, const struct sb_mining *set, double min_score,
                                  size_t limit, struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(set->pool);
    struct search s = {
        .set = set, .limit = limit, .min_score = (float)min_score, .best = calloc(threads, sizeof *s.best)};
    enum sb_status status = SB_OK;
    *found = (struct sb_duplicates){0};
    for (size_t i = 0; i < threads && s.best && status == SB_OK; i++) {
        s.best[i] = (struct best){.pairs = calloc(2 * limit, sizeof *s.best[i].pairs), .low = (float)min_score};
        if (!s.best[i].pairs)
            status = SB_NO_MEMORY;
    }
    if (!s.best || status != SB_OK)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %zu pairs", limit);
    if (status == SB_OK)
        status = sb_mining_pairs(set, set->count, look_at, &s, error);
    if (status == SB_OK) {
        merge(&s, threads);
        *found = (struct sb_duplicates){s.best[0].pairs, s.best[0].count, s.best[0].total};
        s.best[0].pairs = NULL;
    }
    for (size_t i = 0; i < threads && s.best; i++)
        free(s.best[i].pairs);
    free(s.best);
    return status;
}

void sb_duplicates_free(struct sb_duplicates *found)
{
    free(found->pairs);
    *found = (struct sb_duplicates){0};
}
