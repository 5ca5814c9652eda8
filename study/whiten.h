/*
 * A model whose sentence vectors are whitened (training/whitening.h) on the texts of a training file. Kept is the half of the
 * directions in which the vectors vary most: in all of them they never vary, because what a pooler reads has passed a LayerNorm.
 *
 *     sb_study_whiten("work/model", "synonyms.train.jsonl", pool, &error);
 *
 * Thread rule: one thread; the work is shared among the pool's.
 */
#ifndef SB_STUDY_WHITEN_H
#define SB_STUDY_WHITEN_H

#include "base/pool.h"
#include "base/status.h"

/* Changes the pooler of the model directory; SB_UNSUPPORTED without a linear one, SB_INVALID when the texts' vectors span too few
   directions. pool NULL: this thread. */
SB_MUST_CHECK enum sb_status sb_study_whiten(const char *model, const char *texts, struct sb_pool *pool,
                                             struct sb_error *error);

#endif
