#include "training/loss_impl.h"

#include <math.h>

/* Added to the difference of two vectors, so that equal ones have a distance and a gradient. */
static double shift_of(enum sb_loss_measure kind)
{
    return kind == SB_MEASURE_SHIFTED_EUCLIDEAN ? 1e-6 : 0;
}

static bool is_distance(enum sb_loss_measure kind)
{
    return kind == SB_MEASURE_EUCLIDEAN || kind == SB_MEASURE_SHIFTED_EUCLIDEAN;
}

static double product_of_norms(const double *u, const double *v, size_t n)
{
    return sqrt(sb_loss_dot(u, u, n) * sb_loss_dot(v, v, n));
}

/* The halves of u and v are the real and imaginary parts of complex vectors z = a + ib and w = c + id. The difference of
   their angles is z / w, here of length |z| / |w| = 1; the sum of all its parts, real and imaginary:
   sum(ac + bd + bc - ad) / (|u| |v|). An odd last number counts as a real part alone. */
static double angle_sum(const double *u, const double *v, size_t n)
{
    size_t half = (n + 1) / 2;
    double sum = 0;
    for (size_t i = 0; i < half; i++) {
        bool whole = half + i < n;
        double a = u[i], b = whole ? u[half + i] : 0, c = v[i], d = whole ? v[half + i] : 0;
        sum += a * c + b * d + (b * c - a * d);
    }
    return sum;
}

static void angle_sum_backward(double *du, double *dv, double gradient, const double *u, const double *v, size_t n)
{
    size_t half = (n + 1) / 2;
    for (size_t i = 0; i < half; i++) {
        bool whole = half + i < n;
        double a = u[i], b = whole ? u[half + i] : 0, c = v[i], d = whole ? v[half + i] : 0;
        du[i] += gradient * (c - d);
        dv[i] += gradient * (a + b);
        if (whole) {
            du[half + i] += gradient * (d + c);
            dv[half + i] += gradient * (b - a);
        }
    }
}

static double distance(const double *u, const double *v, double shift, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = u[i] - v[i] + shift;
        sum += difference * difference;
    }
    return sqrt(sum);
}

double sb_loss_measure(enum sb_loss_measure kind, const double *u, const double *v, size_t n)
{
    if (is_distance(kind))
        return distance(u, v, shift_of(kind), n);
    double norms = product_of_norms(u, v, n);
    if (!(norms > 0))
        return 0;
    return kind == SB_MEASURE_COSINE ? sb_loss_dot(u, v, n) / norms : fabs(angle_sum(u, v, n)) / norms;
}

static void distance_backward(double *du, double *dv, double scale, const double *u, const double *v, double shift,
                              size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double g = scale * (u[i] - v[i] + shift);
        du[i] += g;
        dv[i] -= g;
    }
}

void sb_loss_measure_backward(enum sb_loss_measure kind, double *du, double *dv, double gradient, double measure,
                              const double *u, const double *v, size_t n)
{
    double norms = product_of_norms(u, v, n);
    if (is_distance(kind)) {
        if (measure > 0)
            distance_backward(du, dv, gradient / measure, u, v, shift_of(kind), n);
        return;
    }
    if (!(norms > 0))
        return;
    if (kind == SB_MEASURE_COSINE) {
        sb_loss_add_scaled(du, v, gradient / norms, n);
        sb_loss_add_scaled(dv, u, gradient / norms, n);
    } else {
        angle_sum_backward(du, dv, angle_sum(u, v, n) < 0 ? -gradient / norms : gradient / norms, u, v, n);
    }
    /* Both are a quotient by |u| |v|, whose derivative by u is -measure u / |u|^2. */
    sb_loss_add_scaled(du, u, -gradient * measure / sb_loss_dot(u, u, n), n);
    sb_loss_add_scaled(dv, v, -gradient * measure / sb_loss_dot(v, v, n), n);
}
