/* Initialisers against Keras' statistics and bounds, and orthogonal matrices against numpy's QR. */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/initialise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const cJSON *row, const char *key)
{
    return cJSON_GetObjectItem(row, key)->valuedouble;
}

struct moments {
    double mean, std, largest, kurtosis;
};

static struct moments moments_of(const float *x, size_t n)
{
    struct moments m = {0};
    double fourth = 0;
    for (size_t i = 0; i < n; i++) {
        m.mean += (double)x[i] / (double)n;
        m.largest = fmax(m.largest, fabs((double)x[i]));
    }
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - m.mean;
        m.std += d * d / (double)n;
        fourth += d * d * d * d / (double)n;
    }
    m.kurtosis = fourth / (m.std * m.std) - 3;
    m.std = sqrt(m.std);
    return m;
}

/* |x x^T - 1| or |x^T x - 1|, whichever is the smaller matrix; its largest element. */
static double off_orthonormal(const float *x, size_t rows, size_t columns)
{
    bool by_rows = rows <= columns;
    size_t few = by_rows ? rows : columns, many = by_rows ? columns : rows;
    double worst = 0;
    for (size_t i = 0; i < few; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = i == j ? -1 : 0;
            for (size_t k = 0; k < many; k++)
                sum += (double)x[by_rows ? i * columns + k : k * columns + i] *
                       (double)x[by_rows ? j * columns + k : k * columns + j];
            worst = fmax(worst, fabs(sum));
        }
    return worst;
}

/* Theirs are called glorot_... and their matrices are [in, out]. */
static enum sb_init_kind kind_of(const char *keras)
{
    char name[64];
    enum sb_init_kind kind;
    bool glorot = strncmp(keras, "glorot", 6) == 0;
    snprintf(name, sizeof name, "%s%s", glorot ? "xavier" : "", keras + (glorot ? 6 : 0));
    ck_assert_int_eq(sb_init_kind_named(&kind, name, NULL), SB_OK);
    return kind;
}

START_TEST(statistics)
{
    cJSON *json = cJSON_Parse(whole_file(golden("init/statistics.json"), NULL)), *row;
    int rows = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "rows"))
    {
        const char *keras = cJSON_GetObjectItem(row, "initialiser")->valuestring;
        struct sb_initialiser initialiser = {.kind = kind_of(keras), .std = 0.02, .seed = 11};
        size_t in = (size_t)number(row, "in"), out = (size_t)number(row, "out"), n = in * out;
        float *x = malloc(n * sizeof *x);
        ck_assert_int_eq(sb_initialise(x, out, in, &initialiser, "w", NULL), SB_OK);
        struct moments m = moments_of(x, n);
        /* Six standard errors of the mean, of the standard deviation and of the kurtosis. */
        double std = number(row, "expected_std"), error = 6 / sqrt((double)n);
        ck_assert_msg(fabs(m.mean) <= std * error, "%s: mean %g", keras, m.mean);
        ck_assert_msg(fabs(m.std / std - 1) <= error, "%s %zu x %zu: std %g, not %g", keras, out, in, m.std, std);
        ck_assert_msg(fabs(m.kurtosis - number(row, "keras_excess_kurtosis")) <= 10 * error, "%s: kurtosis %g, not %g",
                      keras, m.kurtosis, number(row, "keras_excess_kurtosis"));
        const cJSON *bound = cJSON_GetObjectItem(row, "bound");
        if (cJSON_IsNumber(bound)) {
            ck_assert_msg(m.largest <= bound->valuedouble * (1 + 1e-6), "%s: %g", keras, m.largest);
            ck_assert_msg(m.largest >= bound->valuedouble * 0.99, "%s: %g is far from its bound", keras, m.largest);
        }
        if (initialiser.kind == SB_INIT_ORTHOGONAL)
            ck_assert_double_lt(off_orthonormal(x, out, in), 1e-6);
        free(x);
        rows++;
    }
    ck_assert_int_eq(rows, 45);
    cJSON_Delete(json);
}
END_TEST

START_TEST(orthogonal_golden)
{
    struct golden_tensors tensors = golden_open("init/tensors.safetensors");
    const size_t shapes[][2] = {{10, 6}, {6, 10}, {7, 7}};
    for (size_t n = 0; n < 3; n++) {
        size_t rows = shapes[n][0], columns = shapes[n][1];
        bool tall = rows >= columns;
        size_t few = tall ? columns : rows, many = tall ? rows : columns;
        char name[32];
        snprintf(name, sizeof name, "orthogonal%zu/normal", n); /* [many, few] */
        const float *normal = golden_f32(&tensors, name, NULL);
        double x[70];
        for (size_t i = 0; i < few; i++)
            for (size_t j = 0; j < many; j++)
                x[i * many + j] = (double)normal[j * few + i];
        sb_orthogonalise(x, few, many);
        snprintf(name, sizeof name, "orthogonal%zu/out", n);
        const float *want = golden_f32(&tensors, name, NULL);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++)
                ck_assert_double_eq_tol(x[tall ? j * many + i : i * many + j], (double)want[i * columns + j], 1e-6);
    }
    golden_close(&tensors);
}
END_TEST

