#include "retrieval/region.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPPED_FROM = 4 << 20, FIRST_SIZE = 4096, HUGE_PAGE = 2 << 20 };

/* Zeros at a multiple of a huge page, MAP_FAILED if there are none. size: a multiple too. */
static void *map_aligned(size_t size)
{
    char *wide =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (wide == MAP_FAILED)
        return MAP_FAILED;
    size_t before = (HUGE_PAGE - (uintptr_t)wide % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(wide, before);
    if (before < HUGE_PAGE)
        munmap(wide + before + size, HUGE_PAGE - before);
    /* a wish: a search walks all of it, and spends a third of its time looking up small pages */
    madvise(wide + before, size, MADV_HUGEPAGE);
    return wide + before;
}

/* mremap would move the pages, but to any address, where huge ones fall apart. */
static void move(char *to, const struct sb_region *region)
{
    char *from = region->data;
    for (size_t at = 0; at < region->size; at += HUGE_PAGE) {
        size_t some = region->size - at < HUGE_PAGE ? region->size - at : HUGE_PAGE;
        memcpy(to + at, from + at, some);
        if (region->is_mapped)
            madvise(from + at, some, MADV_DONTNEED);
    }
}

static bool map(struct sb_region *region, size_t size)
{
    void *data = map_aligned(size);
    if (data == MAP_FAILED)
        return false;
    move(data, region);
    sb_region_free(region);
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
