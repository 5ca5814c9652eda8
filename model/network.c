/*
 * A network's parameters: read from a model directory into floats, and written back.
 */
#include "model/network_impl.h"

#include "weights/convert.h"

#include <stdlib.h>
#include <string.h>

/* 64-byte aligned and zeroed: the loops over all parameters run on whole cache lines. */
static float *allocate_floats(size_t count)
{
    size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    float *values = aligned_alloc(64, bytes);
    if (values)
        memset(values, 0, bytes);
    return values;
}

/* Of the extra parameters a checkpoint may have the pair head. */
static struct sb_param stored_value(const struct sb_network *n, const struct sb_weights *weights, size_t index)
{
    struct sb_param stored = {0};
    if (n->roles[index].role == SB_PARAM_ROLES)
        sb_weights_pair_head(weights, &stored);
    else
        stored = sb_weights_get(weights, n->roles[index].role, n->roles[index].layer);
    return stored;
}

static void read_values(struct sb_network *n, const struct sb_weights *weights)
{
    for (size_t i = 0; i < n->parameters.count; i++) {
        const struct sb_parameter *p = &n->items[i];
        if (p->is_new)
            continue;
        struct sb_param stored = stored_value(n, weights, i);
        for (size_t row = 0; row < p->rows; row++)
            sb_param_row(n->values + p->offset + row * p->columns, &stored, row);
    }
}

static enum sb_status check_supported(const struct sb_network *n, const struct sb_weights *weights,
                                      const struct sb_network_options *options, struct sb_error *error)
{
    struct sb_param kernel, bias;
    enum sb_activation activation;
    if (!options->without_dense && sb_weights_dense(weights, &kernel, &bias, &activation))
        return sb_fail(error, SB_UNSUPPORTED, "%s: a model with a Dense module behind its pooling can not be trained",
                       n->dir);
    if (sb_tokenizer_vocab_size(n->tokenizer) > n->config.vocab_size)
        return sb_fail(error, SB_INVALID, "%s: the tokenizer has %d tokens but the config's vocab_size is %d", n->dir,
                       sb_tokenizer_vocab_size(n->tokenizer), n->config.vocab_size);
    return SB_OK;
}

static enum sb_status read_network(struct sb_network *n, const struct sb_weights *weights,
                                   const struct sb_network_options *options, struct sb_error *error)
{
    n->config = *sb_weights_config(weights);
    n->config.pair_head = SB_PAIR_HEAD_NONE; /* it is saved only if it is trained along: sb_network_set_pair_head */
    n->has_mlm = options->needs_mlm || sb_weights_has_mlm(weights);
    if (options->needs_pooler)
        n->config.pooling = SB_POOL_POOLER;
    n->has_pooler = n->config.pooling == SB_POOL_POOLER || sb_weights_has_pooler(weights);
    enum sb_status status = check_supported(n, weights, options, error);
    if (status == SB_OK)
        status = sb_attention_plan_init(&n->attention, &n->config, error);
    if (status == SB_OK)
        status = sb_network_lay_out(n, weights, options, error);
    if (status != SB_OK)
        return status;
    n->values = allocate_floats(n->parameters.size);
    if (!n->values)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu parameters", n->dir, n->parameters.size);
    read_values(n, weights);
    return SB_OK;
}

enum sb_status sb_network_open(struct sb_network **network, const char *dir, const struct sb_network_options *options,
                               struct sb_error *error)
{
    static const struct sb_network_options defaults;
    struct sb_weights *weights = NULL;
    *network = NULL;
    struct sb_network *n = calloc(1, sizeof *n);
    if (n)
        n->dir = strdup(dir);
    if (!n || !n->dir) {
        free(n);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the model", dir);
    }
    enum sb_status status = sb_weights_open(&weights, dir, error);
    if (status == SB_OK)
        status = sb_tokenizer_open(&n->tokenizer, dir, error);
    if (status == SB_OK)
        status = read_network(n, weights, options ? options : &defaults, error);
    sb_weights_close(weights);
    if (status != SB_OK) {
        sb_network_free(n);
        return status;
    }
    *network = n;
    return SB_OK;
}

