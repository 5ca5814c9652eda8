/*
 * The kernels of training: the plain ones against their definition (central differences in double precision), every variant
 * against the plain one over odd sizes, and the promised bits. Every array is exactly as large as the contract says, so that the
 * address sanitizer sees what is read or written past it.
 */
#include "kernels/training_kernels.h"
#include "base/random.h"
#include "kernels/self_check.h"
#include "kernels/variants.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t odd_sizes[] = {1, 2, 7, 16, 31, 33, 64, 65, 127, 511};
enum { ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes };
static const float eps = 1e-5f;

static uint64_t stream;

/* n normal values; a new stream every call. */
static float *random_floats(size_t n)
{
    float *x = malloc(n * sizeof *x);
    stream++;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sb_random_normal(11, stream, i);
    return x;
}

static float *copy_of(const float *x, size_t n)
{
    return memcpy(malloc(n * sizeof *x), x, n * sizeof *x);
}

static void assert_close(const float *x, const float *expected, size_t n, double tolerance, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)x[i] - expected[i]) <= tolerance * fmax(1.0, fabs((double)expected[i])),
                      "%s: element %zu of %zu: %.9g, expected %.9g", what, i, n, (double)x[i], (double)expected[i]);
}

static void assert_same(const float *x, const float *expected, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(memcmp(x + i, expected + i, sizeof *x) == 0, "%s: element %zu of %zu: %.9g, expected %.9g", what,
                      i, n, (double)x[i], (double)expected[i]);
}

static const struct sb_training_kernels *plain(void)
{
    return sb_kernels_at(0)->training;
}

/* Forward formulas in double precision: the loss is sum of weight[i] * y[i]. */
struct layer {
    const float *weight;
    const float *gamma;
    double scale;
    enum sb_act act;
    size_t n;
};
typedef double forward(const struct layer *layer, const double *x);

static double activation_of(double x, enum sb_act act)
{
    double u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    double forms[] = {x,      0.5 * x * (1 + erf(x / sqrt(2))), 0.5 * x * (1 + tanh(u)), fmax(x, 0), x / (1 + exp(-x)),
                      tanh(x)};
    return forms[act];
}

static double forward_activation(const struct layer *layer, const double *x)
{
    double loss = 0;
    for (size_t i = 0; i < layer->n; i++)
        loss += layer->weight[i] * activation_of(x[i], layer->act);
    return loss;
}

static double forward_softmax(const struct layer *layer, const double *x)
{
    double total = 0, loss = 0;
    for (size_t i = 0; i < layer->n; i++)
        total += exp(x[i] * layer->scale);
    for (size_t i = 0; i < layer->n; i++)
        loss += layer->weight[i] * exp(x[i] * layer->scale) / total;
    return loss;
}

static void normalise(double *h, const double *x, size_t n)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        h[i] = (x[i] - mean) / sqrt(variance + eps);
}

static double forward_layer_norm(const struct layer *layer, const double *x)
{
    double h[64], loss = 0;
    normalise(h, x, layer->n);
    for (size_t i = 0; i < layer->n; i++)
        loss += layer->weight[i] * h[i] * layer->gamma[i];
    return loss;
}

/* dx by central differences: error O(h^2) of the formula, 1e-16 / h of the arithmetic. */
static void assert_gradient(const float *dx, const struct layer *layer, const float *at, forward *f, const char *what)
{
    const double h = 1e-5;
    double x[64];
    for (size_t i = 0; i < layer->n; i++)
        x[i] = at[i];
    for (size_t i = 0; i < layer->n; i++) {
        x[i] = at[i] + h;
        double above = f(layer, x);
        x[i] = at[i] - h;
        double expected = (above - f(layer, x)) / (2 * h);
        x[i] = at[i];
        ck_assert_msg(fabs(dx[i] - expected) <= 1e-5 * fmax(1, fabs(expected)), "%s: d/dx[%zu] = %.9g, expected %.9g",
                      what, i, (double)dx[i], expected);
    }
}

