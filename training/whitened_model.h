/*
 * Whitening of a saved model (training/whitening.h): what a recipe's "whiten" asks for. The model then gives the whitened
 * vectors by itself, of fewer numbers.
 *
 *     struct sb_whiten_options options = {.dimensions = 128, .sentences = 10000, .text_characters = 30, .max_length = 64};
 *     sb_whiten_model("my-model", &data, 1, &options, pool, &error);
 *
 * Mean and kernel become a Dense module behind the pooling, as sentence-transformers knows it, which takes in a linear
 * pooler, too. With y = K (x - mean):
 *
 *     x = [CLS], or the mean over the tokens      Dense has the kernel K and the bias -K mean
 *     x = W [CLS] + b, a linear pooler            K W and K (b - mean)
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_WHITENED_MODEL_H
#define SB_TRAINING_WHITENED_MODEL_H

#include "base/pool.h"
#include "base/status.h"
#include "training/data.h"
#include "weights/config.h"

#include <stddef.h>
#include <stdint.h>

struct sb_whiten_options {
    size_t dimensions; /* that are kept */
    size_t sentences;  /* by which the vectors are measured, at most: a sample of the texts of all data */
    uint64_t seed;     /* names the sample */
    size_t text_characters, max_length; /* as in sb_batch_options */
};

/* Can vectors of this model be whitened to so many dimensions? SB_INVALID, SB_UNSUPPORTED. */
SB_MUST_CHECK enum sb_status sb_whiten_check(const struct sb_config *config, size_t dimensions, struct sb_error *error);

/* Writes the module into the model directory. Not atomic: for a directory that nobody reads yet. SB_INVALID: the vectors
   span fewer dimensions. pool NULL: this thread. */
SB_MUST_CHECK enum sb_status sb_whiten_model(const char *dir, const struct sb_data *const *data, size_t count,
                                             const struct sb_whiten_options *options, struct sb_pool *pool,
                                             struct sb_error *error);

#endif
