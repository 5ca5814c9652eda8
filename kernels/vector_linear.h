/*
 * Linear layers over packed panels. The loop over row blocks is inside the loop over panels: a panel (in x width) stays in the
 * second-level cache while all rows pass over it, and with few rows the weights stream through once, in order.
 */
#ifndef SB_KERNELS_VECTOR_LINEAR_H
#define SB_KERNELS_VECTOR_LINEAR_H

#include "kernels/packed.h"
#include "kernels/vector_math.h"

/* block[rows][SB_TILE_COLUMNS] = x[first_row ..] @ W[first_output ..]^T. x: the rows, converted if the arithmetic converts. */
typedef void block_function(float *block, const void *x, size_t ld_x, size_t all_rows, size_t first_row, size_t rows,
                            const struct sb_packed *w, size_t first_output, size_t columns);

/* y = act(y + bias) + residual */
SB_INLINE vec finish_vector(vec y, vec bias, vec residual, enum sb_act act)
{
    return vec_activate(y + bias, act) + residual;
}

/* From the block, which the tile has just written to the first-level cache, to y. */
SB_INLINE void finish_rows(float *y, size_t ld_y, const float *block, size_t rows, size_t columns, const float *bias,
                           const float *residual, size_t ld_residual, enum sb_act act)
{
    static const float zeros[SB_LANES];
    for (size_t i = 0; i < rows; i++) {
        const float *sum = block + i * SB_TILE_COLUMNS, *add = residual ? residual + i * ld_residual : NULL;
        float *out = y + i * ld_y;
        size_t j = 0;
        for (; j + SB_LANES <= columns; j += SB_LANES)
            vec_store(out + j, finish_vector(vec_load(sum + j), vec_load(bias ? bias + j : zeros),
                                             vec_load(add ? add + j : zeros), act));
        size_t rest = columns - j;
        if (rest)
            vec_store_part(out + j,
                           finish_vector(vec_load_part(sum + j, rest), vec_load_part(bias ? bias + j : zeros, rest),
                                         vec_load_part(add ? add + j : zeros, rest), act),
                           rest);
    }
}

/* One loop per activation, so that the choice is made outside. */
static void finish_block(float *y, size_t ld_y, const float *block, size_t rows, size_t columns, const float *bias,
                         const float *residual, size_t ld_residual, enum sb_act act)
{
    switch (act) {
    case SB_ACT_NONE: finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_NONE); break;
    case SB_ACT_GELU: finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_GELU); break;
    case SB_ACT_GELU_TANH:
        finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_GELU_TANH);
        break;
    case SB_ACT_RELU: finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_RELU); break;
    case SB_ACT_SWISH: finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_SWISH); break;
    case SB_ACT_TANH: finish_rows(y, ld_y, block, rows, columns, bias, residual, ld_residual, SB_ACT_TANH); break;
    }
}

/* Walks all blocks of y; block is a constant after inlining. */
SB_INLINE void walk_blocks(float *y, size_t ld_y, const void *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                           const float *bias, const struct sb_epilogue *epilogue, block_function *block)
{
    enum sb_act act = epilogue ? epilogue->activation : SB_ACT_NONE;
    const float *residual = epilogue ? epilogue->residual : NULL;
    size_t ld_residual = residual ? epilogue->ld_residual : 0;
    float sums[SB_TILE_ROWS * SB_TILE_COLUMNS] __attribute__((aligned(64)));
    for (size_t o = 0; o < w->out; o += SB_TILE_COLUMNS) {
        size_t columns = w->out - o < SB_TILE_COLUMNS ? w->out - o : SB_TILE_COLUMNS;
        for (size_t i = 0; i < rows; i += SB_TILE_ROWS) {
            size_t n = rows - i < SB_TILE_ROWS ? rows - i : SB_TILE_ROWS;
            block(sums, x, ld_x, rows, i, n, w, o, columns);
            finish_block(y + i * ld_y + o, ld_y, sums, n, columns, bias ? bias + o : NULL,
                         residual ? residual + i * ld_residual + o : NULL, ld_residual, act);
        }
    }
}

#endif
