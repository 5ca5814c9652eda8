/* Resizing against bert4keras: single tensors, a model loaded with other sizes, a cut vocabulary with compound
   tokens. */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/resize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_close(const float *got, const float *want, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= 1e-6 * fmax(1, fabs((double)want[i])),
                      "%s[%zu]: %.9g, not %.9g", name, i, (double)got[i], (double)want[i]);
}

START_TEST(tensors)
{
    static const size_t cases[][4] = {{8, 8, 8, 16},  {8, 12, 16, 24}, {6, 4, 4, 4},  {8, 8, 12, 20},
                                      {1, 16, 1, 24}, {10, 8, 10, 5},  {4, 6, 9, 13}, {8, 4, 4, 8}};
    struct golden_tensors golden_file = golden_open("init/tensors.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t *c = cases[i];
        char name[32];
        float out[400];
        size_t count;
        snprintf(name, sizeof name, "resize%zu/in", i);
        const float *in = golden_f32(&golden_file, name, &count);
        ck_assert_uint_eq(count, c[0] * c[1]);
        ck_assert_int_eq(sb_resize(out, in, &(struct sb_axis){c[0], c[2], 0}, &(struct sb_axis){c[1], c[3], 1}, NULL),
                         SB_OK);
        snprintf(name, sizeof name, "resize%zu/out", i);
        const float *want = golden_f32(&golden_file, name, &count);
        ck_assert_uint_eq(count, c[2] * c[3]);
        expect_close(out, want, count, name);
    }
    golden_close(&golden_file);
}
END_TEST

START_TEST(groups_stay_apart)
{
    /* Two heads of 4 become two of 6; two of 6 become two of 4. */
    const float in[] = {0, 1, 2, 3, 10, 11, 12, 13}, wide[] = {0, 1, 0, 1, 2, 3, 10, 11, 10, 11, 12, 13};
    const float narrow[] = {0, 1, 0, 1, 10, 11, 10, 11};
    struct sb_axis one = {1, 1, 0};
    float out[12], expected[12];
    double before = 0, after = 0;
    for (int i = 0; i < 8; i++)
        before += (double)in[i] * (double)in[i];
    for (int i = 0; i < 12; i++)
        after += (double)wide[i] * (double)wide[i];
    for (int i = 0; i < 12; i++)
        expected[i] = wide[i] * (float)sqrt(before / after);
    ck_assert_int_eq(sb_resize(out, in, &one, &(struct sb_axis){8, 12, 2}, NULL), SB_OK);
    expect_close(out, expected, 12, "wide");
    ck_assert_int_eq(sb_resize(out, wide, &one, &(struct sb_axis){12, 8, 2}, NULL), SB_OK);
    double left = 0;
    for (int i = 0; i < 8; i++)
        left += (double)narrow[i] * (double)narrow[i];
    for (int i = 0; i < 8; i++)
        expected[i] = narrow[i] * (float)sqrt(after / left);
    expect_close(out, expected, 8, "narrow");
}
END_TEST

START_TEST(zero_stays_zero)
{
    const float zero[4] = {0}, half[4] = {0, 0, 0, 5};
    float out[8];
    struct sb_axis one = {1, 1, 0};
    ck_assert_int_eq(sb_resize(out, zero, &one, &(struct sb_axis){4, 8, 0}, NULL), SB_OK);
    ck_assert(out[0] == 0.0F && out[7] == 0.0F);
    ck_assert_int_eq(sb_resize(out, half, &one, &(struct sb_axis){4, 2, 0}, NULL), SB_OK);
    ck_assert(out[0] == 0.0F && out[1] == 0.0F);
}
END_TEST

/* ---- layer 0 of tiny-bert with key size 16 instead of 8, intermediate size 160 instead of 64 ---- */

enum { H = 32, OLD_I = 64, NEW_I = 160, HEADS = 4, NEW_KEYS = HEADS * 16 };

static const struct resized {
    const char *hf, *tf;
    size_t old[2], new[2]; /* rows 0: a vector */
} resized[] = {
    {"attention.self.query.weight", "attention/self/query/kernel", {H, H}, {NEW_KEYS, H}},
    {"attention.self.query.bias", "attention/self/query/bias", {0, H}, {0, NEW_KEYS}},
    {"attention.self.key.weight", "attention/self/key/kernel", {H, H}, {NEW_KEYS, H}},
    {"attention.self.key.bias", "attention/self/key/bias", {0, H}, {0, NEW_KEYS}},
    {"attention.self.value.weight", "attention/self/value/kernel", {H, H}, {H, H}},
    {"attention.self.value.bias", "attention/self/value/bias", {0, H}, {0, H}},
    {"attention.output.dense.weight", "attention/output/dense/kernel", {H, H}, {H, H}},
    {"attention.output.dense.bias", "attention/output/dense/bias", {0, H}, {0, H}},
    {"intermediate.dense.weight", "intermediate/dense/kernel", {OLD_I, H}, {NEW_I, H}},
    {"intermediate.dense.bias", "intermediate/dense/bias", {0, OLD_I}, {0, NEW_I}},
    {"output.dense.weight", "output/dense/kernel", {H, OLD_I}, {H, NEW_I}},
    {"output.dense.bias", "output/dense/bias", {0, H}, {0, H}},
};
enum { RESIZED = sizeof resized / sizeof *resized };

