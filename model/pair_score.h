/*
 * Do two sentences mean the same? What a pair head says (weights/config.h, enum sb_pair_head), which sees more than the
 * angle between the vectors: it has learned from labelled pairs which differences matter.
 *
 *     if (sb_model_scores_pairs(model))
 *         double p = sb_model_pair_score(model, first.pooled, second.pooled);     // struct sb_row of model/session.h
 *
 * Logits K [u; v; |u - v|] of the pooled vectors u and v, and a softmax over the classes of the task that the head has
 * learned; the score is the probability of "same", or of "entailment". Not symmetric in u and v: they stand in the
 * order of the training's pairs, for NLI premise and hypothesis.
 *
 * Reimers and Gurevych, "Sentence-BERT", 2019 (classification objective); Su, RoFormer-Sim, 2021.
 *
 * Thread rule: any thread.
 */
#ifndef SB_MODEL_PAIR_SCORE_H
#define SB_MODEL_PAIR_SCORE_H

#include "model/model.h"

bool sb_model_scores_pairs(const struct sb_model *model);

/* In [0, 1]. u, v: [sb_model_dimensions], before normalisation. The model has a pair head. */
double sb_model_pair_score(const struct sb_model *model, const float *u, const float *v);

#endif
