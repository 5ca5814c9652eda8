#include "base/float_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * From 1e-4 up to 1e5, where %g writes no exponent, in exact integers: a float is mantissa * 2^-shift, so p digits of it are
 * the product mantissa * 10^k, which fits 64 bits, shifted and rounded. It reads back when rounding moved it by less than half a
 * unit of the mantissa, which is 10^k / 2 in the product's scale.
 */
static const double least = 1e-4, most = 1e5;

static const uint64_t powers[] = {1,         10,         100,         1000,         10000,         100000,        1000000,
                                  10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000};

/* |value| = mantissa * 2^-shift with 24 bits; 10^exponent <= |value| < 10^(exponent + 1). */
struct parts {
    uint64_t mantissa;
    int shift, exponent;
};

static struct parts take_apart(float magnitude)
{
    static const double bounds[] = {1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4};
    struct parts parts = {.exponent = -4};
    int binary;
    parts.mantissa = (uint64_t)ldexpf(frexpf(magnitude, &binary), 24);
    parts.shift = 24 - binary;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds && magnitude >= bounds[i]; i++)
        parts.exponent++;
    return parts;
}

/* The number's first `digits` digits, rounded; true if they read back. */
static bool round_to(const struct parts *parts, int digits, uint64_t *rounded)
{
    uint64_t unit = powers[digits - 1 - parts->exponent], product = parts->mantissa * unit;
    uint64_t one = UINT64_C(1) << parts->shift, rest = product & (one - 1), down = product >> parts->shift;
    bool up = 2 * rest > one || (2 * rest == one && down % 2);
    uint64_t moved = up ? one - rest : rest;
    *rounded = down + up;
    /* Below a power of two floats are twice as close. */
    return (parts->mantissa == UINT64_C(1) << 23 ? 4 : 2) * moved < unit;
}

/* Writes digits with the point behind the first exponent + 1 of them, without zeros at the end. */
static size_t place_point(char *text, const char *digits, int count, int exponent)
{
    size_t n = 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (exponent < 0) {
        memcpy(text, "0.000", 5);
        n = (size_t)(1 - exponent);
    }
    for (int i = 0; i < count || i <= exponent; i++) {
        if (i == exponent + 1 && exponent >= 0)
            text[n++] = '.';
        text[n++] = i < count ? digits[i] : '0';
    }
    return n;
}

static size_t write_fixed(char *text, float magnitude)
{
    struct parts parts = take_apart(magnitude);
    uint64_t rounded;
    int count = 6;
    while (!round_to(&parts, count, &rounded) && count < 9)
        count++;
    char digits[16];
    if (rounded == powers[count]) { /* 9.99… became 10 */
        rounded /= 10;
        parts.exponent++;
    }
    for (int i = count; i-- > 0; rounded /= 10)
        digits[i] = (char)('0' + rounded % 10);
    return place_point(text, digits, count, parts.exponent);
}

size_t sb_float_text(char text[SB_FLOAT_TEXT_MAX], float value)
{
    float magnitude = fabsf(value);
    if ((double)magnitude >= least && (double)magnitude < most) {
        text[0] = '-';
        size_t sign = value < 0;
        return sign + write_fixed(text + sign, magnitude);
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, SB_FLOAT_TEXT_MAX, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return strlen(text);
}
