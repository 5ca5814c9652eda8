/* Scores with vectors of four floats: any processor. */
#define SB_VECTOR_BYTES 16
#define SB_TILE_VECTORS 2

#include "kernels/vector_scores.h"

static bool runs_here(void)
{
    return true;
}

const struct sb_score_kernels sb_scores_vector128 = {.name = "vector128",
                                                     .runs_here = runs_here,
                                                     .scores_f32 = vector_scores_f32,
                                                     .scores_f16 = vector_scores_f16,
                                                     .sums_int8 = sb_sums_int8_plain,
                                                     .gather_int8 = sb_gather_int8_plain,
                                                     .dot_f32 = vector_dot_f32,
                                                     .dot_f16 = vector_dot_f16,
                                                     .dot_int16 = vector_dot_int16,
                                                     .dot_int8 = vector_dot_int8,
                                                     .pair_f16 = vector_pair_f16,
                                                     .pair_int8 = sb_pair_int8_plain};
