/* CRC-32C against the vectors of RFC 3720, appendix B.4, and the two variants against each other. */
#include "tests/unit/support.h"
#include "weights/crc32c.h"

#include <string.h>

START_TEST(known_values)
{
    unsigned char zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xFF, sizeof ones);
    for (int i = 0; i < 32; i++)
        rising[i] = (unsigned char)i;
    ck_assert_uint_eq(sb_crc32c(0, "123456789", 9), 0xE3069283u);
    ck_assert_uint_eq(sb_crc32c(0, zeros, 32), 0x8A9136AAu);
    ck_assert_uint_eq(sb_crc32c(0, ones, 32), 0x62A8AB43u);
    ck_assert_uint_eq(sb_crc32c(0, rising, 32), 0x46DD794Eu);
    ck_assert_uint_eq(sb_crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(variants_agree)
{
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + (i >> 3));
    for (size_t start = 0; start < 9; start++)
        for (size_t size = 0; size + start <= sizeof bytes; size++)
            ck_assert_uint_eq(sb_crc32c(7, bytes + start, size), sb_crc32c_generic(7, bytes + start, size));
}
END_TEST

START_TEST(continues)
{
    for (size_t cut = 0; cut <= 9; cut++)
        ck_assert_uint_eq(sb_crc32c(sb_crc32c(0, "123456789", cut), "123456789" + cut, 9 - cut), 0xE3069283u);
}
END_TEST

START_TEST(masks)
{
    /* ((crc >> 15) | (crc << 17)) + 0xA282EAD8, by hand for 0xE3069283 */
    ck_assert_uint_eq(sb_crc32c_mask(0xE3069283u), 0xC78AB0E5u);
    for (uint32_t crc = 1; crc; crc *= 2)
        ck_assert_uint_eq(sb_crc32c_unmask(sb_crc32c_mask(crc)), crc);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/crc32c");
    TCase *tests = tcase_create("crc32c");
    tcase_add_test(tests, known_values);
    tcase_add_test(tests, variants_agree);
    tcase_add_test(tests, continues);
    tcase_add_test(tests, masks);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