START_TEST(activation_gradients_are_derivatives)
{
    for (int act = SB_ACT_NONE; act <= SB_ACT_TANH; act++) {
        float *x = random_floats(64), *weight = random_floats(64), *dx = copy_of(weight, 64);
        for (size_t i = 0; i < 64; i++)
            x[i] *= 2;
        plain()->activate_backward(dx, x, 64, (enum sb_act)act);
        assert_gradient(dx, &(struct layer){.weight = weight, .act = (enum sb_act)act, .n = 64}, x, forward_activation,
                        "activation");
        free(x), free(weight), free(dx);
    }
}
END_TEST

START_TEST(softmax_gradient_is_the_derivative)
{
    for (size_t n = 1; n <= 64; n += 7) {
        float *x = random_floats(n), *p = copy_of(x, n), *weight = random_floats(n), *dx = malloc(n * sizeof *dx);
        plain()->softmax(p, n, 0.7f);
        plain()->softmax_backward(dx, p, weight, n, 0.7f);
        assert_gradient(dx, &(struct layer){.weight = weight, .scale = 0.7f, .n = n}, x, forward_softmax, "softmax");
        free(x), free(p), free(weight), free(dx);
    }
}
END_TEST

START_TEST(layer_norm_gradients_are_derivatives)
{
    for (size_t n = 7; n <= 64; n += 19) {
        float *x = random_floats(2 * n), *gamma = random_floats(n), *dy = random_floats(2 * n),
              *dx = malloc(2 * n * sizeof *dx), *dgamma = random_floats(n), *dbeta = random_floats(n),
              *gamma_before = copy_of(dgamma, n), *beta_before = copy_of(dbeta, n);
        plain()->layer_norm_backward(dx, dy, x, gamma, eps, 2, n);
        for (size_t r = 0; r < 2; r++)
            assert_gradient(dx + r * n, &(struct layer){.weight = dy + r * n, .gamma = gamma, .n = n}, x + r * n,
                            forward_layer_norm, "layer_norm");
        /* y is linear in gamma and beta */
        double both[2][64], h[2][64];
        for (size_t r = 0; r < 2; r++) {
            for (size_t i = 0; i < n; i++)
                both[r][i] = x[r * n + i];
            normalise(h[r], both[r], n);
        }
        plain()->layer_norm_gradients(dgamma, dbeta, dy, x, eps, 2, n);
        for (size_t i = 0; i < n; i++) {
            ck_assert(fabs(dgamma[i] - (gamma_before[i] + dy[i] * h[0][i] + dy[n + i] * h[1][i])) < 1e-5);
            ck_assert(fabs(dbeta[i] - ((double)beta_before[i] + dy[i] + dy[n + i])) < 1e-5);
        }
        free(x), free(gamma), free(dy), free(dx), free(dgamma), free(dbeta), free(gamma_before), free(beta_before);
    }
}
END_TEST

/* c = a b in double precision; each row's bits do not depend on the others, nor each column's. */
static void check_matmul(const struct sb_training_kernels *t, size_t rows, size_t depth, size_t columns,
                         const char *name)
{
    size_t ld_a = depth + 3, ld_b = columns + 5, ld_c = columns + 1;
    float *a = random_floats((rows - 1) * ld_a + depth), *b = random_floats((depth - 1) * ld_b + columns),
          *c = malloc(((rows - 1) * ld_c + columns) * sizeof *c), *one = malloc(columns * sizeof *one);
    for (size_t i = 0; i + 1 < rows; i++)
        c[i * ld_c + columns] = 42;
    t->matmul(c, ld_c, a, ld_a, b, ld_b, rows, depth, columns);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t p = 0; p < depth; p++)
                sum += (double)a[i * ld_a + p] * b[p * ld_b + j];
            ck_assert_msg(fabs(c[i * ld_c + j] - sum) <= 2e-6 * sqrt((double)depth) + 1e-6, "%s: matmul", name);
        }
    for (size_t i = 0; i + 1 < rows; i++)
        ck_assert(c[i * ld_c + columns] == 42.0f);
    t->matmul(one, columns, a + (rows - 1) * ld_a, ld_a, b, ld_b, 1, depth, columns);
    assert_same(one, c + (rows - 1) * ld_c, columns, name);
    t->matmul(one, 1, a, ld_a, b + columns - 1, ld_b, rows < columns ? rows : columns, depth, 1);
    for (size_t i = 0; i < rows && i < columns; i++)
        assert_same(one + i, c + i * ld_c + columns - 1, 1, name);
    free(a), free(b), free(c), free(one);
}

