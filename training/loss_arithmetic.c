#include "training/loss_impl.h"

#include <math.h>
#include <string.h>

void sb_loss_add_scaled(double *y, const double *x, double scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += scale * x[i];
}

double sb_loss_dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void sb_loss_normalize(double *unit, double *norms, const double *x, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++) {
        double norm = sqrt(sb_loss_dot(x + i * n, x + i * n, n)), inverse = norm > 0 ? 1 / norm : 0;
        for (size_t d = 0; d < n; d++)
            unit[i * n + d] = x[i * n + d] * inverse;
        norms[i] = norm;
    }
}

/* dx = (dunit - unit (unit . dunit)) / |x| */
void sb_loss_normalize_backward(double *dx, const double *dunit, const double *unit, const double *norms, size_t rows,
                                size_t n)
{
    for (size_t i = 0; i < rows; i++) {
        const double *y = unit + i * n, *dy = dunit + i * n;
        double along = sb_loss_dot(y, dy, n), inverse = norms[i] > 0 ? 1 / norms[i] : 0;
        for (size_t d = 0; d < n; d++)
            dx[i * n + d] += (dy[d] - y[d] * along) * inverse;
    }
}

/* All three products are written as sums of scaled rows, which the compiler vectorises without changing their order. */
void sb_loss_products(double *c, size_t ld_c, const double *a, const double *b, size_t rows, size_t columns, size_t n,
                      double *transposed)
{
    for (size_t j = 0; j < columns; j++)
        for (size_t d = 0; d < n; d++)
            transposed[d * columns + j] = b[j * n + d];
    for (size_t i = 0; i < rows; i++) {
        memset(c + i * ld_c, 0, columns * sizeof *c);
        for (size_t d = 0; d < n; d++)
            sb_loss_add_scaled(c + i * ld_c, transposed + d * columns, a[i * n + d], columns);
    }
}

void sb_loss_products_backward(double *da, double *db, const double *dc, size_t ld_c, const double *a, const double *b,
                               size_t rows, size_t columns, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            sb_loss_add_scaled(da + i * n, b + j * n, dc[i * ld_c + j], n);
            sb_loss_add_scaled(db + j * n, a + i * n, dc[i * ld_c + j], n);
        }
}

double sb_loss_softmax_row(double *x, size_t n)
{
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - largest);
    double log_sum = largest + log(sum);
    for (size_t i = 0; i < n; i++)
        x[i] = exp(x[i] - log_sum);
    return log_sum;
}
