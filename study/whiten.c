#include "study/whiten.h"

#include "model/network.h"
#include "training/batch.h"
#include "training/whitening.h"

#include <stdlib.h>
#include <string.h>

/* 4096 texts, eight for each of 512 dimensions. */
enum { BATCH_EXAMPLES = 32, BATCHES = 64, SEED = 1 };

static enum sb_status add_batches(struct sb_whitening *whitening, struct sb_batches *batches,
                                  struct sb_network *network, struct sb_pool *pool, struct sb_error *error)
{
    struct sb_batch batch = {0};
    struct sb_pass *pass = NULL;
    struct sb_pass_options options = {.max_rows = sb_batches_max_rows(batches), .pool = pool};
    size_t count = sb_batches_in_epoch(batches);
    options.max_tokens = options.max_rows * sb_batch_defaults(SB_ROWS_SENTENCES).max_length;
    enum sb_status status = sb_pass_new(&pass, network, &options, error);
    for (size_t i = 0; i < count && i < BATCHES && status == SB_OK; i++) {
        status = sb_batches_build(batches, &batch, 0, i, error);
        struct sb_pass_input input = {.rows = batch.rows, .count = batch.row_count};
        if (status == SB_OK)
            status = sb_pass_forward(pass, &input, error);
        if (status == SB_OK)
            sb_whitening_add(whitening, sb_pass_pooled(pass), batch.row_count);
    }
    sb_pass_free(pass);
    sb_batch_free(&batch);
    return status;
}

static enum sb_status add_texts(struct sb_whitening *whitening, const char *texts, struct sb_network *network,
                                struct sb_pool *pool, struct sb_error *error)
{
    struct sb_data_file file = {.path = texts};
    struct sb_data_options options = sb_data_defaults();
    struct sb_batch_options rows = sb_batch_defaults(SB_ROWS_SENTENCES);
    struct sb_data *data = NULL;
    struct sb_batches *batches = NULL;
    rows.examples = BATCH_EXAMPLES;
    rows.seed = SEED;
    enum sb_status status = sb_data_open(&data, &file, 1, &options, error);
    if (status == SB_OK)
        status = sb_batches_new(&batches, data, sb_network_tokenizer(network), &rows, error);
    if (status == SB_OK)
        status = add_batches(whitening, batches, network, pool, error);
    sb_batches_free(batches);
    sb_data_close(data);
    return status;
}

/* The rows of the directions that are not kept become 0, which leaves the pooler square and cosines what they are. */
static enum sb_status fold(const struct sb_whitening *whitening, struct sb_network *network, struct sb_error *error)
{
    const struct sb_parameters *parameters = sb_network_parameters(network);
    const struct sb_parameter *weight = sb_parameters_find(parameters, "bert.pooler.dense.weight"),
                              *bias = sb_parameters_find(parameters, "bert.pooler.dense.bias");
    size_t size = weight->rows * weight->columns;
    float *values = sb_network_values(network), *old = malloc((size + bias->columns) * sizeof *old);
    if (!old)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the pooler");
    memcpy(old, values + weight->offset, size * sizeof *old);
    memcpy(old + size, values + bias->offset, bias->columns * sizeof *old);
    memset(values + weight->offset, 0, size * sizeof *values);
    memset(values + bias->offset, 0, bias->columns * sizeof *values);
    sb_whitening_fold(whitening, values + weight->offset, values + bias->offset, old, old + size, weight->columns);
    free(old);
    return SB_OK;
}

enum sb_status sb_study_whiten(const char *model, const char *texts, struct sb_pool *pool, struct sb_error *error)
{
    struct sb_network *network = NULL;
    struct sb_whitening *whitening = NULL;
    enum sb_status status = sb_network_open(&network, model, NULL, error);
    if (status != SB_OK)
        return status;
    const struct sb_config *config = sb_network_config(network);
    size_t dimensions = (size_t)sb_network_dimensions(network);
    if (config->pooling != SB_POOL_POOLER || config->pooler_activation != SB_LINEAR)
        status = sb_fail(error, SB_UNSUPPORTED, "%s: only a linear pooler can take in a whitening", model);
    if (status == SB_OK)
        status = sb_whitening_new(&whitening, dimensions, error);
    if (status == SB_OK)
        status = add_texts(whitening, texts, network, pool, error);
    if (status == SB_OK)
        status = sb_whitening_solve(whitening, (dimensions + 1) / 2, error);
    if (status == SB_OK)
        status = fold(whitening, network, error);
    if (status == SB_OK)
        status = sb_network_save(network, NULL, SB_F32, model, error);
    sb_whitening_free(whitening);
    sb_network_free(network);
    return status;
}
