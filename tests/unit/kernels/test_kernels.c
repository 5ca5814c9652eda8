/*
 * Every kernel variant against the plain one over odd sizes, with double-precision bounds; and the promise that a row's
 * result does not depend on the rows beside it, bitwise.
 */
#include "kernels/kernels.h"
#include "base/dtype.h"
#include "base/random.h"
#include "kernels/packed.h"
#include "kernels/self_check.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t odd_sizes[] = {1, 2, 7, 16, 31, 33, 64, 65, 127, 511};
enum { ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes };

static uint64_t stream;

/* n normal values; a new stream every call. */
static float *random_floats(size_t n)
{
    float *x = malloc(n * sizeof *x);
    stream++;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sb_random_normal(7, stream, i);
    return x;
}

static void assert_close(const float *a, const float *b, size_t n, double tolerance, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)a[i] - b[i]) <= tolerance * fmax(1.0, fabs((double)b[i])),
                      "%s: element %zu: %.9g, expected %.9g", what, i, (double)a[i], (double)b[i]);
}

static void *aligned_zeros(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    memset(memory, 0, bytes);
    return memory;
}

static struct sb_packed pack(const struct sb_linear_kernel *kernel, const float *w, size_t out, size_t in)
{
    struct sb_packed packed;
    sb_packed_init(&packed, kernel, aligned_zeros(sb_packed_bytes(kernel, out, in)), out, in);
    for (size_t o = 0; o < out; o++)
        sb_packed_row(&packed, o, w + o * in);
    return packed;
}

/* x as the kernel sees it: rounded to bfloat16, or to 255 steps between the row's least and largest value. */
static void round_like(const struct sb_linear_kernel *kernel, float *x, size_t n)
{
    float least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    float scale = (most - least) / 255, inverse = scale > 0 ? 1 / scale : 0, zero = rintf(-least * inverse);
    for (size_t i = 0; i < n; i++) {
        if (kernel->dtype == SB_PACKED_INT8)
            x[i] = scale * (fminf(fmaxf(rintf(x[i] * inverse) + zero, 0), 255) - zero);
        if (kernel->dtype == SB_PACKED_BF16) {
            uint16_t half;
            sb_from_f32(&half, SB_BF16, &x[i], 1);
            sb_to_f32(&x[i], &half, SB_BF16, 1);
        }
    }
}

static double activation_of(double x, enum sb_act act)
{
    double u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    double forms[] = {x,      0.5 * x * (1 + erf(x / sqrt(2))), 0.5 * x * (1 + tanh(u)), fmax(x, 0), x / (1 + exp(-x)),
                      tanh(x)};
    return forms[act];
}

/* y = act(x W^T + b) + r in double precision, over the rounded operands: what every kernel must be close to. */
static void check_linear(const struct sb_linear_kernel *kernel, size_t rows, size_t in, size_t out)
{
    float *w = random_floats(out * in), *x = random_floats(rows * in), *bias = random_floats(out),
          *residual = random_floats(rows * out);
    float *y = malloc(rows * out * sizeof *y), *expected = malloc(rows * out * sizeof *y),
          *rounded = malloc(rows * in * sizeof *x);
    double *sums = malloc(rows * out * sizeof *sums);
    struct sb_packed packed = pack(kernel, w, out, in);
    void *scratch = aligned_zeros(sb_linear_scratch(rows, in));
    memcpy(rounded, x, rows * in * sizeof *x);
    for (size_t r = 0; r < rows; r++)
        round_like(kernel, rounded + r * in, in);
    for (size_t o = 0; o < out; o++) {
        sb_packed_unpack_row(w, &packed, o);
        for (size_t r = 0; r < rows; r++) {
            double sum = bias[o];
            for (size_t i = 0; i < in; i++)
                sum += (double)rounded[r * in + i] * w[i];
            sums[r * out + o] = sum;
        }
    }
    double tolerance = 2e-6 * sqrt((double)in) + 1e-6;
    for (int act = SB_ACT_NONE; act <= SB_ACT_TANH; act++) {
        for (size_t i = 0; i < rows * out; i++)
            expected[i] = (float)(activation_of(sums[i], (enum sb_act)act) + residual[i]);
        sb_linear(y, out, x, in, rows, &packed, bias,
                  &(struct sb_epilogue){.activation = (enum sb_act)act, .residual = residual, .ld_residual = out},
                  scratch);
        assert_close(y, expected, rows * out, tolerance, kernel->name);
    }
    for (size_t i = 0; i < rows * out; i++)
        expected[i] = (float)(sums[i] + residual[i]);
    memcpy(y, residual, rows * out * sizeof *y); /* the residual may be the output itself */
    sb_linear(y, out, x, in, rows, &packed, bias, &(struct sb_epilogue){.residual = y, .ld_residual = out}, scratch);
    assert_close(y, expected, rows * out, tolerance, kernel->name);
    free(w), free(x), free(bias), free(residual), free(y), free(expected), free(packed.panels), free(rounded),
        free(sums), free(scratch);
}

