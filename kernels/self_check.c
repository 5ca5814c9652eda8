#include "kernels/self_check.h"

#include "kernels/packed.h"
#include "kernels/variants.h"

#include <math.h>

enum { ROWS = 7, IN = 35, OUT = 71, KEYS = 19, HEADS = 2, KEY_SIZE = 17, VALUE_SIZE = 21 };

/* Values of both signs, different everywhere, without a random generator. */
static void fill(float *x, size_t n, float phase)
{
    for (size_t i = 0; i < n; i++)
        x[i] = sinf(phase + 1.7f * (float)i) * (1.0f + 0.01f * (float)(i % 13));
}

static bool agree(const float *x, const float *expected, size_t n, float tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i] - expected[i]) <= tolerance)) /* a NaN does not agree */
            return false;
    return true;
}

static void run_linear(float *y, const struct sb_linear_kernel *kernel, const float *w, const float *x,
                       const float *bias)
{
    /* 80 outputs in panels of at most 128, 4 bytes a weight and 8 bytes an output */
    static const size_t panels_bytes = 128 * (IN + 1) * 4 + 128 * 8;
    _Alignas(64) char panels[128 * (IN + 1) * 4 + 128 * 8];
    _Alignas(64) char scratch[ROWS * 64 * 2 + 128];
    struct sb_packed packed;
    memset(panels, 0, panels_bytes);
    sb_packed_init(&packed, kernel, panels, OUT, IN);
    for (size_t o = 0; o < OUT; o++)
        sb_packed_row(&packed, o, w + o * IN);
    struct sb_epilogue epilogue = {.activation = SB_ACT_GELU, .residual = bias, .ld_residual = 0};
    sb_linear(y, OUT, x, IN, ROWS, &packed, bias, &epilogue, scratch);
}

/* Whether filling a matrix, from itself and from its transpose, gives the bytes that storing its rows gives. */
static bool fill_agrees(const struct sb_linear_kernel *kernel, const float *w)
{
    enum { BYTES = 128 * (IN + 1) * 4 };
    _Alignas(64) char stored[BYTES], filled[BYTES];
    float transposed[IN * OUT];
    struct sb_packed by_rows, whole;
    memset(stored, 0, BYTES);
    sb_packed_init(&by_rows, kernel, stored, OUT, IN);
    sb_packed_init(&whole, kernel, filled, OUT, IN);
    for (size_t o = 0; o < OUT; o++) {
        sb_packed_row(&by_rows, o, w + o * IN);
        for (size_t i = 0; i < IN; i++)
            transposed[i * OUT + o] = w[o * IN + i];
    }
    size_t bytes = sb_packed_bytes(kernel, OUT, IN);
    memset(filled, 1, BYTES);
    sb_packed_fill(&whole, w, IN, false, 0, sb_packed_panels(&whole));
    bool agrees = memcmp(filled, stored, bytes) == 0;
    memset(filled, 1, BYTES);
    sb_packed_fill(&whole, transposed, OUT, true, 0, sb_packed_panels(&whole));
    return agrees && memcmp(filled, stored, bytes) == 0;
}

const char *sb_linear_fault(const struct sb_linear_kernel *kernel)
{
    static const struct sb_linear_kernel *const plain[SB_PACKED_DTYPES] = {[SB_PACKED_F32] = &sb_linear_plain_f32,
                                                                           [SB_PACKED_BF16] = &sb_linear_plain_bf16,
                                                                           [SB_PACKED_INT8] = &sb_linear_plain_int8};
    float w[OUT * IN], x[ROWS * IN], bias[OUT], y[ROWS * OUT], expected[ROWS * OUT];
    fill(w, OUT * IN, 0.1f);
    fill(x, ROWS * IN, 0.7f);
    fill(bias, OUT, 1.3f);
    run_linear(expected, plain[kernel->dtype], w, x, bias);
    run_linear(y, kernel, w, x, bias);
    if (!agree(y, expected, ROWS * OUT, 5e-5f))
        return "linear";
    return kernel->dtype == SB_PACKED_INT8 || fill_agrees(kernel, w) ? NULL : "fill";
}

