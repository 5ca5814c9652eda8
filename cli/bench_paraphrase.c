/*
 * simbert bench paraphrase: one request at a time on one thread, in three ways of decoding. A request is all that a
 * user waits for: tokenization, the source, the tokens, and the embedding and ranking of what was written. It is
 * measured again without those last two: writing alone.
 */
#include "cli/bench.h"
#include "model/paraphrase.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 20, NEW_TOKENS = 12, SAMPLES = 20, BEAMS = 4 };

static const struct mode {
    const char *name;
    int top_k;
    double top_p;
    int beams; /* 0: SAMPLES samples */
} modes[] = {
    {"top_k 5", 5, 1, 0},
    {"top_p 0.95", 0, 0.95, 0},
    {"beam 4", 5, 1, BEAMS},
};

/* Exactly NEW_TOKENS tokens a candidate, so that every request is the same amount of work. write_alone: candidates are
   dropped before they are embedded, for an edit distance that no text reaches. */
static struct sb_paraphrase_options options_of(const struct mode *mode, bool write_alone)
{
    struct sb_paraphrase_options options = sb_paraphrase_defaults();
    options.n = options.num_candidates = mode->beams ? mode->beams : SAMPLES;
    options.decode.do_sample = mode->beams == 0;
    options.decode.num_beams = mode->beams ? mode->beams : 1;
    options.decode.top_k = mode->top_k;
    options.decode.top_p = mode->top_p;
    options.decode.min_new_tokens = options.decode.max_new_tokens = NEW_TOKENS;
    options.decode.seed = 1;
    if (write_alone)
        options.min_edit_distance = INT_MAX;
    return options;
}

static enum sb_status request(struct sb_session *session, const struct sb_paraphrase_options *options, const char *text,
                              struct sb_paraphrase_counts *counts, struct sb_error *error)
{
    struct sb_task *task = NULL;
    enum sb_status status =
        sb_paraphrase_task_new(&task, sb_session_model(session), text, strlen(text), options, error);
    if (status == SB_OK)
        status = sb_task_run(task, session, error);
    if (status == SB_OK)
        *counts = sb_paraphrase_task_counts(task);
    sb_task_free(task);
    return status;
}

/* The times of many requests, in milliseconds. */
struct figures {
    double p50, p99, cpu_p50;
    size_t requests;
    long long generated_tokens, decode_steps;
};

static enum sb_status measure(struct figures *figures, const struct sb_bench *bench,
                              const struct sb_paraphrase_options *options, struct sb_session *session,
                              const struct sb_bench_input *input, struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct sb_paraphrase_counts counts = {0};
    *figures = (struct figures){0};
    enum sb_status status = sb_bench_times_reserve(&times, input->count * (size_t)bench->repeat, error);
    if (status == SB_OK)
        status = request(session, options, input->items[0], &counts, error); /* warms up */
    for (size_t i = 0; i < times.capacity && status == SB_OK; i++) {
        sb_bench_start(&times);
        status = request(session, options, input->items[i % input->count], &counts, error);
        sb_bench_stop(&times);
        figures->generated_tokens += counts.generated_tokens;
        figures->decode_steps += counts.decode_steps;
    }
    if (status == SB_OK) {
        figures->requests = times.count;
        figures->p50 = sb_bench_quantile(times.wall, times.count, 0.5) * 1e3;
        figures->p99 = sb_bench_quantile(times.wall, times.count, 0.99) * 1e3;
        figures->cpu_p50 = sb_bench_quantile(times.cpu, times.count, 0.5) * 1e3;
    }
    sb_bench_times_free(&times);
    return status;
}

static void put_results(struct sb_buffer *out, const struct sb_bench *bench, const struct sb_model *model,
                        const struct mode *mode, const struct figures *whole, const struct figures *writing)
{
    int candidates = mode->beams ? mode->beams : SAMPLES;
    if (!bench->json) {
        sb_buffer_format(out,
                         "  %-11s %2d candidates of %d tokens: %.2f ms a request (median), %.2f ms (99 %%), %.2f ms of "
                         "processor time; writing alone %.2f ms\n",
                         mode->name, candidates, NEW_TOKENS, whole->p50, whole->p99, whole->cpu_p50, writing->p50);
        return;
    }
    sb_buffer_text(out, "{\"bench\":\"paraphrase\",\"model\":");
    sb_buffer_json_string(out, sb_model_name(model), strlen(sb_model_name(model)));
    sb_buffer_format(
        out, ",\"kernels\":\"%s\",\"dtype\":\"%s\",\"threads\":1,\"mode\":\"%s\",\"candidates\":%d,\"new_tokens\":%d",
        sb_model_kernels(model)->name, sb_model_dtype(model), mode->name, candidates, NEW_TOKENS);
    sb_buffer_format(out, ",\"requests\":%zu,\"ms_p50\":%.4f,\"ms_p99\":%.4f,\"cpu_ms_p50\":%.4f", whole->requests,
                     whole->p50, whole->p99, whole->cpu_p50);
    sb_buffer_format(out, ",\"writing_ms_p50\":%.4f,\"writing_cpu_ms_p50\":%.4f", writing->p50, writing->cpu_p50);
    sb_buffer_format(out, ",\"generated_tokens\":%lld,\"decode_steps\":%lld}\n", whole->generated_tokens,
                     whole->decode_steps);
}

static enum sb_status measure_mode(struct sb_buffer *out, const struct sb_bench *bench, const struct mode *mode,
                                   struct sb_session *session, const struct sb_bench_input *input,
                                   struct sb_error *error)
{
    struct figures whole, writing;
    struct sb_paraphrase_options options = options_of(mode, false), write_alone = options_of(mode, true);
    enum sb_status status = measure(&whole, bench, &options, session, input, error);
    if (status == SB_OK)
        status = measure(&writing, bench, &write_alone, session, input, error);
    if (status == SB_OK)
        put_results(out, bench, sb_session_model(session), mode, &whole, &writing);
    return status;
}

enum sb_status sb_bench_paraphrase(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_input input = {0};
    struct sb_model *model = NULL;
    struct sb_session *session = NULL;
    enum sb_status status = sb_bench_load(&input, bench, REQUESTS, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, &bench->model, error);
    if (status == SB_OK)
        status = sb_session_new(&session, model, NULL, error);
    if (status == SB_OK && !bench->json)
        sb_buffer_format(out, "paraphrase, %s, %s, %s, threads: 1\n", sb_model_name(model),
                         sb_model_kernels(model)->name, sb_model_dtype(model));
    for (size_t i = 0; i < sizeof modes / sizeof *modes && status == SB_OK; i++)
        status = measure_mode(out, bench, &modes[i], session, &input, error);
    sb_session_free(session);
    sb_model_release(model);
    sb_bench_input_free(&input);
    return status;
}