START_TEST(linear_is_right_at_odd_sizes)
{
    const struct sb_linear_kernel *kernel;
    for (size_t v = 0; (kernel = sb_linear_at(v)); v++)
        for (size_t i = 0; i < ODD_SIZES; i++) {
            check_linear(kernel, 1 + i % 8, odd_sizes[i], odd_sizes[ODD_SIZES - 1 - i]);
            check_linear(kernel, odd_sizes[i] % 40 + 1, 33, odd_sizes[i]);
        }
}
END_TEST

START_TEST(linear_writes_nothing_past_its_columns)
{
    const struct sb_linear_kernel *kernel;
    for (size_t v = 0; (kernel = sb_linear_at(v)); v++) {
        float *w = random_floats(70 * 9), *x = random_floats(3 * 9), y[3 * 71];
        for (size_t i = 0; i < 3 * 71; i++)
            y[i] = 42;
        struct sb_packed packed = pack(kernel, w, 70, 9);
        void *scratch = aligned_zeros(sb_linear_scratch(3, 9));
        sb_linear(y, 71, x, 9, 3, &packed, NULL, NULL, scratch);
        for (size_t r = 0; r < 3; r++)
            ck_assert(y[r * 71 + 70] == 42.0f);
        free(w), free(x), free(packed.panels), free(scratch);
    }
}
END_TEST

START_TEST(linear_rows_do_not_see_each_other)
{
    const struct sb_linear_kernel *kernel;
    enum { ROWS = 23, IN = 130, OUT = 77 };
    for (size_t v = 0; (kernel = sb_linear_at(v)); v++) {
        if (strcmp(kernel->name, "openblas-f32") == 0)
            continue; /* the one that does not promise it */
        float *w = random_floats(OUT * IN), *x = random_floats(ROWS * IN), *bias = random_floats(OUT), all[ROWS * OUT],
              one[OUT];
        struct sb_packed packed = pack(kernel, w, OUT, IN);
        struct sb_epilogue gelu = {.activation = SB_ACT_GELU};
        void *scratch = aligned_zeros(sb_linear_scratch(ROWS, IN));
        sb_linear(all, OUT, x, IN, ROWS, &packed, bias, &gelu, scratch);
        for (size_t row = 0; row < ROWS; row++) {
            sb_linear(one, OUT, x + row * IN, IN, 1, &packed, bias, &gelu, scratch);
            ck_assert_msg(memcmp(one, all + row * OUT, sizeof one) == 0, "%s: row %zu alone differs", kernel->name,
                          row);
        }
        free(w), free(x), free(bias), free(packed.panels), free(scratch);
    }
}
END_TEST

/* What unpacking gives is within half a step of the arithmetic's grid. */
START_TEST(packed_rows_come_back)
{
    static const double steps[SB_PACKED_DTYPES] = {
        [SB_PACKED_F32] = 0, [SB_PACKED_BF16] = 0x1p-8, [SB_PACKED_INT8] = 0.5 / 127};
    const struct sb_linear_kernel *kernel;
    for (size_t v = 0; (kernel = sb_linear_at(v)); v++) {
        float *w = random_floats(67 * 13), row[13];
        struct sb_packed packed = pack(kernel, w, 67, 13);
        for (size_t o = 0; o < 67; o++) {
            double largest = 0;
            for (size_t i = 0; i < 13; i++)
                largest = fmax(largest, fabs((double)w[o * 13 + i]));
            sb_packed_unpack_row(row, &packed, o);
            for (size_t i = 0; i < 13; i++)
                ck_assert(fabs((double)row[i] - (double)w[o * 13 + i]) <= steps[kernel->dtype] * largest * 1.0001);
        }
        free(w), free(packed.panels);
    }
    ck_assert_uint_eq(sb_packed_bytes(sb_linear_at(0), SIZE_MAX / 2, 4), 0);
    ck_assert_uint_eq(sb_packed_bytes(sb_linear_at(0), SIZE_MAX, 1), 0);
}
END_TEST

