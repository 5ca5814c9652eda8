/*
 * The table of a network's parameters: the order in which they lie in the flat array, and the places that the passes read.
 */
#include "model/network_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parameters of a layer in the flat array, behind those of its attention. */
static const enum sb_param_role layer_order[] = {
    SB_OUTPUT_KERNEL, SB_OUTPUT_BIAS,    SB_ATTENTION_NORM_GAMMA, SB_ATTENTION_NORM_BETA, SB_FFN_IN_KERNEL,
    SB_FFN_IN_BIAS,   SB_FFN_OUT_KERNEL, SB_FFN_OUT_BIAS,         SB_FFN_NORM_GAMMA,      SB_FFN_NORM_BETA,
};
static const enum sb_param_role embedding_order[] = {
    SB_WORD_EMBEDDING,      SB_SEGMENT_EMBEDDING,    SB_POSITION_EMBEDDING, SB_EMBEDDING_NORM_GAMMA,
    SB_EMBEDDING_NORM_BETA, SB_EMBEDDING_MAP_KERNEL, SB_EMBEDDING_MAP_BIAS,
};
static const enum sb_param_role pooler_order[] = {SB_POOLER_KERNEL, SB_POOLER_BIAS};
static const enum sb_param_role mlm_order[] = {SB_MLM_KERNEL, SB_MLM_BIAS, SB_MLM_NORM_GAMMA, SB_MLM_NORM_BETA,
                                               SB_MLM_OUTPUT_BIAS};

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { ALIGNMENT = 16 }; /* floats: one cache line */

