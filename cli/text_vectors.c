#include "cli/text_vectors.h"

#include "cli/embed_texts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct sb_text_vectors *all)
{
    if (all->count < all->capacity)
        return true;
    size_t capacity = all->capacity ? 2 * all->capacity : 1024;
    float *vectors = realloc(all->vectors, capacity * all->dimensions * sizeof *vectors);
    if (vectors)
        all->vectors = vectors;
    size_t *indices = realloc(all->indices, capacity * sizeof *indices);
    if (indices)
        all->indices = indices;
    size_t *ends = realloc(all->ends, capacity * sizeof *ends);
    if (ends)
        all->ends = ends;
    if (!vectors || !indices || !ends)
        return false;
    all->capacity = capacity;
    return true;
}

void sb_unit_vector(float *out, const float *vector, size_t n, const struct sb_kernels *kernels)
{
    double length = sqrt((double)kernels->dot(vector, vector, n));
    for (size_t i = 0; i < n; i++)
        out[i] = fabs(length - 1) < 1e-5 || !(length > 0) ? vector[i] : (float)(vector[i] / length);
}

static enum sb_status take(void *context, const struct sb_text_batch *batch, const float *vectors,
                           struct sb_error *error)
{
    struct sb_text_vectors *all = context;
    for (size_t i = 0; i < batch->count; i++) {
        struct sb_text text = sb_text_at(batch, i);
        if (text.size == 0)
            continue;
        if (reserve(all))
            sb_buffer_bytes(&all->bytes, text.text, text.size);
        if (all->count == all->capacity || all->bytes.failed)
            return sb_fail(error, SB_NO_MEMORY, "no memory for the vectors of all texts");
        sb_unit_vector(all->vectors + all->count * all->dimensions, vectors + i * all->dimensions, all->dimensions,
                       all->kernels);
        all->indices[all->count] = batch->first + i;
        all->ends[all->count++] = all->bytes.length;
    }
    return SB_OK;
}

enum sb_status sb_text_vectors_load(struct sb_text_vectors *all, struct sb_model *model, int threads,
                                    const struct sb_text_choice *choice, char **arguments, int count,
                                    struct sb_error *error)
{
    struct sb_texts *texts;
    *all = (struct sb_text_vectors){.dimensions = (size_t)sb_model_dimensions(model),
                                    .kernels = sb_model_kernels(model)};
    enum sb_status status = sb_texts_open(&texts, arguments, count, choice->input, error);
    if (status != SB_OK)
        return status;
    struct sb_embed_job job = {.model = model, .threads = threads, .texts = texts, .take = take, .context = all};
    struct sb_progress progress = sb_progress_begin(choice->progress, choice->json, "texts");
    status = sb_embed_texts(&job, &progress, error);
    sb_texts_close(texts);
    return status;
}

void sb_text_vectors_free(struct sb_text_vectors *all)
{
    free(all->vectors);
    free(all->indices);
    free(all->ends);
    sb_buffer_free(&all->bytes);
    *all = (struct sb_text_vectors){0};
}

struct sb_text sb_text_vectors_at(const struct sb_text_vectors *all, size_t i)
{
    size_t start = i ? all->ends[i - 1] : 0;
    return (struct sb_text){all->bytes.data + start, all->ends[i] - start};
}

void sb_text_vectors_put(struct sb_buffer *out, const struct sb_text_vectors *all, size_t i)
{
    struct sb_text text = sb_text_vectors_at(all, i);
    sb_buffer_format(out, "{\"index\":%zu,\"text\":", all->indices[i]);
    sb_buffer_json_string(out, text.text, text.size);
    sb_buffer_text(out, "}");
}

struct sb_mining sb_text_vectors_set(const struct sb_text_vectors *all, struct sb_pool *pool)
{
    return (struct sb_mining){.vectors = all->vectors,
                              .count = all->count,
                              .dimensions = all->dimensions,
                              .kernels = all->kernels,
                              .pool = pool};
}
