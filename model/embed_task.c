/*
 * The task that turns rows of token ids into vectors.
 */
#include "model/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct embed_task {
    struct sb_task task;
    struct sb_model *model;
    size_t count, offered, accepted;
    int32_t *ids;   /* all rows, one behind the other */
    size_t *ends;   /* [count] */
    float *vectors; /* [count, dimensions] */
    float *norms;   /* [count] */
    size_t dimensions;
};

static size_t offer(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens)
{
    struct embed_task *t = (struct embed_task *)task;
    size_t added = 0;
    for (; t->offered < t->count; t->offered++) {
        size_t start = t->offered ? t->ends[t->offered - 1] : 0, length = t->ends[t->offered] - start;
        if (batch->count > 0 && added + length > max_tokens)
            break;
        struct sb_row row = {.ids = t->ids + start, .length = length, .prefix = length, .want = SB_WANT_VECTOR};
        if (!sb_task_batch_add(batch, &row, task, t->offered))
            break;
        added += length;
    }
    return added;
}

static void accept(struct sb_task *task, uint64_t tag, const struct sb_row *row)
{
    struct embed_task *t = (struct embed_task *)task;
    memcpy(t->vectors + tag * t->dimensions, row->vector, t->dimensions * sizeof *t->vectors);
    t->norms[tag] = sqrtf(sb_model_kernels(t->model)->dot(row->pooled, row->pooled, t->dimensions));
    task->finished = task->finished || ++t->accepted == t->count;
}

static void embed_free(struct sb_task *task)
{
    struct embed_task *t = (struct embed_task *)task;
    sb_model_release(t->model);
    free(t->ids);
    free(t->ends);
    free(t->vectors);
    free(t->norms);
    free(t);
}

static const struct sb_task_class embed_class = {"embed", offer, accept, embed_free};

static enum sb_status check_inputs(size_t *total, struct sb_model *model, const struct sb_embed_input *inputs, size_t n,
                                   struct sb_error *error)
{
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        if (inputs[i].length < 1 || inputs[i].length > (size_t)sb_model_max_length(model))
            return sb_fail(error, SB_INVALID, "input %zu has %zu tokens; the model takes 1 to %d", i, inputs[i].length,
                           sb_model_max_length(model));
        for (size_t j = 0; j < inputs[i].length; j++)
            if (inputs[i].ids[j] < 0 || inputs[i].ids[j] >= sb_model_config(model)->vocab_size)
                return sb_fail(error, SB_INVALID, "input %zu: token id %d is outside the vocabulary of %d", i,
                               inputs[i].ids[j], sb_model_config(model)->vocab_size);
        *total += inputs[i].length;
    }
    return SB_OK;
}

enum sb_status sb_embed_task_new(struct sb_task **task, struct sb_model *model, const struct sb_embed_input *inputs,
                                 size_t n, struct sb_error *error)
{
    size_t total;
    *task = NULL;
    enum sb_status status = check_inputs(&total, model, inputs, n, error);
    if (status != SB_OK)
        return status;
    struct embed_task *t = calloc(1, sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "embed: no memory");
    t->task.class = &embed_class;
    t->task.finished = n == 0;
    sb_model_retain(model);
    t->model = model;
    t->count = n;
    t->dimensions = (size_t)sb_model_dimensions(model);
    t->ids = malloc((total + 1) * sizeof *t->ids);
    t->ends = malloc((n + 1) * sizeof *t->ends);
    t->vectors = calloc(n * t->dimensions + 1, sizeof *t->vectors);
    t->norms = calloc(n + 1, sizeof *t->norms);
    if (!t->ids || !t->ends || !t->vectors || !t->norms) {
        embed_free(&t->task);
        return sb_fail(error, SB_NO_MEMORY, "embed: no memory for %zu texts", n);
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(t->ids + at, inputs[i].ids, inputs[i].length * sizeof *t->ids);
        t->ends[i] = at += inputs[i].length;
    }
    *task = &t->task;
    return SB_OK;
}

const float *sb_embed_task_vectors(const struct sb_task *task)
{
    return ((const struct embed_task *)task)->vectors;
}

const float *sb_embed_task_norms(const struct sb_task *task)
{
    return ((const struct embed_task *)task)->norms;
}