enum { WIDTH_K = HEADS * KEY_SIZE, WIDTH_V = HEADS * VALUE_SIZE, SCRATCH = KEY_SIZE * 32 + KEYS * 32 + 9 * 32 };

/* Queries, keys and values of one row, and how far each query sees. */
struct attention_case {
    float q[KEYS * WIDTH_K], k[KEYS * WIDTH_K], v[KEYS * WIDTH_V], scratch[SCRATCH];
    int visible[KEYS];
};

static struct sb_attention attention_of(struct attention_case *c, float *out)
{
    fill(c->q, KEYS * WIDTH_K, 0.2f);
    fill(c->k, KEYS * WIDTH_K, 0.5f);
    fill(c->v, KEYS * WIDTH_V, 0.9f);
    for (int i = 0; i < KEYS; i++)
        c->visible[i] = i < 8 ? 8 : i + 1;
    return (struct sb_attention){.q = c->q,
                                 .k = c->k,
                                 .v = c->v,
                                 .out = out,
                                 .ld_q = WIDTH_K,
                                 .ld_k = WIDTH_K,
                                 .ld_v = WIDTH_V,
                                 .ld_out = WIDTH_V,
                                 .queries = KEYS,
                                 .keys = KEYS,
                                 .heads = HEADS,
                                 .key_size = KEY_SIZE,
                                 .value_size = VALUE_SIZE,
                                 .visible = c->visible,
                                 .scratch = c->scratch};
}

static void run_attention(float *spans, float *step, const struct sb_kernels *kernels)
{
    struct attention_case c;
    struct sb_attention span = attention_of(&c, spans);
    const float *keys[KEYS], *values[KEYS];
    for (int i = 0; i < KEYS; i++) {
        keys[i] = c.k + i * WIDTH_K;
        values[i] = c.v + i * WIDTH_V;
    }
    kernels->attention(&span);
    kernels->attention_step(&(struct sb_attention_step){.q = c.q,
                                                        .keys = keys,
                                                        .values = values,
                                                        .out = step,
                                                        .count = KEYS,
                                                        .heads = HEADS,
                                                        .key_size = KEY_SIZE,
                                                        .value_size = VALUE_SIZE,
                                                        .scratch = c.scratch});
}

const char *sb_attention_fault(const struct sb_attention_kernel *kernel)
{
    struct attention_case c;
    float out[KEYS * WIDTH_V], expected[KEYS * WIDTH_V];
    struct sb_attention span = attention_of(&c, expected);
    sb_kernels_plain.attention(&span);
    span.out = out;
    kernel->run(&span);
    return agree(out, expected, KEYS * WIDTH_V, 2e-2f) ? NULL : "attention"; /* bfloat16 has 8 bits */
}

static const char *attention_fault(const struct sb_kernels *kernels)
{
    enum { SPANS = KEYS * HEADS * VALUE_SIZE, STEP = HEADS * VALUE_SIZE };
    float spans[SPANS], step[STEP], expected_spans[SPANS], expected_step[STEP];
    run_attention(expected_spans, expected_step, &sb_kernels_plain);
    run_attention(spans, step, kernels);
    if (!agree(spans, expected_spans, SPANS, 1e-5f))
        return "attention";
    return agree(step, expected_step, STEP, 1e-5f) ? NULL : "attention_step";
}

static const char *matrix_fault(const struct sb_training_kernels *t)
{
    const struct sb_training_kernels *plain = &sb_training_plain;
    float a[ROWS * IN], b[IN * OUT], c[ROWS * OUT], expected[ROWS * OUT], turned[OUT * IN], expected_turned[OUT * IN];
    fill(a, ROWS * IN, 0.4f);
    fill(b, IN * OUT, 0.6f);
    t->matmul(c, OUT, a, IN, b, OUT, ROWS, IN, OUT);
    plain->matmul(expected, OUT, a, IN, b, OUT, ROWS, IN, OUT);
    if (!agree(c, expected, ROWS * OUT, 5e-5f))
        return "matmul";
    t->transpose(turned, IN, b, OUT, IN, OUT);
    plain->transpose(expected_turned, IN, b, OUT, IN, OUT);
    return agree(turned, expected_turned, OUT * IN, 0) ? NULL : "transpose";
}

