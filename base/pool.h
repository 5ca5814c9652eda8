/*
 * Threads that share the indices of a loop.
 *
 *     struct sb_pool *pool = sb_pool_new(4);
 *     sb_pool_run(pool, count, body, context);   // body(context, i, worker) once for each i in [0, count)
 *     sb_pool_free(pool);
 *
 * A run returns when all calls are done. The calling thread is worker 0. NULL is a pool of one thread. One run at a
 * time per pool; body must not call sb_pool_run on the same pool. Which worker runs which index is not fixed: results
 * must not depend on it.
 */
#ifndef SB_BASE_POOL_H
#define SB_BASE_POOL_H

#include <stddef.h>

struct sb_pool;

struct sb_pool *sb_pool_new(int threads); /* NULL when threads <= 1 or threads can not be started */
void sb_pool_free(struct sb_pool *pool);
int sb_pool_threads(const struct sb_pool *pool); /* 1 for NULL */
void sb_pool_run(struct sb_pool *pool, size_t count, void (*body)(void *context, size_t index, int worker),
                 void *context);

#endif
