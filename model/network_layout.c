/*
 * The table of a network's parameters: the order in which they lie in the flat array, and the places that the passes read.
 */
#include "model/network_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parameters of a layer in the flat array. Query, key and value stand one behind the other without a gap, kernels and then
   biases, so that they are one matrix to the linear layer. */
static const enum sb_param_role layer_order[] = {
    SB_QUERY_KERNEL,         SB_KEY_KERNEL,          SB_VALUE_KERNEL, SB_QUERY_BIAS,      SB_KEY_BIAS,       SB_VALUE_BIAS,
    SB_OUTPUT_KERNEL,        SB_OUTPUT_BIAS,         SB_ATTENTION_NORM_GAMMA, SB_ATTENTION_NORM_BETA,
    SB_FFN_IN_KERNEL,        SB_FFN_IN_BIAS,         SB_FFN_OUT_KERNEL,       SB_FFN_OUT_BIAS,
    SB_FFN_NORM_GAMMA,       SB_FFN_NORM_BETA,
};
static const enum sb_param_role embedding_order[] = {
    SB_WORD_EMBEDDING,       SB_SEGMENT_EMBEDDING,   SB_POSITION_EMBEDDING, SB_EMBEDDING_NORM_GAMMA,
    SB_EMBEDDING_NORM_BETA,  SB_EMBEDDING_MAP_KERNEL, SB_EMBEDDING_MAP_BIAS,
};
static const enum sb_param_role pooler_order[] = {SB_POOLER_KERNEL, SB_POOLER_BIAS};
static const enum sb_param_role mlm_order[] = {SB_MLM_KERNEL, SB_MLM_BIAS, SB_MLM_NORM_GAMMA, SB_MLM_NORM_BETA,
                                               SB_MLM_OUTPUT_BIAS};

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { ALIGNMENT = 16 }; /* floats: one cache line */

static bool follows_closely(enum sb_param_role role)
{
    return role == SB_KEY_KERNEL || role == SB_VALUE_KERNEL || role == SB_KEY_BIAS || role == SB_VALUE_BIAS;
}

