/*
 * The forward pass against the reference (golden/forward: bert4keras) and a real model (golden/real: onnxruntime and the
 * project's torch model), in every kernel variant that runs here.
 */
#include "model/session.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/model/families.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* golden/README.md: |difference| of hidden states, logits, sentence vector. */
static const double hidden_tolerance = 2e-5, logits_tolerance = 5e-5, vector_tolerance = 2e-6;

static struct sb_model *open_model(const char *dir, const char *kernels)
{
    struct sb_model *model;
    struct sb_error error;
    enum sb_status status = sb_model_open(&model, dir, &(struct sb_model_options){.kernels = kernels}, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return model;
}

static struct sb_session *new_session(struct sb_model *model)
{
    struct sb_session *session;
    struct sb_session_options options = {.max_tokens = 1024, .max_rows = 16, .max_logits = 128};
    ck_assert_int_eq(sb_session_new(&session, model, &options, NULL), SB_OK);
    return session;
}

static void assert_close(const float *ours, const float *reference, size_t n, double tolerance, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)ours[i] - (double)reference[i]) <= tolerance,
                      "%s, element %zu: %.8g, reference %.8g", what, i, (double)ours[i], (double)reference[i]);
}

/* "r3/causal/" + "logits" */
static const char *key_of(int row, const char *group, const char *name)
{
    static char key[64];
    snprintf(key, sizeof key, "r%d/%s%s", row, group, name);
    return key;
}

/* One row under one mask; prefix < 0 takes the row's own. */
static void check_row(const struct golden_tensors *g, struct sb_session *session, int r, const char *group, int prefix,
                      bool all_logits)
{
    const struct sb_config *c = sb_model_config(sb_session_model(session));
    size_t length, hidden_count = 0, logits_count, layers = (size_t)c->num_hidden_layers,
                   hidden = (size_t)c->hidden_size;
    const int32_t *ids = golden_i32(g, key_of(r, "", "ids"), &length),
                  *segments32 = golden_i32(g, key_of(r, "", "segments"), NULL);
    int own_prefix = golden_i32(g, key_of(r, "", "prefix"), NULL)[0];
    uint8_t *segments = malloc(length);
    for (size_t i = 0; i < length; i++)
        segments[i] = (uint8_t)segments32[i];
    float *trace = malloc((layers + 1) * length * hidden * sizeof *trace);
    struct sb_row row = {.ids = ids,
                         .segments = segments,
                         .length = length,
                         .prefix = (size_t)(prefix < 0 ? own_prefix : prefix),
                         .want = SB_WANT_VECTOR | SB_WANT_ALL_LOGITS | SB_WANT_HIDDEN,
                         .trace = trace};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);

    const float *reference = golden_f32(g, key_of(r, group, "hidden"), &hidden_count);
    bool every_layer = hidden_count == (layers + 1) * length * hidden;
    assert_close(every_layer ? trace : row.hidden, reference, hidden_count, hidden_tolerance,
                 key_of(r, group, "hidden"));
    if (golden_has(g, key_of(r, group, "pooled"))) {
        assert_close(row.pooled, golden_f32(g, key_of(r, group, "pooled"), NULL), hidden, hidden_tolerance,
                     key_of(r, group, "pooled"));
    }
    if (golden_has(g, key_of(r, group, "pooled_tanh"))) { /* stock BERT's pooler: the same product, then tanh */
        const float *tanh_reference = golden_f32(g, key_of(r, group, "pooled_tanh"), NULL);
        for (size_t i = 0; i < hidden; i++)
            ck_assert(fabs(tanh((double)row.pooled[i]) - (double)tanh_reference[i]) <= hidden_tolerance);
    }
    if (golden_has(g, key_of(r, group, "vector")))
        assert_close(row.vector, golden_f32(g, key_of(r, group, "vector"), NULL), hidden, vector_tolerance,
                     key_of(r, group, "vector"));
    reference = golden_f32(g, key_of(r, group, "logits"), &logits_count);
    size_t positions = logits_count / (size_t)c->vocab_size, first = all_logits ? 0 : (size_t)own_prefix - 1;
    ck_assert_uint_le(first + positions, length);
    assert_close(row.logits + first * (size_t)c->vocab_size, reference, logits_count, logits_tolerance,
                 key_of(r, group, "logits"));

    /* Asking for less computes less, but gives the same bits. */
    float *pooled = malloc(hidden * sizeof *pooled), *last = malloc((size_t)c->vocab_size * sizeof *last);
    memcpy(pooled, row.pooled, hidden * sizeof *pooled);
    memcpy(last, row.logits + (length - 1) * (size_t)c->vocab_size, (size_t)c->vocab_size * sizeof *last);
    row.want = SB_WANT_VECTOR | SB_WANT_LOGITS;
    row.trace = NULL;
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    ck_assert(memcmp(row.pooled, pooled, hidden * sizeof *pooled) == 0);
    ck_assert(memcmp(row.logits, last, (size_t)c->vocab_size * sizeof *last) == 0);
    free(segments), free(trace), free(pooled), free(last);
}

