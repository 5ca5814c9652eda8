/*
 * Dot products of queries and keys that are turned by their position: Su et al., "RoFormer: Enhanced Transformer with
 * Rotary Position Embedding", 2021. Pair (2i, 2i + 1) of a head turns by position * 10000^(-2i / key_size), so a
 * product depends on the distance of its two positions.
 */
#include "model/attention/scorers.h"

#include <math.h>

void sb_rotary_fill(struct sb_attention_plan *plan)
{
    for (size_t position = 0; position < plan->positions; position++) {
        float *row = plan->rotation + position * plan->key_size;
        for (size_t i = 0; i + 1 < plan->key_size; i += 2) {
            double angle = (double)position * pow(10000.0, -(double)i / (double)plan->key_size);
            row[i] = (float)cos(angle);
            row[i + 1] = (float)sin(angle);
        }
    }
}

/* direction: 1 turns, -1 turns back. */
static void turn(const struct sb_attention_plan *plan, float *columns, size_t position, float direction)
{
    const float *rotation = plan->rotation + position * plan->key_size;
    for (size_t head = 0; head < plan->heads; head++, columns += plan->key_size) {
        for (size_t i = 0; i + 1 < plan->key_size; i += 2) {
            float c = rotation[i], s = direction * rotation[i + 1], x = columns[i], y = columns[i + 1];
            columns[i] = x * c - y * s;
            columns[i + 1] = y * c + x * s;
        }
    }
}

static void rotary_prepare(const struct sb_attention_plan *plan, float *columns, size_t position)
{
    turn(plan, columns, position, 1);
}

/* The transpose of a rotation turns back. */
static void rotary_prepare_backward(const struct sb_attention_plan *plan, float *dcolumns, const float *columns,
                                    size_t position)
{
    (void)columns;
    turn(plan, dcolumns, position, -1);
}

const struct sb_scorer sb_rotary_scorer = {
    .projects_query = true,
    .projects_key = true,
    .is_dot_product = true,
    .query_kernel = SB_QUERY_KERNEL,
    .query_bias = SB_QUERY_BIAS,
    .key_kernel = SB_KEY_KERNEL,
    .key_bias = SB_KEY_BIAS,
    .prepare = rotary_prepare,
    .prepare_backward = rotary_prepare_backward,
    .logits = sb_dot_product_logits,
    .backward = sb_dot_product_backward,
};
