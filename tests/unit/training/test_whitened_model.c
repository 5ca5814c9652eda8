/*
 * Whitened models: what they give is what whitening makes of the vectors that they gave before.
 */
#include "base/file.h"
#include "model/network.h"
#include "model/session.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/batch.h"
#include "training/whitened_model.h"
#include "training/whitening.h"
#include "weights/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 32, TEXTS = 120 };

static const struct variant {
    const char *pooling; /* of modules.json; NULL: none, the model's linear pooler */
    size_t dimensions;
    bool normalize;
} variants[] = {{NULL, HIDDEN - 1, true}, {NULL, 8, true}, {"cls", 20, true}, {"cls", 8, false}, {"mean", 8, false}};

static void must(enum sb_status status, const struct sb_error *error)
{
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error->message);
}

/* All combinations of words of the tiny vocabulary, each another text. */
static const char *text_of(int i)
{
    static const char *const words[] = {"我", "你", "他", "国", "家", "学", "时", "心", "天", "好", "吗"};
    struct sb_buffer text = {0};
    for (int k = 0; k < 2 + i % 3; k++)
        sb_buffer_text(&text, words[(i / 3 * (k + 1) + k * k + i) % 11]);
    sb_buffer_text(&text, words[i / 11]);
    sb_buffer_text(&text, words[i % 11]);
    return keep(sb_buffer_take(&text, NULL));
}

static struct sb_data *open_texts(void)
{
    struct sb_buffer lines = {0};
    struct sb_data *data;
    struct sb_error error;
    struct sb_data_options options = sb_data_defaults();
    for (int i = 0; i < TEXTS; i++)
        sb_buffer_format(&lines, "%s\n", text_of(i));
    scratch_write("texts.txt", lines.data, lines.length);
    sb_buffer_free(&lines);
    struct sb_data_file file = {.path = scratch("texts.txt"), .kind = SB_DATA_SENTENCES};
    must(sb_data_open(&data, &file, 1, &options, &error), &error);
    return data;
}

/* The tiny model, pooling as a variant says. */
static const char *make_model(const struct variant *v)
{
    struct sb_error error;
    const char *dir = scratch("model");
    must(sb_convert(golden("models/tiny-bert"), dir, SB_F32, &error), &error);
    if (!v->pooling)
        return dir;
    must(sb_make_folders(scratch("model/1_Pooling"), &error), &error);
    char text[200];
    snprintf(text, sizeof text, "{\"pooling_mode\": \"%s\"}", v->pooling);
    scratch_text("model/1_Pooling/config.json", text);
    snprintf(text, sizeof text,
             "[{\"path\": \"\", \"type\": \"Transformer\"}, {\"path\": \"1_Pooling\", \"type\": \"Pooling\"}%s]",
             v->normalize ? ", {\"path\": \"n\", \"type\": \"Normalize\"}" : "");
    scratch_text("model/modules.json", text);
    return dir;
}

/* vectors[TEXTS, HIDDEN] before normalisation, in the order of the texts. */
static float *vectors_before(const char *dir)
{
    struct sb_network *network;
    struct sb_pass *pass;
    struct sb_error error;
    struct sb_encoding encoding = {0};
    float *vectors = calloc(TEXTS * HIDDEN, sizeof *vectors);
    must(sb_network_open(&network, dir, NULL, &error), &error);
    must(sb_pass_new(&pass, network, &(struct sb_pass_options){.max_tokens = 64, .max_rows = 1}, &error), &error);
    for (int i = 0; i < TEXTS; i++) {
        must(sb_tokenizer_encode(sb_network_tokenizer(network), &encoding, text_of(i), strlen(text_of(i)), NULL, 0, 64,
                                 &error),
             &error);
        struct sb_pass_row row = {.ids = encoding.ids, .length = encoding.length, .prefix = encoding.length};
        must(sb_pass_forward(pass, &(struct sb_pass_input){.rows = &row, .count = 1}, &error), &error);
        memcpy(vectors + i * HIDDEN, sb_pass_pooled(pass), HIDDEN * sizeof *vectors);
    }
    sb_encoding_free(&encoding);
    sb_pass_free(pass);
    sb_network_free(network);
    return vectors;
}

