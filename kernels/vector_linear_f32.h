/*
 * Linear layers in float, at the vector width of the including variant.
 */
#ifndef SB_KERNELS_VECTOR_LINEAR_F32_H
#define SB_KERNELS_VECTOR_LINEAR_F32_H

#include "kernels/vector_linear.h"
#include "kernels/vector_tile.h"

SB_INLINE void block_f32(float *block, const void *x, size_t ld_x, size_t all_rows, size_t first_row, size_t rows,
                         const struct sb_packed *w, size_t first_output, size_t columns)
{
    (void)all_rows;
    tile(block, SB_TILE_COLUMNS, (const float *)x + first_row * ld_x, ld_x,
         (const float *)w->panels + first_output * w->in, SB_TILE_COLUMNS, w->in, rows, columns);
}

static void vector_linear_f32(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows,
                              const struct sb_packed *w, const float *bias, const struct sb_epilogue *epilogue,
                              void *scratch)
{
    (void)scratch;
    walk_blocks(y, ld_y, x, ld_x, rows, w, bias, epilogue, block_f32);
}

#endif
