/*
 * Vectors of many texts: cut by size into shards that threads take one after the other, each shard one or more packed
 * passes through the network. A text's vector does not depend on the shard, nor on the number of threads.
 *
 *     struct sb_embedder embedder = {.workers = workers};
 *     sb_embedder_run(&embedder, texts, &batch, vectors, &error);     // vectors[batch.count,
 * sb_model_dimensions(model)] printf("%zu tokens\n", embedder.tokens); sb_embedder_free(&embedder);
 *
 * Thread rule: one thread at a time.
 */
#ifndef SB_CLI_EMBEDDER_H
#define SB_CLI_EMBEDDER_H

#include "cli/texts.h"
#include "cli/workers.h"

#include <stdatomic.h>

struct sb_embedder {
    struct sb_workers *workers; /* borrowed; set by the caller, all else zero */
    _Atomic size_t tokens;      /* computed so far, special tokens included */
    _Atomic size_t cut;         /* texts so far that were longer than the model takes: only their beginning counts */
    struct sb_embedder_shard *shards;
    size_t shard_capacity;
};
void sb_embedder_free(struct sb_embedder *embedder);

/* texts: where batch came from, for errors that name a text. */
SB_MUST_CHECK enum sb_status sb_embedder_run(struct sb_embedder *embedder, const struct sb_texts *texts,
                                             const struct sb_text_batch *batch, float *vectors, struct sb_error *error);

#endif
