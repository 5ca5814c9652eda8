#include "retrieval/hits.h"

#include "retrieval/store_impl.h"

#include <stdlib.h>

bool sb_hit_behind(struct sb_hit a, struct sb_hit b)
{
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

static void sift_down(struct sb_hits *hits, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < hits->count; at = child) {
        if (child + 1 < hits->count && sb_hit_behind(hits->items[child + 1], hits->items[child]))
            child++;
        if (!sb_hit_behind(hits->items[child], hits->items[at]))
            return;
        struct sb_hit swap = hits->items[at];
        hits->items[at] = hits->items[child];
        hits->items[child] = swap;
    }
}

void sb_hits_offer(struct sb_hits *hits, size_t top_k, struct sb_hit hit)
{
    if (hits->count == top_k) {
        if (sb_hit_behind(hits->items[0], hit)) {
            hits->items[0] = hit;
            sift_down(hits, 0);
        }
        return;
    }
    size_t at = hits->count++;
    for (; at > 0 && sb_hit_behind(hit, hits->items[(at - 1) / 2]); at = (at - 1) / 2)
        hits->items[at] = hits->items[(at - 1) / 2];
    hits->items[at] = hit;
}

void sb_hits_sort(struct sb_hits *hits)
{
    size_t count = hits->count;
    while (hits->count > 1) {
        struct sb_hit worst = hits->items[0];
        hits->items[0] = hits->items[--hits->count];
        hits->items[hits->count] = worst;
        sift_down(hits, 0);
    }
    hits->count = count;
}

/* One allocation holds matches, ends and strings. */
bool sb_search_results_copy(struct sb_search_results *results, const struct sb_hits *hits, size_t queries,
                            const struct sb_index *index)
{
    size_t count = 0, strings = 0;
    for (size_t q = 0; q < queries; q++) {
        count += hits[q].count;
        for (size_t i = 0; i < hits[q].count; i++) {
            struct sb_sentence sentence = sb_index_sentence(index, hits[q].items[i].row);
            strings += sb_sentence_strings_size(&sentence);
        }
    }
    char *memory = malloc(count * sizeof(struct sb_match) + queries * sizeof(size_t) + strings + 1);
    if (!memory)
        return false;
    struct sb_match *matches = (struct sb_match *)(void *)memory;
    size_t *ends = (size_t *)(void *)(matches + count), m = 0;
    char *at = (char *)(ends + queries);
    for (size_t q = 0; q < queries; q++) {
        for (size_t i = 0; i < hits[q].count; i++) {
            struct sb_sentence sentence = sb_index_sentence(index, hits[q].items[i].row);
            at = sb_sentence_copy(&matches[m].sentence, &sentence, at);
            matches[m++].score = hits[q].items[i].score;
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
