/*
 * What the sentence vectors are worth: cosines of the pairs against their labels, and retrieval of every query's relevant
 * texts among all texts of the file.
 */
#include "cli/embed_texts.h"
#include "cli/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const size_t sb_eval_cutoffs[SB_EVAL_CUTOFFS] = {1, 5, 10};

/* Queries of a shard share the candidates that lie in the cache. */
enum { SHARD_QUERIES = 32, TILE_CANDIDATES = 128 };

struct query_measures {
    double reciprocal_rank, recall[SB_EVAL_CUTOFFS];
};

struct similarity {
    const struct sb_eval_data *eval;
    const struct sb_kernels *kernels;
    size_t dimensions;
    float *vectors;                  /* [texts, dimensions], of length 1 */
    struct query_measures *measures; /* [queries] */
    float **scores;                  /* [threads][SHARD_QUERIES, texts] */
    size_t **ranks;                  /* [threads][the most relevant texts of a query] */
};

/* ---- vectors ---- */

static enum sb_status take_vectors(void *context, const struct sb_text_batch *batch, const float *vectors,
                                   struct sb_error *error)
{
    struct similarity *s = context;
    for (size_t i = 0; i < batch->count; i++) {
        const float *from = vectors + i * s->dimensions;
        float *to = s->vectors + (batch->first + i) * s->dimensions;
        float length = sqrtf(s->kernels->dot(from, from, s->dimensions));
        /* Comparisons with NaN would make a ruined model the best of all. */
        if (!isfinite(length))
            return sb_fail(error, SB_CORRUPT, "the model gives vectors that are not finite: its weights are ruined");
        for (size_t d = 0; d < s->dimensions; d++)
            to[d] = length > 0 ? from[d] / length : 0;
    }
    return SB_OK;
}

static enum sb_status embed(struct similarity *s, struct sb_workers *workers, const struct sb_eval_options *options,
                            struct sb_error *error)
{
    struct sb_texts *texts;
    enum sb_status status = sb_texts_open(&texts, s->eval->texts, (int)s->eval->text_count, NULL, error);
    if (status != SB_OK)
        return status;
    struct sb_embed_job job = {
        .model = workers->model, .threads = workers->threads, .texts = texts, .take = take_vectors, .context = s};
    struct sb_progress progress = sb_progress_begin(options->progress, options->json, "texts embedded");
    status = sb_embed_texts(&job, &progress, error);
    sb_texts_close(texts);
    return status;
}

/* ---- pairs ---- */

static enum sb_status measure_pairs(struct sb_eval_result *result, const struct similarity *s,
                                    const struct sb_eval_options *options, struct sb_error *error)
{
    const struct sb_eval_data *eval = s->eval;
    float *values = malloc(2 * eval->pair_count * sizeof *values), *labels = values + eval->pair_count;
    if (!values)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu pairs", result->path, eval->pair_count);
    for (size_t i = 0; i < eval->pair_count; i++) {
        const struct sb_eval_pair *pair = &eval->pairs[i];
        values[i] =
            s->kernels->dot(s->vectors + pair->a * s->dimensions, s->vectors + pair->b * s->dimensions, s->dimensions);
        labels[i] = pair->label;
    }
    enum sb_status status =
        sb_measure_pairs(&result->pairs, values, labels, eval->pair_count, options->threshold, error);
    free(values);
    return status;
}

/* ---- retrieval ---- */

/* scores[queries, texts] of the shard's queries. */
static void score_shard(const struct similarity *s, float *scores, size_t first, size_t count)
{
    size_t texts = s->eval->text_count;
    for (size_t tile = 0; tile < texts; tile += TILE_CANDIDATES) {
        size_t rows = texts - tile < TILE_CANDIDATES ? texts - tile : TILE_CANDIDATES;
        for (size_t q = 0; q < count; q++)
            s->kernels->scores(scores + q * texts + tile, s->vectors + tile * s->dimensions, s->dimensions, rows,
                               s->vectors + s->eval->queries[first + q].text * s->dimensions, s->dimensions);
    }
}

