#include "retrieval/vectors.h"

#include "base/dtype.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INT8_MOST = 127, INT16_MOST = 256 * 127 + 127, BIAS = 128 };
static const float f16_most = 65504;

static size_t element_size(enum sb_vectors form)
{
    return form == SB_VECTORS_F32 ? sizeof(float) : form == SB_VECTORS_F16 ? sizeof(uint16_t) : 1;
}

static bool has_scale(enum sb_vectors form)
{
    return form == SB_VECTORS_INT16 || form == SB_VECTORS_INT8;
}

size_t sb_vector_stored_size(enum sb_vectors form, size_t dimensions)
{
    return (has_scale(form) ? sizeof(float) : 0) + dimensions * (form == SB_VECTORS_INT16 ? 2 : element_size(form));
}

bool sb_matrix_reserve(struct sb_matrix *m, size_t rows)
{
    size_t elements, bytes;
    if (__builtin_mul_overflow(rows, m->dimensions, &elements) ||
        __builtin_mul_overflow(elements, element_size(m->form), &bytes))
        return false;
    return sb_region_reserve(&m->main, bytes) &&
           (m->form != SB_VECTORS_INT16 || sb_region_reserve(&m->low, elements)) &&
           (!has_scale(m->form) || sb_region_reserve(&m->scales, rows * sizeof(float)));
}

void sb_matrix_free(struct sb_matrix *m)
{
    sb_region_free(&m->main);
    sb_region_free(&m->low);
    sb_region_free(&m->scales);
}

static float largest(const float *vector, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(vector[i]));
    return most;
}

/* What one step is worth; 0 for a vector so small that the scale would lose its precision. */
static float step_of(const float *vector, size_t n, int steps)
{
    float scale = largest(vector, n) / (float)steps;
    return scale >= FLT_MIN ? scale : 0;
}

static int round_to(float x, float scale, int most)
{
    int value = scale > 0 ? (int)lrintf(x / scale) : 0;
    return value > most ? most : value < -most ? -most : value;
}

static void encode_int8(uint8_t *stored, const float *vector, size_t n)
{
    float scale = step_of(vector, n, INT8_MOST);
    memcpy(stored, &scale, sizeof scale);
    for (size_t i = 0; i < n; i++)
        stored[sizeof scale + i] = (uint8_t)(round_to(vector[i], scale, INT8_MOST) + BIAS);
}

static void encode_int16(uint8_t *stored, const float *vector, size_t n)
{
    float scale = step_of(vector, n, INT16_MOST);
    uint8_t *high = stored + sizeof scale, *low = high + n;
    memcpy(stored, &scale, sizeof scale);
    for (size_t i = 0; i < n; i++) {
        int value = round_to(vector[i], scale, INT16_MOST) + 256 * BIAS + BIAS; /* not negative */
        high[i] = (uint8_t)(value >> 8);
        low[i] = (uint8_t)(value & 0xFF);
    }
}

bool sb_vector_encode(void *stored, enum sb_vectors form, const float *vector, size_t n)
{
    switch (form) {
    case SB_VECTORS_F16:
        sb_from_f32(stored, SB_F16, vector, n);
        return largest(vector, n) <= f16_most;
    case SB_VECTORS_INT16: encode_int16(stored, vector, n); return true;
    case SB_VECTORS_INT8: encode_int8(stored, vector, n); return true;
    default: memcpy(stored, vector, n * sizeof *vector); return true;
    }
}

static char *main_row(const struct sb_matrix *m, size_t row)
{
    return (char *)m->main.data + row * m->dimensions * element_size(m->form);
}

static uint8_t *low_row(const struct sb_matrix *m, size_t row)
{
    return (uint8_t *)m->low.data + row * m->dimensions;
}

void sb_matrix_put(struct sb_matrix *m, size_t row, const void *stored)
{
    const char *from = stored;
    if (has_scale(m->form)) {
        float scale;
        memcpy(&scale, from, sizeof scale);
        ((float *)m->scales.data)[row] = m->form == SB_VECTORS_INT16 ? 256 * scale : scale;
        from += sizeof scale;
    }
    size_t bytes = m->dimensions * element_size(m->form);
    memcpy(main_row(m, row), from, bytes);
    if (m->form == SB_VECTORS_INT16)
        memcpy(low_row(m, row), from + bytes, m->dimensions);
}

void sb_matrix_move(struct sb_matrix *m, size_t to, size_t from)
{
    if (to == from)
        return;
    memcpy(main_row(m, to), main_row(m, from), m->dimensions * element_size(m->form));
    if (m->form == SB_VECTORS_INT16)
        memcpy(low_row(m, to), low_row(m, from), m->dimensions);
    if (has_scale(m->form))
        ((float *)m->scales.data)[to] = ((float *)m->scales.data)[from];
}

void sb_matrix_get(const struct sb_matrix *m, size_t row, float *vector)
{
    const char *main = main_row(m, row);
    if (!has_scale(m->form)) {
        sb_to_f32(vector, main, m->form == SB_VECTORS_F16 ? SB_F16 : SB_F32, m->dimensions);
        return;
    }
    const uint8_t *high = (const uint8_t *)main, *low = low_row(m, row);
    float scale = ((const float *)m->scales.data)[row];
    for (size_t i = 0; i < m->dimensions; i++) {
        float value = (float)(high[i] - BIAS);
        if (m->form == SB_VECTORS_INT16)
            value += (float)(low[i] - BIAS) / 256;
        vector[i] = value * scale;
    }
}

