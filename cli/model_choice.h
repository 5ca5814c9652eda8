/*
 * The options that choose a model and how it computes, shared by all commands that load one.
 *
 *     struct sb_model_choice choice = {0};
 *     struct sb_option options[SB_MODEL_OPTIONS];
 *     sb_model_options_table(options, &choice);
 *     const struct sb_option_group groups[] = {{"Model", options}, {0}};
 *     ...
 *     if (sb_model_choice_open(&model, &choice, &error) == SB_OK) ...
 */
#ifndef SB_CLI_MODEL_CHOICE_H
#define SB_CLI_MODEL_CHOICE_H

#include "cli/options.h"
#include "model/model.h"

#define SB_MODEL_HELP_DEFAULT "models/simbert-small-zh, here or beside the program"
#define SB_KERNELS_HELP "code for this processor: plain, vector128, avx2, avx512, openblas"
#define SB_DTYPE_HELP "arithmetic of the linear layers; auto: bf16 where the processor computes it, else f32"
#define SB_DTYPE_CHOICES "f32, bf16, int8, auto"

struct sb_model_choice {
    const char *dir, *kernels, *dtype; /* NULL: the default */
    int threads;                       /* 0: what the processor and the control group allow */
};

enum { SB_MODEL_OPTIONS = 5 };

/* --model, --kernels, --dtype, --threads. What choice holds are the defaults. */
void sb_model_options_table(struct sb_option table[SB_MODEL_OPTIONS], struct sb_model_choice *choice);

/* The directory: choice, or else the model that ships, in models/ of the current folder, or beside the program
   (../models,
   ../share/simbert/models). SB_NOT_FOUND says where it was looked for. The result is malloc'd. */
SB_MUST_CHECK enum sb_status sb_model_find(char **dir, const char *choice, struct sb_error *error);

SB_MUST_CHECK enum sb_status sb_model_choice_open(struct sb_model **model, const struct sb_model_choice *choice,
                                                  struct sb_error *error);
int sb_model_choice_threads(const struct sb_model_choice *choice); /* at least 1 */

#endif
