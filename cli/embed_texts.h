/*
 * The loop of commands that embed all their texts: read a batch, embed it, hand it on; with progress, and at the end a
 * note about texts that had to be cut.
 *
 *     struct sb_embed_job job = {.model = model, .threads = 2, .texts = texts, .take = print, .context = out};
 *     if (sb_embed_texts(&job, &progress, &error) != SB_OK) ...
 */
#ifndef SB_CLI_EMBED_TEXTS_H
#define SB_CLI_EMBED_TEXTS_H

#include "cli/progress.h"
#include "cli/texts.h"
#include "model/model.h"

struct sb_embed_job {
    struct sb_model *model;
    int threads;
    struct sb_texts *texts;
    /* Gets vectors[batch->count, dimensions], borrowed for the call, batches in order. */
    enum sb_status (*take)(void *context, const struct sb_text_batch *batch, const float *vectors,
                           struct sb_error *error);
    void *context;
};

SB_MUST_CHECK enum sb_status sb_embed_texts(const struct sb_embed_job *job, struct sb_progress *progress,
                                            struct sb_error *error);

#endif
