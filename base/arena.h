/*
 * One allocation, carved into 64-byte-aligned slices: measure first, allocate once, carve.
 *
 *     struct sb_arena arena = {0};
 *     layout(&arena, session);               // measuring: every slice is NULL, sizes add up
 *     if (!sb_arena_commit(&arena)) ...      // one allocation of the measured size
 *     layout(&arena, session);               // the same calls again: now real pointers
 *
 * Slices are zeroed at commit. The calls after it must be the measured ones, in their order. Under AddressSanitizer the
 * gap behind each slice is poisoned. Not thread-safe.
 */
#ifndef SB_BASE_ARENA_H
#define SB_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct sb_arena {
    char *base;   /* NULL while measuring */
    void *memory; /* the allocation that base lies in */
    size_t used, size;
    bool overflow;    /* a size did not fit size_t */
    bool small_pages; /* set before commit where most is seldom used: what was never touched takes no memory */
};

/* count * size bytes, 64-byte aligned. NULL while measuring. */
void *sb_arena_take(struct sb_arena *arena, size_t count, size_t size);

/* Ends measuring: allocates (huge pages where the system gives them) and rewinds. False: no memory, or overflown. */
bool sb_arena_commit(struct sb_arena *arena);

void sb_arena_free(struct sb_arena *arena);

#endif
