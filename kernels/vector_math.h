/*
 * Vectors of SB_LANES floats by GCC's vector extension, and the functions that a transformer needs on them. One source for
 * every instruction set: the file that includes this is compiled with the flags of its variant. Everything here is static.
 *
 * Error bounds (tests/unit/kernels/test_math.c measures them against double precision): exp 3e-7 relative with fused
 * multiply-add, without it (vector128) 3e-7 (1 + |x| / 6), for the rounding of x log2 e; gelu, its tanh form and swish 4e-7
 * absolute below |x| = 1, relative to |x| above; tanh 3e-7 absolute.
 */
#ifndef SB_KERNELS_VECTOR_MATH_H
#define SB_KERNELS_VECTOR_MATH_H

#include "kernels/kernels.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SB_LANES (SB_VECTOR_BYTES / 4)
/* A tile of sums in registers (vector_tile.h). With 32 registers, 6 rows x 4 vectors keep 24 sums, 4 vectors of weights and one
   broadcast; with 16 registers 6 x 2. */
#define SB_TILE_ROWS 6
#define SB_TILE_COLUMNS (SB_TILE_VECTORS * SB_LANES)
#define SB_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(SB_VECTOR_BYTES)));
typedef int32_t ivec __attribute__((vector_size(SB_VECTOR_BYTES)));
typedef float vec_unaligned __attribute__((vector_size(SB_VECTOR_BYTES), aligned(4), may_alias));

SB_INLINE vec vec_load(const float *p)
{
    return *(const vec_unaligned *)p;
}

SB_INLINE void vec_store(float *p, vec v)
{
    *(vec_unaligned *)p = v;
}

