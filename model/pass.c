/*
 * Passes: memory sized once, input checked, the layers in order and back.
 */
#include "model/pass_impl.h"

#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static float *floats(struct sb_pass *p, size_t rows, size_t columns)
{
    size_t count;
    if (__builtin_mul_overflow(rows, columns, &count)) {
        p->arena.overflow = true;
        return NULL;
    }
    return sb_arena_take(&p->arena, count, sizeof(float));
}

static size_t largest_of_kernels(const struct sb_pass *p, size_t (*size)(const struct sb_pass *, const struct sb_affine *))
{
    const struct sb_network *n = p->network;
    const struct sb_layer_places *l = &n->layers[0];
    const struct sb_affine *all[] = {&l->features, &l->output, &l->ffn_in, &l->ffn_out,
                                     &n->embedding_map,   &n->pooler, &n->mlm};
    size_t largest = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        largest = larger(largest, size(p, all[i]));
    return largest;
}

static size_t packed_size(const struct sb_pass *p, const struct sb_affine *a)
{
    return larger(sb_packed_bytes(p->linear, a->out, a->in), sb_packed_bytes(p->linear, a->in, a->out));
}

static size_t chunk_size(const struct sb_pass *p, const struct sb_affine *a)
{
    return sb_packed_bytes(p->linear, a->in, SB_PASS_CHUNK);
}

static size_t width_of(const struct sb_pass *p, const struct sb_affine *a)
{
    (void)p;
    return larger(a->out, a->in);
}

static void take_kept(struct sb_pass *p)
{
    const struct sb_config *c = &p->network->config;
    size_t tokens = p->options.max_tokens, hidden = (size_t)c->hidden_size, layers = (size_t)c->num_hidden_layers;
    size_t value = p->network->attention.value_width, wide = (size_t)c->intermediate_size;
    for (size_t i = 0; i < layers; i++) {
        struct sb_kept *kept = &p->layers[i];
        if (i > 0 && p->options.recompute)
            *kept = p->layers[0];
        else
            *kept = (struct sb_kept){.features = floats(p, tokens, p->network->layers[0].features.out),
                                     .context = floats(p, tokens, value),
                                     .attention_sum = floats(p, tokens, hidden),
                                     .ffn_in = floats(p, tokens, wide)};
        kept->ffn_sum = floats(p, tokens, hidden);
    }
}

static void take_buffers(struct sb_pass *p)
{
    const struct sb_config *c = &p->network->config;
    size_t tokens = p->options.max_tokens, hidden = (size_t)c->hidden_size, width = (size_t)c->embedding_size;
    const struct sb_attention_plan *plan = &p->network->attention;
    size_t value = plan->value_width, wide = (size_t)c->intermediate_size, widest = larger(hidden, width);
    p->x = floats(p, tokens, hidden);
    p->dx = floats(p, tokens, widest);
    p->dy = floats(p, tokens, hidden);
    p->dhidden = floats(p, tokens, hidden);
    p->dcontext = floats(p, tokens, value);
    p->dfeatures = floats(p, tokens, p->network->layers[0].features.out);
    if (plan->has_trained_tables)
        p->dlogits = floats(p, tokens * plan->positions, plan->heads);
    if (plan->part_count > 1 || plan->talking_heads)
        p->mixing = floats(p, p->options.max_rows, sb_pass_mixing_floats(plan));
    p->chunk_hidden = floats(p, SB_PASS_CHUNK, widest);
    p->chunk_ffn = floats(p, SB_PASS_CHUNK, wide);
    p->dffn = floats(p, SB_PASS_CHUNK, wide);
    p->transposed = floats(p, largest_of_kernels(p, width_of), SB_PASS_CHUNK);
    p->norm_partials = floats(p, larger(tokens, SB_LOGITS_CHUNK) / SB_PASS_NORM_ROWS + 1, 2 * widest);
    for (int i = 0; i < 2; i++)
        p->panels[i] = sb_arena_take(&p->arena, largest_of_kernels(p, packed_size), 1);
    p->chunk_panels = sb_arena_take(
        &p->arena, larger(largest_of_kernels(p, chunk_size), sb_packed_bytes(p->linear, width, SB_PASS_CHUNK)), 1);
}