static void check_transpose(const struct sb_training_kernels *t, size_t rows, size_t columns, const char *name)
{
    size_t ld_from = columns + 3, ld_to = rows + 2;
    float *from = random_floats((rows - 1) * ld_from + columns),
          *to = malloc(((columns - 1) * ld_to + rows) * sizeof *to);
    for (size_t j = 0; j + 1 < columns; j++)
        to[j * ld_to + rows] = to[j * ld_to + rows + 1] = 42;
    t->transpose(to, ld_to, from, ld_from, rows, columns);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            assert_same(to + j * ld_to + i, from + i * ld_from + j, 1, name);
    for (size_t j = 0; j + 1 < columns; j++)
        ck_assert(to[j * ld_to + rows] == 42.0f && to[j * ld_to + rows + 1] == 42.0f);
    free(from), free(to);
}

START_TEST(matrices_are_right_at_odd_sizes)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t i = 0; i < ODD_SIZES; i++) {
            check_matmul(kernels->training, 1 + i % 8, odd_sizes[i], odd_sizes[ODD_SIZES - 1 - i], kernels->name);
            check_matmul(kernels->training, odd_sizes[i] % 40 + 1, 33, odd_sizes[i], kernels->name);
            check_transpose(kernels->training, odd_sizes[i], odd_sizes[ODD_SIZES - 1 - i], kernels->name);
            check_transpose(kernels->training, odd_sizes[i], odd_sizes[i], kernels->name);
        }
}
END_TEST

static void check_softmax(const struct sb_training_kernels *t, size_t n, const char *name)
{
    float *x = random_floats(n), *expected = copy_of(x, n), *p = copy_of(x, n), *dp = random_floats(n),
          *dx = malloc(n * sizeof *dx);
    plain()->softmax(expected, n, 3.0f);
    t->softmax(p, n, 3.0f);
    assert_close(p, expected, n, 1e-6, name);
    plain()->softmax_backward(expected, p, dp, n, 3.0f);
    t->softmax_backward(dx, p, dp, n, 3.0f);
    assert_close(dx, expected, n, 2e-6, name);
    t->softmax_backward(dp, p, dp, n, 3.0f);
    assert_same(dp, dx, n, name);
    memcpy(expected, x, n * sizeof *x);
    memcpy(dx, x, n * sizeof *x);
    plain()->exp_scale(expected, n, 1.25f, 0.3f);
    t->exp_scale(dx, n, 1.25f, 0.3f);
    assert_close(dx, expected, n, 1e-6, name);
    free(x), free(expected), free(p), free(dp), free(dx);
}

