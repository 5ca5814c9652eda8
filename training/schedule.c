#include "training/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum sb_status sb_schedule_named(enum sb_schedule_kind *kind, const char *name, struct sb_error *error)
{
    static const char *const names[] = {
        [SB_SCHEDULE_CONSTANT] = "constant",   [SB_SCHEDULE_LINEAR] = "linear",
        [SB_SCHEDULE_COSINE] = "cosine",       [SB_SCHEDULE_INVERSE_ROOT] = "inverse_root",
        [SB_SCHEDULE_PIECEWISE] = "piecewise",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *kind = (enum sb_schedule_kind)i;
            return SB_OK;
        }
    }
    return sb_fail(error, SB_INVALID,
                   "schedule \"%.60s\" is not known: constant, linear, cosine, inverse_root, piecewise are", name);
}

static enum sb_status check_points(const struct sb_schedule *schedule, struct sb_error *error)
{
    if (schedule->point_count == 0 || schedule->point_count > SB_SCHEDULE_MAX_POINTS)
        return sb_fail(error, SB_INVALID, "schedule: a piecewise one has 1 to %d points, not %zu",
                       SB_SCHEDULE_MAX_POINTS, schedule->point_count);
    for (size_t i = 0; i < schedule->point_count; i++) {
        if (!(schedule->points[i].factor >= 0 && isfinite(schedule->points[i].factor)))
            return sb_fail(error, SB_INVALID, "schedule: point %zu has the factor %g, which is negative or not finite",
                           i, schedule->points[i].factor);
        if (i > 0 && schedule->points[i].step <= schedule->points[i - 1].step)
            return sb_fail(error, SB_INVALID,
                           "schedule: step %" PRIu64 " of point %zu does not lie behind step %" PRIu64,
                           schedule->points[i].step, i, schedule->points[i - 1].step);
    }
    return SB_OK;
}

enum sb_status sb_schedule_check(const struct sb_schedule *schedule, struct sb_error *error)
{
    if (!(schedule->peak >= 0 && isfinite(schedule->peak)))
        return sb_fail(error, SB_INVALID, "schedule: a learning rate of %g is negative or not finite", schedule->peak);
    if (!(schedule->floor >= 0 && schedule->floor <= 1))
        return sb_fail(error, SB_INVALID, "schedule: floor %g must be in [0, 1]", schedule->floor);
    if (schedule->kind == SB_SCHEDULE_PIECEWISE)
        return check_points(schedule, error);
    bool ends = schedule->kind == SB_SCHEDULE_LINEAR || schedule->kind == SB_SCHEDULE_COSINE;
    if (ends && schedule->steps <= schedule->warmup)
        return sb_fail(error, SB_INVALID,
                       "schedule: a warm-up of %" PRIu64 " steps leaves none of %" PRIu64 " to decay", schedule->warmup,
                       schedule->steps);
    return SB_OK;
}

static double piecewise(const struct sb_schedule *schedule, uint64_t step)
{
    double from_factor = 0, from_step = 0;
    for (size_t i = 0; i < schedule->point_count; i++) {
        double factor = schedule->points[i].factor, at = (double)schedule->points[i].step;
        if (step < schedule->points[i].step)
            return from_factor + (factor - from_factor) * ((double)step - from_step) / (at - from_step);
        from_factor = factor;
        from_step = at;
    }
    return from_factor;
}

/* After the warm-up, as a part of the peak. */
static double decay(const struct sb_schedule *schedule, uint64_t step)
{
    double floor = schedule->floor, w = schedule->warmup ? (double)schedule->warmup : 1;
    double x = fmin((double)(step - schedule->warmup) / ((double)schedule->steps - (double)schedule->warmup), 1);
    switch (schedule->kind) {
    case SB_SCHEDULE_LINEAR: return 1 - (1 - floor) * x;
    case SB_SCHEDULE_COSINE: return floor + (1 - floor) * (1 + cos(3.14159265358979323846 * x)) / 2;
    case SB_SCHEDULE_INVERSE_ROOT: return fmax(sqrt(w / fmax((double)step, w)), floor);
    case SB_SCHEDULE_CONSTANT:
    case SB_SCHEDULE_PIECEWISE: break;
    }
    return 1;
}

double sb_schedule_rate(const struct sb_schedule *schedule, uint64_t step)
{
    if (schedule->kind == SB_SCHEDULE_PIECEWISE)
        return schedule->peak * piecewise(schedule, step);
    if (step < schedule->warmup)
        return schedule->peak * (double)step / (double)schedule->warmup;
    return schedule->peak * decay(schedule, step);
}
