/* How loops over a whole flat array are cut for threads: blocks of a fixed size, whatever the number of threads. */
#ifndef SB_TRAINING_FLAT_IMPL_H
#define SB_TRAINING_FLAT_IMPL_H

#include <stddef.h>

enum { SB_FLAT_BLOCK = 65536 };

static inline size_t sb_flat_blocks(size_t size)
{
    return size / SB_FLAT_BLOCK + (size % SB_FLAT_BLOCK != 0);
}

/* Floats of this block; it starts at index * SB_FLAT_BLOCK. */
static inline size_t sb_flat_count(size_t size, size_t index)
{
    size_t left = size - index * SB_FLAT_BLOCK;
    return left < SB_FLAT_BLOCK ? left : SB_FLAT_BLOCK;
}

#endif
