/*
 * Levenshtein distance: the fewest insertions, deletions and substitutions of code points that turn a into b.
 */
#ifndef SB_BASE_EDIT_DISTANCE_H
#define SB_BASE_EDIT_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

/* a[n], b[m]; row: [m + 1] of scratch. Time n * m, less what a and b have in common at their ends. */
size_t sb_edit_distance(const int32_t *a, size_t n, const int32_t *b, size_t m, size_t *row);

#endif
