/* Duplicates and clusters against the plainest program that gives the same, on any number of threads. */
#include "base/random.h"
#include "retrieval/clusters.h"
#include "retrieval/duplicates.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { D = 24 };

/* n unit vectors around `centres` directions; the larger `spread`, the further from them. */
static float *make_vectors(size_t n, size_t centres, double spread, uint64_t seed)
{
    float *vectors = (float *)(void *)(uintptr_t)keep(calloc(n * D, sizeof *vectors));
    for (size_t i = 0; i < n; i++) {
        float *v = vectors + i * D;
        double length = 0;
        for (size_t j = 0; j < D; j++) {
            v[j] = (float)(sb_random_normal(seed, i % centres, j) + spread * sb_random_normal(seed + 1, i, j));
            length += (double)v[j] * (double)v[j];
        }
        for (size_t j = 0; j < D; j++)
            v[j] = (float)(v[j] / sqrt(length));
    }
    return vectors;
}

static struct sb_mining set_of(const float *vectors, size_t n, struct sb_pool *pool)
{
    return (struct sb_mining){
        .vectors = vectors, .count = n, .dimensions = D, .kernels = sb_kernels_choose(NULL, NULL), .pool = pool};
}

static double cosine(const float *a, const float *b)
{
    double sum = 0;
    for (size_t j = 0; j < D; j++)
        sum += (double)a[j] * (double)b[j];
    return sum;
}

/* ---- duplicates ---- */

static void check_duplicates(size_t n, double min_score, size_t limit, struct sb_pool *pool)
{
    const float *v = make_vectors(n, 20, 0.3, 3);
    struct sb_mining set = set_of(v, n, pool);
    struct sb_duplicates found;
    ck_assert_int_eq(sb_duplicates_find(&found, &set, min_score, limit, NULL), SB_OK);
    size_t sure = 0, possible = 0, better = 0;
    double worst = found.count ? (double)found.pairs[found.count - 1].score : 2;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double score = cosine(v + i * D, v + j * D);
            sure += score > min_score + 1e-5;
            possible += score > min_score - 1e-5;
            better += score > worst + 1e-5;
        }
    ck_assert(found.total >= sure && found.total <= possible);
    ck_assert_uint_eq(found.count, found.total < limit ? found.total : limit);
    ck_assert(better < found.count || found.count == 0);
    for (size_t i = 0; i < found.count; i++) {
        const struct sb_duplicate *p = &found.pairs[i];
        ck_assert(p->first < p->second && p->second < n);
        ck_assert_double_eq_tol((double)p->score, cosine(v + p->first * D, v + p->second * D), 1e-5);
        ck_assert(i == 0 || p[-1].score > p->score ||
                  (p[-1].score == p->score &&
                   (p[-1].first < p->first || (p[-1].first == p->first && p[-1].second < p->second))));
    }
    sb_duplicates_free(&found);
}

START_TEST(duplicates_are_the_best_pairs)
{
    struct sb_pool *pool = sb_pool_new(3);
    check_duplicates(0, 0.5, 10, NULL);
    check_duplicates(1, -1, 10, NULL);
    check_duplicates(2, -1, 1, NULL);
    check_duplicates(257, -1, 50000, pool);
    check_duplicates(700, 0.8, 100000, NULL);
    check_duplicates(700, 0.8, 7, pool);
    check_duplicates(700, 0.999999, 7, pool);
    sb_pool_free(pool);
}
END_TEST

/* ---- clusters ---- */

/* The same vectors are together in both. */
static void same_partition(const uint32_t *a, const uint32_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_msg((a[i] == a[j]) == (b[i] == b[j]), "vectors %zu and %zu", j, i);
}

static uint32_t *labels_of(const struct sb_clusters *clusters, size_t n)
{
    uint32_t *labels = (uint32_t *)(void *)(uintptr_t)keep(malloc((n + 1) * sizeof *labels));
    memset(labels, 0xFF, (n + 1) * sizeof *labels);
    for (size_t c = 0; c < clusters->count; c++)
        for (size_t i = clusters->items[c].end - clusters->items[c].size; i < clusters->items[c].end; i++) {
            ck_assert_uint_eq(labels[clusters->members[i]], UINT32_MAX);
            labels[clusters->members[i]] = (uint32_t)c;
        }
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_lt(labels[i], clusters->count);
    return labels;
}

