#include "training/whitened_model.h"

#include "model/network.h"
#include "training/batch.h"
#include "training/dense_module.h"
#include "training/whitening.h"

#include <stdlib.h>

enum { EXAMPLES = 32 }; /* of a batch */

enum sb_status sb_whiten_check(const struct sb_config *config, size_t dimensions, struct sb_error *error)
{
    if (dimensions >= (size_t)config->hidden_size)
        return sb_fail(error, SB_INVALID,
                       "whiten.dimensions is %zu; the model's vectors have %d numbers, and what LayerNorm gives spans one "
                       "dimension less",
                       dimensions, config->hidden_size);
    if (config->pooling == SB_POOL_POOLER && config->pooler_activation != SB_LINEAR)
        return sb_fail(error, SB_UNSUPPORTED,
                       "whiten: the model's pooler ends with tanh; only a linear one can take it in");
    return SB_OK;
}

/* ---- The vectors of a sample ---- */

struct measuring {
    const struct sb_whiten_options *options;
    struct sb_network *network;
    struct sb_pass *pass;
    struct sb_whitening *whitening;
    size_t left; /* sentences to go */
};

static enum sb_status add_batch(struct measuring *m, const struct sb_batch *batch, struct sb_error *error)
{
    size_t rows = batch->row_count < m->left ? batch->row_count : m->left;
    struct sb_pass_input input = {.rows = batch->rows, .count = rows};
    enum sb_status status = sb_pass_forward(m->pass, &input, error);
    if (status != SB_OK)
        return status;
    sb_whitening_add(m->whitening, sb_pass_pooled(m->pass), rows);
    m->left -= rows;
    return SB_OK;
}

/* Texts of the examples of an epoch, in its order, as many as `share` allows. */
static enum sb_status add_data(struct measuring *m, const struct sb_data *data, size_t share, struct sb_error *error)
{
    struct sb_batch_options rows = sb_batch_defaults(SB_ROWS_SENTENCES);
    struct sb_batches *batches;
    struct sb_batch batch = {0};
    size_t others = m->left > share ? m->left - share : 0;
    rows.examples = EXAMPLES;
    rows.seed = m->options->seed;
    rows.text_characters = m->options->text_characters;
    rows.max_length = m->options->max_length;
    rows.lone_once = true;
    enum sb_status status = sb_batches_new(&batches, data, sb_network_tokenizer(m->network), &rows, error);
    if (status != SB_OK)
        return status;
    for (size_t i = 0; status == SB_OK && m->left > others && i < sb_batches_in_epoch(batches); i++) {
        status = sb_batches_build(batches, &batch, 0, i, error);
        if (status == SB_OK)
            status = add_batch(m, &batch, error);
    }
    sb_batch_free(&batch);
    sb_batches_free(batches);
    return status;
}

static enum sb_status measure(struct measuring *m, const struct sb_data *const *data, size_t count,
                              struct sb_pool *pool, struct sb_error *error)
{
    const struct sb_pass_options options = {.max_rows = 2 * EXAMPLES,
                                            .max_tokens = 2 * EXAMPLES * m->options->max_length,
                                            .pool = pool};
    enum sb_status status = sb_pass_new(&m->pass, m->network, &options, error);
    if (status == SB_OK)
        status = sb_whitening_new(&m->whitening, (size_t)sb_network_dimensions(m->network), error);
    m->left = m->options->sentences;
    for (size_t i = 0; status == SB_OK && i < count; i++)
        status = add_data(m, data[i], m->left / (count - i), error);
    return status == SB_OK ? sb_whitening_solve(m->whitening, m->options->dimensions, error) : status;
}

/* ---- One linear map ---- */

static struct sb_parameter pooler_part(const struct measuring *m, const char *name)
{
    return *sb_parameters_find(sb_network_parameters(m->network), name);
}

/* kernel[kept, in], bias[kept] of the linear map from what is pooled to the whitened vector. */
static void fold(const struct measuring *m, float *kernel, float *bias)
{
    size_t d = (size_t)sb_network_dimensions(m->network);
    const float *values = sb_network_values(m->network);
    if (sb_network_config(m->network)->pooling == SB_POOL_POOLER) {
        sb_whitening_fold(m->whitening, kernel, bias, values + pooler_part(m, "bert.pooler.dense.weight").offset,
                          values + pooler_part(m, "bert.pooler.dense.bias").offset, d);
        return;
    }
    const double *k = sb_whitening_kernel(m->whitening), *mean = sb_whitening_mean(m->whitening);
    for (size_t i = 0; i < m->options->dimensions; i++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            kernel[i * d + j] = (float)k[i * d + j];
            sum -= k[i * d + j] * mean[j];
        }
        bias[i] = (float)sum;
    }
}

/* ---- All of it ---- */

enum sb_status sb_whiten_model(const char *dir, const struct sb_data *const *data, size_t count,
                               const struct sb_whiten_options *options, struct sb_pool *pool, struct sb_error *error)
{
    struct measuring m = {.options = options};
    float *kernel = NULL, *bias = NULL;
    enum sb_status status = sb_network_open(&m.network, dir, NULL, error);
    if (status == SB_OK)
        status = sb_whiten_check(sb_network_config(m.network), options->dimensions, error);
    if (status == SB_OK)
        status = measure(&m, data, count, pool, error);
    if (status == SB_OK) {
        size_t d = (size_t)sb_network_dimensions(m.network);
        kernel = calloc(options->dimensions * d, sizeof *kernel);
        bias = calloc(options->dimensions, sizeof *bias);
        if (kernel && bias) {
            fold(&m, kernel, bias);
            const struct sb_dense_module module = {kernel, bias, options->dimensions, d, SB_LINEAR};
            status = sb_dense_module_write(&module, dir, sb_network_config(m.network), error);
        } else {
            status = sb_fail(error, SB_NO_MEMORY, "%s: no memory to whiten it", dir);
        }
    }
    free(kernel);
    free(bias);
    sb_whitening_free(m.whitening);
    sb_pass_free(m.pass);
    sb_network_free(m.network);
    return status;
}
