/*
 * Models of other sizes: they open, and where nothing was changed they are what they were.
 */
#include "base/file.h"
#include "model/session.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/resized_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sb_model *resized(const char *model, const struct sb_model_sizes *sizes)
{
    struct sb_error error;
    struct sb_model *opened;
    enum sb_status status = sb_resize_model(golden(model), scratch("resized"), sizes, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    status = sb_model_open(&opened, scratch("resized"), NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return opened;
}

/* The vector of [CLS] 我 在 [SEP]; free it. */
static float *vector_of(struct sb_model *model, const char *text)
{
    struct sb_session *session;
    struct sb_encoding encoding = {0};
    ck_assert_int_eq(sb_session_new(&session, model, NULL, NULL), SB_OK);
    ck_assert_int_eq(
        sb_tokenizer_encode(sb_model_tokenizer(model), &encoding, text, strlen(text), NULL, 0, 32, NULL), SB_OK);
    struct sb_row row = {
        .ids = encoding.ids, .length = encoding.length, .prefix = encoding.length, .want = SB_WANT_VECTOR};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    size_t n = (size_t)sb_model_dimensions(model);
    float *vector = malloc(n * sizeof *vector);
    memcpy(vector, row.vector, n * sizeof *vector);
    sb_encoding_free(&encoding);
    sb_session_free(session);
    return vector;
}

/* Another attention: what both have is kept, heads that begin to talk change nothing yet, and the other parts are drawn. */
START_TEST(test_attention)
{
    static const char *const talking[] = {"vanilla", "+talking"}, *const mixed[] = {"factorised_dense", "vanilla"};
    struct sb_model *plain, *model;
    ck_assert_int_eq(sb_model_open(&plain, golden("models/tiny-bert"), NULL, NULL), SB_OK);
    float *before = vector_of(plain, "我在");
    model = resized("models/tiny-bert", &(struct sb_model_sizes){.attention_parts = talking, .attention_part_count = 2});
    ck_assert(sb_model_config(model)->attention.talking_heads);
    float *after = vector_of(model, "我在");
    for (int i = 0; i < 32; i++)
        ck_assert_float_eq_tol(before[i], after[i], 1e-6f);
    free(after);
    sb_model_release(model);
    model = resized("models/tiny-bert",
                    &(struct sb_model_sizes){.attention_parts = mixed, .attention_part_count = 2, .factor_a = 4});
    ck_assert_int_eq(sb_model_config(model)->attention.factor_b, 16);
    after = vector_of(model, "我在");
    double distance = 0;
    for (int i = 0; i < 32; i++)
        distance += fabs((double)before[i] - (double)after[i]);
    ck_assert_double_gt(distance, 1e-3);
    ck_assert(isfinite(distance));
    free(after);
    free(before);
    sb_model_release(model);
    sb_model_release(plain);
    struct sb_error error;
    struct sb_model_sizes bad = {.attention_parts = mixed, .attention_part_count = 2, .factor_a = 2, .factor_b = 2};
    ck_assert_int_eq(sb_resize_model(golden("models/tiny-bert"), scratch("bad"), &bad, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "resize: \"factor_a\" 2 times \"factor_b\" 2"));
}
END_TEST

START_TEST(test_sizes)
{
    struct sb_model_sizes sizes = {.hidden_size = 48, .attention_key_size = 16, .intermediate_size = 160};
    struct sb_model *model = resized("models/tiny-bert", &sizes);
    const struct sb_config *c = sb_model_config(model);
    ck_assert_int_eq(c->hidden_size, 48);
    ck_assert_int_eq(c->embedding_size, 48);
    ck_assert_int_eq(c->attention_head_size, 12);
    ck_assert_int_eq(c->attention_key_size, 16);
    ck_assert_int_eq(c->intermediate_size, 160);
    ck_assert(sb_model_can_generate(model));
    float *vector = vector_of(model, "我在");
    for (int i = 0; i < 48; i++)
        ck_assert(isfinite(vector[i]));
    free(vector);
    sb_model_release(model);
}
END_TEST

/* Keys of a multiple of the size put out the same attention: the model is what it was, to rounding. */
START_TEST(test_larger_keys_change_nothing)
{
    struct sb_model *model = resized("models/tiny-bert", &(struct sb_model_sizes){.attention_key_size = 8}), *old;
    ck_assert_int_eq(sb_model_open(&old, golden("models/tiny-bert"), NULL, NULL), SB_OK);
    float *a = vector_of(model, "我在中国"), *b = vector_of(old, "我在中国");
    for (int i = 0; i < 32; i++)
        ck_assert_float_eq_tol(a[i], b[i], 1e-5f);
    free(a);
    free(b);
    sb_model_release(old);
    sb_model_release(model);
}
END_TEST

/* Tokens that stay keep their embedding whatever their number; a new one is the mean of its pieces. */
START_TEST(test_vocabulary)
{
    static const char tokens[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n中国\n我\n国\n在\n中\n";
    scratch_text("vocabulary.txt", tokens);
    struct sb_model *model =
        resized("models/tiny-bert", &(struct sb_model_sizes){.vocabulary = scratch("vocabulary.txt")});
    struct sb_model *old;
    ck_assert_int_eq(sb_model_open(&old, golden("models/tiny-bert"), NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_model_config(model)->vocab_size, 10);
    ck_assert_int_eq(sb_tokenizer_vocab_size(sb_model_tokenizer(model)), 10);
    float *a = vector_of(model, "我在中"), *b = vector_of(old, "我在中");
    for (int i = 0; i < 32; i++)
        ck_assert_float_eq_tol(a[i], b[i], 1e-6f);
    free(a);
    free(b);
    sb_model_release(old);
    sb_model_release(model);
}
END_TEST

START_TEST(test_bad_sizes)
{
    struct sb_error error;
    ck_assert_int_eq(sb_resize_model(golden("models/tiny-bert"), scratch("resized"),
                                     &(struct sb_model_sizes){.hidden_size = 49}, &error),
                     SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "49"));
    ck_assert_int_eq(sb_resize_model(golden("models/tiny-bert"), scratch("resized"),
                                     &(struct sb_model_sizes){.vocabulary = scratch("absent")}, &error),
                     SB_NOT_FOUND);
    scratch_text("empty", "");
    ck_assert_int_eq(sb_resize_model(golden("models/tiny-bert"), scratch("resized"),
                                     &(struct sb_model_sizes){.vocabulary = scratch("empty")}, &error),
                     SB_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/resized_model");
    TCase *tests = tcase_create("resized_model");
    tcase_add_test(tests, test_sizes);
    tcase_add_test(tests, test_attention);
    tcase_add_test(tests, test_larger_keys_change_nothing);
    tcase_add_test(tests, test_vocabulary);
    tcase_add_test(tests, test_bad_sizes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
