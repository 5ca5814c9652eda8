/* Scores with AVX2. Bytes are widened to 16 bits first: multiplying them as they are would overflow 16-bit sums. */
#if defined(__x86_64__)
#define SB_VECTOR_BYTES 32
#define SB_TILE_VECTORS 2

#include "base/cpu.h"
#include "kernels/vector_scores.h"

static bool runs_here(void)
{
    return sb_cpu()->avx2 && sb_cpu()->fma && sb_cpu()->f16c;
}

SB_INLINE __m128i load16(const void *from)
{
    return _mm_loadu_si128((const __m128i_u *)from);
}

SB_INLINE int32_t sum_lanes(__m256i v)
{
    __m128i half_sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    half_sum = _mm_add_epi32(half_sum, _mm_shuffle_epi32(half_sum, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(half_sum, _mm_shuffle_epi32(half_sum, 0xB1)));
}

/* Sum of row * query, the row's bytes as they are stored. */
SB_INLINE int32_t sum_int8(const uint8_t *row, const int8_t *query, size_t n)
{
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_add_epi32(
            s0, _mm256_madd_epi16(_mm256_cvtepu8_epi16(load16(row + i)), _mm256_cvtepi8_epi16(load16(query + i))));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_cvtepu8_epi16(load16(row + i + 16)),
                                                    _mm256_cvtepi8_epi16(load16(query + i + 16))));
    }
    int32_t sum = sum_lanes(_mm256_add_epi32(s0, s1));
    for (; i < n; i++)
        sum += row[i] * query[i];
    return sum;
}

void sb_sums_int8_avx2(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                       size_t q_count, size_t n)
{
    for (size_t q = 0; q < q_count; q++) {
        int32_t bias = sb_bias_int8(queries + q * n, n);
        for (size_t r = 0; r < count; r++)
            sums[q * ld + r] = sum_int8(rows + r * n, queries + q * n, n) - bias;
    }
}

void sb_gather_int8_avx2(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                         size_t n)
{
    int32_t bias = sb_bias_int8(query, n);
    for (size_t j = 0; j < count; j++)
        sums[j] = sum_int8(rows + which[j] * n, query, n) - bias;
}

int32_t sb_pair_int8_avx2(const uint8_t *a, const uint8_t *b, size_t n)
{
    const __m256i bias = _mm256_set1_epi16(128);
    __m256i s = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_sub_epi16(_mm256_cvtepu8_epi16(load16(a + i)), bias),
                                                  _mm256_sub_epi16(_mm256_cvtepu8_epi16(load16(b + i)), bias)));
    int32_t sum = sum_lanes(s);
    for (; i < n; i++)
        sum += (a[i] - 128) * (b[i] - 128);
    return sum;
}

const struct sb_score_kernels sb_scores_avx2 = {.name = "avx2",
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
