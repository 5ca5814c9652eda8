#include "base/file.h"
#include "base/json.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_error error;
static cJSON *json;

static void teardown(void)
{
    cJSON_Delete(json);
    json = NULL;
}

static enum sb_status parse(const char *text)
{
    cJSON_Delete(json);
    return sb_json_parse(&json, text, strlen(text), &error);
}

static const struct {
    const char *text;
    size_t offset;
    const char *problem;
} bad[] = {
    {"", 0, "the text ends too early"},
    {"  ", 2, "the text ends too early"},
    {"{", 1, "the text ends too early"},
    {"[", 1, "the text ends too early"},
    {"[1", 2, "the text ends too early"},
    {"[1,", 3, "the text ends too early"},
    {"{\"a\":1,", 7, "the text ends too early"},
    {"[1,]", 3, "a value is missing"},
    {"[,1]", 1, "a value is missing"},
    {"[1 2]", 3, "',' or a closing bracket is missing"},
    {"[1}", 2, "',' or a closing bracket is missing"},
    {"{\"a\":1]", 6, "',' or a closing bracket is missing"},
    {"{\"a\":1,}", 7, "a key in double quotes is missing"},
    {"{a:1}", 1, "a key in double quotes is missing"},
    {"{'a':1}", 1, "a key in double quotes is missing"},
    {"{1:1}", 1, "a key in double quotes is missing"},
    {"{\"a\"}", 4, "':' is missing"},
    {"{\"a\" 1}", 5, "':' is missing"},
    {"{\"a\":}", 5, "a value is missing"},
    {"{} {}", 3, "something follows the value"},
    {"1]", 1, "something follows the value"},
    {"nul", 0, "a value is missing"},
    {"True", 0, "a value is missing"},
    {"NaN", 0, "a value is missing"},
    {"-Infinity", 1, "a digit is missing"},
    {"nullx", 4, "something follows the value"},
    {"// comment\n1", 0, "a value is missing"},
    {"\v1", 0, "a value is missing"}, /* not JSON's white space */
    {"01", 0, "a number begins with 0"},
    {"-", 1, "a digit is missing"},
    {"+1", 0, "a value is missing"},
    {".5", 0, "a value is missing"},
    {"1.", 2, "a digit is missing"},
    {"1e", 2, "a digit is missing"},
    {"1e+", 3, "a digit is missing"},
    {"0x10", 1, "something follows the value"},
    {"[1e999]", 1, "a number is too large"},
    {"[-1e999]", 1, "a number is too large"},
    {"1234567890123456789012345678901234567890123456789012345678901234", 0, "a number is longer than 63 characters"},
    {"\"abc", 0, "a string has no end"},
    {"\"abc\\\"", 0, "a string has no end"},
    {"\"a\nb\"", 2, "a control character in a string"},
    {"\"\\x41\"", 1, "an unknown escape in a string"},
    {"\"\\", 1, "an unknown escape in a string"},
    {"\"\\u12\"", 1, "\\u needs four hexadecimal digits"},
    {"\"\\u12G4\"", 1, "\\u needs four hexadecimal digits"},
    {"\"\\u", 1, "\\u needs four hexadecimal digits"},
    {"\"a\\u0000b\"", 2, "a NUL character (\\u0000) in a string"},
    {"{\"a\\u0000b\":1}", 3, "a NUL character (\\u0000) in a string"},
    {"\"\\ud800\"", 1, "half a surrogate pair in a string"},
    {"\"\\udc00\"", 1, "half a surrogate pair in a string"},
    {"\"\\ud83d\\ud83d\"", 1, "half a surrogate pair in a string"},
    {"\"\\ud83dx\\ude00\"", 1, "half a surrogate pair in a string"},
    {"\"\\ud83d\\u00", 1, "half a surrogate pair in a string"},
    {"[\"\xC3(\"]", 2, "malformed UTF-8"},
    {"\"\xED\xA0\x80\"", 1, "malformed UTF-8"},
    {"\xFF", 0, "malformed UTF-8"},
};

START_TEST(bad_json_is_refused_with_its_offset)
{
    char expected[200];
    snprintf(expected, sizeof expected, "bad JSON at byte %zu: %s", bad[_i].offset, bad[_i].problem);
    ck_assert_int_eq(parse(bad[_i].text), SB_INVALID);
    ck_assert_str_eq(error.message, expected);
    ck_assert_ptr_null(json);
    ck_assert_int_eq(sb_json_parse(&json, bad[_i].text, strlen(bad[_i].text), NULL), SB_INVALID);
}
END_TEST