/* Everything that works on rows, into one array after another. */
enum { GRADIENTS = 6 };

static void run_rows(float out[GRADIENTS][ROWS * IN], const struct sb_training_kernels *t)
{
    float x[ROWS * IN], dy[ROWS * IN];
    fill(x, ROWS * IN, 0.3f);
    for (size_t i = 0; i < GRADIENTS; i++)
        fill(out[i], ROWS * IN, 0.8f);
    fill(dy, ROWS * IN, 0.8f);
    t->softmax(out[0], IN, 1.5f);
    t->softmax_backward(out[1], out[0], x, IN, 1.5f);
    t->exp_scale(out[2], IN, 0.5f, 2.0f);
    t->layer_norm_backward(out[3], dy, x, x, 1e-5f, ROWS, IN);
    t->layer_norm_gradients(out[4], out[4] + IN, dy, x, 1e-5f, ROWS, IN);
    t->add_rows(out[5], x, IN, ROWS, IN);
    t->add_scaled(out[5] + IN, x, 0.25f, IN);
}

static const char *training_fault(const struct sb_training_kernels *t)
{
    static const char *const names[GRADIENTS] = {"softmax",
                                                 "softmax_backward",
                                                 "exp_scale",
                                                 "layer_norm_backward",
                                                 "layer_norm_gradients",
                                                 "add_rows or add_scaled"};
    const char *fault = matrix_fault(t);
    float rows[GRADIENTS][ROWS * IN], expected[GRADIENTS][ROWS * IN], x[IN];
    run_rows(expected, &sb_training_plain);
    run_rows(rows, t);
    for (size_t i = 0; i < GRADIENTS && !fault; i++)
        if (!agree(rows[i], expected[i], ROWS * IN, 1e-5f))
            fault = names[i];
    fill(x, IN, 0.3f);
    for (int act = SB_ACT_NONE; act <= SB_ACT_TANH && !fault; act++) {
        fill(rows[0], IN, 0.7f);
        fill(expected[0], IN, 0.7f);
        t->activate_backward(rows[0], x, IN, (enum sb_act)act);
        sb_training_plain.activate_backward(expected[0], x, IN, (enum sb_act)act);
        if (!agree(rows[0], expected[0], IN, 2e-6f))
            fault = "activate_backward";
    }
    return fault;
}

const char *sb_kernels_fault(const struct sb_kernels *kernels)
{
    const struct sb_kernels *plain = &sb_kernels_plain;
    float x[IN], y[IN], expected[IN], a[2], b[2];
    fill(x, IN, 0.3f);
    fill(y, IN, 0.8f);
    if (fabsf(kernels->dot(x, y, IN) - plain->dot(x, y, IN)) > 1e-5f)
        return "dot";
    kernels->scores(a, x, 3, 2, y, IN - 3);
    plain->scores(b, x, 3, 2, y, IN - 3);
    if (!agree(a, b, 2, 1e-5f))
        return "scores";
    kernels->log_sum_exp(&a[0], &a[1], x, IN);
    plain->log_sum_exp(&b[0], &b[1], x, IN);
    if (!agree(a, b, 2, 1e-5f))
        return "log_sum_exp";
    plain->layer_norm(expected, x, y, y, 1e-12f, 1, IN);
    float normed[IN];
    kernels->layer_norm(normed, x, y, y, 1e-12f, 1, IN);
    if (!agree(normed, expected, IN, 1e-5f))
        return "layer_norm";
    for (int act = SB_ACT_NONE; act <= SB_ACT_TANH; act++) {
        memcpy(expected, x, sizeof x);
        memcpy(normed, x, sizeof x);
        plain->activate(expected, IN, (enum sb_act)act);
        kernels->activate(normed, IN, (enum sb_act)act);
        if (!agree(normed, expected, IN, 2e-6f))
            return "activate";
    }
    const char *fault = attention_fault(kernels);
    return fault ? fault : training_fault(kernels->training);
}
