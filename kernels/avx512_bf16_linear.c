/*
 * Linear layers in bfloat16 with VDPBF16PS: a lane of the sum takes two products at a time, so the tile of vector_tile.h walks
 * pairs of inputs. Compiled with the flags that the Makefile gives avx512_bf16_*.c.
 */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 64
#define SB_TILE_VECTORS 4

#include "base/cpu.h"
#include "kernels/variants.h"
#include "kernels/vector_linear.h"

/* rows x 4 vectors over `pairs` pairs of inputs. x: [rows][ld_x] pairs. */
SB_INLINE void tile_bf16(float *block, const int32_t *x, size_t ld_x, const uint16_t *panel, size_t pairs,
                         const int rows)
{
    __m512 sum[SB_TILE_ROWS][SB_TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++)
            sum[i][j] = _mm512_setzero_ps();
    for (size_t p = 0; p < pairs; p++) {
        __m512bh w[SB_TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++)
            w[j] = (__m512bh)_mm512_loadu_si512(panel + p * SB_TILE_COLUMNS * 2 + (size_t)j * SB_LANES * 2);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            __m512bh pair = (__m512bh)_mm512_set1_epi32(x[(size_t)i * ld_x + p]);
#pragma GCC unroll 8
            for (int j = 0; j < SB_TILE_VECTORS; j++)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], pair, w[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < SB_TILE_VECTORS; j++)
            _mm512_store_ps(block + i * SB_TILE_COLUMNS + j * SB_LANES, sum[i][j]);
}

SB_INLINE void block_bf16(float *block, const void *x, size_t ld_x, size_t all_rows, size_t first_row, size_t rows,
                          const struct sb_packed *w, size_t first_output, size_t columns)
{
    (void)all_rows, (void)columns;
    size_t pairs = (w->in + 1) / 2;
    const int32_t *from = (const int32_t *)x + first_row * ld_x;
    const uint16_t *panel = (const uint16_t *)w->panels + first_output * pairs * 2;
    switch (rows) {
    case 1: tile_bf16(block, from, ld_x, panel, pairs, 1); break;
    case 2: tile_bf16(block, from, ld_x, panel, pairs, 2); break;
    case 3: tile_bf16(block, from, ld_x, panel, pairs, 3); break;
    case 4: tile_bf16(block, from, ld_x, panel, pairs, 4); break;
    case 5: tile_bf16(block, from, ld_x, panel, pairs, 5); break;
    default: tile_bf16(block, from, ld_x, panel, pairs, 6); break;
    }
}

/* to[ceil(n / 2) * 2] = x rounded to bfloat16; an odd last one gets a zero beside it. */
static void round_row(uint16_t *to, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        _mm256_storeu_si256((__m256i *)(to + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
    for (; i < n; i++)
        to[i] = sb_float_bf16(x[i]);
    if (n % 2)
        to[n] = 0;
}

static void linear_bf16(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                        const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    size_t pairs = (w->in + 1) / 2;
    for (size_t i = 0; i < rows; i++)
        round_row((uint16_t *)scratch + i * pairs * 2, x + i * ld_x, w->in);
    walk_blocks(y, ld_y, scratch, pairs, rows, w, bias, epilogue, block_bf16);
}

static bool runs_here(void)
{
    return sb_cpu()->avx512f && sb_cpu()->avx512bw && sb_cpu()->avx512vl && sb_cpu()->avx512_bf16;
}

const struct sb_linear_kernel sb_linear_avx512_bf16 = {.name = "avx512-bf16",
                                                       .dtype = SB_PACKED_BF16,
                                                       .is_fast = true,
                                                       .panel_width = SB_TILE_COLUMNS,
                                                       .runs_here = runs_here,
                                                       .run = linear_bf16};
#endif
