/*
 * Lexical search: the sentences that share words with a text, or pairs of characters where there are no spaces
 * (retrieval/terms.h), ranked by BM25.
 *
 *     struct sb_text_query text = {"怎么退货", strlen("怎么退货")};
 *     struct sb_text_search search = {.texts = &text, .queries = 1, .top_k = 10};
 *     sb_store_search_text(store, "faq", &search, &results, &error);
 *     sb_search_results_free(&results);
 *
 * The first search of a collection makes its index of terms, in memory (about 60 bytes a short sentence); later ones add
 * what has changed.
 *
 * Thread rule: as for the store.
 */
#ifndef SB_RETRIEVAL_SEARCH_TEXT_H
#define SB_RETRIEVAL_SEARCH_TEXT_H

#include "retrieval/store.h"

struct sb_text_query {
    const char *text;
    size_t size;
};
struct sb_text_search {
    const struct sb_text_query *texts; /* [queries] */
    size_t queries;
    size_t top_k;     /* 1..1000 */
    double min_score; /* of BM25; 0 or less: every sentence that shares a term */
    bool (*keep)(void *context, const struct sb_sentence *sentence); /* as in struct sb_search */
    void *keep_context;
};
SB_MUST_CHECK enum sb_status sb_store_search_text(struct sb_store *store, const char *collection,
                                                  const struct sb_text_search *search,
                                                  struct sb_search_results *results, struct sb_error *error);

#endif
