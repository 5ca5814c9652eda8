#include "server/vector_cache.h"

#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { AVERAGE_ENTRY = 1024 }; /* bytes, about: sizes the table */

/* One allocation: the struct, then the vector, the ids and the model's hash with its NUL. */
struct entry {
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* in the order of use */
    uint64_t hash;
    size_t bytes, dimensions, id_count;
    float norm;
    float vector[];
};

struct sb_vector_cache {
    pthread_mutex_t lock;
    uint64_t seed; /* so that nobody can choose texts that collide */
    size_t max_bytes, bucket_mask;
    struct entry *newest, *oldest;
    struct sb_vector_cache_stats stats;
    struct entry *buckets[];
};

static const int32_t *ids_of(const struct entry *e)
{
    return (const int32_t *)(const void *)(e->vector + e->dimensions);
}

static const char *model_of(const struct entry *e)
{
    return (const char *)(ids_of(e) + e->id_count);
}

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t hash_row(uint64_t seed, const char *model_hash, const int32_t *ids, size_t n)
{
    uint64_t h = mix(seed, n);
    for (; *model_hash; model_hash++)
        h = mix(h, (unsigned char)*model_hash);
    for (size_t i = 0; i < n; i++)
        h = mix(h, (uint32_t)ids[i]);
    return h;
}

enum sb_status sb_vector_cache_new(struct sb_vector_cache **cache, size_t max_bytes, struct sb_error *error)
{
    *cache = NULL;
    if (max_bytes == 0)
        return SB_OK;
    size_t buckets = 64;
    while (buckets < max_bytes / AVERAGE_ENTRY && buckets < (size_t)1 << 24)
        buckets *= 2;
    struct sb_vector_cache *c = calloc(1, sizeof *c + buckets * sizeof(struct entry *));
    if (!c)
        return sb_fail(error, SB_NO_MEMORY, "vector cache: no memory for %zu buckets", buckets);
    pthread_mutex_init(&c->lock, NULL);
    c->seed = sb_random_fresh_seed();
    c->max_bytes = max_bytes;
    c->bucket_mask = buckets - 1;
    *cache = c;
    return SB_OK;
}

void sb_vector_cache_free(struct sb_vector_cache *cache)
{
    if (!cache)
        return;
    for (struct entry *e = cache->newest, *older; e; e = older) {
        older = e->older;
        free(e);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- with the lock held ---- */

static struct entry *find(const struct sb_vector_cache *c, uint64_t hash, const char *model_hash, const int32_t *ids,
                          size_t n)
{
    for (struct entry *e = c->buckets[hash & c->bucket_mask]; e; e = e->next)
        if (e->hash == hash && e->id_count == n && memcmp(ids_of(e), ids, n * sizeof *ids) == 0 &&
            strcmp(model_of(e), model_hash) == 0)
            return e;
    return NULL;
}

static void unlink_use(struct sb_vector_cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(struct sb_vector_cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop_oldest(struct sb_vector_cache *c)
{
    struct entry *e = c->oldest, **link = &c->buckets[e->hash & c->bucket_mask];
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    unlink_use(c, e);
    c->stats.bytes -= e->bytes;
    c->stats.entries--;
    free(e);
}

/* ---- */

bool sb_vector_cache_get(struct sb_vector_cache *cache, const char *model_hash, const int32_t *ids, size_t n,
                         float *vector, float *norm, size_t dimensions)
{
    if (!cache)
        return false;
    uint64_t hash = hash_row(cache->seed, model_hash, ids, n);
    pthread_mutex_lock(&cache->lock);
    struct entry *e = find(cache, hash, model_hash, ids, n);
    bool hit = e && e->dimensions == dimensions;
    if (hit) {
        memcpy(vector, e->vector, dimensions * sizeof *vector);
        *norm = e->norm;
        unlink_use(cache, e);
        link_newest(cache, e);
    }
    *(hit ? &cache->stats.hits : &cache->stats.misses) += 1;
    pthread_mutex_unlock(&cache->lock);
    return hit;
}

void sb_vector_cache_put(struct sb_vector_cache *cache, const char *model_hash, const int32_t *ids, size_t n,
                         const float *vector, float norm, size_t dimensions)
{
    size_t model_size = strlen(model_hash) + 1;
    size_t bytes = sizeof(struct entry) + dimensions * sizeof *vector + n * sizeof *ids + model_size;
    if (!cache || bytes > cache->max_bytes)
        return;
    struct entry *e = malloc(bytes);
    if (!e)
        return;
    *e = (struct entry){.hash = hash_row(cache->seed, model_hash, ids, n),
                        .bytes = bytes,
                        .dimensions = dimensions,
                        .id_count = n,
                        .norm = norm};
    memcpy(e->vector, vector, dimensions * sizeof *vector);
    memcpy(e->vector + dimensions, ids, n * sizeof *ids);
    memcpy((char *)(e->vector + dimensions) + n * sizeof *ids, model_hash, model_size);
    pthread_mutex_lock(&cache->lock);
    if (find(cache, e->hash, model_hash, ids, n)) { /* another request was faster */
        free(e);
    } else {
        struct entry **bucket = &cache->buckets[e->hash & cache->bucket_mask];
        e->next = *bucket;
        *bucket = e;
        link_newest(cache, e);
        cache->stats.bytes += bytes;
        cache->stats.entries++;
        while (cache->stats.bytes > cache->max_bytes)
            drop_oldest(cache);
    }
    pthread_mutex_unlock(&cache->lock);
}

struct sb_vector_cache_stats sb_vector_cache_stats(struct sb_vector_cache *cache)
{
    struct sb_vector_cache_stats stats = {0};
    if (!cache)
        return stats;
    pthread_mutex_lock(&cache->lock);
    stats = cache->stats;
    pthread_mutex_unlock(&cache->lock);
    return stats;
}
