/*
 * A post-LN layer of a pass, forward and backward (REFERENCE section 1).
 *
 *     attention_sum = x + dropout(Attention(x))     x1  = LayerNorm(attention_sum)
 *     ffn_sum       = x1 + dropout(W2 act(W1 x1))   out = LayerNorm(ffn_sum)
 */
#include "model/pass_impl.h"

#include <string.h>

static size_t hidden_size(const struct sb_pass *p)
{
    return (size_t)p->network->config.hidden_size;
}

static enum sb_act activation(const struct sb_pass *p)
{
    return sb_act_of(p->network->config.hidden_act);
}

struct activating {
    const struct sb_pass *pass;
    float *out;
    const float *x;
    size_t rows, width;
    bool backward; /* out *= act'(x), else out = act(x) */
};

static void activate_rows(void *context, size_t index, int worker)
{
    const struct activating *a = context;
    (void)worker;
    size_t first = index * SB_PASS_NORM_ROWS, at = first * a->width;
    size_t n = (a->rows - first < SB_PASS_NORM_ROWS ? a->rows - first : SB_PASS_NORM_ROWS) * a->width;
    if (a->backward) {
        a->pass->training->activate_backward(a->out + at, a->x + at, n, activation(a->pass));
        return;
    }
    memcpy(a->out + at, a->x + at, n * sizeof *a->out);
    a->pass->kernels->activate(a->out + at, n, activation(a->pass));
}

static void activate(struct sb_pass *p, float *out, const float *x, size_t rows, size_t width, bool backward)
{
    struct activating a = {p, out, x, rows, width, backward};
    sb_pool_run(p->options.pool, (rows + SB_PASS_NORM_ROWS - 1) / SB_PASS_NORM_ROWS, activate_rows, &a);
}

static struct sb_packed pack(struct sb_pass *p, const struct sb_affine *affine, bool transposed, int memory)
{
    return sb_pass_pack(p, sb_pass_value(p, affine->kernel), affine->out, affine->in, transposed, p->panels[memory]);
}

/* Rows of what follows the attention: every token, in the last layer every output. */
static size_t rows_of(const struct sb_pass *p, int layer)
{
    return sb_pass_is_last(p, layer) ? p->output_count : p->tokens;
}

/* Which tokens these rows are. */
static const size_t *tokens_of(const struct sb_pass *p, int layer)
{
    return sb_pass_is_last(p, layer) ? p->outputs : NULL;
}

static size_t chunk_rows(size_t rows, size_t first)
{
    return rows - first < SB_PASS_CHUNK ? rows - first : SB_PASS_CHUNK;
}

/* The rows of `in` that go on: all, or a copy of the outputs' in dy. */
static const float *rows_that_go_on(struct sb_pass *p, const float *in, int layer)
{
    size_t width = hidden_size(p);
    if (!sb_pass_is_last(p, layer))
        return in;
    for (size_t i = 0; i < p->output_count; i++)
        memcpy(p->dy + i * width, in + p->outputs[i] * width, width * sizeof *in);
    return p->dy;
}

/* x1 of tokens [first, first + rows), from the kept sum, into out. No residual: it is in the sum. */
static void norm_again(struct sb_pass *p, float *out, float *sum, struct sb_norm_place place, size_t first, size_t rows)
{
    size_t width = hidden_size(p);
    sb_pass_norm(p, &(struct sb_norm_step){.out = out,
                                           .sum = sum + first * width,
                                           .place = place,
                                           .first = first,
                                           .rows = rows,
                                           .width = width});
}

static void attention_forward(struct sb_pass *p, const float *in, int layer)
{
    const struct sb_layer_places *places = &p->network->layers[layer];
    const struct sb_kept *kept = &p->layers[layer];
    const struct sb_affine *features = &places->features, *output = &places->output;
    struct sb_packed w = pack(p, features, false, 0);
    sb_pass_linear(p, kept->features, features->out, in, features->in, p->tokens, &w, sb_pass_value(p, features->bias), NULL, 0);
    sb_pass_attend(p, kept->context, kept->features, layer);
    w = pack(p, output, false, 0);
    size_t rows = rows_of(p, layer);
    sb_pass_linear(p, kept->attention_sum, output->out, kept->context, output->in, rows, &w,
                   sb_pass_value(p, output->bias), NULL, 0);
    sb_pass_norm(p, &(struct sb_norm_step){.out = p->x,
                                           .sum = kept->attention_sum,
                                           .residual = rows_that_go_on(p, in, layer),
                                           .place = places->attention_norm,
                                           .rows = rows,
                                           .tokens = tokens_of(p, layer),
                                           .width = hidden_size(p),
                                           .layer = layer,
                                           .site = SB_DROP_ATTENTION_OUT});
}

static void ffn_forward(struct sb_pass *p, int layer)
{
    const struct sb_layer_places *places = &p->network->layers[layer];
    const struct sb_kept *kept = &p->layers[layer];
    const struct sb_affine *in = &places->ffn_in, *out = &places->ffn_out;
    size_t hidden = hidden_size(p), wide = in->out, all = rows_of(p, layer);
    struct sb_packed w_in = pack(p, in, false, 0), w_out = pack(p, out, false, 1);
    for (size_t first = 0; first < all; first += SB_PASS_CHUNK) {
        size_t rows = chunk_rows(all, first);
        float *x = p->x + first * hidden, *wide_x = kept->ffn_in + first * wide, *sum = kept->ffn_sum + first * hidden;
        sb_pass_linear(p, wide_x, wide, x, hidden, rows, &w_in, sb_pass_value(p, in->bias), NULL, 0);
        activate(p, p->chunk_ffn, wide_x, rows, wide, false);
        sb_pass_linear(p, sum, hidden, p->chunk_ffn, wide, rows, &w_out, sb_pass_value(p, out->bias), NULL, 0);
        sb_pass_norm(p, &(struct sb_norm_step){.out = x,
                                               .sum = sum,
                                               .residual = x,
                                               .place = places->ffn_norm,
                                               .first = first,
                                               .rows = rows,
                                               .tokens = tokens_of(p, layer),
                                               .width = hidden,
                                               .layer = layer,
                                               .site = SB_DROP_FFN_OUT});
    }
}