static void check_layer_norm(const struct sb_training_kernels *t, size_t rows, size_t n, const char *name)
{
    float *x = random_floats(rows * n), *gamma = random_floats(n), *dy = random_floats(rows * n),
          *dx = malloc(rows * n * sizeof *dx), *expected = malloc(rows * n * sizeof *dx), *dgamma = random_floats(n),
          *dbeta = random_floats(n), *expected_gamma = copy_of(dgamma, n), *expected_beta = copy_of(dbeta, n);
    plain()->layer_norm_backward(expected, dy, x, gamma, eps, rows, n);
    t->layer_norm_backward(dx, dy, x, gamma, eps, rows, n);
    /* few values may nearly cancel in the variance */
    assert_close(dx, expected, rows * n, n < 16 ? 1e-3 : 1e-5, name);
    plain()->layer_norm_gradients(expected_gamma, expected_beta, dy, x, eps, rows, n);
    t->layer_norm_gradients(dgamma, dbeta, dy, x, eps, rows, n);
    assert_close(dgamma, expected_gamma, n, n < 16 ? 1e-4 : 1e-5, name);
    assert_same(dbeta, expected_beta, n, name);
    t->layer_norm_backward(dy, dy, x, gamma, eps, rows, n);
    assert_same(dy, dx, rows * n, name);
    free(x), free(gamma), free(dy), free(dx), free(expected), free(dgamma), free(dbeta), free(expected_gamma),
        free(expected_beta);
}

static void check_sums(const struct sb_training_kernels *t, size_t rows, size_t n, const char *name)
{
    size_t ld = n + 3;
    float *x = random_floats((rows - 1) * ld + n), *sum = random_floats(n), *expected = copy_of(sum, n);
    plain()->add_rows(expected, x, ld, rows, n);
    t->add_rows(sum, x, ld, rows, n);
    assert_same(sum, expected, n, name); /* one order: no rounding to differ by */
    plain()->add_scaled(expected, x, -0.37f, n);
    t->add_scaled(sum, x, -0.37f, n);
    assert_close(sum, expected, n, 1e-6, name);
    free(x), free(sum), free(expected);
}

START_TEST(rows_are_right_at_odd_sizes)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t i = 0; i < ODD_SIZES; i++) {
            check_softmax(kernels->training, odd_sizes[i], kernels->name);
            check_layer_norm(kernels->training, 1 + i % 4, odd_sizes[i], kernels->name);
            check_sums(kernels->training, 1 + i, odd_sizes[i], kernels->name);
        }
}
END_TEST

/* Even where all logits are far from 0 and where almost all probability is on one. */
START_TEST(softmax_does_not_overflow)
{
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t n = 1; n < 70; n += 17) {
            float *x = malloc(n * sizeof *x);
            for (size_t i = 0; i < n; i++)
                x[i] = i == n - 1 ? 3e4f : -3e4f;
            kernels->training->softmax(x, n, 2.0f);
            for (size_t i = 0; i < n; i++)
                ck_assert_msg(x[i] == (i == n - 1 ? 1.0f : 0.0f), "%s: %g at %zu of %zu", kernels->name, (double)x[i],
                              i, n);
            free(x);
        }
}
END_TEST

static double slope_of(double x, enum sb_act act)
{
    double u = 0.7978845608028654 * (x + 0.044715 * x * x * x), t = tanh(u), s = 1 / (1 + exp(-x));
    double forms[] = {1,
                      0.5 * erfc(-x / sqrt(2)) + x * exp(-0.5 * x * x) * 0.3989422804014327,
                      0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x),
                      x > 0,
                      s * (1 + x * (1 - s)),
                      1 - tanh(x) * tanh(x)};
    return forms[act];
}

/* Also far out, where x times a density is 0, not a NaN. */
START_TEST(activation_slopes_keep_their_error_bounds)
{
    static const double bounds[] = {0, 6e-7, 2e-6, 0, 1e-6, 6e-7};
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (int act = SB_ACT_NONE; act <= SB_ACT_TANH; act++)
            for (double start = -60; start < 60; start += 0.37) {
                float x[37], slope[37];
                for (int i = 0; i < 37; i++) {
                    x[i] = (float)(start + 0.01 * i);
                    slope[i] = 1;
                }
                kernels->training->activate_backward(slope, x, 37, (enum sb_act)act);
                for (int i = 0; i < 37; i++) {
                    double exact = slope_of(x[i], (enum sb_act)act);
                    ck_assert_msg(fabs(slope[i] - exact) <= bounds[act],
                                  "%s: activation %d: slope at %g: %.9g, expected %.9g", kernels->name, act,
                                  (double)x[i], (double)slope[i], exact);
                }
            }
}
END_TEST

