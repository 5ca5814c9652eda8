#include "base/dtype.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The value of a half by the definition of IEEE 754, in arithmetic that knows nothing of bit tricks. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(mantissa, -24)
                                       : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

static uint16_t to_half(float x)
{
    uint16_t h;
    sb_from_f32(&h, SB_F16, &x, 1);
    return h;
}

static uint16_t to_bf16(float x)
{
    uint16_t h;
    sb_from_f32(&h, SB_BF16, &x, 1);
    return h;
}

START_TEST(every_half_to_float_and_back)
{
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        float x;
        sb_to_f32(&x, &h, SB_F16, 1);
        double expected = half_value(h);
        if (isnan(expected)) {
            ck_assert_msg(isnan(x) && isnan(half_value(to_half(x))), "%04x", h);
            continue;
        }
        ck_assert_msg((double)x == expected && !signbit(x) == !(h >> 15), "%04x gives %a, not %a", h, (double)x,
                      expected);
        ck_assert_msg(to_half(x) == h, "%04x comes back as %04x", h, to_half(x));
    }
}
END_TEST

/* Between each two neighbouring halves: just below the middle, the middle (ties to even), just above it. */
START_TEST(float_to_half_rounds_to_nearest_even)
{
    for (uint32_t i = 0; i < 0x7C00; i++) {
        double low = half_value((uint16_t)i), high = i + 1 == 0x7C00 ? 65536 : half_value((uint16_t)(i + 1));
        float middle = (float)((low + high) / 2);
        uint16_t even = (uint16_t)(i & 1 ? i + 1 : i);
        for (uint32_t sign = 0; sign < 2; sign++) {
            float s = sign ? -1 : 1;
            uint16_t bit = (uint16_t)(sign << 15);
            ck_assert_uint_eq(to_half(s * nextafterf(middle, 0)), bit | i);
            ck_assert_uint_eq(to_half(s * middle), bit | even);
            ck_assert_uint_eq(to_half(s * nextafterf(middle, INFINITY)), bit | (i + 1));
        }
    }
}
END_TEST

START_TEST(half_special_values)
{
    ck_assert_uint_eq(to_half(65504), 0x7BFF);
    ck_assert_uint_eq(to_half(65519.996f), 0x7BFF);
    ck_assert_uint_eq(to_half(65520), 0x7C00);
    ck_assert_uint_eq(to_half(3e38f), 0x7C00);
    ck_assert_uint_eq(to_half(-INFINITY), 0xFC00);
    ck_assert_uint_eq(to_half(0x1p-25f), 0); /* tie with zero, which is even */
    ck_assert_uint_eq(to_half(-0x1p-149f), 0x8000);
    ck_assert_uint_eq(to_half(-0.0f), 0x8000);
}
END_TEST

START_TEST(every_bf16_to_float_and_back)
{
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        float x;
        sb_to_f32(&x, &h, SB_BF16, 1);
        ck_assert_uint_eq(bits_of(x), i << 16);
        if (isnan(x))
            ck_assert_uint_gt(to_bf16(x) & 0x7FFF, 0x7F80);
        else
            ck_assert_uint_eq(to_bf16(x), h);
    }
}
END_TEST

START_TEST(float_to_bf16_rounds_to_nearest_even)
{
    for (uint32_t i = 0; i < 0x7F80; i++) {
        uint32_t base = i << 16, values[3] = {base + 0x7FFF, base + 0x8000, base + 0x8001};
        uint32_t expected[3] = {i, i + (i & 1), i + 1};
        for (int k = 0; k < 3; k++) {
            float x;
            memcpy(&x, &values[k], 4);
            ck_assert_uint_eq(to_bf16(x), expected[k]);
            ck_assert_uint_eq(to_bf16(-x), expected[k] | 0x8000);
        }
    }
    uint32_t nan_low_bits = 0x7F800001; /* its upper half alone would be infinity */
    float x;
    memcpy(&x, &nan_low_bits, 4);
    ck_assert_uint_gt(to_bf16(x), 0x7F80);
}
END_TEST

START_TEST(unaligned_arrays_and_other_formats)
{
    const float values[3] = {1.5f, -2, 0.25f};
    const double doubles[3] = {1.5, -2, 0.25};
    char bytes[32];
    float back[3];
    static const enum sb_dtype formats[] = {SB_F32, SB_F16, SB_BF16};
    for (int i = 0; i < 3; i++) {
        sb_from_f32(bytes + 1, formats[i], values, 3);
        sb_to_f32(back, bytes + 1, formats[i], 3);
        ck_assert_mem_eq(back, values, sizeof values);
    }
    memcpy(bytes + 1, doubles, sizeof doubles);
    sb_to_f32(back, bytes + 1, SB_F64, 3);
    ck_assert_mem_eq(back, values, sizeof values);
    sb_to_f32(back, bytes, SB_F16, 0); /* nothing is touched */
    ck_assert_mem_eq(back, values, sizeof values);
}
END_TEST

START_TEST(names_and_sizes)
{
    static const size_t sizes[] = {4, 2, 2, 8, 1, 1, 4, 8};
    for (int i = 0; i < SB_DTYPE_OTHER; i++) {
        enum sb_dtype parsed = SB_DTYPE_OTHER;
        ck_assert(sb_dtype_parse(sb_dtype_name((enum sb_dtype)i), &parsed));
        ck_assert_int_eq(parsed, i);
        ck_assert_uint_eq(sb_dtype_size((enum sb_dtype)i), sizes[i]);
    }
    ck_assert_uint_eq(sb_dtype_size(SB_DTYPE_OTHER), 0);
    enum sb_dtype untouched = SB_I8;
    ck_assert(!sb_dtype_parse("other", &untouched));
    ck_assert(!sb_dtype_parse("F32", &untouched));
    ck_assert(!sb_dtype_parse("", &untouched));
    ck_assert_int_eq(untouched, SB_I8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dtype");
    TCase *tests = tcase_create("dtype");
    tcase_add_test(tests, every_half_to_float_and_back);
    tcase_add_test(tests, float_to_half_rounds_to_nearest_even);
    tcase_add_test(tests, half_special_values);
    tcase_add_test(tests, every_bf16_to_float_and_back);
    tcase_add_test(tests, float_to_bf16_rounds_to_nearest_even);
    tcase_add_test(tests, unaligned_arrays_and_other_formats);
    tcase_add_test(tests, names_and_sizes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
