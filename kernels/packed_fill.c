/*
 * Packed weights from a whole matrix, in plain C. Kernels with a faster way have it in their table.
 */
#include "kernels/packed.h"
#include "kernels/training_kernels.h"

#include <assert.h>

static inline float element_of(const float *source, size_t ld_source, bool transposed, size_t o, size_t i)
{
    return transposed ? source[i * ld_source + o] : source[o * ld_source + i];
}

static void fill_panel_f32(float *panel, size_t width, const float *source, size_t ld_source, bool transposed,
                           size_t outputs, size_t in)
{
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < width; j++)
            *panel++ = j < outputs ? element_of(source, ld_source, transposed, j, i) : 0;
}

static void fill_panel_bf16(uint16_t *panel, size_t width, const float *source, size_t ld_source, bool transposed,
                            size_t outputs, size_t in)
{
    for (size_t i = 0; i < in; i += 2)
        for (size_t j = 0; j < width; j++)
            for (size_t k = i; k < i + 2; k++)
                *panel++ = j < outputs && k < in ? sb_float_bf16(element_of(source, ld_source, transposed, j, k)) : 0;
}

size_t sb_packed_panels(const struct sb_packed *packed)
{
    return sb_round_up(packed->out, packed->kernel->panel_width) / packed->kernel->panel_width;
}

static void plain_fill(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed,
                       size_t first_panel, size_t panels)
{
    size_t width = packed->kernel->panel_width, in = packed->in;
    for (size_t p = first_panel; p < first_panel + panels; p++) {
        size_t o = p * width, outputs = packed->out - o < width ? packed->out - o : width;
        const float *from = source + o * (transposed ? 1 : ld_source);
        if (packed->kernel->dtype == SB_PACKED_BF16)
            fill_panel_bf16((uint16_t *)packed->panels + o * sb_round_up(in, 2), width, from, ld_source, transposed,
                            outputs, in);
        else
            fill_panel_f32((float *)packed->panels + o * in, width, from, ld_source, transposed, outputs, in);
    }
}

void sb_packed_fill(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed,
                    size_t first_panel, size_t panels)
{
    assert(packed->kernel->dtype != SB_PACKED_INT8);
    assert(first_panel + panels <= sb_packed_panels(packed));
    (packed->kernel->fill ? packed->kernel->fill : plain_fill)(packed, source, ld_source, transposed, first_panel,
                                                               panels);
}
