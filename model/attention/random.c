/*
 * Random Synthesizer: logits that depend on the two positions alone, from a table that is trained, or left as it was
 * drawn. Tay et al., "Synthesizer: Rethinking Self-Attention in Transformer Models", 2020.
 */
#include "model/attention/scorers.h"

#include <string.h>

static size_t row_of(const struct sb_scorer_call *call, size_t query)
{
    size_t positions = call->plan->positions;
    return (call->head * positions + (size_t)call->positions[query]) * positions;
}

static void random_logits(const struct sb_scorer_call *call, float *logits)
{
    for (size_t i = 0; i < call->queries; i++)
        memcpy(logits + i * call->keys, call->tables[0] + row_of(call, i), call->keys * sizeof *logits);
}

static void random_table_gradients(const struct sb_scorer_call *call, const float *dlogits, float *const *dtables)
{
    for (size_t i = 0; i < call->queries; i++)
        call->kernels->add_scaled(dtables[0] + row_of(call, i), dlogits + i * call->keys, 1, call->keys);
}

const struct sb_scorer sb_random_scorer = {
    .tables = {SB_RANDOM},
    .table_count = 1,
    .trains_tables = true,
    .logits = random_logits,
    .table_gradients = random_table_gradients,
};

const struct sb_scorer sb_fixed_random_scorer = {
    .tables = {SB_FIXED_RANDOM},
    .table_count = 1,
    .logits = random_logits,
};