/* golden/README.md, variants: 1e-5. Of hidden states and pooled vectors as it is; of logits times the row's largest: float
   arithmetic alone moves those of the talking heads, which are up to 8, by 8e-6 to 1.5e-5, in every order of the sums. */
static const double variant_tolerance = 1e-5;

static double largest_of(const float *x, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    return largest;
}

static void check_variant_row(const struct golden_tensors *g, struct sb_session *session, int r)
{
    size_t length, count, hidden = (size_t)sb_model_config(sb_session_model(session))->hidden_size;
    const int32_t *ids = golden_i32(g, key_of(r, "", "ids"), &length),
                  *segments32 = golden_i32(g, key_of(r, "", "segments"), NULL);
    uint8_t segments[64];
    float trace[3 * 64 * 16];
    for (size_t i = 0; i < length; i++)
        segments[i] = (uint8_t)segments32[i];
    struct sb_row row = {.ids = ids,
                         .segments = segments,
                         .length = length,
                         .prefix = (size_t)golden_i32(g, key_of(r, "", "prefix"), NULL)[0],
                         .want = SB_WANT_VECTOR | SB_WANT_ALL_LOGITS | SB_WANT_HIDDEN,
                         .trace = trace};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    const float *reference = golden_f32(g, key_of(r, "", "hidden"), &count);
    ck_assert_uint_eq(count, 3 * length * hidden);
    assert_close(trace, reference, count, variant_tolerance, key_of(r, "", "hidden"));
    assert_close(row.pooled, golden_f32(g, key_of(r, "", "pooled"), NULL), hidden, variant_tolerance, "pooled");
    reference = golden_f32(g, key_of(r, "", "logits"), &count);
    assert_close(row.logits, reference, count, variant_tolerance * fmax(1, largest_of(reference, count)),
                 key_of(r, "", "logits"));
}

static void check_model(const char *name, const char *kernels)
{
    char path[128];
    snprintf(path, sizeof path, "models/%s", name);
    struct sb_model *model = open_model(golden(path), kernels);
    struct sb_session *session = new_session(model);
    snprintf(path, sizeof path, "forward/%s.safetensors", name);
    struct golden_tensors g = golden_open(path);
    int rows = 0, causal = 0, bidirectional = 0;
    for (; golden_has(&g, key_of(rows, "", "ids")); rows++) {
        check_row(&g, session, rows, "", -1, strcmp(name, "tiny-bert") == 0);
        if (golden_has(&g, key_of(rows, "causal/", "hidden")))
            causal++, check_row(&g, session, rows, "causal/", 0, true);
        if (golden_has(&g, key_of(rows, "bidirectional/", "hidden"))) {
            size_t length;
            golden_i32(&g, key_of(rows, "", "ids"), &length);
            bidirectional++, check_row(&g, session, rows, "bidirectional/", (int)length, true);
        }
    }
    ck_assert_int_eq(rows, 10);
    ck_assert_int_ge(causal, 3);
    ck_assert_int_ge(bidirectional, 3);
    golden_close(&g);
    sb_session_free(session);
    sb_model_release(model);
}

START_TEST(forward_agrees_with_the_reference)
{
    static const char *const models[] = {"tiny-bert", "tiny-factorised", "tiny-keysize", "tiny-headsize",
                                         "tiny-roformer"};
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        check_model(models[_i], kernels->name);
}
END_TEST

