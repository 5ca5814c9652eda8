/*
 * Linear layers over packed panels. The loop over row blocks is inside the loop over panels: a panel (in x width floats) stays in
 * the second-level cache while all rows pass over it, and with few rows the weights stream through once, in order.
 */
#ifndef SB_KERNELS_VECTOR_LINEAR_H
#define SB_KERNELS_VECTOR_LINEAR_H

#include "kernels/vector_tile.h"

/* y = act(y + bias) + residual over a block that the tile has just written and that is still in the first-level cache. */
SB_INLINE vec finish_vector(vec y, vec bias, vec residual, enum sb_act act)
{
    return vec_activate(y + bias, act) + residual;
}

SB_INLINE void finish_block_act(float *y, size_t ld_y, size_t rows, size_t columns, const float *bias, const float *residual,
                                size_t ld_residual, enum sb_act act)
{
    static const float zeros[SB_LANES];
    for (size_t i = 0; i < rows; i++) {
        float *row = y + i * ld_y;
        const float *add = residual ? residual + i * ld_residual : NULL;
        size_t j = 0;
        for (; j + SB_LANES <= columns; j += SB_LANES)
            vec_store(row + j, finish_vector(vec_load(row + j), vec_load(bias ? bias + j : zeros), vec_load(add ? add + j : zeros), act));
        size_t rest = columns - j;
        if (rest)
            vec_store_part(row + j,
                           finish_vector(vec_load_part(row + j, rest), vec_load_part(bias ? bias + j : zeros, rest),
                                         vec_load_part(add ? add + j : zeros, rest), act),
                           rest);
    }
}

/* One loop per activation, so that the choice is made outside. */
static void finish_block(float *y, size_t ld_y, size_t rows, size_t columns, const float *bias, const float *residual, size_t ld_residual,
                         enum sb_act act)
{
    switch (act) {
    case SB_ACT_NONE: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_NONE); break;
    case SB_ACT_GELU: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_GELU); break;
    case SB_ACT_GELU_TANH: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_GELU_TANH); break;
    case SB_ACT_RELU: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_RELU); break;
    case SB_ACT_SWISH: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_SWISH); break;
    case SB_ACT_TANH: finish_block_act(y, ld_y, rows, columns, bias, residual, ld_residual, SB_ACT_TANH); break;
    }
}

static void vector_linear(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w, const float *bias,
                          const struct sb_epilogue *epilogue)
{
    enum sb_act act = epilogue ? epilogue->activation : SB_ACT_NONE;
    const float *residual = epilogue ? epilogue->residual : NULL;
    size_t ld_residual = residual ? epilogue->ld_residual : 0;
    bool finishes = bias || residual || act != SB_ACT_NONE;
    float block[SB_TILE_ROWS * SB_TILE_COLUMNS]; /* the sums, so that y may be the residual */
    for (size_t o = 0; o < w->out; o += SB_TILE_COLUMNS) {
        const float *panel = (const float *)w->panels + o * w->in;
        size_t columns = w->out - o < SB_TILE_COLUMNS ? w->out - o : SB_TILE_COLUMNS;
        for (size_t i = 0; i < rows; i += SB_TILE_ROWS) {
            size_t n = rows - i < SB_TILE_ROWS ? rows - i : SB_TILE_ROWS;
            float *out = y + i * ld_y + o;
            if (!finishes) {
                tile(out, ld_y, x + i * ld_x, ld_x, panel, SB_TILE_COLUMNS, w->in, n, columns);
                continue;
            }
            tile(block, SB_TILE_COLUMNS, x + i * ld_x, ld_x, panel, SB_TILE_COLUMNS, w->in, n, columns);
            finish_block(block, SB_TILE_COLUMNS, n, columns, bias ? bias + o : NULL, residual ? residual + i * ld_residual + o : NULL,
                         ld_residual, act);
            for (size_t r = 0; r < n; r++)
                memcpy(out + r * ld_y, block + r * SB_TILE_COLUMNS, columns * sizeof *out);
        }
    }
}

#endif
