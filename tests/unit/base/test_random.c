#include "base/random.h"
#include "tests/unit/support.h"

#include <math.h>

/* Known answers of philox4x32-10 as published with Random123 (kat_vectors): counter, key, result. */
static const struct {
    uint32_t counter[4], key[2], result[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static uint64_t join(const uint32_t words[2])
{
    return (uint64_t)words[1] << 32 | words[0];
}

START_TEST(known_answers)
{
    uint32_t words[4];
    sb_random_words(words, join(known[_i].key), join(known[_i].counter + 2), join(known[_i].counter));
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(words[i], known[_i].result[i]);
}
END_TEST

START_TEST(uniform_is_53_bits_of_the_first_two_words)
{
    uint32_t words[4];
    for (uint64_t i = 0; i < 1000; i++) {
        sb_random_words(words, 7, 3, i);
        double expected = ldexp((double)(join(words) >> 11), -53), u = sb_random_uniform(7, 3, i);
        ck_assert(u == expected && u >= 0 && u < 1);
    }
}
END_TEST

START_TEST(streams_and_seeds_differ)
{
    double u = sb_random_uniform(1, 2, 3);
    ck_assert(u == sb_random_uniform(1, 2, 3));
    ck_assert(u != sb_random_uniform(2, 2, 3));
    ck_assert(u != sb_random_uniform(1, 3, 3));
    ck_assert(u != sb_random_uniform(1, 2, 4));
    ck_assert(u != sb_random_uniform(1ull << 32 | 1, 2, 3));
    ck_assert(u != sb_random_uniform(1, 1ull << 32 | 2, 3));
    ck_assert(u != sb_random_uniform(1, 2, 1ull << 32 | 3));
}
END_TEST

/* With 20,000 fixed values the first four moments lie within five standard errors of the true ones. */
START_TEST(moments)
{
    enum { N = 20000 };
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = sb_random_uniform(42, 0, i), n = sb_random_normal(42, 1, i);
        ck_assert(isfinite(n));
        u1 += u;
        u2 += u * u;
        n1 += n;
        n2 += n * n;
        n4 += n * n * n * n;
    }
    ck_assert_double_eq_tol(u1 / N, 0.5, 5 * sqrt(1.0 / 12 / N));
    ck_assert_double_eq_tol(u2 / N, 1.0 / 3, 5 * sqrt(4.0 / 45 / N));
    ck_assert_double_eq_tol(n1 / N, 0, 5 * sqrt(1.0 / N));
    ck_assert_double_eq_tol(n2 / N, 1, 5 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(n4 / N, 3, 5 * sqrt(96.0 / N));
}
END_TEST

START_TEST(fresh_seeds_differ_and_fit_json)
{
    uint64_t seen[100];
    for (int i = 0; i < 100; i++) {
        seen[i] = sb_random_fresh_seed();
        ck_assert_uint_lt(seen[i], 1ull << 53);
        for (int k = 0; k < i; k++)
            ck_assert_uint_ne(seen[i], seen[k]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    TCase *tests = tcase_create("random");
    tcase_add_loop_test(tests, known_answers, 0, sizeof known / sizeof *known);
    tcase_add_test(tests, uniform_is_53_bits_of_the_first_two_words);
    tcase_add_test(tests, streams_and_seeds_differ);
    tcase_add_test(tests, moments);
    tcase_add_test(tests, fresh_seeds_differ_and_fit_json);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
