/*
 * What the model writes, for a sample of the queries: the likelihood of their first relevant text, and measures of the
 * paraphrases that it samples.
 */
#include "cli/eval.h"
#include "cli/progress.h"
#include "cli/study.h"
#include "model/paraphrase.h"

#include <stdlib.h>
#include <string.h>

/* SHARD_PAIRS share their forward passes. A pair is cut to PAIR_TOKENS, special ones included: SimBERT's has 64. */
enum { SHARD_PAIRS = 16, PAIR_TOKENS = 128, SAMPLE_OF_QUERIES = 1 };

struct text_measures {
    size_t written, copies, duplicates, kept;
    double similarity, edit_distance; /* sums over what was kept */
    double distinct[2];
};

struct generation {
    const struct sb_eval_data *eval;
    const struct sb_eval_options *options;
    size_t *sample; /* [count] of queries */
    size_t count;
    struct sb_likelihood *likelihoods; /* [count] */
    struct text_measures *measures;    /* [count] */
    size_t first;                      /* of the sample, where the current run of the workers begins */
};

static const char *query_text(const struct generation *g, size_t i)
{
    return g->eval->texts[g->eval->queries[g->sample[i]].text];
}

static const char *target_text(const struct generation *g, size_t i)
{
    return g->eval->texts[g->eval->relevant[g->eval->queries[g->sample[i]].first]];
}

/* ---- likelihood ---- */

/* [CLS] source [SEP] and target [SEP], one behind the other in ids[PAIR_TOKENS]. */
static enum sb_status encode_pair(struct sb_likelihood_pair *pair, int32_t *ids, const char *source, const char *target,
                                  struct sb_workers *workers, int worker, struct sb_error *error)
{
    struct sb_encoding *encoding = &workers->encodings[worker];
    size_t longest = (size_t)sb_model_max_length(workers->model), prefix = 0;
    enum sb_status status =
        sb_tokenizer_encode(sb_model_tokenizer(workers->model), encoding, source, strlen(source), target,
                            strlen(target), longest < PAIR_TOKENS ? longest : PAIR_TOKENS, error);
    if (status != SB_OK)
        return status;
    while (prefix < encoding->length && encoding->segments[prefix] == 0)
        prefix++;
    memcpy(ids, encoding->ids, encoding->length * sizeof *ids);
    *pair = (struct sb_likelihood_pair){ids, ids + prefix, prefix, encoding->length - prefix};
    return SB_OK;
}

static enum sb_status measure_shard(void *context, size_t index, struct sb_workers *workers, int worker,
                                    struct sb_error *error)
{
    struct generation *g = context;
    size_t first = g->first + index * SHARD_PAIRS, left = g->count - first,
           count = left < SHARD_PAIRS ? left : SHARD_PAIRS;
    int32_t ids[SHARD_PAIRS][PAIR_TOKENS];
    struct sb_likelihood_pair pairs[SHARD_PAIRS];
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status =
            encode_pair(&pairs[i], ids[i], query_text(g, first + i), target_text(g, first + i), workers, worker, error);
    if (status == SB_OK)
        status = sb_measure_likelihood(g->likelihoods + first, workers->sessions[worker], pairs, count, error);
    return status;
}

/* ---- paraphrases ---- */

static struct sb_paraphrase_options options_of(const struct generation *g)
{
    struct sb_paraphrase_options options = sb_paraphrase_defaults();
    options.n = options.num_candidates = g->options->paraphrases;
    options.drop_copies = true;
    options.decode.seed = g->options->seed;
    return options;
}

static enum sb_status measure_distinct(struct text_measures *m, const struct sb_paraphrase *kept, size_t count,
                                       struct sb_error *error)
{
    struct sb_code_points *texts = calloc(count ? count : 1, sizeof *texts);
    enum sb_status status = texts ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu paraphrases", count);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = sb_text_normalize(&texts[i], kept[i].text, kept[i].size, error);
    for (size_t n = 1; n <= 2 && status == SB_OK; n++)
        status = sb_distinct(&m->distinct[n - 1], texts, count, n, error);
    for (size_t i = 0; i < count && texts; i++)
        sb_code_points_free(&texts[i]);
    free(texts);
    return status;
}

static enum sb_status measure_task(struct text_measures *m, const struct sb_task *task, size_t written,
                                   struct sb_error *error)
{
    size_t count;
    const struct sb_paraphrase *kept = sb_paraphrase_task_results(task, &count);
    struct sb_paraphrase_counts counts = sb_paraphrase_task_counts(task);
    *m = (struct text_measures){.written = written,
                                .copies = (size_t)counts.dropped_copies,
                                .duplicates = (size_t)counts.dropped_duplicates,
                                .kept = count};
    for (size_t i = 0; i < count; i++) {
        m->similarity += kept[i].similarity;
        m->edit_distance += kept[i].edit_distance;
    }
    return measure_distinct(m, kept, count, error);
}

