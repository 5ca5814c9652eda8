#include "training/gradients.h"

#include "training/flat_impl.h"
#include "training/sums_impl.h"

#include <math.h>

struct addition {
    float *sum;
    const float *const *parts;
    size_t count, size;
};

static void add_block(void *context, size_t index, int worker)
{
    (void)worker;
    const struct addition *a = context;
    size_t n = sb_flat_count(a->size, index);
    float *restrict sum = a->sum + index * SB_FLAT_BLOCK;
    for (size_t part = 0; part < a->count; part++) {
        const float *restrict x = a->parts[part] + index * SB_FLAT_BLOCK;
        for (size_t i = 0; i < n; i++)
            sum[i] += x[i];
    }
}

void sb_gradients_add(float *sum, const float *const *parts, size_t count, size_t size, struct sb_pool *pool)
{
    struct addition addition = {sum, parts, count, size};
    sb_pool_run(pool, sb_flat_blocks(size), add_block, &addition);
}

struct scaling {
    float *values;
    size_t size;
    float factor;
};

static void scale_block(void *context, size_t index, int worker)
{
    (void)worker;
    const struct scaling *s = context;
    float *x = s->values + index * SB_FLAT_BLOCK, factor = s->factor;
    for (size_t i = 0, n = sb_flat_count(s->size, index); i < n; i++)
        x[i] *= factor;
}

void sb_gradients_scale(float *gradients, size_t size, double factor, struct sb_pool *pool)
{
    struct scaling scaling = {gradients, size, (float)factor};
    sb_pool_run(pool, sb_flat_blocks(size), scale_block, &scaling);
}

/* Blocks are measured a group at a time, so that their sums fit the stack; the groups have one size, so the order of
   the sum is fixed. */
enum { GROUP = 256 };

struct measurement {
    const float *values;
    size_t size, first_block;
    double sums[GROUP];
};

static void measure_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct measurement *m = context;
    size_t block = m->first_block + index;
    m->sums[index] = sb_sum_squares(m->values + block * SB_FLAT_BLOCK, sb_flat_count(m->size, block));
}

double sb_gradients_norm(const float *gradients, size_t size, struct sb_pool *pool)
{
    struct measurement measurement = {.values = gradients, .size = size};
    size_t blocks = sb_flat_blocks(size);
    double sum = 0;
    for (size_t first = 0; first < blocks; first += GROUP) {
        size_t count = blocks - first < GROUP ? blocks - first : GROUP;
        measurement.first_block = first;
        sb_pool_run(pool, count, measure_block, &measurement);
        for (size_t i = 0; i < count; i++)
            sum += measurement.sums[i];
    }
    return sqrt(sum);
}

double sb_gradients_clip(float *gradients, size_t size, double most, struct sb_pool *pool)
{
    double norm = sb_gradients_norm(gradients, size, pool);
    if (isfinite(norm) && norm > most)
        sb_gradients_scale(gradients, size, most / norm, pool);
    return norm;
}
