/*
 * Transposition in registers: SB_LANES rows of SB_LANES floats.
 *
 * One stage of the network interleaves row i with row i + SB_LANES / 2 into rows 2i and 2i + 1, as a deck of cards is shuffled:
 * seen as a bit string, an element's place (row, lane) is rotated by one bit. After log2(SB_LANES) stages row and lane have
 * changed places.
 */
#ifndef SB_KERNELS_VECTOR_TRANSPOSE_H
#define SB_KERNELS_VECTOR_TRANSPOSE_H

#include "kernels/vector_math.h"

/* a0 b0 a1 b1 ... of the lower half of the lanes, and of the upper half. */
SB_INLINE vec vec_interleave_low(vec a, vec b)
{
#if SB_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif SB_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}

SB_INLINE vec vec_interleave_high(vec a, vec b)
{
#if SB_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif SB_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

SB_INLINE void transpose_lanes(vec *row)
{
    vec shuffled[SB_LANES];
#pragma GCC unroll 4
    for (int stage = 1; stage < SB_LANES; stage *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < SB_LANES / 2; i++) {
            shuffled[2 * i] = vec_interleave_low(row[i], row[i + SB_LANES / 2]);
            shuffled[2 * i + 1] = vec_interleave_high(row[i], row[i + SB_LANES / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < SB_LANES; i++)
            row[i] = shuffled[i];
    }
}

SB_INLINE void transpose_whole_tile(float *to, size_t ld_to, const float *from, size_t ld_from)
{
    vec row[SB_LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < SB_LANES; i++)
        row[i] = vec_load(from + i * ld_from);
    transpose_lanes(row);
#pragma GCC unroll 16
    for (size_t i = 0; i < SB_LANES; i++)
        vec_store(to + i * ld_to, row[i]);
}

/* A tile at the matrix's edge: 0 .. SB_LANES rows, 1 .. SB_LANES columns. Writes `lanes` floats of each of the tile's columns, zeros past
   `rows`. */
static inline void transpose_part_tile(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows,
                                       size_t columns, size_t lanes)
{
    vec row[SB_LANES] = {{0}};
    for (size_t i = 0; i < rows; i++)
        row[i] = vec_load_lanes(from + i * ld_from, columns);
    transpose_lanes(row);
    for (size_t i = 0; i < columns; i++)
        vec_store_lanes(to + i * ld_to, row[i], lanes);
}

/* to[column, row] = from[row, column]. Down the rows inside, so that a few lines of `to` are written from end to end. */
static inline void vector_transpose(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows,
                                    size_t columns)
{
    for (size_t j = 0; j < columns; j += SB_LANES) {
        size_t width = columns - j < SB_LANES ? columns - j : SB_LANES, whole = width == SB_LANES ? rows : 0, i = 0;
        for (; i + SB_LANES <= whole; i += SB_LANES)
            transpose_whole_tile(to + j * ld_to + i, ld_to, from + i * ld_from + j, ld_from);
        for (; i < rows; i += SB_LANES) {
            size_t height = rows - i < SB_LANES ? rows - i : SB_LANES;
            transpose_part_tile(to + j * ld_to + i, ld_to, from + i * ld_from + j, ld_from, height, width, height);
        }
    }
}

#endif
