/*
 * Comparing texts: normalisation and edit distance.
 */
#include "base/random.h"
#include "base/edit_distance.h"
#include "model/text_normalize.h"
#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>

static struct sb_code_points normalized(const char *text)
{
    struct sb_code_points points = {0};
    ck_assert_int_eq(sb_text_normalize(&points, text, strlen(text), NULL), SB_OK);
    return points;
}

static bool same(const char *a, const char *b)
{
    struct sb_code_points x = normalized(a), y = normalized(b);
    bool equal = sb_code_points_equal(&x, &y);
    sb_code_points_free(&x);
    sb_code_points_free(&y);
    return equal;
}

START_TEST(the_same_text)
{
    static const char *const equal[][2] = {
        {"花呗怎么还款", "花呗怎么还款？"},
        {"花呗怎么还款？", "花呗怎么还款?!"},
        {"花呗怎么还款。。。", "花呗 怎么\t还款…"},
        {"ＨＵＡＢＥＩ１２", "huabei12"},
        {"Straße", "STRASSE"},
        {"e\u0301te\u0301", "été"},
        {"ｶﾞ", "ガ"},
        {"ﬁn", "FIN"},
        {"a\u200Bb\u00ADc", "abc"}, /* zero-width space, soft hyphen */
        {"①", "1"},
        {"，。？", ""},
        {"  \n\u3000", ""},
        {"好吗~", "好吗～"},
    };
    static const char *const different[][2] = {
        {"花呗怎么还款", "花呗怎样还款"},
        {"C#", "C"},
        {"50%", "50"},
        {"?好", "好"},
        {"a,b", "ab"},
        {"（好）", "好"},
        {"好", ""},
    };
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
        ck_assert_msg(same(equal[i][0], equal[i][1]), "'%s' is not '%s'", equal[i][0], equal[i][1]);
    for (size_t i = 0; i < sizeof different / sizeof *different; i++)
        ck_assert_msg(!same(different[i][0], different[i][1]), "'%s' is '%s'", different[i][0], different[i][1]);
}
END_TEST

START_TEST(any_bytes)
{
    struct sb_code_points points = {0};
    ck_assert_int_eq(sb_text_normalize(&points, "a\0b", 3, NULL), SB_OK);
    ck_assert_uint_eq(points.count, 2); /* NUL is a control character */
    ck_assert_int_eq(sb_text_normalize(&points, "ab\xFF", 3, NULL), SB_INVALID);
    ck_assert_int_eq(sb_text_normalize(&points, "\xE8\x8A", 2, NULL), SB_INVALID);
    ck_assert_int_eq(sb_text_normalize(&points, "", 0, NULL), SB_OK);
    ck_assert_uint_eq(points.count, 0);
    /* U+FDFA becomes 18 code points: the most that compatibility gives. */
    ck_assert_int_eq(sb_text_normalize(&points, "\uFDFA\uFDFA", 6, NULL), SB_OK);
    ck_assert_uint_eq(points.count, 2 * 15); /* three of the 18 are spaces */
    sb_code_points_free(&points);
    sb_code_points_free(&points);
}
END_TEST

static size_t distance(const char *a, const char *b)
{
    struct sb_code_points x = normalized(a), y = normalized(b);
    size_t row[64];
    size_t result = sb_edit_distance(x.points, x.count, y.points, y.count, row);
    ck_assert_uint_eq(sb_edit_distance(y.points, y.count, x.points, x.count, row), result);
    sb_code_points_free(&x);
    sb_code_points_free(&y);
    return result;
}

START_TEST(known_distances)
{
    ck_assert_uint_eq(distance("", ""), 0);
    ck_assert_uint_eq(distance("花呗", ""), 2);
    ck_assert_uint_eq(distance("花呗", "花呗"), 0);
    ck_assert_uint_eq(distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(distance("intention", "execution"), 5);
    ck_assert_uint_eq(distance("花呗怎么还款", "怎么还花呗"), 4); /* as with transposed words: no move operation */
    ck_assert_uint_eq(distance("aaa", "aaaaa"), 2);
    ck_assert_uint_eq(distance("abcdef", "azced"), 3);
}
END_TEST

/* By definition, exponential: for short texts only. */
static size_t defined(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    if (n == 0 || m == 0)
        return n + m;
    if (a[0] == b[0])
        return defined(a + 1, n - 1, b + 1, m - 1);
    size_t x = defined(a + 1, n - 1, b, m), y = defined(a, n, b + 1, m - 1), z = defined(a + 1, n - 1, b + 1, m - 1);
    size_t least = x < y ? x : y;
    return 1 + (least < z ? least : z);
}

START_TEST(random_distances)
{
    for (uint64_t round = 0; round < 300; round++) {
        int32_t a[7], b[7];
        size_t row[8], n = (size_t)(sb_random_uniform(3, round, 0) * 8),
                       m = (size_t)(sb_random_uniform(3, round, 1) * 8);
        for (size_t i = 0; i < 7; i++) {
            a[i] = (int32_t)(sb_random_uniform(3, round, 2 + i) * 3);
            b[i] = (int32_t)(sb_random_uniform(3, round, 20 + i) * 3);
        }
        ck_assert_uint_eq(sb_edit_distance(a, n, b, m, row), defined(a, n, b, m));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, the_same_text);
    tcase_add_test(tcase, any_bytes);
    tcase_add_test(tcase, known_distances);
    tcase_add_test(tcase, random_distances);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