START_TEST(layer_norm_is_right)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t s = 1; s < ODD_SIZES; s++) {
            size_t n = odd_sizes[s], rows = 3;
            float *x = random_floats(rows * n), *gamma = random_floats(n), *beta = random_floats(n),
                  *expected = malloc(rows * n * sizeof *x);
            for (size_t r = 0; r < rows; r++) {
                double mean = 0, variance = 0;
                for (size_t i = 0; i < n; i++)
                    mean += x[r * n + i];
                mean /= (double)n;
                for (size_t i = 0; i < n; i++)
                    variance += (x[r * n + i] - mean) * (x[r * n + i] - mean);
                variance /= (double)n;
                for (size_t i = 0; i < n; i++)
                    expected[r * n + i] = (float)((x[r * n + i] - mean) / sqrt(variance + 1e-12) * gamma[i] + beta[i]);
            }
            kernels->layer_norm(x, x, gamma, beta, 1e-12f, rows, n);
            assert_close(x, expected, rows * n, n == 2 ? 1e-4 : 5e-6,
                         kernels->name); /* two values: nearly equal ones cancel */
            free(x), free(gamma), free(beta), free(expected);
        }
}
END_TEST

struct attention_case {
    size_t keys, key_size, value_size, heads, prefix;
};

/* softmax(q k^T / sqrt(d)) v of one query in double precision */
static void expected_attention(float *out, const struct sb_attention *a, size_t query)
{
    double *weights = malloc(a->keys * sizeof *weights);
    for (size_t h = 0; h < a->heads; h++) {
        double largest = -INFINITY, total = 0;
        for (size_t j = 0; j < (size_t)a->visible[query]; j++) {
            weights[j] = 0;
            for (size_t d = 0; d < a->key_size; d++)
                weights[j] +=
                    (double)a->q[query * a->ld_q + h * a->key_size + d] * a->k[j * a->ld_k + h * a->key_size + d];
            weights[j] /= sqrt((double)a->key_size);
            largest = fmax(largest, weights[j]);
        }
        for (size_t j = 0; j < (size_t)a->visible[query]; j++)
            total += weights[j] = exp(weights[j] - largest);
        for (size_t d = 0; d < a->value_size; d++) {
            double sum = 0;
            for (size_t j = 0; j < (size_t)a->visible[query]; j++)
                sum += weights[j] / total * a->v[j * a->ld_v + h * a->value_size + d];
            out[h * a->value_size + d] = (float)sum;
        }
    }
    free(weights);
}

static void check_attention(const struct sb_kernels *kernels, struct attention_case c)
{
    size_t width_k = c.heads * c.key_size, width_v = c.heads * c.value_size, ld = width_k + width_v + 3;
    float *q = random_floats(c.keys * width_k), *kv = random_floats(c.keys * ld),
          *out = malloc(c.keys * width_v * sizeof *out);
    float *expected = malloc(width_v * sizeof *expected), *single = malloc(width_v * sizeof *single);
    float *scratch = malloc(sb_attention_scratch(c.keys, c.key_size, c.value_size) * sizeof *scratch);
    int *visible = malloc(c.keys * sizeof *visible);
    const float **keys = malloc(c.keys * sizeof *keys), **values = malloc(c.keys * sizeof *values);
    for (size_t i = 0; i < c.keys; i++) {
        visible[i] = (int)(c.prefix > i + 1 ? c.prefix : i + 1);
        keys[i] = kv + i * ld;
        values[i] = kv + i * ld + width_k;
    }
    struct sb_attention a = {.q = q,
                             .k = kv,
                             .v = kv + width_k,
                             .out = out,
                             .ld_q = width_k,
                             .ld_k = ld,
                             .ld_v = ld,
                             .ld_out = width_v,
                             .queries = c.keys,
                             .keys = c.keys,
                             .heads = c.heads,
                             .key_size = c.key_size,
                             .value_size = c.value_size,
                             .visible = visible,
                             .scratch = scratch};
    kernels->attention(&a);
    for (size_t i = 0; i < c.keys; i++) {
        expected_attention(expected, &a, i);
        assert_close(out + i * width_v, expected, width_v, 5e-6, kernels->name);
        kernels->attention_step(&(struct sb_attention_step){.q = q + i * width_k,
                                                            .keys = keys,
                                                            .values = values,
                                                            .out = single,
                                                            .count = (size_t)visible[i],
                                                            .heads = c.heads,
                                                            .key_size = c.key_size,
                                                            .value_size = c.value_size,
                                                            .scratch = scratch});
        ck_assert_msg(memcmp(single, out + i * width_v, width_v * sizeof *single) == 0, "%s: step %zu differs",
                      kernels->name, i);
        /* one query alone gives the same bits as among the others */
        struct sb_attention alone = a;
        alone.q = q + i * width_k, alone.out = single, alone.queries = 1, alone.visible = visible + i;
        kernels->attention(&alone);
        ck_assert_msg(memcmp(single, out + i * width_v, width_v * sizeof *single) == 0, "%s: query %zu alone differs",
                      kernels->name, i);
    }
    free(q), free(kv), free(out), free(expected), free(single), free(scratch), free(visible), free(keys), free(values);
}

