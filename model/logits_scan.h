/*
 * The one loop that every selection over a vocabulary runs: skip what cannot be selected. A row of logits has tens of
 * thousands of elements of which a handful are wanted, so blocks are tested as a whole, in a form that compilers turn
 * into vector compares.
 */
#ifndef SB_MODEL_LOGITS_SCAN_H
#define SB_MODEL_LOGITS_SCAN_H

#include <stddef.h>

enum { SB_SCAN_BLOCK = 64 };

/* The first i in [from, n) with x[i] > threshold; n if there is none. NaN is never found. */
static inline size_t sb_find_above(const float *x, size_t n, size_t from, float threshold)
{
    size_t i = from;
    while (i < n) {
        if (i % SB_SCAN_BLOCK == 0)
            while (n - i >= SB_SCAN_BLOCK) {
                int any = 0;
                for (size_t j = 0; j < SB_SCAN_BLOCK; j++)
                    any |= x[i + j] > threshold;
                if (any)
                    break;
                i += SB_SCAN_BLOCK;
            }
        if (i < n && x[i] > threshold)
            return i;
        i += i < n;
    }
    return n;
}

#endif
