#include "cli/study.h"
#include "model/paraphrase.h"
#include "study/overlap.h"

#include <stdlib.h>
#include <string.h>

/* Questions have a dozen characters; a model that does not end is cut where it can not be right any more. */
enum { MOST_TOKENS = 40, BEAMS = 4, SAMPLE_OF_QUERIES = 1 }; /* the sample: as in eval_generation.c */

struct written {
    double f1;
    bool exists, ended, copied;
};

struct decoding {
    const struct sb_eval_data *eval;
    size_t seed;
    int beams;
    struct written *written; /* [count] */
    size_t count;
};

static enum sb_status compare(struct written *w, const struct sb_paraphrase *best, const char *given,
                              struct sb_error *error)
{
    struct sb_code_points a = {0}, b = {0};
    *w = (struct written){.exists = true, .ended = best->stopped, .copied = best->edit_distance == 0};
    enum sb_status status = sb_text_normalize(&a, best->text, best->size, error);
    if (status == SB_OK)
        status = sb_text_normalize(&b, given, strlen(given), error);
    if (status == SB_OK)
        status = sb_study_overlap(&w->f1, &a, &b, error);
    sb_code_points_free(&a);
    sb_code_points_free(&b);
    return status;
}

static enum sb_status write_one(void *context, size_t index, struct sb_workers *workers, int worker,
                                struct sb_error *error)
{
    struct decoding *d = context;
    const struct sb_eval_query *query =
        &d->eval->queries[sb_permute(d->eval->query_count, d->seed, SAMPLE_OF_QUERIES, index)];
    const char *text = d->eval->texts[query->text];
    struct sb_paraphrase_options options = sb_paraphrase_defaults();
    struct sb_task *task = NULL;
    size_t count;
    options.n = options.num_candidates = 1;
    options.drop_copies = options.rerank = false;
    options.decode.do_sample = false;
    options.decode.num_beams = d->beams;
    options.decode.max_new_tokens = MOST_TOKENS;
    enum sb_status status = sb_paraphrase_task_new(&task, workers->model, text, strlen(text), &options, error);
    if (status == SB_OK)
        status = sb_task_run(task, workers->sessions[worker], error);
    if (status == SB_OK) {
        const struct sb_paraphrase *best = sb_paraphrase_task_results(task, &count);
        if (count > 0) /* an empty text is no result */
            status = compare(&d->written[index], best, d->eval->texts[d->eval->relevant[query->first]], error);
    }
    sb_task_free(task);
    return status;
}

static void add_means(struct sb_study_measures *measures, const struct decoding *d)
{
    double f1 = 0, ended = 0, copied = 0, count = (double)d->count;
    bool greedy = d->beams == 1;
    for (size_t i = 0; i < d->count; i++) {
        f1 += d->written[i].f1 / count;
        ended += (d->written[i].ended || !d->written[i].exists) / count;
        copied += d->written[i].copied / count;
    }
    sb_study_measure(measures, greedy ? "greedy_f1" : "beam_f1", f1);
    sb_study_measure(measures, greedy ? "greedy_ended" : "beam_ended", ended);
    sb_study_measure(measures, greedy ? "greedy_copies" : "beam_copies", copied);
}

enum sb_status sb_study_measure_decoding(struct sb_study_measures *measures, struct sb_workers *workers,
                                         const struct sb_eval_data *eval, const struct sb_eval_options *options,
                                         struct sb_error *error)
{
    struct decoding d = {.eval = eval, .seed = options->seed};
    d.count = options->texts < eval->query_count ? options->texts : eval->query_count;
    if (d.count == 0 || !sb_model_can_generate(workers->model))
        return SB_OK;
    d.written = malloc(d.count * sizeof *d.written);
    enum sb_status status = d.written ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu texts", d.count);
    for (int i = 0; i < 2 && status == SB_OK; i++) {
        d.beams = i ? BEAMS : 1;
        memset(d.written, 0, d.count * sizeof *d.written);
        status = sb_workers_run(workers, d.count, write_one, &d, error);
        if (status == SB_OK)
            add_means(measures, &d);
    }
    free(d.written);
    return status;
}