static void take_heads(struct sb_pass *p)
{
    const struct sb_config *c = &p->network->config;
    size_t rows = p->options.max_rows, hidden = (size_t)c->hidden_size, width = (size_t)c->embedding_size;
    size_t words = (size_t)c->vocab_size;
    p->pool_in = floats(p, rows, hidden);
    p->pool_sum = floats(p, rows, hidden);
    p->pooled = floats(p, rows, hidden);
    p->dpool = floats(p, rows, hidden);
    if (!p->network->has_mlm)
        return;
    for (int i = 0; i < 4; i++)
        p->head[i] = floats(p, SB_LOGITS_CHUNK, larger(hidden, width));
    p->logits = floats(p, SB_LOGITS_CHUNK, words);
    p->logits_transposed = floats(p, words, SB_LOGITS_CHUNK);
    p->vocabulary[0] = sb_arena_take(&p->arena, sb_packed_bytes(p->linear, words, width), 1);
    p->vocabulary[1] = sb_arena_take(&p->arena, sb_packed_bytes(p->linear, width, words), 1);
    if (!p->options.keeps_reference)
        return;
    p->reference.features = floats(p, p->options.max_tokens, width);
    p->reference.bias = floats(p, words, 1);
    p->reference.logits = floats(p, SB_LOGITS_CHUNK, words);
    p->reference.panels = sb_arena_take(&p->arena, sb_packed_bytes(p->linear, words, width), 1);
}

/* Called twice: to measure, then to carve. */
static void lay_out(struct sb_pass *p)
{
    const struct sb_config *c = &p->network->config;
    size_t tokens = p->options.max_tokens, threads = (size_t)sb_pool_threads(p->options.pool);
    size_t inputs = larger(largest_of_kernels(p, width_of), p->network->has_mlm ? (size_t)c->vocab_size : 0);
    p->first_token = sb_arena_take(&p->arena, p->options.max_rows + 1, sizeof *p->first_token);
    p->first_logit = sb_arena_take(&p->arena, p->options.max_rows, sizeof *p->first_logit);
    p->token_row = sb_arena_take(&p->arena, tokens, sizeof *p->token_row);
    p->token_position = sb_arena_take(&p->arena, tokens, sizeof *p->token_position);
    p->outputs = sb_arena_take(&p->arena, tokens, sizeof *p->outputs);
    p->output_of = sb_arena_take(&p->arena, tokens, sizeof *p->output_of);
    p->embedding_sum = floats(p, tokens, (size_t)c->embedding_size);
    p->embedding = p->network->has_embedding_map ? floats(p, tokens, (size_t)c->embedding_size) : NULL;
    p->first = floats(p, tokens, (size_t)c->hidden_size);
    take_kept(p);
    take_buffers(p);
    take_heads(p);
    for (size_t i = 0; i < threads; i++) {
        p->scratch[i] = sb_arena_take(&p->arena, sb_linear_scratch(SB_PASS_ROWS, larger(inputs, SB_PASS_CHUNK)), 1);
        p->attention[i] = floats(p, sb_pass_attention_scratch(&p->network->attention), 1);
    }
}

static enum sb_status allocate(struct sb_pass *p, struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(p->options.pool);
    p->layers = calloc((size_t)p->network->config.num_hidden_layers, sizeof *p->layers);
    p->scratch = calloc(threads, sizeof *p->scratch);
    p->attention = calloc(threads, sizeof *p->attention);
    if (p->layers && p->scratch && p->attention) {
        lay_out(p);
        if (sb_arena_commit(&p->arena)) {
            lay_out(p);
            return SB_OK;
        }
    }
    return sb_fail(error, SB_NO_MEMORY, "no memory for the %zu bytes of a pass of %zu tokens: use smaller batches",
                   p->arena.size, p->options.max_tokens);
}

enum sb_status sb_pass_new(struct sb_pass **pass, struct sb_network *network, const struct sb_pass_options *options,
                           struct sb_error *error)
{
    *pass = NULL;
    if (options->max_tokens < 1 || options->max_tokens > 1 << 20 || options->max_rows < 1 ||
        options->max_rows > 1 << 16)
        return sb_fail(error, SB_INVALID, "pass: max_tokens %zu (1..1048576), max_rows %zu (1..65536)",
                       options->max_tokens, options->max_rows);
    if (options->dtype != SB_PACKED_F32 && options->dtype != SB_PACKED_BF16)
        return sb_fail(error, SB_INVALID, "dtype '%s': training computes in f32 or bf16",
                       sb_packed_dtype_name(options->dtype));
    struct sb_pass *p = calloc(1, sizeof *p);
    if (!p)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a pass");
    p->network = network;
    p->options = *options;
    p->kernels = options->kernels ? options->kernels : sb_kernels_choose(NULL, error);
    enum sb_status status = p->kernels ? SB_OK : SB_INVALID;
    if (status == SB_OK) {
        p->training = p->kernels->training;
        p->linear = sb_linear_choose(p->kernels, options->dtype);
        status = allocate(p, error);
    }
    if (status != SB_OK) {
        sb_pass_free(p);
        return status;
    }
    *pass = p;
    return SB_OK;
}

