/*
 * simbert bench train: steps of SimBERT training: forward, cross entropy at the target positions, in-batch similarity, backward,
 * AdamW. Sentences 2k and 2k + 1 make a pair, 64 pairs 128 rows: [CLS] a [SEP] b [SEP] and [CLS] b [SEP] a [SEP].
 */
#include "base/random.h"
#include "cli/bench.h"
#include "model/network.h"
#include "tokenizer/tokenizer.h"
#include "training/loss_logits.h"
#include "training/losses.h"
#include "training/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ROWS = 128, MAX_LENGTH = 64, MAX_TOKENS = ROWS * MAX_LENGTH, SEED = 1 };

struct training {
    struct sb_pool *pool;
    struct sb_network *network;
    struct sb_pass *pass;
    struct sb_loss *similarity;
    struct sb_optimizer *optimizer;
    float *gradients, *dpooled;
    int32_t ids[MAX_TOKENS], labels[MAX_TOKENS];
    uint8_t segments[MAX_TOKENS], wanted[MAX_TOKENS];
    struct sb_pass_row rows[ROWS];
    size_t positions[MAX_TOKENS], tokens, targets;
    uint64_t step;
};

/* One row; token i is the label at i - 1, where it is a target. */
static void add_row(struct training *t, size_t r, const struct sb_encoding *encoding)
{
    size_t first = t->tokens, length = encoding->length, prefix = 0;
    memcpy(t->ids + first, encoding->ids, length * sizeof *t->ids);
    memcpy(t->segments + first, encoding->segments, length);
    for (size_t i = 0; i < length; i++) {
        prefix += encoding->segments[i] == 0;
        if (encoding->segments[i] == 0)
            continue;
        t->positions[t->targets] = first + i - 1;
        t->wanted[first + i - 1] = 1;
        t->labels[t->targets++] = encoding->ids[i];
    }
    t->rows[r] = (struct sb_pass_row){t->ids + first, t->segments + first, length, prefix};
    t->tokens += length;
}

static enum sb_status make_rows(struct training *t, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_input input = {0};
    struct sb_encoding encoding = {0};
    struct sb_bench all = *bench;
    all.count = ROWS;
    enum sb_status status = sb_bench_load(&input, &all, ROWS, error);
    if (status == SB_OK && input.count < ROWS)
        status = sb_fail(error, SB_INVALID, "training is measured with %d texts; there are %zu", ROWS, input.count);
    for (size_t r = 0; r < ROWS && status == SB_OK; r++) {
        const char *a = input.items[r], *b = input.items[r ^ 1];
        status = sb_tokenizer_encode(sb_network_tokenizer(t->network), &encoding, a, strlen(a), b, strlen(b), MAX_LENGTH,
                                     error);
        if (status == SB_OK)
            add_row(t, r, &encoding);
    }
    sb_encoding_free(&encoding);
    sb_bench_input_free(&input);
    return status;
}

/* What the checkpoint lacks (an encoder has no MLM head) is filled with something small: it costs the same. */
static void fill_new(struct sb_network *network)
{
    const struct sb_parameters *parameters = sb_network_parameters(network);
    float *values = sb_network_values(network);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        for (size_t j = 0; p->is_new && j < p->rows * p->columns; j++)
            values[p->offset + j] = 0.02f * (float)sb_random_normal(SEED, i, j);
    }
}

static enum sb_status open_training(struct training *t, const struct sb_bench *bench, struct sb_error *error)
{
    char *dir = NULL;
    enum sb_packed_dtype dtype = SB_PACKED_F32;
    struct sb_network_options options = {.needs_mlm = true, .needs_pooler = true};
    enum sb_status status = sb_model_find(&dir, bench->model.dir, error);
    if (bench->model.dtype && strcmp(bench->model.dtype, "f32") != 0) {
        dtype = SB_PACKED_BF16;
        if (strcmp(bench->model.dtype, "int8") == 0)
            status = sb_fail(error, SB_INVALID, "training computes in f32 or bf16, not in int8");
    }
    if (status == SB_OK)
        status = sb_network_open(&t->network, dir, &options, error);
    free(dir);
    if (status != SB_OK)
        return status;
    fill_new(t->network);
    status = make_rows(t, bench, error);
    if (status != SB_OK)
        return status;
    t->pool = sb_pool_new(sb_model_choice_threads(&bench->model));
    size_t size = sb_network_parameters(t->network)->size, dimensions = (size_t)sb_network_dimensions(t->network);
    struct sb_pass_options pass = {.max_tokens = MAX_TOKENS, .max_rows = ROWS, .dtype = dtype, .pool = t->pool};
    pass.kernels = sb_kernels_choose(bench->model.kernels, error);
    if (!pass.kernels)
        return error ? error->status : SB_INVALID;
    status = sb_pass_new(&t->pass, t->network, &pass, error);
    const struct sb_loss_class *class = sb_loss_find("in_batch_similarity", error);
    struct sb_loss_options loss = sb_loss_defaults(class);
    struct sb_optimizer_options adamw = sb_optimizer_defaults(SB_OPTIMIZER_ADAMW);
    if (status == SB_OK)
        status = sb_loss_new(&t->similarity, class, &loss, ROWS, dimensions, error);
    if (status == SB_OK)
        status = sb_optimizer_new(&t->optimizer, &adamw, sb_network_parameters(t->network), t->pool, error);
    t->gradients = calloc(size, sizeof *t->gradients);
    t->dpooled = calloc(ROWS * dimensions, sizeof *t->dpooled);
    if (status == SB_OK && (!t->gradients || !t->dpooled))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for gradients");
    return status;
}

