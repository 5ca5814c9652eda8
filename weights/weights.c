#include "weights/weights.h"

#include "weights/config_impl.h"
#include "base/hash.h"
#include "weights/pair_head_impl.h"
#include "weights/parameters_impl.h"
#include "weights/weights_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The hash reads all weights, which opening does not: it is made when first asked for. */
struct lazy_hash {
    pthread_mutex_t mutex;
    char digits[SB_HASH_DIGITS + 1]; /* empty: not made yet */
};

struct sb_weights {
    struct sb_config config;
    struct sb_checkpoint *checkpoint;
    struct sb_match match;
    struct sb_dense dense;
    struct sb_param pair_head;
    struct lazy_hash *hash;
};

enum sb_status sb_weights_verify(const struct sb_weights *weights, struct sb_error *error)
{
    const struct sb_match *match = &weights->match;
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < (size_t)SB_PARAM_ROLES * (size_t)match->layers && status == SB_OK; i++)
        if (match->tensors[i])
            status = sb_checkpoint_verify(weights->checkpoint, match->tensors[i], error);
    return status;
}

/* CRC-32C has an instruction that keeps up with memory; the CRC-32 of pytorch_model.bin has none. */
static bool verifies_fast(const struct sb_checkpoint *checkpoint)
{
    return strncmp(sb_checkpoint_format(checkpoint), "tensorflow", 10) == 0;
}

static enum sb_status open_parameters(struct sb_weights *weights, const char *dir, struct sb_error *error)
{
    enum sb_status status = sb_checkpoint_open(&weights->checkpoint, dir, error);
    if (status != SB_OK)
        return status;
    if (sb_checkpoint_missing_data(weights->checkpoint))
        return sb_fail(error, SB_UNSUPPORTED, "%s holds the index of a model without its data: %s is missing", dir,
                       sb_checkpoint_missing_data(weights->checkpoint));
    status = sb_match_parameters(&weights->match, weights->checkpoint, &weights->config, dir, error);
    if (status != SB_OK)
        return status;
    if (weights->match.problem_count > 0) {
        const struct sb_error *first = &weights->match.problems[0].error;
        return sb_fail(error, first->status, "%s", first->message);
    }
    return verifies_fast(weights->checkpoint) ? sb_weights_verify(weights, error) : SB_OK;
}

static enum sb_status open_dense(struct sb_weights *weights, const char *dir, struct sb_error *error)
{
    struct sb_modules modules;
    enum sb_status status = sb_modules_read(&modules, dir, error);
    if (status == SB_OK && modules.dense[0])
        status = sb_dense_open(&weights->dense, dir, modules.dense, (size_t)weights->config.hidden_size, error);
    return status;
}

static enum sb_status open_pair_head(struct sb_weights *weights, const char *dir, struct sb_error *error)
{
    size_t dimensions = weights->dense.checkpoint ? weights->dense.kernel.rows : (size_t)weights->config.hidden_size;
    return sb_pair_head_find(&weights->pair_head, weights->checkpoint, &weights->config, dimensions, dir, error);
}

static struct lazy_hash *lazy_hash_new(void)
{
    struct lazy_hash *hash = calloc(1, sizeof *hash);
    if (hash && pthread_mutex_init(&hash->mutex, NULL) != 0) {
        free(hash);
        return NULL;
    }
    return hash;
}

enum sb_status sb_weights_open(struct sb_weights **weights, const char *dir, struct sb_error *error)
{
    *weights = NULL;
    enum sb_status status;
    struct sb_weights *opened = calloc(1, sizeof *opened);
    if (opened)
        opened->hash = lazy_hash_new();
    if (!opened || !opened->hash) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory to open %s", dir);
        goto cleanup;
    }
    status = sb_config_read(&opened->config, dir, error);
    if (status == SB_OK)
        status = open_parameters(opened, dir, error);
    if (status == SB_OK)
        status = open_dense(opened, dir, error);
    if (status == SB_OK)
        status = open_pair_head(opened, dir, error);
    if (status != SB_OK)
        goto cleanup;
    if (opened->config.pooling == SB_POOL_POOLER && !sb_weights_has_pooler(opened))
        opened->config.pooling = SB_POOL_CLS;
    *weights = opened;
    opened = NULL;
cleanup:
    sb_weights_close(opened);
    return status;
}

void sb_weights_close(struct sb_weights *weights)
{
    if (!weights)
        return;
    if (weights->hash) {
        pthread_mutex_destroy(&weights->hash->mutex);
        free(weights->hash);
    }
    sb_dense_close(&weights->dense);
    sb_match_free(&weights->match);
    sb_checkpoint_close(weights->checkpoint);
    free(weights);
}

const struct sb_config *sb_weights_config(const struct sb_weights *weights)
{
    return &weights->config;
}

const struct sb_checkpoint *sb_weights_checkpoint(const struct sb_weights *weights)
{
    return weights->checkpoint;
}

