#include "training/optimizer_impl.h"
#include "training/sums_impl.h"

#include <math.h>

/* m, v[n] take in g[n]. */
static void update_moments(float *restrict m, float *restrict v, const float *restrict g, size_t n,
                           const struct sb_adam_factors *factors)
{
    const struct sb_adam_factors f = *factors;
    for (size_t i = 0; i < n; i++) {
        m[i] = f.beta1 * m[i] + f.one_less_beta1 * g[i];
        v[i] = f.beta2 * v[i] + f.one_less_beta2 * (g[i] * g[i]);
    }
}

/* u[n] = m' / (sqrt(v') + epsilon) + decay w */
static void direction(float *restrict u, const float *restrict w, const float *restrict m, const float *restrict v,
                      size_t n, const struct sb_adam_factors *factors, float decay)
{
    const struct sb_adam_factors f = *factors;
    for (size_t i = 0; i < n; i++)
        u[i] = f.scale * m[i] / (sqrtf(v[i]) * f.root + f.epsilon) + decay * w[i];
}

static float decay_of(const struct sb_optimizer *optimizer, const struct sb_optimizer_block *block)
{
    return optimizer->slots[block->parameter].decays ? (float)optimizer->options.weight_decay : 0;
}

static size_t tile_end(size_t start, size_t end)
{
    return end - start < SB_TILE_FLOATS ? end : start + SB_TILE_FLOATS;
}

/* First pass: the moments, and what |w|^2 and |u|^2 need from this block. */
static void measure_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    struct sb_optimizer_block *block = &optimizer->blocks[index];
    float *m = optimizer->m, *v = optimizer->v, u[SB_TILE_FLOATS];
    const float *w = optimizer->values;
    block->sums[0] = block->sums[1] = 0;
    for (size_t i = block->offset, end = i + block->count, next; i < end; i = next) {
        next = tile_end(i, end);
        update_moments(m + i, v + i, optimizer->gradients + i, next - i, optimizer->adam);
        direction(u, w + i, m + i, v + i, next - i, optimizer->adam, decay_of(optimizer, block));
        block->sums[0] += sb_sum_squares(w + i, next - i);
        block->sums[1] += sb_sum_squares(u, next - i);
    }
}

static void find_ratio(void *context, size_t parameter, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    struct sb_optimizer_slot *slot = &optimizer->slots[parameter];
    double w = sqrt(sb_optimizer_sum(optimizer, parameter, 0)), u = sqrt(sb_optimizer_sum(optimizer, parameter, 1));
    slot->scale = optimizer->rate * (slot->adapts && w > 0 && u > 0 ? w / u : 1);
}

/* Second pass: u again, now with the ratio. */
static void update_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    const struct sb_optimizer_block *block = &optimizer->blocks[index];
    float u[SB_TILE_FLOATS], *w = optimizer->values, scale = (float)optimizer->slots[block->parameter].scale;
    for (size_t i = block->offset, end = i + block->count, next; i < end; i = next) {
        next = tile_end(i, end);
        direction(u, w + i, optimizer->m + i, optimizer->v + i, next - i, optimizer->adam, decay_of(optimizer, block));
        for (size_t j = 0; j < next - i; j++)
            w[i + j] -= scale * u[j];
    }
}

void sb_lamb_step(struct sb_optimizer *optimizer)
{
    struct sb_adam_factors factors = sb_adam_factors(optimizer);
    optimizer->adam = &factors;
    sb_optimizer_each_block(optimizer, measure_block);
    sb_optimizer_each_parameter(optimizer, find_ratio);
    sb_optimizer_each_block(optimizer, update_block);
    optimizer->adam = NULL;
}
