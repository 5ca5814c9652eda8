#include "model/beam_impl.h"

#include "model/logits_scan.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Inserts in order; the list is full or not. */
static void insert(struct sb_candidates *c, struct sb_candidate new)
{
    size_t low = 0, high = c->count;
    while (low < high) { /* behind all that are at least as good */
        size_t middle = (low + high) / 2;
        if (c->items[middle].score >= new.score)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->limit)
        return;
    if (c->count < c->limit)
        c->count++;
    memmove(c->items + low + 1, c->items + low, (c->count - 1 - low) * sizeof *c->items);
    c->items[low] = new;
}

/* Log probabilities up to this cannot enter the list. A little too low on purpose: scores decide, this only skips. */
static float lowest_useful(const struct sb_candidates *c, double score)
{
    if (c->count < c->limit)
        return -FLT_MAX; /* minus infinity is never a candidate */
    double needed = c->items[c->count - 1].score - score;
    if (c->epsilon > 0) {
        double probability = exp(needed) - c->epsilon;
        needed = probability > 0 ? log(probability) : -INFINITY;
    }
    double threshold = needed - 1e-5 * (1 + fabs(needed));
    return threshold > -(double)FLT_MAX ? (float)threshold : -FLT_MAX;
}

void sb_candidates_scan(struct sb_candidates *candidates, size_t parent, double score, const float *row, size_t n)
{
    float threshold = lowest_useful(candidates, score);
    for (size_t i = sb_find_above(row, n, 0, threshold); i < n; i = sb_find_above(row, n, i + 1, threshold)) {
        double add = candidates->epsilon > 0 ? log(exp((double)row[i]) + candidates->epsilon) : (double)row[i];
        insert(candidates, (struct sb_candidate){score + add, parent, (int32_t)i});
        threshold = lowest_useful(candidates, score);
    }
}