static void close_training(struct training *t)
{
    free(t->dpooled);
    free(t->gradients);
    sb_optimizer_free(t->optimizer);
    sb_loss_free(t->similarity);
    sb_pass_free(t->pass);
    sb_network_free(t->network);
    sb_pool_free(t->pool);
}

static enum sb_status train_step(struct training *t, const struct sb_kernels *kernels, struct sb_error *error)
{
    size_t size = sb_network_parameters(t->network)->size, dimensions = (size_t)sb_network_dimensions(t->network);
    struct sb_pass_input input = {.rows = t->rows,
                                  .count = ROWS,
                                  .hidden_dropout = 0.1f,
                                  .attention_dropout = 0.1f,
                                  .seed = SEED,
                                  .step = t->step++,
                                  .wanted = t->wanted};
    struct sb_cross_entropy entropy = {.kernels = kernels,
                                       .vocab_size = (size_t)sb_network_config(t->network)->vocab_size,
                                       .labels = t->labels,
                                       .normaliser = (double)t->targets,
                                       .weight = 1};
    double similarity;
    memset(t->gradients, 0, size * sizeof *t->gradients);
    enum sb_status status = sb_pass_forward(t->pass, &input, error);
    if (status != SB_OK)
        return status;
    sb_pass_logits(t->pass, t->positions, t->targets, sb_cross_entropy, &entropy, t->gradients);
    memset(t->dpooled, 0, ROWS * dimensions * sizeof *t->dpooled);
    struct sb_loss_input loss = {.rows = ROWS,
                                 .vectors = {{.x = sb_pass_pooled(t->pass), .dx = t->dpooled, .ld = dimensions}},
                                 .weight = 1};
    status = sb_loss_run(t->similarity, &loss, &similarity, error);
    sb_pass_backward(t->pass, t->dpooled, t->gradients);
    sb_optimizer_step(t->optimizer, sb_network_values(t->network), t->gradients, 1e-5);
    return status;
}

static double peak_megabytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 / 1e6 : 0;
}

static void put_results(struct sb_buffer *out, const struct sb_bench *bench, const struct training *t,
                        struct sb_bench_times *times)
{
    double tokens = (double)t->tokens, cpu = sb_bench_quantile(times->cpu, times->count, 0.5),
           wall = sb_bench_quantile(times->wall, times->count, 0.5);
    const char *dtype = bench->model.dtype ? bench->model.dtype : "f32";
    int threads = sb_model_choice_threads(&bench->model), words = sb_network_config(t->network)->vocab_size;
    if (bench->json)
        sb_buffer_format(out,
                         "{\"bench\":\"train\",\"dtype\":\"%s\",\"threads\":%d,\"vocab_size\":%d,\"rows\":%d,\"tokens\":%zu,"
                         "\"steps\":%zu,\"seconds_p50\":%.4f,\"cpu_seconds_p50\":%.4f,\"tokens_per_second\":%.1f,"
                         "\"tokens_per_cpu_second\":%.1f,\"peak_mb\":%.0f}\n",
                         dtype, threads, words, ROWS, t->tokens, times->count, wall, cpu, tokens / wall, tokens / cpu,
                         peak_megabytes());
    else
        sb_buffer_format(out,
                         "train, %s, threads: %d, vocabulary: %d\n  %d rows of %zu tokens a step: %.2f s (median), %.0f "
                         "tokens a second, %.0f a second of processor time; peak memory %.0f MB\n",
                         dtype, threads, words, ROWS, t->tokens, wall, tokens / wall, tokens / cpu, peak_megabytes());
}

enum sb_status sb_bench_train(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct training *t = calloc(1, sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    enum sb_status status = open_training(t, bench, error);
    const struct sb_kernels *kernels = sb_kernels_choose(bench->model.kernels, NULL);
    if (status == SB_OK)
        status = sb_bench_times_reserve(&times, (size_t)bench->repeat, error);
    if (status == SB_OK)
        status = train_step(t, kernels, error); /* warms up */
    for (size_t i = 0; i < times.capacity && status == SB_OK; i++) {
        sb_bench_start(&times);
        status = train_step(t, kernels, error);
        sb_bench_stop(&times);
    }
    if (status == SB_OK)
        put_results(out, bench, t, &times);
    sb_bench_times_free(&times);
    close_training(t);
    free(t);
    return status;
}
