/*
 * Average linkage. The mean cosine of two clusters is the dot product of their sums over the product of their sizes: a
 * cluster is its sum. Joining two never makes a third more similar than the more similar of them was (the linkage is
 * reducible). So
 *
 * - two that are each other's nearest can be joined at once, whatever is more similar elsewhere;
 * - who has another nearest keeps it when two are joined;
 * - who has none of min_score or more is finished.
 *
 * A round compares those that have no nearest (at first all) with all, many at a time, as matrices; then joins all pairs
 * that are each other's nearest. The most similar pair of all is always one of them: equal ones are ordered by their
 * numbers, and both of a pair are told its score.
 */
#include "retrieval/clusters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A cluster has the number of its first vector. */
enum { NONE = -1 };

struct cluster {
    uint32_t id;
    uint32_t size;
    int64_t nearest; /* a cluster, NONE: to be looked for */
    float score;     /* its mean cosine with that */
    bool gone;
};

struct joining {
    const struct sb_mining *set;
    float min_score;
    size_t active;
    size_t seeking;           /* the first so many have no nearest */
    float *sums;              /* [active, dimensions] */
    struct cluster *clusters; /* [active], each at the place of its sum */
    uint32_t *place_of;       /* [vectors]: of a cluster that is active */
    uint32_t *joined;         /* [vectors]: the cluster that it was joined into, itself when none */
    pthread_mutex_t lock;     /* of nearest and score while threads compare */
};

/* ---- places ---- */

static void exchange(struct joining *j, size_t a, size_t b)
{
    size_t d = j->set->dimensions;
    float *x = j->sums + a * d, *y = j->sums + b * d;
    if (a == b)
        return;
    for (size_t i = 0; i < d; i++) {
        float value = x[i];
        x[i] = y[i];
        y[i] = value;
    }
    struct cluster c = j->clusters[a];
    j->clusters[a] = j->clusters[b];
    j->clusters[b] = c;
    j->place_of[j->clusters[a].id] = (uint32_t)a;
    j->place_of[j->clusters[b].id] = (uint32_t)b;
}

/* Those that are gone leave; those without a nearest come first. */
static void tidy(struct joining *j)
{
    for (size_t place = j->active; place-- > 0;)
        if (j->clusters[place].gone)
            exchange(j, place, --j->active);
    j->seeking = 0;
    for (size_t place = 0; place < j->active; place++)
        if (j->clusters[place].nearest == NONE)
            exchange(j, place, j->seeking++);
}

/* ---- a round ---- */

static void offer(struct cluster *to, const struct cluster *other, float score)
{
    if (to->nearest == NONE || score > to->score || (score == to->score && other->id < to->nearest)) {
        to->nearest = other->id;
        to->score = score;
    }
}

static void compare(void *context, const struct sb_mining_block *block, int worker)
{
    struct joining *j = context;
    (void)worker;
    pthread_mutex_lock(&j->lock);
    for (size_t r = 0; r < block->rows; r++) {
        struct cluster *row = &j->clusters[block->row + r], *columns = &j->clusters[block->column];
        const float *scores = block->scores + r * block->stride;
        size_t end = sb_mining_row_pairs(block, r);
        for (size_t c = 0; c < end; c++) {
            float score = scores[c] / ((float)row->size * (float)columns[c].size);
            if (score < j->min_score)
                continue;
            offer(row, &columns[c], score);
            offer(&columns[c], row, score);
        }
    }
    pthread_mutex_unlock(&j->lock);
}

static enum sb_status find_nearest(struct joining *j, struct sb_error *error)
{
    struct sb_mining sums = *j->set;
    sums.vectors = j->sums;
    sums.count = j->active;
    return sb_mining_pairs(&sums, j->seeking, compare, j, error);
}

static struct cluster *nearest_of(struct joining *j, const struct cluster *c)
{
    return &j->clusters[j->place_of[c->nearest]];
}

/* The one with the lower number takes the other in. */
static void join(struct joining *j, struct cluster *into, struct cluster *from)
{
    size_t d = j->set->dimensions;
    float *sum = j->sums + (size_t)(into - j->clusters) * d;
    const float *added = j->sums + (size_t)(from - j->clusters) * d;
    for (size_t i = 0; i < d; i++)
        sum[i] += added[i];
    into->size += from->size;
    into->nearest = from->nearest = NONE;
    from->gone = true;
    j->joined[from->id] = into->id;
}

static void join_pairs(struct joining *j)
{
    for (size_t place = 0; place < j->active; place++) {
        struct cluster *c = &j->clusters[place];
        c->gone = c->nearest == NONE; /* nobody is near enough */
    }
    for (size_t place = 0; place < j->active; place++) {
        struct cluster *c = &j->clusters[place];
        if (c->nearest == NONE)
            continue;
        struct cluster *other = nearest_of(j, c);
        if (other->nearest == c->id && c->id < other->id)
            join(j, c, other);
    }
    for (size_t place = 0; place < j->active; place++) {
        struct cluster *c = &j->clusters[place];
        if (c->nearest != NONE && nearest_of(j, c)->nearest == NONE)
            c->nearest = NONE - 1; /* marked, so that this does not go from one to the next */
    }
    for (size_t place = 0; place < j->active; place++)
        if (j->clusters[place].nearest == NONE - 1)
            j->clusters[place].nearest = NONE;
}

/* ---- all ---- */

static bool reserve(struct joining *j)
{
    size_t n = j->set->count, d = j->set->dimensions;
    j->sums = malloc((n * d + 1) * sizeof *j->sums);
    j->clusters = malloc((n + 1) * sizeof *j->clusters);
    j->place_of = malloc((n + 1) * sizeof *j->place_of);
    j->joined = malloc((n + 1) * sizeof *j->joined);
    return j->sums && j->clusters && j->place_of && j->joined;
}

static void begin(struct joining *j)
{
    size_t n = j->set->count;
    memcpy(j->sums, j->set->vectors, n * j->set->dimensions * sizeof *j->sums);
    for (size_t i = 0; i < n; i++) {
        j->clusters[i] = (struct cluster){.id = (uint32_t)i, .size = 1, .nearest = NONE};
        j->place_of[i] = j->joined[i] = (uint32_t)i;
    }
    j->active = j->seeking = n;
}

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

enum sb_status sb_clusters_agglomerate(struct sb_clusters *clusters, const struct sb_mining *set, double min_score,
                                       struct sb_error *error)
{
    struct joining j = {.set = set, .min_score = (float)min_score, .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t n = set->count;
    enum sb_status status = SB_OK;
    *clusters = (struct sb_clusters){0};
    if (!reserve(&j))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the clusters of %zu vectors", n);
    else if (n > 0)
        begin(&j);
    while (status == SB_OK && j.active > 0) {
        status = find_nearest(&j, error);
        if (status != SB_OK)
            break;
        join_pairs(&j);
        tidy(&j);
    }
    for (size_t i = 0; status == SB_OK && i < n; i++)
        j.joined[i] = root_of(j.joined, (uint32_t)i);
    if (status == SB_OK)
        status = sb_clusters_make(clusters, set, j.joined, n, error);
    pthread_mutex_destroy(&j.lock);
    free(j.sums);
    free(j.clusters);
    free(j.place_of);
    free(j.joined);
    return status;
}
