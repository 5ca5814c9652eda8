#include "training/optimizer_impl.h"
#include "training/sums_impl.h"

#include <math.h>
#include <string.h>

/*
 * State, each parameter's piece after the one before it:
 *
 *     adafactor.rows     r of every factored matrix, [rows]
 *     adafactor.columns  c of every factored matrix, [columns]
 *     adafactor.v        v of all others, [rows * columns]
 *     adafactor.m        with beta1 > 0, in the layout of the weights
 *
 * u is never stored: it is computed for its norm, and again for the update.
 */

static bool factors(const struct sb_optimizer *optimizer, const struct sb_parameter *p)
{
    return p->rank == 2 && p->rows >= optimizer->options.min_factored_size &&
           p->columns >= optimizer->options.min_factored_size;
}

/* Hands out the pieces of the arrays above. */
static void share_state(struct sb_optimizer *optimizer, float *rows, float *columns, float *v)
{
    for (size_t i = 0; i < optimizer->parameters->count; i++) {
        const struct sb_parameter *p = &optimizer->parameters->items[i];
        struct sb_optimizer_slot *slot = &optimizer->slots[i];
        slot->factored = factors(optimizer, p);
        if (slot->factored) {
            slot->rows = rows;
            slot->columns = columns;
            rows += p->rows;
            columns += p->columns;
        } else {
            slot->v = v;
            v += p->rows * p->columns;
        }
    }
}

/* Scratch: each block's share of c. */
static void take_column_sums(struct sb_optimizer *optimizer)
{
    for (size_t i = 0; i < optimizer->parameters->count; i++) {
        const struct sb_parameter *p = &optimizer->parameters->items[i];
        if (!factors(optimizer, p))
            continue;
        size_t blocks = sb_optimizer_block_count(p);
        float *sums = sb_arena_take(&optimizer->arena, blocks * p->columns, sizeof *sums);
        for (size_t j = 0; sums && j < blocks; j++)
            optimizer->blocks[optimizer->slots[i].first_block + j].column_sums = sums + j * p->columns;
    }
}

void sb_adafactor_layout(struct sb_optimizer *optimizer)
{
    const struct sb_parameters *parameters = optimizer->parameters;
    size_t row_count = 0, column_count = 0, v_count = 0;
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        if (factors(optimizer, p)) {
            row_count += p->rows;
            column_count += p->columns;
        } else {
            v_count += p->rows * p->columns;
        }
    }
    float *rows = sb_optimizer_take_state(optimizer, "adafactor.rows", row_count);
    float *columns = sb_optimizer_take_state(optimizer, "adafactor.columns", column_count);
    float *v = sb_optimizer_take_state(optimizer, "adafactor.v", v_count);
    if (optimizer->options.beta1 > 0)
        optimizer->m = sb_optimizer_take_state(optimizer, "adafactor.m", parameters->size);
    if (optimizer->slots)
        share_state(optimizer, rows, columns, v);
    take_column_sums(optimizer);
}

/* sums[n] += g[n]^2 */
static void add_squares(float *restrict sums, const float *restrict g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sums[i] += g[i] * g[i];
}

/* v[n] = beta2 v + (1 - beta2) (g^2 + epsilon) */
static void average_squares(float *restrict v, const float *restrict g, size_t n, float beta2, float one_less_beta2,
                            float epsilon)
{
    for (size_t i = 0; i < n; i++)
        v[i] = beta2 * v[i] + one_less_beta2 * (g[i] * g[i] + epsilon);
}

static float moved(float average, double beta2, double value)
{
    return (float)(beta2 * (double)average + (1 - beta2) * value);
}

/* First pass: |w|^2; r and v of the block, and its share of c. */
static void average_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    struct sb_optimizer_block *block = &optimizer->blocks[index];
    struct sb_optimizer_slot *slot = &optimizer->slots[block->parameter];
    const struct sb_parameter *p = &optimizer->parameters->items[block->parameter];
    const float *g = optimizer->gradients + block->offset;
    double beta2 = optimizer->beta2, epsilon = optimizer->options.epsilon;
    block->sums[0] = sb_sum_squares(optimizer->values + block->offset, block->count);
    if (!slot->factored) {
        average_squares(slot->v + (block->offset - p->offset), g, block->count, (float)beta2, (float)(1 - beta2),
                        (float)epsilon);
        return;
    }
    memset(block->column_sums, 0, p->columns * sizeof *block->column_sums);
    for (size_t i = 0; i < block->count / p->columns; i++, g += p->columns) {
        float *r = &slot->rows[block->row + i];
        *r = moved(*r, beta2, sb_sum_squares(g, p->columns) / (double)p->columns + epsilon);
        add_squares(block->column_sums, g, p->columns);
    }
}

/* c, from the shares of the blocks in their order, and mean(r). */
static void finish_factors(void *context, size_t parameter, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    struct sb_optimizer_slot *slot = &optimizer->slots[parameter];
    const struct sb_parameter *p = &optimizer->parameters->items[parameter];
    if (!slot->factored)
        return;
    const struct sb_optimizer_block *blocks = optimizer->blocks + slot->first_block;
    for (size_t j = 0; j < p->columns; j++) {
        double sum = 0;
        for (size_t i = 0; i < slot->blocks; i++)
            sum += (double)blocks[i].column_sums[j];
        slot->columns[j] =
            moved(slot->columns[j], optimizer->beta2, sum / (double)p->rows + optimizer->options.epsilon);
    }
    double sum = 0;
    for (size_t i = 0; i < p->rows; i++)
        sum += (double)slot->rows[i];
    slot->row_mean = sum / (double)p->rows;
}

