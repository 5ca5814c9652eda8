/* Vectors of 128 bits, which every 64-bit processor has (SSE2, NEON). */
#define SB_VECTOR_BYTES 16
#define SB_TILE_VECTORS 4

#include "kernels/variants.h"
#include "kernels/vector_attention.h"
#include "kernels/vector_fill.h"
#include "kernels/vector_linear_f32.h"
#include "kernels/vector_rows.h"
#include "kernels/vector_training.h"

static bool runs_here(void)
{
    return true;
}

const struct sb_linear_kernel sb_linear_vector128_f32 = {.name = "vector128-f32",
                                                         .dtype = SB_PACKED_F32,
                                                         .is_fast = true,
                                                         .panel_width = SB_TILE_COLUMNS,
                                                         .runs_here = runs_here,
                                                         .run = vector_linear_f32,
                                                         .fill = vector_fill_f32};

const struct sb_kernels sb_kernels_vector128 = {
    .name = "vector128",
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
