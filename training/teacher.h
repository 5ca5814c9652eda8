/*
 * A teacher: a finished model whose similarities the model in training is to have (REFERENCE section 4, RoFormer-Sim's second
 * stage). It may have another vocabulary: rows reach it as text.
 *
 *     sb_teacher_open(&teacher, "models/bge-small-zh", pool, &error);
 *     sb_teacher_similarities(teacher, tokenizer, rows, n, matrix, &error);     // matrix[n, n]: cosines
 *
 * Thread rule: one thread at a time; the work is shared among the pool's.
 */
#ifndef SB_TRAINING_TEACHER_H
#define SB_TRAINING_TEACHER_H

#include "base/pool.h"
#include "base/status.h"
#include "model/network.h"

struct sb_teacher;

/* pool (NULL: this thread) is borrowed. Fails as sb_model_open does. */
SB_MUST_CHECK enum sb_status sb_teacher_open(struct sb_teacher **teacher, const char *dir, struct sb_pool *pool,
                                             struct sb_error *error);
void sb_teacher_free(struct sb_teacher *teacher); /* NULL is fine */

/* Cosines of the texts that stand in the prefixes of rows[count], which `tokenizer` has made. */
SB_MUST_CHECK enum sb_status sb_teacher_similarities(struct sb_teacher *teacher, const struct sb_tokenizer *tokenizer,
                                                     const struct sb_pass_row *rows, size_t count, float *matrix,
                                                     struct sb_error *error);

#endif
