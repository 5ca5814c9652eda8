/* What a study found: room for it, and its statistics. */
#include "study/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void sb_study_measure(struct sb_study_measures *measures, const char *name, double value)
{
    if (measures->count == SB_STUDY_MEASURES)
        return;
    measures->items[measures->count].name = name;
    measures->items[measures->count++].value = value;
}

double sb_study_measured(const struct sb_study_measures *measures, const char *name)
{
    for (size_t i = 0; i < measures->count; i++)
        if (strcmp(measures->items[i].name, name) == 0)
            return measures->items[i].value;
    return NAN;
}

size_t sb_study_run_count(const struct sb_study *study)
{
    size_t count = 0;
    while (count < SB_STUDY_RUNS && study->runs[count].label)
        count++;
    return count;
}

size_t sb_study_column_count(const struct sb_study *study)
{
    size_t count = 0;
    while (count < SB_STUDY_COLUMNS && study->columns[count].measure)
        count++;
    return count;
}

struct sb_study_trial *sb_study_trial(const struct sb_study_results *results, size_t run, size_t seed)
{
    return &results->trials[run * results->seeds + seed];
}

struct sb_study_results *sb_study_results_new(const struct sb_study *study, uint64_t steps, size_t seeds)
{
    struct sb_study_results *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct sb_study_results){
        .study = study, .steps = steps, .seeds = seeds, .run_count = sb_study_run_count(study)};
    r->check_count = study->checks < steps ? study->checks : steps;
    for (size_t i = 0; i < r->check_count; i++)
        r->check_steps[i] = (i + 1) * steps / r->check_count;
    r->trials = calloc(r->run_count * seeds, sizeof *r->trials);
    bool failed = !r->trials;
    for (size_t i = 0; !failed && i < r->run_count * seeds; i++) {
        if (!study->runs[i / seeds].is_untrained)
            failed |= !(r->trials[i].losses = calloc(steps, sizeof *r->trials[i].losses));
        for (size_t c = 0; c < SB_STUDY_CHECKS; c++)
            r->trials[i].checks[c] = NAN;
    }
    if (!failed)
        return r;
    sb_study_results_free(r);
    return NULL;
}

void sb_study_results_free(struct sb_study_results *results)
{
    if (!results)
        return;
    for (size_t i = 0; results->trials && i < results->run_count * results->seeds; i++)
        free(results->trials[i].losses);
    free(results->trials);
    free(results);
}

/* ---- Statistics ---- */

double sb_study_student(size_t freedom)
{
    static const double values[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201,
                                    2.179,  2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074,
                                    2.069,  2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042, 2.040};
    enum { COUNT = sizeof values / sizeof *values };
    _Static_assert(COUNT == SB_STUDY_SEEDS - 1, "one for each number of seeds from 2");
    return freedom >= 1 && freedom <= COUNT ? values[freedom - 1] : NAN;
}

static void moments(double *mean, double *deviation, const double *values, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : NAN;
}

struct sb_study_summary sb_study_summarise(const struct sb_study_results *results, size_t run, const char *measure)
{
    double values[SB_STUDY_SEEDS] = {0}, differences[SB_STUDY_SEEDS] = {0}, mean, deviation;
    struct sb_study_summary summary;
    size_t n = results->seeds;
    for (size_t i = 0; i < n; i++) {
        values[i] = sb_study_measured(&sb_study_trial(results, run, i)->after, measure);
        differences[i] = values[i] - sb_study_measured(&sb_study_trial(results, 0, i)->after, measure);
    }
    moments(&summary.mean, &summary.spread, values, n);
    moments(&mean, &deviation, differences, n);
    summary.differs = run > 0 && n > 1 && fabs(mean) > sb_study_student(n - 1) * deviation / sqrt((double)n);
    return summary;
}
