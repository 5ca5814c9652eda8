/* The names under which a parameter may be stored, and which stored tensor serves which parameter. */
#ifndef SB_WEIGHTS_PARAMETERS_IMPL_H
#define SB_WEIGHTS_PARAMETERS_IMPL_H

#include "weights/weights.h"

#include <stddef.h>

/* The tensor that serves a parameter, under whichever of its names; NULL if there is none. *is_tensorflow: it has its
   TensorFlow name, so a kernel lies [in, out]. */
const struct sb_tensor *sb_param_find(const struct sb_checkpoint *checkpoint, enum sb_param_role role, int layer,
                                      bool *is_tensorflow);

void sb_param_tensorflow_name(char name[SB_MAX_PARAM_NAME], enum sb_param_role role, int layer);

enum sb_tensor_use {
    SB_TENSOR_UNKNOWN, /* nothing here reads it */
    SB_TENSOR_USED,
    SB_TENSOR_IGNORED, /* optimizer slots, the next-sentence head, position numbers */
    SB_TENSOR_TIED,    /* the output layer, equal to the word embedding */
    SB_TENSOR_MISFIT,  /* a parameter's name, but not its shape or dtype */
};

/* What was found wrong; the message names file and tensor. */
struct sb_problem {
    const char *kind; /* "missing", "shape", "dtype", "untied" */
    struct sb_error error;
};

struct sb_match {
    int layers;
    struct sb_param *params;          /* [SB_PARAM_ROLES * layers]; a role that is there once uses layer 0 */
    const struct sb_tensor **tensors; /* the same index */
    enum sb_tensor_use *uses;         /* [sb_checkpoint_count] */
    struct sb_problem *problems;
    size_t problem_count, problem_capacity;
};

/* Walks the table over the checkpoint. Problems are collected, not returned; fails only when out of memory. dir is for
   messages. Free with sb_match_free, also after a failure. */
SB_MUST_CHECK enum sb_status sb_match_parameters(struct sb_match *match, const struct sb_checkpoint *checkpoint,
                                                 const struct sb_config *config, const char *dir,
                                                 struct sb_error *error);
void sb_match_free(struct sb_match *match);

size_t sb_match_index(const struct sb_match *match, enum sb_param_role role, int layer);

#endif
