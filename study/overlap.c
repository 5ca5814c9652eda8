#include "study/overlap.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static size_t take_pairs(uint64_t *pairs, const struct sb_code_points *text)
{
    size_t count = text->count > 1 ? text->count - 1 : 0;
    for (size_t i = 0; i < count; i++)
        pairs[i] = (uint64_t)text->points[i] << 32 | (uint64_t)text->points[i + 1];
    qsort(pairs, count, sizeof *pairs, compare);
    return count;
}

enum sb_status sb_study_overlap(double *f1, const struct sb_code_points *a, const struct sb_code_points *b,
                                struct sb_error *error)
{
    uint64_t *pairs = malloc((a->count + b->count + 1) * sizeof *pairs);
    if (!pairs)
        return sb_fail(error, SB_NO_MEMORY, "no memory to compare two texts");
    size_t n = take_pairs(pairs, a), m = take_pairs(pairs + n, b), common = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        uint64_t x = pairs[i], y = pairs[n + j];
        common += x == y;
        i += x <= y;
        j += y <= x;
    }
    *f1 = n + m ? 2 * (double)common / (double)(n + m) : 0;
    free(pairs);
    return SB_OK;
}
