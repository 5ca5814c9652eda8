#include "cli/embed_texts.h"

#include "cli/embedder.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 1000 };

enum sb_status sb_embed_texts(const struct sb_embed_job *job, struct sb_progress *progress, struct sb_error *error)
{
    size_t dimensions = (size_t)sb_model_dimensions(job->model);
    struct sb_embedder embedder = {0};
    struct sb_text_batch batch = {0};
    float *vectors = NULL;
    enum sb_status status = sb_workers_new(&embedder.workers, job->model, job->threads, error);
    if (status != SB_OK)
        return status;
    vectors = malloc(BATCH * dimensions * sizeof *vectors);
    if (!vectors)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %d vectors", BATCH);
    while (status == SB_OK) {
        status = sb_texts_read(job->texts, &batch, BATCH, error);
        if (status != SB_OK || batch.count == 0)
            break;
        status = sb_embedder_run(&embedder, job->texts, &batch, vectors, error);
        if (status == SB_OK)
            status = job->take(job->context, &batch, vectors, error);
        sb_progress_update(progress, batch.first + batch.count);
    }
    sb_progress_end(progress);
    if (status == SB_OK && embedder.cut > 0)
        fprintf(stderr, "note: %zu of %zu texts were longer than %d tokens; of these only the beginning counts\n",
                embedder.cut, batch.first, sb_model_max_length(job->model));
    free(vectors);
    sb_text_batch_free(&batch);
    sb_workers_free(embedder.workers);
    sb_embedder_free(&embedder);
    return status;
}
