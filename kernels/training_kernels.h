/*
 * The arithmetic that only training needs, behind the same choice of variants: sb_kernels_choose(...)->training.
 *
 *     const struct sb_training_kernels *t = kernels->training;
 *     t->layer_norm_backward(dx, dy, x, gamma, eps, rows, n);
 *
 * As everywhere in kernels/, an output element is summed in one fixed order. Matrices are row-major, `ld_x` is the distance
 * between rows of x in elements, pointers need float alignment only, nothing past the given sizes is read or written.
 * d... is the gradient of the loss by that variable. Thread rule: no state.
 */
#ifndef SB_KERNELS_TRAINING_KERNELS_H
#define SB_KERNELS_TRAINING_KERNELS_H

#include "kernels/kernels.h"

struct sb_training_kernels {
    /* c[rows, columns] = a[rows, depth] @ b[depth, columns]. For the small products of attention. */
    void (*matmul)(float *c, size_t ld_c, const float *a, size_t ld_a, const float *b, size_t ld_b, size_t rows,
                   size_t depth, size_t columns);

    /* to[column, row] = from[row, column] */
    void (*transpose)(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t columns);

    /* x[n] = softmax(x * scale), in place. */
    void (*softmax)(float *x, size_t n, float scale);

    /* For p = softmax(x * scale): dx[i] = scale * p[i] * (dp[i] - sum_j p[j] dp[j]). dx may be dp. */
    void (*softmax_backward)(float *dx, const float *p, const float *dp, size_t n, float scale);

    /* x[i] = exp(x[i] - shift) * scale: with shift = log sum exp(x), a row of probabilities. */
    void (*exp_scale)(float *x, size_t n, float shift, float scale);

    /* dx[i] *= act'(x[i]), x before the activation. */
    void (*activate_backward)(float *dx, const float *x, size_t n, enum sb_act act);

    /* y = LayerNorm(x) * gamma + beta: dx from dy. Mean and variance are computed again from x. dx may be dy. */
    void (*layer_norm_backward)(float *dx, const float *dy, const float *x, const float *gamma, float eps, size_t rows,
                                size_t n);
    /* dgamma[n] += sum over rows of dy * (x - mean) / sqrt(variance + eps); dbeta[n] += sum over rows of dy. In order of rows. */
    void (*layer_norm_gradients)(float *dgamma, float *dbeta, const float *dy, const float *x, float eps, size_t rows,
                                 size_t n);

    /* sum[n] += sum over rows of x[row, n], in order of rows: the gradient of a bias. */
    void (*add_rows)(float *sum, const float *x, size_t ld_x, size_t rows, size_t n);

    /* y[i] += scale * x[i] */
    void (*add_scaled)(float *y, const float *x, float scale, size_t n);
};

/* Fills panels [first_panel, first_panel + panels) of a packed matrix W[out, in] from floats, in the arithmetic of its kernel
   (f32 or bf16). transposed false: W = source, row-major [out, in]. transposed true: source is [in, out] and W its transpose.
   The last panel's outputs past `out` become 0. Panels of sb_packed_panels(packed) in all; different panels may be filled by
   different threads. Gives what sb_packed_row gives, faster; only subnormal floats may become 0 in bf16, as which the processor
   multiplies them anyway. */
void sb_packed_fill(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed, size_t first_panel,
                    size_t panels);
size_t sb_packed_panels(const struct sb_packed *packed);

#endif
