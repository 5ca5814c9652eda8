#include "cli/embedder.h"

#include <stdlib.h>
#include <string.h>

/* A shard is sized to be one pass through the network: larger ones gain nothing, smaller ones serve more threads. */
enum { SHARD_TOKENS = 512, SHARD_TEXTS = 128, SHARDS_PER_THREAD = 4 };

/* Texts [start, end) of the batch. */
struct sb_embedder_shard {
    size_t start, end;
};

void sb_embedder_free(struct sb_embedder *embedder)
{
    free(embedder->shards);
    embedder->shards = NULL;
    embedder->shard_capacity = 0;
}

struct run {
    struct sb_embedder *embedder;
    const struct sb_texts *texts;
    const struct sb_text_batch *batch;
    float *vectors; /* [batch->count, dimensions] */
    size_t dimensions;
};

/* Rows on their way into one pass. */
struct pass {
    struct sb_row rows[SHARD_TEXTS];
    size_t ends[SHARD_TEXTS]; /* of each row in ids */
    int32_t *ids;             /* [limit] */
    size_t count, tokens, limit;
    size_t first; /* the text of row 0 */
};

static enum sb_status compute(struct run *run, struct pass *pass, struct sb_session *session, struct sb_error *error)
{
    for (size_t i = 0; i < pass->count; i++) {
        size_t start = i ? pass->ends[i - 1] : 0, length = pass->ends[i] - start;
        pass->rows[i] =
            (struct sb_row){.ids = pass->ids + start, .length = length, .prefix = length, .want = SB_WANT_VECTOR};
    }
    enum sb_status status = pass->count ? sb_session_forward(session, pass->rows, pass->count, error) : SB_OK;
    for (size_t i = 0; i < pass->count && status == SB_OK; i++)
        memcpy(run->vectors + (pass->first + i) * run->dimensions, pass->rows[i].vector,
               run->dimensions * sizeof *run->vectors);
    run->embedder->tokens += pass->tokens;
    pass->first += pass->count;
    pass->count = pass->tokens = 0;
    return status;
}

static enum sb_status encode(struct run *run, size_t index, struct sb_workers *workers, int worker,
                             struct sb_error *error)
{
    struct sb_encoding *encoding = &workers->encodings[worker];
    struct sb_text text = sb_text_at(run->batch, index);
    enum sb_status status = sb_tokenizer_encode(sb_model_tokenizer(workers->model), encoding, text.text, text.size,
                                                NULL, 0, (size_t)sb_model_max_length(workers->model), error);
    char name[300];
    if (status != SB_OK) {
        sb_texts_name(run->texts, run->batch->first + index, name, sizeof name);
        return sb_fail_context(error, status, "%s", name);
    }
    if (encoding->truncated)
        run->embedder->cut++;
    return SB_OK;
}

static enum sb_status run_shard(void *context, size_t index, struct sb_workers *workers, int worker,
                                struct sb_error *error)
{
    struct run *run = context;
    struct sb_embedder_shard shard = run->embedder->shards[index];
    struct sb_session *session = workers->sessions[worker];
    struct sb_session_options limits = sb_session_limits(session);
    struct sb_encoding *encoding = &workers->encodings[worker];
    size_t most = limits.max_rows < SHARD_TEXTS ? limits.max_rows : SHARD_TEXTS;
    struct pass pass = {
        .ids = malloc(limits.max_tokens * sizeof *pass.ids), .limit = limits.max_tokens, .first = shard.start};
    enum sb_status status = pass.ids ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory to embed");
    for (size_t i = shard.start; i < shard.end && status == SB_OK; i++) {
        status = encode(run, i, workers, worker, error);
        if (status == SB_OK && (pass.count == most || encoding->length > pass.limit - pass.tokens))
            status = compute(run, &pass, session, error);
        if (status != SB_OK)
            break;
        memcpy(pass.ids + pass.tokens, encoding->ids, encoding->length * sizeof *pass.ids);
        pass.ends[pass.count++] = pass.tokens += encoding->length;
    }
    if (status == SB_OK)
        status = compute(run, &pass, session, error);
    free(pass.ids);
    return status;
}

/* Before it is tokenized: exact for Chinese characters, of three bytes each, and more than there are for most else. */
static size_t expected_tokens(size_t size)
{
    return size / 3 + 2;
}

/* Cuts the batch into shards of consecutive texts. Returns how many, 0 when out of memory. */
static size_t make_shards(struct sb_embedder *embedder, const struct sb_text_batch *batch)
{
    size_t threads = (size_t)embedder->workers->threads, tokens = 0, start = 0, count = 0;
    size_t all = batch->bytes.length / 3 + 2 * batch->count, share = all / (threads * SHARDS_PER_THREAD);
    size_t most = threads > 1 && share < SHARD_TOKENS ? share : SHARD_TOKENS;
    if (batch->count > embedder->shard_capacity) {
        free(embedder->shards);
        embedder->shards = calloc(batch->count, sizeof *embedder->shards);
        embedder->shard_capacity = embedder->shards ? batch->count : 0;
    }
    if (!embedder->shards)
        return 0;
    for (size_t i = 0; i < batch->count; i++) {
        size_t more = expected_tokens(sb_text_at(batch, i).size);
        if (i > start && (tokens + more > most || i - start == SHARD_TEXTS)) {
            embedder->shards[count++] = (struct sb_embedder_shard){start, i};
            start = i;
            tokens = 0;
        }
        tokens += more;
    }
    embedder->shards[count++] = (struct sb_embedder_shard){start, batch->count};
    return count;
}

enum sb_status sb_embedder_run(struct sb_embedder *embedder, const struct sb_texts *texts,
                               const struct sb_text_batch *batch, float *vectors, struct sb_error *error)
{
    struct run run = {.embedder = embedder,
                      .texts = texts,
                      .batch = batch,
                      .vectors = vectors,
                      .dimensions = (size_t)sb_model_dimensions(embedder->workers->model)};
    size_t shards = batch->count ? make_shards(embedder, batch) : 0;
    if (batch->count && !shards)
        return sb_fail(error, SB_NO_MEMORY, "no memory to embed %zu texts", batch->count);
    return sb_workers_run(embedder->workers, shards, run_shard, &run, error);
}