/* Order, medoids and similarities as clusters.h says. */
static void check_clusters(const struct sb_clusters *clusters, const float *v)
{
    for (size_t c = 0; c < clusters->count; c++) {
        const struct sb_cluster *cluster = &clusters->items[c];
        const uint32_t *members = clusters->members + cluster->end - cluster->size;
        double best = -2, medoids = -2;
        ck_assert(
            c == 0 || cluster[-1].size > cluster->size ||
            (cluster[-1].size == cluster->size && clusters->members[cluster[-1].end - cluster->size] < members[0]));
        for (size_t i = 0; i < cluster->size; i++) {
            double sum = 0;
            ck_assert(i == 0 || members[i - 1] < members[i]);
            for (size_t j = 0; j < cluster->size; j++)
                sum += i == j ? 0 : cosine(v + members[i] * D, v + members[j] * D);
            double mean = cluster->size > 1 ? sum / (double)(cluster->size - 1) : 1;
            best = mean > best ? mean : best;
            medoids = members[i] == cluster->medoid ? mean : medoids;
        }
        ck_assert_double_eq_tol(medoids, best, 1e-5);
        ck_assert_double_eq_tol(cluster->similarity, medoids, 1e-5);
    }
}

/* Average linkage by its definition: the most similar two of all clusters, again and again. */
static uint32_t *plain_agglomerate(const float *v, size_t n, double min_score)
{
    uint32_t *of = (uint32_t *)(void *)(uintptr_t)keep(malloc((n + 1) * sizeof *of));
    double *sums = calloc(n * n + 1, sizeof *sums), *sizes = calloc(n + 1, sizeof *sizes);
    for (size_t i = 0; i < n; i++) {
        of[i] = (uint32_t)i;
        sizes[i] = 1;
        for (size_t j = 0; j < n; j++)
            sums[i * n + j] = cosine(v + i * D, v + j * D);
    }
    for (;;) {
        double best = min_score;
        size_t a = n, b = n;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < i; j++)
                if (sizes[i] > 0 && sizes[j] > 0 && sums[i * n + j] / (sizes[i] * sizes[j]) >= best) {
                    best = sums[i * n + j] / (sizes[i] * sizes[j]);
                    a = j;
                    b = i;
                }
        if (a == n)
            break;
        for (size_t i = 0; i < n; i++) {
            sums[a * n + i] += sums[b * n + i];
            sums[i * n + a] = sums[a * n + i];
            of[i] = of[i] == b ? (uint32_t)a : of[i];
        }
        sizes[a] += sizes[b];
        sizes[b] = 0;
    }
    free(sums);
    free(sizes);
    return of;
}

static void check_agglomerate(size_t n, size_t centres, double spread, double min_score, struct sb_pool *pool)
{
    const float *v = make_vectors(n, centres, spread, 11);
    struct sb_mining set = set_of(v, n, pool);
    struct sb_clusters clusters;
    ck_assert_int_eq(sb_clusters_agglomerate(&clusters, &set, min_score, NULL), SB_OK);
    same_partition(labels_of(&clusters, n), plain_agglomerate(v, n, min_score), n);
    check_clusters(&clusters, v);
    sb_clusters_free(&clusters);
}

START_TEST(agglomerate_is_average_linkage)
{
    struct sb_pool *pool = sb_pool_new(3);
    check_agglomerate(0, 1, 0, 0.5, NULL);
    check_agglomerate(1, 1, 0, 0.5, NULL);
    check_agglomerate(150, 10, 0.3, 0.8, NULL);
    check_agglomerate(150, 10, 0.8, 0.5, pool);
    check_agglomerate(150, 150, 0, 0.2, pool); /* no clusters to find: one large part */
    check_agglomerate(150, 150, 0, -1, NULL);  /* everything together */
    check_agglomerate(300, 40, 0.5, 0.7, pool);
    sb_pool_free(pool);
}
END_TEST

