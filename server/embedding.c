#include "server/embedding.h"

#include "base/cpu.h"
#include "model/pair_score.h"
#include "server/server_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART_TOKENS = 2048,      /* of a part, about: enough for several passes, few enough for all threads to get some */
    INLINE_FLOATS = 1 << 16, /* replies with more are written by a background thread */
};

struct sb_model *sb_request_model(struct sb_request *request, const char *name)
{
    struct sb_model *model = sb_registry_acquire(request->server->registry, name);
    if (!model) {
        struct sb_error error;
        char names[256];
        sb_registry_names(request->server->registry, names, sizeof names);
        sb_fail(&error, SB_NOT_FOUND, "there is no model \"%.100s\"; this server has %s", name ? name : "", names);
        sb_request_fail(request, SB_NOT_FOUND, "model", &error);
    }
    return model;
}

/* ---- parts ---- */

static struct sb_embedding *embedding_of(struct sb_work *work)
{
    return (struct sb_embedding *)((char *)work - offsetof(struct sb_embedding, work));
}

static size_t part_start(const struct sb_embedding *e, size_t part)
{
    return part ? e->part_ends[part - 1] : 0;
}

static enum sb_status make_part(struct sb_work *work, size_t part, bool must, struct sb_task **task,
                                struct sb_error *error)
{
    struct sb_embedding *e = embedding_of(work);
    size_t start = part_start(e, part);
    (void)must;
    return sb_embed_task_new(task, e->model, e->plan.inputs + start, e->part_ends[part] - start, error);
}

static void take_part(struct sb_work *work, size_t part, struct sb_task *task)
{
    struct sb_embedding *e = embedding_of(work);
    size_t start = part_start(e, part), count = e->part_ends[part] - start, n = e->dimensions;
    if (!task->finished || task->status != SB_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t row = e->plan.rows[start + i];
        const struct sb_embed_input *input = &e->rows.items[row];
        memcpy(e->vectors + row * n, sb_embed_task_vectors(task) + i * n, n * sizeof *e->vectors);
        e->norms[row] = sb_embed_task_norms(task)[i];
        sb_vector_cache_put(work->request->server->vector_cache, sb_model_hash(e->model), input->ids, input->length, e->vectors + row * n,
                            e->norms[row], n);
    }
}

/* Rows that are equal to an earlier one get its vector. */
static void copy_equal_rows(struct sb_embedding *e)
{
    for (size_t row = 0; row < e->rows.count; row++) {
        size_t source = e->plan.source[row];
        if (source == row)
            continue;
        memcpy(e->vectors + row * e->dimensions, e->vectors + source * e->dimensions, e->dimensions * sizeof *e->vectors);
        e->norms[row] = e->norms[source];
    }
}

static void end_parts(struct sb_work *work, enum sb_status status, const struct sb_error *error)
{
    struct sb_embedding *e = embedding_of(work);
    struct sb_request *request = work->request;
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, error);
        return;
    }
    copy_equal_rows(e);
    sb_metrics_compute_success(request->server->metrics, e->inputs.is_list, e->rows.count, &request->timing,
                               sb_now_ns() - request->received_ns);
    request->reply.timed = true;
    if (e->rows.count * e->dimensions > INLINE_FLOATS)
        sb_request_later(request, e->ready);
    else
        e->ready(request);
}

/* ---- start ---- */

/* Cuts the planned rows into parts of about PART_TOKENS; returns how many. */
static size_t cut_parts(struct sb_embedding *e)
{
    size_t parts = 0, tokens = 0;
    for (size_t i = 0; i < e->plan.count; i++) {
        tokens += e->plan.inputs[i].length;
        if (tokens >= PART_TOKENS || i + 1 == e->plan.count) {
            e->part_ends[parts++] = i + 1;
            tokens = 0;
        }
    }
    return parts;
}

/* Fetches a row's vector from the cache if it is there. */
static bool fetch_cached(void *context, size_t row)
{
    struct sb_embedding *e = context;
    const struct sb_embed_input *input = &e->rows.items[row];
    return sb_vector_cache_get(e->work.request->server->vector_cache, sb_model_hash(e->model), input->ids, input->length,
                               e->vectors + row * e->dimensions, &e->norms[row], e->dimensions);
}

