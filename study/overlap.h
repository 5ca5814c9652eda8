/*
 * How much of one text stands in another: F1 of the pairs of neighbouring characters, each counted as often as it occurs (ROUGE-2 on
 * characters; Lin, 2004).
 *
 *     sb_study_overlap(&f1, &written, &given, &error);
 *
 * Thread rule: no state.
 */
#ifndef SB_STUDY_OVERLAP_H
#define SB_STUDY_OVERLAP_H

#include "base/status.h"
#include "model/text_normalize.h"

/* 1: the same pairs; 0: none in common, also of a text with less than two characters. */
SB_MUST_CHECK enum sb_status sb_study_overlap(double *f1, const struct sb_code_points *a, const struct sb_code_points *b,
                                              struct sb_error *error);

#endif
