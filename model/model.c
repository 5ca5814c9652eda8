/*
 * Opening a model: every parameter is measured, placed in one arena, then packed by the threads of the pool.
 */
#include "model/model_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum sb_act sb_act_of(enum sb_activation activation)
{
    switch (activation) {
    case SB_GELU_ERF: return SB_ACT_GELU;
    case SB_GELU_TANH: return SB_ACT_GELU_TANH;
    case SB_RELU: return SB_ACT_RELU;
    case SB_SWISH: return SB_ACT_SWISH;
    case SB_TANH: return SB_ACT_TANH;
    case SB_LINEAR: break;
    }
    return SB_ACT_NONE;
}

/* One panel of packed weights to fill: the unit that threads share. */
struct pack_job {
    struct sb_packed *packed;
    struct sb_param source;
    size_t first_row;    /* of source */
    size_t first_output; /* of packed */
    size_t rows;
};

struct builder {
    struct sb_model *model;
    struct pack_job *jobs;
    size_t job_count, job_capacity;
    size_t widest_row;
    bool failed; /* out of memory */
};

static void add_jobs(struct builder *b, struct sb_packed *packed, const struct sb_param *source, size_t first_output)
{
    size_t width = packed->kernel->panel_width;
    if (source->columns > b->widest_row)
        b->widest_row = source->columns;
    for (size_t row = 0; row < source->rows && !b->failed;) {
        size_t rows = width - (first_output + row) % width; /* never two threads in one panel of one source */
        if (rows > source->rows - row)
            rows = source->rows - row;
        if (b->job_count == b->job_capacity) {
            size_t capacity = b->job_capacity ? 2 * b->job_capacity : 512;
            struct pack_job *jobs = realloc(b->jobs, capacity * sizeof *jobs);
            if (!jobs) {
                b->failed = true;
                return;
            }
            b->jobs = jobs;
            b->job_capacity = capacity;
        }
        b->jobs[b->job_count++] = (struct pack_job){packed, *source, row, first_output + row, rows};
        row += rows;
    }
}

/* A float copy of a whole parameter; NULL while the arena measures. */
static float *place_floats(struct builder *b, const struct sb_param *param)
{
    float *copy = sb_arena_take(&b->model->arena, param->rows * param->columns, sizeof *copy);
    for (size_t row = 0; copy && row < param->rows; row++)
        sb_param_row(copy + row * param->columns, param, row);
    return copy;
}

static float *place(struct builder *b, enum sb_param_role role, int layer)
{
    struct sb_param param = sb_weights_get(b->model->weights, role, layer);
    return param.data ? place_floats(b, &param) : NULL;
}

static struct sb_norm place_norm(struct builder *b, enum sb_param_role gamma, enum sb_param_role beta, int layer)
{
    struct sb_norm norm;
    norm.gamma = place(b, gamma, layer);
    norm.beta = place(b, beta, layer);
    return norm;
}

static void place_packed(struct builder *b, struct sb_packed *packed, enum sb_packed_dtype dtype,
                         const struct sb_param *sources, int count)
{
    const struct sb_linear_kernel *kernel = sb_linear_choose(b->model->kernels, dtype);
    size_t out = 0, placed = 0;
    for (int i = 0; i < count; i++)
        out += sources[i].rows;
    void *memory = sb_arena_take(&b->model->arena, sb_packed_bytes(kernel, out, sources[0].columns), 1);
    sb_packed_init(packed, kernel, memory, out, sources[0].columns);
    for (int i = 0; memory && i < count; placed += sources[i++].rows)
        add_jobs(b, packed, &sources[i], placed);
}

static void place_dense(struct builder *b, struct sb_dense *dense, enum sb_param_role kernel, enum sb_param_role bias,
                        int layer)
{
    struct sb_param source = sb_weights_get(b->model->weights, kernel, layer);
    place_packed(b, &dense->packed, b->model->dtype, &source, 1);
    dense->bias = place(b, bias, layer);
}

/* Several projections in one product: their outputs stand side by side. */
static void place_projections(struct builder *b, struct sb_dense *dense, const struct sb_projection *list, int count,
                              int layer)
{
    struct sb_param kernels[SB_MAX_PROJECTIONS] = {{0}};
    size_t out = 0, at = 0;
    for (int i = 0; i < count; i++) {
        kernels[i] = sb_weights_get(b->model->weights, list[i].kernel, layer);
        out += kernels[i].rows;
    }
    if (count == 0)
        return;
    place_packed(b, &dense->packed, b->model->dtype, kernels, count);
    dense->bias = sb_arena_take(&b->model->arena, out, sizeof(float));
    for (int i = 0; dense->bias && i < count; at += kernels[i++].rows) {
        struct sb_param bias = sb_weights_get(b->model->weights, list[i].bias, layer);
        sb_param_row(dense->bias + at, &bias, 0);
    }
}

struct placing {
    struct builder *builder;
    int layer;
};

