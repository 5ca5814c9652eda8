/*
 * Input embeddings of a pass: word + segment + position, LayerNorm, dropout, E -> H.
 */
#include "model/pass_impl.h"

#include <string.h>

static size_t embedding_width(const struct sb_pass *p)
{
    return (size_t)p->network->config.embedding_size;
}

static size_t segment_of(const struct sb_pass_row *row, size_t token)
{
    return row->segments ? row->segments[token] : 0;
}

static void sum_row(void *context, size_t r, int worker)
{
    struct sb_pass *p = context;
    const struct sb_network *n = p->network;
    const struct sb_pass_row *row = &p->input.rows[r];
    size_t width = embedding_width(p);
    (void)worker;
    for (size_t i = 0; i < row->length; i++) {
        size_t token = p->first_token[r] + i;
        float *sum = p->embedding_sum + token * width;
        memcpy(sum, n->values + n->word_embedding + (size_t)row->ids[i] * width, width * sizeof *sum);
        if (p->input.perturbation)
            p->training->add_scaled(sum, p->input.perturbation + token * width, 1, width);
        p->training->add_scaled(sum, n->values + n->segment_embedding + segment_of(row, i) * width, 1, width);
        if (n->has_positions)
            p->training->add_scaled(sum, n->values + n->position_embedding + i * width, 1, width);
    }
}

void sb_pass_embed(struct sb_pass *p)
{
    struct sb_network *n = p->network;
    size_t width = embedding_width(p);
    float *out = n->has_embedding_map ? p->embedding : p->first;
    sb_pool_run(p->options.pool, p->input.count, sum_row, p);
    sb_pass_norm(p, &(struct sb_norm_step){.out = out,
                                           .sum = p->embedding_sum,
                                           .place = n->embedding_norm,
                                           .rows = p->tokens,
                                           .width = width});
    struct sb_norm_step drop = {.rows = p->tokens, .width = width, .site = SB_DROP_EMBEDDING};
    sb_pass_dropout(p, out, out, &drop);
    if (n->has_embedding_map) {
        const struct sb_affine *map = &n->embedding_map;
        struct sb_packed packed =
            sb_pass_pack(p, sb_pass_value(p, map->kernel), map->out, map->in, false, p->panels[0]);
        sb_pass_linear(p, p->first, map->out, out, map->in, p->tokens, &packed, sb_pass_value(p, map->bias), NULL, 0);
    }
}

/* The gradient by a token's embedding goes to its word, its segment and its position. One thread: tokens share rows of the
   tables, and their order is the order of the sum. */
static void scatter(struct sb_pass *p, const float *dsum, float *gradients)
{
    const struct sb_network *n = p->network;
    size_t width = embedding_width(p);
    for (size_t token = 0; token < p->tokens; token++) {
        const struct sb_pass_row *row = &p->input.rows[p->token_row[token]];
        const float *d = dsum + token * width;
        size_t i = p->token_position[token];
        p->training->add_scaled(gradients + n->word_embedding + (size_t)row->ids[i] * width, d, 1, width);
        p->training->add_scaled(gradients + n->segment_embedding + segment_of(row, i) * width, d, 1, width);
        if (n->has_positions)
            p->training->add_scaled(gradients + n->position_embedding + i * width, d, 1, width);
    }
    if (p->input.occurrence_gradients)
        memcpy(p->input.occurrence_gradients, dsum, p->tokens * width * sizeof *dsum);
}

void sb_pass_embed_backward(struct sb_pass *p, float *gradients)
{
    struct sb_network *n = p->network;
    size_t width = embedding_width(p);
    float *d = p->dx;
    if (n->has_embedding_map) {
        const struct sb_affine *map = &n->embedding_map;
        sb_pass_kernel_gradient(p, gradients + map->kernel, gradients + map->bias, p->dx, map->out, p->embedding,
                                map->in, p->tokens, map->out, map->in, p->transposed);
        struct sb_packed packed =
            sb_pass_pack(p, sb_pass_value(p, map->kernel), map->out, map->in, true, p->panels[0]);
        d = p->embedding; /* read for the last time above */
        sb_pass_linear(p, d, width, p->dx, map->out, p->tokens, &packed, NULL, NULL, 0);
    }
    struct sb_norm_step drop = {.rows = p->tokens, .width = width, .site = SB_DROP_EMBEDDING};
    sb_pass_dropout(p, d, d, &drop);
    sb_pass_norm_backward(p, d, d, p->embedding_sum, n->embedding_norm, p->tokens, width, gradients);
    scatter(p, d, gradients);
}
