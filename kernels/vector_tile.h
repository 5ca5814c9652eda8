/*
 * The micro-kernel: a tile of C = A @ B held in registers, for linear layers and for attention alike.
 *
 *          B  [depth][ld_b]: SB_TILE_VECTORS vectors of a row at a time
 *        +------------------+
 *   A    |  C tile          |    each element of C: depth fused multiply-adds in the order of depth, in one register,
 * [rows] |  rows x vectors  |    so the result does not depend on the tile's shape
 *        +------------------+
 */
#ifndef SB_KERNELS_VECTOR_TILE_H
#define SB_KERNELS_VECTOR_TILE_H

#include "kernels/vector_math.h"

/* Stores `columns` (1 .. vectors * SB_LANES) columns of C; b_ends (with one vector): B has no columns past them that could be read. rows,
   vectors and b_ends are constants after inlining. */
SB_INLINE void tile_fixed(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t depth,
                          size_t columns, const int rows, const int vectors, const bool b_ends)
{
    vec sum[SB_TILE_ROWS][SB_TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sum[i][j] = (vec){0};
    for (size_t p = 0; p < depth; p++) {
        vec row[SB_TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            row[j] = b_ends ? vec_load_part(b + p * ld_b, columns) : vec_load(b + p * ld_b + (size_t)j * SB_LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            float x = a[(size_t)i * ld_a + p];
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sum[i][j] += x * row[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            float *out = c + (size_t)i * ld_c + (size_t)j * SB_LANES;
            size_t first = (size_t)j * SB_LANES;
            if (columns >= first + SB_LANES)
                vec_store(out, sum[i][j]);
            else if (columns > first)
                vec_store_part(out, sum[i][j], columns - first);
        }
    }
}

SB_INLINE void tile_rows(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t depth,
                         size_t columns, size_t rows, const int vectors, const bool b_ends)
{
    switch (rows) {
    case 1: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 1, vectors, b_ends); break;
    case 2: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 2, vectors, b_ends); break;
    case 3: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 3, vectors, b_ends); break;
    case 4: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 4, vectors, b_ends); break;
    case 5: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 5, vectors, b_ends); break;
    default: tile_fixed(c, ld_c, a, ld_a, b, ld_b, depth, columns, 6, vectors, b_ends); break;
    }
}

/* C[rows, columns] = A[rows, depth] @ B[depth, columns]; rows <= SB_TILE_ROWS, columns <= SB_TILE_COLUMNS. B's rows are readable
   up to the next multiple of SB_LANES columns. */
static void tile(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t depth,
                 size_t rows, size_t columns)
{
    if (columns > (SB_TILE_VECTORS - 1) * SB_LANES) /* the whole width: the hot case */
        tile_rows(c, ld_c, a, ld_a, b, ld_b, depth, columns, rows, SB_TILE_VECTORS, false);
    else
        for (size_t j = 0; j < columns; j += SB_LANES)
            tile_rows(c + j, ld_c, a, ld_a, b + j, ld_b, depth, columns - j, rows, 1, false);
}

/* The last columns of B, 1 .. SB_LANES - 1, past which nothing may be read. */
static inline void tile_last_columns(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b,
                                     size_t depth, size_t rows, size_t columns)
{
    tile_rows(c, ld_c, a, ld_a, b, ld_b, depth, columns, rows, 1, true);
}

#endif