/* Rows are added in order: in two calls as in one. */
START_TEST(sums_over_rows_may_be_cut_anywhere)
{
    enum { ROWS = 23, N = 37 };
    const struct sb_kernels *kernels;
    for (size_t v = 0; (kernels = sb_kernels_at(v)); v++)
        for (size_t cut = 0; cut <= ROWS; cut++) {
            const struct sb_training_kernels *t = kernels->training;
            float *x = random_floats(ROWS * N), *dy = random_floats(ROWS * N);
            float whole[3][N] = {{0}}, parts[3][N] = {{0}};
            t->add_rows(whole[0], x, N, ROWS, N);
            t->add_rows(parts[0], x, N, cut, N);
            t->add_rows(parts[0], x + cut * N, N, ROWS - cut, N);
            t->layer_norm_gradients(whole[1], whole[2], dy, x, eps, ROWS, N);
            t->layer_norm_gradients(parts[1], parts[2], dy, x, eps, cut, N);
            t->layer_norm_gradients(parts[1], parts[2], dy + cut * N, x + cut * N, eps, ROWS - cut, N);
            assert_same(parts[0], whole[0], 3 * N, kernels->name);
            free(x), free(dy);
        }
}
END_TEST

/* sb_packed_fill, in two parts and over memory that held something else, gives what sb_packed_row gives over zeros. */
static void check_fill(const struct sb_linear_kernel *kernel, size_t out, size_t in, bool transposed)
{
    size_t rows = transposed ? in : out, columns = transposed ? out : in, ld = columns + 3;
    size_t bytes = sb_packed_bytes(kernel, out, in);
    float *source = random_floats((rows - 1) * ld + columns), *row = malloc(in * sizeof *row);
    void *expected, *panels;
    ck_assert(posix_memalign(&expected, 64, bytes) == 0 && posix_memalign(&panels, 64, bytes) == 0);
    memset(expected, 0, bytes);
    memset(panels, 0xA5, bytes);
    struct sb_packed by_rows, filled;
    sb_packed_init(&by_rows, kernel, expected, out, in);
    sb_packed_init(&filled, kernel, panels, out, in);
    for (size_t o = 0; o < out; o++) {
        for (size_t i = 0; i < in; i++)
            row[i] = transposed ? source[i * ld + o] : source[o * ld + i];
        sb_packed_row(&by_rows, o, row);
    }
    size_t all = sb_packed_panels(&filled), first = all / 2;
    sb_packed_fill(&filled, source, ld, transposed, first, all - first);
    sb_packed_fill(&filled, source, ld, transposed, 0, first);
    ck_assert_msg(memcmp(panels, expected, bytes) == 0, "%s: fill of [%zu, %zu]%s", kernel->name, out, in,
                  transposed ? " from its transpose" : "");
    free(source), free(row), free(expected), free(panels);
}

START_TEST(a_filled_matrix_is_the_one_stored_by_rows)
{
    const struct sb_linear_kernel *kernel;
    for (size_t v = 0; (kernel = sb_linear_at(v)); v++)
        for (size_t i = 0; i < ODD_SIZES && kernel->dtype != SB_PACKED_INT8; i++)
            for (int transposed = 0; transposed < 2; transposed++) {
                check_fill(kernel, odd_sizes[i], odd_sizes[ODD_SIZES - 1 - i], transposed);
                check_fill(kernel, odd_sizes[ODD_SIZES - 1 - i], odd_sizes[(i + 3) % ODD_SIZES], transposed);
                check_fill(kernel, 256, odd_sizes[i], transposed);
            }
}
END_TEST

static void wrong_transpose(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t columns)
{
    plain()->transpose(to, ld_to, from, ld_from, rows, columns);
    to[(columns - 1) * ld_to] = from[0];
}