void sb_pass_layer(struct sb_pass *p, int layer)
{
    attention_forward(p, layer == 0 ? p->first : p->x, layer);
    ffn_forward(p, layer);
}

/* dx: by the layer's output on the way in, by x1 on the way out. */
static void ffn_backward(struct sb_pass *p, int layer, float *gradients)
{
    const struct sb_layer_places *places = &p->network->layers[layer];
    const struct sb_kept *kept = &p->layers[layer];
    const struct sb_affine *in = &places->ffn_in, *out = &places->ffn_out;
    size_t hidden = hidden_size(p), wide = in->out, all = rows_of(p, layer);
    sb_pass_norm_backward(p, p->dx, p->dx, kept->ffn_sum, places->ffn_norm, all, hidden, gradients);
    struct sb_packed w_in = pack(p, in, true, 0), w_out = pack(p, out, true, 1);
    for (size_t first = 0; first < all; first += SB_PASS_CHUNK) {
        size_t rows = chunk_rows(all, first);
        float *dx = p->dx + first * hidden, *dy = p->dy + first * hidden, *wide_x = kept->ffn_in + first * wide;
        sb_pass_dropout(p, dy, dx, &(struct sb_norm_step){.first = first,
                                                          .rows = rows,
                                                          .tokens = tokens_of(p, layer),
                                                          .width = hidden,
                                                          .layer = layer,
                                                          .site = SB_DROP_FFN_OUT});
        activate(p, p->chunk_ffn, wide_x, rows, wide, false);
        sb_pass_kernel_gradient(p, gradients + out->kernel, gradients + out->bias, dy, hidden, p->chunk_ffn, wide, rows,
                                out->out, out->in, p->transposed);
        sb_pass_linear(p, p->dffn, wide, dy, hidden, rows, &w_out, NULL, NULL, 0);
        activate(p, p->dffn, wide_x, rows, wide, true);
        norm_again(p, p->chunk_hidden, kept->attention_sum, places->attention_norm, first, rows);
        sb_pass_kernel_gradient(p, gradients + in->kernel, gradients + in->bias, p->dffn, wide, p->chunk_hidden, hidden,
                                rows, in->out, in->in, p->transposed);
        sb_pass_linear(p, dx, hidden, p->dffn, wide, rows, &w_in, NULL, dx, hidden);
    }
}

/* The gradient that came over the residual, with a row for every token: dx, or in dy what dx has of the outputs. */
static const float *gradient_of_all(struct sb_pass *p, int layer)
{
    size_t width = hidden_size(p);
    if (!sb_pass_is_last(p, layer))
        return p->dx;
    memset(p->dy, 0, p->tokens * width * sizeof *p->dy);
    for (size_t i = 0; i < p->output_count; i++)
        memcpy(p->dy + p->outputs[i] * width, p->dx + i * width, width * sizeof *p->dy);
    return p->dy;
}

/* dx: by x1 on the way in, by the layer's input `in` on the way out. */
static void attention_backward(struct sb_pass *p, const float *in, int layer, float *gradients)
{
    const struct sb_layer_places *places = &p->network->layers[layer];
    const struct sb_kept *kept = &p->layers[layer];
    const struct sb_affine *features = &places->features, *output = &places->output;
    size_t hidden = hidden_size(p), rows = rows_of(p, layer);
    sb_pass_norm_backward(p, p->dx, p->dx, kept->attention_sum, places->attention_norm, rows, hidden, gradients);
    sb_pass_dropout(p, p->dy, p->dx, &(struct sb_norm_step){.rows = rows,
                                                            .tokens = tokens_of(p, layer),
                                                            .width = hidden,
                                                            .layer = layer,
                                                            .site = SB_DROP_ATTENTION_OUT});
    sb_pass_kernel_gradient(p, gradients + output->kernel, gradients + output->bias, p->dy, hidden, kept->context,
                            output->in, rows, output->out, output->in, p->transposed);
    struct sb_packed w = pack(p, output, true, 0);
    sb_pass_linear(p, p->dcontext, output->in, p->dy, hidden, rows, &w, NULL, NULL, 0);
    sb_pass_attend_backward(p, p->dfeatures, p->dcontext, kept->features, layer, gradients);
    sb_pass_kernel_gradient(p, gradients + features->kernel, gradients + features->bias, p->dfeatures, features->out, in, hidden,
                            p->tokens, features->out, features->in, p->transposed);
    w = pack(p, features, true, 0);
    sb_pass_linear(p, p->dx, hidden, p->dfeatures, features->out, p->tokens, &w, NULL, gradient_of_all(p, layer),
                   hidden);
}

/* The input of a layer: what the one before it put out. In p->x, but for the first. */
static const float *input_again(struct sb_pass *p, int layer)
{
    if (layer == 0)
        return p->first;
    norm_again(p, p->x, p->layers[layer - 1].ffn_sum, p->network->layers[layer - 1].ffn_norm, 0, p->tokens);
    return p->x;
}

void sb_pass_layer_backward(struct sb_pass *p, int layer, float *gradients)
{
    if (p->options.recompute && layer + 1 < p->network->config.num_hidden_layers) {
        input_again(p, layer);
        sb_pass_layer(p, layer);
    }
    ffn_backward(p, layer, gradients);
    attention_backward(p, input_again(p, layer), layer, gradients);
}