struct sb_param sb_weights_get(const struct sb_weights *weights, enum sb_param_role role, int layer)
{
    return weights->match.params[sb_match_index(&weights->match, role, layer)];
}

bool sb_weights_has_mlm(const struct sb_weights *weights)
{
    return sb_weights_get(weights, SB_MLM_KERNEL, 0).data != NULL;
}

bool sb_weights_has_pooler(const struct sb_weights *weights)
{
    return sb_weights_get(weights, SB_POOLER_KERNEL, 0).data != NULL;
}

const struct sb_dense *sb_weights_dense_module(const struct sb_weights *weights)
{
    return &weights->dense;
}

bool sb_weights_dense(const struct sb_weights *weights, struct sb_param *kernel, struct sb_param *bias,
                      enum sb_activation *activation)
{
    if (!weights->dense.checkpoint)
        return false;
    *kernel = weights->dense.kernel;
    *bias = weights->dense.bias;
    *activation = weights->dense.activation;
    return true;
}

bool sb_weights_pair_head(const struct sb_weights *weights, struct sb_param *kernel)
{
    *kernel = weights->pair_head;
    return kernel->data != NULL;
}

/* Role, layout and bytes: the same numbers in another place or layout are another model. */
static void hash_param(struct sb_hash *hash, uint64_t index, const struct sb_param *param)
{
    const uint64_t layout[] = {index,          (uint64_t)param->dtype, param->rows,
                               param->columns, param->stride_row,      param->stride_column};
    if (!param->data)
        return;
    sb_hash_bytes(hash, layout, sizeof layout);
    sb_hash_bytes(hash, param->data, param->rows * param->columns * sb_dtype_size(param->dtype));
}

/* Plain attention adds nothing. */
static void hash_attention(struct sb_hash *hash, const struct sb_config *config)
{
    const char *names[SB_ATTENTION_PARTS + 1];
    int count = sb_attention_names(names, &config->attention);
    for (int i = 0; i < count && (count > 1 || config->attention.parts[0] > SB_PART_ROTARY); i++)
        sb_hash_bytes(hash, names[i], strlen(names[i]) + 1);
}

/* What decides the numbers that come out; what only training uses is left out. */
static void hash_config(struct sb_hash *hash, const struct sb_config *config)
{
    const int32_t numbers[] = {
        config->hidden_size,         config->embedding_size,      config->num_hidden_layers,
        config->num_attention_heads, config->attention_head_size, config->attention_key_size,
        config->intermediate_size,   config->vocab_size,          config->max_position_embeddings,
        config->type_vocab_size,     (int32_t)config->hidden_act, (int32_t)config->pooler_activation,
        (int32_t)config->pooling,    config->normalize,           config->max_length,
    };
    sb_hash_bytes(hash, config->model_type, strlen(config->model_type));
    sb_hash_bytes(hash, numbers, sizeof numbers);
    sb_hash_bytes(hash, &config->layer_norm_eps, sizeof config->layer_norm_eps);
    hash_attention(hash, config);
}

static void make_hash(const struct sb_weights *weights, char digits[SB_HASH_DIGITS + 1])
{
    struct sb_hash hash;
    const size_t slots = (size_t)SB_PARAM_ROLES * (size_t)weights->match.layers;
    sb_hash_begin(&hash);
    hash_config(&hash, &weights->config);
    for (size_t i = 0; i < slots; i++)
        hash_param(&hash, i, &weights->match.params[i]);
    if (weights->dense.checkpoint) {
        const uint64_t activation = (uint64_t)weights->dense.activation;
        sb_hash_bytes(&hash, &activation, sizeof activation);
        hash_param(&hash, slots, &weights->dense.kernel);
        hash_param(&hash, slots + 1, &weights->dense.bias);
    }
    sb_hash_end(&hash, digits);
}

const char *sb_weights_hash(const struct sb_weights *weights)
{
    struct lazy_hash *lazy = weights->hash;
    pthread_mutex_lock(&lazy->mutex);
    if (!lazy->digits[0])
        make_hash(weights, lazy->digits);
    pthread_mutex_unlock(&lazy->mutex);
    return lazy->digits;
}

void sb_param_row(float *dst, const struct sb_param *param, size_t row)
{
    enum { CHUNK = 256 };
    unsigned char gathered[CHUNK * 8];
    size_t size = sb_dtype_size(param->dtype);
    const char *start = (const char *)param->data + row * param->stride_row * size;
    if (param->stride_column == 1) {
        sb_to_f32(dst, start, param->dtype, param->columns);
        return;
    }
    for (size_t at = 0; at < param->columns; at += CHUNK) {
        size_t n = param->columns - at < CHUNK ? param->columns - at : CHUNK;
        for (size_t i = 0; i < n; i++)
            memcpy(gathered + i * size, start + (at + i) * param->stride_column * size, size);
        sb_to_f32(dst + at, gathered, param->dtype, n);
    }
}
