/*
 * A Dense module that is trained: what it gives is what the served model gives, its gradients are those of finite
 * differences, and what is saved is read again.
 */
#include "base/file.h"
#include "model/session.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/dense_head.h"
#include "training/dense_module.h"
#include "weights/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IN = 32, OUT = 7, ROWS = 5 };

static const enum sb_activation activations[] = {SB_LINEAR, SB_TANH, SB_RELU, SB_GELU_ERF, SB_SWISH};

static void must(enum sb_status status, const struct sb_error *error)
{
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error->message);
}

static float wave(size_t i)
{
    return sinf(1.7f * (float)i) * 0.3f;
}

/* The tiny model with such a module behind [CLS]. */
static const char *make_model(enum sb_activation activation)
{
    struct sb_error error;
    struct sb_config config;
    const char *dir = scratch("model");
    float kernel[OUT * IN], bias[OUT];
    for (size_t i = 0; i < OUT * IN; i++)
        kernel[i] = wave(i);
    for (size_t i = 0; i < OUT; i++)
        bias[i] = wave(i + 1000);
    must(sb_convert(golden("models/tiny-bert"), dir, SB_F32, &error), &error);
    must(sb_config_read(&config, dir, &error), &error);
    config.normalize = false;
    const struct sb_dense_module module = {kernel, bias, OUT, IN, activation};
    must(sb_dense_module_write(&module, dir, &config, &error), &error);
    return dir;
}

struct trained {
    struct sb_dense_head *head;
    struct sb_network *network;
    float *gradients;
    size_t kernel, bias; /* offsets */
};

static struct trained open_trained(const char *dir)
{
    struct trained t = {0};
    struct sb_error error;
    struct sb_extra_parameter extras[2];
    struct sb_network_options options = {.without_dense = true, .extras = extras, .extra_count = 2};
    ck_assert_int_eq(sb_network_open(&t.network, dir, NULL, &error), SB_UNSUPPORTED);
    must(sb_dense_head_open(&t.head, dir, &error), &error);
    ck_assert_uint_eq(sb_dense_head_dimensions(t.head), OUT);
    sb_dense_head_list(t.head, extras);
    must(sb_network_open(&t.network, dir, &options, &error), &error);
    sb_dense_head_begin(t.head, t.network);
    must(sb_dense_head_reserve(t.head, ROWS, &error), &error);
    const struct sb_parameters *parameters = sb_network_parameters(t.network);
    t.gradients = calloc(parameters->size, sizeof *t.gradients);
    t.kernel = sb_parameters_find(parameters, SB_DENSE_HEAD_KERNEL)->offset;
    t.bias = sb_parameters_find(parameters, SB_DENSE_HEAD_BIAS)->offset;
    return t;
}

static void close_trained(struct trained *t)
{
    sb_dense_head_free(t->head);
    sb_network_free(t->network);
    free(t->gradients);
}

/* sum of weight[i] y[i] */
static double loss_of(const struct trained *t, const float *x, const float *weight)
{
    float y[ROWS * OUT];
    double sum = 0;
    sb_dense_head_forward(t->head, y, x, ROWS, sb_network_values(t->network));
    for (size_t i = 0; i < ROWS * OUT; i++)
        sum += (double)weight[i] * (double)y[i];
    return sum;
}

static void check_slope(const struct trained *t, float *at, float gradient, const float *x, const float *weight)
{
    const float h = 1e-2f, before = *at;
    *at = before + h;
    double up = loss_of(t, x, weight);
    *at = before - h;
    double down = loss_of(t, x, weight);
    *at = before;
    ck_assert_double_eq_tol((up - down) / (2 * (double)h), (double)gradient, 2e-3);
}

