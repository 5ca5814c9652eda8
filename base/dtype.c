#include "base/dtype.h"

#include <stdint.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [SB_F32] = {"f32", 4}, [SB_F16] = {"f16", 2}, [SB_BF16] = {"bf16", 2},
    [SB_F64] = {"f64", 8}, [SB_I8] = {"i8", 1},   [SB_U8] = {"u8", 1},
    [SB_I32] = {"i32", 4}, [SB_I64] = {"i64", 8}, [SB_DTYPE_OTHER] = {"other", 0},
};

size_t sb_dtype_size(enum sb_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *sb_dtype_name(enum sb_dtype dtype)
{
    return dtypes[dtype].name;
}

bool sb_dtype_parse(const char *name, enum sb_dtype *dtype)
{
    for (int i = 0; i < SB_DTYPE_OTHER; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (enum sb_dtype)i;
            return true;
        }
    }
    return false;
}

static uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Moves exponent and mantissa into place and multiplies by 2^112, which normalises subnormals too; exact, no branch. */
static inline float f16_to_f32(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float scaled = bits_float(magnitude) * 0x1p112f;
    uint32_t special = (uint32_t)((h & 0x7C00) == 0x7C00) * 0x7F800000u;
    return bits_float(float_bits(scaled) | special | sign);
}

static uint16_t f32_to_f16(float x)
{
    uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (magnitude >= 0x477FF000) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7C00);
    if (magnitude < 0x38800000) { /* subnormal: adding 0.5 makes the FPU round at bit 2^-24 */
        float shifted = bits_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (float_bits(shifted) - 0x3F000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xFFF + odd) >> 13);
}

static uint16_t f32_to_bf16(float x)
{
    uint32_t bits = float_bits(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void sb_to_f32(float *dst, const void *src, enum sb_dtype dtype, size_t n)
{
    const char *bytes = src;
    switch (dtype) {
    case SB_F32: memcpy(dst, src, n * sizeof *dst); break;
    case SB_F16:
        for (size_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, bytes + 2 * i, 2);
            dst[i] = f16_to_f32(h);
        }
        break;
    case SB_BF16:
        for (size_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, bytes + 2 * i, 2);
            dst[i] = bits_float((uint32_t)h << 16);
        }
        break;
    case SB_F64:
        for (size_t i = 0; i < n; i++) {
            double d;
            memcpy(&d, bytes + 8 * i, 8);
            dst[i] = (float)d;
        }
        break;
    default: memset(dst, 0, n * sizeof *dst);
    }
}

void sb_from_f32(void *dst, enum sb_dtype dtype, const float *src, size_t n)
{
    char *bytes = dst;
    switch (dtype) {
    case SB_F32: memcpy(dst, src, n * sizeof *src); break;
    case SB_F16:
    case SB_BF16:
        for (size_t i = 0; i < n; i++) {
            uint16_t h = dtype == SB_F16 ? f32_to_f16(src[i]) : f32_to_bf16(src[i]);
            memcpy(bytes + 2 * i, &h, 2);
        }
        break;
    default: break;
    }
}
