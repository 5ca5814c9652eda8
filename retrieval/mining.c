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

struct all_pairs {
    const struct sb_mining *set;
    void (*body)(void *context, size_t a, size_t b, const struct sb_cosines *cosines, int worker);
    void *context;
    struct sb_cosines *cosines; /* [threads] */
    size_t blocks;
    atomic_bool stopped;
};

/* Block b against itself and all behind it. The long ones come first, so that the threads end together. */
static void compare_block(void *context, size_t b, int worker)
{
    struct all_pairs *p = context;
    struct sb_cosines *cosines = &p->cosines[worker];
    sb_cosines_with(cosines, p->set, p->set->vectors + b * SB_MINING_BLOCK * p->set->dimensions,
                    sb_mining_block_rows(p->set, b));
    for (size_t a = b; a < p->blocks && !atomic_load(&p->stopped); a++) {
        if (sb_mining_stops(p->set))
            atomic_store(&p->stopped, true);
        sb_cosines_of(cosines, p->set, a * SB_MINING_BLOCK, sb_mining_block_rows(p->set, a));
        p->body(p->context, a, b, cosines, worker);
    }
}

enum sb_status sb_mining_all_pairs(const struct sb_mining *set,
                                   void (*body)(void *context, size_t a, size_t b, const struct sb_cosines *cosines,
                                                int worker),
                                   void *context, struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(set->pool);
    struct all_pairs p = {
        .set = set, .body = body, .context = context, .blocks = (set->count + SB_MINING_BLOCK - 1) / SB_MINING_BLOCK};
    p.cosines = calloc(threads, sizeof *p.cosines);
    bool good = p.cosines != NULL;
    for (size_t i = 0; i < threads && good; i++)
        good = sb_cosines_init(&p.cosines[i], set, SB_MINING_BLOCK);
    if (good)
        sb_pool_run(set->pool, p.blocks, compare_block, &p);
    for (size_t i = 0; i < threads && p.cosines; i++)
        sb_cosines_free(&p.cosines[i]);
    free(p.cosines);
    if (!good)
        return sb_fail(error, SB_NO_MEMORY, "no memory to compare %zu vectors", set->count);
    return atomic_load(&p.stopped) ? sb_mining_cancelled(error) : SB_OK;
}