static enum sb_status encode(struct sb_embedding *e, struct sb_request *request, struct sb_error *error)
{
    int64_t start = sb_now_ns();
    enum sb_status status = sb_rows_encode(&e->rows, e->model, &e->inputs, &e->options, error);
    request->timing.tokenization_ns = sb_now_ns() - start;
    request->timing.tokens = (int64_t)e->rows.tokens;
    request->timing.characters = (int64_t)e->rows.characters;
    for (size_t i = 0; i < e->rows.count; i++)
        sb_metrics_input_length(request->server->metrics, e->rows.items[i].length);
    return status;
}

void sb_embedding_start(struct sb_embedding *embedding, struct sb_request *request, struct sb_model *model)
{
    struct sb_embedding *e = embedding;
    struct sb_error error;
    e->model = model;
    e->dimensions = (size_t)sb_model_dimensions(model);
    sb_metrics_compute_begin(request->server->metrics, e->inputs.is_list, e->inputs.count);
    enum sb_status status = encode(e, request, &error);
    e->work = (struct sb_work){.request = request,
                               .model = model,
                               .window = (size_t)request->server->options.threads + 1,
                               .make = make_part,
                               .take = take_part,
                               .end = end_parts};
    if (status == SB_OK) {
        e->vectors = calloc(e->rows.count, e->dimensions * sizeof *e->vectors);
        e->norms = calloc(e->rows.count, sizeof *e->norms);
        e->part_ends = calloc(e->rows.count, sizeof *e->part_ends);
        if (!e->vectors || !e->norms || !e->part_ends)
            status = sb_fail(&error, SB_NO_MEMORY, "no memory for the vectors of %zu inputs", e->rows.count);
    }
    if (status == SB_OK)
        status = sb_row_plan_make(&e->plan, &e->rows, fetch_cached, e, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    e->work.parts = cut_parts(e);
    if (e->work.parts)
        sb_work_start(&e->work);
    else
        end_parts(&e->work, SB_OK, NULL);
}

void sb_embedding_clear(struct sb_embedding *embedding)
{
    sb_work_clear(&embedding->work);
    sb_inputs_free(&embedding->inputs);
    sb_row_plan_clear(&embedding->plan);
    sb_rows_free(&embedding->rows);
    sb_model_release(embedding->model);
    free(embedding->vectors);
    free(embedding->norms);
    free(embedding->part_ends);
}

void sb_embedding_again(struct sb_embedding *embedding)
{
    struct sb_embedding fresh = {
        .inputs = embedding->inputs, .options = embedding->options, .ready = embedding->ready};
    embedding->inputs = (struct sb_inputs){0};
    sb_embedding_clear(embedding);
    *embedding = fresh;
}

/* ---- vectors ---- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double sb_embedding_cosine(const struct sb_embedding *embedding, size_t a, size_t b)
{
    size_t n = embedding->dimensions;
    const float *u = embedding->vectors + a * n, *v = embedding->vectors + b * n;
    double lengths = sqrt(dot(u, u, n) * dot(v, v, n));
    return lengths > 0 ? dot(u, v, n) / lengths : 0;
}

void sb_embedding_denormalize(struct sb_embedding *embedding)
{
    size_t n = embedding->dimensions;
    if (!sb_model_config(embedding->model)->normalize)
        return;
    for (size_t row = 0; row < embedding->rows.count; row++)
        for (size_t i = 0; i < n; i++)
            embedding->vectors[row * n + i] *= embedding->norms[row];
}

double sb_embedding_pair_score(const struct sb_embedding *embedding, size_t a, size_t b)
{
    size_t n = embedding->dimensions;
    return sb_model_pair_score(embedding->model, embedding->vectors + a * n, embedding->vectors + b * n);
}

void sb_embedding_vector(const struct sb_embedding *embedding, size_t row, size_t n, enum sb_length length, float *out)
{
    const float *vector = embedding->vectors + row * embedding->dimensions;
    bool is_unit = sb_model_config(embedding->model)->normalize, whole = n == embedding->dimensions;
    double factor = 1;
    if (length == SB_LENGTH_RAW && is_unit)
        factor = (double)embedding->norms[row];
    if (length == SB_LENGTH_ONE && !(is_unit && whole)) { /* what the model has normalised stays as it is, to the bit */
        double norm = sqrt(dot(vector, vector, n));
        factor = norm > 0 ? 1 / norm : 0;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)vector[i] * factor);
}