static float *place_table(void *context, enum sb_param_role role)
{
    const struct placing *p = context;
    return place(p->builder, role, p->layer);
}

static void place_attention(struct builder *b, struct sb_layer *layer, int index)
{
    const struct sb_attention_plan *plan = &b->model->attention;
    struct sb_projection list[SB_MAX_PROJECTIONS];
    struct placing placing = {b, index};
    place_projections(b, &layer->query, list, sb_attention_query_side(plan, list), index);
    place_projections(b, &layer->key_value, list, sb_attention_key_side(plan, list), index);
    sb_attention_find_tables(&layer->attention, plan, place_table, &placing);
}

static void place_layer(struct builder *b, struct sb_layer *layer, int index)
{
    place_attention(b, layer, index);
    place_dense(b, &layer->output, SB_OUTPUT_KERNEL, SB_OUTPUT_BIAS, index);
    layer->attention_norm = place_norm(b, SB_ATTENTION_NORM_GAMMA, SB_ATTENTION_NORM_BETA, index);
    place_dense(b, &layer->ffn_in, SB_FFN_IN_KERNEL, SB_FFN_IN_BIAS, index);
    place_dense(b, &layer->ffn_out, SB_FFN_OUT_KERNEL, SB_FFN_OUT_BIAS, index);
    layer->ffn_norm = place_norm(b, SB_FFN_NORM_GAMMA, SB_FFN_NORM_BETA, index);
}

static void place_heads(struct builder *b)
{
    struct sb_model *m = b->model;
    m->dimensions = m->config.hidden_size;
    if (m->config.pooling == SB_POOL_POOLER)
        place_dense(b, &m->pooler, SB_POOLER_KERNEL, SB_POOLER_BIAS, 0);
    struct sb_param kernel, bias;
    enum sb_activation activation;
    m->has_dense = sb_weights_dense(m->weights, &kernel, &bias, &activation);
    if (m->has_dense) {
        place_packed(b, &m->dense.packed, m->dtype, &kernel, 1);
        m->dense.bias = bias.data ? place_floats(b, &bias) : NULL;
        m->dense_act = sb_act_of(activation);
        m->dimensions = (int)kernel.rows;
    }
    if (sb_weights_pair_head(m->weights, &kernel))
        m->pair_head = place_floats(b, &kernel);
    m->can_generate = sb_weights_has_mlm(m->weights);
    if (m->can_generate) {
        place_dense(b, &m->mlm, SB_MLM_KERNEL, SB_MLM_BIAS, 0);
        m->mlm_norm = place_norm(b, SB_MLM_NORM_GAMMA, SB_MLM_NORM_BETA, 0);
        place_dense(b, &m->vocabulary, SB_WORD_EMBEDDING, SB_MLM_OUTPUT_BIAS, 0);
    }
}

static void place_model(struct builder *b)
{
    struct sb_model *m = b->model;
    m->word_embedding = sb_weights_get(m->weights, SB_WORD_EMBEDDING, 0);
    m->position_embedding = place(b, SB_POSITION_EMBEDDING, 0);
    m->segment_embedding = place(b, SB_SEGMENT_EMBEDDING, 0);
    m->embedding_norm = place_norm(b, SB_EMBEDDING_NORM_GAMMA, SB_EMBEDDING_NORM_BETA, 0);
    m->has_embedding_map = m->config.embedding_size != m->config.hidden_size;
    if (m->has_embedding_map)
        place_dense(b, &m->embedding_map, SB_EMBEDDING_MAP_KERNEL, SB_EMBEDDING_MAP_BIAS, 0);
    for (int i = 0; i < m->config.num_hidden_layers; i++)
        place_layer(b, &m->layers[i], i);
    place_heads(b);
}

struct pack_context {
    const struct builder *builder;
    float *rows; /* [threads, widest_row] */
};

static void pack_panel(void *context, size_t index, int worker)
{
    const struct pack_context *c = context;
    const struct pack_job *job = &c->builder->jobs[index];
    float *row = c->rows + (size_t)worker * c->builder->widest_row;
    for (size_t i = 0; i < job->rows; i++) {
        sb_param_row(row, &job->source, job->first_row + i);
        sb_packed_row(job->packed, job->first_output + i, row);
    }
}

static enum sb_status build(struct sb_model *m, struct sb_pool *pool, struct sb_error *error)
{
    struct builder b = {.model = m};
    struct pack_context context = {.builder = &b};
    enum sb_status status = SB_NO_MEMORY;
    place_model(&b); /* measures */
    if (sb_arena_commit(&m->arena)) {
        place_model(&b);
        context.rows = calloc((size_t)sb_pool_threads(pool) * (b.widest_row ? b.widest_row : 1), sizeof(float));
        if (context.rows && !b.failed) {
            sb_pool_run(pool, b.job_count, pack_panel, &context);
            status = SB_OK;
        }
    }
    free(context.rows);
    free(b.jobs);
    if (status != SB_OK)
        return sb_fail(error, status, "model '%s': no memory for %zu bytes of weights", m->name, m->arena.size);
    return SB_OK;
}

