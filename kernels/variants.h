/*
 * The tables that the variants define. Only choose.c picks from them.
 */
#ifndef SB_KERNELS_VARIANTS_H
#define SB_KERNELS_VARIANTS_H

#include "kernels/kernels.h"
#include "kernels/training_kernels.h"

extern const struct sb_kernels sb_kernels_plain;     /* plain C, the reference that the others are tested against */
extern const struct sb_kernels sb_kernels_vector128; /* any processor */
#if defined(__x86_64__)
extern const struct sb_kernels sb_kernels_avx2;
extern const struct sb_kernels sb_kernels_avx512;
extern const struct sb_attention_kernel sb_attention_avx512_bf16;
#endif

extern const struct sb_training_kernels sb_training_plain;

extern const struct sb_linear_kernel sb_linear_plain_f32, sb_linear_plain_bf16, sb_linear_plain_int8;
extern const struct sb_linear_kernel sb_linear_vector128_f32, sb_linear_openblas_f32;
#if defined(__x86_64__)
extern const struct sb_linear_kernel sb_linear_avx2_f32, sb_linear_avx512_f32, sb_linear_avx512_bf16,
    sb_linear_avx512_vnni;
#endif

#endif
