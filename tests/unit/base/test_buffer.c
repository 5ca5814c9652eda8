#include "base/buffer.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct sb_buffer b;

static void setup(void)
{
    b = (struct sb_buffer){0};
}

static void teardown(void)
{
    sb_buffer_free(&b);
}

START_TEST(grows_and_stays_terminated)
{
    for (int i = 0; i < 1000; i++) {
        sb_buffer_bytes(&b, "0123456789", 10);
        ck_assert_uint_eq(b.length, (size_t)(i + 1) * 10);
        ck_assert_int_eq(b.data[b.length], '\0');
    }
    ck_assert(!b.failed);
    ck_assert_mem_eq(b.data + 9990, "0123456789", 10);
}
END_TEST

/* The sizes around the first capacity are where an off-by-one would write the NUL past the end. */
START_TEST(every_size_around_a_capacity)
{
    char bytes[600] = {0};
    memset(bytes, 'a', sizeof bytes);
    sb_buffer_bytes(&b, bytes, (size_t)_i);
    sb_buffer_bytes(&b, bytes, 1);
    ck_assert_uint_eq(b.length, (size_t)_i + 1);
    ck_assert_uint_lt(b.length, b.capacity);
    ck_assert_uint_eq(strlen(b.data), b.length);
}
END_TEST

START_TEST(empty_appends_give_an_empty_string)
{
    sb_buffer_bytes(&b, NULL, 0);
    sb_buffer_text(&b, "");
    ck_assert_ptr_nonnull(b.data);
    ck_assert_str_eq(b.data, "");
}
END_TEST

START_TEST(formats_longer_than_the_capacity)
{
    sb_buffer_format(&b, "%d:%0600d", 7, 1);
    ck_assert_uint_eq(b.length, 602);
    ck_assert_int_eq(b.data[601], '1');
}
END_TEST

START_TEST(huge_growth_fails_and_is_remembered)
{
    sb_buffer_text(&b, "kept");
    sb_buffer_bytes(&b, "", SIZE_MAX - 2);
    ck_assert(b.failed);
    sb_buffer_text(&b, "ignored");
    ck_assert_uint_eq(b.length, 4);
    size_t length = 99;
    ck_assert_ptr_null(sb_buffer_take(&b, &length));
    ck_assert_uint_eq(length, 0);
    ck_assert(!b.failed); /* empty again */
}
END_TEST

START_TEST(reset_keeps_memory)
{
    sb_buffer_text(&b, "text");
    char *data = b.data;
    sb_buffer_reset(&b);
    ck_assert_ptr_eq(b.data, data);
    ck_assert_str_eq(b.data, "");
    ck_assert_uint_eq(b.length, 0);
}
END_TEST

START_TEST(take_hands_over)
{
    size_t length;
    sb_buffer_text(&b, "mine");
    char *text = sb_buffer_take(&b, &length);
    ck_assert_str_eq(text, "mine");
    ck_assert_uint_eq(length, 4);
    ck_assert_ptr_null(b.data);
    free(text);
    ck_assert_ptr_null(sb_buffer_take(&b, NULL));
}
END_TEST

static const struct {
    float value;
    const char *text;
} floats[] = {
    {0, "0"},
    {-0.0f, "-0"},
    {1, "1"},
    {0.1f, "0.1"},
    {-2.5f, "-2.5"},
    {1e10f, "1e+10"},
    {16777216, "16777216"},
    {0x1p-149f, "1.4013e-45"},
    {3.4028235e38f, "3.4028235e+38"},
    {INFINITY, "null"},
    {-INFINITY, "null"},
    {NAN, "null"},
};

START_TEST(floats_as_json)
{
    sb_buffer_float(&b, floats[_i].value);
    ck_assert_str_eq(b.data, floats[_i].text);
}
END_TEST

START_TEST(floats_read_back_exactly)
{
    uint32_t bits = 12345;
    for (int i = 0; i < 20000; i++) {
        float value;
        bits = bits * 1664525 + 1013904223;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        sb_buffer_reset(&b);
        sb_buffer_float(&b, value);
        float again = strtof(b.data, NULL);
        ck_assert_mem_eq(&again, &value, sizeof value);
    }
}
END_TEST

START_TEST(json_strings_are_escaped)
{
    static const char text[] = "a\"b\\c\n\r\t\b\0\x1F\x7F 中𠀀";
    sb_buffer_json_string(&b, text, sizeof text - 1);
    ck_assert_str_eq(b.data, "\"a\\\"b\\\\c\\n\\r\\t\\u0008\\u0000\\u001f\\u007f 中𠀀\"");
    sb_buffer_reset(&b);
    sb_buffer_json_string(&b, "", 0);
    ck_assert_str_eq(b.data, "\"\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tests = tcase_create("buffer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, grows_and_stays_terminated);
    tcase_add_loop_test(tests, every_size_around_a_capacity, 250, 260);
    tcase_add_test(tests, empty_appends_give_an_empty_string);
    tcase_add_test(tests, formats_longer_than_the_capacity);
    tcase_add_test(tests, huge_growth_fails_and_is_remembered);
    tcase_add_test(tests, reset_keeps_memory);
    tcase_add_test(tests, take_hands_over);
    tcase_add_loop_test(tests, floats_as_json, 0, sizeof floats / sizeof *floats);
    tcase_add_test(tests, floats_read_back_exactly);
    tcase_add_test(tests, json_strings_are_escaped);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
