#include "cli/embed_texts.h"
#include "cli/study.h"

#include <math.h>
#include <stdlib.h>

/* ---- Mean cosine ---- */

/* The sum of unit vectors v_1 ... v_n: |sum|^2 = n + the sum of all cosines of two different ones. */
struct spread {
    const struct sb_kernels *kernels;
    size_t dimensions, count;
    float *sum;
};

static enum sb_status add_vectors(void *context, const struct sb_text_batch *batch, const float *vectors,
                                  struct sb_error *error)
{
    struct spread *s = context;
    (void)error;
    for (size_t i = 0; i < batch->count; i++) {
        const float *v = vectors + i * s->dimensions;
        float length = sqrtf(s->kernels->dot(v, v, s->dimensions));
        for (size_t d = 0; d < s->dimensions && length > 0; d++)
            s->sum[d] += v[d] / length;
    }
    s->count += batch->count;
    return SB_OK;
}

static enum sb_status measure_spread(struct sb_study_measures *measures, struct sb_workers *workers,
                                     const struct sb_eval_data *eval, struct sb_error *error)
{
    struct spread s = {.kernels = sb_model_kernels(workers->model),
                       .dimensions = (size_t)sb_model_dimensions(workers->model)};
    struct sb_progress progress = sb_progress_begin("never", false, "texts");
    struct sb_texts *texts;
    s.sum = calloc(s.dimensions, sizeof *s.sum);
    if (!s.sum)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a vector");
    enum sb_status status = sb_texts_open(&texts, eval->texts, (int)eval->text_count, NULL, error);
    if (status == SB_OK) {
        struct sb_embed_job job = {
            .model = workers->model, .threads = workers->threads, .texts = texts, .take = add_vectors, .context = &s};
        status = sb_embed_texts(&job, &progress, error);
        sb_texts_close(texts);
    }
    double n = (double)s.count, square = s.kernels->dot(s.sum, s.sum, s.dimensions);
    if (status == SB_OK && n > 1)
        sb_study_measure(measures, "mean_cosine", (square - n) / (n * (n - 1)));
    free(s.sum);
    return status;
}

/* ---- All parts ---- */

static double gap(const struct sb_likelihood_gap *g)
{
    return g->tokens ? (g->own - g->forced) / (double)g->tokens : NAN;
}

static void add_result(struct sb_study_measures *measures, const struct sb_eval_result *r)
{
    if (r->pairs.count) {
        sb_study_measure(measures, "spearman", r->pairs.spearman);
        sb_study_measure(measures, "auc", r->pairs.auc);
    }
    if (r->retrieval.queries)
        sb_study_measure(measures, "mrr", r->retrieval.mrr);
    if (r->likelihood_pairs) {
        sb_study_measure(measures, "nll", r->likelihood.nll / (double)r->likelihood.tokens);
        sb_study_measure(measures, "gap_written", gap(&r->likelihood.written));
        sb_study_measure(measures, "gap_guessed", gap(&r->likelihood.guessed));
    }
}

static enum sb_status measure_parts(const struct sb_study_measurer *m, struct sb_study_measures *measures,
                                    struct sb_workers *workers, const struct sb_eval_data *eval, unsigned parts,
                                    const struct sb_eval_options *options, struct sb_error *error)
{
    struct sb_eval_result result = {.path = m->dev};
    enum sb_status status = SB_OK;
    if (parts & SB_STUDY_PAIRS)
        status = sb_eval_similarity(&result, eval, workers, options, error);
    if (status == SB_OK && parts & SB_STUDY_LIKELIHOOD)
        status = sb_eval_generation(&result, eval, workers, options, error);
    if (status != SB_OK)
        return status;
    add_result(measures, &result);
    if (parts & SB_STUDY_DECODING)
        status = sb_study_measure_decoding(measures, workers, eval, options, error);
    if (status == SB_OK && parts & SB_STUDY_SPREAD)
        status = measure_spread(measures, workers, eval, error);
    return status;
}

enum sb_status sb_study_measure_model(const struct sb_study_measurer *m, struct sb_study_measures *measures,
                                      const char *model, unsigned parts, struct sb_error *error)
{
    struct sb_eval_options options = sb_eval_defaults();
    struct sb_model_options opening = {.dtype = m->dtype};
    struct sb_eval_result read = {.path = m->dev};
    struct sb_eval_data eval = {0};
    struct sb_model *opened = NULL;
    struct sb_workers *workers = NULL;
    options.limit = m->pairs;
    options.texts = m->texts;
    options.paraphrases = 0;
    options.progress = "never";
    enum sb_status status = sb_model_open(&opened, model, &opening, error);
    if (status == SB_OK)
        status = sb_workers_new(&workers, opened, m->threads, error);
    if (status == SB_OK)
        status = sb_eval_data_read(&eval, &read, &options, error);
    if (status == SB_OK)
        status = measure_parts(m, measures, workers, &eval, parts, &options, error);
    sb_eval_data_free(&eval);
    sb_workers_free(workers);
    sb_model_release(opened);
    return status;
}
