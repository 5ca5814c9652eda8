/* simbert bench tokenize: text to ids, on one thread. */
#include "cli/bench.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

/* A pass takes about a millisecond, so that many make one measurement. */
enum { TEXTS = 2000 };
#define MEASUREMENT_SECONDS 0.1

static enum sb_status encode_all(const struct sb_tokenizer *tokenizer, const struct sb_text_batch *batch,
                                 struct sb_encoding *encoding, size_t *tokens, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    *tokens = 0;
    for (size_t i = 0; i < batch->count && status == SB_OK; i++) {
        struct sb_text text = sb_text_at(batch, i);
        status = sb_tokenizer_encode(tokenizer, encoding, text.text, text.size, NULL, 0, 0, error);
        *tokens += encoding->length;
    }
    return status;
}

static void put_results(struct sb_buffer *out, const struct sb_bench *bench, const struct sb_tokenizer *tokenizer,
                        size_t texts, size_t tokens, double wall, double cpu)
{
    if (bench->json)
        sb_buffer_format(
            out,
            "{\"bench\":\"tokenize\",\"tokenizer\":\"%s\",\"threads\":1,\"texts\":%zu,\"tokens\":%zu,\"repeat\":%d,"
            "\"wall_seconds\":%.9f,\"cpu_seconds\":%.9f,\"sentences_per_second\":%.1f,\"tokens_per_second\":%.1f}\n",
            sb_tokenizer_kind(tokenizer), texts, tokens, bench->repeat, wall, cpu, (double)texts / wall,
            (double)tokens / wall);
    else
        sb_buffer_format(out, "tokenize, %s, threads: 1\n  %.0f sentences/s, %.0f tokens/s\n",
                         sb_tokenizer_kind(tokenizer), (double)texts / wall, (double)tokens / wall);
}

static enum sb_status measure(struct sb_buffer *out, const struct sb_bench *bench, const struct sb_tokenizer *tokenizer,
                              const struct sb_text_batch *batch, struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct sb_encoding encoding = {0};
    size_t tokens = 0, passes = 1;
    enum sb_status status = sb_bench_times_reserve(&times, (size_t)bench->repeat + 1, error);
    if (status == SB_OK) { /* a pass that warms up; the next says how many make a measurement */
        status = encode_all(tokenizer, batch, &encoding, &tokens, error);
        sb_bench_start(&times);
    }
    if (status == SB_OK) {
        status = encode_all(tokenizer, batch, &encoding, &tokens, error);
        sb_bench_stop(&times);
        if (times.wall[0] < MEASUREMENT_SECONDS)
            passes = (size_t)(MEASUREMENT_SECONDS / (times.wall[0] > 1e-6 ? times.wall[0] : 1e-6)) + 1;
        times.count = 0;
    }
    for (int i = 0; i < bench->repeat && status == SB_OK; i++) {
        sb_bench_start(&times);
        for (size_t pass = 0; pass < passes && status == SB_OK; pass++)
            status = encode_all(tokenizer, batch, &encoding, &tokens, error);
        sb_bench_stop(&times);
    }
    if (status == SB_OK)
        put_results(out, bench, tokenizer, batch->count, tokens,
                    sb_bench_quantile(times.wall, times.count, 0.5) / (double)passes,
                    sb_bench_quantile(times.cpu, times.count, 0.5) / (double)passes);
    sb_encoding_free(&encoding);
    sb_bench_times_free(&times);
    return status;
}

enum sb_status sb_bench_tokenize(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_input input = {0};
    struct sb_tokenizer *tokenizer = NULL;
    char *dir = NULL;
    enum sb_status status = sb_bench_load(&input, bench, TEXTS, error);
    if (status == SB_OK)
        status = sb_model_find(&dir, bench->model.dir, error);
    if (status == SB_OK)
        status = sb_tokenizer_open(&tokenizer, dir, error);
    if (status == SB_OK)
        status = measure(out, bench, tokenizer, &input.batch, error);
    sb_tokenizer_free(tokenizer);
    free(dir);
    sb_bench_input_free(&input);
    return status;
}