static const struct {
    const char *text, *printed;
} good[] = {
    {"null", "null"},
    {" \t\r\n[ ] ", "[]"},
    {"{}", "{}"},
    {"[[],{},[{}]]", "[[],{},[{}]]"},
    {"{\"a\":[1,2.5,-0.25,1e3,1E-2],\"b\":{\"c\":true,\"d\":false,\"e\":null}}",
     "{\"a\":[1,2.5,-0.25,1000,0.01],\"b\":{\"c\":true,\"d\":false,\"e\":null}}"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u4e2d\\ud83d\\ude00\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t中😀\""},
    {"{\"\":0}", "{\"\":0}"},
    {"\xEF\xBB\xBF{\"a\":1}", "{\"a\":1}"},
    {"\xEF\xBB\xBF"
     "2",
     "2"},
    {"1e-999", "0"},
};

START_TEST(good_json_is_read)
{
    ck_assert_msg(parse(good[_i].text) == SB_OK, "%s", error.message);
    char *printed = cJSON_PrintUnformatted(json);
    ck_assert_str_eq(printed, good[_i].printed);
    free(printed);
}
END_TEST

START_TEST(the_size_counts_not_a_nul)
{
    ck_assert_int_eq(sb_json_parse(&json, "[1]garbage", 3, &error), SB_OK);
    cJSON_Delete(json);
    ck_assert_int_eq(sb_json_parse(&json, "[1]\0", 4, &error), SB_INVALID);
    ck_assert_int_eq(sb_json_parse(&json, "\"a\0b\"", 5, &error), SB_INVALID);
    char *exact = malloc(2); /* no NUL behind: reading further is caught by the sanitizer */
    memcpy(exact, "12", 2);
    ck_assert_int_eq(sb_json_parse(&json, exact, 2, &error), SB_OK);
    ck_assert_double_eq(json->valuedouble, 12);
    free(exact);
}
END_TEST

