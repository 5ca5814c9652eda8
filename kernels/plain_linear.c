/*
 * Linear layers in plain C, in each arithmetic: what the fast kernels are tested against, and what runs where none is fast.
 * Row-blocked only as far as it takes for the compiler to keep a panel's sums in registers.
 */
#include "kernels/packed.h"
#include "kernels/plain_act.h"
#include "kernels/variants.h"

#include <math.h>

enum { PANEL_WIDTH = 16 };

static bool always(void)
{
    return true;
}

static void finish(float *y, const float *sums, size_t columns, const float *bias, const float *residual,
                   enum sb_act act)
{
    for (size_t j = 0; j < columns; j++)
        y[j] = plain_act(sums[j] + (bias ? bias[j] : 0), act) + (residual ? residual[j] : 0);
}

/* sums[16] of one row over one panel. */
static void sum_f32(float *sums, const float *x, const float *panel, size_t in)
{
    for (size_t j = 0; j < PANEL_WIDTH; j++)
        sums[j] = 0;
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < PANEL_WIDTH; j++)
            sums[j] += x[i] * panel[i * PANEL_WIDTH + j];
}

static void sum_bf16(float *sums, const uint16_t *x, const uint16_t *panel, size_t in)
{
    for (size_t j = 0; j < PANEL_WIDTH; j++)
        sums[j] = 0;
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < PANEL_WIDTH; j++)
            sums[j] += sb_bf16_float(x[i]) * sb_bf16_float(panel[i / 2 * PANEL_WIDTH * 2 + j * 2 + i % 2]);
}

static void sum_int8(float *sums, const uint8_t *x, struct sb_int8_row head, const int8_t *panel, size_t in,
                     const float *scales, const int32_t *weight_sums)
{
    int32_t total[PANEL_WIDTH] = {0};
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < PANEL_WIDTH; j++)
            total[j] += (int32_t)x[i] * panel[i / 4 * PANEL_WIDTH * 4 + j * 4 + i % 4];
    for (size_t j = 0; j < PANEL_WIDTH; j++)
        sums[j] = (float)(total[j] - head.zero * weight_sums[j]) * (head.scale * scales[j]);
}

/* The formula of avx512_vnni_linear.c, one value at a time. */
static struct sb_int8_row quantise_row(uint8_t *q, const float *x, size_t n)
{
    float least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    float scale = (most - least) / 255, inverse = scale > 0 ? 1 / scale : 0;
    long zero = lrintf(-least * inverse);
    for (size_t i = 0; i < n; i++) {
        long value = lrintf(x[i] * inverse) + zero;
        q[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    return (struct sb_int8_row){scale, (int32_t)zero};
}

static void plain_linear(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                         const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    enum sb_act act = epilogue ? epilogue->activation : SB_ACT_NONE;
    float sums[PANEL_WIDTH];
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * ld_x;
        struct sb_int8_row head = {0};
        uint16_t *rounded = scratch;
        if (w->kernel->dtype == SB_PACKED_INT8)
            head = quantise_row(scratch, row, w->in);
        for (size_t i = 0; w->kernel->dtype == SB_PACKED_BF16 && i < w->in; i++)
            rounded[i] = sb_float_bf16(row[i]);
        for (size_t o = 0; o < w->out; o += PANEL_WIDTH) {
            size_t columns = w->out - o < PANEL_WIDTH ? w->out - o : PANEL_WIDTH;
            switch (w->kernel->dtype) {
            case SB_PACKED_BF16:
                sum_bf16(sums, rounded, (const uint16_t *)w->panels + o * sb_round_up(w->in, 2), w->in);
                break;
            case SB_PACKED_INT8:
                sum_int8(sums, scratch, head, (const int8_t *)w->panels + o * sb_round_up(w->in, 4), w->in,
                         sb_int8_scales(w) + o, sb_int8_sums(w) + o);
                break;
            default: sum_f32(sums, row, (const float *)w->panels + o * w->in, w->in);
            }
            finish(y + r * ld_y + o, sums, columns, bias ? bias + o : NULL,
                   epilogue && epilogue->residual ? epilogue->residual + r * epilogue->ld_residual + o : NULL, act);
        }
    }
}

const struct sb_linear_kernel sb_linear_plain_f32 = {.name = "plain-f32",
                                                     .dtype = SB_PACKED_F32,
                                                     .is_fast = false,
                                                     .panel_width = PANEL_WIDTH,
                                                     .runs_here = always,
                                                     .run = plain_linear};
const struct sb_linear_kernel sb_linear_plain_bf16 = {.name = "plain-bf16",
                                                      .dtype = SB_PACKED_BF16,
                                                      .is_fast = false,
                                                      .panel_width = PANEL_WIDTH,
                                                      .runs_here = always,
                                                      .run = plain_linear};
const struct sb_linear_kernel sb_linear_plain_int8 = {.name = "plain-int8",
                                                      .dtype = SB_PACKED_INT8,
                                                      .is_fast = false,
                                                      .panel_width = PANEL_WIDTH,
                                                      .runs_here = always,
                                                      .run = plain_linear};
