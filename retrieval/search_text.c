/*
 * Lexical search over a collection: brings its index of terms up to date, then ranks the documents of each query.
 */
#include "retrieval/search_text.h"

#include "retrieval/hits.h"
#include "retrieval/store_impl.h"

#include <stdlib.h>

enum {
    CATCH_UP_ROWS = 20000, /* indexed at a time: some 40 ms in which no writer comes in */
};

/* Brings the index up to date, a slice of rows at a time between which the collection is let go; then SB_OK with the
   collection held for reading. */
static enum sb_status begin(struct sb_store *store, const char *name, struct sb_collection **collection,
                            struct sb_error *error)
{
    for (;;) {
        bool done = false, failed = false;
        enum sb_status status = sb_collection_begin_read(store, name, collection, error);
        if (status != SB_OK)
            return status;
        struct sb_index *index = &(*collection)->index;
        pthread_mutex_lock(&index->lexical_lock);
        if (!index->lexical)
            index->lexical = sb_lexical_new();
        if (index->lexical)
            done = sb_lexical_catch_up(index->lexical, index, CATCH_UP_ROWS, &failed);
        failed = failed || !index->lexical;
        pthread_mutex_unlock(&index->lexical_lock);
        if (done && !failed)
            return SB_OK;
        sb_collection_end_read(*collection);
        if (failed)
            return sb_fail(error, SB_NO_MEMORY, "collection '%s': no memory for its index of words", name);
    }
}

static bool is_wanted(const struct sb_hits *hits, const struct sb_index *index, const struct sb_text_search *search,
                      struct sb_hit hit)
{
    if (hits->count == search->top_k && !sb_hit_behind(hits->items[0], hit))
        return false;
    if (!search->keep)
        return true;
    struct sb_sentence sentence = sb_index_sentence(index, hit.row);
    return search->keep(search->keep_context, &sentence);
}

static void select_best(struct sb_hits *hits, const struct sb_index *index, const struct sb_text_search *search,
                        float *scores)
{
    size_t documents = sb_lexical_documents(index->lexical);
    for (size_t i = 0; i < documents; i++) {
        int64_t row = scores[i] > 0 && scores[i] >= search->min_score ? sb_lexical_row(index->lexical, i)
                                                                      : SB_LEXICAL_DEAD;
        struct sb_hit hit = {scores[i], (size_t)row};
        scores[i] = 0;
        if (row != SB_LEXICAL_DEAD && is_wanted(hits, index, search, hit))
            sb_hits_offer(hits, search->top_k, hit);
    }
    sb_hits_sort(hits);
}

/* Under the index's lock. */
static bool rank(const struct sb_index *index, const struct sb_text_search *search, struct sb_search_results *results)
{
    size_t documents = sb_lexical_documents(index->lexical);
    float *scores = calloc(documents + 1, sizeof *scores);
    uint16_t *counts = calloc(documents + 1, sizeof *counts);
    struct sb_hits *hits = calloc(search->queries, sizeof *hits);
    struct sb_hit *items = malloc(search->queries * search->top_k * sizeof *items);
    bool good = scores && counts && hits && items;
    for (size_t q = 0; q < search->queries && good; q++) {
        hits[q].items = items + q * search->top_k;
        good = sb_lexical_score(index->lexical, scores, counts, search->texts[q].text, search->texts[q].size);
        if (good)
            select_best(&hits[q], index, search, scores);
    }
    good = good && sb_search_results_copy(results, hits, search->queries, index);
    free(scores);
    free(counts);
    free(hits);
    free(items);
    return good;
}

enum sb_status sb_sqlite_search_text(struct sb_store *store, const char *collection,
                                     const struct sb_text_search *search, struct sb_search_results *results,
                                     struct sb_error *error)
{
    *results = (struct sb_search_results){0};
    struct sb_collection *c;
    enum sb_status status = sb_text_search_check(search, error);
    if (status == SB_OK)
        status = begin(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    if (!rank(&c->index, search, results))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the results of %zu queries", search->queries);
    sb_collection_end_read(c);
    return status;
}
