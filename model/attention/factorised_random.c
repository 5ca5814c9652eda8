/*
 * Random Synthesizer whose table is a product of two thin ones: logits[i, j] = R1[i] . R2[j], of rank factor_rank.
 * Tay et al., "Synthesizer: Rethinking Self-Attention in Transformer Models", 2020.
 */
#include "model/attention/scorers.h"

#include <string.h>

enum { FIRST, SECOND };

static size_t head_floats(const struct sb_scorer_call *call)
{
    return call->plan->positions * call->plan->factor_rank;
}

/* The rows of R1 at the queries' positions, [queries, rank]. */
static void gather(const struct sb_scorer_call *call, float *rows)
{
    size_t rank = call->plan->factor_rank;
    const float *first = sb_head_table(call, FIRST, head_floats(call));
    for (size_t i = 0; i < call->queries; i++)
        memcpy(rows + i * rank, first + (size_t)call->positions[i] * rank, rank * sizeof *rows);
}

static void factorised_random_logits(const struct sb_scorer_call *call, float *logits)
{
    size_t rank = call->plan->factor_rank;
    float *rows = call->strips[0], *transposed = call->strips[1];
    gather(call, rows);
    call->kernels->transpose(transposed, call->keys, sb_head_table(call, SECOND, head_floats(call)), rank, call->keys,
                             rank);
    call->kernels->matmul(logits, call->keys, rows, rank, transposed, call->keys, call->queries, rank, call->keys);
}

static void factorised_random_table_gradients(const struct sb_scorer_call *call, const float *dlogits,
                                              float *const *dtables)
{
    size_t rank = call->plan->factor_rank;
    float *rows = call->strips[0], *product = call->strips[1];
    float *dfirst = dtables[FIRST] + call->head * head_floats(call);
    call->kernels->matmul(product, rank, dlogits, call->keys, sb_head_table(call, SECOND, head_floats(call)), rank,
                          call->queries, call->keys, rank);
    for (size_t i = 0; i < call->queries; i++)
        call->kernels->add_scaled(dfirst + (size_t)call->positions[i] * rank, product + i * rank, 1, rank);
    gather(call, rows);
    call->kernels->transpose(call->square, call->queries, dlogits, call->keys, call->queries, call->keys);
    call->kernels->matmul(product, rank, call->square, call->queries, rows, rank, call->keys, call->queries, rank);
    call->kernels->add_scaled(dtables[SECOND] + call->head * head_floats(call), product, 1, call->keys * rank);
}

const struct sb_scorer sb_factorised_random_scorer = {
    .tables = {SB_RANDOM_1, SB_RANDOM_2},
    .table_count = 2,
    .trains_tables = true,
    .logits = factorised_random_logits,
    .table_gradients = factorised_random_table_gradients,
};