START_TEST(attention_is_right)
{
    static const struct attention_case cases[] = {{1, 8, 8, 1, 1},      {7, 12, 8, 4, 7},   {13, 64, 64, 2, 13},
                                                  {31, 4, 10, 3, 12},   {33, 64, 64, 2, 0}, {65, 16, 17, 2, 20},
                                                  {130, 64, 64, 1, 130}};
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            check_attention(kernels, cases[i]);
}
END_TEST

static void round_all(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = sb_bf16_float(sb_float_bf16(x[i]));
}

/* In bfloat16: queries, keys and values are rounded beforehand, so that only the probabilities' rounding (2^-9, relative) is left to
   differ; a query gives the same bits alone. */
START_TEST(attention_in_bf16_is_right)
{
    static const struct attention_case cases[] = {{1, 1, 1, 1, 1},      {1, 8, 8, 1, 1},    {2, 3, 5, 2, 1},
                                                  {7, 12, 8, 4, 7},     {13, 64, 64, 2, 13}, {31, 5, 10, 3, 12},
                                                  {33, 64, 64, 2, 0},   {65, 16, 17, 2, 20}, {130, 64, 64, 1, 130},
                                                  {111, 80, 100, 1, 64}};
    const struct sb_attention_kernel *kernel = sb_attention_choose(sb_kernels_choose(NULL, NULL), SB_PACKED_BF16);
    ck_assert_ptr_null(sb_attention_choose(sb_kernels_choose(NULL, NULL), SB_PACKED_F32));
    ck_assert_ptr_null(sb_attention_choose(sb_kernels_at(0), SB_PACKED_BF16));
    for (size_t n = 0; kernel && n < sizeof cases / sizeof *cases; n++) {
        struct attention_case c = cases[n];
        size_t width_k = c.heads * c.key_size, width_v = c.heads * c.value_size, ld = width_k + width_v + 3;
        float *q = random_floats(c.keys * width_k), *kv = random_floats(c.keys * ld);
        float *out = malloc(c.keys * width_v * sizeof *out), *one = malloc(width_v * sizeof *one);
        float *scratch = malloc(sb_attention_scratch(c.keys, c.key_size, c.value_size) * sizeof *scratch);
        int *visible = malloc(c.keys * sizeof *visible);
        round_all(q, c.keys * width_k);
        round_all(kv, c.keys * ld);
        for (size_t i = 0; i < c.keys; i++)
            visible[i] = (int)(c.prefix > i + 1 ? c.prefix : i + 1);
        struct sb_attention a = {q,       kv,      kv + width_k, out,        width_k,      ld,      ld,     width_v,
                                 c.keys,  c.keys,  c.heads,      c.key_size, c.value_size, visible, scratch};
        kernel->run(&a);
        for (size_t i = 0; i < c.keys; i++) {
            expected_attention(one, &a, i);
            assert_close(out + i * width_v, one, width_v, 8e-3, kernel->name);
            struct sb_attention alone = a;
            alone.q = q + i * width_k, alone.out = one, alone.queries = 1, alone.visible = visible + i;
            kernel->run(&alone);
            ck_assert_int_eq(memcmp(one, out + i * width_v, width_v * sizeof *one), 0);
        }
        free(q), free(kv), free(out), free(one), free(scratch), free(visible);
    }
}
END_TEST

START_TEST(dot_scores_and_log_sum_exp_are_right)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t s = 0; s < ODD_SIZES; s++) {
            size_t n = odd_sizes[s], ld = n + 2;
            float *x = random_floats(n), *matrix = random_floats(5 * ld), scores[5], largest, log_sum;
            kernels->scores(scores, matrix, ld, 5, x, n);
            for (size_t r = 0; r < 5; r++) {
                double sum = 0;
                for (size_t i = 0; i < n; i++)
                    sum += (double)matrix[r * ld + i] * x[i];
                ck_assert(fabs(scores[r] - sum) <= 1e-6 * sqrt((double)n) + 1e-6);
                float dot = kernels->dot(matrix + r * ld, x, n);
                ck_assert(memcmp(&dot, &scores[r], sizeof dot) == 0);
            }
            double top = x[0], total = 0;
            for (size_t i = 0; i < n; i++)
                top = fmax(top, x[i]);
            for (size_t i = 0; i < n; i++)
                total += exp(x[i] - top);
            kernels->log_sum_exp(&largest, &log_sum, x, n);
            ck_assert(largest == (float)top);
            ck_assert(fabs(log_sum - log(total)) < 2e-6);
            free(x), free(matrix);
        }
}
END_TEST

