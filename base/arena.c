#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif

#ifdef POISONING
#include <sanitizer/asan_interface.h>
enum { GAP = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
enum { GAP = 0 };
#endif

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

void *sb_arena_take(struct sb_arena *arena, size_t count, size_t size)
{
    size_t bytes, padded, end;
    bool overflow = __builtin_mul_overflow(count, size, &bytes) ||
                    __builtin_add_overflow(bytes, (size_t)(GAP + ALIGNMENT - 1), &padded) ||
                    __builtin_add_overflow(arena->used, padded & ~(size_t)(ALIGNMENT - 1), &end);
    if (overflow) {
        arena->overflow = true;
        return NULL;
    }
    char *slice = NULL;
    if (arena->base) {
        assert(end <= arena->size && "the carving calls must be those that were measured");
        slice = arena->base + arena->used;
        ASAN_POISON_MEMORY_REGION(slice + bytes, end - arena->used - bytes);
    }
    arena->used = end;
    return slice;
}

bool sb_arena_commit(struct sb_arena *arena)
{
    size_t align = arena->used >= HUGE_PAGE && !arena->small_pages ? HUGE_PAGE : ALIGNMENT, total;
    if (arena->overflow || __builtin_add_overflow(arena->used, align, &total))
        return false;
    /* calloc, because large pieces come zeroed from the kernel untouched: memory is used as it is needed. */
    arena->memory = calloc(total, 1);
    if (!arena->memory)
        return false;
    uintptr_t address = ((uintptr_t)arena->memory + align - 1) & ~(uintptr_t)(align - 1);
    arena->base = (char *)arena->memory + (address - (uintptr_t)arena->memory);
    arena->size = arena->used;
    arena->used = 0;
    if (align == HUGE_PAGE) /* only advice: a kernel without huge pages refuses and nothing is lost */
        (void)madvise(arena->base, arena->size & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
    return true;
}

void sb_arena_free(struct sb_arena *arena)
{
    if (arena->memory)
        ASAN_UNPOISON_MEMORY_REGION(arena->base, arena->size);
    free(arena->memory);
    *arena = (struct sb_arena){0};
}
