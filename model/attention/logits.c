/*
 * A head's logits: the parts' sum, and the softmax over the keys that a query sees.
 */
#include "model/attention/scorers.h"

#include <math.h>
#include <string.h>

/* share = softmax(mixture) */
static void find_shares(float *share, const float *mixture, int count)
{
    float largest = mixture[0], total = 0;
    for (int i = 1; i < count; i++)
        largest = mixture[i] > largest ? mixture[i] : largest;
    for (int i = 0; i < count; i++) {
        share[i] = expf(mixture[i] - largest);
        total += share[i];
    }
    for (int i = 0; i < count; i++)
        share[i] /= total;
}

void sb_part_weights(struct sb_part_weights *weights, const struct sb_attending *a)
{
    const struct sb_attention_plan *plan = a->plan;
    bool softmax_scales = plan->part_count == 1 && !plan->talking_heads;
    weights->softmax_scale = softmax_scales ? plan->parts[0].scale : 1;
    weights->share[0] = 1;
    if (plan->part_count > 1)
        find_shares(weights->share, a->tables->mixture, plan->part_count);
    for (int i = 0; i < plan->part_count; i++)
        weights->of[i] = softmax_scales ? 1 : weights->share[i] * plan->parts[i].scale;
}

struct sb_scorer_call sb_scorer_call_of(const struct sb_attending *a, int part, size_t head, size_t first_query,
                                        size_t queries, float *strips)
{
    const struct sb_attention_plan *plan = a->plan;
    const struct sb_columns *q = &plan->parts[part].query, *k = &plan->parts[part].key;
    size_t strip = sb_scorer_strip(plan);
    struct sb_scorer_call call = {
        .plan = plan,
        .kernels = a->kernels->training,
        .tables = a->tables->of[part],
        .query = plan->parts[part].scorer->projects_query
                     ? a->query + first_query * a->ld_query + q->first + head * q->size
                     : NULL,
        .key = plan->parts[part].scorer->projects_key ? a->key + k->first + head * k->size : NULL,
        .ld_query = a->ld_query,
        .ld_key = a->ld_key,
        .positions = a->positions + first_query,
        .queries = queries,
        .keys = a->keys,
        .head = head,
    };
    for (int i = 0; i < SB_SCORER_STRIPS; i++)
        call.strips[i] = strips + (size_t)i * strip;
    return call;
}

void sb_head_logits(const struct sb_attending *a, const struct sb_part_weights *weights, size_t head,
                    size_t first_query, size_t queries, float *logits, float *spare, float *strips)
{
    const struct sb_attention_plan *plan = a->plan;
    size_t n = queries * a->keys;
    for (int i = 0; i < plan->part_count; i++) {
        struct sb_scorer_call call = sb_scorer_call_of(a, i, head, first_query, queries, strips);
        plan->parts[i].scorer->logits(&call, i == 0 ? logits : spare);
        if (i > 0)
            a->kernels->training->add_scaled(logits, spare, weights->of[i], n);
        else
            for (size_t j = 0; weights->of[0] != 1 && j < n; j++)
                logits[j] *= weights->of[0];
    }
}

void sb_head_softmax(const struct sb_attending *a, const struct sb_part_weights *weights, size_t first_query,
                     size_t queries, float *logits)
{
    for (size_t i = 0; i < queries; i++, logits += a->keys) {
        size_t seen = (size_t)a->visible[first_query + i];
        a->kernels->training->softmax(logits, seen, weights->softmax_scale);
        memset(logits + seen, 0, (a->keys - seen) * sizeof *logits);
    }
}
