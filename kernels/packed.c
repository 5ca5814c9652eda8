#include "kernels/packed.h"

#include <assert.h>
#include <math.h>

const char *sb_packed_dtype_name(enum sb_packed_dtype dtype)
{
    static const char *const names[] = {[SB_PACKED_F32] = "f32", [SB_PACKED_BF16] = "bf16", [SB_PACKED_INT8] = "int8"};
    return dtype < SB_PACKED_DTYPES ? names[dtype] : "unknown";
}

/* Bytes of one output's weights, and inputs that stand together. */
static size_t bytes_of_output(enum sb_packed_dtype dtype, size_t in)
{
    switch (dtype) {
    case SB_PACKED_BF16: return sb_round_up(in, 2) * 2;
    case SB_PACKED_INT8: return sb_round_up(in, 4) + sizeof(float) + sizeof(int32_t);
    default: return in * sizeof(float);
    }
}

size_t sb_packed_bytes(const struct sb_linear_kernel *kernel, size_t out, size_t in)
{
    size_t bytes;
    if (out > SIZE_MAX - kernel->panel_width || in > SIZE_MAX / 8 ||
        __builtin_mul_overflow(sb_round_up(out, kernel->panel_width), bytes_of_output(kernel->dtype, in), &bytes))
        return 0;
    return bytes;
}

size_t sb_linear_scratch(size_t rows, size_t in)
{
    return sb_round_up(rows * sizeof(struct sb_int8_row), 64) + rows * sb_round_up(in, 64) * sizeof(uint16_t);
}

void sb_packed_init(struct sb_packed *packed, const struct sb_linear_kernel *kernel, void *zeroed_memory, size_t out,
                    size_t in)
{
    *packed = (struct sb_packed){.kernel = kernel, .out = out, .in = in, .panels = zeroed_memory};
}

/* Index of W[o][i] in elements, for groups of `group` inputs. */
static size_t element(const struct sb_packed *w, size_t o, size_t i, size_t group)
{
    size_t width = w->kernel->panel_width, panel = o / width * width * sb_round_up(w->in, group);
    return panel + i / group * width * group + o % width * group + i % group;
}

/* Rows are stored a group at a time: the groups of one output lie panel_width groups apart. */
static void store_f32(struct sb_packed *w, size_t o, const float *row)
{
    size_t width = w->kernel->panel_width;
    float *to = (float *)w->panels + element(w, o, 0, 1);
    for (size_t i = 0; i < w->in; i++)
        to[i * width] = row[i];
}

static void store_bf16(struct sb_packed *w, size_t o, const float *row)
{
    size_t width = w->kernel->panel_width, whole = w->in / 2 * 2;
    uint16_t *to = (uint16_t *)w->panels + element(w, o, 0, 2);
    for (size_t i = 0; i < whole; i += 2, to += 2 * width) {
        to[0] = sb_float_bf16(row[i]);
        to[1] = sb_float_bf16(row[i + 1]);
    }
    if (whole < w->in)
        to[0] = sb_float_bf16(row[whole]);
}

/* Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits: |x| is at most 127. */
static int32_t round_small(float x)
{
    float shifted = x + 0x1.8p23f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int32_t)((uint32_t)bits << 10) >> 10;
}

static void store_int8(struct sb_packed *w, size_t o, const float *row)
{
    size_t stride = 4 * w->kernel->panel_width;
    float largest = 0;
    for (size_t i = 0; i < w->in; i++) {
        float magnitude = fabsf(row[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    float inverse = largest > 0 ? 127 / largest : 0;
    int8_t *to = (int8_t *)w->panels + element(w, o, 0, 4);
    int32_t sum = 0;
    for (size_t i = 0; i < w->in; i += 4, to += stride) {
        for (size_t j = 0; j < 4 && i + j < w->in; j++) {
            int32_t value = round_small(row[i + j] * inverse);
            to[j] = (int8_t)value;
            sum += value;
        }
    }
    ((float *)sb_int8_scales(w))[o] = largest / 127;
    ((int32_t *)sb_int8_sums(w))[o] = sum;
}

void sb_packed_row(struct sb_packed *packed, size_t o, const float *row)
{
    assert(o < packed->out);
    switch (packed->kernel->dtype) {
    case SB_PACKED_BF16: store_bf16(packed, o, row); break;
    case SB_PACKED_INT8: store_int8(packed, o, row); break;
    default: store_f32(packed, o, row);
    }
}

void sb_packed_unpack_row(float *row, const struct sb_packed *packed, size_t o)
{
    assert(o < packed->out);
    for (size_t i = 0; i < packed->in; i++) {
        switch (packed->kernel->dtype) {
        case SB_PACKED_BF16:
            row[i] = sb_bf16_float(((const uint16_t *)packed->panels)[element(packed, o, i, 2)]);
            break;
        case SB_PACKED_INT8:
            row[i] = sb_int8_scales(packed)[o] * (float)((const int8_t *)packed->panels)[element(packed, o, i, 4)];
            break;
        default: row[i] = ((const float *)packed->panels)[element(packed, o, i, 1)];
        }
    }
}

/* The widest vector pads keys and values to 16 floats; six rows of scores. In bfloat16 keys and values take half, but a rounded copy
   of the keys, or of six rows of queries or probabilities, lies beside them. */
size_t sb_attention_scratch(size_t keys, size_t key_size, size_t value_size)
{
    size_t padded_keys = sb_round_up(keys, 16), padded_values = sb_round_up(value_size, 16);
    size_t floats = key_size * padded_keys + keys * padded_values + 6 * padded_keys;
    size_t pairs_of_key = (key_size + 1) / 2, rounded = keys * pairs_of_key;
    rounded = rounded > 6 * pairs_of_key ? rounded : 6 * pairs_of_key;
    rounded = rounded > 3 * padded_keys ? rounded : 3 * padded_keys;
    size_t pairs = pairs_of_key * padded_keys + (keys + 1) / 2 * padded_values + 6 * padded_keys + rounded;
    return floats > pairs ? floats : pairs;
}
