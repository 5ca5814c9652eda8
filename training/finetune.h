/*
 * A training run from a recipe: the network with what the recipe adds to it, the data, the lessons, and the trainer over them.
 *
 *     sb_finetune_new(&run, recipe, "models/simbert-small-zh", pool, parallel, &error);    // the recipe is resolved
 *     struct sb_trainer *trainer = sb_finetune_trainer(run);
 *     ... sb_trainer_step(trainer, ...)
 *     sb_finetune_save(run, "my-model", SB_F16, &error);
 *     sb_finetune_free(run);
 *
 * Thread rule: one thread; the work is shared among the pool's.
 */
#ifndef SB_TRAINING_FINETUNE_H
#define SB_TRAINING_FINETUNE_H

#include "training/recipe.h"
#include "training/trainer.h"

struct sb_finetune;

/* recipe, pool and parallel are borrowed (parallel NULL: one process). Opens and checks all data. */
SB_MUST_CHECK enum sb_status sb_finetune_new(struct sb_finetune **run, const struct sb_recipe *recipe, const char *model,
                                             struct sb_pool *pool, struct sb_parallel *parallel, struct sb_error *error);
void sb_finetune_free(struct sb_finetune *run); /* NULL is fine */

struct sb_trainer *sb_finetune_trainer(struct sb_finetune *run);
uint64_t sb_finetune_steps(const struct sb_finetune *run);          /* of the whole training */
uint64_t sb_finetune_steps_in_epoch(const struct sb_finetune *run); /* of the first objective's data; at least 1 */

/* What became of the training files: report i, NULL past the last. */
const struct sb_data_report *sb_finetune_data(const struct sb_finetune *run, size_t i);
size_t sb_finetune_examples(const struct sb_finetune *run);
/* Memory of weights, gradients, optimizer and activations. */
size_t sb_finetune_bytes(const struct sb_finetune *run);

/* The model as it stands, averages and normalisation folded in, as a directory that sb_model_open reads. What only training needs (a
   classification head) is saved with it under its own name. */
SB_MUST_CHECK enum sb_status sb_finetune_save(struct sb_finetune *run, const char *dir, enum sb_dtype dtype,
                                              struct sb_error *error);
/* Whitens a model that was saved in dir by sentences of the training data, as the recipe's "whiten" says
   (training/whitened_model.h). */
SB_MUST_CHECK enum sb_status sb_finetune_whiten(struct sb_finetune *run, const char *dir, struct sb_error *error);

#endif
