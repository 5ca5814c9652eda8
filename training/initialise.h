/*
 * First values of new tensors: heads, grown vocabularies, models from scratch.
 *
 *     struct sb_initialiser initialiser = {.kind = SB_INIT_TRUNCATED_NORMAL, .std = 0.02, .seed = 7};
 *     sb_initialise(values + p->offset, p->rows, p->columns, &initialiser, p->name, &error);
 *     sb_initialise_new(values, parameters, &initialiser, &error);      // all that the checkpoint did not have
 *
 * A value is a function of (seed, name of the tensor, its index) alone. Matrices are [out, in]: fan_in = in,
 * fan_out = out.
 *
 *     zeros, ones
 *     normal            N(0, std^2)
 *     truncated_normal  N(0, std^2) without what lies beyond 2 std; its standard deviation is .8796 std, as in Keras
 *                       and BERT, unless keep_std asks for a wider normal that has std after the cut
 *     xavier_uniform    U(-b, b), b = sqrt(6 / (fan_in + fan_out))         Glorot and Bengio, 2010
 *     he_uniform        b = sqrt(6 / fan_in)                               He et al., 2015
 *     lecun_uniform     b = sqrt(3 / fan_in)                               LeCun et al., 1998
 *     xavier_normal, he_normal, lecun_normal
 *                       truncated normals with the standard deviation b / sqrt(3) of the uniform ones, after the cut
 *     orthogonal        Q of a normal matrix: orthonormal rows or columns, whichever are fewer   Saxe et al., 2014
 *     identity          1 where row and column are the same, else 0
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_INITIALISE_H
#define SB_TRAINING_INITIALISE_H

#include "base/status.h"
#include "model/parameters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_init_kind {
    SB_INIT_ZEROS,
    SB_INIT_ONES,
    SB_INIT_NORMAL,
    SB_INIT_TRUNCATED_NORMAL,
    SB_INIT_XAVIER_UNIFORM,
    SB_INIT_XAVIER_NORMAL,
    SB_INIT_HE_UNIFORM,
    SB_INIT_HE_NORMAL,
    SB_INIT_LECUN_UNIFORM,
    SB_INIT_LECUN_NORMAL,
    SB_INIT_ORTHOGONAL,
    SB_INIT_IDENTITY,
};

struct sb_initialiser {
    enum sb_init_kind kind;
    double std;    /* of the normal and the truncated normal */
    bool keep_std; /* of the truncated normal */
    uint64_t seed;
};

/* "truncated_normal" and so on, as above. */
SB_MUST_CHECK enum sb_status sb_init_kind_named(enum sb_init_kind *kind, const char *name, struct sb_error *error);

/* Fills out[rows, columns]. SB_INVALID for a std that is negative or not finite; SB_NO_MEMORY (orthogonal only). */
SB_MUST_CHECK enum sb_status sb_initialise(float *out, size_t rows, size_t columns,
                                           const struct sb_initialiser *initialiser, const char *name,
                                           struct sb_error *error);

/* All parameters with is_new: matrices as asked; embedding tables, whose fans mean nothing, by a truncated normal of
   the same std (0: .02); vectors are 0 if they are biases, and 1 if they are the weights of a normalisation. Of an attention
   (weights/attention.h) the mixing of heads begins as the identity, and tables of random logits with a standard deviation of 1:
   they are logits, not weights, and those of .02 would be no pattern at all. */
SB_MUST_CHECK enum sb_status sb_initialise_new(float *values, const struct sb_parameters *parameters,
                                               const struct sb_initialiser *initialiser, struct sb_error *error);

/* Makes the rows of x[rows, columns], rows <= columns, orthonormal one after the other: x = L Q with a lower
   triangular L whose diagonal is positive, which makes Q unique; x becomes Q. The rows must be linearly independent. */
void sb_orthogonalise(double *x, size_t rows, size_t columns);

#endif
