/*
 * Dense Synthesizer: a query's logits are predicted from the query's token alone, by a hidden layer of the head's size
 * and a table with a row a position: logits[i, p] = W2[p] relu(W1 x_i + b1) + b2[p], of which the row's keys are taken.
 * Tay et al., "Synthesizer: Rethinking Self-Attention in Transformer Models", 2020.
 */
#include "model/attention/scorers.h"

enum { TABLE, BIAS };

static void dense_logits(const struct sb_scorer_call *call, float *logits)
{
    size_t size = call->plan->value_size, positions = call->plan->positions;
    const float *bias = sb_head_table(call, BIAS, positions);
    float *transposed = call->strips[0];
    call->kernels->transpose(transposed, call->keys, sb_head_table(call, TABLE, positions * size), size, call->keys,
                             size);
    call->kernels->matmul(logits, call->keys, call->query, call->ld_query, transposed, call->keys, call->queries, size,
                          call->keys);
    for (size_t i = 0; i < call->queries; i++)
        call->kernels->add_scaled(logits + i * call->keys, bias, 1, call->keys);
}

static void dense_backward(const struct sb_scorer_call *call, const float *dlogits, float *dquery, float *dkey)
{
    size_t size = call->plan->value_size;
    (void)dkey;
    call->kernels->matmul(dquery, call->ld_query, dlogits, call->keys,
                          sb_head_table(call, TABLE, call->plan->positions * size), size, call->queries, call->keys,
                          size);
}

static void dense_table_gradients(const struct sb_scorer_call *call, const float *dlogits, float *const *dtables)
{
    size_t size = call->plan->value_size, positions = call->plan->positions;
    float *product = call->strips[0];
    call->kernels->transpose(call->square, call->queries, dlogits, call->keys, call->queries, call->keys);
    call->kernels->matmul(product, size, call->square, call->queries, call->query, call->ld_query, call->keys,
                          call->queries, size);
    call->kernels->add_scaled(dtables[TABLE] + call->head * positions * size, product, 1, call->keys * size);
    call->kernels->add_rows(dtables[BIAS] + call->head * positions, dlogits, call->keys, call->queries, call->keys);
}

const struct sb_scorer sb_dense_scorer = {
    .projects_query = true,
    .query_kernel = SB_DENSE_KERNEL,
    .query_bias = SB_DENSE_BIAS,
    .tables = {SB_DENSE_TABLE, SB_DENSE_TABLE_BIAS},
    .table_count = 2,
    .trains_tables = true,
    .prepare = sb_relu_prepare,
    .prepare_backward = sb_relu_prepare_backward,
    .logits = dense_logits,
    .backward = dense_backward,
    .table_gradients = dense_table_gradients,
};