static enum sb_status run_shard(void *context, size_t index, struct sb_workers *workers, int worker,
                                struct sb_error *error)
{
    struct similarity *s = context;
    size_t texts = s->eval->text_count, first = index * SHARD_QUERIES, left = s->eval->query_count - first;
    size_t count = left < SHARD_QUERIES ? left : SHARD_QUERIES, *ranks = s->ranks[worker];
    (void)workers, (void)error;
    score_shard(s, s->scores[worker], first, count);
    for (size_t q = 0; q < count; q++) {
        const struct sb_eval_query *query = &s->eval->queries[first + q];
        struct query_measures *m = &s->measures[first + q];
        sb_retrieval_ranks(ranks, s->scores[worker] + q * texts, texts, query->text, s->eval->relevant + query->first,
                           query->count);
        m->reciprocal_rank = sb_reciprocal_rank(ranks, query->count);
        for (size_t c = 0; c < SB_EVAL_CUTOFFS; c++)
            m->recall[c] = sb_recall_at(ranks, query->count, sb_eval_cutoffs[c]);
    }
    return SB_OK;
}

static enum sb_status allocate(struct similarity *s, int threads, struct sb_error *error)
{
    size_t most = 0;
    bool failed = false;
    for (size_t q = 0; q < s->eval->query_count; q++)
        most = s->eval->queries[q].count > most ? s->eval->queries[q].count : most;
    s->measures = calloc(s->eval->query_count, sizeof *s->measures);
    s->scores = calloc((size_t)threads, sizeof *s->scores);
    s->ranks = calloc((size_t)threads, sizeof *s->ranks);
    for (int i = 0; i < threads && s->scores && s->ranks; i++) {
        s->scores[i] = malloc(SHARD_QUERIES * s->eval->text_count * sizeof **s->scores);
        s->ranks[i] = malloc(most * sizeof **s->ranks);
        failed |= !s->scores[i] || !s->ranks[i];
    }
    if (failed || !s->measures || !s->scores || !s->ranks)
        return sb_fail(error, SB_NO_MEMORY, "no memory to search %zu texts", s->eval->text_count);
    return SB_OK;
}

static void release(struct similarity *s, int threads)
{
    for (int i = 0; i < threads; i++) {
        if (s->scores)
            free(s->scores[i]);
        if (s->ranks)
            free(s->ranks[i]);
    }
    free(s->scores);
    free(s->ranks);
    free(s->measures);
}

static void reduce(struct sb_eval_retrieval *out, const struct similarity *s)
{
    double count = (double)s->eval->query_count;
    *out = (struct sb_eval_retrieval){.queries = s->eval->query_count, .candidates = s->eval->text_count - 1};
    for (size_t q = 0; q < s->eval->query_count; q++) {
        out->mrr += s->measures[q].reciprocal_rank / count;
        for (size_t c = 0; c < SB_EVAL_CUTOFFS; c++)
            out->recall[c] += s->measures[q].recall[c] / count;
    }
}

static enum sb_status measure_retrieval(struct sb_eval_result *result, struct similarity *s, struct sb_workers *workers,
                                        struct sb_error *error)
{
    enum sb_status status = allocate(s, workers->threads, error);
    size_t shards = (s->eval->query_count + SHARD_QUERIES - 1) / SHARD_QUERIES;
    if (status == SB_OK)
        status = sb_workers_run(workers, shards, run_shard, s, error);
    if (status == SB_OK)
        reduce(&result->retrieval, s);
    release(s, workers->threads);
    return status;
}

enum sb_status sb_eval_similarity(struct sb_eval_result *result, const struct sb_eval_data *eval,
                                  struct sb_workers *workers, const struct sb_eval_options *options,
                                  struct sb_error *error)
{
    struct similarity s = {.eval = eval,
                           .kernels = sb_model_kernels(workers->model),
                           .dimensions = (size_t)sb_model_dimensions(workers->model)};
    if (!eval->labelled && eval->query_count == 0)
        return SB_OK;
    s.vectors = malloc(eval->text_count * s.dimensions * sizeof *s.vectors);
    if (!s.vectors)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for the vectors of %zu texts", result->path,
                       eval->text_count);
    enum sb_status status = embed(&s, workers, options, error);
    if (status == SB_OK && eval->labelled)
        status = measure_pairs(result, &s, options, error);
    if (status == SB_OK && eval->query_count > 0)
        status = measure_retrieval(result, &s, workers, error);
    free(s.vectors);
    return status;
}