static enum sb_status measure_text(void *context, size_t index, struct sb_workers *workers, int worker,
                                   struct sb_error *error)
{
    struct generation *g = context;
    struct sb_paraphrase_options options = options_of(g);
    const char *text = query_text(g, g->first + index);
    struct sb_task *task = NULL;
    enum sb_status status = sb_paraphrase_task_new(&task, workers->model, text, strlen(text), &options, error);
    if (status == SB_OK)
        status = sb_task_run(task, workers->sessions[worker], error);
    if (status == SB_OK)
        status = measure_task(&g->measures[g->first + index], task, (size_t)options.num_candidates, error);
    sb_task_free(task);
    return status;
}

/* ---- both ---- */

/* Runs body on all of the sample, `each` of it at an index, some indices at a time so that progress can be shown. */
static enum sb_status run(struct generation *g, sb_workers_body body, size_t each, const char *what,
                          struct sb_workers *workers, struct sb_error *error)
{
    struct sb_progress progress = sb_progress_begin(g->options->progress, g->options->json, what);
    size_t most = (size_t)workers->threads * 4;
    enum sb_status status = SB_OK;
    for (g->first = 0; g->first < g->count && status == SB_OK; g->first += most * each) {
        size_t left = g->count - g->first, shards = (left + each - 1) / each;
        status = sb_workers_run(workers, shards < most ? shards : most, body, g, error);
        sb_progress_update(&progress, g->first + (left < most * each ? left : most * each));
    }
    sb_progress_end(&progress);
    return status;
}

static void reduce_paraphrases(struct sb_eval_paraphrases *out, const struct generation *g)
{
    size_t copies = 0, duplicates = 0, with_any = 0;
    *out = (struct sb_eval_paraphrases){.texts = g->count};
    for (size_t i = 0; i < g->count; i++) {
        const struct text_measures *m = &g->measures[i];
        out->written += m->written;
        out->kept += m->kept;
        copies += m->copies;
        duplicates += m->duplicates;
        out->similarity += m->similarity;
        out->edit_distance += m->edit_distance;
        with_any += m->kept > 0;
        for (size_t n = 0; n < 2 && m->kept > 0; n++)
            out->distinct[n] += m->distinct[n];
    }
    out->copy_rate = (double)copies / (double)out->written;
    out->duplicate_rate = (double)duplicates / (double)out->written;
    out->similarity /= (double)out->kept; /* nothing kept: NaN, as every measure of nothing */
    out->edit_distance /= (double)out->kept;
    for (size_t n = 0; n < 2; n++)
        out->distinct[n] /= (double)with_any;
}

static enum sb_status take_sample(struct generation *g, struct sb_error *error)
{
    size_t all = g->eval->query_count;
    g->count = g->options->texts < all ? g->options->texts : all;
    g->sample = malloc(g->count * sizeof *g->sample);
    g->likelihoods = calloc(g->count, sizeof *g->likelihoods);
    g->measures = calloc(g->count, sizeof *g->measures);
    if (!g->sample || !g->likelihoods || !g->measures)
        return sb_fail(error, SB_NO_MEMORY, "no memory to write paraphrases of %zu texts", g->count);
    for (size_t i = 0; i < g->count; i++)
        g->sample[i] = sb_permute(all, g->options->seed, SAMPLE_OF_QUERIES, i);
    return SB_OK;
}

static enum sb_status measure_decoding(struct sb_eval_result *result, const struct sb_eval_data *eval,
                                       struct sb_workers *workers, const struct sb_eval_options *options,
                                       struct sb_error *error)
{
    struct sb_study_measures m = {.count = 0};
    enum sb_status status = sb_study_measure_decoding(&m, workers, eval, options, error);
    result->decoded = status == SB_OK;
    result->greedy = (struct sb_eval_decoding){sb_study_measured(&m, "greedy_f1"), sb_study_measured(&m, "greedy_ended"),
                                               sb_study_measured(&m, "greedy_copies")};
    result->beam = (struct sb_eval_decoding){sb_study_measured(&m, "beam_f1"), sb_study_measured(&m, "beam_ended"),
                                             sb_study_measured(&m, "beam_copies")};
    return status;
}

enum sb_status sb_eval_generation(struct sb_eval_result *result, const struct sb_eval_data *eval,
                                  struct sb_workers *workers, const struct sb_eval_options *options,
                                  struct sb_error *error)
{
    struct generation g = {.eval = eval, .options = options};
    if (options->texts == 0 || eval->query_count == 0 || !sb_model_can_generate(workers->model))
        return SB_OK;
    enum sb_status status = take_sample(&g, error);
    if (status == SB_OK)
        status = run(&g, measure_shard, SHARD_PAIRS, "likelihoods measured", workers, error);
    for (size_t i = 0; i < g.count && status == SB_OK; i++)
        sb_likelihood_add(&result->likelihood, &g.likelihoods[i]);
    if (status == SB_OK)
        result->likelihood_pairs = g.count;
    if (status == SB_OK && options->decodes)
        status = measure_decoding(result, eval, workers, options, error);
    if (status == SB_OK && options->paraphrases > 0) {
        status = run(&g, measure_text, 1, "texts paraphrased", workers, error);
        if (status == SB_OK)
            reduce_paraphrases(&result->paraphrases, &g);
    }
    free(g.sample);
    free(g.likelihoods);
    free(g.measures);
    return status;
}