static void append(struct sb_network *n, struct sb_parameter_role role, struct sb_parameter parameter)
{
    size_t start = n->parameters.size;
    if (role.role == SB_PARAM_ROLES || !follows_closely(role.role))
        start = (start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    parameter.offset = start;
    n->roles[n->parameters.count] = role;
    n->items[n->parameters.count++] = parameter;
    n->parameters.size = start + parameter.rows * parameter.columns;
}

static void append_role(struct sb_network *n, enum sb_param_role role, int layer, bool is_new)
{
    size_t shape[2];
    int rank = sb_param_shape(shape, &n->config, role);
    if (rank == 0)
        return;
    struct sb_parameter parameter = {.rank = rank,
                                     .rows = rank == 2 ? shape[0] : 1,
                                     .columns = rank == 2 ? shape[1] : shape[0],
                                     .decays = sb_param_info(role)->decays,
                                     .is_new = is_new};
    sb_param_name(parameter.name, &n->config, role, layer);
    append(n, (struct sb_parameter_role){role, layer}, parameter);
}

static void append_all(struct sb_network *n, const struct sb_weights *weights, const enum sb_param_role *order,
                       size_t count, int layer)
{
    for (size_t i = 0; i < count; i++)
        append_role(n, order[i], layer, !sb_weights_get(weights, order[i], layer).data);
}

static enum sb_status append_extra(struct sb_network *n, const struct sb_extra_parameter *extra, struct sb_error *error)
{
    struct sb_parameter parameter = {.rank = extra->rows ? 2 : 1,
                                     .rows = extra->rows ? extra->rows : 1,
                                     .columns = extra->columns,
                                     .decays = extra->decays,
                                     .is_new = true};
    size_t length = strlen(extra->name);
    if (length == 0 || length >= sizeof parameter.name || sb_parameters_find(&n->parameters, extra->name))
        return sb_fail(error, SB_INVALID, "parameter '%.100s': its name is empty, longer than %zu bytes, or taken",
                       extra->name, sizeof parameter.name - 1);
    memcpy(parameter.name, extra->name, length + 1);
    append(n, (struct sb_parameter_role){SB_PARAM_ROLES, 0}, parameter);
    return SB_OK;
}

static size_t offset_of(const struct sb_network *n, enum sb_param_role role, int layer)
{
    for (size_t i = 0; i < n->parameters.count; i++)
        if (n->roles[i].role == role && n->roles[i].layer == layer)
            return n->items[i].offset;
    return 0;
}

static struct sb_affine affine(const struct sb_network *n, enum sb_param_role kernel, enum sb_param_role bias, int layer)
{
    size_t shape[2] = {0, 0};
    sb_param_shape(shape, &n->config, kernel);
    return (struct sb_affine){offset_of(n, kernel, layer), offset_of(n, bias, layer), shape[0], shape[1]};
}

static struct sb_norm_place norm(const struct sb_network *n, enum sb_param_role gamma, enum sb_param_role beta, int layer)
{
    return (struct sb_norm_place){offset_of(n, gamma, layer), offset_of(n, beta, layer)};
}

static void find_places(struct sb_network *n)
{
    n->word_embedding = offset_of(n, SB_WORD_EMBEDDING, 0);
    n->segment_embedding = offset_of(n, SB_SEGMENT_EMBEDDING, 0);
    n->position_embedding = offset_of(n, SB_POSITION_EMBEDDING, 0);
    n->embedding_norm = norm(n, SB_EMBEDDING_NORM_GAMMA, SB_EMBEDDING_NORM_BETA, 0);
    n->has_embedding_map = n->config.embedding_size != n->config.hidden_size;
    n->embedding_map = affine(n, SB_EMBEDDING_MAP_KERNEL, SB_EMBEDDING_MAP_BIAS, 0);
    for (int i = 0; i < n->config.num_hidden_layers; i++) {
        struct sb_layer_places *layer = &n->layers[i];
        layer->query_key_value = affine(n, SB_QUERY_KERNEL, SB_QUERY_BIAS, i);
        layer->query_key_value.out = 2 * sb_key_width(&n->config) + sb_value_width(&n->config);
        layer->output = affine(n, SB_OUTPUT_KERNEL, SB_OUTPUT_BIAS, i);
        layer->attention_norm = norm(n, SB_ATTENTION_NORM_GAMMA, SB_ATTENTION_NORM_BETA, i);
        layer->ffn_in = affine(n, SB_FFN_IN_KERNEL, SB_FFN_IN_BIAS, i);
        layer->ffn_out = affine(n, SB_FFN_OUT_KERNEL, SB_FFN_OUT_BIAS, i);
        layer->ffn_norm = norm(n, SB_FFN_NORM_GAMMA, SB_FFN_NORM_BETA, i);
    }
    n->pooler = affine(n, SB_POOLER_KERNEL, SB_POOLER_BIAS, 0);
    n->mlm = affine(n, SB_MLM_KERNEL, SB_MLM_BIAS, 0);
    n->mlm_norm = norm(n, SB_MLM_NORM_GAMMA, SB_MLM_NORM_BETA, 0);
    n->mlm_output_bias = offset_of(n, SB_MLM_OUTPUT_BIAS, 0);
}

static enum sb_status allocate(struct sb_network *n, size_t most, struct sb_error *error)
{
    n->items = calloc(most, sizeof *n->items);
    n->roles = calloc(most, sizeof *n->roles);
    n->layers = calloc((size_t)n->config.num_hidden_layers, sizeof *n->layers);
    if (!n->items || !n->roles || !n->layers)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for the table of parameters", n->dir);
    n->parameters.items = n->items;
    return SB_OK;
}

enum sb_status sb_network_lay_out(struct sb_network *n, const struct sb_weights *weights,
                                  const struct sb_network_options *options, struct sb_error *error)
{
    size_t layers = (size_t)n->config.num_hidden_layers;
    enum sb_status status = allocate(n, COUNT(embedding_order) + layers * COUNT(layer_order) + COUNT(pooler_order) +
                                            COUNT(mlm_order) + options->extra_count,
                                     error);
    if (status != SB_OK)
        return status;
    append_all(n, weights, embedding_order, COUNT(embedding_order), 0);
    for (size_t i = 0; i < layers; i++)
        append_all(n, weights, layer_order, COUNT(layer_order), (int)i);
    if (n->has_pooler)
        append_all(n, weights, pooler_order, COUNT(pooler_order), 0);
    if (n->has_mlm)
        append_all(n, weights, mlm_order, COUNT(mlm_order), 0);
    for (size_t i = 0; i < options->extra_count && status == SB_OK; i++)
        status = append_extra(n, &options->extras[i], error);
    find_places(n);
    return status;
}

enum sb_status sb_network_lay_out_like(struct sb_network *n, const struct sb_network *other, struct sb_error *error)
{
    enum sb_status status = allocate(n, other->parameters.count, error);
    for (size_t i = 0; i < other->parameters.count && status == SB_OK; i++) {
        if (other->roles[i].role == SB_PARAM_ROLES)
            append(n, other->roles[i], other->items[i]);
        else
            append_role(n, other->roles[i].role, other->roles[i].layer, other->items[i].is_new);
    }
    if (status == SB_OK)
        find_places(n);
    return status;
}
