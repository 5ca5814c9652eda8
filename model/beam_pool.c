#include "model/beam_impl.h"

#include <string.h>

void sb_pool_add(struct sb_pool *pool, const struct sb_hypothesis *hypothesis, size_t max_new)
{
    size_t at = pool->count;
    while (at > 0 && pool->items[at - 1].score < hypothesis->score)
        at--;
    if (at == pool->capacity)
        return;
    if (pool->count < pool->capacity)
        pool->count++;
    for (size_t i = pool->count - 1; i > at; i--) {
        pool->items[i] = pool->items[i - 1];
        memcpy(pool->ids + i * max_new, pool->ids + (i - 1) * max_new, pool->items[i].length * sizeof *pool->ids);
        pool->items[i].ids = pool->ids + i * max_new;
    }
    memcpy(pool->ids + at * max_new, hypothesis->ids, hypothesis->length * sizeof *pool->ids);
    pool->items[at] = *hypothesis;
    pool->items[at].ids = pool->ids + at * max_new;
}
