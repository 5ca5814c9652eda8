/*
 * The softmax of a row of scores, for attention in any arithmetic.
 */
#ifndef SB_KERNELS_VECTOR_SOFTMAX_H
#define SB_KERNELS_VECTOR_SOFTMAX_H

#include "kernels/vector_math.h"

#include <float.h>

/* x[n] = softmax(x * scale), in place; x[n .. padded) becomes 0. padded: n or more, whole vectors. Whole vectors only, so that
   short rows, which are most, cost no tail; the zeros change no sum. */
static void row_softmax(float *x, size_t n, size_t padded, float scale)
{
    for (size_t i = n; i < padded; i++)
        x[i] = -FLT_MAX;
    vec top = vec_load(x), total = {0};
    for (size_t i = SB_LANES; i < padded; i += SB_LANES)
        top = vec_max(top, vec_load(x + i));
    float largest = vec_largest(top);
    for (size_t i = 0; i < padded; i += SB_LANES) {
        vec e = vec_exp((vec_load(x + i) - largest) * scale);
        vec_store(x + i, e);
        total += e;
    }
    float inverse = 1.0f / vec_sum(total);
    for (size_t i = 0; i < padded; i += SB_LANES)
        vec_store(x + i, vec_load(x + i) * inverse);
}

#endif