float sb_matrix_dot(const struct sb_matrix *m, const struct sb_score_kernels *k, size_t row, const float *query)
{
    const void *main = main_row(m, row);
    const float *scales = m->scales.data;
    switch (m->form) {
    case SB_VECTORS_F16: return k->dot_f16(main, query, m->dimensions);
    case SB_VECTORS_INT16: return scales[row] / 256 * k->dot_int16(main, low_row(m, row), query, m->dimensions);
    case SB_VECTORS_INT8: return scales[row] * k->dot_int8(main, query, m->dimensions);
    default: return k->dot_f32(main, query, m->dimensions);
    }
}

float sb_matrix_pair(const struct sb_matrix *m, const struct sb_score_kernels *k, size_t a, size_t b)
{
    const void *x = main_row(m, a), *y = main_row(m, b);
    const float *scales = m->scales.data;
    switch (m->form) {
    case SB_VECTORS_F16: return k->pair_f16(x, y, m->dimensions);
    case SB_VECTORS_F32: return k->dot_f32(x, y, m->dimensions);
    default: return scales[a] * scales[b] * (float)k->pair_int8(x, y, m->dimensions);
    }
}

bool sb_queries_init(struct sb_queries *queries, const struct sb_matrix *m, const float *vectors, size_t count)
{
    *queries = (struct sb_queries){.vectors = vectors, .count = count};
    if (!has_scale(m->form))
        return true;
    size_t n = m->dimensions;
    queries->bytes = malloc(count * n);
    queries->scales = malloc(count * sizeof *queries->scales);
    if (!queries->bytes || !queries->scales) {
        sb_queries_free(queries);
        return false;
    }
    for (size_t q = 0; q < count; q++) {
        queries->scales[q] = step_of(vectors + q * n, n, INT8_MOST);
        for (size_t i = 0; i < n; i++)
            queries->bytes[q * n + i] = (int8_t)round_to(vectors[q * n + i], queries->scales[q], INT8_MOST);
    }
    return true;
}

void sb_queries_free(struct sb_queries *queries)
{
    free(queries->bytes);
    free(queries->scales);
    *queries = (struct sb_queries){0};
}

void sb_matrix_scan(float *scores, size_t ld, const struct sb_matrix *m, const struct sb_score_kernels *k, size_t first,
                    size_t rows, const struct sb_queries *queries, size_t q_first, size_t q_count)
{
    size_t n = m->dimensions;
    const void *main = main_row(m, first);
    const float *vectors = queries->vectors + q_first * n;
    if (m->form == SB_VECTORS_F32) {
        k->scores_f32(scores, ld, main, rows, vectors, q_count, n);
    } else if (m->form == SB_VECTORS_F16) {
        k->scores_f16(scores, ld, main, rows, vectors, q_count, n);
    } else {
        /* the sums turn into scores where they are */
        int32_t *sums = (int32_t *)(void *)scores;
        _Static_assert(sizeof *sums == sizeof *scores, "a score takes the place of its sum");
        const float *scales = (const float *)m->scales.data + first;
        k->sums_int8(sums, ld, main, rows, queries->bytes + q_first * n, q_count, n);
        for (size_t q = 0; q < q_count; q++)
            for (size_t r = 0; r < rows; r++) {
                int32_t sum;
                memcpy(&sum, &sums[q * ld + r], sizeof sum);
                scores[q * ld + r] = queries->scales[q_first + q] * scales[r] * (float)sum;
            }
    }
}

/* Each row lies somewhere else: its cache lines are asked for before they are needed. */
static void prefetch_row(const struct sb_matrix *m, size_t row)
{
    const char *at = main_row(m, row);
    for (size_t i = 0; i < m->dimensions * element_size(m->form); i += 64)
        __builtin_prefetch(at + i);
}

void sb_matrix_gather(float *scores, const struct sb_matrix *m, const struct sb_score_kernels *k, const uint32_t *which,
                      size_t count, const struct sb_queries *queries, size_t q)
{
    enum { AT_ONCE = 64 };
    size_t n = m->dimensions;
    const float *scales = m->scales.data;
    if (!has_scale(m->form)) {
        for (size_t i = 0; i < count; i++) {
            if (i + 1 < count)
                prefetch_row(m, which[i + 1]);
            scores[i] = sb_matrix_dot(m, k, which[i], queries->vectors + q * n);
        }
        return;
    }
    for (size_t first = 0; first < count; first += AT_ONCE) {
        int32_t sums[AT_ONCE];
        size_t some = count - first < AT_ONCE ? count - first : AT_ONCE;
        k->gather_int8(sums, m->main.data, which + first, some, queries->bytes + q * n, n);
        for (size_t i = 0; i < some; i++)
            scores[first + i] = queries->scales[q] * scales[which[first + i]] * (float)sums[i];
    }
}
