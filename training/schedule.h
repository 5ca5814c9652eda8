/*
 * Learning rates by step.
 *
 *     struct sb_schedule schedule = {.kind = SB_SCHEDULE_LINEAR, .peak = 2e-5, .warmup = 100, .steps = 1000};
 *     if (sb_schedule_check(&schedule, &error) == SB_OK)
 *         sb_optimizer_step(optimizer, values, gradients, sb_schedule_rate(&schedule, step));
 *
 * Steps count from 0. During `warmup` steps the rate rises in a straight line from 0, so the first step has a rate of
 * 0 and the peak is reached at step `warmup`. Then, with x = (step - warmup) / (steps - warmup), at most 1:
 *
 *     constant      peak
 *     linear        peak (1 - (1 - floor) x)
 *     cosine        peak (floor + (1 - floor) (1 + cos(pi x)) / 2)        Loshchilov and Hutter, 2017
 *     inverse_root  peak sqrt(w / max(step, w)), w = max(warmup, 1), never below peak floor   Vaswani et al., 2017
 *     piecewise     peak times straight lines between points: from (0, 0) to the first point, level after the last one;
 *                   the points make up their own warm-up
 */
#ifndef SB_TRAINING_SCHEDULE_H
#define SB_TRAINING_SCHEDULE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum sb_schedule_kind {
    SB_SCHEDULE_CONSTANT,
    SB_SCHEDULE_LINEAR,
    SB_SCHEDULE_COSINE,
    SB_SCHEDULE_INVERSE_ROOT,
    SB_SCHEDULE_PIECEWISE,
};

enum { SB_SCHEDULE_MAX_POINTS = 64 };

struct sb_schedule {
    enum sb_schedule_kind kind;
    double peak;            /* the learning rate proper */
    uint64_t warmup, steps; /* steps: the whole training's; read by linear and cosine */
    double floor;           /* [0, 1], as a part of the peak */
    struct {
        uint64_t step;
        double factor;
    } points[SB_SCHEDULE_MAX_POINTS]; /* by rising step */
    size_t point_count;
};

/* "constant", "linear", "cosine", "inverse_root", "piecewise" */
SB_MUST_CHECK enum sb_status sb_schedule_named(enum sb_schedule_kind *kind, const char *name, struct sb_error *error);

/* SB_INVALID for a schedule that sb_schedule_rate has no answer for. */
SB_MUST_CHECK enum sb_status sb_schedule_check(const struct sb_schedule *schedule, struct sb_error *error);

/* Of a schedule that passed the check. Thread-safe. */
double sb_schedule_rate(const struct sb_schedule *schedule, uint64_t step);

#endif
