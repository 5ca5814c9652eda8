#include "training/lookahead.h"

#include "training/flat_impl.h"

#include <stdlib.h>
#include <string.h>

struct sb_lookahead {
    struct sb_lookahead_options options;
    struct sb_pool *pool;
    struct sb_state_array slow;
    uint64_t steps;
    float *values; /* of the step in progress */
};

enum sb_status sb_lookahead_new(struct sb_lookahead **result, const struct sb_lookahead_options *options,
                                const float *values, size_t size, struct sb_pool *pool, struct sb_error *error)
{
    *result = NULL;
    if (options->interval < 1 || !(options->rate > 0 && options->rate <= 1))
        return sb_fail(error, SB_INVALID, "lookahead: the interval must be at least 1 and the rate %g in (0, 1]",
                       options->rate);
    struct sb_lookahead *lookahead = calloc(1, sizeof *lookahead);
    float *slow = calloc(size, sizeof *slow);
    if (!lookahead || !slow) {
        free(lookahead);
        free(slow);
        return sb_fail(error, SB_NO_MEMORY, "lookahead: no memory for %zu slow weights", size);
    }
    memcpy(slow, values, size * sizeof *slow);
    *lookahead = (struct sb_lookahead){.options = *options, .pool = pool, .slow = {"lookahead.slow", slow, size}};
    *result = lookahead;
    return SB_OK;
}

void sb_lookahead_free(struct sb_lookahead *lookahead)
{
    if (!lookahead)
        return;
    free(lookahead->slow.values);
    free(lookahead);
}

static void synchronise_block(void *context, size_t index, int worker)
{
    (void)worker;
    struct sb_lookahead *lookahead = context;
    float *restrict w = lookahead->values + index * SB_FLAT_BLOCK;
    float *restrict slow = lookahead->slow.values + index * SB_FLAT_BLOCK;
    float rate = (float)lookahead->options.rate;
    for (size_t i = 0, n = sb_flat_count(lookahead->slow.count, index); i < n; i++)
        w[i] = slow[i] += rate * (w[i] - slow[i]);
}

void sb_lookahead_step(struct sb_lookahead *lookahead, float *values)
{
    if (++lookahead->steps % lookahead->options.interval != 0)
        return;
    lookahead->values = values;
    sb_pool_run(lookahead->pool, sb_flat_blocks(lookahead->slow.count), synchronise_block, lookahead);
    lookahead->values = NULL;
}

size_t sb_lookahead_state(const struct sb_lookahead *lookahead, const struct sb_state_array **arrays)
{
    *arrays = &lookahead->slow;
    return 1;
}

uint64_t sb_lookahead_steps(const struct sb_lookahead *lookahead)
{
    return lookahead->steps;
}

void sb_lookahead_set_steps(struct sb_lookahead *lookahead, uint64_t steps)
{
    lookahead->steps = steps;
}
