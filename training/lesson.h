/*
 * A lesson: batches of rows of one kind, and everything that is learned from them: cross entropy of the rows' labels, and any number
 * of losses on the rows' sentence vectors, each with its weight. SimBERT is one lesson: rows of pairs, cross entropy of the targets and
 * in-batch similarity of the sources, from one forward pass.
 *
 *     sb_lesson_new(&lesson, &setup, batches, &error);
 *     sb_lesson_prepare(lesson, epoch, index, step, &error);       // builds the batch, replaces inputs by predictions, asks the teacher
 *     struct sb_objective objective = sb_lesson_objective(lesson);
 *     objective.run(objective.context, &call, &value, &error);     // any number of times: training/adversarial.h
 *
 * With several processes (training/parallel.h) each computes its share of the rows; vectors are gathered, so that losses see the whole
 * batch, and gradients are summed: the result is that of one process up to the rounding of sums.
 *
 * Thread rule: one thread at a time; the work is shared among the pass's pool.
 */
#ifndef SB_TRAINING_LESSON_H
#define SB_TRAINING_LESSON_H

#include "training/adversarial.h"
#include "training/batch.h"
#include "training/dense_head.h"
#include "training/losses.h"
#include "training/parallel.h"
#include "training/pool_norm.h"
#include "training/teacher.h"

enum { SB_LESSON_LOSSES = 8 };

/* A loss on sentence vectors. */
struct sb_lesson_loss {
    const struct sb_loss_class *class;
    struct sb_loss_options options;
    double weight;
};

/* All borrowed for the lesson's life. */
struct sb_lesson_setup {
    struct sb_network *network;
    struct sb_pass *pass;
    const struct sb_kernels *kernels;
    struct sb_parallel *parallel; /* NULL: one process */
    struct sb_teacher *teacher;   /* for losses that need one */
    struct sb_dense_head *dense;  /* NULL: none; what it gives are the sentence vectors */
    struct sb_pool_norm *norm;    /* NULL: none; its parameters are SB_POOL_NORM_GAMMA and _BETA */
    const char *name;             /* of the cross entropy, in values: "seq2seq", "masked_lm" ... */
    double label_weight;          /* of the cross entropy; 0: none */
    double smoothing;
    struct sb_lesson_loss losses[SB_LESSON_LOSSES];
    size_t loss_count;
    float hidden_dropout, attention_dropout;
    uint64_t seed;
    /* Scheduled sampling (training/noise.h); probability 0: none. */
    double scheduled_probability;
    enum sb_probability_schedule schedule;
    uint64_t schedule_steps;
};

/* Names of parameters that a lesson needs beside the model's own (struct sb_network_options, extras), and the pair head of the
   softmax loss, SB_PAIR_HEAD_TENSOR[classes, 3 dimensions] (weights/config.h). */
#define SB_POOL_NORM_GAMMA "pool_norm.weight"
#define SB_POOL_NORM_BETA "pool_norm.bias"

struct sb_lesson;

/* Takes the batches. SB_INVALID, SB_UNSUPPORTED: the rows do not give what a loss takes, the network has no MLM head or no
   classifier, a teacher is missing. */
SB_MUST_CHECK enum sb_status sb_lesson_new(struct sb_lesson **lesson, const struct sb_lesson_setup *setup,
                                           struct sb_batches *batches, struct sb_error *error);
void sb_lesson_free(struct sb_lesson *lesson); /* NULL is fine */

size_t sb_lesson_batches_in_epoch(const struct sb_lesson *lesson);

/* Batch `index` of an epoch, for step `step`, which names the dropout and the schedule. */
SB_MUST_CHECK enum sb_status sb_lesson_prepare(struct sb_lesson *lesson, uint64_t epoch, size_t index, uint64_t step,
                                               struct sb_error *error);

/* Of the prepared batch; borrowed until the next. */
struct sb_objective sb_lesson_objective(struct sb_lesson *lesson);

/* Of the last run with SB_OBJECTIVE_LOSS: the parts of its value, without their weights, under their names. */
size_t sb_lesson_values(const struct sb_lesson *lesson, const char *const **names, const double **values);
size_t sb_lesson_rows(const struct sb_lesson *lesson);   /* of the prepared batch, all processes */
size_t sb_lesson_tokens(const struct sb_lesson *lesson); /* the same */

#endif
