#include "training/eigen.h"

#include "training/sums_impl.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_SWEEPS = 60 }; /* about ten are needed */

/*
 * Rotating pairs of rows of a matrix C until all rows are orthogonal multiplies it by an orthogonal J from the left:
 * (J C)(J C)^T = J C^2 J^T is diagonal. So J holds the eigenvectors u of C^2, which are those of C, and row i of J C is
 * s_i u_i, where s_i >= 0 is the eigenvalue: its norm.
 */
static void rotate(double *restrict p, double *restrict q, size_t n, double cosine, double sine)
{
    for (size_t i = 0; i < n; i++) {
        double x = p[i], y = q[i];
        p[i] = cosine * x - sine * y;
        q[i] = sine * x + cosine * y;
    }
}

/* Makes two rows orthogonal, and keeps their squared norms. Returns whether they were not. A row that is negligible
   is what rounding left of one that depends on others: rotating it would go on for ever. */
static int orthogonalise(double *p, double *q, size_t n, double *p_square, double *q_square, double negligible)
{
    if (*p_square <= negligible || *q_square <= negligible)
        return 0;
    double product = sb_sum_products(p, q, n);
    if (fabs(product) <= (double)n * DBL_EPSILON * sqrt(*p_square) * sqrt(*q_square))
        return 0;
    double zeta = (*q_square - *p_square) / (2 * product);
    double tangent = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta)), cosine = 1 / sqrt(1 + tangent * tangent);
    rotate(p, q, n, cosine, cosine * tangent);
    *p_square -= tangent * product;
    *q_square += tangent * product;
    return 1;
}

static double measure(const double *matrix, double *squares, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        squares[i] = sb_sum_products(matrix + i * n, matrix + i * n, n);
        largest = fmax(largest, squares[i]);
    }
    return largest;
}

static int sweep(double *matrix, double *squares, size_t n)
{
    double noise = (double)n * DBL_EPSILON, negligible = noise * noise * measure(matrix, squares, n);
    int rotations = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            rotations += orthogonalise(matrix + i * n, matrix + j * n, n, &squares[i], &squares[j], negligible);
    return rotations;
}

static void swap_rows(double *restrict x, double *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double kept = x[i];
        x[i] = y[i];
        y[i] = kept;
    }
}

/* Squared norms to eigenvalues, falling; rows to norm 1. */
static void finish(double *matrix, double *values, size_t n)
{
    double noise = (double)n * DBL_EPSILON * sqrt(measure(matrix, values, n));
    for (size_t i = 0; i < n; i++) {
        size_t largest = i;
        for (size_t j = i + 1; j < n; j++)
            if (values[j] > values[largest])
                largest = j;
        double square = values[largest], value = sqrt(square);
        values[largest] = values[i];
        if (largest != i)
            swap_rows(matrix + largest * n, matrix + i * n, n);
        values[i] = value > noise ? value : 0;
        for (size_t j = 0; j < n; j++)
            matrix[i * n + j] = value > noise ? matrix[i * n + j] / value : 0;
    }
}

enum sb_status sb_eigen(double *matrix, double *values, size_t n, struct sb_error *error)
{
    for (size_t i = 0; i < n * n; i++)
        if (!isfinite(matrix[i]))
            return sb_fail(error, SB_INVALID, "eigenvalues: element %zu of row %zu is not finite", i % n, i / n);
    for (int i = 0; i < MAX_SWEEPS; i++) {
        if (sweep(matrix, values, n) == 0) {
            finish(matrix, values, n);
            return SB_OK;
        }
    }
    return sb_fail(error, SB_INTERNAL, "eigenvalues of a %zu x %zu matrix were not found in %d sweeps", n, n,
                   MAX_SWEEPS);
}
