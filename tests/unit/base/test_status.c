#include "base/status.h"
#include "base/utf8.h"
#include "tests/unit/support.h"

#include <string.h>

static struct sb_error error;

START_TEST(message_and_status)
{
    ck_assert_int_eq(sb_fail(&error, SB_CORRUPT, "%s has %d", "a.bin", 7), SB_CORRUPT);
    ck_assert_int_eq(error.status, SB_CORRUPT);
    ck_assert_str_eq(error.message, "a.bin has 7");
    ck_assert_int_eq(sb_fail(NULL, SB_IO, "nobody listens"), SB_IO);
}
END_TEST

START_TEST(context_goes_before_the_message)
{
    ck_assert_int_eq(sb_fail(&error, SB_CORRUPT, "bad checksum"), SB_CORRUPT);
    ck_assert_int_eq(sb_fail_context(&error, SB_INVALID, "%s", "model.safetensors"), SB_INVALID);
    ck_assert_str_eq(error.message, "model.safetensors: bad checksum");
    ck_assert_int_eq(error.status, SB_INVALID);
    ck_assert_int_eq(sb_fail_context(NULL, SB_IO, "nobody listens"), SB_IO);
}
END_TEST

/* 512 bytes hold 170 three-byte characters and the NUL; every alignment of the cut must leave whole characters. */
START_TEST(long_messages_end_at_a_character)
{
    char text[1200];
    static const char *const characters[] = {"é", "中", "𠀀"};
    size_t width = strlen(characters[_i % 3]), ascii = (size_t)_i / 3, length = 0;
    memset(text, 'x', ascii);
    for (length = ascii; length + width < sizeof text; length += width)
        memcpy(text + length, characters[_i % 3], width);
    text[length] = '\0';
    ck_assert_int_eq(sb_fail(&error, SB_INVALID, "%s", text), SB_INVALID);
    size_t kept = strlen(error.message);
    ck_assert(sb_utf8_valid(error.message, kept, NULL));
    ck_assert_uint_eq((kept - ascii) % width, 0);
    ck_assert_uint_ge(kept, sizeof error.message - 1 - 3);
    ck_assert_int_eq(sb_fail_context(&error, SB_INVALID, "%s", text), SB_INVALID);
    ck_assert(sb_utf8_valid(error.message, strlen(error.message), NULL));
    ck_assert_ptr_null(strchr(error.message, '?')); /* the cut is dropped, not replaced */
}
END_TEST

START_TEST(malformed_bytes_become_question_marks)
{
    ck_assert_int_eq(sb_fail(&error, SB_INVALID, "no %s here", "\xFF\x80 中\xC0"), SB_INVALID);
    ck_assert_str_eq(error.message, "no ?? 中? here");
    ck_assert_int_eq(sb_fail(&error, SB_INVALID, "unfinished \xE4\xB8"), SB_INVALID);
    ck_assert_str_eq(error.message, "unfinished ");
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(sb_status_name(SB_OK), "ok");
    ck_assert_str_eq(sb_status_name(SB_NO_MEMORY), "no_memory");
    for (int i = SB_OK; i <= SB_INTERNAL; i++)
        ck_assert_str_ne(sb_status_name((enum sb_status)i), "unknown");
    ck_assert_str_eq(sb_status_name((enum sb_status)99), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tests = tcase_create("status");
    tcase_add_test(tests, message_and_status);
    tcase_add_test(tests, context_goes_before_the_message);
    tcase_add_loop_test(tests, long_messages_end_at_a_character, 0, 12);
    tcase_add_test(tests, malformed_bytes_become_question_marks);
    tcase_add_test(tests, names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
