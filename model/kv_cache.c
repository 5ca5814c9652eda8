#include "model/kv_cache_impl.h"
#include "model/model_impl.h"

#include <stdlib.h>

size_t sb_kv_cache_bytes(const struct sb_model *model, size_t prefix, size_t slots)
{
    size_t width = model->attention.key_width + model->attention.value_width, rows, bytes;
    if (__builtin_add_overflow(prefix, slots, &rows) ||
        __builtin_mul_overflow(rows, width * (size_t)model->config.num_hidden_layers * sizeof(float), &bytes))
        return 0;
    return bytes;
}

enum sb_status sb_kv_cache_new(struct sb_kv_cache **cache, const struct sb_model *model, size_t prefix, size_t slots,
                               struct sb_error *error)
{
    size_t bytes = sb_kv_cache_bytes(model, prefix, slots);
    struct sb_kv_cache *c = calloc(1, sizeof *c);
    if (c && bytes)
        c->rows = malloc(bytes);
    if (!c || !c->rows) {
        free(c);
        return sb_fail(error, SB_NO_MEMORY, "key/value cache: no memory for %zu source tokens and %zu target tokens",
                       prefix, slots);
    }
    c->prefix_capacity = prefix;
    c->slots = slots;
    c->width = model->attention.key_width + model->attention.value_width;
    c->layers = (size_t)model->config.num_hidden_layers;
    *cache = c;
    return SB_OK;
}

void sb_kv_cache_free(struct sb_kv_cache *cache)
{
    if (!cache)
        return;
    free(cache->rows);
    free(cache);
}
