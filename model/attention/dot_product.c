/*
 * Dot products of queries and keys: Vaswani et al., "Attention is all you need", 2017. The rank of the logits is at
 * most the key size, which may be chosen apart from the head size.
 */
#include "model/attention/scorers.h"

void sb_dot_product_logits(const struct sb_scorer_call *call, float *logits)
{
    size_t size = call->plan->key_size;
    float *transposed = call->strips[0];
    call->kernels->transpose(transposed, call->keys, call->key, call->ld_key, call->keys, size);
    call->kernels->matmul(logits, call->keys, call->query, call->ld_query, transposed, call->keys, call->queries, size,
                          call->keys);
}

void sb_dot_product_backward(const struct sb_scorer_call *call, const float *dlogits, float *dquery, float *dkey)
{
    size_t size = call->plan->key_size;
    call->kernels->matmul(dquery, call->ld_query, dlogits, call->keys, call->key, call->ld_key, call->queries,
                          call->keys, size);
    call->kernels->transpose(call->square, call->queries, dlogits, call->keys, call->queries, call->keys);
    call->kernels->matmul(dkey, call->ld_key, call->square, call->queries, call->query, call->ld_query, call->keys,
                          call->queries, size);
}

const struct sb_scorer sb_vanilla_scorer = {
    .projects_query = true,
    .projects_key = true,
    .is_dot_product = true,
    .query_kernel = SB_QUERY_KERNEL,
    .query_bias = SB_QUERY_BIAS,
    .key_kernel = SB_KEY_KERNEL,
    .key_bias = SB_KEY_BIAS,
    .logits = sb_dot_product_logits,
    .backward = sb_dot_product_backward,
};
