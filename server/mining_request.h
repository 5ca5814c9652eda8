/*
 * Long work on the sentences of a collection: one request at a time, on a thread of its own, so that neither searches
 * nor embeddings wait for it. It ends early when its client goes away or its deadline passes.
 *
 *     struct duplicates {
 *         struct sb_mining_request mining; // first; what the handler sets: filter, most, run
 *         ...
 *     };
 *     sb_mining_start(&d->mining, request);       // later run(request), with mining.set filled; or it is answered
 *     ...
 *     sb_mining_request_clear(&d->mining);
 */
#ifndef SB_SERVER_MINING_REQUEST_H
#define SB_SERVER_MINING_REQUEST_H

#include "retrieval/mining.h"
#include "server/request.h"
#include "server/sentence_set.h"

struct sb_mining_request {
    /* Set by the handler. */
    struct sb_filter *filter; /* owned; NULL: all sentences */
    size_t most;              /* sentences, more are refused */
    void (*run)(struct sb_request *request);

    /* For run(). */
    struct sb_sentence_set sentences;
    struct sb_mining set; /* of the sentences */

    /* Private. */
    struct sb_background_job job;
    struct sb_request *request;
};

void sb_mining_start(struct sb_mining_request *mining, struct sb_request *request);
void sb_mining_request_clear(struct sb_mining_request *mining);

/* Answers with a failure of the work; SB_CANCELLED becomes the deadline if that was why. */
void sb_mining_fail(struct sb_request *request, enum sb_status status, const struct sb_error *error);

#endif
