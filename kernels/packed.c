/*
 * Packed weights: W[out, in] cut into panels of panel_width outputs.
 *
 *     panel 0: in rows of panel_width floats    W[0..w)[0], W[0..w)[1], ...
 *     panel 1: ...                              W[w..2w)[0], ...
 */
#include "kernels/kernels.h"

#include <assert.h>
#include <stdint.h>

static size_t padded_out(const struct sb_kernels *kernels, size_t out)
{
    return (out + kernels->panel_width - 1) / kernels->panel_width * kernels->panel_width;
}

size_t sb_packed_bytes(const struct sb_kernels *kernels, size_t out, size_t in)
{
    size_t elements, bytes;
    if (out > SIZE_MAX - kernels->panel_width || __builtin_mul_overflow(padded_out(kernels, out), in, &elements) ||
        __builtin_mul_overflow(elements, sizeof(float), &bytes))
        return 0;
    return bytes;
}

void sb_packed_init(struct sb_packed *packed, const struct sb_kernels *kernels, void *zeroed_memory, size_t out, size_t in)
{
    *packed = (struct sb_packed){.kernels = kernels, .dtype = SB_PACKED_F32, .out = out, .in = in, .panels = zeroed_memory};
}

static float *first_element(const struct sb_packed *packed, size_t o)
{
    size_t width = packed->kernels->panel_width;
    assert(o < packed->out);
    return (float *)packed->panels + o / width * width * packed->in + o % width;
}

void sb_packed_row(struct sb_packed *packed, size_t o, const float *row)
{
    float *to = first_element(packed, o);
    for (size_t i = 0; i < packed->in; i++)
        to[i * packed->kernels->panel_width] = row[i];
}

void sb_packed_unpack_row(float *row, const struct sb_packed *packed, size_t o)
{
    const float *from = first_element(packed, o);
    for (size_t i = 0; i < packed->in; i++)
        row[i] = from[i * packed->kernels->panel_width];
}

/* The widest vector pads keys and values to 16 floats; six rows of scores. */
size_t sb_attention_scratch(size_t keys, size_t key_size, size_t value_size)
{
    size_t padded_keys = (keys + 15) / 16 * 16, padded_values = (value_size + 15) / 16 * 16;
    return key_size * padded_keys + keys * padded_values + 6 * padded_keys;
}
