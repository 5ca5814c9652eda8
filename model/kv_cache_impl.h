/*
 * Inside of a KV cache. Only model/ includes this.
 *
 *     rows: [layers][prefix + slots][key_width + value_width]   token t of the source is row t, target slot s is row prefix + s
 *
 * Attention that needs no keys for its logits (model/attention/attention.h) has a key_width of 0: values alone are kept.
 */
#ifndef SB_MODEL_KV_CACHE_IMPL_H
#define SB_MODEL_KV_CACHE_IMPL_H

#include "model/kv_cache.h"

struct sb_kv_cache {
    size_t prefix_capacity, slots, width, layers;
    size_t prefix; /* source tokens stored by the last prefill */
    float *rows;
};

static inline float *sb_kv_row(const struct sb_kv_cache *cache, size_t layer, size_t row)
{
    return cache->rows + ((cache->prefix_capacity + cache->slots) * layer + row) * cache->width;
}

#endif