START_TEST(gradients_are_those_of_finite_differences)
{
    struct trained t = open_trained(make_model(activations[_i]));
    float x[ROWS * IN], dx[ROWS * IN], weight[ROWS * OUT], dy[ROWS * OUT], *values = sb_network_values(t.network);
    for (size_t i = 0; i < ROWS * IN; i++)
        x[i] = 3 * wave(i + 50);
    for (size_t i = 0; i < ROWS * OUT; i++)
        weight[i] = wave(7 * i + 3);
    memcpy(dy, weight, sizeof dy);
    loss_of(&t, x, weight);
    t.gradients[t.bias] = 2; /* added to */
    sb_dense_head_backward(t.head, dx, dy, x, ROWS, values, t.gradients);
    t.gradients[t.bias] -= 2;
    for (size_t i = 0; i < ROWS * IN; i += 11)
        check_slope(&t, &x[i], dx[i], x, weight);
    for (size_t i = 0; i < OUT * IN; i += 13)
        check_slope(&t, &values[t.kernel + i], t.gradients[t.kernel + i], x, weight);
    for (size_t i = 0; i < OUT; i++)
        check_slope(&t, &values[t.bias + i], t.gradients[t.bias + i], x, weight);
    float again[ROWS * IN];
    memcpy(dy, weight, sizeof dy);
    sb_dense_head_backward(t.head, again, dy, x, ROWS, values, NULL); /* another process has those of the module */
    loss_of(&t, x, weight);
    close_trained(&t);
}
END_TEST

/* The vector of a text by the served model; [OUT]. */
static void serve(float *vector, const char *dir, const char *text)
{
    struct sb_model *model;
    struct sb_session *session;
    struct sb_error error;
    struct sb_encoding encoding = {0};
    must(sb_model_open(&model, dir, NULL, &error), &error);
    must(sb_session_new(&session, model, NULL, &error), &error);
    must(sb_tokenizer_encode(sb_model_tokenizer(model), &encoding, text, strlen(text), NULL, 0, 32, &error), &error);
    struct sb_row row = {
        .ids = encoding.ids, .length = encoding.length, .prefix = encoding.length, .want = SB_WANT_VECTOR};
    must(sb_session_forward(session, &row, 1, &error), &error);
    memcpy(vector, row.vector, OUT * sizeof *vector);
    sb_encoding_free(&encoding);
    sb_session_free(session);
    sb_model_release(model);
}

/* The same by the network and the head. */
static void compute(float *vector, const struct trained *t, const char *text)
{
    struct sb_pass *pass;
    struct sb_error error;
    struct sb_encoding encoding = {0};
    must(sb_pass_new(&pass, t->network, &(struct sb_pass_options){.max_tokens = 32, .max_rows = 1}, &error), &error);
    must(sb_tokenizer_encode(sb_network_tokenizer(t->network), &encoding, text, strlen(text), NULL, 0, 32, &error),
         &error);
    struct sb_pass_row row = {.ids = encoding.ids, .length = encoding.length, .prefix = encoding.length};
    must(sb_pass_forward(pass, &(struct sb_pass_input){.rows = &row, .count = 1}, &error), &error);
    sb_dense_head_forward(t->head, vector, sb_pass_pooled(pass), 1, sb_network_values(t->network));
    sb_encoding_free(&encoding);
    sb_pass_free(pass);
}

START_TEST(trained_and_served_vectors_are_the_same)
{
    struct sb_error error;
    const char *dir = make_model(activations[_i]);
    struct trained t = open_trained(dir);
    float served[OUT], computed[OUT], *values = sb_network_values(t.network);
    for (int round = 0; round < 2; round++) {
        serve(served, dir, "我在天");
        compute(computed, &t, "我在天");
        for (size_t i = 0; i < OUT; i++)
            ck_assert_float_eq_tol(served[i], computed[i], 1e-5f);
        for (size_t i = 0; i < OUT; i++)
            values[t.bias + i] += 0.25f * (float)i; /* as if it had learnt */
        values[t.kernel] += 1;
        dir = scratch("saved");
        must(sb_dense_head_save(t.head, dir, t.network, values, &error), &error);
        must(sb_network_save(t.network, values, SB_F32, dir, &error), &error);
    }
    close_trained(&t);
}
END_TEST

START_TEST(a_model_without_a_module_has_no_head)
{
    struct sb_dense_head *head;
    struct sb_error error;
    must(sb_dense_head_open(&head, golden("models/tiny-bert"), &error), &error);
    ck_assert_ptr_null(head);
    sb_dense_head_free(NULL);
    ck_assert_int_ne(sb_dense_head_open(&head, scratch("nothing"), &error), SB_OK);
    ck_assert_ptr_null(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/dense_head");
    TCase *tests = tcase_create("dense");
    int count = sizeof activations / sizeof *activations;
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gradients_are_those_of_finite_differences, 0, count);
    tcase_add_loop_test(tests, trained_and_served_vectors_are_the_same, 0, count);
    tcase_add_test(tests, a_model_without_a_module_has_no_head);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
