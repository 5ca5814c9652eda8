#include "training/optimizer_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sb_optimizer_options sb_optimizer_defaults(enum sb_optimizer_kind kind)
{
    struct sb_optimizer_options options = {
        .kind = kind,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-6,
        .weight_decay = 0.01,
        .scale_by_parameter = true,
        .scale_epsilon = 1e-3,
        .clip = 1,
        .min_factored_size = 128,
    };
    if (kind == SB_OPTIMIZER_ADAFACTOR) {
        options.beta1 = options.beta2 = options.weight_decay = 0;
        options.epsilon = 1e-30;
    }
    return options;
}

enum sb_status sb_optimizer_options_named(struct sb_optimizer_options *options, const char *name,
                                          struct sb_error *error)
{
    static const struct {
        const char *name;
        enum sb_optimizer_kind kind;
    } named[] = {
        {"adamw", SB_OPTIMIZER_ADAMW}, {"adam", SB_OPTIMIZER_ADAMW},          {"adam_keras", SB_OPTIMIZER_ADAMW},
        {"lamb", SB_OPTIMIZER_LAMB},   {"adafactor", SB_OPTIMIZER_ADAFACTOR},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (strcmp(named[i].name, name) != 0)
            continue;
        *options = sb_optimizer_defaults(named[i].kind);
        if (strncmp(name, "adam", strlen("adam")) == 0 && strcmp(name, "adamw") != 0)
            options->weight_decay = 0;
        if (strcmp(name, "adam_keras") == 0) {
            options->bias_correction = SB_CORRECTION_KERAS;
            options->epsilon = 1e-7;
        }
        return SB_OK;
    }
    return sb_fail(error, SB_INVALID, "optimizer \"%.60s\" is not known: adamw, adam, adam_keras, lamb, adafactor are",
                   name);
}

static enum sb_status check_options(const struct sb_optimizer_options *o, struct sb_error *error)
{
    if (!(o->beta1 >= 0 && o->beta1 < 1) || !(o->beta2 >= 0 && o->beta2 < 1))
        return sb_fail(error, SB_INVALID, "optimizer: beta1 %g and beta2 %g must be in [0, 1)", o->beta1, o->beta2);
    if (!((float)o->epsilon > 0 && isfinite((float)o->epsilon)))
        return sb_fail(error, SB_INVALID, "optimizer: epsilon %g must be a positive float", o->epsilon);
    if (!(o->weight_decay >= 0 && isfinite(o->weight_decay)))
        return sb_fail(error, SB_INVALID, "optimizer: weight_decay %g must not be negative", o->weight_decay);
    if (o->kind == SB_OPTIMIZER_ADAFACTOR && (!(o->clip >= 0) || !(o->scale_epsilon >= 0)))
        return sb_fail(error, SB_INVALID, "optimizer: clip %g and scale_epsilon %g must not be negative", o->clip,
                       o->scale_epsilon);
    return SB_OK;
}

static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strstr(name, *list))
            return true;
    return false;
}

size_t sb_optimizer_block_rows(const struct sb_parameter *parameter)
{
    size_t rows = SB_BLOCK_FLOATS / parameter->columns;
    return rows ? rows : 1;
}

size_t sb_optimizer_block_count(const struct sb_parameter *parameter)
{
    size_t most = sb_optimizer_block_rows(parameter);
    return parameter->rows / most + (parameter->rows % most != 0);
}

static void cut_into_blocks(struct sb_optimizer *optimizer)
{
    size_t next = 0;
    for (size_t i = 0; i < optimizer->parameters->count; i++) {
        const struct sb_parameter *p = &optimizer->parameters->items[i];
        size_t most = sb_optimizer_block_rows(p);
        optimizer->slots[i].first_block = next;
        for (size_t row = 0; row < p->rows; row += most) {
            size_t rows = p->rows - row < most ? p->rows - row : most;
            optimizer->blocks[next++] = (struct sb_optimizer_block){
                .parameter = i, .offset = p->offset + row * p->columns, .count = rows * p->columns, .row = row};
        }
        optimizer->slots[i].blocks = next - optimizer->slots[i].first_block;
    }
}

static void layout(struct sb_optimizer *optimizer)
{
    const struct sb_parameters *parameters = optimizer->parameters;
    optimizer->block_count = 0;
    for (size_t i = 0; i < parameters->count; i++)
        optimizer->block_count += sb_optimizer_block_count(&parameters->items[i]);
    optimizer->slots = sb_arena_take(&optimizer->arena, parameters->count, sizeof *optimizer->slots);
    optimizer->blocks = sb_arena_take(&optimizer->arena, optimizer->block_count, sizeof *optimizer->blocks);
    if (optimizer->blocks)
        cut_into_blocks(optimizer);
    if (optimizer->options.kind == SB_OPTIMIZER_ADAFACTOR)
        sb_adafactor_layout(optimizer);
    else
        sb_adamw_layout(optimizer);
}

