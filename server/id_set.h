/*
 * Whether an id has come before, for batches of up to a thousand sentences. Ids are borrowed.
 *
 *     struct sb_id_set set = {0};
 *     if (!sb_id_set_add(&set, id)) ...            // it is in the set already
 */
#ifndef SB_SERVER_ID_SET_H
#define SB_SERVER_ID_SET_H

#include <stdbool.h>
#include <stddef.h>

enum { SB_ID_SET_MAX = 1024, SB_ID_SET_SLOTS = 2 * SB_ID_SET_MAX };

struct sb_id_set {
    const char *slots[SB_ID_SET_SLOTS];
};

bool sb_id_set_has(const struct sb_id_set *set, const char *id);
/* False: it is there. At most SB_ID_SET_MAX ids. */
bool sb_id_set_add(struct sb_id_set *set, const char *id);

#endif
