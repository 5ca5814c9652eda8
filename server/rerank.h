/*
 * A new order for what searches have found: by the probability that query and sentence mean the same, as the model's
 * pair head says it (model/pair_score.h). The texts are embedded once more, since the head takes vectors before
 * normalisation; those that the vector cache has are not computed again.
 *
 *     s->rerank.ready = ready;                                            // in the request's state
 *     sb_rerank_start(&s->rerank, request, model, texts, results);        // later ready(request)
 *     ...
 *     sb_rerank_scores(&s->rerank);                                       // in ready(): results in the new order
 *     sb_rerank_clear(&s->rerank);
 */
#ifndef SB_SERVER_RERANK_H
#define SB_SERVER_RERANK_H

#include "retrieval/search_text.h"
#include "server/embedding.h"

struct sb_rerank {
    void (*ready)(struct sb_request *request); /* as sb_embedding's */

    /* Private. */
    struct sb_embedding embedding;     /* the queries, then the matches */
    struct sb_search_results *results; /* borrowed */
};

/* Takes over the reference to the model, which scores pairs. texts[results->queries] and results stay where they are
   until ready. */
void sb_rerank_start(struct sb_rerank *rerank, struct sb_request *request, struct sb_model *model,
                     const struct sb_text_query *texts, struct sb_search_results *results);
void sb_rerank_scores(struct sb_rerank *rerank);
void sb_rerank_clear(struct sb_rerank *rerank);

/* Each query's matches by their scores, best first; equal ones by id. */
void sb_rerank_sort(struct sb_search_results *results);

#endif
