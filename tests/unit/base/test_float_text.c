/* Floats as text: the same as the library's %g at the first precision that reads back, over random bits and hard cases. */
#include "base/float_text.h"
#include "base/random.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(float value)
{
    char text[SB_FLOAT_TEXT_MAX + 1], expected[64];
    text[sb_float_text(text, value)] = '\0';
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(expected, sizeof expected, "%.*g", digits, (double)value);
        if (strtof(expected, NULL) == value)
            break;
    }
    ck_assert_msg(strcmp(text, expected) == 0, "%a: '%s', expected '%s'", (double)value, text, expected);
}

START_TEST(text_is_the_shortest_that_reads_back)
{
    static const float hard[] = {0,           -0.0f,    1,        0.1f,        0.3f,       1e-4f,  9.99999e-5f,
                                 99999.99f,   1e5f,     99999.5f, 0.99999994f, 9.9999999f, 1e-45f, 3.4028e38f,
                                 1.1754e-38f, 16777216, 1 / 3.0f, 0.5f,        0.001f,     123456, 2e-4f};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        check(hard[i]);
        check(-hard[i]);
        check(nextafterf(hard[i], INFINITY));
        check(nextafterf(hard[i], -INFINITY));
    }
    for (uint64_t i = 0; i < 300000; i++) {
        uint32_t words[4];
        float any;
        sb_random_words(words, 9, 1, i);
        memcpy(&any, words, sizeof any);
        if (isfinite(any))
            check(any);
        check((float)sb_random_normal(9, 2, i) * (i % 2 ? 0.05f : 100));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("float_text");
    TCase *tests = tcase_create("float_text");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, text_is_the_shortest_that_reads_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
