/* Scores in plain C: the reference that the others are tested against. */
#include "base/dtype.h"
#include "kernels/scores_impl.h"

static bool runs_here(void)
{
    return true;
}

static float half(uint16_t bits)
{
    float value;
    sb_to_f32(&value, &bits, SB_F16, 1);
    return value;
}

static float dot_f32(const float *a, const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * x[i];
    return sum;
}

static float dot_f16(const uint16_t *a, const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += half(a[i]) * x[i];
    return sum;
}

static float dot_int16(const uint8_t *high, const uint8_t *low, const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (float)(256 * (high[i] - 128) + low[i] - 128) * x[i];
    return sum;
}

static float dot_int8(const uint8_t *a, const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (float)(a[i] - 128) * x[i];
    return sum;
}

static float pair_f16(const uint16_t *a, const uint16_t *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += half(a[i]) * half(b[i]);
    return sum;
}

int32_t sb_pair_int8_plain(const uint8_t *a, const uint8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - 128) * (b[i] - 128);
    return sum;
}

static void scores_f32(float *scores, size_t ld, const float *rows, size_t count, const float *queries, size_t q_count,
                       size_t n)
{
    for (size_t q = 0; q < q_count; q++)
        for (size_t r = 0; r < count; r++)
            scores[q * ld + r] = dot_f32(rows + r * n, queries + q * n, n);
}

static void scores_f16(float *scores, size_t ld, const uint16_t *rows, size_t count, const float *queries,
                       size_t q_count, size_t n)
{
    for (size_t q = 0; q < q_count; q++)
        for (size_t r = 0; r < count; r++)
            scores[q * ld + r] = dot_f16(rows + r * n, queries + q * n, n);
}

void sb_sums_int8_plain(int32_t *sums, size_t ld, const uint8_t *rows, size_t count, const int8_t *queries,
                        size_t q_count, size_t n)
{
    for (size_t q = 0; q < q_count; q++) {
        int32_t bias = sb_bias_int8(queries + q * n, n);
        for (size_t r = 0; r < count; r++) {
            int32_t sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += rows[r * n + i] * queries[q * n + i];
            sums[q * ld + r] = sum - bias;
        }
    }
}

void sb_gather_int8_plain(int32_t *sums, const uint8_t *rows, const uint32_t *which, size_t count, const int8_t *query,
                          size_t n)
{
    for (size_t j = 0; j < count; j++)
        sb_sums_int8_plain(&sums[j], 1, rows + which[j] * n, 1, query, 1, n);
}

const struct sb_score_kernels sb_scores_plain = {.name = "plain",
                                                 .runs_here = runs_here,
                                                 .scores_f32 = scores_f32,
                                                 .scores_f16 = scores_f16,
                                                 .sums_int8 = sb_sums_int8_plain,
                                                 .gather_int8 = sb_gather_int8_plain,
                                                 .dot_f32 = dot_f32,
                                                 .dot_f16 = dot_f16,
                                                 .dot_int16 = dot_int16,
                                                 .dot_int8 = dot_int8,
                                                 .pair_f16 = pair_f16,
                                                 .pair_int8 = sb_pair_int8_plain};