static void apply_exclusions(struct sb_optimizer *optimizer)
{
    const struct sb_optimizer_options *o = &optimizer->options;
    for (size_t i = 0; i < optimizer->parameters->count; i++) {
        const struct sb_parameter *p = &optimizer->parameters->items[i];
        optimizer->slots[i].decays = o->decay_exclusions ? !listed(o->decay_exclusions, p->name) : p->decays;
        optimizer->slots[i].adapts = o->adaptation_exclusions ? !listed(o->adaptation_exclusions, p->name) : p->decays;
    }
}

enum sb_status sb_optimizer_new(struct sb_optimizer **result, const struct sb_optimizer_options *options,
                                const struct sb_parameters *parameters, struct sb_pool *pool, struct sb_error *error)
{
    *result = NULL;
    enum sb_status status = check_options(options, error);
    if (status != SB_OK)
        return status;
    struct sb_optimizer *optimizer = calloc(1, sizeof *optimizer);
    if (!optimizer)
        return sb_fail(error, SB_NO_MEMORY, "optimizer: no memory");
    optimizer->options = *options;
    optimizer->parameters = parameters;
    optimizer->pool = pool;
    layout(optimizer);
    if (!sb_arena_commit(&optimizer->arena)) {
        size_t bytes = optimizer->arena.size;
        sb_optimizer_free(optimizer);
        return sb_fail(error, SB_NO_MEMORY,
                       "optimizer: no memory for its state of %zu bytes; adafactor needs the least", bytes);
    }
    layout(optimizer);
    apply_exclusions(optimizer);
    optimizer->options.decay_exclusions = optimizer->options.adaptation_exclusions = NULL; /* the caller's */
    *result = optimizer;
    return SB_OK;
}

void sb_optimizer_free(struct sb_optimizer *optimizer)
{
    if (!optimizer)
        return;
    sb_arena_free(&optimizer->arena);
    free(optimizer);
}

float *sb_optimizer_take_state(struct sb_optimizer *optimizer, const char *name, size_t count)
{
    if (count == 0)
        return NULL;
    float *values = sb_arena_take(&optimizer->arena, count, sizeof *values);
    if (values)
        optimizer->arrays[optimizer->array_count++] = (struct sb_state_array){name, values, count};
    return values;
}

void sb_optimizer_each_block(struct sb_optimizer *optimizer, void (*body)(void *context, size_t block, int worker))
{
    sb_pool_run(optimizer->pool, optimizer->block_count, body, optimizer);
}

void sb_optimizer_each_parameter(struct sb_optimizer *optimizer,
                                 void (*body)(void *context, size_t parameter, int worker))
{
    sb_pool_run(optimizer->pool, optimizer->parameters->count, body, optimizer);
}

double sb_optimizer_sum(const struct sb_optimizer *optimizer, size_t parameter, int which)
{
    const struct sb_optimizer_slot *slot = &optimizer->slots[parameter];
    double sum = 0;
    for (size_t i = 0; i < slot->blocks; i++)
        sum += optimizer->blocks[slot->first_block + i].sums[which];
    return sum;
}

void sb_optimizer_step(struct sb_optimizer *optimizer, float *values, const float *gradients, double learning_rate)
{
    optimizer->steps++;
    optimizer->values = values;
    optimizer->gradients = gradients;
    optimizer->rate = learning_rate;
    switch (optimizer->options.kind) {
    case SB_OPTIMIZER_ADAMW: sb_adamw_step(optimizer); break;
    case SB_OPTIMIZER_LAMB: sb_lamb_step(optimizer); break;
    case SB_OPTIMIZER_ADAFACTOR: sb_adafactor_step(optimizer); break;
    }
}

size_t sb_optimizer_bytes(const struct sb_optimizer *optimizer)
{
    return sizeof *optimizer + optimizer->arena.size;
}

size_t sb_optimizer_state(const struct sb_optimizer *optimizer, const struct sb_state_array **arrays)
{
    *arrays = optimizer->arrays;
    return optimizer->array_count;
}

uint64_t sb_optimizer_steps(const struct sb_optimizer *optimizer)
{
    return optimizer->steps;
}

void sb_optimizer_set_steps(struct sb_optimizer *optimizer, uint64_t steps)
{
    optimizer->steps = steps;
}