static enum sb_status open_tokenizer(struct sb_network *n, struct sb_error *error)
{
    enum sb_status status = sb_tokenizer_open(&n->tokenizer, n->dir, error);
    if (status == SB_OK && !(n->values = allocate_floats(n->parameters.size)))
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu parameters", n->dir, n->parameters.size);
    return status;
}

enum sb_status sb_network_like(struct sb_network **network, const struct sb_network *other,
                               const struct sb_config *config, struct sb_error *error)
{
    struct sb_network *n = calloc(1, sizeof *n);
    *network = NULL;
    if (n)
        n->dir = strdup(other->dir);
    if (!n || !n->dir) {
        free(n);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for another network", other->dir);
    }
    n->config = *config;
    n->has_mlm = other->has_mlm;
    n->has_pooler = other->has_pooler;
    enum sb_status status = sb_attention_plan_init(&n->attention, &n->config, error);
    if (status == SB_OK)
        status = sb_network_lay_out_like(n, other, error);
    if (status == SB_OK)
        status = open_tokenizer(n, error);
    if (status != SB_OK) {
        sb_network_free(n);
        return status;
    }
    *network = n;
    return SB_OK;
}

void sb_network_copy_same(struct sb_network *to, const struct sb_network *from)
{
    for (size_t i = 0; i < to->parameters.count; i++) {
        const struct sb_parameter *p = &to->items[i], *q = sb_parameters_find(&from->parameters, p->name);
        if (q && p->rows == q->rows && p->columns == q->columns)
            memcpy(to->values + p->offset, from->values + q->offset, p->rows * p->columns * sizeof(float));
    }
}

void sb_network_free(struct sb_network *network)
{
    if (!network)
        return;
    sb_tokenizer_free(network->tokenizer);
    sb_attention_plan_free(&network->attention);
    free(network->values);
    free(network->layers);
    free(network->roles);
    free(network->items);
    free(network->dir);
    free(network);
}

struct saving {
    const struct sb_network *network;
    const float *values;
};

static struct sb_param stored_as(const struct sb_parameter *p, const float *values)
{
    return (struct sb_param){.data = values + p->offset,
                             .dtype = SB_F32,
                             .rows = p->rows,
                             .columns = p->columns,
                             .stride_row = p->columns,
                             .stride_column = 1};
}

static struct sb_param get_value(void *context, enum sb_param_role role, int layer)
{
    const struct saving *saving = context;
    const struct sb_network *n = saving->network;
    for (size_t i = 0; i < n->parameters.count; i++)
        if (n->roles[i].role == role && n->roles[i].layer == layer)
            return stored_as(&n->items[i], saving->values);
    return (struct sb_param){0};
}

enum sb_status sb_network_save(const struct sb_network *network, const float *values, enum sb_dtype dtype,
                               const char *dir, struct sb_error *error)
{
    struct saving saving = {network, values ? values : network->values};
    struct sb_named_param *extras = calloc(network->parameters.count, sizeof *extras);
    if (!extras)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to save the model", dir);
    struct sb_model_source source = {
        .dir = network->dir, .config = &network->config, .get = get_value, .context = &saving, .extras = extras};
    for (size_t i = 0; i < network->parameters.count; i++) {
        const struct sb_parameter *p = &network->items[i];
        if (network->roles[i].role == SB_PARAM_ROLES)
            extras[source.extra_count++] = (struct sb_named_param){p->name, p->rank == 2, stored_as(p, saving.values)};
    }
    enum sb_status status = sb_save_model(&source, dir, dtype, error);
    free(extras);
    return status;
}

void sb_network_set_pair_head(struct sb_network *network, enum sb_pair_head pair_head)
{
    network->config.pair_head = pair_head;
}

const struct sb_config *sb_network_config(const struct sb_network *network)
{
    return &network->config;
}

const struct sb_tokenizer *sb_network_tokenizer(const struct sb_network *network)
{
    return network->tokenizer;
}

const struct sb_parameters *sb_network_parameters(const struct sb_network *network)
{
    return &network->parameters;
}

float *sb_network_values(struct sb_network *network)
{
    return network->values;
}

bool sb_network_has_mlm(const struct sb_network *network)
{
    return network->has_mlm;
}

int sb_network_dimensions(const struct sb_network *network)
{
    return network->config.hidden_size;
}
