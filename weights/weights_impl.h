/* What convert needs of weights beyond the public calls. */
#ifndef SB_WEIGHTS_WEIGHTS_IMPL_H
#define SB_WEIGHTS_WEIGHTS_IMPL_H

#include "weights/dense_impl.h"
#include "weights/weights.h"

/* Recomputes the checksum of every used tensor that has one. */
SB_MUST_CHECK enum sb_status sb_weights_verify(const struct sb_weights *weights, struct sb_error *error);

/* Its checkpoint is NULL when the model has no Dense module. */
const struct sb_dense *sb_weights_dense_module(const struct sb_weights *weights);

#endif
