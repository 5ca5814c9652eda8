#include "base/utf8.h"
#include "tests/unit/support.h"

#include <string.h>

static const struct {
    const char *bytes;
    size_t size;
    size_t bad; /* offset of the first malformed byte */
} malformed[] = {
    {"\x80", 1, 0},             /* continuation without a lead */
    {"a\xBFz", 3, 1},           /* the same inside text */
    {"\xC0\x80", 2, 0},         /* overlong NUL */
    {"\xC1\xBF", 2, 0},         /* overlong U+007F */
    {"\xE0\x9F\xBF", 3, 0},     /* overlong U+07FF */
    {"\xF0\x8F\xBF\xBF", 4, 0}, /* overlong U+FFFF */
    {"\xED\xA0\x80", 3, 0},     /* surrogate U+D800 */
    {"\xED\xBF\xBF", 3, 0},     /* surrogate U+DFFF */
    {"\xF4\x90\x80\x80", 4, 0}, /* U+110000 */
    {"\xF5\x80\x80\x80", 4, 0}, /* lead bytes that never occur */
    {"\xFE", 1, 0},
    {"\xFF", 1, 0},
    {"\xF8\x88\x80\x80\x80", 5, 0}, /* five-byte form of old */
    {"ab\xC3", 3, 2},               /* cut short: 1 of 2 */
    {"ab\xE4\xB8", 4, 2},           /* 2 of 3 */
    {"\xF0\xA0\x80", 3, 0},         /* 3 of 4 */
    {"\xE4\x41\x80", 3, 0},         /* letter where a continuation belongs */
    {"\xE4\xB8\xE4", 3, 0},         /* lead where a continuation belongs */
    {"\xE4\xB8\xAD\x80", 4, 3},     /* one continuation too many */
};

START_TEST(malformed_is_refused)
{
    size_t bad = 99;
    ck_assert(!sb_utf8_valid(malformed[_i].bytes, malformed[_i].size, &bad));
    ck_assert_uint_eq(bad, malformed[_i].bad);
    ck_assert(!sb_utf8_valid(malformed[_i].bytes, malformed[_i].size, NULL));
    size_t at = bad;
    ck_assert_int_eq(sb_utf8_next(malformed[_i].bytes, malformed[_i].size, &at), -1);
    ck_assert_uint_eq(at, bad + 1); /* so that one bad byte costs one replacement, never a good neighbour */
}
END_TEST

START_TEST(every_scalar_value_round_trips)
{
    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        char bytes[4];
        size_t size = sb_utf8_put(bytes, c), at = 0;
        size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (size != expected || sb_utf8_next(bytes, size, &at) != c || at != size)
            ck_abort_msg("U+%04X", (unsigned)c);
        at = 0;
        if (size > 1 && sb_utf8_next(bytes, size - 1, &at) != -1)
            ck_abort_msg("U+%04X without its last byte was accepted", (unsigned)c);
    }
}
END_TEST

START_TEST(nul_is_a_character)
{
    ck_assert(sb_utf8_valid("a\0b", 3, NULL));
    ck_assert_uint_eq(sb_utf8_length("a\0b", 3), 3);
    ck_assert(sb_utf8_valid("", 0, NULL));
}
END_TEST

START_TEST(lengths)
{
    const char *text = "a\xC3\xA9中𠀀";
    ck_assert_uint_eq(sb_utf8_length(text, strlen(text)), 4);
    ck_assert_uint_eq(sb_utf8_length("", 0), 0);
}
END_TEST

START_TEST(floor_never_cuts_a_character)
{
    const char *text = "a中𠀀b"; /* characters begin at 0, 1, 4, 8 */
    static const size_t expected[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
    for (size_t limit = 0; limit < sizeof expected / sizeof *expected; limit++)
        ck_assert_uint_eq(sb_utf8_floor(text, 9, limit), expected[limit]);
    ck_assert_uint_eq(sb_utf8_floor("", 0, 5), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tests = tcase_create("utf8");
    tcase_add_loop_test(tests, malformed_is_refused, 0, sizeof malformed / sizeof *malformed);
    tcase_add_test(tests, every_scalar_value_round_trips);
    tcase_add_test(tests, nul_is_a_character);
    tcase_add_test(tests, lengths);
    tcase_add_test(tests, floor_never_cuts_a_character);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
