/* AVX2 with fused multiply-add: 16 registers of 8 floats. Compiled with the flags that the Makefile gives avx2_*.c. */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 32
#define SB_TILE_VECTORS 2

#include "base/cpu.h"
#include "kernels/variants.h"
#include "kernels/vector_attention.h"
#include "kernels/vector_fill.h"
#include "kernels/vector_linear_f32.h"
#include "kernels/vector_rows.h"
#include "kernels/vector_training.h"

static bool runs_here(void)
{
    return sb_cpu()->avx2 && sb_cpu()->fma && sb_cpu()->f16c;
}

const struct sb_linear_kernel sb_linear_avx2_f32 = {.name = "avx2-f32",
                                                    .dtype = SB_PACKED_F32,
                                                    .is_fast = true,
                                                    .panel_width = SB_TILE_COLUMNS,
                                                    .runs_here = runs_here,
                                                    .run = vector_linear_f32,
                                                    .fill = vector_fill_f32};

const struct sb_kernels sb_kernels_avx2 = {
    .name = "avx2",
    .runs_here = runs_here,
    .layer_norm = vector_layer_norm,
    .activate = vector_activate,
    .attention = vector_attention,
    .attention_step = vector_attention_step,
    .dot = vector_dot,
    .scores = vector_scores,
    .log_sum_exp = vector_log_sum_exp,
    .training = &vector_training,
};
#endif
