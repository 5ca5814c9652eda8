/*
 * Inside the losses on sentence vectors: what a method works on, and the arithmetic that several share. Everything is
 * double and contiguous; training/loss_run.c copies the floats in, cuts them, and adds the gradients to the caller's.
 */
#ifndef SB_TRAINING_LOSS_IMPL_H
#define SB_TRAINING_LOSS_IMPL_H

#include "base/arena.h"
#include "training/losses.h"

struct sb_loss_form; /* training/loss_contrast.c */

struct sb_loss_work {
    const struct sb_loss_form *form; /* the method's */
    const struct sb_loss_options *options;
    const struct sb_loss_input *input;
    size_t rows, dimensions;
    size_t local_first, local_end; /* the rows whose terms count */
    size_t matrices;               /* that are there */
    /* [matrices][rows, dimensions], one behind the other, so that v and the negatives are one matrix of candidates. */
    double *x, *dx;
    /* What a method asks for in its layout. */
    double *unit, *dunit, *norms; /* x / |x|, its gradient, |x| */
    double *transposed;           /* [dimensions, the largest matrix of candidates] */
    double *logits;               /* in_batch..., multiple_negatives...: [rows, width]; softmax: [rows, classes] */
    double *measures, *dmeasures; /* [2 rows] */
    double *features;             /* softmax: [rows, 3 dimensions] */
    double *dkernel;              /* softmax: [3 dimensions], of one class */
};

struct sb_loss_method {
    /* Takes its own slices, for `rows` and `dimensions` at most. */
    void (*layout)(struct sb_loss_work *work, struct sb_arena *arena);
    /* Returns the loss and adds its gradient to dx, which is zero before; softmax also to the input's dkernel. */
    double (*run)(struct sb_loss_work *work);
    const struct sb_loss_form *form; /* of the methods of in-batch contrast */
};

extern const struct sb_loss_method sb_loss_in_batch_similarity, sb_loss_multiple_negatives,
    sb_loss_multiple_negatives_symmetric, sb_loss_multiple_negatives_gte, sb_loss_distillation, sb_loss_softmax,
    sb_loss_cosent, sb_loss_angle, sb_loss_cosine_similarity, sb_loss_contrastive, sb_loss_online_contrastive,
    sb_loss_triplet;

/* Row i of matrix number `matrix`. */
static inline double *sb_loss_row(double *x, const struct sb_loss_work *work, size_t matrix, size_t i)
{
    return x + (matrix * work->rows + i) * work->dimensions;
}

/* ---- training/loss_arithmetic.c ---- */

/* y[n] += scale * x[n] */
void sb_loss_add_scaled(double *y, const double *x, double scale, size_t n);

double sb_loss_dot(const double *a, const double *b, size_t n);

/* unit[i] = x[i] / |x[i]| and norms[i] = |x[i]|; a row of zeros stays one. [rows, n] */
void sb_loss_normalize(double *unit, double *norms, const double *x, size_t rows, size_t n);
/* dx += the gradient by x from that by unit; none by a row of zeros, which has no direction. */
void sb_loss_normalize_backward(double *dx, const double *dunit, const double *unit, const double *norms, size_t rows,
                                size_t n);

/* c[rows, ld_c] = a[rows, n] b[columns, n]^T; transposed: [n, columns] of scratch. */
void sb_loss_products(double *c, size_t ld_c, const double *a, const double *b, size_t rows, size_t columns, size_t n,
                      double *transposed);
/* da += dc b, db += dc^T a */
void sb_loss_products_backward(double *da, double *db, const double *dc, size_t ld_c, const double *a, const double *b,
                               size_t rows, size_t columns, size_t n);

/* log(sum of exp(x[i])), and x[i] becomes exp(x[i] - that). -infinity is allowed, n >= 1. */
double sb_loss_softmax_row(double *x, size_t n);

/* ---- training/loss_measures.c: how near two vectors are ---- */

enum sb_loss_measure {
    SB_MEASURE_COSINE,
    SB_MEASURE_ANGLE,
    SB_MEASURE_EUCLIDEAN,         /* |u - v| */
    SB_MEASURE_SHIFTED_EUCLIDEAN, /* |u - v + 1e-6| */
};

double sb_loss_measure(enum sb_loss_measure kind, const double *u, const double *v, size_t n);
/* du, dv += gradient * d measure / d u, v; measure is what the call above gave. */
void sb_loss_measure_backward(enum sb_loss_measure kind, double *du, double *dv, double gradient, double measure,
                              const double *u, const double *v, size_t n);

#endif
