/*
 * Embeds texts on several threads: one session a thread, each text's vector the same whatever their number.
 *
 *     struct sb_embedder *embedder;
 *     sb_embedder_new(&embedder, model, 2, &error);
 *     if (sb_embedder_run(embedder, texts.items, texts.count, &error) == SB_OK)
 *         use(embedder->vectors + i * embedder->dimensions);      // until the next run
 *     sb_embedder_free(embedder);
 */
#ifndef SB_CLI_EMBEDDER_H
#define SB_CLI_EMBEDDER_H

#include "cli/texts.h"
#include "model/model.h"

struct sb_embedder_shard;

struct sb_embedder {
    float *vectors;      /* [texts of the last run, dimensions] */
    size_t dimensions;
    size_t tokens;       /* of the last run, special tokens included */
    size_t cut;          /* texts of all runs that were longer than the model takes */
    /* Inside. */
    struct sb_model *model;
    struct sb_pool *pool;
    struct sb_session **sessions; /* [threads] */
    int threads;
    struct sb_encoding *encodings; /* [capacity] */
    struct sb_embedder_shard *shards; /* [capacity] */
    size_t capacity;
    const struct sb_text *texts; /* of the run */
};

/* Keeps a reference on the model. */
SB_MUST_CHECK enum sb_status sb_embedder_new(struct sb_embedder **embedder, struct sb_model *model, int threads,
                                             struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_embedder_run(struct sb_embedder *embedder, const struct sb_text *texts, size_t count,
                                             struct sb_error *error);
/* Says on stderr how many texts were cut, if any. */
void sb_embedder_warn(const struct sb_embedder *embedder);
void sb_embedder_free(struct sb_embedder *embedder);

#endif