static void wrong_gradients(float *dgamma, float *dbeta, const float *dy, const float *x, float e, size_t rows,
                            size_t n)
{
    plain()->layer_norm_gradients(dgamma, dbeta, dy, x, e, rows - 1, n);
}

static void wrong_activate_backward(float *dx, const float *x, size_t n, enum sb_act act)
{
    plain()->activate_backward(dx, x, n, act == SB_ACT_GELU_TANH ? SB_ACT_GELU : act);
}

static void wrong_fill(struct sb_packed *packed, const float *source, size_t ld, bool transposed, size_t first,
                       size_t panels)
{
    struct sb_linear_kernel right = *packed->kernel;
    struct sb_packed copy = *packed;
    right.fill = NULL;
    copy.kernel = &right;
    sb_packed_fill(&copy, source, ld, transposed, first, panels);
    if (transposed)
        ((float *)packed->panels)[packed->in * right.panel_width * (first + panels) - 1] = 1;
}

START_TEST(a_wrong_kernel_is_found_and_named)
{
    struct sb_kernels broken = *sb_kernels_at(0);
    struct sb_training_kernels training = *plain();
    broken.training = &training;
    ck_assert_ptr_null(sb_kernels_fault(&broken));
    training.transpose = wrong_transpose;
    ck_assert_str_eq(sb_kernels_fault(&broken), "transpose");
    training = *plain();
    training.layer_norm_gradients = wrong_gradients;
    ck_assert_str_eq(sb_kernels_fault(&broken), "layer_norm_gradients");
    training = *plain();
    training.activate_backward = wrong_activate_backward;
    ck_assert_str_eq(sb_kernels_fault(&broken), "activate_backward");
    struct sb_linear_kernel linear = *sb_linear_at(0);
    linear.fill = wrong_fill;
    ck_assert_str_eq(sb_linear_fault(&linear), "fill");
}
END_TEST

/* A variant that fails its check at start is left out of sb_kernels_at, hence of every test above: that must not pass for
   success. */
START_TEST(no_variant_of_this_processor_is_left_out)
{
    static const struct sb_kernels *const all[] = {
        &sb_kernels_plain,
        &sb_kernels_vector128,
#if defined(__x86_64__)
        &sb_kernels_avx2,
        &sb_kernels_avx512
#endif
    };
    static const struct sb_linear_kernel *const linear[] = {
        &sb_linear_plain_f32,
        &sb_linear_plain_bf16,
        &sb_linear_plain_int8,
        &sb_linear_vector128_f32,
        &sb_linear_openblas_f32,
#if defined(__x86_64__)
        &sb_linear_avx2_f32,
        &sb_linear_avx512_f32,
        &sb_linear_avx512_bf16,
        &sb_linear_avx512_vnni
#endif
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *fault = all[i]->runs_here() ? sb_kernels_fault(all[i]) : NULL;
        ck_assert_msg(!fault, "%s: %s", all[i]->name, fault);
    }
    for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
        const char *fault = linear[i]->runs_here() ? sb_linear_fault(linear[i]) : NULL;
        ck_assert_msg(!fault, "%s: %s", linear[i]->name, fault);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training_kernels");
    TCase *tests = tcase_create("training_kernels");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, activation_gradients_are_derivatives);
    tcase_add_test(tests, softmax_gradient_is_the_derivative);
    tcase_add_test(tests, layer_norm_gradients_are_derivatives);
    tcase_add_test(tests, matrices_are_right_at_odd_sizes);
    tcase_add_test(tests, rows_are_right_at_odd_sizes);
    tcase_add_test(tests, softmax_does_not_overflow);
    tcase_add_test(tests, activation_slopes_keep_their_error_bounds);
    tcase_add_test(tests, sums_over_rows_may_be_cut_anywhere);
    tcase_add_test(tests, a_filled_matrix_is_the_one_stored_by_rows);
    tcase_add_test(tests, a_wrong_kernel_is_found_and_named);
    tcase_add_test(tests, no_variant_of_this_processor_is_left_out);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
