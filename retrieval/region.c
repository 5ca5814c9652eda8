#include "retrieval/region.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPPED_FROM = 4 << 20, FIRST_SIZE = 4096 };

/* Doubling touches no new page until it is used. Huge pages: a search walks all of it, and would spend a third of its time
   looking up small ones. */
static bool map(struct sb_region *region, size_t size)
{
    void *data = region->is_mapped ? mremap(region->data, region->size, size, MREMAP_MAYMOVE)
                                   : mmap(NULL, size, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return false;
    madvise(data, size, MADV_HUGEPAGE); /* a wish */
    if (!region->is_mapped && region->size)
        memcpy(data, region->data, region->size);
    if (!region->is_mapped)
        free(region->data);
    *region = (struct sb_region){data, size, true};
    return true;
}

bool sb_region_reserve(struct sb_region *region, size_t size)
{
    if (size <= region->size)
        return true;
    size_t grown = region->size ? region->size : FIRST_SIZE;
    while (grown < size)
        if (__builtin_mul_overflow(grown, 2, &grown))
            return false;
    if (grown >= MAPPED_FROM)
        return map(region, grown);
    void *data = realloc(region->data, grown);
    if (!data)
        return false;
    *region = (struct sb_region){data, grown, false};
    return true;
}

void sb_region_free(struct sb_region *region)
{
    if (region->is_mapped)
        munmap(region->data, region->size);
    else
        free(region->data);
    *region = (struct sb_region){0};
}
