/*
 * Average linkage. Two clusters with a mean cosine of min_score or more have at least one pair of members with as much;
 * so first all pairs of min_score or more connect the vectors into parts, and each part is joined for itself.
 *
 * The mean cosine of two clusters is the dot product of their sums over the product of their sizes: a cluster is its
 * sum. Joining two never makes a third more similar than the more similar of them was (the linkage is reducible), so
 * two that are each other's nearest can be joined at once, whatever is more similar elsewhere, and one whose nearest is
 * below min_score is finished.
 */
#include "retrieval/clusters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ---- */

struct parts {
    const struct sb_mining *set;
    float min_score;
    pthread_mutex_t lock;
    uint32_t *parent; /* [count]: a forest; a root is the first vector of its part */
};

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static void connect(void *context, size_t a, size_t b, const struct sb_cosines *cosines, int worker)
{
    struct parts *p = context;
    size_t rows = sb_mining_block_rows(p->set, a), columns = sb_mining_block_rows(p->set, b);
    (void)worker;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < rows; i++) {
        const float *scores = cosines->scores + i * cosines->packed.out;
        size_t end = a == b ? i : columns;
        for (size_t j = 0; j < end; j++) {
            if (scores[j] < p->min_score)
                continue;
            uint32_t x = root_of(p->parent, (uint32_t)(a * SB_MINING_BLOCK + i));
            uint32_t y = root_of(p->parent, (uint32_t)(b * SB_MINING_BLOCK + j));
            if (x < y)
                p->parent[y] = x;
            else
                p->parent[x] = y;
        }
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- one part ---- */

/* Clusters of a part by the numbers of its vectors: 0 <= id < count. Those that are not finished lie close together, so
   that they are compared in one go. */
struct chain {
    const struct sb_mining *set;
    float min_score;
    size_t count, active;
    float *sums;        /* [active, dimensions] */
    uint32_t *id_at;    /* [active]: the cluster at a place */
    uint32_t *place_of; /* [count] */
    uint32_t *sizes;    /* [count] */
    uint32_t *joined;   /* [count]: the cluster that it was joined into, itself when none */
    uint32_t *links;    /* [count]: the chain, each but the first the nearest of the one before */
    uint8_t *is_linked; /* [count] */
    size_t length;
    float *scores; /* [count] */
};

/* Takes a cluster from among the active: the last one gets its place. */
static void retire(struct chain *c, uint32_t id)
{
    size_t d = c->set->dimensions, place = c->place_of[id], last = --c->active;
    if (place == last)
        return;
    memcpy(c->sums + place * d, c->sums + last * d, d * sizeof *c->sums);
    c->id_at[place] = c->id_at[last];
    c->place_of[c->id_at[place]] = (uint32_t)place;
}

static void join(struct chain *c, uint32_t into, uint32_t from)
{
    size_t d = c->set->dimensions;
    float *sum = c->sums + c->place_of[into] * d;
    const float *added = c->sums + c->place_of[from] * d;
    for (size_t i = 0; i < d; i++)
        sum[i] += added[i];
    c->sizes[into] += c->sizes[from];
    c->joined[from] = into;
    retire(c, from);
}

/* The nearest active cluster. Of equally near ones the one that the chain came from, so that the chain ends; then the
   lowest. False when there is none of min_score or more. */
static bool find_nearest(struct chain *c, uint32_t id, uint32_t previous, uint32_t *nearest)
{
    size_t d = c->set->dimensions;
    const float *sum = c->sums + c->place_of[id] * d;
    float best = c->min_score;
    bool found = false;
    for (size_t first = 0; first < c->active; first += SB_MINING_BLOCK) {
        size_t rows = c->active - first < SB_MINING_BLOCK ? c->active - first : SB_MINING_BLOCK;
        c->set->kernels->scores(c->scores + first, c->sums + first * d, d, rows, sum, d);
    }
    for (size_t i = 0; i < c->active; i++) {
        uint32_t other = c->id_at[i];
        float score = c->scores[i] / ((float)c->sizes[id] * (float)c->sizes[other]);
        if (other == id || score < best)
            continue;
        if (!found || score > best || other == previous || (*nearest != previous && other < *nearest)) {
            *nearest = other;
            best = score;
            found = true;
        }
    }
    return found;
}

static void unlink_last(struct chain *c)
{
    c->is_linked[c->links[--c->length]] = false;
}

static void add_link(struct chain *c, uint32_t id)
{
    c->links[c->length++] = id;
    c->is_linked[id] = true;
}

/* Goes one link on, joins two clusters, or finishes one. */
static void step(struct chain *c)
{
    uint32_t nearest = 0;
    if (c->length == 0)
        add_link(c, c->id_at[0]);
    uint32_t top = c->links[c->length - 1], previous = c->length > 1 ? c->links[c->length - 2] : top;
    if (!find_nearest(c, top, previous, &nearest)) {
        unlink_last(c);
        retire(c, top);
        return;
    }
    if (!c->is_linked[nearest]) {
        add_link(c, nearest);
        return;
    }
    /* It is the previous one; after rounding it may be an earlier one, as near as makes no difference. */
    while (c->is_linked[nearest])
        unlink_last(c);
    join(c, top < nearest ? top : nearest, top < nearest ? nearest : top);
}

static bool reserve(struct chain *c, size_t most)
{
    c->sums = malloc(most * c->set->dimensions * sizeof *c->sums);
    c->id_at = malloc(most * sizeof *c->id_at);
    c->place_of = malloc(most * sizeof *c->place_of);
    c->sizes = malloc(most * sizeof *c->sizes);
    c->joined = malloc(most * sizeof *c->joined);
    c->links = malloc(most * sizeof *c->links);
    c->is_linked = calloc(most, sizeof *c->is_linked);
    c->scores = malloc(most * sizeof *c->scores);
    return c->sums && c->id_at && c->place_of && c->sizes && c->joined && c->links && c->is_linked && c->scores;
}

static void release(struct chain *c)
{
    free(c->sums);
    free(c->id_at);
    free(c->place_of);
    free(c->sizes);
    free(c->joined);
    free(c->links);
    free(c->is_linked);
    free(c->scores);
}

/* of[vectors[i]] = the vector that names its cluster. */
static enum sb_status join_part(struct chain *c, const uint32_t *vectors, size_t count, uint32_t *of,
                                struct sb_error *error)
{
    size_t d = c->set->dimensions;
    c->count = c->active = count;
    c->length = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(c->sums + i * d, c->set->vectors + vectors[i] * d, d * sizeof *c->sums);
        c->id_at[i] = c->place_of[i] = c->joined[i] = (uint32_t)i;
        c->sizes[i] = 1;
    }
    for (size_t steps = 0; c->active > 0; steps++) {
        if (steps % 64 == 0 && sb_mining_stops(c->set))
            return sb_mining_cancelled(error);
        step(c);
    }
    for (size_t i = 0; i < count; i++)
        of[vectors[i]] = vectors[root_of(c->joined, (uint32_t)i)];
    return SB_OK;
}

