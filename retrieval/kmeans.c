/*
 * Spherical k-means: a vector belongs to the centroid of the highest cosine, a centroid is the direction of the sum of
 * its members.
 */
#include "base/random.h"
#include "retrieval/clusters.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 50 };

struct kmeans {
    const struct sb_mining *set;
    size_t k;
    uint64_t seed;
    float *centroids;           /* [k, dimensions] */
    float *best;                /* [count]: cosine to the nearest centroid */
    uint32_t *of;               /* [count] */
    size_t *sizes;              /* [k] */
    struct sb_cosines *cosines; /* [threads] */
    atomic_size_t moved;
};

static void copy_centroid(struct kmeans *m, size_t to, size_t vector)
{
    size_t d = m->set->dimensions;
    memcpy(m->centroids + to * d, m->set->vectors + vector * d, d * sizeof *m->centroids);
}

/* ---- the start ---- */

/* The further a vector is from the centroids so far, the likelier it is the next: 1 - cosine is half of the squared
   distance. SIZE_MAX: all vectors are centroids. */
static size_t choose_next(const struct kmeans *m, size_t c)
{
    double total = 0, at = 0;
    size_t last = SIZE_MAX;
    for (size_t i = 0; i < m->set->count; i++)
        total += m->best[i] < 1 ? 1 - (double)m->best[i] : 0;
    double wanted = sb_random_uniform(m->seed, 0, c) * total;
    for (size_t i = 0; i < m->set->count; i++) {
        double weight = m->best[i] < 1 ? 1 - (double)m->best[i] : 0;
        if (weight < 1e-6) /* rounding: it is a centroid, or equal to one */
            continue;
        last = i;
        at += weight;
        if (at >= wanted)
            break;
    }
    return last;
}

static enum sb_status choose_centroids(struct kmeans *m, struct sb_error *error)
{
    const struct sb_mining *set = m->set;
    float scores[SB_MINING_BLOCK];
    size_t next = (size_t)(sb_random_uniform(m->seed, 0, 0) * (double)set->count);
    for (size_t i = 0; i < set->count; i++)
        m->best[i] = -2;
    for (size_t c = 0; c < m->k; c++) {
        if (sb_mining_stops(set))
            return sb_mining_cancelled(error);
        copy_centroid(m, c, next);
        for (size_t i = 0; i < set->count; i += SB_MINING_BLOCK) {
            size_t rows = sb_mining_block_rows(set, i / SB_MINING_BLOCK);
            set->kernels->scores(scores, set->vectors + i * set->dimensions, set->dimensions, rows,
                                 m->centroids + c * set->dimensions, set->dimensions);
            for (size_t j = 0; j < rows; j++)
                m->best[i + j] = scores[j] > m->best[i + j] ? scores[j] : m->best[i + j];
        }
        next = choose_next(m, c + 1);
        if (next == SIZE_MAX)
            m->k = c + 1;
    }
    return SB_OK;
}

/* ---- rounds ---- */

static void assign_block(void *context, size_t block, int worker)
{
    struct kmeans *m = context;
    struct sb_cosines *cosines = &m->cosines[worker];
    size_t first = block * SB_MINING_BLOCK, rows = sb_mining_block_rows(m->set, block), moved = 0;
    sb_cosines_of(cosines, m->set, first, rows);
    for (size_t i = 0; i < rows; i++) {
        const float *scores = cosines->scores + i * cosines->packed.out;
        uint32_t best = 0;
        for (size_t c = 1; c < m->k; c++)
            best = scores[c] > scores[best] ? (uint32_t)c : best;
        moved += m->of[first + i] != best;
        m->of[first + i] = best;
        m->best[first + i] = scores[best];
    }
    atomic_fetch_add(&m->moved, moved);
}

static size_t worst_vector(const struct kmeans *m)
{
    size_t worst = 0;
    for (size_t i = 1; i < m->set->count; i++)
        worst = m->best[i] < m->best[worst] ? i : worst;
    return worst;
}

/* Sums in the order of the vectors, so that the result does not depend on threads. A centroid that lost all its members
   begins anew at the vector that is worst served. */
static void move_centroids(struct kmeans *m)
{
    size_t d = m->set->dimensions;
    memset(m->centroids, 0, m->k * d * sizeof *m->centroids);
    memset(m->sizes, 0, m->k * sizeof *m->sizes);
    for (size_t i = 0; i < m->set->count; i++) {
        float *sum = m->centroids + m->of[i] * d;
        m->sizes[m->of[i]]++;
        for (size_t j = 0; j < d; j++)
            sum[j] += m->set->vectors[i * d + j];
    }
    for (size_t c = 0; c < m->k; c++) {
        float *sum = m->centroids + c * d;
        double length = sqrt(m->set->kernels->dot(sum, sum, d));
        if (m->sizes[c] == 0 || !(length > 0)) {
            size_t worst = worst_vector(m);
            copy_centroid(m, c, worst);
            m->best[worst] = 1;
            continue;
        }
        for (size_t j = 0; j < d; j++)
            sum[j] = (float)(sum[j] / length);
    }
}

static enum sb_status run_rounds(struct kmeans *m, struct sb_error *error)
{
    size_t blocks = (m->set->count + SB_MINING_BLOCK - 1) / SB_MINING_BLOCK;
    int threads = sb_pool_threads(m->set->pool);
    for (int round = 0; round < ROUNDS; round++) {
        if (sb_mining_stops(m->set))
            return sb_mining_cancelled(error);
        for (int t = 0; t < threads; t++)
            sb_cosines_with(&m->cosines[t], m->set, m->centroids, m->k);
        atomic_store(&m->moved, 0);
        sb_pool_run(m->set->pool, blocks, assign_block, m);
        if (round > 0 && atomic_load(&m->moved) == 0)
            break;
        move_centroids(m);
    }
    return SB_OK;
}

static bool reserve(struct kmeans *m, size_t threads)
{
    m->centroids = calloc(m->k * m->set->dimensions, sizeof *m->centroids);
    m->best = calloc(m->set->count, sizeof *m->best);
    m->of = calloc(m->set->count, sizeof *m->of);
    m->sizes = calloc(m->k, sizeof *m->sizes);
    m->cosines = calloc(threads, sizeof *m->cosines);
    bool good = m->centroids && m->best && m->of && m->sizes && m->cosines;
    for (size_t i = 0; i < threads && good; i++)
        good = sb_cosines_init(&m->cosines[i], m->set, m->k);
    return good;
}

enum sb_status sb_clusters_kmeans(struct sb_clusters *clusters, const struct sb_mining *set, size_t k, uint64_t seed,
                                  struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(set->pool);
    struct kmeans m = {.set = set, .k = k, .seed = seed};
    *clusters = (struct sb_clusters){0};
    if (k < 1 || k > set->count)
        return sb_fail(error, SB_INVALID, "%zu clusters of %zu vectors: k must be from 1 to their number", k,
                       set->count);
    enum sb_status status =
        reserve(&m, threads) ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu clusters", k);
    if (status == SB_OK)
        status = choose_centroids(&m, error);
    if (status == SB_OK)
        status = run_rounds(&m, error);
    if (status == SB_OK)
        status = sb_clusters_make(clusters, set, m.of, m.k, error);
    for (size_t i = 0; i < threads && m.cosines; i++)
        sb_cosines_free(&m.cosines[i]);
    free(m.cosines);
    free(m.centroids);
    free(m.best);
    free(m.of);
    free(m.sizes);
    return status;
}
