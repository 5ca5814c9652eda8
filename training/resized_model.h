/*
 * A model directory with other sizes, made from a trained one (training/resize.h): what a recipe's "resize" asks for.
 *
 *     struct sb_model_sizes sizes = {.attention_key_size = 128};
 *     sb_resize_model("models/simbert-small-zh", "larger-keys", &sizes, &error);
 *
 * Thread rule: no state.
 */
#ifndef SB_TRAINING_RESIZED_MODEL_H
#define SB_TRAINING_RESIZED_MODEL_H

#include "base/status.h"

/* 0 and NULL: as it is. A key or head size that was the hidden size over the heads stays so. */
struct sb_model_sizes {
    int hidden_size, attention_key_size, intermediate_size;
    /* Names of another attention (weights/attention.h). What the old one has goes over, the rest is drawn (training/initialise.h). */
    const char *const *attention_parts;
    int attention_part_count;
    int factor_a, factor_b, factor_rank; /* 0: as sb_attention_complete finds them */
    /* vocab.txt of the new model. Tokens that the old one has keep their embedding; new ones begin as the mean of the tokens that
       the old vocabulary cuts them into. */
    const char *vocabulary;
};

/* dst is made; weights in f32. SB_INVALID names the size and its bound. */
SB_MUST_CHECK enum sb_status sb_resize_model(const char *src, const char *dst, const struct sb_model_sizes *sizes,
                                             struct sb_error *error);

#endif
