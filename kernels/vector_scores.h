/*
 * Scores by vectors of SB_LANES floats, one source for every instruction set (kernels/vector_math.h). A tile of
 * SCORE_ROWS rows x SCORE_QUERIES queries keeps its sums in registers, so that what is loaded is used several times. A single
 * query is bound by memory instead, and takes one row behind the other, as the processor reads ahead best: of several rows at
 * a time it takes twice as long (100,000 x 512: f32 17 ms instead of 7.5, f16 11 instead of 4.1).
 */
#ifndef SB_KERNELS_VECTOR_SCORES_H
#define SB_KERNELS_VECTOR_SCORES_H

#include "base/dtype.h"
#include "kernels/scores_impl.h"
#include "kernels/vector_math.h"

/* 16 sums, 4 + 1 operands of 32 registers; 8 sums and 2 + 1 of 16. */
#define SCORE_ROWS (SB_TILE_VECTORS > 2 ? 4 : 2)
#define SCORE_QUERIES 4

typedef uint8_t bytes __attribute__((vector_size(SB_LANES)));

/* SB_LANES elements of a stored vector, beginning at element i, as floats. */
SB_INLINE vec load_f32(const void *row, size_t i)
{
    return vec_load((const float *)row + i);
}

SB_INLINE vec load_f16(const void *row, size_t i)
{
    const uint16_t *from = (const uint16_t *)row + i;
#if SB_VECTOR_BYTES == 64
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(const void *)from));
#elif SB_VECTOR_BYTES == 32
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(const void *)from));
#else
    float floats[SB_LANES];
    sb_to_f32(floats, from, SB_F16, SB_LANES);
    return vec_load(floats);
#endif
}

/* The values of bytes, with the 128 still in them. */
SB_INLINE vec load_bytes(const uint8_t *from)
{
#if SB_VECTOR_BYTES == 64
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)(const void *)from)));
#elif SB_VECTOR_BYTES == 32
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)(const void *)from)));
#else
    bytes b;
    memcpy(&b, from, sizeof b);
    return __builtin_convertvector(b, vec);
#endif
}

SB_INLINE float half(uint16_t bits)
{
    float value;
    sb_to_f32(&value, &bits, SB_F16, 1);
    return value;
}

/* scores[q * ld + r] for `count` rows and `q_count` queries, which the compiler knows. rows are `size` bytes an
   element. */
SB_INLINE void score_tile(float *scores, size_t ld, const char *rows, size_t size, size_t count, const float *queries,
                          size_t q_count, size_t n, vec (*load)(const void *, size_t))
{
    vec sums[SCORE_ROWS][SCORE_QUERIES] = {{{0}}};
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES) {
        vec row[SCORE_ROWS];
        for (size_t r = 0; r < count; r++)
            row[r] = load(rows + r * n * size, i);
        for (size_t q = 0; q < q_count; q++) {
            vec query = vec_load(queries + q * n + i);
            for (size_t r = 0; r < count; r++)
                sums[r][q] += row[r] * query;
        }
    }
    for (size_t q = 0; q < q_count; q++)
        for (size_t r = 0; r < count; r++) {
            float sum = vec_sum(sums[r][q]);
            for (size_t j = i; j < n; j++) {
                const char *element = rows + (r * n + j) * size;
                sum += (size == sizeof(float) ? *(const float *)(const void *)element
                                              : half(*(const uint16_t *)(const void *)element)) *
                       queries[q * n + j];
            }
            scores[q * ld + r] = sum;
        }
}

/* Full tiles of rows, then what is left one by one, for numbers of queries and of rows at a time that the compiler knows. */
SB_INLINE void score_strip(float *scores, size_t ld, const char *rows, size_t size, size_t count, size_t at_once,
                           const float *queries, size_t q_count, size_t n, vec (*load)(const void *, size_t))
{
    size_t r = 0;
    for (; r + at_once <= count; r += at_once)
        score_tile(scores + r, ld, rows + r * n * size, size, at_once, queries, q_count, n, load);
    for (; r < count; r++)
        score_tile(scores + r, ld, rows + r * n * size, size, 1, queries, q_count, n, load);
}