/* A tile ends with its block, and with the row of a factored matrix. */
static size_t tile_end(const struct sb_optimizer *optimizer, const struct sb_optimizer_block *block, size_t start)
{
    const struct sb_parameter *p = &optimizer->parameters->items[block->parameter];
    size_t left = block->offset + block->count - start;
    if (optimizer->slots[block->parameter].factored)
        left = p->columns - (start - p->offset) % p->columns;
    return start + (left < SB_TILE_FLOATS ? left : SB_TILE_FLOATS);
}

/* u[n] = g / sqrt(v + epsilon), of the tile that starts there in the flat array */
static void direction(float *restrict u, const struct sb_optimizer *optimizer, const struct sb_optimizer_block *block,
                      size_t start, size_t n)
{
    const struct sb_optimizer_slot *slot = &optimizer->slots[block->parameter];
    const struct sb_parameter *p = &optimizer->parameters->items[block->parameter];
    const float *restrict g = optimizer->gradients + start;
    float epsilon = (float)optimizer->options.epsilon;
    size_t at = start - p->offset;
    if (slot->factored) {
        /* r / mean(r) first: r times c of weights without a gradient would underflow. */
        float r = (float)((double)slot->rows[at / p->columns] / slot->row_mean);
        const float *restrict c = slot->columns + at % p->columns;
        for (size_t i = 0; i < n; i++)
            u[i] = g[i] / sqrtf(r * c[i] + epsilon);
    } else {
        const float *restrict v = slot->v + at;
        for (size_t i = 0; i < n; i++)
            u[i] = g[i] / sqrtf(v[i] + epsilon);
    }
}

/* Second pass: |u|^2. */
static void measure_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    struct sb_optimizer_block *block = &optimizer->blocks[index];
    float u[SB_TILE_FLOATS];
    block->sums[1] = 0;
    for (size_t i = block->offset, end = i + block->count, next; i < end; i = next) {
        next = tile_end(optimizer, block, i);
        direction(u, optimizer, block, i, next - i);
        block->sums[1] += sb_sum_squares(u, next - i);
    }
}

static void find_scales(void *context, size_t parameter, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    const struct sb_optimizer_options *o = &optimizer->options;
    const struct sb_parameter *p = &optimizer->parameters->items[parameter];
    struct sb_optimizer_slot *slot = &optimizer->slots[parameter];
    double count = (double)(p->rows * p->columns);
    double rms_w = sqrt(sb_optimizer_sum(optimizer, parameter, 0) / count);
    double rms_u = o->clip > 0 ? sqrt(sb_optimizer_sum(optimizer, parameter, 1) / count) / o->clip : 0;
    slot->clip = rms_u > 1 ? 1 / rms_u : 1;
    slot->scale = optimizer->rate * (o->scale_by_parameter ? fmax(rms_w, o->scale_epsilon) : 1);
}

/* Last pass. */
static void update_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_optimizer *optimizer = context;
    const struct sb_optimizer_options *o = &optimizer->options;
    const struct sb_optimizer_block *block = &optimizer->blocks[index];
    const struct sb_optimizer_slot *slot = &optimizer->slots[block->parameter];
    float u[SB_TILE_FLOATS], clip = (float)slot->clip, scale = (float)slot->scale;
    float beta1 = (float)o->beta1, one_less_beta1 = (float)(1 - o->beta1);
    float decay = slot->decays ? (float)(optimizer->rate * o->weight_decay) : 0;
    for (size_t i = block->offset, end = i + block->count, next; i < end; i = next) {
        next = tile_end(optimizer, block, i);
        direction(u, optimizer, block, i, next - i);
        float *restrict w = optimizer->values + i;
        if (optimizer->m) {
            float *restrict m = optimizer->m + i;
            for (size_t j = 0; j < next - i; j++)
                u[j] = m[j] = beta1 * m[j] + one_less_beta1 * (clip * u[j]);
        } else {
            for (size_t j = 0; j < next - i; j++)
                u[j] *= clip;
        }
        for (size_t j = 0; j < next - i; j++)
            w[j] -= scale * u[j] + decay * w[j];
    }
}

void sb_adafactor_step(struct sb_optimizer *optimizer)
{
    const struct sb_optimizer_options *o = &optimizer->options;
    double t = (double)optimizer->steps;
    optimizer->beta2 = o->beta2 > 0 ? o->beta2 : 1 - pow(t, -0.8);
    if (o->relative_step)
        optimizer->rate *= fmin(1 / sqrt(t), 0.01) * (o->scale_by_parameter ? 1 : 0.05);
    sb_optimizer_each_block(optimizer, average_block);
    sb_optimizer_each_parameter(optimizer, finish_factors);
    if (o->clip > 0)
        sb_optimizer_each_block(optimizer, measure_block);
    sb_optimizer_each_parameter(optimizer, find_scales);
    sb_optimizer_each_block(optimizer, update_block);
}
