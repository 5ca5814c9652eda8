/*
 * The options that every command with a model has, and finding what they name.
 *
 *     struct settings { struct sb_model_settings model; ... };
 *     static const struct sb_option_group groups[] = {{sb_model_group, offsetof(struct settings, model)}, ..., {0}};
 *     if (sb_open_model(&model, &settings->model, &error) != SB_OK) ...
 */
#ifndef SB_CLI_OPEN_MODEL_H
#define SB_CLI_OPEN_MODEL_H

#include "cli/options.h"
#include "model/model.h"

struct sb_model_settings {
    const char *dir;     /* NULL: the default model */
    const char *dtype;   /* NULL: f32 */
    const char *kernels; /* NULL: the best */
    int64_t threads;     /* 0: as many as the machine gives us */
};
extern const struct sb_option sb_model_group[];

/* What help says about a default model's place. */
#define SB_MODEL_HELP "model directory (default models/simbert-small-zh here, or beside the program)"

/* The first that exists of path here, path beside the program's folder (PROGRAM/../path), and
   PROGRAM/../share/simbert/path; free() it. NULL when there is none. */
char *sb_find_shared(const char *path);

/* The directory that is named, or else the default model's; free() it. */
SB_MUST_CHECK enum sb_status sb_find_model(char **dir, const char *named, struct sb_error *error);

/* Opens the model with threads that pack the weights. */
SB_MUST_CHECK enum sb_status sb_open_model(struct sb_model **model, const struct sb_model_settings *settings,
                                           struct sb_error *error);

int sb_threads(const struct sb_model_settings *settings);

#endif
