#include "training/sums_impl.h"

enum { LANES = 8 };

double sb_sum_squares(const float *x, size_t n)
{
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < n; j++)
        lanes[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; j < LANES; j++)
        sum += lanes[j];
    return sum;
}
