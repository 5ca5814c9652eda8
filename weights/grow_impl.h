/* Arrays that grow: one rule for every reader of this room. */
#ifndef SB_WEIGHTS_GROW_IMPL_H
#define SB_WEIGHTS_GROW_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Makes room for item number `count` in *array, which has room for *capacity items. False when out of memory. */
static inline bool sb_grow(void **array, size_t *capacity, size_t count, size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : 64, bytes;
    if (larger <= count || __builtin_mul_overflow(larger, item_size, &bytes))
        return false;
    void *moved = realloc(*array, bytes);
    if (!moved)
        return false;
    *array = moved;
    *capacity = larger;
    return true;
}

#endif
