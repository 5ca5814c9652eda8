/*
 * Attention in bfloat16 with VDPBF16PS: queries, keys, probabilities and values are rounded to bfloat16, sums and the softmax are
 * float. The layout is that of vector_attention.h with pairs in place of single numbers, two keys or two dimensions at a time:
 *
 *     scores[6, keys]     = Q[6, key_size / 2 pairs]  @ K^T[key_size / 2, keys] of pairs
 *     out[6, value_size]  = P[6, keys / 2 pairs]      @ V[keys / 2, value_size] of pairs
 *
 * Compiled with the flags that the Makefile gives avx512_bf16_*.c.
 */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 64
#define SB_TILE_VECTORS 4

#include "base/cpu.h"
#include "kernels/packed.h"
#include "kernels/variants.h"
#include "kernels/vector_softmax.h"
#include "kernels/vector_transpose.h"

#include <math.h>


/* A pair of bfloat16 moves as one 32-bit lane. */
typedef int32_t pair;

static size_t whole_vectors(size_t n)
{
    return (n + SB_LANES - 1) / SB_LANES * SB_LANES;
}

/* to[n / 2 pairs, rounded up] = x[n] in bfloat16, an odd last one with a zero beside it. */
static void round_row(pair *to, const float *x, size_t n)
{
    uint16_t *out = (uint16_t *)to;
    size_t i = 0;
    for (; i + SB_LANES <= n; i += SB_LANES)
        _mm256_storeu_si256((__m256i *)(out + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
    for (; i < n; i++)
        out[i] = sb_float_bf16(x[i]);
    if (n % 2)
        out[n] = 0;
}

/* c[rows, columns] = a[rows, depth] @ b[depth, columns], depth in pairs. rows and vectors are constants after inlining; b is
   readable to whole vectors. */
SB_INLINE void tile_pairs(float *c, size_t ld_c, const pair *a, size_t ld_a, const pair *b, size_t ld_b, size_t depth,
                          size_t columns, const int rows, const int vectors)
{
    __m512 sum[SB_TILE_ROWS][SB_TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sum[i][j] = _mm512_setzero_ps();
    for (size_t p = 0; p < depth; p++) {
        __m512bh w[SB_TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            w[j] = (__m512bh)_mm512_loadu_si512(b + p * ld_b + (size_t)j * SB_LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(a[(size_t)i * ld_a + p]);
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], x, w[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            size_t first = (size_t)j * SB_LANES;
            if (columns > first) {
                size_t n = columns - first < SB_LANES ? columns - first : SB_LANES;
                _mm512_mask_storeu_ps(c + (size_t)i * ld_c + first, (__mmask16)((1u << n) - 1), sum[i][j]);
            }
        }
}

SB_INLINE void tile_rows(float *c, size_t ld_c, const pair *a, size_t ld_a, const pair *b, size_t ld_b, size_t depth,
                         size_t columns, size_t rows, const int vectors)
{
    switch (rows) {
    case 1: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 1, vectors); break;
    case 2: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 2, vectors); break;
    case 3: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 3, vectors); break;
    case 4: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 4, vectors); break;
    case 5: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 5, vectors); break;
    default: tile_pairs(c, ld_c, a, ld_a, b, ld_b, depth, columns, 6, vectors); break;
    }
}

/* Whole tiles, then single vectors. */
static void multiply(float *c, size_t ld_c, const pair *a, size_t ld_a, const pair *b, size_t ld_b, size_t depth,
                     size_t columns, size_t rows)
{
    size_t j = 0;
    for (; j + (SB_TILE_VECTORS - 1) * SB_LANES < columns; j += SB_TILE_COLUMNS)
        tile_rows(c + j, ld_c, a, ld_a, b + j, ld_b, depth, columns - j, rows, SB_TILE_VECTORS);
    for (; j < columns; j += SB_LANES)
        tile_rows(c + j, ld_c, a, ld_a, b + j, ld_b, depth, columns - j, rows, 1);
}

/* One head's scratch: see sb_attention_scratch, whose float layout is as large. */
struct layout {
    size_t pairs_of_key, ld_keys, ld_values, pairs_of_keys;
    pair *keys;    /* [pairs_of_key, ld_keys] */
    pair *values;  /* [pairs_of_keys, ld_values] */
    pair *rounded; /* [keys, pairs_of_key]: keys before they are turned; then queries, then probabilities */
    float *scores; /* [6, ld_keys] */
};

