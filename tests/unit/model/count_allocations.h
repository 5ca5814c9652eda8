/*
 * Counts the calls of malloc in this process between allocations_begin() and allocations_end(). Included by one file of a test
 * program. ThreadSanitizer can not start under another malloc: there nothing is counted, and COUNTS_ALLOCATIONS is false.
 */
#ifndef SB_TESTS_COUNT_ALLOCATIONS_H
#define SB_TESTS_COUNT_ALLOCATIONS_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_bool allocations_counting;
static atomic_int allocations_counted;

#if defined(__SANITIZE_THREAD__)
enum { COUNTS_ALLOCATIONS = false };
#else
enum { COUNTS_ALLOCATIONS = true };

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (!next)
        next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    if (atomic_load(&allocations_counting))
        atomic_fetch_add(&allocations_counted, 1);
    return next(size);
}
#endif

static inline void allocations_begin(void)
{
    void *volatile first = malloc(1); /* resolves the real malloc */
    free(first);
    atomic_store(&allocations_counted, 0);
    atomic_store(&allocations_counting, true);
}

static inline int allocations_end(void)
{
    atomic_store(&allocations_counting, false);
    return atomic_load(&allocations_counted);
}

/* Whether one allocation is seen as one, which proves that 0 means none. */
static inline bool allocations_are_counted(void)
{
    allocations_begin();
    void *volatile one = malloc(1);
    free(one);
    return allocations_end() == COUNTS_ALLOCATIONS;
}

#endif
