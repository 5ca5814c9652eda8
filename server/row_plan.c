#include "server/row_plan.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

static bool equal(const struct sb_embed_input *a, const struct sb_embed_input *b)
{
    return a->length == b->length && memcmp(a->ids, b->ids, a->length * sizeof *a->ids) == 0;
}

static uint64_t hash_row(uint64_t seed, const struct sb_embed_input *row)
{
    uint64_t h = seed ^ row->length;
    for (size_t i = 0; i < row->length; i++) {
        h = (h ^ (uint32_t)row->ids[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return h;
}

/* source[row] for all rows, through a table of row + 1 at most half full. */
static void find_equal(struct sb_row_plan *plan, const struct sb_rows *rows, size_t *table, size_t mask)
{
    uint64_t seed = sb_random_fresh_seed(); /* so that nobody can choose texts that collide */
    for (size_t row = 0; row < rows->count; row++) {
        size_t slot = (size_t)hash_row(seed, &rows->items[row]) & mask;
        while (table[slot] && !equal(&rows->items[table[slot] - 1], &rows->items[row]))
            slot = (slot + 1) & mask;
        if (!table[slot])
            table[slot] = row + 1;
        plan->source[row] = table[slot] - 1;
    }
}

enum sb_status sb_row_plan_make(struct sb_row_plan *plan, const struct sb_rows *rows,
                                bool (*cached)(void *context, size_t row), void *context, struct sb_error *error)
{
    size_t slots = 2;
    while (slots < 2 * rows->count)
        slots *= 2;
    size_t *table = calloc(slots, sizeof *table);
    plan->inputs = calloc(rows->count, sizeof *plan->inputs);
    plan->rows = calloc(rows->count, sizeof *plan->rows);
    plan->source = calloc(rows->count, sizeof *plan->source);
    bool good = table && plan->inputs && plan->rows && plan->source;
    if (good)
        find_equal(plan, rows, table, slots - 1);
    free(table);
    if (!good)
        return sb_fail(error, SB_NO_MEMORY, "no memory to plan %zu inputs", rows->count);
    for (size_t row = 0; row < rows->count; row++) {
        if (plan->source[row] != row || cached(context, row))
            continue;
        plan->inputs[plan->count] = rows->items[row];
        plan->rows[plan->count++] = row;
    }
    return SB_OK;
}

void sb_row_plan_clear(struct sb_row_plan *plan)
{
    free(plan->inputs);
    free(plan->rows);
    free(plan->source);
    *plan = (struct sb_row_plan){0};
}