void sb_pass_free(struct sb_pass *pass)
{
    if (!pass)
        return;
    sb_arena_free(&pass->arena);
    free(pass->attention);
    free(pass->scratch);
    free(pass->layers);
    free(pass);
}

size_t sb_pass_bytes(const struct sb_pass *pass)
{
    return pass->arena.size;
}

static enum sb_status check_row(const struct sb_config *c, const struct sb_pass_row *row, size_t index,
                                struct sb_error *error)
{
    if (row->length < 1 || row->length > (size_t)c->max_position_embeddings || row->prefix > row->length)
        return sb_fail(error, SB_INVALID, "row %zu: %zu tokens, %zu of them prefix; the model takes 1 to %d", index,
                       row->length, row->prefix, c->max_position_embeddings);
    for (size_t i = 0; i < row->length; i++)
        if (row->ids[i] < 0 || row->ids[i] >= c->vocab_size ||
            (row->segments && row->segments[i] >= c->type_vocab_size))
            return sb_fail(error, SB_INVALID, "row %zu: token id %d or its segment at %zu is outside the model's %d and %d",
                           index, row->ids[i], i, c->vocab_size, c->type_vocab_size);
    return SB_OK;
}

/* Gives each token its row and position. */
static enum sb_status place(struct sb_pass *p, const struct sb_pass_input *input, struct sb_error *error)
{
    size_t tokens = 0, logits = 0;
    if (input->count > p->options.max_rows)
        return sb_fail(error, SB_LIMIT, "batch: %zu rows; the pass has room for %zu", input->count, p->options.max_rows);
    for (size_t r = 0; r < input->count; r++) {
        enum sb_status status = check_row(&p->network->config, &input->rows[r], r, error);
        if (status != SB_OK)
            return status;
        if (input->rows[r].length > p->options.max_tokens - tokens)
            return sb_fail(error, SB_LIMIT, "batch: more than %zu tokens", p->options.max_tokens);
        p->first_token[r] = tokens;
        p->first_logit[r] = logits;
        logits += input->rows[r].length * input->rows[r].length * p->network->attention.heads;
        for (size_t i = 0; i < input->rows[r].length; i++, tokens++) {
            p->token_row[tokens] = (uint32_t)r;
            p->token_position[tokens] = (uint32_t)i;
        }
    }
    p->first_token[input->count] = tokens;
    p->tokens = tokens;
    return SB_OK;
}

/* All tokens, or those that are wanted and those that the pooling reads. */
static void place_outputs(struct sb_pass *p)
{
    const uint8_t *wanted = p->network->config.pooling == SB_POOL_MEAN ? NULL : p->input.wanted;
    p->output_count = 0;
    for (size_t i = 0; i < p->tokens; i++) {
        bool is_output = !wanted || wanted[i] || p->token_position[i] == 0;
        p->output_of[i] = is_output ? (uint32_t)p->output_count : SB_NO_OUTPUT;
        if (is_output)
            p->outputs[p->output_count++] = i;
    }
}

enum sb_status sb_pass_forward(struct sb_pass *pass, const struct sb_pass_input *input, struct sb_error *error)
{
    enum sb_status status = place(pass, input, error);
    if (status != SB_OK)
        return status;
    pass->input = *input;
    place_outputs(pass);
    memset(pass->dhidden, 0, pass->output_count * (size_t)pass->network->config.hidden_size * sizeof *pass->dhidden);
    sb_pass_embed(pass);
    for (int i = 0; i < pass->network->config.num_hidden_layers; i++)
        sb_pass_layer(pass, i);
    sb_pass_pool(pass);
    return SB_OK;
}

void sb_pass_backward(struct sb_pass *pass, const float *dpooled, float *gradients)
{
    size_t hidden = (size_t)pass->network->config.hidden_size;
    if (dpooled)
        sb_pass_pool_backward(pass, dpooled, gradients);
    memcpy(pass->dx, pass->dhidden, pass->output_count * hidden * sizeof *pass->dx);
    for (int i = pass->network->config.num_hidden_layers; i-- > 0;)
        sb_pass_layer_backward(pass, i, gradients);
    sb_pass_embed_backward(pass, gradients);
}

size_t sb_pass_tokens(const struct sb_pass *pass)
{
    return pass->tokens;
}

const float *sb_pass_hidden(const struct sb_pass *pass, size_t token)
{
    return pass->x + pass->output_of[token] * (size_t)pass->network->config.hidden_size;
}

const float *sb_pass_pooled(const struct sb_pass *pass)
{
    return pass->pooled;
}
