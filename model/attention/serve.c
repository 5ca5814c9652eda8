/*
 * Attention as the session runs it: by the fused kernel where there is nothing but dot products, else part by part.
 */
#include "model/attention/attention.h"

#include <string.h>

size_t sb_attend_serve_scratch(const struct sb_attention_plan *plan)
{
    if (plan->is_fused)
        return sb_attention_scratch(plan->positions, plan->key_size, plan->value_size);
    return sb_attend_scratch(plan) + plan->positions * (plan->key_width + plan->value_width);
}

void sb_attend_span(const struct sb_attending *a, void (*fused)(const struct sb_attention *), float *out, size_t ld_out)
{
    const struct sb_attention_plan *plan = a->plan;
    if (!plan->is_fused) {
        sb_attend(a, out, ld_out);
        return;
    }
    fused(&(struct sb_attention){
        .q = a->query,
        .k = a->key,
        .v = a->value,
        .out = out,
        .ld_q = a->ld_query,
        .ld_k = a->ld_key,
        .ld_v = a->ld_value,
        .ld_out = ld_out,
        .queries = a->queries,
        .keys = a->keys,
        .heads = plan->heads,
        .key_size = plan->key_size,
        .value_size = plan->value_size,
        .visible = a->visible,
        .scratch = a->scratch,
    });
}

/* Keys and values that lie anywhere are put together, behind the scratch of sb_attend. */
static void gather_and_attend(const struct sb_attending_step *s, float *out)
{
    const struct sb_attention_plan *plan = s->plan;
    size_t width = plan->key_width + plan->value_width;
    float *rows = s->scratch + sb_attend_scratch(plan);
    int position = (int)s->position, visible = (int)s->count;
    for (size_t i = 0; i < s->count; i++)
        memcpy(rows + i * width, s->keys[i], width * sizeof *rows);
    sb_attend(
        &(struct sb_attending){
            .plan = plan,
            .tables = s->tables,
            .kernels = s->kernels,
            .query = s->query,
            .key = rows,
            .value = rows + plan->key_width,
            .ld_query = plan->query_width,
            .ld_key = width,
            .ld_value = width,
            .queries = 1,
            .keys = s->count,
            .positions = &position,
            .visible = &visible,
            .scratch = s->scratch,
        },
        out, plan->value_width);
}

void sb_attend_step(const struct sb_attending_step *s, float *out)
{
    const struct sb_attention_plan *plan = s->plan;
    if (!plan->is_fused) {
        gather_and_attend(s, out);
        return;
    }
    for (size_t i = 0; i < s->count; i++)
        s->values[i] = s->keys[i] + plan->key_width;
    s->kernels->attention_step(&(struct sb_attention_step){
        .q = s->query,
        .keys = s->keys,
        .values = s->values,
        .out = out,
        .count = s->count,
        .heads = plan->heads,
        .key_size = plan->key_size,
        .value_size = plan->value_size,
        .scratch = s->scratch,
    });
}
