/*
 * The loop of training: lessons, gradients, optimizer, averages, checkpoints. What is trained and how is decided by who makes the
 * lessons and fills the setup (training/finetune.h does it from a recipe).
 *
 *     sb_trainer_new(&trainer, &setup, &error);
 *     status = sb_trainer_resume(trainer, dir, &error);                   // SB_NOT_FOUND: nothing to go on from
 *     while (sb_trainer_steps(trainer) < setup.steps) {
 *         struct sb_trainer_step step;
 *         sb_trainer_step(trainer, &step, &error);
 *         if (step.number % 100 == 0)
 *             sb_trainer_checkpoint(trainer, dir, 2, &error);
 *     }
 *     sb_trainer_read_weights(trainer, weights);                          // the average, if one is kept
 *     sb_trainer_free(trainer);
 *
 * Step n trains on batch n of every lesson (with accumulation on batches n a ... n a + a - 1): where it stands in the data is a
 * function of n, as dropout and noise are. So a run that is interrupted and resumed ends with the same bits as one that is not, and
 * with any number of threads.
 *
 * Thread rule: one thread; the work is shared among the pool's.
 */
#ifndef SB_TRAINING_TRAINER_H
#define SB_TRAINING_TRAINER_H

#include "training/lesson.h"
#include "training/lookahead.h"
#include "training/optimizer.h"
#include "training/schedule.h"

enum { SB_TRAINER_LESSONS = 16 };

/* Everything is borrowed for the trainer's life. */
struct sb_trainer_setup {
    struct sb_network *network;
    struct sb_lesson *lessons[SB_TRAINER_LESSONS];
    size_t lesson_count;
    struct sb_pool *pool;
    struct sb_parallel *parallel;
    struct sb_pool_norm *norm; /* NULL: none; its statistics are part of the checkpoints */
    struct sb_optimizer_options optimizer;
    struct sb_schedule schedule;
    uint64_t steps;
    uint64_t accumulation; /* batches of each lesson whose gradients make one step; at least 1 */
    double clip_norm;      /* 0: none */
    struct sb_adversary_options adversary;
    size_t max_tokens;                    /* of a batch: the adversary's room */
    double average_momentum;              /* exponential average of the weights; 0: none */
    struct sb_lookahead_options lookahead; /* interval 0: none */
    /* What the numbers depend on beside the code, as text: a checkpoint of another one is refused. */
    const char *identity;
};

struct sb_trainer;

SB_MUST_CHECK enum sb_status sb_trainer_new(struct sb_trainer **trainer, const struct sb_trainer_setup *setup,
                                            struct sb_error *error);
void sb_trainer_free(struct sb_trainer *trainer); /* NULL is fine */

struct sb_trainer_step {
    uint64_t number; /* of steps done, this one included */
    double loss, adversarial;
    double learning_rate, gradient_norm;
    size_t rows, tokens; /* that it was computed on */
    /* Parts of the loss by name, of all lessons. */
    const char *names[SB_TRAINER_LESSONS * (SB_LESSON_LOSSES + 1)];
    double values[SB_TRAINER_LESSONS * (SB_LESSON_LOSSES + 1)];
    size_t value_count;
};

/* SB_INVALID when loss or gradient is no number: the weights are those of the step before. */
SB_MUST_CHECK enum sb_status sb_trainer_step(struct sb_trainer *trainer, struct sb_trainer_step *step,
                                             struct sb_error *error);

uint64_t sb_trainer_steps(const struct sb_trainer *trainer);  /* done, those before an interruption included */
uint64_t sb_trainer_tokens(const struct sb_trainer *trainer); /* the same */
size_t sb_trainer_optimizer_bytes(const struct sb_trainer *trainer); /* Lookahead's slow weights included */

/* weights[parameters->size]: the average if one is kept and has begun, else the network's. */
void sb_trainer_read_weights(const struct sb_trainer *trainer, float *weights);

/* extra: JSON text that comes back at resume, or NULL. */
SB_MUST_CHECK enum sb_status sb_trainer_checkpoint(struct sb_trainer *trainer, const char *dir, const char *extra,
                                                   size_t keep, struct sb_error *error);
/* SB_NOT_FOUND: no checkpoint. SB_INVALID: one of another recipe, data or model. *extra is the caller's to free; NULL: not wanted. */
SB_MUST_CHECK enum sb_status sb_trainer_resume(struct sb_trainer *trainer, const char *dir, char **extra,
                                               struct sb_error *error);

#endif
