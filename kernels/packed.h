/*
 * How packed weights lie in memory. Panels hold panel_width outputs each, the last one padded with zeros; within a panel the
 * inputs are in order, in groups as large as the instruction multiplies at once:
 *
 *     f32:   [in]            [panel_width]       float
 *     bf16:  [ceil(in / 2)]  [panel_width][2]    bfloat16
 *     int8:  [ceil(in / 4)]  [panel_width][4]    int8; behind all panels: float scale[padded out], int32 sum[padded out]
 *
 * int8: W[o][i] = scale[o] * q[o][i], |q| <= 127; sum[o] = q[o][0] + q[o][1] + ..., with which the zero point of x is taken out.
 *
 * x converted for a row of bf16: [ceil(in / 2)][2] bfloat16; of int8: uint8 [in rounded up to 64], x[i] = scale (q[i] - zero).
 */
#ifndef SB_KERNELS_PACKED_H
#define SB_KERNELS_PACKED_H

#include "kernels/kernels.h"

#include <stdint.h>
#include <string.h>

static inline size_t sb_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static inline const float *sb_int8_scales(const struct sb_packed *w)
{
    size_t out = sb_round_up(w->out, w->kernel->panel_width);
    return (const float *)((const char *)w->panels + out * sb_round_up(w->in, 4));
}

static inline const int32_t *sb_int8_sums(const struct sb_packed *w)
{
    return (const int32_t *)(sb_int8_scales(w) + sb_round_up(w->out, w->kernel->panel_width));
}

/* Converted x of one row of int8. */
struct sb_int8_row {
    float scale;
    int32_t zero; /* 0..255 */
};

/* Scratch of int8: first the [rows] heads, 64-byte aligned in all, then [rows][in rounded up to 64] bytes. */
static inline uint8_t *sb_int8_values(void *scratch, size_t rows)
{
    return (uint8_t *)scratch + sb_round_up(rows * sizeof(struct sb_int8_row), 64);
}

static inline float sb_bf16_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Round to nearest even, as the processor's own conversion does; NaN stays NaN. */
static inline uint16_t sb_float_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
