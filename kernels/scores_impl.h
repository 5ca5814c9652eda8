/* The tables of scores.h that the variants define, and what they share. Only kernels/ includes this. */
#ifndef SB_KERNELS_SCORES_IMPL_H
#define SB_KERNELS_SCORES_IMPL_H

#include "kernels/scores.h"

extern const struct sb_score_kernels sb_scores_plain, sb_scores_vector128;
#if defined(__x86_64__)
extern const struct sb_score_kernels sb_scores_avx2, sb_scores_avx512, sb_scores_avx512_vnni;

void sb_sums_int8_avx2(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                       size_t q_count, size_t n);
void sb_gather_int8_avx2(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                         size_t n);
int32_t sb_pair_int8_avx2(const uint8_t *a, const uint8_t *b, size_t n);
#endif

void sb_sums_int8_plain(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                        size_t q_count, size_t n);
void sb_gather_int8_plain(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                          size_t n);
int32_t sb_pair_int8_plain(const uint8_t *a, const uint8_t *b, size_t n);

/* What the 128 that is added to each stored byte adds to the sum. */
static inline int32_t sb_bias_int8(const int8_t *query, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += query[i];
    return 128 * sum;
}

#endif
