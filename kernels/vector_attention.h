/*
 * Attention of packed rows and of single decoding steps. Per head, the keys are laid out transposed and the values padded to
 * whole vectors, so that both products are tiles:
 *
 *     scores[6, keys]      = Q[6, key_size]  @ K^T[key_size, keys]
 *     out[6, value_size]   = softmax(scores) @ V[keys, value_size]
 *
 * A key that a query may not see gets probability 0, which adds exactly nothing: results do not depend on what lies behind.
 */
#ifndef SB_KERNELS_VECTOR_ATTENTION_H
#define SB_KERNELS_VECTOR_ATTENTION_H

#include "kernels/vector_rows.h"
#include "kernels/vector_tile.h"
#include "kernels/vector_transpose.h"

SB_INLINE size_t whole_vectors(size_t n)
{
    return (n + SB_LANES - 1) / SB_LANES * SB_LANES;
}

/* Tiles side by side: C[rows, columns] for any number of columns. */
static void tiles(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t depth,
                  size_t rows, size_t columns)
{
    for (size_t j = 0; j < columns; j += SB_TILE_COLUMNS) {
        size_t n = columns - j < SB_TILE_COLUMNS ? columns - j : SB_TILE_COLUMNS;
        tile(c + j, ld_c, a, ld_a, b + j, ld_b, depth, rows, n);
    }
}

/* transposed[key_size][ld_keys], the columns past `keys` zero. */
static void lay_out_keys(float *transposed, size_t ld_keys, const float *k, size_t ld_k, size_t keys, size_t key_size)
{
    if (keys < ld_keys)
        for (size_t d = 0; d < key_size; d++)
            vec_store(transposed + (d + 1) * ld_keys - SB_LANES, (vec){0});
    vector_transpose(transposed, ld_keys, k, ld_k, keys, key_size);
}

static void lay_out_values(float *padded, size_t ld_values, const float *v, size_t ld_v, size_t keys, size_t value_size)
{
    for (size_t j = 0; j < keys; j++) {
        memcpy(padded + j * ld_values, v + j * ld_v, value_size * sizeof *v);
        memset(padded + j * ld_values + value_size, 0, (ld_values - value_size) * sizeof *v);
    }
}

static void vector_attention(const struct sb_attention *a)
{
    size_t ld_keys = whole_vectors(a->keys), ld_values = whole_vectors(a->value_size);
    float *keys = a->scratch, *values = keys + a->key_size * ld_keys, *scores = values + a->keys * ld_values;
    float scale = 1.0f / sqrtf((float)a->key_size);
    for (size_t h = 0; h < a->heads; h++) {
        lay_out_keys(keys, ld_keys, a->k + h * a->key_size, a->ld_k, a->keys, a->key_size);
        lay_out_values(values, ld_values, a->v + h * a->value_size, a->ld_v, a->keys, a->value_size);
        for (size_t i = 0; i < a->queries; i += SB_TILE_ROWS) {
            size_t n = a->queries - i < SB_TILE_ROWS ? a->queries - i : SB_TILE_ROWS, seen = 0;
            for (size_t r = 0; r < n; r++)
                seen = (size_t)a->visible[i + r] > seen ? (size_t)a->visible[i + r] : seen;
            tiles(scores, ld_keys, a->q + i * a->ld_q + h * a->key_size, a->ld_q, keys, ld_keys, a->key_size, n, seen);
            for (size_t r = 0; r < n; r++)
                row_softmax(scores + r * ld_keys, (size_t)a->visible[i + r], whole_vectors(seen), scale);
            tiles(a->out + i * a->ld_out + h * a->value_size, a->ld_out, scores, ld_keys, values, ld_values, seen, n,
                  a->value_size);
        }
    }
}

/* What the compiler makes of `c += a * b` on vectors, for one float: left to itself it would split this one. */
SB_INLINE float multiply_add(float a, float b, float c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* scores[count] = q . keys, each summed in the order of d as a tile sums it, so that a step gives the bits that the whole row
   would. Up to
   eight independent chains hide the latency. */
SB_INLINE void score_keys(float *scores, const float *q, const float *const *keys, size_t offset, size_t key_size,
                          const int count)
{
    float sum[8] = {0};
    const float *k[8];
#pragma GCC unroll 8
    for (int j = 0; j < count; j++)
        k[j] = keys[j] + offset;
    for (size_t d = 0; d < key_size; d++)
#pragma GCC unroll 8
        for (int j = 0; j < count; j++)
            sum[j] = multiply_add(q[d], k[j][d], sum[j]);
#pragma GCC unroll 8
    for (int j = 0; j < count; j++)
        scores[j] = sum[j];
}

static void vector_attention_step(const struct sb_attention_step *a)
{
    float scale = 1.0f / sqrtf((float)a->key_size);
    for (size_t h = 0; h < a->heads; h++) {
        size_t j = 0;
        for (; j + 8 <= a->count; j += 8)
            score_keys(a->scratch + j, a->q + h * a->key_size, a->keys + j, h * a->key_size, a->key_size, 8);
        for (; j < a->count; j++)
            score_keys(a->scratch + j, a->q + h * a->key_size, a->keys + j, h * a->key_size, a->key_size, 1);
        row_softmax(a->scratch, a->count, whole_vectors(a->count), scale);
        size_t d = 0, offset = h * a->value_size;
        for (; d + SB_LANES <= a->value_size; d += SB_LANES) {
            vec sum = {0};
            for (j = 0; j < a->count; j++)
                sum += a->scratch[j] * vec_load(a->values[j] + offset + d);
            vec_store(a->out + offset + d, sum);
        }
        for (; d < a->value_size; d++) {
            float sum = 0;
            for (j = 0; j < a->count; j++)
                sum += a->scratch[j] * a->values[j][offset + d];
            a->out[offset + d] = sum;
        }
    }
}

#endif
