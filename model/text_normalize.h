/*
 * When are two texts the same text? After NFKC with case folding (so full-width letters equal half-width ones), without
 * white space and invisible characters, and without the punctuation at the end.
 *
 *     struct sb_code_points a = {0};
 *     if (sb_text_normalize(&a, "ＨＵＡＢＥＩ 花呗？", size, &error) == SB_OK) ...    // h u a b e i 花 呗
 *     sb_code_points_free(&a);
 */
#ifndef SB_MODEL_TEXT_NORMALIZE_H
#define SB_MODEL_TEXT_NORMALIZE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_code_points {
    int32_t *points; /* [count], owned; NULL when there are none */
    size_t count;
};

/* Replaces what points holds, which must be zeroed or from an earlier call. SB_INVALID: not UTF-8. */
SB_MUST_CHECK enum sb_status sb_text_normalize(struct sb_code_points *points, const char *text, size_t size,
                                               struct sb_error *error);
void sb_code_points_free(struct sb_code_points *points);

bool sb_code_points_equal(const struct sb_code_points *a, const struct sb_code_points *b);

#endif