/* The bounds that kernels/vector_math.h states. */
START_TEST(activations_keep_their_error_bounds)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (double start = -100; start < 100; start += 0.37) {
            float x[37], gelu[37], tanh_x[37], swish[37];
            for (int i = 0; i < 37; i++)
                x[i] = gelu[i] = tanh_x[i] = swish[i] = (float)(start + 0.01 * i);
            kernels->activate(gelu, 37, SB_ACT_GELU);
            kernels->activate(tanh_x, 37, SB_ACT_TANH);
            kernels->activate(swish, 37, SB_ACT_SWISH);
            for (int i = 0; i < 37; i++) {
                double scale = fmax(1, fabs((double)x[i]));
                ck_assert_msg(fabs(gelu[i] - 0.5 * x[i] * (1 + erf(x[i] / sqrt(2)))) <= 4e-7 * scale, "gelu(%g)",
                              (double)x[i]);
                ck_assert_msg(fabs(tanh_x[i] - tanh(x[i])) <= 3e-7, "tanh(%g)", (double)x[i]);
                ck_assert_msg(fabs(swish[i] - x[i] / (1 + exp(-x[i]))) <= 3e-7 * scale, "swish(%g)", (double)x[i]);
            }
        }
}
END_TEST

START_TEST(a_variant_is_chosen_by_name_or_refused)
{
    struct sb_error error;
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        ck_assert_ptr_eq(sb_kernels_choose(kernels->name, &error), kernels);
    kernels = sb_kernels_choose("openblas", &error);
    if (kernels)
        ck_assert_str_eq(sb_linear_choose(kernels, SB_PACKED_F32)->name, "openblas-f32");
    ck_assert_ptr_null(sb_kernels_choose("abacus", &error));
    ck_assert_int_eq(error.status, SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "abacus"));
    setenv("SIMBERT_KERNELS", "plain", 1);
    ck_assert_str_eq(sb_kernels_choose(NULL, &error)->name, "plain");
    unsetenv("SIMBERT_KERNELS");
}
END_TEST

static float wrong_dot(const float *a, const float *b, size_t n)
{
    return sb_kernels_at(0)->dot(a, b, n) + 1e-3f * (n > 16);
}

static void wrong_attention(const struct sb_attention *a)
{
    sb_kernels_at(0)->attention(a);
    a->out[a->ld_out * (a->queries - 1)] = NAN;
}

static void wrong_linear(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                         const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    sb_linear_at(0)->run(y, ld_y, x, ld_x, rows, w, bias, epilogue, scratch);
    y[ld_y * (rows - 1) + w->out - 1] += 1e-3f;
}

START_TEST(a_wrong_kernel_is_found_and_named)
{
    struct sb_kernels broken = *sb_kernels_at(0);
    ck_assert_ptr_null(sb_kernels_fault(&broken));
    broken.dot = wrong_dot;
    ck_assert_str_eq(sb_kernels_fault(&broken), "dot");
    broken = *sb_kernels_at(0);
    broken.attention = wrong_attention;
    ck_assert_str_eq(sb_kernels_fault(&broken), "attention");
    struct sb_linear_kernel linear = *sb_linear_at(0);
    ck_assert_ptr_null(sb_linear_fault(&linear));
    linear.run = wrong_linear;
    ck_assert_str_eq(sb_linear_fault(&linear), "linear");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create("kernels");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, linear_is_right_at_odd_sizes);
    tcase_add_test(tests, linear_writes_nothing_past_its_columns);
    tcase_add_test(tests, linear_rows_do_not_see_each_other);
    tcase_add_test(tests, packed_rows_come_back);
    tcase_add_test(tests, layer_norm_is_right);
    tcase_add_test(tests, attention_is_right);
    tcase_add_test(tests, attention_in_bf16_is_right);
    tcase_add_test(tests, dot_scores_and_log_sum_exp_are_right);
    tcase_add_test(tests, activations_keep_their_error_bounds);
    tcase_add_test(tests, a_variant_is_chosen_by_name_or_refused);
    tcase_add_test(tests, a_wrong_kernel_is_found_and_named);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
