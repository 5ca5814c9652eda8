#include "model/decode_impl.h"

#include <assert.h>

/* The lowest numbers are taken first: a cache of which little is used touches little memory. */
void sb_slots_init(struct sb_slots *slots)
{
    slots->free_count = slots->count;
    for (size_t i = 0; i < slots->count; i++)
        slots->free_list[i] = (int32_t)(slots->count - 1 - i);
}

int32_t sb_slots_take(struct sb_slots *slots)
{
    assert(slots->free_count > 0 && "sb_decoder_slots_of() bounds what live paths hold");
    int32_t slot = slots->free_list[--slots->free_count];
    slots->holders[slot] = 1;
    return slot;
}

void sb_slots_hold(struct sb_slots *slots, const int32_t *path, size_t length)
{
    for (size_t i = 0; i < length; i++)
        slots->holders[path[i]]++;
}

void sb_slots_drop(struct sb_slots *slots, const int32_t *path, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (--slots->holders[path[i]] == 0)
            slots->free_list[slots->free_count++] = path[i];
}
