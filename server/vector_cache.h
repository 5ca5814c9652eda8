/*
 * Vectors of rows that were computed before, so that a text that comes again costs a look-up. Exact: a row's vector does not
 * depend on what it was computed with. Keyed by the model's hash and the row's token ids, bounded in bytes; what was not used for
 * the longest time goes first.
 *
 *     struct sb_vector_cache *cache;
 *     sb_vector_cache_new(&cache, 8 << 20, &error);
 *     if (!sb_vector_cache_get(cache, hash, ids, n, vector, &norm, dimensions)) {
 *         ...                                                            // compute
 *         sb_vector_cache_put(cache, hash, ids, n, vector, norm, dimensions);
 *     }
 *     sb_vector_cache_free(cache);
 *
 * Thread rule: every call from any number of threads, except new and free. A NULL cache holds nothing.
 */
#ifndef SB_SERVER_VECTOR_CACHE_H
#define SB_SERVER_VECTOR_CACHE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_vector_cache;

/* max_bytes 0: *cache is NULL. */
SB_MUST_CHECK enum sb_status sb_vector_cache_new(struct sb_vector_cache **cache, size_t max_bytes,
                                                 struct sb_error *error);
void sb_vector_cache_free(struct sb_vector_cache *cache); /* NULL is fine */

/* Copies vector[dimensions] and its norm out; false when the row is not there. */
bool sb_vector_cache_get(struct sb_vector_cache *cache, const char *model_hash, const int32_t *ids, size_t n,
                         float *vector, float *norm, size_t dimensions);
/* Keeps a copy, as far as memory allows. */
void sb_vector_cache_put(struct sb_vector_cache *cache, const char *model_hash, const int32_t *ids, size_t n,
                         const float *vector, float norm, size_t dimensions);

struct sb_vector_cache_stats {
    int64_t hits, misses;
    size_t entries, bytes;
};
struct sb_vector_cache_stats sb_vector_cache_stats(struct sb_vector_cache *cache);

#endif
