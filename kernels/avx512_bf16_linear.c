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
#include "kernels/vector_transpose.h"

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

/* Two vectors rounded: `low` in the first half. VCVTNE2PS2BF16 makes zero of a subnormal, which VDPBF16PS does as well. */
SB_INLINE __m512i round_two(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Pairs of inputs of 16 outputs, as 32-bit lanes; source [in, out]. one_row: the last of an odd number of inputs. */
SB_INLINE __m512i pair_rows(const float *from, size_t ld_from, bool one_row, size_t lanes)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512 low = (__m512)vec_load_lanes(from, lanes);
    __m512 high = one_row ? _mm512_setzero_ps() : (__m512)vec_load_lanes(from + ld_from, lanes);
    return _mm512_permutexvar_epi16(order, round_two(low, high));
}

static void copy_panel(uint16_t *panel, const float *from, size_t ld_from, size_t outputs, size_t in)
{
    for (size_t i = 0; i < in; i += 2, panel += 2 * SB_TILE_COLUMNS)
        for (size_t j = 0; j < SB_TILE_COLUMNS; j += SB_LANES) {
            const float *at = from + i * ld_from + j;
            __m512i pairs = _mm512_setzero_si512();
            if (j + SB_LANES <= outputs && i + 2 <= in)
                pairs = pair_rows(at, ld_from, false, SB_LANES);
            else if (j < outputs)
                pairs = pair_rows(at, ld_from, i + 2 > in, j + SB_LANES <= outputs ? SB_LANES : outputs - j);
            _mm512_storeu_si512(panel + 2 * j, pairs);
        }
}

/* 32 inputs of one output as 16 pairs, zeros past n. */
SB_INLINE vec pairs_of_row(const float *row, size_t n)
{
    vec low = vec_load_lanes(row, n < SB_LANES ? n : SB_LANES);
    vec high = n < SB_LANES ? vec_set(0) : vec_load_lanes(row + SB_LANES, n - SB_LANES);
    return (vec)round_two((__m512)low, (__m512)high);
}

/* Source [out, in]: a pair is a 32-bit lane, so a tile of 16 outputs and 32 inputs is transposed as one of 16 x 16 floats. */
static void transpose_panel(uint16_t *panel, const float *from, size_t ld_from, size_t outputs, size_t in)
{
    for (size_t i = 0; i < in; i += 2 * SB_LANES) {
        size_t inputs = in - i < 2 * SB_LANES ? in - i : 2 * SB_LANES, pairs = (inputs + 1) / 2;
        for (size_t j = 0; j < SB_TILE_COLUMNS; j += SB_LANES) {
            vec row[SB_LANES];
#pragma GCC unroll 16
            for (size_t k = 0; k < SB_LANES; k++)
                row[k] = j + k < outputs ? pairs_of_row(from + (j + k) * ld_from + i, inputs) : vec_set(0);
            transpose_lanes(row);
            uint16_t *to = panel + (i * SB_TILE_COLUMNS + 2 * j);
            if (pairs == SB_LANES)
#pragma GCC unroll 16
                for (size_t k = 0; k < SB_LANES; k++)
                    _mm512_storeu_si512(to + k * 2 * SB_TILE_COLUMNS, (__m512i)row[k]);
            else
                for (size_t k = 0; k < pairs; k++)
                    _mm512_storeu_si512(to + k * 2 * SB_TILE_COLUMNS, (__m512i)row[k]);
        }
    }
}

static void fill_bf16(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed,
                      size_t first_panel, size_t panels)
{
    for (size_t p = first_panel; p < first_panel + panels; p++) {
        size_t o = p * SB_TILE_COLUMNS, outputs = packed->out - o < SB_TILE_COLUMNS ? packed->out - o : SB_TILE_COLUMNS;
        uint16_t *panel = (uint16_t *)packed->panels + o * sb_round_up(packed->in, 2);
        if (transposed)
            copy_panel(panel, source + o, ld_source, outputs, packed->in);
        else
            transpose_panel(panel, source + o * ld_source, ld_source, outputs, packed->in);
    }
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
                                                       .run = linear_bf16,
                                                       .fill = fill_bf16};
#endif