static struct layout lay_out(const struct sb_attention *a)
{
    struct layout l = {.pairs_of_key = (a->key_size + 1) / 2,
                       .ld_keys = whole_vectors(a->keys),
                       .ld_values = whole_vectors(a->value_size),
                       .pairs_of_keys = (a->keys + 1) / 2};
    l.scores = a->scratch;
    l.keys = (pair *)(l.scores + SB_TILE_ROWS * l.ld_keys);
    l.values = l.keys + l.pairs_of_key * l.ld_keys;
    l.rounded = l.values + l.pairs_of_keys * l.ld_values;
    return l;
}

static void lay_out_keys(const struct layout *l, const float *k, size_t ld_k, size_t keys, size_t key_size)
{
    for (size_t j = 0; j < keys; j++)
        round_row(l->rounded + j * l->pairs_of_key, k + j * ld_k, key_size);
    if (keys < l->ld_keys)
        for (size_t p = 0; p < l->pairs_of_key; p++)
            _mm512_storeu_si512(l->keys + (p + 1) * l->ld_keys - SB_LANES, _mm512_setzero_si512());
    vector_transpose((float *)l->keys, l->ld_keys, (const float *)l->rounded, l->pairs_of_key, keys, l->pairs_of_key);
}

/* Lane d of row j: the values of keys 2j and 2j + 1 in dimension d. */
static void lay_out_values(const struct layout *l, const float *v, size_t ld_v, size_t keys, size_t value_size)
{
    for (size_t j = 0; j < l->pairs_of_keys; j++)
        for (size_t d = 0; d < l->ld_values; d += SB_LANES) {
            size_t n = value_size - d < SB_LANES ? value_size - d : SB_LANES;
            __mmask16 lanes = (__mmask16)((1u << n) - 1), second = 2 * j + 1 < keys ? lanes : 0;
            __m512 a = _mm512_maskz_loadu_ps(lanes, v + 2 * j * ld_v + d),
                   b = _mm512_maskz_loadu_ps(second, v + (2 * j + (second != 0)) * ld_v + d);
            __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a)),
                    high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(b));
            _mm512_storeu_si512(l->values + j * l->ld_values + d, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
}

/* Six queries of one head at most. */
static void attend(const struct sb_attention *a, const struct layout *l, size_t first, size_t n, size_t head, float scale)
{
    size_t seen = 0;
    for (size_t r = 0; r < n; r++) {
        seen = (size_t)a->visible[first + r] > seen ? (size_t)a->visible[first + r] : seen;
        round_row(l->rounded + r * l->pairs_of_key, a->q + (first + r) * a->ld_q + head * a->key_size, a->key_size);
    }
    multiply(l->scores, l->ld_keys, l->rounded, l->pairs_of_key, l->keys, l->ld_keys, l->pairs_of_key, seen, n);
    size_t whole = whole_vectors(seen);
    for (size_t r = 0; r < n; r++) {
        row_softmax(l->scores + r * l->ld_keys, (size_t)a->visible[first + r], whole, scale);
        round_row(l->rounded + r * (l->ld_keys / 2), l->scores + r * l->ld_keys, whole);
    }
    multiply(a->out + first * a->ld_out + head * a->value_size, a->ld_out, l->rounded, l->ld_keys / 2, l->values,
             l->ld_values, (seen + 1) / 2, a->value_size, n);
}

static void attention_bf16(const struct sb_attention *a)
{
    struct layout l = lay_out(a);
    float scale = 1.0f / sqrtf((float)a->key_size);
    for (size_t h = 0; h < a->heads; h++) {
        lay_out_keys(&l, a->k + h * a->key_size, a->ld_k, a->keys, a->key_size);
        lay_out_values(&l, a->v + h * a->value_size, a->ld_v, a->keys, a->value_size);
        for (size_t i = 0; i < a->queries; i += SB_TILE_ROWS)
            attend(a, &l, i, a->queries - i < SB_TILE_ROWS ? a->queries - i : SB_TILE_ROWS, h, scale);
    }
}

static bool runs_here(void)
{
    return sb_kernels_avx512.runs_here() && sb_cpu()->avx512_bf16;
}

const struct sb_attention_kernel sb_attention_avx512_bf16 = {"avx512-bf16", runs_here, attention_bf16};
#endif
