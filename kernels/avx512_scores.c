/* Scores with AVX-512, for processors that lack its dot products of bytes (avx512_vnni_scores.c). */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 64
#define SB_TILE_VECTORS 4

#include "base/cpu.h"
#include "kernels/vector_scores.h"

static bool runs_here(void)
{
    return sb_cpu()->avx512f && sb_cpu()->avx512bw && sb_cpu()->avx512dq && sb_cpu()->avx512vl && sb_cpu()->fma;
}

const struct sb_score_kernels sb_scores_avx512 = {.name = "avx512",
                                                  .runs_here = runs_here,
                                                  .scores_f32 = vector_scores_f32,
                                                  .scores_f16 = vector_scores_f16,
                                                  .sums_int8 = sb_sums_int8_avx2,
                                                  .gather_int8 = sb_gather_int8_avx2,
                                                  .dot_f32 = vector_dot_f32,
                                                  .dot_f16 = vector_dot_f16,
                                                  .dot_int16 = vector_dot_int16,
                                                  .dot_int8 = vector_dot_int8,
                                                  .pair_f16 = vector_pair_f16,
                                                  .pair_int8 = sb_pair_int8_avx2};
#endif
