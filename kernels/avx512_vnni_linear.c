/*
 * Linear layers in 8-bit integers with VPDPBUSD: a lane of the sum takes four products of unsigned x and signed w at a time,
 * exactly. Compiled with the flags that the Makefile gives avx512_vnni_*.c.
 *
 *     x[r][i] = scale_x[r] (qx[r][i] - zero[r])      W[o][i] = scale_w[o] qw[o][i]
 *     sum_i x W = scale_x[r] scale_w[o] (sum_i qx qw - zero[r] sum_i qw)
 */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 64
#define SB_TILE_VECTORS 4

#include "base/cpu.h"
#include "kernels/variants.h"
#include "kernels/vector_linear.h"

#include <math.h>

/* sum[lane] += four products of x (unsigned) and w (signed). As an instruction, not as GCC's intrinsic: GCC 12 copies every sum
   to another register and back around the intrinsic, which halves the speed. */
SB_INLINE __m512i add_products(__m512i sum, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

/* rows x 4 vectors over `quads` groups of four inputs, scaled back to float. */
SB_INLINE void tile_int8(float *block, const uint8_t *x, size_t ld_x, const struct sb_int8_row *heads,
                         const int8_t *panel, size_t quads, const float *scales, const int32_t *sums, const int rows)
{
    __m512i sum[SB_TILE_ROWS][SB_TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++)
            sum[i][j] = _mm512_setzero_si512();
    for (size_t p = 0; p < quads; p++) {
        __m512i w[SB_TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++)
            w[j] = _mm512_loadu_si512(panel + p * SB_TILE_COLUMNS * 4 + (size_t)j * SB_LANES * 4);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            int32_t four;
            memcpy(&four, x + (size_t)i * ld_x + p * 4, sizeof four);
            __m512i quad = _mm512_set1_epi32(four);
#pragma GCC unroll 8
            for (int j = 0; j < SB_TILE_VECTORS; j++)
                sum[i][j] = add_products(sum[i][j], quad, w[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        __m512i zero = _mm512_set1_epi32(heads[i].zero);
        __m512 scale = _mm512_set1_ps(heads[i].scale);
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++) {
            __m512i correction = _mm512_mullo_epi32(zero, _mm512_loadu_si512(sums + j * SB_LANES));
            __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[i][j], correction));
            value = _mm512_mul_ps(value, _mm512_mul_ps(scale, _mm512_loadu_ps(scales + j * SB_LANES)));
            _mm512_store_ps(block + i * SB_TILE_COLUMNS + j * SB_LANES, value);
        }
    }
}

SB_INLINE void block_int8(float *block, const void *x, size_t ld_x, size_t all_rows, size_t first_row, size_t rows,
                          const struct sb_packed *w, size_t first_output, size_t columns)
{
    (void)columns;
    size_t quads = (w->in + 3) / 4;
    const struct sb_int8_row *heads = (const struct sb_int8_row *)x + first_row;
    const uint8_t *from = sb_int8_values((void *)(uintptr_t)x, all_rows) + first_row * ld_x;
    const int8_t *panel = (const int8_t *)w->panels + first_output * quads * 4;
    const float *scales = sb_int8_scales(w) + first_output;
    const int32_t *sums = sb_int8_sums(w) + first_output;
    switch (rows) {
    case 1: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 1); break;
    case 2: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 2); break;
    case 3: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 3); break;
    case 4: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 4); break;
    case 5: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 5); break;
    default: tile_int8(block, from, ld_x, heads, panel, quads, scales, sums, 6); break;
    }
}

/* Scale and zero point from the row's range, which is made to hold 0 so that a zero stays exactly zero. */
static struct sb_int8_row quantise_row(uint8_t *q, const float *x, size_t n)
{
    size_t whole = n / SB_LANES * SB_LANES;
    __mmask16 rest = (__mmask16)((1u << (n - whole)) - 1);
    __m512 low = _mm512_maskz_loadu_ps(rest, x + whole), high = low;
    for (size_t i = 0; i < whole; i += SB_LANES) {
        low = _mm512_min_ps(low, _mm512_loadu_ps(x + i));
        high = _mm512_max_ps(high, _mm512_loadu_ps(x + i));
    }
    float least = fminf(_mm512_reduce_min_ps(low), 0), most = fmaxf(_mm512_reduce_max_ps(high), 0);
    float scale = (most - least) / 255;
    float inverse = scale > 0 ? 1 / scale : 0;
    int32_t zero = (int32_t)lrintf(-least * inverse);
    __m512i offset = _mm512_set1_epi32(zero), top = _mm512_set1_epi32(255), bottom = _mm512_setzero_si512();
    for (size_t i = 0; i <= whole; i += SB_LANES) {
        __m512 values = i < whole ? _mm512_loadu_ps(x + i) : _mm512_maskz_loadu_ps(rest, x + i);
        __m512i rounded = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(values, _mm512_set1_ps(inverse))), offset);
        rounded = _mm512_max_epi32(_mm512_min_epi32(rounded, top), bottom);
        if (i < whole)
            _mm_storeu_si128((__m128i *)(q + i), _mm512_cvtepi32_epi8(rounded));
        else
            _mm512_mask_cvtepi32_storeu_epi8(q + i, rest, rounded);
    }
    memset(q + n, 0, sb_round_up(n, 4) - n); /* meets weights that are zero there */
    return (struct sb_int8_row){scale, zero};
}

static void linear_int8(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                        const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    struct sb_int8_row *heads = scratch;
    uint8_t *values = sb_int8_values(scratch, rows);
    size_t ld_values = sb_round_up(w->in, 64);
    for (size_t i = 0; i < rows; i++)
        heads[i] = quantise_row(values + i * ld_values, x + i * ld_x, w->in);
    walk_blocks(y, ld_y, scratch, ld_values, rows, w, bias, epilogue, block_int8);
}

static bool runs_here(void)
{
    return sb_cpu()->avx512f && sb_cpu()->avx512bw && sb_cpu()->avx512dq && sb_cpu()->avx512vl && sb_cpu()->avx512_vnni;
}

const struct sb_linear_kernel sb_linear_avx512_vnni = {.name = "avx512-vnni-int8",
                                                       .dtype = SB_PACKED_INT8,
                                                       .is_fast = true,
                                                       .panel_width = SB_TILE_COLUMNS,
                                                       .runs_here = runs_here,
                                                       .run = linear_int8};
#endif
