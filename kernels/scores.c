/* Which table of scores runs here, and computes right. */
#include "kernels/scores.h"

#include "base/cpu.h"
#include "base/log.h"
#include "kernels/scores_impl.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* Slowest first; of two with one name the later one is preferred. */
static const struct sb_score_kernels *const tables[] = {
    &sb_scores_plain, &sb_scores_vector128,
#if defined(__x86_64__)
    &sb_scores_avx2,  &sb_scores_avx512,    &sb_scores_avx512_vnni,
#endif
};
enum { TABLES = sizeof tables / sizeof *tables, ROWS = 5, QUERIES = 5, SIZE = 75 };

static bool trusted[TABLES];
static pthread_once_t checked = PTHREAD_ONCE_INIT;

/* Rows and queries in every form, different everywhere, without a random generator. */
struct sample {
    float rows[ROWS * SIZE], queries[QUERIES * SIZE];
    uint16_t halves[ROWS * SIZE];
    uint8_t bytes[ROWS * SIZE];
    int8_t signed_bytes[QUERIES * SIZE];
};

static void fill(struct sample *s)
{
    for (int i = 0; i < ROWS * SIZE; i++) {
        s->rows[i] = sinf(0.4f + 1.7f * (float)i);
        s->queries[i] = sinf(0.9f + 2.3f * (float)i);
        s->halves[i] = (uint16_t)(0x3000 + (i * 2654435) % 0x800);
        s->bytes[i] = (uint8_t)(i * 151 + 255);
        s->signed_bytes[i] = (int8_t)(127 - i * 89 % 255);
    }
}

static bool near(float a, float b)
{
    return fabsf(a - b) <= 1e-4f * fmaxf(1.0f, fabsf(b)); /* a NaN is not */
}

static bool scores_agree(const struct sb_score_kernels *k, const struct sample *s)
{
    float x[QUERIES * ROWS], y[QUERIES * ROWS];
    int32_t a[QUERIES * ROWS], b[QUERIES * ROWS];
    bool good = true;
    k->scores_f32(x, ROWS, s->rows, ROWS, s->queries, QUERIES, SIZE);
    sb_scores_plain.scores_f32(y, ROWS, s->rows, ROWS, s->queries, QUERIES, SIZE);
    for (int i = 0; i < QUERIES * ROWS; i++)
        good = good && near(x[i], y[i]);
    k->scores_f16(x, ROWS, s->halves, ROWS, s->queries, QUERIES, SIZE);
    sb_scores_plain.scores_f16(y, ROWS, s->halves, ROWS, s->queries, QUERIES, SIZE);
    for (int i = 0; i < QUERIES * ROWS; i++)
        good = good && near(x[i], y[i]);
    k->sums_int8(a, ROWS, s->bytes, ROWS, s->signed_bytes, QUERIES, SIZE);
    sb_scores_plain.sums_int8(b, ROWS, s->bytes, ROWS, s->signed_bytes, QUERIES, SIZE);
    good = good && memcmp(a, b, sizeof a) == 0;
    static const uint32_t which[] = {4, 0, 3, 3, 1};
    k->gather_int8(a, s->bytes, which, ROWS, s->signed_bytes, SIZE);
    for (int i = 0; i < ROWS; i++)
        good = good && a[i] == b[which[i]];
    return good;
}

static bool dots_agree(const struct sb_score_kernels *k, const struct sample *s)
{
    const struct sb_score_kernels *plain = &sb_scores_plain;
    const uint8_t *other = s->bytes + SIZE;
    return near(k->dot_f32(s->rows, s->queries, SIZE), plain->dot_f32(s->rows, s->queries, SIZE)) &&
           near(k->dot_f16(s->halves, s->queries, SIZE), plain->dot_f16(s->halves, s->queries, SIZE)) &&
           near(k->dot_int16(s->bytes, other, s->queries, SIZE), plain->dot_int16(s->bytes, other, s->queries, SIZE)) &&
           near(k->dot_int8(s->bytes, s->queries, SIZE), plain->dot_int8(s->bytes, s->queries, SIZE)) &&
           near(k->pair_f16(s->halves, s->halves + SIZE, SIZE), plain->pair_f16(s->halves, s->halves + SIZE, SIZE)) &&
           k->pair_int8(s->bytes, other, SIZE) == plain->pair_int8(s->bytes, other, SIZE);
}

static void check_all(void)
{
    struct sample sample;
    fill(&sample);
    for (size_t i = 0; i < TABLES; i++) {
        if (!tables[i]->runs_here())
            continue;
        trusted[i] = scores_agree(tables[i], &sample) && dots_agree(tables[i], &sample);
        if (!trusted[i])
            sb_log(SB_LOG_ERROR, "kernels", "%s: scores are wrong on this processor (%s); the plain ones are used",
                   tables[i]->name, sb_cpu()->model);
    }
}

const struct sb_score_kernels *sb_score_kernels_choose(const struct sb_kernels *kernels)
{
    pthread_once(&checked, check_all);
    const struct sb_score_kernels *best = &sb_scores_plain, *last = &sb_scores_plain;
    for (size_t i = 0; i < TABLES; i++)
        if (trusted[i]) {
            last = tables[i];
            if (strcmp(tables[i]->name, kernels->name) == 0)
                best = tables[i];
        }
    /* OpenBLAS has no scores of its own: it goes with the fastest */
    return strcmp(kernels->name, "openblas") == 0 ? last : best;
}

const struct sb_score_kernels *sb_score_kernels_at(size_t index)
{
    pthread_once(&checked, check_all);
    for (size_t i = 0; i < TABLES; i++)
        if (trusted[i] && index-- == 0)
            return tables[i];
    return NULL;
}