struct layer {
    struct sb_parameter items[RESIZED];
    struct sb_parameters parameters;
    float *values;
};

static void lay_out(struct layer *layer, bool new)
{
    size_t offset = 0;
    memset(layer, 0, sizeof *layer);
    for (int i = 0; i < RESIZED; i++) {
        const size_t *shape = new ? resized[i].new : resized[i].old;
        struct sb_parameter *p = &layer->items[i];
        snprintf(p->name, sizeof p->name, "bert.encoder.layer.0.%s", resized[i].hf);
        p->rank = shape[0] ? 2 : 1;
        p->rows = shape[0] ? shape[0] : 1;
        p->columns = shape[1];
        p->offset = offset;
        offset += p->rows * p->columns;
    }
    layer->parameters = (struct sb_parameters){layer->items, RESIZED, offset};
    layer->values = calloc(offset, sizeof *layer->values);
}

START_TEST(model)
{
    struct golden_tensors model_file = golden_open("models/tiny-bert/model.safetensors");
    struct golden_tensors golden_file = golden_open("init/resized-model.safetensors");
    struct layer old, new;
    lay_out(&old, false);
    lay_out(&new, true);
    for (int i = 0; i < RESIZED; i++) {
        const struct sb_parameter *p = &old.items[i];
        size_t count;
        const float *tensor = golden_f32(&model_file, p->name, &count);
        ck_assert_uint_eq(count, p->rows * p->columns);
        memcpy(old.values + p->offset, tensor, count * sizeof *tensor);
    }
    struct sb_resize_options options = {.heads = _i ? HEADS : 0}; /* the same, as the key size doubles */
    struct sb_error error;
    ck_assert_msg(sb_resize_parameters(new.values, &new.parameters, old.values, &old.parameters, &options, &error) ==
                      SB_OK,
                  "%s", error.message);
    for (int i = 0; i < RESIZED; i++) {
        const struct sb_parameter *p = &new.items[i];
        char name[128];
        size_t count;
        snprintf(name, sizeof name, "resized/bert/encoder/layer_0/%s", resized[i].tf);
        const float *want = golden_f32(&golden_file, name, &count); /* kernels [in, out] */
        ck_assert_uint_eq(count, p->rows * p->columns);
        for (size_t row = 0; row < p->rows; row++)
            for (size_t column = 0; column < p->columns; column++)
                expect_close(&new.values[p->offset + row * p->columns + column], &want[column * p->rows + row], 1,
                             name);
    }
    free(old.values);
    free(new.values);
    golden_close(&model_file);
    golden_close(&golden_file);
}
END_TEST

/* No golden: the rule of the header for relu, for shapes that shrink, and what is left alone. */
START_TEST(model_relu_and_refusals)
{
    struct sb_parameter old_items[] = {
        {.name = "l.intermediate.dense.weight", .rank = 2, .rows = 2, .columns = 4, .offset = 0},
        {.name = "bert.embeddings.word_embeddings.weight", .rank = 2, .rows = 3, .columns = 4, .offset = 8},
        {.name = "cls.predictions.bias", .rank = 1, .rows = 1, .columns = 3, .offset = 20},
    };
    struct sb_parameter new_items[] = {
        {.name = "l.intermediate.dense.weight", .rank = 2, .rows = 2, .columns = 8, .offset = 0},
        {.name = "bert.embeddings.word_embeddings.weight", .rank = 2, .rows = 3, .columns = 8, .offset = 16},
        {.name = "cls.predictions.bias", .rank = 1, .rows = 1, .columns = 3, .offset = 40},
        {.name = "head.weight", .rank = 2, .rows = 1, .columns = 1, .offset = 43, .is_new = true},
    };
    struct sb_parameters old = {old_items, 3, 23}, new = {new_items, 4, 44};
    float old_values[23], values[44];
    for (int i = 0; i < 23; i++)
        old_values[i] = 1;
    values[43] = 7;
    struct sb_resize_options relu = {.relu = true}, gelu = {0};
    ck_assert_int_eq(sb_resize_parameters(values, &new, old_values, &old, &relu, NULL), SB_OK);
    ck_assert_double_eq_tol((double)values[0], sqrt(0.5) * sqrt(0.5), 1e-6); /* norm, then sqrt(from / to) */
    ck_assert_double_eq_tol((double)values[16], sqrt(0.5), 1e-6);
    ck_assert(values[40] == 1.0F && values[43] == 7.0F);
    ck_assert_int_eq(sb_resize_parameters(values, &new, old_values, &old, &gelu, NULL), SB_OK);
    ck_assert_double_eq_tol((double)values[0], sqrt(0.5), 1e-6);

    struct sb_error error;
    new_items[1].rows = 2;
    ck_assert_int_eq(sb_resize_parameters(values, &new, old_values, &old, &gelu, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "bert.embeddings.word_embeddings.weight"));
    new_items[1].rows = 3;
    new_items[2].columns = 2;
    ck_assert_int_eq(sb_resize_parameters(values, &new, old_values, &old, &gelu, NULL), SB_INVALID);
    new_items[2].columns = 3;
    new_items[2].rank = 2;
    ck_assert_int_eq(sb_resize_parameters(values, &new, old_values, &old, &gelu, NULL), SB_INVALID);

    struct sb_axis one = {1, 1, 0}, odd = {3, 4, 0}, uneven = {8, 12, 3}, empty = {0, 4, 0};
    ck_assert_int_eq(sb_resize(values, old_values, &one, &odd, NULL), SB_INVALID);
    ck_assert_int_eq(sb_resize(values, old_values, &one, &uneven, NULL), SB_INVALID);
    ck_assert_int_eq(sb_resize(values, old_values, &empty, &one, NULL), SB_INVALID);
}
END_TEST

