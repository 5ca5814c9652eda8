/*
 * Attention forward, in blocks of queries, so that the logits stay small and near.
 */
#include "model/attention/scorers.h"

enum { QUERY_BLOCK = 64 };

/* Matrices of a block: those that there are, one behind the other. */
struct block {
    float *logits, *mixed; /* [heads_at_once, QUERY_BLOCK, positions]; mixed: talking heads only */
    float *spare;          /* [QUERY_BLOCK, positions], several parts only */
    float *strips;
};

static size_t block_floats(const struct sb_attention_plan *plan)
{
    return (plan->positions < QUERY_BLOCK ? plan->positions : QUERY_BLOCK) * plan->positions;
}

size_t sb_attend_scratch(const struct sb_attention_plan *plan)
{
    size_t matrices = plan->heads_at_once * (plan->talking_heads ? 2 : 1) + (plan->part_count > 1);
    return matrices * block_floats(plan) + SB_SCORER_STRIPS * sb_scorer_strip(plan);
}

static struct block carve(const struct sb_attending *a)
{
    const struct sb_attention_plan *plan = a->plan;
    size_t square = block_floats(plan);
    struct block b = {.logits = a->scratch};
    float *rest = a->scratch + plan->heads_at_once * square;
    b.mixed = b.logits;
    if (plan->talking_heads) {
        b.mixed = rest;
        rest += plan->heads_at_once * square;
    }
    b.spare = rest;
    b.strips = rest + (plan->part_count > 1 ? square : 0);
    return b;
}

/* The weights of heads [first, first + heads_at_once), one behind the other in b->logits. */
static void block_weights(const struct sb_attending *a, const struct sb_part_weights *weights, const struct block *b,
                          size_t first_head, size_t first_query, size_t queries)
{
    const struct sb_attention_plan *plan = a->plan;
    size_t n = queries * a->keys;
    for (size_t h = 0; h < plan->heads_at_once; h++)
        sb_head_logits(a, weights, first_head + h, first_query, queries, b->logits + h * n, b->spare, b->strips);
    if (plan->talking_heads)
        sb_mix_heads(plan, a->kernels->training, b->mixed, a->tables->talking_logits, b->logits, n);
    for (size_t h = 0; h < plan->heads_at_once; h++)
        sb_head_softmax(a, weights, first_query, queries, b->mixed + h * n);
    if (plan->talking_heads)
        sb_mix_heads(plan, a->kernels->training, b->logits, a->tables->talking_weights, b->mixed, n);
}

void sb_attend(const struct sb_attending *a, float *out, size_t ld_out)
{
    const struct sb_attention_plan *plan = a->plan;
    struct block b = carve(a);
    struct sb_part_weights weights;
    sb_part_weights(&weights, a);
    for (size_t first = 0; first < a->queries; first += QUERY_BLOCK) {
        size_t queries = a->queries - first < QUERY_BLOCK ? a->queries - first : QUERY_BLOCK, n = queries * a->keys;
        for (size_t head = 0; head < plan->heads; head++) {
            size_t within = head % plan->heads_at_once, column = head * plan->value_size;
            if (within == 0)
                block_weights(a, &weights, &b, head, first, queries);
            float *w = b.logits + within * n;
            if (a->drop)
                a->drop(a->drop_context, head, first, queries, w);
            a->kernels->training->matmul(out + first * ld_out + column, ld_out, w, a->keys, a->value + column,
                                         a->ld_value, queries, a->keys, plan->value_size);
        }
    }
}
