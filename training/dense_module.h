/*
 * The files of a Dense module behind a model's pooling, as sentence-transformers has it: modules.json,
 * 1_Pooling/config.json, 2_Dense/config.json and 2_Dense/model.safetensors.
 *
 *     struct sb_dense_module module = {.kernel = kernel, .bias = bias, .out = 128, .in = 512, .activation = SB_LINEAR};
 *     sb_dense_module_write(&module, "my-model", config, &error);
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_DENSE_MODULE_H
#define SB_TRAINING_DENSE_MODULE_H

#include "base/status.h"
#include "weights/config.h"

#include <stddef.h>

/* y = activation(x W^T + b). Borrowed. */
struct sb_dense_module {
    const float *kernel; /* W[out, in] */
    const float *bias;   /* b[out] */
    size_t out, in;
    enum sb_activation activation;
};

/* Into the directory of a model with this config: its pooling (by pooler: [CLS], the pooler being part of the module) and
   whether vectors are normalised stay. The numbers are stored in f32. */
SB_MUST_CHECK enum sb_status sb_dense_module_write(const struct sb_dense_module *module, const char *dir,
                                                   const struct sb_config *config, struct sb_error *error);

#endif
