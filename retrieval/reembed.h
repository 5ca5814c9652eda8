/*
 * A collection changes to another model: its sentences are embedded anew, a few at a time, and meanwhile the old vectors
 * answer. What has been done is on disk; a process that goes on later goes on where the last one stopped.
 *
 *     sb_reembed_begin(store, "faq", "simbert-base-zh", new_hash, 768, &error);
 *     do                                                       // on a background thread, as fast as it may
 *         status = sb_reembed_step(store, "faq", 32, embed, model, &state, &error);
 *     while (status == SB_OK && state != SB_REEMBED_NONE);
 *
 * Sentences that are stored meanwhile come with vectors of the old model, as before, and are embedded in their turn. When
 * all have a vector of the new model, the collection changes to it in one transaction; writers wait while its vectors are
 * read, searches do not. The old vectors are then removed from the file, a few at a time.
 *
 * Thread rule: as for the store; the steps of one collection come one after the other.
 */
#ifndef SB_RETRIEVAL_REEMBED_H
#define SB_RETRIEVAL_REEMBED_H

#include "retrieval/store.h"

/* vectors[n, dimensions of the new model] of the sentences' texts. Called without any lock. A status other than SB_OK ends
   the step, which may be tried again. */
typedef enum sb_status (*sb_embed_texts)(void *context, const struct sb_sentence *sentences, size_t n, float *vectors,
                                         struct sb_error *error);

enum sb_reembed_state {
    SB_REEMBED_NONE,     /* nothing to do */
    SB_REEMBED_RUNNING,  /* the old model answers */
    SB_REEMBED_CLEANING, /* the new model answers, old vectors are still in the file */
};

struct sb_reembed_progress {
    enum sb_reembed_state state;
    char model_name[128], model_hash[64]; /* that the collection changes to; "" unless it is running */
    int dimensions;
    int64_t done, total; /* sentences */
};

/* SB_OK too if it runs to this model already; SB_CONFLICT if it runs to another, or if the collection has this model. */
SB_MUST_CHECK enum sb_status sb_reembed_begin(struct sb_store *store, const char *collection, const char *model_name,
                                              const char *model_hash, int dimensions, struct sb_error *error);
/* The collection stays as it is. SB_OK if nothing runs. */
SB_MUST_CHECK enum sb_status sb_reembed_cancel(struct sb_store *store, const char *collection, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_reembed_progress(struct sb_store *store, const char *collection,
                                                 struct sb_reembed_progress *progress, struct sb_error *error);
/* Embeds and stores at most `most` sentences (1..2048), or changes over, or cleans up. */
SB_MUST_CHECK enum sb_status sb_reembed_step(struct sb_store *store, const char *collection, size_t most,
                                             sb_embed_texts embed, void *context, enum sb_reembed_state *state,
                                             struct sb_error *error);

#endif
