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
    return agree(y, expected, ROWS * OUT, 5e-5f) ? NULL : "linear";
}

static void run_attention(float *spans, float *step, const struct sb_kernels *kernels)
{
    enum { WIDTH_K = HEADS * KEY_SIZE, WIDTH_V = HEADS * VALUE_SIZE };
    float q[KEYS * WIDTH_K], k[KEYS * WIDTH_K], v[KEYS * WIDTH_V], scratch[KEY_SIZE * 32 + KEYS * 32 + 6 * 32];
    const float *keys[KEYS], *values[KEYS];
    int visible[KEYS];
    fill(q, KEYS * WIDTH_K, 0.2f);
    fill(k, KEYS * WIDTH_K, 0.5f);
    fill(v, KEYS * WIDTH_V, 0.9f);
    for (int i = 0; i < KEYS; i++) {
        visible[i] = i < 8 ? 8 : i + 1;
        keys[i] = k + i * WIDTH_K;
        values[i] = v + i * WIDTH_V;
    }
    kernels->attention(&(struct sb_attention){.q = q,
                                              .k = k,
                                              .v = v,
                                              .out = spans,
                                              .ld_q = WIDTH_K,
                                              .ld_k = WIDTH_K,
                                              .ld_v = WIDTH_V,
                                              .ld_out = WIDTH_V,
                                              .queries = KEYS,
                                              .keys = KEYS,
                                              .heads = HEADS,
                                              .key_size = KEY_SIZE,
                                              .value_size = VALUE_SIZE,
                                              .visible = visible,
                                              .scratch = scratch});
    kernels->attention_step(&(struct sb_attention_step){.q = q,
                                                        .keys = keys,
                                                        .values = values,
                                                        .out = step,
                                                        .count = KEYS,
                                                        .heads = HEADS,
                                                        .key_size = KEY_SIZE,
                                                        .value_size = VALUE_SIZE,
                                                        .scratch = scratch});
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
    return attention_fault(kernels);
}
