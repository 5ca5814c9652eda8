/*
 * Memory that grows and whose unused part costs nothing: large pieces are mapped, in huge pages where the kernel has them.
 * Growing copies, but gives the old memory back while it does, so that there is never twice as much. Only retrieval/
 * includes this.
 */
#ifndef SB_RETRIEVAL_REGION_H
#define SB_RETRIEVAL_REGION_H

#include <stdbool.h>
#include <stddef.h>

struct sb_region {
    void *data; /* NULL: nothing yet */
    size_t size;
    bool is_mapped;
};

/* At least size bytes, the old ones kept; grows by doubling. False when out of memory: it is as it was. */
bool sb_region_reserve(struct sb_region *region, size_t size);
void sb_region_free(struct sb_region *region); /* as a zeroed one */

#endif