START_TEST(depth)
{
    enum { LONG = 100000 };
    static char text[2 * LONG];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    ck_assert_int_eq(sb_json_parse(&json, text, 128, &error), SB_OK);
    cJSON_Delete(json);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    ck_assert_int_eq(sb_json_parse(&json, text, 130, &error), SB_INVALID);
    ck_assert_str_eq(error.message, "bad JSON at byte 64: nesting is deeper than 64 levels");
    memset(text, '[', LONG);
    memset(text + LONG, ']', LONG);
    ck_assert_int_eq(sb_json_parse(&json, text, 2 * LONG, &error), SB_INVALID);
    for (int i = 0; i < LONG; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    ck_assert_int_eq(sb_json_parse(&json, text, LONG, &error), SB_INVALID);
    ck_assert_str_eq(error.message, "bad JSON at byte 320: nesting is deeper than 64 levels");
}
END_TEST

/* Long but flat is fine: many elements must not cost stack or quadratic time. */
START_TEST(wide)
{
    enum { COUNT = 200000 };
    char *text = malloc(2 * COUNT + 1);
    text[0] = '[';
    for (int i = 0; i < COUNT; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * COUNT] = ']';
    ck_assert_int_eq(sb_json_parse(&json, text, 2 * COUNT + 1, &error), SB_OK);
    ck_assert_int_eq(cJSON_GetArraySize(json), COUNT);
    free(text);
}
END_TEST

START_TEST(getters)
{
    bool flag = true;
    int64_t whole = 5;
    double number = 0.5;
    const char *text = "default";
    ck_assert_int_eq(parse("{\"b\":false,\"i\":-3,\"d\":2.5,\"s\":\"中\",\"n\":null,\"a\":[],\"o\":{}}"), SB_OK);

    ck_assert_int_eq(sb_json_get_bool(&flag, json, "missing", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_int(&whole, 0, 9, json, "n", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_double(&number, 0, 1, json, "missing", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_string(&text, json, "n", &error), SB_OK);
    ck_assert(flag && whole == 5 && number == 0.5 && strcmp(text, "default") == 0);

    ck_assert_int_eq(sb_json_get_bool(&flag, json, "b", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_int(&whole, -3, 0, json, "i", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_double(&number, 2.5, 2.5, json, "d", &error), SB_OK);
    ck_assert_int_eq(sb_json_get_string(&text, json, "s", &error), SB_OK);
    ck_assert(!flag && whole == -3 && number == 2.5 && strcmp(text, "中") == 0);
    ck_assert_int_eq(sb_json_get_int(&whole, 0, 9, json, "I", &error), SB_OK); /* keys are case-sensitive */
    ck_assert_int_eq(whole, -3);
}
END_TEST

START_TEST(getters_refuse_wrong_types_and_ranges)
{
    bool flag = true;
    int64_t whole = 5;
    double number = 0.5;
    const char *text = "default";
    ck_assert_int_eq(parse("{\"b\":false,\"i\":-3,\"d\":2.5,\"s\":\"1\",\"a\":[],\"o\":{}}"), SB_OK);

    ck_assert_int_eq(sb_json_get_bool(&flag, json, "i", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"i\" must be true or false, not a number");
    ck_assert_int_eq(sb_json_get_int(&whole, 1, 9, json, "i", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"i\" must be an integer from 1 to 9, not -3");
    ck_assert_int_eq(sb_json_get_int(&whole, 1, 9, json, "d", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"d\" must be an integer from 1 to 9, not 2.5");
    ck_assert_int_eq(sb_json_get_int(&whole, 1, 9, json, "s", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"s\" must be an integer, not a string");
    ck_assert_int_eq(sb_json_get_double(&number, 0, 1, json, "d", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"d\" must be from 0 to 1, not 2.5");
    ck_assert_int_eq(sb_json_get_double(&number, 0, 1, json, "a", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"a\" must be a number, not an array");
    ck_assert_int_eq(sb_json_get_string(&text, json, "o", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"o\" must be a string, not an object");
    ck_assert_int_eq(sb_json_get_string(&text, json, "b", &error), SB_INVALID);
    ck_assert_str_eq(error.message, "\"b\" must be a string, not true or false");
    ck_assert(flag && whole == 5 && number == 0.5 && strcmp(text, "default") == 0);
}
END_TEST

static const struct {
    const char *text;
    bool good;
    int64_t value;
} integers[] = {
    {"0", true, 0},
    {"-0", true, 0},
    {"1e3", true, 1000},
    {"1.0", true, 1},
    {"1.5", false, 0},
    {"9007199254740992", true, 9007199254740992},
    {"-9007199254740992", true, -9007199254740992},
    {"9007199254740994", false, 0}, /* its odd neighbours can not be told apart from it */
    {"1e300", false, 0},
    {"-1e300", false, 0},
    {"\"1\"", false, 0},
    {"true", false, 0},
    {"null", false, 0},
};

START_TEST(integers_are_exact)
{
    int64_t value = 77;
    ck_assert_int_eq(parse(integers[_i].text), SB_OK);
    ck_assert_int_eq(sb_json_as_int(&value, INT64_MIN, INT64_MAX, json), integers[_i].good);
    ck_assert_int_eq(value, integers[_i].good ? integers[_i].value : 77);
}
END_TEST

START_TEST(files)
{
    const char *path = keep(sb_path_join(temporary_folder(), "config.json"));
    ck_assert_int_eq(sb_json_read_file(&json, path, 100, &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_write_file(path, "{\"a\":1}", 7, &error), SB_OK);
    ck_assert_int_eq(sb_json_read_file(&json, path, 7, &error), SB_OK);
    cJSON_Delete(json);
    ck_assert_int_eq(sb_json_read_file(&json, path, 6, &error), SB_LIMIT);
    ck_assert_int_eq(sb_write_file(path, "{\"a\":}", 6, &error), SB_OK);
    ck_assert_int_eq(sb_json_read_file(&json, path, 100, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "config.json: bad JSON at byte 5: a value is missing"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, bad_json_is_refused_with_its_offset, 0, sizeof bad / sizeof *bad);
    tcase_add_loop_test(tests, good_json_is_read, 0, sizeof good / sizeof *good);
    tcase_add_test(tests, the_size_counts_not_a_nul);
    tcase_add_test(tests, depth);
    tcase_add_test(tests, wide);
    tcase_add_test(tests, getters);
    tcase_add_test(tests, getters_refuse_wrong_types_and_ranges);
    tcase_add_loop_test(tests, integers_are_exact, 0, sizeof integers / sizeof *integers);
    tcase_add_test(tests, files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
