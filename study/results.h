/*
 * What the parts of a study's run share: room for its results.
 *
 * Thread rule: that of what is passed.
 */
#ifndef SB_STUDY_RESULTS_H
#define SB_STUDY_RESULTS_H

#include "study/study.h"

/* Empty, in the sizes of the study; NULL: no memory. */
struct sb_study_results *sb_study_results_new(const struct sb_study *study, uint64_t steps, size_t seeds);

size_t sb_study_run_count(const struct sb_study *study);
size_t sb_study_column_count(const struct sb_study *study);
struct sb_study_trial *sb_study_trial(const struct sb_study_results *results, size_t run, size_t seed);

/* The value that |t| exceeds in 5 % of all cases, for 1 ... SB_STUDY_SEEDS - 1 degrees of freedom. */
double sb_study_student(size_t freedom);

#endif
