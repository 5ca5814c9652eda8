/*
 * Inside the optimizers. A step is a few passes over blocks: fixed groups of rows of one parameter, which threads
 * share in any order. What has to be summed over a parameter is summed within blocks, then over its blocks in their
 * order.
 */
#ifndef SB_TRAINING_OPTIMIZER_IMPL_H
#define SB_TRAINING_OPTIMIZER_IMPL_H

#include "base/arena.h"
#include "training/optimizer.h"

enum {
    SB_BLOCK_FLOATS = 65536, /* w, g, m, v of a block take 1 MiB */
    SB_TILE_FLOATS = 512,    /* what a pass computes at a time on its stack */
    SB_MAX_STATE_ARRAYS = 4
};

struct sb_optimizer_block {
    size_t parameter;     /* index into parameters->items */
    size_t offset, count; /* in the flat array; whole rows */
    size_t row;           /* the first of them in the parameter */
    double sums[2];       /* left by a pass for the one after it */
    float *column_sums;   /* AdaFactor, factored: [columns] of g^2 over the block's rows */
};

/* One for each parameter. */
struct sb_optimizer_slot {
    bool decays, adapts;
    bool factored; /* AdaFactor */
    size_t first_block, blocks;
    float *rows, *columns, *v; /* AdaFactor's state of this parameter, within the arrays below */
    double row_mean;           /* AdaFactor: mean(r) */
    double scale;              /* of the update, found between passes */
    double clip;               /* AdaFactor: of u, as scale */
};

struct sb_optimizer {
    struct sb_optimizer_options options;
    const struct sb_parameters *parameters;
    struct sb_pool *pool;
    struct sb_arena arena;
    struct sb_optimizer_slot *slots;   /* [parameters->count] */
    struct sb_optimizer_block *blocks; /* [block_count] */
    size_t block_count;
    struct sb_state_array arrays[SB_MAX_STATE_ARRAYS];
    size_t array_count;
    float *m, *v; /* [parameters->size]; AdaFactor: m with beta1 only, v never */
    uint64_t steps;
    /* The step in progress. */
    float *values;
    const float *gradients;
    double rate;
    const struct sb_adam_factors *adam;
    double beta2; /* AdaFactor: of this step */
};

/* Takes `count` floats of state from the arena; they appear under this name in the list. NULL while measuring,
   or for 0. */
float *sb_optimizer_take_state(struct sb_optimizer *optimizer, const char *name, size_t count);

/* How the rows of a parameter are cut: so many a block, the last may have fewer. */
size_t sb_optimizer_block_rows(const struct sb_parameter *parameter);
size_t sb_optimizer_block_count(const struct sb_parameter *parameter);

/* body for every block, and for every parameter; they get the optimizer as context. */
void sb_optimizer_each_block(struct sb_optimizer *optimizer, void (*body)(void *context, size_t block, int worker));
void sb_optimizer_each_parameter(struct sb_optimizer *optimizer,
                                 void (*body)(void *context, size_t parameter, int worker));

/* sums[which] of a parameter's blocks, in their order. */
double sb_optimizer_sum(const struct sb_optimizer *optimizer, size_t parameter, int which);

/* What is the same for all weights in a step of AdamW or LAMB: the moment's part of the update is
   scale * m / (sqrt(v) * root + epsilon). */
struct sb_adam_factors {
    float beta1, one_less_beta1, beta2, one_less_beta2;
    float scale, root, epsilon;
};
struct sb_adam_factors sb_adam_factors(const struct sb_optimizer *optimizer);

/* The kinds. layout takes state and scratch from the arena, once measuring and once for good; step is one step, with
   the fields above set. */
void sb_adamw_layout(struct sb_optimizer *optimizer);
void sb_adamw_step(struct sb_optimizer *optimizer);
void sb_lamb_step(struct sb_optimizer *optimizer);
void sb_adafactor_layout(struct sb_optimizer *optimizer);
void sb_adafactor_step(struct sb_optimizer *optimizer);

#endif
