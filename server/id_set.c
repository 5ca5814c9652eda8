#include "server/id_set.h"

#include <stdint.h>
#include <string.h>

/* Where an id is or would be: FNV-1a, linear probing. */
static size_t find(const struct sb_id_set *set, const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *at = id; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    size_t slot = hash % SB_ID_SET_SLOTS;
    while (set->slots[slot] && strcmp(set->slots[slot], id) != 0)
        slot = (slot + 1) % SB_ID_SET_SLOTS;
    return slot;
}

bool sb_id_set_has(const struct sb_id_set *set, const char *id)
{
    return set->slots[find(set, id)] != NULL;
}

bool sb_id_set_add(struct sb_id_set *set, const char *id)
{
    size_t slot = find(set, id);
    if (set->slots[slot])
        return false;
    set->slots[slot] = id;
    return true;
}
