/* simbert bench embed: many sentences at once, then one at a time. */
#include "cli/bench.h"
#include "cli/embedder.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS = 2000, SINGLE_TEXTS = 300 };

struct results {
    size_t texts, tokens, dimensions;
    int threads;
    double wall, cpu;                              /* of one pass over all texts */
    double single_p50, single_p99, single_cpu_p50; /* of one text alone */
};

static enum sb_status measure_all(struct results *results, struct sb_embedder *embedder,
                                  const struct sb_bench_input *input, float *vectors, int repeat,
                                  struct sb_error *error)
{
    struct sb_bench_times times = {0};
    enum sb_status status = sb_bench_times_reserve(&times, (size_t)repeat, error);
    if (status == SB_OK) /* the first pass warms up, and counts the tokens */
        status = sb_embedder_run(embedder, input->texts, &input->batch, vectors, error);
    results->tokens = embedder->tokens;
    for (int i = 0; i < repeat && status == SB_OK; i++) {
        sb_bench_start(&times);
        status = sb_embedder_run(embedder, input->texts, &input->batch, vectors, error);
        sb_bench_stop(&times);
    }
    if (status == SB_OK) {
        results->wall = sb_bench_quantile(times.wall, times.count, 0.5);
        results->cpu = sb_bench_quantile(times.cpu, times.count, 0.5);
    }
    sb_bench_times_free(&times);
    return status;
}

static enum sb_status measure_single(struct results *results, struct sb_embedder *embedder,
                                     const struct sb_bench_input *input, float *vectors, struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct sb_texts *texts = NULL;
    struct sb_text_batch one = {0};
    size_t count = input->count < SINGLE_TEXTS ? input->count : SINGLE_TEXTS;
    enum sb_status status = sb_bench_times_reserve(&times, count, error);
    if (status == SB_OK)
        status = sb_texts_open(&texts, input->items, (int)count, NULL, error);
    for (size_t i = 0; i < count && status == SB_OK; i++) {
        status = sb_texts_read(texts, &one, 1, error);
        sb_bench_start(&times);
        if (status == SB_OK)
            status = sb_embedder_run(embedder, texts, &one, vectors, error);
        sb_bench_stop(&times);
    }
    if (status == SB_OK) {
        results->single_p50 = sb_bench_quantile(times.wall, times.count, 0.5);
        results->single_p99 = sb_bench_quantile(times.wall, times.count, 0.99);
        results->single_cpu_p50 = sb_bench_quantile(times.cpu, times.count, 0.5);
    }
    sb_text_batch_free(&one);
    sb_texts_close(texts);
    sb_bench_times_free(&times);
    return status;
}

static void put_results(struct sb_buffer *out, const struct results *r, const struct sb_model *model,
                        const struct sb_bench *bench)
{
    double texts = (double)r->texts, tokens = (double)r->tokens;
    if (bench->json) {
        sb_buffer_text(out, "{\"bench\":\"embed\",\"model\":");
        sb_buffer_json_string(out, sb_model_name(model), strlen(sb_model_name(model)));
        sb_buffer_format(
            out, ",\"kernels\":\"%s\",\"dtype\":\"%s\",\"threads\":%d,\"texts\":%zu,\"tokens\":%zu,\"repeat\":%d",
            sb_model_kernels(model)->name, sb_model_dtype(model), r->threads, r->texts, r->tokens, bench->repeat);
        sb_buffer_format(
            out, ",\"wall_seconds\":%.6f,\"cpu_seconds\":%.6f,\"sentences_per_second\":%.1f,\"tokens_per_second\":%.1f",
            r->wall, r->cpu, texts / r->wall, tokens / r->wall);
        sb_buffer_format(out, ",\"latency_ms_p50\":%.4f,\"latency_ms_p99\":%.4f,\"latency_cpu_ms_p50\":%.4f}\n",
                         r->single_p50 * 1e3, r->single_p99 * 1e3, r->single_cpu_p50 * 1e3);
        return;
    }
    sb_buffer_format(out, "embed, %s, %s, %s, threads: %d\n", sb_model_name(model), sb_model_kernels(model)->name,
                     sb_model_dtype(model), r->threads);
    sb_buffer_format(out,
                     "  %zu sentences at once, %.1f tokens each: %.0f sentences/s, %.0f tokens/s (%.3f s, %.3f s of "
                     "processor time)\n",
                     r->texts, tokens / texts, texts / r->wall, tokens / r->wall, r->wall, r->cpu);
    sb_buffer_format(out, "  one at a time: %.2f ms (median), %.2f ms (99 %%)\n", r->single_p50 * 1e3,
                     r->single_p99 * 1e3);
}

enum sb_status sb_bench_embed(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_input input = {0};
    struct sb_model *model = NULL;
    struct sb_embedder embedder = {0};
    struct results results = {0};
    float *vectors = NULL;
    enum sb_status status = sb_bench_load(&input, bench, TEXTS, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, &bench->model, error);
    if (status == SB_OK)
        status = sb_workers_new(&embedder.workers, model, sb_model_choice_threads(&bench->model), error);
    if (status == SB_OK) {
        results.texts = input.count;
        results.threads = embedder.workers->threads;
        vectors = calloc(input.count * (size_t)sb_model_dimensions(model), sizeof *vectors);
        if (!vectors)
            status = sb_fail(error, SB_NO_MEMORY, "no memory for %zu vectors", input.count);
    }
    if (status == SB_OK)
        status = measure_all(&results, &embedder, &input, vectors, bench->repeat, error);
    if (status == SB_OK)
        status = measure_single(&results, &embedder, &input, vectors, error);
    if (status == SB_OK)
        put_results(out, &results, model, bench);
    free(vectors);
    sb_workers_free(embedder.workers);
    sb_embedder_free(&embedder);
    sb_model_release(model);
    sb_bench_input_free(&input);
    return status;
}