START_TEST(vocabulary)
{
    struct golden_tensors model_file = golden_open("models/tiny-bert/model.safetensors");
    struct golden_tensors golden_file = golden_open("init/resized-model.safetensors");
    static const struct {
        const char *hf, *tf;
        size_t columns;
    } tables[] = {{"bert.embeddings.word_embeddings.weight", "vocabulary/word_embeddings", H},
                  {"cls.predictions.bias", "vocabulary/output_bias", 1}};
    const struct sb_compound_token compounds[] = {{(const int32_t[]){10, 11}, NULL, 2},
                                                  {(const int32_t[]){20, 13, 5}, (const float[]){3, 2, 1}, 3},
                                                  {(const int32_t[]){7}, NULL, 1}};
    size_t keep_count, count;
    const int32_t *keep = golden_i32(&golden_file, "vocabulary/keep", &keep_count);
    for (int i = 0; i < 2; i++) {
        const float *table = golden_f32(&model_file, tables[i].hf, &count);
        ck_assert_uint_eq(count, 200 * tables[i].columns);
        const float *want = golden_f32(&golden_file, tables[i].tf, &count);
        ck_assert_uint_eq(count, (keep_count + 3) * tables[i].columns);
        float *out = malloc(count * sizeof *out);
        ck_assert_int_eq(sb_resize_vocabulary(out, tables[i].columns, table, 200, keep, keep_count, compounds, 3, NULL),
                         SB_OK);
        expect_close(out, want, count, tables[i].tf);
        free(out);
    }
    golden_close(&model_file);
    golden_close(&golden_file);
}
END_TEST

START_TEST(vocabulary_grows_and_refuses)
{
    const float table[] = {1, 2, 3, 4, 5, 6};
    float out[8];
    struct sb_compound_token mean = {(const int32_t[]){0, 2}, NULL, 2};
    ck_assert_int_eq(sb_resize_vocabulary(out, 2, table, 3, NULL, 0, &mean, 1, NULL), SB_OK);
    const float want[] = {1, 2, 3, 4, 5, 6, 3, 4};
    expect_close(out, want, 8, "grown");

    const int32_t negative[] = {0, -1}, high[] = {3};
    const struct sb_compound_token bad[] = {{(const int32_t[]){3}, NULL, 1},
                                            {NULL, NULL, 0},
                                            {(const int32_t[]){0, 1}, (const float[]){1, -1}, 2},
                                            {(const int32_t[]){0}, (const float[]){NAN}, 1}};
    ck_assert_int_eq(sb_resize_vocabulary(out, 2, table, 3, negative, 2, NULL, 0, NULL), SB_INVALID);
    ck_assert_int_eq(sb_resize_vocabulary(out, 2, table, 3, high, 1, NULL, 0, NULL), SB_INVALID);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(sb_resize_vocabulary(out, 2, table, 3, NULL, 0, &bad[i], 1, NULL), SB_INVALID);
    const int32_t first[] = {0}; /* compounds name what is left after the cut */
    ck_assert_int_eq(sb_resize_vocabulary(out, 2, table, 3, first, 1, &mean, 1, NULL), SB_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/resize");
    TCase *tests = tcase_create("resize");
    tcase_add_test(tests, tensors);
    tcase_add_test(tests, groups_stay_apart);
    tcase_add_test(tests, zero_stays_zero);
    tcase_add_loop_test(tests, model, 0, 2);
    tcase_add_test(tests, model_relu_and_refusals);
    tcase_add_test(tests, vocabulary);
    tcase_add_test(tests, vocabulary_grows_and_refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
