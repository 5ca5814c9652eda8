#include "training/weight_average.h"

#include "training/flat_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct sb_weight_average {
    double momentum;
    struct sb_pool *pool;
    struct sb_state_array sum;
    uint64_t updates;
};

enum sb_status sb_weight_average_new(struct sb_weight_average **result, double momentum, size_t size,
                                     struct sb_pool *pool, struct sb_error *error)
{
    *result = NULL;
    if (!(momentum >= 0 && momentum < 1))
        return sb_fail(error, SB_INVALID, "weight average: momentum %g must be in [0, 1)", momentum);
    struct sb_weight_average *average = calloc(1, sizeof *average);
    float *sum = calloc(size, sizeof *sum);
    if (!average || !sum) {
        free(average);
        free(sum);
        return sb_fail(error, SB_NO_MEMORY, "weight average: no memory for %zu weights", size);
    }
    *average = (struct sb_weight_average){.momentum = momentum, .pool = pool, .sum = {"average.weights", sum, size}};
    *result = average;
    return SB_OK;
}

void sb_weight_average_free(struct sb_weight_average *average)
{
    if (!average)
        return;
    free(average->sum.values);
    free(average);
}

struct pass {
    float *restrict to;
    const float *restrict from;
    size_t size;
    float keep, take; /* to = keep to + take from */
};

static void update_block(void *context, size_t index, int worker)
{
    (void)worker;
    const struct pass *pass = context;
    float *restrict to = pass->to + index * SB_FLAT_BLOCK;
    const float *restrict from = pass->from + index * SB_FLAT_BLOCK;
    float keep = pass->keep, take = pass->take;
    for (size_t i = 0, n = sb_flat_count(pass->size, index); i < n; i++)
        to[i] = keep * to[i] + take * from[i];
}

void sb_weight_average_update(struct sb_weight_average *average, const float *values)
{
    average->updates++;
    struct pass pass = {average->sum.values, values, average->sum.count, (float)average->momentum,
                        (float)(1 - average->momentum)};
    sb_pool_run(average->pool, sb_flat_blocks(pass.size), update_block, &pass);
}

static void read_block(void *context, size_t index, int worker)
{
    (void)worker;
    const struct pass *pass = context;
    float *restrict to = pass->to + index * SB_FLAT_BLOCK;
    const float *restrict from = pass->from + index * SB_FLAT_BLOCK;
    float take = pass->take;
    for (size_t i = 0, n = sb_flat_count(pass->size, index); i < n; i++)
        to[i] = take * from[i];
}

void sb_weight_average_read(const struct sb_weight_average *average, float *averaged)
{
    assert(average->updates > 0);
    struct pass pass = {.to = averaged, .from = average->sum.values, .size = average->sum.count};
    pass.take = (float)(1 / (1 - pow(average->momentum, (double)average->updates)));
    sb_pool_run(average->pool, sb_flat_blocks(pass.size), read_block, &pass);
}

size_t sb_weight_average_state(const struct sb_weight_average *average, const struct sb_state_array **arrays)
{
    *arrays = &average->sum;
    return 1;
}

uint64_t sb_weight_average_updates(const struct sb_weight_average *average)
{
    return average->updates;
}

void sb_weight_average_set_updates(struct sb_weight_average *average, uint64_t updates)
{
    average->updates = updates;
}
