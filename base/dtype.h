/*
 * Number formats of stored tensors and their exact conversion to and from float.
 */
#ifndef SB_BASE_DTYPE_H
#define SB_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

enum sb_dtype {
    SB_F32 = 0,
    SB_F16,  /* IEEE 754 binary16 */
    SB_BF16, /* upper half of a float */
    SB_F64,
    SB_I8,
    SB_U8,
    SB_I32,
    SB_I64,
    SB_DTYPE_OTHER, /* stored in the file, but not a format that we compute with */
};

/* Bytes of one element; 0 for SB_DTYPE_OTHER. */
size_t sb_dtype_size(enum sb_dtype dtype);

/* "f32", "f16", "bf16", "f64", "i8", "u8", "i32", "i64", "other". */
const char *sb_dtype_name(enum sb_dtype dtype);

/* From the names above; false if unknown. */
bool sb_dtype_parse(const char *name, enum sb_dtype *dtype);

/* dst[n] = src[n]; src holds n elements of dtype (any alignment), which is one of the float formats. f64 is rounded. */
void sb_to_f32(float *dst, const void *src, enum sb_dtype dtype, size_t n);

/* dst[n] = src[n] rounded to nearest even; dtype is SB_F32, SB_F16 or SB_BF16. Overflow: infinity; NaN stays NaN. */
void sb_from_f32(void *dst, enum sb_dtype dtype, const float *src, size_t n);

#endif
