/*
 * Similarities of stored vectors: what a search computes. Vectors lie in one of four forms, queries are float.
 *
 *     const struct sb_score_kernels *k = sb_score_kernels_choose(sb_kernels_choose(NULL, NULL));
 *     k->scores_f32(scores, 256, matrix, 256, queries, 8, 512);       // 8 queries against 256 rows of 512
 *
 * The score functions share a pass over the rows among all queries; a score does not depend on what else is computed, but
 * may differ from dot's by rounding. Sums of integers are exact: all variants give the same.
 *
 * Bytes are stored with 128 added: values -128..127 as 0..255, because the processor multiplies unsigned by signed.
 * Thread rule: tables are immutable; kernels keep no state.
 */
#ifndef SB_KERNELS_SCORES_H
#define SB_KERNELS_SCORES_H

#include "kernels/kernels.h"

#include <stdint.h>

struct sb_score_kernels {
    const char *name; /* of the sb_kernels that it goes with */
    bool (*runs_here)(void);

    /* scores[q * ld + r] = sum over i of rows[r, i] * queries[q, i]: rows[count, n], queries[q_count, n]. */
    void (*scores_f32)(float *scores, size_t ld, const float *rows, size_t count, const float *queries, size_t q_count,
                       size_t n);
    void (*scores_f16)(float *scores, size_t ld, const uint16_t *rows, size_t count, const float *queries,
                       size_t q_count, size_t n);
    /* sums[q * ld + r] = sum of (rows[r, i] - 128) * queries[q, i]; n at most 65536. */
    void (*sums_int8)(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                      size_t q_count, size_t n);
    /* sums[j] = the same for row which[j] of rows[*, n]. */
    void (*gather_int8)(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                        size_t n);

    /* Sum of a[i] * x[i], where a is one stored vector: f16; 256 * (high - 128) + (low - 128); bytes - 128. */
    float (*dot_f32)(const float *a, const float *x, size_t n);
    float (*dot_f16)(const uint16_t *a, const float *x, size_t n);
    float (*dot_int16)(const uint8_t *high, const uint8_t *low, const float *x, size_t n);
    float (*dot_int8)(const uint8_t *a, const float *x, size_t n);

    /* Of two stored vectors. */
    float (*pair_f16)(const uint16_t *a, const uint16_t *b, size_t n);
    int32_t (*pair_int8)(const uint8_t *a, const uint8_t *b, size_t n);
};

/* The table that goes with the kernels' variant; the plain one if that variant has none that runs here and is right. */
const struct sb_score_kernels *sb_score_kernels_choose(const struct sb_kernels *kernels);

/* Every table that this processor runs, the plain one first; NULL past the last. */
const struct sb_score_kernels *sb_score_kernels_at(size_t index);

#endif