SB_INLINE void score_all(float *scores, size_t ld, const char *rows, size_t size, size_t count, const float *queries,
                         size_t q_count, size_t n, vec (*load)(const void *, size_t))
{
    size_t q = 0;
    for (; q + SCORE_QUERIES <= q_count; q += SCORE_QUERIES)
        score_strip(scores + q * ld, ld, rows, size, count, SCORE_ROWS, queries + q * n, SCORE_QUERIES, n, load);
    for (; q < q_count; q++)
        score_strip(scores + q * ld, ld, rows, size, count, 1, queries + q * n, 1, n, load);
}

static void vector_scores_f32(float *scores, size_t ld, const float *rows, size_t count, const float *queries,
                              size_t q_count, size_t n)
{
    score_all(scores, ld, (const char *)rows, sizeof *rows, count, queries, q_count, n, load_f32);
}

static void vector_scores_f16(float *scores, size_t ld, const uint16_t *rows, size_t count, const float *queries,
                              size_t q_count, size_t n)
{
    score_all(scores, ld, (const char *)rows, sizeof *rows, count, queries, q_count, n, load_f16);
}

/* Two chains of sums hide half of the latency; what is left of it the loads need. */
static float vector_dot_f32(const float *a, const float *x, size_t n)
{
    vec s0 = {0}, s1 = {0};
    size_t i = 0;
    for (; i + 2 * SB_LANES <= n; i += 2 * SB_LANES) {
        s0 += vec_load(a + i) * vec_load(x + i);
        s1 += vec_load(a + i + SB_LANES) * vec_load(x + i + SB_LANES);
    }
    float sum = vec_sum(s0 + s1);
    for (; i < n; i++)
        sum += a[i] * x[i];
    return sum;
}

static float vector_dot_f16(const uint16_t *a, const float *x, size_t n)
{
    vec s0 = {0}, s1 = {0};
    size_t i = 0;
    for (; i + 2 * SB_LANES <= n; i += 2 * SB_LANES) {
        s0 += load_f16(a, i) * vec_load(x + i);
        s1 += load_f16(a, i + SB_LANES) * vec_load(x + i + SB_LANES);
    }
    float sum = vec_sum(s0 + s1);
    for (; i < n; i++)
        sum += half(a[i]) * x[i];
    return sum;
}

static float vector_dot_int16(const uint8_t *high, const uint8_t *low, const float *x, size_t n)
{
    vec s0 = {0}, s1 = {0};
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES) {
        s0 += (load_bytes(high + i) - 128.0f) * vec_load(x + i);
        s1 += (load_bytes(low + i) - 128.0f) * vec_load(x + i);
    }
    float sum = vec_sum(s0 * 256.0f + s1);
    for (; i < n; i++)
        sum += (float)(256 * (high[i] - 128) + low[i] - 128) * x[i];
    return sum;
}

static float vector_dot_int8(const uint8_t *a, const float *x, size_t n)
{
    vec s0 = {0}, s1 = {0};
    size_t i = 0;
    for (; i + 2 * SB_LANES <= n; i += 2 * SB_LANES) {
        s0 += (load_bytes(a + i) - 128.0f) * vec_load(x + i);
        s1 += (load_bytes(a + i + SB_LANES) - 128.0f) * vec_load(x + i + SB_LANES);
    }
    float sum = vec_sum(s0 + s1);
    for (; i < n; i++)
        sum += (float)(a[i] - 128) * x[i];
    return sum;
}

static float vector_pair_f16(const uint16_t *a, const uint16_t *b, size_t n)
{
    vec s0 = {0}, s1 = {0};
    size_t i = 0;
    for (; i + 2 * SB_LANES <= n; i += 2 * SB_LANES) {
        s0 += load_f16(a, i) * load_f16(b, i);
        s1 += load_f16(a, i + SB_LANES) * load_f16(b, i + SB_LANES);
    }
    float sum = vec_sum(s0 + s1);
    for (; i < n; i++)
        sum += half(a[i]) * half(b[i]);
    return sum;
}

#endif
