/*
 * simbert bench attention: what each attention variant (weights/attention.h) costs, in rows of 16 to 512 tokens.
 *
 * Each is made from the model by training/resized_model.h, with a feed-forward part of one neuron, so that next to
 * nothing but attention is left: projections, logits, softmax, values, output. Serving is one row through the session,
 * training its forward and backward pass.
 */
#include "base/folder.h"
#include "cli/bench.h"
#include "model/network.h"
#include "model/session.h"
#include "training/resized_model.h"
#include "weights/weights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTHS = 6, LONGEST = 512, MAX_PARTS = 3 };
static const size_t lengths[LENGTHS] = {16, 32, 64, 128, 256, LONGEST};

static const struct variant {
    const char *label;
    const char *parts[MAX_PARTS];
    int key_times; /* the key size, as a multiple of the model's; 0: as it is */
} variants[] = {
    {"vanilla", {"vanilla"}, 0},
    {"vanilla, twice the key size", {"vanilla"}, 2},
    {"rotary", {"rotary"}, 0},
    {"talking heads", {"vanilla", "+talking"}, 0},
    {"dense", {"dense"}, 0},
    {"random", {"random"}, 0},
    {"fixed random", {"fixed_random"}, 0},
    {"factorised dense", {"factorised_dense"}, 0},
    {"factorised random", {"factorised_random"}, 0},
    {"random + vanilla", {"random", "vanilla"}, 0},
    {"dense + vanilla", {"dense", "vanilla"}, 0},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Of one variant. */
struct cost {
    size_t parameters;                      /* of the attention of all layers */
    size_t cache_bytes;                     /* of one token */
    double serve[LENGTHS], train[LENGTHS];  /* seconds of processor time, median */
    size_t session[LENGTHS], pass[LENGTHS]; /* bytes */
    size_t count;                           /* lengths that the model takes */
};

static enum sb_status make(const struct variant *v, const char *model, const char *dir, struct sb_error *error)
{
    struct sb_model_sizes sizes = {.intermediate_size = 1, .attention_parts = v->parts};
    while (sizes.attention_part_count < MAX_PARTS && v->parts[sizes.attention_part_count])
        sizes.attention_part_count++;
    if (v->key_times) {
        struct sb_config config;
        enum sb_status status = sb_config_read(&config, model, error);
        if (status != SB_OK)
            return status;
        sizes.attention_key_size = v->key_times * config.attention_key_size;
    }
    return sb_resize_model(model, dir, &sizes, error);
}

static size_t count_parameters(const struct sb_config *config)
{
    size_t count = 0, shape[2];
    for (int role = 0; role < SB_PARAM_ROLES; role++) {
        const struct sb_param_info *info = sb_param_info((enum sb_param_role)role);
        int rank =
            strstr(info->hugging_face, ".attention.") ? sb_param_shape(shape, config, (enum sb_param_role)role) : 0;
        if (rank)
            count += shape[0] * (rank == 2 ? shape[1] : 1) * (size_t)config->num_hidden_layers;
    }
    return count;
}

/* Ids that exist in any vocabulary; what they are changes no time. */
static void fill_ids(int32_t ids[LONGEST], int words)
{
    for (int i = 0; i < LONGEST; i++)
        ids[i] = i % words;
}

static enum sb_status serve(double *seconds, size_t *bytes, struct sb_model *model, size_t length, int repeat,
                            struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct sb_session *session = NULL;
    int32_t ids[LONGEST];
    fill_ids(ids, sb_model_config(model)->vocab_size);
    struct sb_row row = {.ids = ids, .length = length, .prefix = length, .want = SB_WANT_HIDDEN};
    struct sb_session_options options = {.max_tokens = length, .max_rows = 1};
    enum sb_status status = sb_session_new(&session, model, &options, error);
    if (status == SB_OK)
        status = sb_bench_times_reserve(&times, (size_t)repeat, error);
    if (status == SB_OK)
        status = sb_session_forward(session, &row, 1, error); /* warms up */
    while (status == SB_OK && times.count < times.capacity) {
        sb_bench_start(&times);
        status = sb_session_forward(session, &row, 1, error);
        sb_bench_stop(&times);
    }
    if (status == SB_OK) {
        *seconds = sb_bench_quantile(times.cpu, times.count, 0.5);
        *bytes = sb_session_bytes(session);
    }
    sb_bench_times_free(&times);
    sb_session_free(session);
    return status;
}

static enum sb_status train(double *seconds, size_t *bytes, struct sb_network *network, size_t length,
                            const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_times times = {0};
    struct sb_pass *pass = NULL;
    int32_t ids[LONGEST];
    size_t dimensions = (size_t)sb_network_dimensions(network);
    fill_ids(ids, sb_network_config(network)->vocab_size);
    struct sb_pass_row row = {.ids = ids, .length = length, .prefix = length};
    struct sb_pass_options options = {.max_tokens = length, .max_rows = 1};
    float *gradients = calloc(sb_network_parameters(network)->size, sizeof *gradients),
          *dpooled = calloc(dimensions, sizeof *dpooled);
    enum sb_status status = gradients && dpooled ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for gradients");
    if (status == SB_OK)
        options.kernels = sb_kernels_choose(bench->model.kernels, error);
    if (status == SB_OK)
        status = options.kernels ? sb_pass_new(&pass, network, &options, error) : SB_INVALID;
    if (status == SB_OK)
        status = sb_bench_times_reserve(&times, (size_t)bench->repeat, error);
    for (int i = -1; i < bench->repeat && status == SB_OK; i++) { /* -1 warms up */
        times.count = i < 0 ? 0 : (size_t)i;
        sb_bench_start(&times);
        status = sb_pass_forward(pass, &(struct sb_pass_input){.rows = &row, .count = 1}, error);
        if (status == SB_OK)
            sb_pass_backward(pass, dpooled, gradients);
        sb_bench_stop(&times);
    }
    if (status == SB_OK) {
        *seconds = sb_bench_quantile(times.cpu, times.count, 0.5);
        *bytes = sb_pass_bytes(pass);
    }
    sb_bench_times_free(&times);
    sb_pass_free(pass);
    free(dpooled);
    free(gradients);
    return status;
}

static enum sb_status measure(struct cost *cost, const char *dir, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_model *model = NULL;
    struct sb_network *network = NULL;
    struct sb_model_options options = {.kernels = bench->model.kernels, .dtype = bench->model.dtype};
    enum sb_status status = sb_model_open(&model, dir, &options, error);
    if (status == SB_OK)
        status = sb_network_open(&network, dir, NULL, error);
    if (status == SB_OK) {
        cost->parameters = count_parameters(sb_model_config(model));
        cost->cache_bytes = sb_kv_cache_bytes(model, 1, 0);
    }
    for (size_t i = 0; i < LENGTHS && status == SB_OK; i++) {
        if (lengths[i] > (size_t)sb_model_config(model)->max_position_embeddings)
            break;
        status = serve(&cost->serve[i], &cost->session[i], model, lengths[i], bench->repeat, error);
        if (status == SB_OK)
            status = train(&cost->train[i], &cost->pass[i], network, lengths[i], bench, error);
        cost->count = i + 1;
    }
    sb_network_free(network);
    sb_model_release(model);
    return status;
}

static void put_json(struct sb_buffer *out, const struct variant *v, const struct cost *cost)
{
    for (size_t i = 0; i < cost->count; i++)
        sb_buffer_format(out,
                         "{\"bench\":\"attention\",\"variant\":\"%s\",\"tokens\":%zu,\"serve_cpu_seconds_p50\":%.6f,"
                         "\"train_cpu_seconds_p50\":%.6f,\"session_bytes\":%zu,\"pass_bytes\":%zu,\"parameters\":%zu,"
                         "\"cache_bytes_per_token\":%zu}\n",
                         v->label, lengths[i], cost->serve[i], cost->train[i], cost->session[i], cost->pass[i],
                         cost->parameters, cost->cache_bytes);
}

/* One table of times, each beside the first variant's. */
static void put_times(struct sb_buffer *out, const char *title, const struct cost costs[VARIANTS], bool trains)
{
    sb_buffer_format(out, "\n%-28s", title);
    for (size_t i = 0; i < costs[0].count; i++)
        sb_buffer_format(out, "   %8zu      ", lengths[i]);
    sb_buffer_text(out, "\n");
    for (int v = 0; v < VARIANTS; v++) {
        const double *times = trains ? costs[v].train : costs[v].serve,
                     *plain = trains ? costs[0].train : costs[0].serve;
        sb_buffer_format(out, "%-28s", variants[v].label);
        for (size_t i = 0; i < costs[v].count; i++)
            sb_buffer_format(out, "  %8.3f (%4.2f)", 1e3 * times[i], times[i] / plain[i]);
        sb_buffer_text(out, "\n");
    }
}

static void put_memory(struct sb_buffer *out, const struct cost costs[VARIANTS])
{
    size_t last = costs[0].count - 1;
    sb_buffer_format(out, "\n%-28s  %12s  %14s  %12s  %12s\n", "memory", "parameters", "cache, a token", "session",
                     "pass");
    for (int v = 0; v < VARIANTS; v++)
        sb_buffer_format(out, "%-28s  %10.2f M  %12zu B  %9.1f MB  %9.1f MB\n", variants[v].label,
                         (double)costs[v].parameters / 1e6, costs[v].cache_bytes, (double)costs[v].session[last] / 1e6,
                         (double)costs[v].pass[last] / 1e6);
}

static void put_text(struct sb_buffer *out, const struct sb_bench *bench, const struct cost costs[VARIANTS])
{
    sb_buffer_format(
        out, "attention, %s, one thread: milliseconds of processor time of one row, all layers (beside vanilla)\n",
        bench->model.dtype ? bench->model.dtype : "f32");
    put_times(out, "serving, tokens:", costs, false);
    put_times(out, "training (f32), tokens:", costs, true);
    put_memory(out, costs);
    sb_buffer_format(out, "session and pass: of one row of %zu tokens; a pass holds gradients' activations too\n",
                     lengths[costs[0].count - 1]);
}

static enum sb_status measure_all(struct cost costs[VARIANTS], const char *model, const char *dir,
                                  const struct sb_bench *bench, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (int v = 0; v < VARIANTS && status == SB_OK; v++) {
        status = make(&variants[v], model, dir, error);
        if (status == SB_OK)
            status = measure(&costs[v], dir, bench, error);
    }
    if (status == SB_OK && costs[0].count == 0)
        status =
            sb_fail(error, SB_INVALID, "%s: attention is measured in rows of %zu tokens and more", model, lengths[0]);
    return status;
}

enum sb_status sb_bench_attention(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct cost costs[VARIANTS] = {{0}};
    char *model = NULL, dir[4096];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/simbert-bench-XXXXXX", base && base[0] ? base : "/tmp");
    enum sb_status status = sb_model_find(&model, bench->model.dir, error);
    if (status != SB_OK)
        return status;
    if (!mkdtemp(dir)) {
        free(model);
        return sb_fail(error, SB_IO, "cannot make %s: %s", dir, strerror(errno));
    }
    status = measure_all(costs, model, dir, bench, error);
    for (int v = 0; v < VARIANTS && status == SB_OK && bench->json; v++)
        put_json(out, &variants[v], &costs[v]);
    if (status == SB_OK && !bench->json)
        put_text(out, bench, costs);
    enum sb_status removed = sb_folder_remove(dir, status == SB_OK ? error : NULL);
    free(model);
    return status == SB_OK ? removed : status;
}
