/*
 * A run has two parallel parts: every text is tokenized; then neighbours are grouped into shards of about the same
 * number of tokens, several a thread so that none waits long for the others, and each shard is an embedding task.
 */
#include "cli/embedder.h"

#include "model/session.h"
#include "model/task.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHARD_TOKENS = 512,    /* at least: enough rows for the matrix products to run at full speed */
    SHARDS_PER_THREAD = 4,
    ENCODE_TEXTS = 64, /* a call of the pool's body */
};

struct sb_embedder_shard {
    size_t first, end; /* texts */
    enum sb_status status;
    struct sb_error error;
};

void sb_embedder_free(struct sb_embedder *e)
{
    if (!e)
        return;
    for (int i = 0; e->sessions && i < e->threads; i++)
        sb_session_free(e->sessions[i]);
    for (size_t i = 0; i < e->capacity; i++)
        sb_encoding_free(&e->encodings[i]);
    sb_pool_free(e->pool);
    sb_model_release(e->model);
    free(e->sessions);
    free(e->encodings);
    free(e->shards);
    free(e->vectors);
    free(e);
}

enum sb_status sb_embedder_new(struct sb_embedder **embedder, struct sb_model *model, int threads,
                               struct sb_error *error)
{
    struct sb_embedder *e = calloc(1, sizeof *e);
    if (!e)
        return sb_fail(error, SB_NO_MEMORY, "out of memory");
    sb_model_retain(model);
    e->model = model;
    e->dimensions = (size_t)sb_model_dimensions(model);
    e->pool = sb_pool_new(threads);
    e->threads = sb_pool_threads(e->pool);
    e->sessions = calloc((size_t)e->threads, sizeof *e->sessions);
    enum sb_status status = e->sessions ? SB_OK : sb_fail(error, SB_NO_MEMORY, "out of memory");
    for (int i = 0; i < e->threads && status == SB_OK; i++)
        status = sb_session_new(&e->sessions[i], model, NULL, error);
    if (status == SB_OK)
        *embedder = e;
    else
        sb_embedder_free(e);
    return status;
}

/* Room for count texts; encodings keep their memory from run to run. */
static enum sb_status reserve(struct sb_embedder *e, size_t count, struct sb_error *error)
{
    if (count <= e->capacity)
        return SB_OK;
    float *vectors = reallocarray(e->vectors, count, e->dimensions * sizeof *vectors);
    if (vectors)
        e->vectors = vectors;
    struct sb_embedder_shard *shards = reallocarray(e->shards, count, sizeof *shards);
    if (shards)
        e->shards = shards;
    struct sb_encoding *encodings = reallocarray(e->encodings, count, sizeof *encodings);
    if (encodings)
        e->encodings = encodings;
    if (!vectors || !shards || !encodings)
        return sb_fail(error, SB_NO_MEMORY, "out of memory for %zu texts", count);
    memset(encodings + e->capacity, 0, (count - e->capacity) * sizeof *encodings);
    e->capacity = count;
    return SB_OK;
}

static void encode_shard(void *context, size_t index, int worker)
{
    struct sb_embedder *e = context;
    struct sb_embedder_shard *shard = &e->shards[index];
    (void)worker;
    shard->status = SB_OK;
    for (size_t i = shard->first; i < shard->end && shard->status == SB_OK; i++)
        shard->status = sb_tokenizer_encode(sb_model_tokenizer(e->model), &e->encodings[i], e->texts[i].data,
                                            e->texts[i].size, NULL, 0, (size_t)sb_model_max_length(e->model),
                                            &shard->error);
}

static enum sb_status embed(struct sb_embedder *e, const struct sb_embedder_shard *shard, struct sb_session *session,
                            struct sb_error *error)
{
    size_t count = shard->end - shard->first;
    struct sb_task *task = NULL;
    struct sb_embed_input *inputs = calloc(count, sizeof *inputs);
    if (!inputs)
        return sb_fail(error, SB_NO_MEMORY, "out of memory for %zu texts", count);
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct sb_embed_input){e->encodings[shard->first + i].ids, e->encodings[shard->first + i].length};
    enum sb_status status = sb_embed_task_new(&task, e->model, inputs, count, error);
    if (status == SB_OK)
        status = sb_task_run(task, session, error);
    if (status == SB_OK)
        memcpy(e->vectors + shard->first * e->dimensions, sb_embed_task_vectors(task),
               count * e->dimensions * sizeof *e->vectors);
    sb_task_free(task);
    free(inputs);
    return status;
}

static void embed_shard(void *context, size_t index, int worker)
{
    struct sb_embedder *e = context;
    e->shards[index].status = embed(e, &e->shards[index], e->sessions[worker], &e->shards[index].error);
}

/* Runs body over the first count shards; the first failure in the texts' order is the run's. */
static enum sb_status run_shards(struct sb_embedder *e, size_t count, void (*body)(void *, size_t, int),
                                 struct sb_error *error)
{
    sb_pool_run(e->pool, count, body, e);
    for (size_t i = 0; i < count; i++) {
        if (e->shards[i].status != SB_OK) {
            *error = e->shards[i].error;
            return e->shards[i].status;
        }
    }
    return SB_OK;
}

static size_t shard_by_texts(struct sb_embedder *e, size_t count)
{
    size_t shards = 0;
    for (size_t first = 0; first < count; first += ENCODE_TEXTS) {
        size_t end = first + ENCODE_TEXTS < count ? first + ENCODE_TEXTS : count;
        e->shards[shards++] = (struct sb_embedder_shard){.first = first, .end = end};
    }
    return shards;
}

static size_t shard_by_tokens(struct sb_embedder *e, size_t count)
{
    size_t target = e->tokens / ((size_t)e->threads * SHARDS_PER_THREAD), shards = 0, tokens = 0, first = 0;
    if (target < SHARD_TOKENS)
        target = SHARD_TOKENS;
    for (size_t i = 0; i < count; i++) {
        tokens += e->encodings[i].length;
        if (tokens >= target || i + 1 == count) {
            e->shards[shards++] = (struct sb_embedder_shard){.first = first, .end = i + 1};
            first = i + 1;
            tokens = 0;
        }
    }
    return shards;
}

enum sb_status sb_embedder_run(struct sb_embedder *e, const struct sb_text *texts, size_t count,
                               struct sb_error *error)
{
    enum sb_status status = reserve(e, count, error);
    if (status != SB_OK)
        return status;
    e->texts = texts;
    status = run_shards(e, shard_by_texts(e, count), encode_shard, error);
    if (status != SB_OK)
        return status;
    e->tokens = 0;
    for (size_t i = 0; i < count; i++) {
        e->tokens += e->encodings[i].length;
        e->cut += e->encodings[i].truncated;
    }
    return run_shards(e, shard_by_tokens(e, count), embed_shard, error);
}

void sb_embedder_warn(const struct sb_embedder *e)
{
    if (e->cut > 0)
        fprintf(stderr, "simbert: %zu texts were longer than the %d tokens that the model takes and were cut\n",
                e->cut, sb_model_max_length(e->model));
}
