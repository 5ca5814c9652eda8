/*
 * Scores with AVX-512 and its dot products of bytes: 64 products an instruction, unsigned times signed, added four at a
 * time to 32-bit sums.
 */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 64
#define SB_TILE_VECTORS 4

#include "base/cpu.h"
#include "kernels/vector_scores.h"

enum { STEP = 64, TILE = 4, AHEAD = 4 };

static bool runs_here(void)
{
    return sb_scores_avx512.runs_here() && sb_cpu()->avx512_vnni;
}

/* The bytes from i on: all of them, or those that are left of n, the others zero. */
SB_INLINE __m512i load64(const void *from, size_t i, size_t n)
{
    const char *at = (const char *)from + i;
    if (i + STEP <= n)
        return _mm512_loadu_si512(at);
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << (n - i)) - 1, at);
}

/* {a, b, c, d} -> in each lane of 128 bits what is to be added up for a, b, c and d. */
SB_INLINE __m512i add_across4(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* The sums of four vectors. */
SB_INLINE __m128i sum4(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i lanes = add_across4(a, b, c, d);
    __m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

/* Sum of row * query, the row's bytes as they are stored. */
SB_INLINE int32_t sum_int8(const uint8_t *row, const int8_t *query, size_t n)
{
    __m512i s = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += STEP)
        s = _mm512_dpbusd_epi32(s, load64(row, i, n), load64(query, i, n));
    return _mm512_reduce_add_epi32(s);
}

/* sums[q * ld + r] of TILE rows against TILE queries; bias: of each query. Stores `count` of each query's; rows past them
   repeat the last. */
SB_INLINE void tile(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                    const int32_t *bias, size_t n)
{
    __m512i s[TILE][TILE];
    const uint8_t *row[TILE];
    for (size_t r = 0; r < TILE; r++)
        row[r] = rows + (r < count ? r : count - 1) * n;
    for (size_t q = 0; q < TILE; q++)
        for (size_t r = 0; r < TILE; r++)
            s[q][r] = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += STEP) {
        __m512i part[TILE];
        for (size_t r = 0; r < TILE; r++)
            part[r] = load64(row[r], i, n);
        for (size_t q = 0; q < TILE; q++) {
            __m512i query = load64(queries + q * n, i, n);
            for (size_t r = 0; r < TILE; r++)
                s[q][r] = _mm512_dpbusd_epi32(s[q][r], part[r], query);
        }
    }
    for (size_t q = 0; q < TILE; q++) {
        __m128i four = _mm_sub_epi32(sum4(s[q][0], s[q][1], s[q][2], s[q][3]), _mm_set1_epi32(bias[q]));
        _mm_mask_storeu_epi32(sums + q * ld, (__mmask8)((1u << count) - 1), four);
    }
}

/* Each row lies somewhere else: its cache lines are asked for AHEAD rows before they are needed. */
static void gather_int8(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                        size_t n)
{
    int32_t bias = sb_bias_int8(query, n);
    for (size_t j = 0; j < count + AHEAD; j++) {
        if (j < count)
            for (size_t i = 0; i < n; i += STEP)
                __builtin_prefetch(rows + which[j] * n + i);
        if (j >= AHEAD)
            sums[j - AHEAD] = sum_int8(rows + which[j - AHEAD] * n, query, n) - bias;
    }
}

/* Tiles where there are as many queries; for one, row by row (vector_scores.h says why: here it is 1.8 ms instead of 5.6). */
static void sums_int8(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                      size_t q_count, size_t n)
{
    size_t q = 0;
    for (; q + TILE <= q_count; q += TILE) {
        int32_t bias[TILE];
        for (size_t i = 0; i < TILE; i++)
            bias[i] = sb_bias_int8(queries + (q + i) * n, n);
        for (size_t r = 0; r < count; r += TILE)
            tile(sums + q * ld + r, ld, rows + r * n, count - r < TILE ? count - r : TILE, queries + q * n, bias, n);
    }
    for (; q < q_count; q++) {
        int32_t bias = sb_bias_int8(queries + q * n, n);
        for (size_t r = 0; r < count; r++)
            sums[q * ld + r] = sum_int8(rows + r * n, queries + q * n, n) - bias;
    }
}

/* (a - 128)(b - 128) = a (b - 128) - 128 (b - 128); subtracting 128 from a byte flips its upper bit. */
static int32_t pair_int8(const uint8_t *a, const uint8_t *b, size_t n)
{
    const __m512i flip = _mm512_set1_epi8(-128), ones = _mm512_set1_epi8(1);
    __m512i products = _mm512_setzero_si512(), plain = products;
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        __m512i signed_b = _mm512_xor_si512(_mm512_loadu_si512(b + i), flip);
        products = _mm512_dpbusd_epi32(products, _mm512_loadu_si512(a + i), signed_b);
        plain = _mm512_dpbusd_epi32(plain, ones, signed_b);
    }
    int32_t sum = _mm512_reduce_add_epi32(_mm512_sub_epi32(products, _mm512_slli_epi32(plain, 7)));
    for (; i < n; i++)
        sum += (a[i] - 128) * (b[i] - 128);
    return sum;
}

const struct sb_score_kernels sb_scores_avx512_vnni = {.name = "avx512",
                                                       .runs_here = runs_here,
                                                       .scores_f32 = vector_scores_f32,
                                                       .scores_f16 = vector_scores_f16,
                                                       .sums_int8 = sums_int8,
                                                       .gather_int8 = gather_int8,
                                                       .dot_f32 = vector_dot_f32,
                                                       .dot_f16 = vector_dot_f16,
                                                       .dot_int16 = vector_dot_int16,
                                                       .dot_int8 = vector_dot_int8,
                                                       .pair_f16 = vector_pair_f16,
                                                       .pair_int8 = pair_int8};
#endif