/* closely: without a gap behind the one before. */
static void append(struct sb_network *n, struct sb_parameter_role role, struct sb_parameter parameter, bool closely)
{
    size_t start = n->parameters.size;
    if (!closely)
        start = (start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    parameter.offset = start;
    n->roles[n->parameters.count] = role;
    n->items[n->parameters.count++] = parameter;
    n->parameters.size = start + parameter.rows * parameter.columns;
}

/* Is this parameter one that the network's source does not have? */
typedef bool is_new_parameter(const void *source, enum sb_param_role role, int layer);

struct appending {
    struct sb_network *network;
    is_new_parameter *is_new;
    const void *source;
    int layer;
};

static void append_role(const struct appending *a, enum sb_param_role role, bool closely)
{
    struct sb_network *n = a->network;
    size_t shape[2];
    int rank = sb_param_shape(shape, &n->config, role);
    if (rank == 0)
        return;
    struct sb_parameter parameter = {.rank = rank,
                                     .rows = rank == 2 ? shape[0] : 1,
                                     .columns = rank == 2 ? shape[1] : shape[0],
                                     .decays = sb_param_info(role)->decays,
                                     .is_new = a->is_new(a->source, role, a->layer)};
    sb_param_name(parameter.name, &n->config, role, a->layer);
    append(n, (struct sb_parameter_role){role, a->layer}, parameter, closely);
}

static void append_all(const struct appending *a, const enum sb_param_role *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        append_role(a, order[i], false);
}

/* The projections that make a token's features, in the order of the attention's columns: one matrix to the linear layer, and one
   vector of biases. Then the tables. */
static void append_attention(const struct appending *a)
{
    const struct sb_attention_plan *plan = &a->network->attention;
    struct sb_projection list[2 * SB_MAX_PROJECTIONS];
    enum sb_param_role tables[SB_MAX_ATTENTION_TABLES];
    int count = sb_attention_query_side(plan, list);
    count += sb_attention_key_side(plan, list + count);
    for (int i = 0; i < count; i++)
        append_role(a, list[i].kernel, i > 0);
    for (int i = 0; i < count; i++)
        append_role(a, list[i].bias, i > 0);
    int table_count = sb_attention_table_roles(plan, tables);
    append_all(a, tables, (size_t)table_count);
}

static bool is_stored_pair_head(const struct sb_extra_parameter *extra, const struct sb_weights *weights)
{
    struct sb_param stored;
    return strcmp(extra->name, SB_PAIR_HEAD_TENSOR) == 0 && sb_weights_pair_head(weights, &stored) &&
           stored.rows == extra->rows && stored.columns == extra->columns;
}

static enum sb_status append_extra(struct sb_network *n, const struct sb_extra_parameter *extra,
                                   const struct sb_weights *weights, struct sb_error *error)
{
    struct sb_parameter parameter = {.rank = extra->rows ? 2 : 1,
                                     .rows = extra->rows ? extra->rows : 1,
                                     .columns = extra->columns,
                                     .decays = extra->decays,
                                     .is_new = !is_stored_pair_head(extra, weights)};
    size_t length = strlen(extra->name);
    if (length == 0 || length >= sizeof parameter.name || sb_parameters_find(&n->parameters, extra->name))
        return sb_fail(error, SB_INVALID, "parameter '%.100s': its name is empty, longer than %zu bytes, or taken",
                       extra->name, sizeof parameter.name - 1);
    memcpy(parameter.name, extra->name, length + 1);
    append(n, (struct sb_parameter_role){SB_PARAM_ROLES, 0}, parameter, false);
    return SB_OK;
}

static size_t offset_of(const struct sb_network *n, enum sb_param_role role, int layer)
{
    for (size_t i = 0; i < n->parameters.count; i++)
        if (n->roles[i].role == role && n->roles[i].layer == layer)
            return n->items[i].offset;
    return 0;
}

static struct sb_affine affine(const struct sb_network *n, enum sb_param_role kernel, enum sb_param_role bias,
                               int layer)
{
    size_t shape[2] = {0, 0};
    sb_param_shape(shape, &n->config, kernel);
    return (struct sb_affine){offset_of(n, kernel, layer), offset_of(n, bias, layer), shape[0], shape[1]};
}

/* The first of the projections says where all of them begin. */
static struct sb_affine features(const struct sb_network *n, int layer)
{
    const struct sb_attention_plan *plan = &n->attention;
    struct sb_projection list[2 * SB_MAX_PROJECTIONS];
    sb_attention_key_side(plan, list + sb_attention_query_side(plan, list));
    struct sb_affine all = affine(n, list[0].kernel, list[0].bias, layer);
    all.out = plan->query_width + plan->key_width + plan->value_width;
    return all;
}

struct placing {
    const struct sb_network *network;
    int layer;
    float *flat;
};

static float *place_table(void *context, enum sb_param_role role)
{
    const struct placing *p = context;
    return p->flat + offset_of(p->network, role, p->layer);
}

struct sb_attention_tables sb_network_attention(const struct sb_network *network, int layer, float *flat)
{
    struct placing placing = {network, layer, flat};
    struct sb_attention_tables tables;
    sb_attention_find_tables(&tables, &network->attention, place_table, &placing);
    return tables;
}

static struct sb_norm_place norm(const struct sb_network *n, enum sb_param_role gamma, enum sb_param_role beta,
                                 int layer)
{
    return (struct sb_norm_place){offset_of(n, gamma, layer), offset_of(n, beta, layer)};
}

static void find_places(struct sb_network *n)
{
    n->word_embedding = offset_of(n, SB_WORD_EMBEDDING, 0);
    n->segment_embedding = offset_of(n, SB_SEGMENT_EMBEDDING, 0);
    n->position_embedding = offset_of(n, SB_POSITION_EMBEDDING, 0);
    n->has_positions = n->position_embedding != 0;
    n->embedding_norm = norm(n, SB_EMBEDDING_NORM_GAMMA, SB_EMBEDDING_NORM_BETA, 0);
    n->has_embedding_map = n->config.embedding_size != n->config.hidden_size;
    n->embedding_map = affine(n, SB_EMBEDDING_MAP_KERNEL, SB_EMBEDDING_MAP_BIAS, 0);
    for (int i = 0; i < n->config.num_hidden_layers; i++) {
        struct sb_layer_places *layer = &n->layers[i];
        layer->features = features(n, i);
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

/* Everything but the extras. */
static enum sb_status append_model(struct sb_network *n, is_new_parameter *is_new, const void *source, size_t extras,
                                   struct sb_error *error)
{
    struct appending a = {n, is_new, source, 0};
    size_t layers = (size_t)n->config.num_hidden_layers;
    enum sb_status status = allocate(n, (size_t)SB_PARAM_ROLES * layers + extras, error);
    if (status != SB_OK)
        return status;
    append_all(&a, embedding_order, COUNT(embedding_order));
    for (; (size_t)a.layer < layers; a.layer++) {
        append_attention(&a);
        append_all(&a, layer_order, COUNT(layer_order));
    }
    a.layer = 0;
    if (n->has_pooler)
        append_all(&a, pooler_order, COUNT(pooler_order));
    if (n->has_mlm)
        append_all(&a, mlm_order, COUNT(mlm_order));
    return SB_OK;
}

static bool is_not_stored(const void *source, enum sb_param_role role, int layer)
{
    return !sb_weights_get(source, role, layer).data;
}

enum sb_status sb_network_lay_out(struct sb_network *n, const struct sb_weights *weights,
                                  const struct sb_network_options *options, struct sb_error *error)
{
    enum sb_status status = append_model(n, is_not_stored, weights, options->extra_count, error);
    for (size_t i = 0; i < options->extra_count && status == SB_OK; i++)
        status = append_extra(n, &options->extras[i], weights, error);
    if (status == SB_OK)
        find_places(n);
    return status;
}

static bool other_lacks(const void *source, enum sb_param_role role, int layer)
{
    const struct sb_network *other = source;
    for (size_t i = 0; i < other->parameters.count; i++)
        if (other->roles[i].role == role && other->roles[i].layer == layer)
            return other->items[i].is_new;
    return true;
}

enum sb_status sb_network_lay_out_like(struct sb_network *n, const struct sb_network *other, struct sb_error *error)
{
    enum sb_status status = append_model(n, other_lacks, other, other->parameters.count, error);
    for (size_t i = 0; i < other->parameters.count && status == SB_OK; i++)
        if (other->roles[i].role == SB_PARAM_ROLES)
            append(n, other->roles[i], other->items[i], false);
    if (status == SB_OK)
        find_places(n);
    return status;
}