/* Attention variants against golden/variants (torch, double precision). */
START_TEST(variants_agree_with_the_reference)
{
    const char *name = families[FIRST_VARIANT + _i].name;
    const struct sb_kernels *kernels;
    char path[128];
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++) {
        snprintf(path, sizeof path, "variants/%s", name);
        struct sb_model *model = open_model(golden(path), kernels->name);
        struct sb_session *session = new_session(model);
        snprintf(path, sizeof path, "variants/%s.safetensors", name);
        struct golden_tensors g = golden_open(path);
        for (int r = 0; r < 6; r++)
            check_variant_row(&g, session, r);
        golden_close(&g);
        sb_session_free(session);
        sb_model_release(model);
    }
}
END_TEST

/* Computes the real texts in one arithmetic; returns the lowest cosine to the reference. */
static double lowest_cosine(const char *dtype)
{
    struct sb_model *model;
    ck_assert_int_eq(sb_model_open(&model, "models/simbert-small-zh", &(struct sb_model_options){.dtype = dtype}, NULL),
                     SB_OK);
    ck_assert_str_eq(sb_model_dtype(model), dtype);
    struct sb_session *session = new_session(model);
    struct golden_tensors g = golden_open("real/simbert-small-zh.safetensors");
    size_t count, dimensions = (size_t)sb_model_dimensions(model), row_index = 0;
    const float *vectors = golden_f32(&g, "vectors", &count);
    void *lines = NULL;
    double lowest = 1;
    for (cJSON *line; (line = golden_next_line(&lines, "real/simbert-small-zh.jsonl"));
         row_index++, cJSON_Delete(line)) {
        const cJSON *id;
        int32_t ids[512];
        size_t n = 0;
        cJSON_ArrayForEach(id, cJSON_GetObjectItem(line, "ids")) ids[n++] = id->valueint;
        struct sb_row row = {.ids = ids, .length = n, .prefix = n, .want = SB_WANT_VECTOR};
        ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
        double dot = 0, a = 0, b = 0;
        for (size_t i = 0; i < dimensions; i++) {
            float r = vectors[row_index * dimensions + i];
            dot += (double)row.vector[i] * r, a += (double)row.vector[i] * row.vector[i], b += (double)r * r;
        }
        ck_assert_msg(fabs(a - 1) < 1e-5, "text %zu: length %.7f", row_index, sqrt(a));
        lowest = fmin(lowest, dot / sqrt(a * b));
    }
    ck_assert_uint_eq(row_index, 254);
    ck_assert_uint_eq(count, row_index * dimensions);
    golden_close(&g);
    sb_session_free(session);
    sb_model_release(model);
    return lowest;
}

/* f32: golden/README.md; bf16 and int8: what their users are promised (docs/models.md). */
START_TEST(a_real_model_agrees_with_the_reference)
{
    static const struct {
        const char *dtype;
        double cosine;
    } promises[] = {{"f32", .99999}, {"bf16", .9999}, {"int8", .99}};
    double lowest = lowest_cosine(promises[_i].dtype);
    ck_assert_msg(lowest >= promises[_i].cosine, "%s: lowest cosine %.7f", promises[_i].dtype, lowest);
}
END_TEST

START_TEST(unknown_arithmetic_is_refused)
{
    struct sb_model *model;
    struct sb_error error;
    ck_assert_int_eq(
        sb_model_open(&model, golden("models/tiny-bert"), &(struct sb_model_options){.dtype = "f8"}, &error),
        SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "dtype 'f8'"));
    ck_assert_int_eq(
        sb_model_open(&model, golden("models/tiny-bert"), &(struct sb_model_options){.dtype = "auto"}, &error), SB_OK);
    sb_model_release(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forward");
    TCase *tests = tcase_create("forward");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, forward_agrees_with_the_reference, 0, 5);
    tcase_add_loop_test(tests, variants_agree_with_the_reference, 0, VARIANTS);
    tcase_add_loop_test(tests, a_real_model_agrees_with_the_reference, 0, 3);
    tcase_add_test(tests, unknown_arithmetic_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