START_TEST(truncated_keeps_std)
{
    enum { N = 200 * 200 };
    float *x = malloc(N * sizeof *x);
    struct sb_initialiser initialiser = {.kind = SB_INIT_TRUNCATED_NORMAL, .std = 0.5, .keep_std = true, .seed = 3};
    ck_assert_int_eq(sb_initialise(x, 200, 200, &initialiser, "w", NULL), SB_OK);
    ck_assert_double_eq_tol(moments_of(x, N).std, 0.5, 0.01);
    free(x);
}
END_TEST

/* A value depends on seed, name and index; not on how many values are asked for. */
START_TEST(functions_of_seed_and_name)
{
    for (int kind = SB_INIT_NORMAL; kind < SB_INIT_ORTHOGONAL; kind++) {
        struct sb_initialiser initialiser = {.kind = (enum sb_init_kind)kind, .std = 1, .seed = 5};
        float a[64], b[64], other[64];
        ck_assert_int_eq(sb_initialise(a, 8, 8, &initialiser, "head.weight", NULL), SB_OK);
        ck_assert_int_eq(sb_initialise(b, 8, 8, &initialiser, "head.weight", NULL), SB_OK);
        ck_assert_mem_eq(a, b, sizeof a);
        ck_assert_int_eq(sb_initialise(other, 8, 8, &initialiser, "head.weighu", NULL), SB_OK);
        for (int i = 0; i < 64; i++)
            ck_assert(a[i] != other[i]);
        initialiser.seed = 6;
        ck_assert_int_eq(sb_initialise(other, 8, 8, &initialiser, "head.weight", NULL), SB_OK);
        for (int i = 0; i < 64; i++)
            ck_assert(a[i] != other[i]);
    }
    struct sb_initialiser normal = {.kind = SB_INIT_TRUNCATED_NORMAL, .std = 1, .seed = 5};
    float few[16], many[64];
    ck_assert_int_eq(sb_initialise(few, 2, 8, &normal, "t", NULL), SB_OK);
    ck_assert_int_eq(sb_initialise(many, 8, 8, &normal, "t", NULL), SB_OK);
    ck_assert_mem_eq(few, many, sizeof few); /* a vocabulary that grows keeps its first rows */
}
END_TEST

START_TEST(new_parameters_only)
{
    struct sb_parameter items[] = {
        {.name = "bert.pooler.dense.weight", .rank = 2, .rows = 3, .columns = 4, .offset = 0, .is_new = true},
        {.name = "bert.pooler.dense.bias", .rank = 1, .rows = 1, .columns = 3, .offset = 12, .is_new = true},
        {.name = "cls.transform.LayerNorm.weight", .rank = 1, .rows = 1, .columns = 4, .offset = 15, .is_new = true},
        {.name = "old.weight", .rank = 2, .rows = 2, .columns = 2, .offset = 19},
        {.name = "bert.embeddings.word_embeddings.weight",
         .rank = 2,
         .rows = 5,
         .columns = 4,
         .offset = 23,
         .is_new = true},
    };
    struct sb_parameters parameters = {items, 5, 43};
    float values[43];
    for (int i = 0; i < 43; i++)
        values[i] = 9;
    struct sb_initialiser initialiser = {.kind = SB_INIT_ORTHOGONAL, .seed = 1};
    ck_assert_int_eq(sb_initialise_new(values, &parameters, &initialiser, NULL), SB_OK);
    ck_assert_double_lt(off_orthonormal(values, 3, 4), 1e-6);
    for (int i = 12; i < 23; i++)
        ck_assert(values[i] == (i < 15 ? 0.0F : i < 19 ? 1.0F : 9.0F));
    for (int i = 23; i < 43; i++)
        ck_assert(values[i] != 9.0F && fabsf(values[i]) <= 0.04F);
}
END_TEST

START_TEST(refuses)
{
    float x[4];
    enum sb_init_kind kind;
    struct sb_initialiser initialiser = {.kind = SB_INIT_NORMAL, .std = -1};
    ck_assert_int_eq(sb_initialise(x, 2, 2, &initialiser, "w", NULL), SB_INVALID);
    initialiser.std = (double)INFINITY;
    ck_assert_int_eq(sb_initialise(x, 2, 2, &initialiser, "w", NULL), SB_INVALID);
    ck_assert_int_eq(sb_init_kind_named(&kind, "xavier", NULL), SB_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/initialise");
    TCase *tests = tcase_create("initialise");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, statistics);
    tcase_add_test(tests, orthogonal_golden);
    tcase_add_test(tests, truncated_keeps_std);
    tcase_add_test(tests, functions_of_seed_and_name);
    tcase_add_test(tests, new_parameters_only);
    tcase_add_test(tests, refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