/* All bits of the first n lanes set, n <= SB_LANES. */
SB_INLINE ivec vec_first_lanes(size_t n)
{
    static const int32_t sequence[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ivec lane;
    memcpy(&lane, sequence, sizeof lane);
    return lane < (int32_t)n - (ivec){0};
}

/* The first n lanes from memory, the others zero; n < SB_LANES. */
SB_INLINE vec vec_load_part(const float *p, size_t n)
{
#if SB_VECTOR_BYTES == 64
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif SB_VECTOR_BYTES == 32
    return (vec)_mm256_maskload_ps(p, (__m256i)vec_first_lanes(n));
#else
    vec v = {0};
    memcpy(&v, p, n * sizeof *p);
    return v;
#endif
}

SB_INLINE void vec_store_part(float *p, vec v, size_t n)
{
#if SB_VECTOR_BYTES == 64
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif SB_VECTOR_BYTES == 32
    _mm256_maskstore_ps(p, (__m256i)vec_first_lanes(n), (__m256)v);
#else
    memcpy(p, &v, n * sizeof *p);
#endif
}

/* n up to SB_LANES; where n is SB_LANES as a constant, a plain load or store. */
SB_INLINE vec vec_load_lanes(const float *p, size_t n)
{
    return n == SB_LANES ? vec_load(p) : vec_load_part(p, n);
}

SB_INLINE void vec_store_lanes(float *p, vec v, size_t n)
{
    if (n == SB_LANES)
        vec_store(p, v);
    else
        vec_store_part(p, v, n);
}

SB_INLINE vec vec_set(float x)
{
    return x - (vec){0};
}

/* mask has all bits of a lane set or none: what comparing vectors gives. */
SB_INLINE vec vec_select(ivec mask, vec yes, vec no)
{
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

/* GCC does not find the maximum instruction in a compare and a select. */
SB_INLINE vec vec_max(vec a, vec b)
{
#if SB_VECTOR_BYTES == 64
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif SB_VECTOR_BYTES == 32
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_select(a > b, a, b);
#endif
}

SB_INLINE vec vec_min(vec a, vec b)
{
#if SB_VECTOR_BYTES == 64
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif SB_VECTOR_BYTES == 32
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vec_select(a < b, a, b);
#endif
}

SB_INLINE vec vec_abs(vec a)
{
    return (vec)((ivec)a & 0x7FFFFFFF);
}

/* Lane i of the result is lane (i + by) of v, by < 16. */
SB_INLINE vec vec_rotate(vec v, int by)
{
#if defined(__clang__)
    vec rotated;
    for (int i = 0; i < SB_LANES; i++)
        rotated[i] = v[(i + by) % SB_LANES];
    return rotated;
#else /* GCC makes one shuffle of its builtin, which takes indices modulo the lanes */
    static const int32_t sequence[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    ivec from;
    memcpy(&from, sequence + by, sizeof from);
    return __builtin_shuffle(v, from);
#endif
}

/* Lanes added pairwise: halves, quarters, ...: one fixed order. */
SB_INLINE float vec_sum(vec v)
{
#pragma GCC unroll 4
    for (int half = SB_LANES / 2; half > 0; half /= 2)
        v += vec_rotate(v, half);
    return v[0];
}

SB_INLINE float vec_largest(vec v)
{
#pragma GCC unroll 4
    for (int half = SB_LANES / 2; half > 0; half /= 2)
        v = vec_max(v, vec_rotate(v, half));
    return v[0];
}

/* exp(x) = 2^(n + f), n = round(x log2 e), |f| <= 1/2; 2^f by a polynomial of degree 5 (relative error 7.5e-8, least squares
   reweighted to equal ripples). log2 e in two parts, so that f has no error of its own. Below -87.3 the result is 0, above 88.3
   it stays at exp(88.3). Adding and subtracting 1.5 * 2^23 rounds to the nearest integer. */
SB_INLINE vec vec_exp(vec x)
{
    const float round_bias = 0x1.8p23f;
    ivec representable = x >= vec_set(-87.3f);
    x = vec_min(vec_max(x, vec_set(-87.3f)), vec_set(88.3f));
    vec shifted = x * 1.44269502f + round_bias;
    vec n = shifted - round_bias;
    vec f = x * 1.44269502f - n;
    f = x * 1.92596299e-8f + f;
    vec p = vec_set(1.3276470e-3f);
    p = p * f + 9.6755413e-3f;
    p = p * f + 5.5507133e-2f;
    p = p * f + 2.4022120e-1f;
    p = p * f + 6.9314697e-1f;
    p = p * f + 1.0f;
    ivec scaled = (ivec)p + ((ivec)shifted << 23); /* the low bits of `shifted` are n; those above fall out */
    return (vec)(scaled & representable);
}

/* 1 / x, within 1 ulp. */
SB_INLINE vec vec_reciprocal(vec x)
{
#if SB_VECTOR_BYTES == 64 /* an estimate of 14 bits and one Newton step take a third of a division's time */
    vec estimate = (vec)_mm512_rcp14_ps((__m512)x);
    return estimate * (2.0f - x * estimate);
#else
    return 1.0f / x;
#endif
}

/* (1 - erf(z)) exp(z^2) for z >= 0: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; 1 - erf(z) from it has
   |error| <= 1.5e-7. */
SB_INLINE vec vec_scaled_erfc(vec z)
{
    vec t = vec_reciprocal(1.0f + 0.3275911f * z);
    vec p = vec_set(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    return p * t;
}

SB_INLINE vec vec_erfc(vec z)
{
    return vec_scaled_erfc(z) * vec_exp(-(z * z));
}

SB_INLINE vec vec_sigmoid(vec x)
{
    return vec_reciprocal(1.0f + vec_exp(-x));
}

SB_INLINE vec vec_tanh(vec x)
{
    return 2.0f * vec_sigmoid(2.0f * x) - 1.0f;
}

/* gelu(x) = x/2 (1 + erf(x / sqrt 2)); the tail form on either side of 0 avoids cancellation. */
SB_INLINE vec vec_gelu(vec x)
{
    vec tail = 0.5f * x * vec_erfc(vec_abs(x) * 0.70710678f);
    return vec_select(x > vec_set(0), x - tail, tail);
}

SB_INLINE vec vec_gelu_tanh(vec x)
{
    return x * vec_sigmoid(1.5957691f * (x + 0.044715f * x * x * x)); /* (1 + tanh(u)) / 2 = sigmoid(2u) */
}

SB_INLINE vec vec_activate(vec x, enum sb_act act)
{
    switch (act) {
    case SB_ACT_GELU: return vec_gelu(x);
    case SB_ACT_GELU_TANH: return vec_gelu_tanh(x);
    case SB_ACT_RELU: return vec_max(x, vec_set(0));
    case SB_ACT_SWISH: return x * vec_sigmoid(x);
    case SB_ACT_TANH: return vec_tanh(x);
    case SB_ACT_NONE: break;
    }
    return x;
}

#endif
