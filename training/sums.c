#include "training/sums_impl.h"

enum { LANES = 8 };

static double total(const double lanes[LANES])
{
    double sum = 0;
    for (size_t j = 0; j < LANES; j++)
        sum += lanes[j];
    return sum;
}

double sb_sum_squares(const float *x, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < n; j++)
        lanes[j] += (double)x[i + j] * (double)x[i + j];
    return total(lanes);
}

double sb_sum_products(const double *x, const double *y, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += x[i + j] * y[i + j];
    for (size_t j = 0; i + j < n; j++)
        lanes[j] += x[i + j] * y[i + j];
    return total(lanes);
}