START_TEST(equal_vectors_are_one_cluster)
{
    enum { N = 600 };
    float *v = make_vectors(N, 3, 0, 5);
    struct sb_mining set = set_of(v, N, NULL);
    struct sb_clusters clusters;
    ck_assert_int_eq(sb_clusters_agglomerate(&clusters, &set, 0.9, NULL), SB_OK);
    ck_assert_uint_eq(clusters.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(clusters.items[i].size, 200);
        ck_assert_uint_eq(clusters.members[clusters.items[i].end - 200], i);
    }
    sb_clusters_free(&clusters);
    ck_assert_int_eq(sb_clusters_kmeans(&clusters, &set, 10, 1, NULL), SB_OK);
    ck_assert_uint_eq(clusters.count, 3);
    sb_clusters_free(&clusters);
}
END_TEST

START_TEST(kmeans_finds_what_is_apart)
{
    enum { N = 900, K = 6 };
    const float *v = make_vectors(N, K, 0.15, 7);
    struct sb_pool *pool = sb_pool_new(3);
    struct sb_mining set = set_of(v, N, NULL), threaded = set_of(v, N, pool);
    struct sb_clusters one, other;
    uint32_t planted[N];
    for (size_t i = 0; i < N; i++)
        planted[i] = (uint32_t)(i % K);
    ck_assert_int_eq(sb_clusters_kmeans(&one, &set, K, 42, NULL), SB_OK);
    ck_assert_int_eq(sb_clusters_kmeans(&other, &threaded, K, 42, NULL), SB_OK);
    same_partition(labels_of(&one, N), planted, N);
    check_clusters(&one, v);
    ck_assert_uint_eq(one.count, other.count);
    ck_assert_int_eq(memcmp(one.members, other.members, N * sizeof *one.members), 0);
    for (size_t i = 0; i < one.count; i++)
        ck_assert_uint_eq(one.items[i].medoid, other.items[i].medoid);
    sb_clusters_free(&one);
    sb_clusters_free(&other);
    ck_assert_int_eq(sb_clusters_kmeans(&one, &set, 0, 1, NULL), SB_INVALID);
    ck_assert_int_eq(sb_clusters_kmeans(&one, &set, N + 1, 1, NULL), SB_INVALID);
    ck_assert_int_eq(sb_clusters_kmeans(&one, &set, 1, 1, NULL), SB_OK);
    ck_assert_uint_eq(one.items[0].size, N);
    sb_clusters_free(&one);
    sb_pool_free(pool);
}
END_TEST

/* Says stop from the given call on. */
static bool stop_at(void *context)
{
    return atomic_fetch_sub((atomic_int *)context, 1) <= 1;
}

START_TEST(work_can_be_stopped)
{
    const float *v = make_vectors(2000, 20, 0.3, 9);
    struct sb_pool *pool = sb_pool_new(2);
    struct sb_mining set = set_of(v, 2000, pool);
    struct sb_duplicates found;
    struct sb_clusters clusters;
    struct sb_error error;
    atomic_int calls;
    set.stop = stop_at;
    set.context = &calls;
    for (int at = 1; at < 36; at += 12) { /* 8 blocks make 36 pairs */
        atomic_store(&calls, at);
        ck_assert_int_eq(sb_duplicates_find(&found, &set, 0.5, 10, &error), SB_CANCELLED);
        ck_assert_ptr_null(found.pairs);
        atomic_store(&calls, at + 40);
        ck_assert_int_eq(sb_clusters_agglomerate(&clusters, &set, 0.8, &error), SB_CANCELLED);
        ck_assert_ptr_null(clusters.items);
        atomic_store(&calls, at);
        ck_assert_int_eq(sb_clusters_kmeans(&clusters, &set, 45, 1, &error), SB_CANCELLED);
        ck_assert_ptr_null(clusters.items);
    }
    sb_pool_free(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mining");
    TCase *tests = tcase_create("mining");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, duplicates_are_the_best_pairs);
    tcase_add_test(tests, agglomerate_is_average_linkage);
    tcase_add_test(tests, equal_vectors_are_one_cluster);
    tcase_add_test(tests, kmeans_finds_what_is_apart);
    tcase_add_test(tests, work_can_be_stopped);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
