/*
 * Which parts a model's attention has, and where their columns lie in a token's features.
 */
#include "model/attention/scorers.h"

#include <math.h>
#include <stdlib.h>

/* The one table of parts. */
static const struct sb_scorer *const scorers[SB_ATTENTION_PARTS] = {
    [SB_PART_VANILLA] = &sb_vanilla_scorer,
    [SB_PART_ROTARY] = &sb_rotary_scorer,
    [SB_PART_DENSE] = &sb_dense_scorer,
    [SB_PART_RANDOM] = &sb_random_scorer,
    [SB_PART_FIXED_RANDOM] = &sb_fixed_random_scorer,
    [SB_PART_FACTORISED_DENSE] = &sb_factorised_dense_scorer,
    [SB_PART_FACTORISED_RANDOM] = &sb_factorised_random_scorer,
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Dot products have the key size; what predicts logits from the query alone has a hidden layer of the head's. */
static void add_part(struct sb_attention_plan *plan, const struct sb_scorer *scorer)
{
    size_t size = scorer->is_dot_product ? plan->key_size : plan->value_size;
    int i = plan->part_count++;
    plan->parts[i].scorer = scorer;
    plan->parts[i].scale = scorer->is_dot_product ? 1.0f / sqrtf((float)plan->key_size) : 1.0f;
    if (scorer->projects_query) {
        plan->parts[i].query = (struct sb_columns){plan->query_width, size};
        plan->query_width += plan->heads * size;
    }
    if (scorer->projects_key) {
        plan->parts[i].key = (struct sb_columns){plan->key_width, size};
        plan->key_width += plan->heads * size;
    }
    plan->has_trained_tables = plan->has_trained_tables || scorer->trains_tables;
}

enum sb_status sb_attention_plan_init(struct sb_attention_plan *plan, const struct sb_config *config,
                                      struct sb_error *error)
{
    const struct sb_attention_config *a = &config->attention;
    *plan = (struct sb_attention_plan){
        .heads = (size_t)config->num_attention_heads,
        .key_size = (size_t)config->attention_key_size,
        .value_size = (size_t)config->attention_head_size,
        .positions = (size_t)config->max_position_embeddings,
        .factor_a = (size_t)a->factor_a,
        .factor_b = (size_t)a->factor_b,
        .factor_rank = (size_t)a->factor_rank,
        .talking_heads = a->talking_heads,
    };
    for (int i = 0; i < a->part_count; i++)
        add_part(plan, scorers[a->parts[i]]);
    plan->value_width = plan->heads * plan->value_size;
    plan->is_fused = plan->part_count == 1 && plan->parts[0].scorer->is_dot_product && !plan->talking_heads;
    plan->heads_at_once = plan->talking_heads ? plan->heads : 1;
    if (!sb_attention_has(a, SB_PART_ROTARY))
        return SB_OK;
    plan->rotation = calloc(plan->positions * plan->key_size, sizeof *plan->rotation);
    if (!plan->rotation)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the rotations of %zu positions", plan->positions);
    sb_rotary_fill(plan);
    return SB_OK;
}

void sb_attention_plan_free(struct sb_attention_plan *plan)
{
    free(plan->rotation);
    plan->rotation = NULL;
}

int sb_attention_query_side(const struct sb_attention_plan *plan, struct sb_projection list[SB_MAX_PROJECTIONS])
{
    int count = 0;
    for (int i = 0; i < plan->part_count; i++)
        if (plan->parts[i].scorer->projects_query)
            list[count++] =
                (struct sb_projection){plan->parts[i].scorer->query_kernel, plan->parts[i].scorer->query_bias};
    return count;
}

int sb_attention_key_side(const struct sb_attention_plan *plan, struct sb_projection list[SB_MAX_PROJECTIONS])
{
    int count = 0;
    for (int i = 0; i < plan->part_count; i++)
        if (plan->parts[i].scorer->projects_key)
            list[count++] = (struct sb_projection){plan->parts[i].scorer->key_kernel, plan->parts[i].scorer->key_bias};
    list[count++] = (struct sb_projection){SB_VALUE_KERNEL, SB_VALUE_BIAS};
    return count;
}

int sb_attention_table_roles(const struct sb_attention_plan *plan, enum sb_param_role roles[SB_MAX_ATTENTION_TABLES])
{
    int count = 0;
    for (int i = 0; i < plan->part_count; i++)
        for (int t = 0; t < plan->parts[i].scorer->table_count; t++)
            roles[count++] = plan->parts[i].scorer->tables[t];
    if (plan->part_count > 1)
        roles[count++] = SB_MIXTURE;
    if (plan->talking_heads) {
        roles[count++] = SB_TALKING_LOGITS;
        roles[count++] = SB_TALKING_WEIGHTS;
    }
    return count;
}

void sb_attention_find_tables(struct sb_attention_tables *tables, const struct sb_attention_plan *plan,
                              float *(*place)(void *context, enum sb_param_role role), void *context)
{
    *tables = (struct sb_attention_tables){0};
    for (int i = 0; i < plan->part_count; i++)
        for (int t = 0; t < plan->parts[i].scorer->table_count; t++)
            tables->of[i][t] = place(context, plan->parts[i].scorer->tables[t]);
    if (plan->part_count > 1)
        tables->mixture = place(context, SB_MIXTURE);
    if (plan->talking_heads) {
        tables->talking_logits = place(context, SB_TALKING_LOGITS);
        tables->talking_weights = place(context, SB_TALKING_WEIGHTS);
    }
}

void sb_attention_prepare_query(const struct sb_attention_plan *plan, float *query, size_t position)
{
    for (int i = 0; i < plan->part_count; i++)
        if (plan->parts[i].scorer->prepare && plan->parts[i].scorer->projects_query)
            plan->parts[i].scorer->prepare(plan, query + plan->parts[i].query.first, position);
}

void sb_attention_prepare_key(const struct sb_attention_plan *plan, float *key, size_t position)
{
    for (int i = 0; i < plan->part_count; i++)
        if (plan->parts[i].scorer->prepare && plan->parts[i].scorer->projects_key)
            plan->parts[i].scorer->prepare(plan, key + plan->parts[i].key.first, position);
}

void sb_attention_prepare_backward(const struct sb_attention_plan *plan, float *dquery, const float *query, float *dkey,
                                   const float *key, size_t position)
{
    for (int i = 0; i < plan->part_count; i++) {
        const struct sb_scorer *scorer = plan->parts[i].scorer;
        size_t q = plan->parts[i].query.first, k = plan->parts[i].key.first;
        if (scorer->prepare_backward && scorer->projects_query)
            scorer->prepare_backward(plan, dquery + q, query + q, position);
        if (scorer->prepare_backward && scorer->projects_key)
            scorer->prepare_backward(plan, dkey + k, key + k, position);
    }
}

size_t sb_scorer_strip(const struct sb_attention_plan *plan)
{
    size_t widest = larger(larger(plan->key_size, plan->value_size),
                           larger(larger(plan->factor_a, plan->factor_b), plan->factor_rank));
    return larger(plan->positions, plan->value_size) * widest;
}
