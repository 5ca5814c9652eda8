#include "retrieval/mining.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

bool sb_cosines_init(struct sb_cosines *cosines, const struct sb_mining *set, size_t columns)
{
    const struct sb_linear_kernel *kernel = sb_linear_choose(set->kernels, SB_PACKED_F32);
    size_t bytes = sb_packed_bytes(kernel, columns, set->dimensions);
    *cosines = (struct sb_cosines){0};
    if (!bytes || posix_memalign(&cosines->memory, 64, bytes) != 0) {
        cosines->memory = NULL;
        return false;
    }
    memset(cosines->memory, 0, bytes);
    cosines->scores = malloc(SB_MINING_BLOCK * columns * sizeof *cosines->scores);
    sb_packed_init(&cosines->packed, kernel, cosines->memory, columns, set->dimensions);
    return cosines->scores != NULL;
}

void sb_cosines_free(struct sb_cosines *cosines)
{
    free(cosines->memory);
    free(cosines->scores);
    *cosines = (struct sb_cosines){0};
}

void sb_cosines_with(struct sb_cosines *cosines, const struct sb_mining *set, const float *with, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sb_packed_row(&cosines->packed, i, with + i * set->dimensions);
}

void sb_cosines_of(struct sb_cosines *cosines, const struct sb_mining *set, size_t first, size_t rows)
{
    const float *x = set->vectors + first * set->dimensions;
    sb_linear(cosines->scores, cosines->packed.out, x, set->dimensions, rows, &cosines->packed, NULL, NULL, NULL);
}

bool sb_mining_stops(const struct sb_mining *set)
{
    return set->stop && set->stop(set->context);
}

enum sb_status sb_mining_cancelled(struct sb_error *error)
{
    return sb_fail(error, SB_CANCELLED, "the work was stopped before it was done");
}

size_t sb_mining_block_rows(const struct sb_mining *set, size_t block)
{
    size_t first = block * SB_MINING_BLOCK, left = set->count - first;
    return left < SB_MINING_BLOCK ? left : SB_MINING_BLOCK;
}

struct pairs {
    const struct sb_mining *set;
    size_t first;
    void (*body)(void *context, const struct sb_mining_block *block, int worker);
    void *context;
    struct sb_cosines *cosines; /* [threads] */
    atomic_bool stopped;
};

/* Block b of the first against itself and all behind it. The long ones come first, so that the threads end together. */
static void compare_block(void *context, size_t b, int worker)
{
    struct pairs *p = context;
    const struct sb_mining *set = p->set;
    struct sb_cosines *cosines = &p->cosines[worker];
    struct sb_mining_block block = {.scores = cosines->scores, .column = b * SB_MINING_BLOCK, .stride = cosines->packed.out};
    size_t left = p->first - block.column;
    block.columns = left < SB_MINING_BLOCK ? left : SB_MINING_BLOCK;
    sb_cosines_with(cosines, set, set->vectors + block.column * set->dimensions, block.columns);
    for (size_t a = b; a * SB_MINING_BLOCK < set->count && !atomic_load(&p->stopped); a++) {
        if (sb_mining_stops(set))
            atomic_store(&p->stopped, true);
        block.row = a * SB_MINING_BLOCK;
        block.rows = sb_mining_block_rows(set, a);
        sb_cosines_of(cosines, set, block.row, block.rows);
        p->body(p->context, &block, worker);
    }
}

enum sb_status sb_mining_pairs(const struct sb_mining *set, size_t first,
                               void (*body)(void *context, const struct sb_mining_block *block, int worker),
                               void *context, struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(set->pool), columns = first < SB_MINING_BLOCK ? first : SB_MINING_BLOCK;
    struct pairs p = {.set = set, .first = first, .body = body, .context = context};
    if (first == 0)
        return SB_OK;
    p.cosines = calloc(threads, sizeof *p.cosines);
    bool good = p.cosines != NULL;
    for (size_t i = 0; i < threads && good; i++)
        good = sb_cosines_init(&p.cosines[i], set, columns);
    if (good)
        sb_pool_run(set->pool, (first + SB_MINING_BLOCK - 1) / SB_MINING_BLOCK, compare_block, &p);
    for (size_t i = 0; i < threads && p.cosines; i++)
        sb_cosines_free(&p.cosines[i]);
    free(p.cosines);
    if (!good)
        return sb_fail(error, SB_NO_MEMORY, "no memory to compare %zu vectors", set->count);
    return atomic_load(&p.stopped) ? sb_mining_cancelled(error) : SB_OK;
}