/* What K (x - mean) makes of a vector, normalised if the model does it. */
static void expect(double *y, const struct sb_whitening *w, const float *x, const struct variant *v)
{
    double square = 0;
    for (size_t i = 0; i < v->dimensions; i++) {
        y[i] = 0;
        for (size_t j = 0; j < HIDDEN; j++)
            y[i] += sb_whitening_kernel(w)[i * HIDDEN + j] * ((double)x[j] - sb_whitening_mean(w)[j]);
        square += y[i] * y[i];
    }
    for (size_t i = 0; v->normalize && i < v->dimensions; i++)
        y[i] /= sqrt(square);
}

static void check_model(const char *dir, const struct sb_whitening *w, const float *before, const struct variant *v)
{
    struct sb_model *model;
    struct sb_session *session;
    struct sb_error error;
    struct sb_encoding encoding = {0};
    double y[HIDDEN];
    must(sb_model_open(&model, dir, NULL, &error), &error);
    ck_assert_uint_eq((size_t)sb_model_dimensions(model), v->dimensions);
    must(sb_session_new(&session, model, NULL, &error), &error);
    for (int i = 0; i < TEXTS; i++) {
        const char *text = text_of(i);
        must(sb_tokenizer_encode(sb_model_tokenizer(model), &encoding, text, strlen(text), NULL, 0, 64, &error), &error);
        struct sb_row row = {
            .ids = encoding.ids, .length = encoding.length, .prefix = encoding.length, .want = SB_WANT_VECTOR};
        must(sb_session_forward(session, &row, 1, &error), &error);
        expect(y, w, before + i * HIDDEN, v);
        for (size_t d = 0; d < v->dimensions; d++)
            ck_assert_double_eq_tol((double)row.vector[d], y[d], 1e-3 * (v->normalize ? 1 : 5));
    }
    sb_encoding_free(&encoding);
    sb_session_free(session);
    sb_model_release(model);
}

START_TEST(models_give_whitened_vectors)
{
    const struct variant *v = &variants[_i];
    struct sb_error error;
    struct sb_whitening *w;
    struct sb_data *data = open_texts();
    const char *dir = make_model(v);
    float *before = vectors_before(dir);
    must(sb_whitening_new(&w, HIDDEN, &error), &error);
    sb_whitening_add(w, before, TEXTS);
    must(sb_whitening_solve(w, v->dimensions, &error), &error);
    struct sb_whiten_options options = {.dimensions = v->dimensions, .sentences = 1000, .max_length = 64};
    struct sb_pool *pool = sb_pool_new(1 + _i % 2);
    must(sb_whiten_model(dir, (const struct sb_data *const[]){data}, 1, &options, pool, &error), &error);
    check_model(dir, w, before, v);
    must(sb_convert(dir, scratch("copy"), SB_F32, &error), &error);
    check_model(scratch("copy"), w, before, v);
    sb_pool_free(pool);
    sb_whitening_free(w);
    sb_data_close(data);
    free(before);
}
END_TEST

START_TEST(samples_are_bounded_and_shared)
{
    struct sb_error error;
    struct sb_data *data = open_texts();
    const struct sb_data *const both[] = {data, data};
    const char *dir = make_model(&variants[1]);
    struct sb_whiten_options options = {.dimensions = 8, .sentences = 8, .max_length = 64};
    ck_assert_int_eq(sb_whiten_model(dir, both, 2, &options, NULL, &error), SB_INVALID);
    ck_assert_msg(strstr(error.message, "the 8 vectors span"), "%s", error.message);
    options.sentences = 9;
    options.seed = 3;
    must(sb_whiten_model(dir, both, 2, &options, NULL, &error), &error);
    sb_data_close(data);
}
END_TEST

START_TEST(what_can_not_be_whitened_is_named)
{
    struct sb_error error;
    struct sb_config config = {.hidden_size = 32, .pooling = SB_POOL_POOLER, .pooler_activation = SB_LINEAR};
    ck_assert_int_eq(sb_whiten_check(&config, 32, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "is 32"));
    ck_assert_int_eq(sb_whiten_check(&config, 31, &error), SB_OK);
    config.pooler_activation = SB_TANH;
    ck_assert_int_eq(sb_whiten_check(&config, 31, &error), SB_UNSUPPORTED);
    config.pooling = SB_POOL_CLS;
    ck_assert_int_eq(sb_whiten_check(&config, 31, &error), SB_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/whitened_model");
    TCase *tests = tcase_create("whitened");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, models_give_whitened_vectors, 0, sizeof variants / sizeof *variants);
    tcase_add_test(tests, samples_are_bounded_and_shared);
    tcase_add_test(tests, what_can_not_be_whitened_is_named);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
