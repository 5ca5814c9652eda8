#include "training/optimizer_impl.h"

#include <math.h>

void sb_adamw_layout(struct sb_optimizer *optimizer)
{
    optimizer->m = sb_optimizer_take_state(optimizer, "adam.m", optimizer->parameters->size);
    optimizer->v = sb_optimizer_take_state(optimizer, "adam.v", optimizer->parameters->size);
}

struct sb_adam_factors sb_adam_factors(const struct sb_optimizer *optimizer)
{
    const struct sb_optimizer_options *o = &optimizer->options;
    double t = (double)optimizer->steps, c1 = 1 - pow(o->beta1, t), c2 = 1 - pow(o->beta2, t), scale = 1, root = 1;
    switch (o->bias_correction) {
    case SB_CORRECTION_FULL:
        scale = 1 / c1;
        root = 1 / sqrt(c2);
        break;
    case SB_CORRECTION_NONE: break;
    case SB_CORRECTION_KERAS: scale = sqrt(c2) / c1; break;
    }
    return (struct sb_adam_factors){
        .beta1 = (float)o->beta1,
        .one_less_beta1 = (float)(1 - o->beta1),
        .beta2 = (float)o->beta2,
        .one_less_beta2 = (float)(1 - o->beta2),
        .scale = (float)scale,
        .root = (float)root,
        .epsilon = (float)o->epsilon,
    };
}

/* One pass over w, g, m, v[n]. scale and decay include the learning rate. */
static void update(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, size_t n,
                   const struct sb_adam_factors *factors, float scale, float decay)
{
    const struct sb_adam_factors f = *factors;
    for (size_t i = 0; i < n; i++) {
        float m1 = f.beta1 * m[i] + f.one_less_beta1 * g[i];
        float v1 = f.beta2 * v[i] + f.one_less_beta2 * (g[i] * g[i]);
        m[i] = m1;
        v[i] = v1;
        w[i] -= scale * m1 / (sqrtf(v1) * f.root + f.epsilon) + decay * w[i];
    }
}

static void step_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    const struct sb_optimizer_block *block = &optimizer->blocks[index];
    size_t at = block->offset;
    double decay = optimizer->slots[block->parameter].decays ? optimizer->options.weight_decay : 0;
    update(optimizer->values + at, optimizer->gradients + at, optimizer->m + at, optimizer->v + at, block->count,
           optimizer->adam, (float)(optimizer->rate * (double)optimizer->adam->scale),
           (float)(optimizer->rate * decay));
}

void sb_adamw_step(struct sb_optimizer *optimizer)
{
    struct sb_adam_factors factors = sb_adam_factors(optimizer);
    optimizer->adam = &factors;
    sb_optimizer_each_block(optimizer, step_block);
    optimizer->adam = NULL;
}
