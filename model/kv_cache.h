/*
 * Keys and values of one generation: the source's tokens once (shared by all its hypotheses) and a pool of slots for target
 * tokens. A hypothesis is a path of slots, so a beam that forks copies numbers, never keys. Exact, because source tokens never
 * see target tokens (REFERENCE section 2).
 *
 * Thread rule: used by one session at a time.
 */
#ifndef SB_MODEL_KV_CACHE_H
#define SB_MODEL_KV_CACHE_H

#include "base/status.h"
#include "model/model.h"

struct sb_kv_cache;

/* Room for `prefix` source tokens and `slots` target tokens; allocated here, never while computing. */
SB_MUST_CHECK enum sb_status sb_kv_cache_new(struct sb_kv_cache **cache, const struct sb_model *model, size_t prefix,
                                             size_t slots, struct sb_error *error);
void sb_kv_cache_free(struct sb_kv_cache *cache);

size_t sb_kv_cache_bytes(const struct sb_model *model, size_t prefix, size_t slots);

#endif
