/*
 * A recipe (training/recipe.h) that came from outside.
 *
 *     char *text;
 *     status = sb_finetuning_recipe(&text, json, registry, &error);        // checked, and as the trainer gets it
 *
 * Thread rule: every call from any thread.
 */
#ifndef SB_SERVER_FINETUNING_RECIPE_H
#define SB_SERVER_FINETUNING_RECIPE_H

#include "base/json.h"
#include "server/registry.h"

/* *text: malloc'd JSON. The teacher is the name of a model that is served; its directory takes its place in recipe and
   text. SB_INVALID: not a recipe, or one that names files of the server. */
SB_MUST_CHECK enum sb_status sb_finetuning_recipe(char **text, cJSON *recipe, struct sb_registry *registry,
                                                  struct sb_error *error);

/* The learning rate of a recipe that names none. */
SB_MUST_CHECK enum sb_status sb_finetuning_default_rate(double *rate, struct sb_error *error);

#endif