/* The name that requests use: given, or the last part of the path. */
static void set_name(struct sb_model *m, const char *dir, const char *name)
{
    char *path = name ? NULL : realpath(dir, NULL);
    const char *last = path ? strrchr(path, '/') : NULL;
    snprintf(m->name, sizeof m->name, "%s", name ? name : last && last[1] ? last + 1 : dir);
    free(path);
}

static enum sb_status choose_dtype(struct sb_model *m, const char *dtype, struct sb_error *error)
{
    bool automatic = dtype && strcmp(dtype, "auto") == 0;
    if (automatic)
        m->dtype = sb_linear_choose(m->kernels, SB_PACKED_BF16)->is_fast ? SB_PACKED_BF16 : SB_PACKED_F32;
    for (int d = 0; dtype && !automatic; d++) {
        if (d == SB_PACKED_DTYPES)
            return sb_fail(error, SB_INVALID, "dtype '%s': unknown; one of f32, bf16, int8, auto", dtype);
        m->dtype = (enum sb_packed_dtype)d;
        if (strcmp(dtype, sb_packed_dtype_name(m->dtype)) == 0)
            break;
    }
    return SB_OK;
}

static enum sb_status check_vocabulary(const struct sb_model *m, const char *dir, struct sb_error *error)
{
    const struct sb_config *c = &m->config;
    int vocabulary = sb_tokenizer_vocab_size(m->tokenizer);
    if (vocabulary > c->vocab_size)
        return sb_fail(error, SB_INVALID, "%s: the tokenizer has %d tokens but the config's vocab_size is %d", dir,
                       vocabulary, c->vocab_size);
    return SB_OK;
}

enum sb_status sb_model_open(struct sb_model **model, const char *dir, const struct sb_model_options *options,
                             struct sb_error *error)
{
    static const struct sb_model_options defaults;
    if (!options)
        options = &defaults;
    *model = NULL;
    struct sb_model *m = calloc(1, sizeof *m);
    if (!m)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the model", dir);
    atomic_init(&m->references, 1);
    set_name(m, dir, options->name);
    enum sb_status status = SB_OK;
    m->kernels = sb_kernels_choose(options->kernels, error);
    if (!m->kernels)
        status = error ? error->status : SB_INVALID;
    if (status == SB_OK)
        status = choose_dtype(m, options->dtype, error);
    if (status == SB_OK)
        m->embedding_attention = sb_attention_choose(m->kernels, m->dtype);
    if (status == SB_OK)
        status = sb_weights_open(&m->weights, dir, error);
    if (status == SB_OK)
        status = sb_tokenizer_open(&m->tokenizer, dir, error);
    if (status == SB_OK) {
        m->config = *sb_weights_config(m->weights);
        status = check_vocabulary(m, dir, error);
    }
    if (status == SB_OK)
        status = sb_attention_plan_init(&m->attention, &m->config, error);
    if (status == SB_OK) {
        m->layers = calloc((size_t)m->config.num_hidden_layers, sizeof *m->layers);
        status = m->layers ? build(m, options->pool, error)
                           : sb_fail(error, SB_NO_MEMORY, "%s: no memory for the layers", dir);
    }
    if (status == SB_OK) { /* the hash reads everything once more: now, not under a request */
        sb_weights_hash(m->weights);
        sb_checkpoint_forget_pages(sb_weights_checkpoint(m->weights));
    }
    if (status != SB_OK) {
        sb_model_release(m);
        return status;
    }
    *model = m;
    return SB_OK;
}

void sb_model_retain(struct sb_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
}

void sb_model_release(struct sb_model *model)
{
    if (!model || atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) != 1)
        return;
    sb_arena_free(&model->arena);
    sb_attention_plan_free(&model->attention);
    free(model->layers);
    sb_tokenizer_free(model->tokenizer);
    sb_weights_close(model->weights);
    free(model);
}

const char *sb_model_name(const struct sb_model *model)
{
    return model->name;
}

const char *sb_model_hash(const struct sb_model *model)
{
    return sb_weights_hash(model->weights);
}

const struct sb_config *sb_model_config(const struct sb_model *model)
{
    return &model->config;
}

const struct sb_tokenizer *sb_model_tokenizer(const struct sb_model *model)
{
    return model->tokenizer;
}

const struct sb_kernels *sb_model_kernels(const struct sb_model *model)
{
    return model->kernels;
}

const char *sb_model_dtype(const struct sb_model *model)
{
    return sb_packed_dtype_name(model->dtype);
}

int sb_model_dimensions(const struct sb_model *model)
{
    return model->dimensions;
}

int sb_model_max_length(const struct sb_model *model)
{
    return model->config.max_length;
}

bool sb_model_can_generate(const struct sb_model *model)
{
    return model->can_generate;
}

size_t sb_model_bytes(const struct sb_model *model)
{
    return model->arena.size;
}
