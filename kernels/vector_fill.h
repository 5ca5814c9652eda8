/*
 * sb_packed_fill in float, at the vector width of the including variant.
 */
#ifndef SB_KERNELS_VECTOR_FILL_H
#define SB_KERNELS_VECTOR_FILL_H

#include "kernels/packed.h"
#include "kernels/vector_transpose.h"

/* Source [in, out]: a row's outputs lie beside each other in the panel too. */
static void copy_panel(float *panel, const float *from, size_t ld_from, size_t outputs, size_t in)
{
    if (outputs == SB_TILE_COLUMNS) {
        for (size_t i = 0; i < in; i++)
#pragma GCC unroll 4
            for (size_t j = 0; j < SB_TILE_COLUMNS; j += SB_LANES)
                vec_store(panel + i * SB_TILE_COLUMNS + j, vec_load(from + i * ld_from + j));
        return;
    }
    for (size_t i = 0; i < in; i++) {
        memcpy(panel + i * SB_TILE_COLUMNS, from + i * ld_from, outputs * sizeof *from);
        memset(panel + i * SB_TILE_COLUMNS + outputs, 0, (SB_TILE_COLUMNS - outputs) * sizeof *panel);
    }
}

/* Source [out, in]. */
static void transpose_panel(float *panel, const float *from, size_t ld_from, size_t outputs, size_t in)
{
    for (size_t i = 0; i < in; i += SB_LANES) {
        size_t columns = in - i < SB_LANES ? in - i : SB_LANES;
        for (size_t j = 0; j < SB_TILE_COLUMNS; j += SB_LANES) {
            size_t rows = outputs < j ? 0 : outputs - j < SB_LANES ? outputs - j : SB_LANES;
            float *to = panel + i * SB_TILE_COLUMNS + j;
            const float *tile_from = from + (rows ? j : 0) * ld_from + i;
            if (rows == SB_LANES && columns == SB_LANES)
                transpose_whole_tile(to, SB_TILE_COLUMNS, tile_from, ld_from);
            else
                transpose_part_tile(to, SB_TILE_COLUMNS, tile_from, ld_from, rows, columns, SB_LANES);
        }
    }
}

static void vector_fill_f32(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed,
                            size_t first_panel, size_t panels)
{
    for (size_t p = first_panel; p < first_panel + panels; p++) {
        size_t o = p * SB_TILE_COLUMNS, outputs = packed->out - o < SB_TILE_COLUMNS ? packed->out - o : SB_TILE_COLUMNS;
        float *panel = (float *)packed->panels + o * packed->in;
        if (transposed)
            copy_panel(panel, source + o, ld_source, outputs, packed->in);
        else
            transpose_panel(panel, source + o * ld_source, ld_source, outputs, packed->in);
    }
}

#endif
