/*
 * The model that a study's runs start from: a trained one that is made small enough for minutes, or a fresh one.
 *
 *     struct sb_study_start start = {.model = "models/simbert-small-zh", .layers = 2};
 *     sb_study_make_start(&start, "work/start", &error);
 *
 * Thread rule: no state.
 */
#ifndef SB_STUDY_START_H
#define SB_STUDY_START_H

#include "base/status.h"
#include "training/initialise.h"

struct sb_study_start {
    const char *model; /* directory */
    int layers;        /* of its layers the first ones are kept; 0: all */
    /* Parameters whose name holds one of these ("" is in all) are drawn anew, and so is what the config asks for and the model lacks, or
       has in another shape: matrices and embeddings as `initialiser` says, biases 0, normalisations 1. NULL-terminated; NULL: the model
       stays as it is. */
    const char *const *redraws;
    struct sb_initialiser initialiser;
    const char *config; /* with redraws: JSON laid over the model's config, but for num_hidden_layers; or NULL */
};

/* Writes a model directory, which is made; weights in f32. */
SB_MUST_CHECK enum sb_status sb_study_make_start(const struct sb_study_start *start, const char *dst,
                                                 struct sb_error *error);

#endif
