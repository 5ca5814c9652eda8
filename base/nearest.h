/*
 * "Did you mean": the one of some names that is closest to what was typed.
 */
#ifndef SB_BASE_NEAREST_H
#define SB_BASE_NEAREST_H

#include <stddef.h>

/* Keeps the nearest of the names offered so far. */
struct sb_nearest {
    const char *typed;
    const char *name; /* NULL: nothing is near enough, that is, more than a third of it differs */
    size_t distance;
};

void sb_nearest_offer(struct sb_nearest *nearest, const char *name);

#endif
