#include "retrieval/fusion.h"

#include <stdlib.h>
#include <string.h>

static const double K = 60;

/* A sentence of either ranking, in the order of a and then b. */
struct candidate {
    struct sb_match match;
    size_t place;
};

static int by_id(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = strcmp(x->match.sentence.id, y->match.sentence.id);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->match.score != y->match.score)
        return x->match.score < y->match.score ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

static size_t collect(struct candidate *out, size_t count, const struct sb_search_results *from, size_t query)
{
    size_t start = query ? from->ends[query - 1] : 0;
    for (size_t i = start; i < from->ends[query]; i++, count++) {
        out[count] = (struct candidate){from->matches[i], count};
        out[count].match.score = 1 / (K + (double)(i - start + 1));
    }
    return count;
}

/* Joins the two of the same sentence, which stand beside each other; returns how many are left. */
static size_t join(struct candidate *c, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(c[kept - 1].match.sentence.id, c[i].match.sentence.id) == 0)
            c[kept - 1].match.score += c[i].match.score;
        else
            c[kept++] = c[i];
    }
    return kept;
}

enum sb_status sb_fuse(struct sb_search_results *fused, const struct sb_search_results *a,
                       const struct sb_search_results *b, size_t top_k, struct sb_error *error)
{
    size_t queries = a->queries, all = 0, m = 0;
    *fused = (struct sb_search_results){0};
    if (queries > 0)
        all = a->ends[queries - 1] + b->ends[queries - 1];
    char *memory = malloc(all * sizeof *fused->matches + queries * sizeof *fused->ends + 1);
    struct candidate *candidates = malloc((all + 1) * sizeof *candidates);
    if (!memory || !candidates) {
        free(memory);
        free(candidates);
        return sb_fail(error, SB_NO_MEMORY, "no memory to join the results of %zu queries", queries);
    }
    struct sb_match *matches = (struct sb_match *)(void *)memory;
    size_t *ends = (size_t *)(void *)(matches + all);
    for (size_t q = 0; q < queries; q++) {
        size_t count = collect(candidates, collect(candidates, 0, a, q), b, q);
        qsort(candidates, count, sizeof *candidates, by_id);
        count = join(candidates, count);
        qsort(candidates, count, sizeof *candidates, by_score);
        for (size_t i = 0; i < count && i < top_k; i++)
            matches[m++] = candidates[i].match;
        ends[q] = m;
    }
    free(candidates);
    *fused = (struct sb_search_results){matches, ends, queries, memory};
    return SB_OK;
}