/* ---- all ---- */

/* Vectors by part: order[ends[root - 1] .. ends[root]) for each root, by counting. Returns the size of the largest. */
static size_t sort_by_part(uint32_t *order, size_t *ends, uint32_t *parent, size_t n)
{
    size_t largest = 0, at = 0;
    memset(ends, 0, n * sizeof *ends);
    for (size_t i = 0; i < n; i++)
        ends[root_of(parent, (uint32_t)i)]++;
    for (size_t i = 0; i < n; i++) {
        size_t size = ends[i];
        largest = size > largest ? size : largest;
        ends[i] = at;
        at += size;
    }
    for (size_t i = 0; i < n; i++)
        order[ends[root_of(parent, (uint32_t)i)]++] = (uint32_t)i;
    return largest;
}

static enum sb_status join_parts(struct parts *p, uint32_t *of, uint32_t *order, size_t *ends, struct sb_error *error)
{
    size_t n = p->set->count, most = sort_by_part(order, ends, p->parent, n);
    struct chain c = {.set = p->set, .min_score = p->min_score};
    enum sb_status status = reserve(&c, most ? most : 1)
                                ? SB_OK
                                : sb_fail(error, SB_NO_MEMORY, "no memory to join %zu sentences into clusters", most);
    for (size_t i = 0, start = 0; i < n && status == SB_OK; start = ends[i++])
        if (ends[i] > start)
            status = join_part(&c, order + start, ends[i] - start, of, error);
    release(&c);
    return status;
}

enum sb_status sb_clusters_agglomerate(struct sb_clusters *clusters, const struct sb_mining *set, double min_score,
                                       struct sb_error *error)
{
    size_t n = set->count;
    struct parts p = {.set = set, .min_score = (float)min_score, .lock = PTHREAD_MUTEX_INITIALIZER};
    uint32_t *of = malloc((n + 1) * sizeof *of), *order = malloc((n + 1) * sizeof *order);
    size_t *ends = malloc((n + 1) * sizeof *ends);
    enum sb_status status = SB_OK;
    *clusters = (struct sb_clusters){0};
    p.parent = malloc((n + 1) * sizeof *p.parent);
    if (!of || !order || !ends || !p.parent)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the clusters of %zu vectors", n);
    for (size_t i = 0; i < n && status == SB_OK; i++)
        p.parent[i] = (uint32_t)i;
    if (status == SB_OK)
        status = sb_mining_all_pairs(set, connect, &p, error);
    if (status == SB_OK)
        status = join_parts(&p, of, order, ends, error);
    if (status == SB_OK)
        status = sb_clusters_make(clusters, set, of, n, error);
    pthread_mutex_destroy(&p.lock);
    free(p.parent);
    free(of);
    free(order);
    free(ends);
    return status;
}
