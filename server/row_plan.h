/*
 * Which rows of a request the network has to compute: not those whose vectors are in the cache, and of equal rows only the first.
 *
 *     struct sb_row_plan plan = {0};
 *     sb_row_plan_make(&plan, &rows, cached);      // cached(context, row): true when the row's vector is there already
 *     compute(plan.inputs, plan.count);            // input i is row plan.rows[i]
 *     for (row ...) if (plan.source[row] != row) copy(row, plan.source[row]);
 *     sb_row_plan_clear(&plan);
 */
#ifndef SB_SERVER_ROW_PLAN_H
#define SB_SERVER_ROW_PLAN_H

#include "server/inputs.h"

struct sb_row_plan {
    struct sb_embed_input *inputs; /* [count]: rows to compute, in order; pointers into the rows' ids */
    size_t *rows;                  /* [count] */
    size_t count;
    size_t *source; /* [all rows]: the equal row that comes first, often itself */
};

SB_MUST_CHECK enum sb_status sb_row_plan_make(struct sb_row_plan *plan, const struct sb_rows *rows,
                                              bool (*cached)(void *context, size_t row), void *context,
                                              struct sb_error *error);
void sb_row_plan_clear(struct sb_row_plan *plan);

#endif
