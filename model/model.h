/*
 * A loaded model: config, tokenizer and packed weights. Immutable; shared by any number of sessions and threads.
 *
 *     struct sb_model *model;
 *     if (sb_model_open(&model, "models/simbert-small-zh", NULL, &error) == SB_OK) {
 *         struct sb_session *session;                       // one a thread: see model/session.h
 *         ...
 *     }
 *     sb_model_release(model);
 */
#ifndef SB_MODEL_MODEL_H
#define SB_MODEL_MODEL_H

#include "base/pool.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "tokenizer/tokenizer.h"
#include "weights/config.h"

struct sb_model;

struct sb_model_options {
    const char *name;    /* what requests call it; NULL: the last part of the directory's path */
    const char *kernels; /* variant name, NULL: the best */
    const char *dtype;   /* arithmetic of the linear layers: "f32", "bf16", "int8", "auto" (bf16 where the processor computes it,
                            else f32); NULL: f32 */
    struct sb_pool *pool; /* threads that pack the weights; NULL: this one */
};

/* options NULL: defaults. The model starts with one reference. */
SB_MUST_CHECK enum sb_status sb_model_open(struct sb_model **model, const char *dir, const struct sb_model_options *options,
                                           struct sb_error *error);
void sb_model_retain(struct sb_model *model);  /* any thread */
void sb_model_release(struct sb_model *model); /* any thread; the last one frees; NULL is fine */

/* All borrowed for the model's life. */
const char *sb_model_name(const struct sb_model *model);
const char *sb_model_hash(const struct sb_model *model); /* hex; stored beside every vector that the model made */
const struct sb_config *sb_model_config(const struct sb_model *model);
const struct sb_tokenizer *sb_model_tokenizer(const struct sb_model *model);
const struct sb_kernels *sb_model_kernels(const struct sb_model *model);
const char *sb_model_dtype(const struct sb_model *model); /* arithmetic of the linear layers: "f32", "bf16", "int8" */

int sb_model_dimensions(const struct sb_model *model); /* length of a sentence vector */
int sb_model_max_length(const struct sb_model *model); /* tokens of a row, special tokens included */
bool sb_model_can_generate(const struct sb_model *model);
size_t sb_model_bytes(const struct sb_model *model); /* packed weights in memory */

#endif
