/* Sums, norms and clipping of gradients over many blocks; bert4keras' mean of two micro-batches is a test of the
   trainer. */
#include "tests/unit/support.h"
#include "training/gradients.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { SIZE = 5 * 65536 + 1234 };

static float *numbers(uint32_t seed)
{
    float *x = malloc(SIZE * sizeof *x);
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = (float)(seed >> 8) / (1 << 24) - 0.3F;
    }
    return x;
}

START_TEST(sums)
{
    struct sb_pool *pool = sb_pool_new(_i);
    float *a = numbers(1), *b = numbers(2), *c = numbers(3), *sum = numbers(4), *start = numbers(4);
    sb_gradients_add(sum, (const float *const[]){a, b, c}, 3, SIZE, pool);
    sb_gradients_scale(sum, SIZE, 1.0 / 3, pool);
    size_t wrong = 0;
    for (size_t i = 0; i < SIZE; i++)
        wrong += sum[i] != (((start[i] + a[i]) + b[i]) + c[i]) * (float)(1.0 / 3); /* in this order, to the bit */
    ck_assert_uint_eq(wrong, 0);
    free(a);
    free(b);
    free(c);
    free(sum);
    free(start);
    sb_pool_free(pool);
}
END_TEST

START_TEST(norm_and_clipping)
{
    struct sb_pool *pool = sb_pool_new(_i);
    float *x = numbers(5);
    double squares = 0;
    for (size_t i = 0; i < SIZE; i++)
        squares += (double)x[i] * (double)x[i];
    double norm = sb_gradients_norm(x, SIZE, pool), alone = sb_gradients_norm(x, SIZE, NULL);
    ck_assert_double_eq_tol(norm, sqrt(squares), 1e-9 * norm);
    ck_assert(norm == alone);
    ck_assert(sb_gradients_norm(x, 0, pool) == 0);

    float first = x[0], last = x[SIZE - 1];
    ck_assert(sb_gradients_clip(x, SIZE, norm * 2, pool) == norm);
    ck_assert(x[0] == first && x[SIZE - 1] == last);
    ck_assert(sb_gradients_clip(x, SIZE, 0.5, pool) == norm);
    ck_assert_double_eq_tol(sb_gradients_norm(x, SIZE, pool), 0.5, 1e-6);
    ck_assert_double_eq_tol((double)x[0], (double)first * 0.5 / norm, 1e-9);
    free(x);
    sb_pool_free(pool);
}
END_TEST

START_TEST(not_finite)
{
    float *x = numbers(6), first = x[0], bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        x[SIZE - 1] = bad[i];
        ck_assert(!isfinite(sb_gradients_clip(x, SIZE, 1, NULL)));
        ck_assert(x[0] == first);
    }
    for (size_t i = 0; i < SIZE; i++)
        x[i] = 3e38F; /* squares overflow a float, their sum here must not */
    ck_assert(isfinite(sb_gradients_norm(x, SIZE, NULL)));
    free(x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/gradients");
    TCase *tests = tcase_create("gradients");
    tcase_add_loop_test(tests, sums, 1, 4);
    tcase_add_loop_test(tests, norm_and_clipping, 1, 4);
    tcase_add_test(tests, not_finite);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
