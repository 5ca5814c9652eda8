/* From labels to clusters: members together, medoids, order. */
#include "retrieval/clusters.h"

#include <stdlib.h>
#include <string.h>

void sb_clusters_free(struct sb_clusters *clusters)
{
    free(clusters->items);
    free(clusters->members);
    *clusters = (struct sb_clusters){0};
}

/* The member of the highest cosine to the sum of all, which is the one of the highest mean cosine. */
static void find_medoid(struct sb_cluster *cluster, const uint32_t *members, const struct sb_mining *set, float *sum)
{
    size_t d = set->dimensions;
    float best = 0;
    memset(sum, 0, d * sizeof *sum);
    for (size_t i = 0; i < cluster->size; i++)
        for (size_t j = 0; j < d; j++)
            sum[j] += set->vectors[members[i] * d + j];
    for (size_t i = 0; i < cluster->size; i++) {
        float score = set->kernels->dot(set->vectors + members[i] * d, sum, d);
        if (i == 0 || score > best) {
            best = score;
            cluster->medoid = members[i];
        }
    }
    cluster->similarity = cluster->size > 1 ? ((double)best - 1) / (double)(cluster->size - 1) : 1;
}

/* Largest first, then by the first member. */
static int by_size(const void *a, const void *b)
{
    const struct sb_cluster *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return (x->end > y->end) - (x->end < y->end); /* before sorting: in the order of their first members */
}

/* Puts the members in the order of the sorted clusters. */
static void reorder(struct sb_clusters *clusters, uint32_t *copy, size_t n)
{
    size_t at = 0;
    memcpy(copy, clusters->members, n * sizeof *copy);
    for (size_t i = 0; i < clusters->count; i++) {
        struct sb_cluster *c = &clusters->items[i];
        memcpy(clusters->members + at, copy + c->end - c->size, c->size * sizeof *copy);
        at += c->size;
        c->end = at;
    }
}

/* Numbers the labels in the order of their first vectors; number[label]. Returns how many are used. */
static size_t number_labels(uint32_t *number, const uint32_t *of, size_t n, size_t labels)
{
    size_t used = 0;
    memset(number, 0xFF, labels * sizeof *number);
    for (size_t i = 0; i < n; i++)
        if (number[of[i]] == UINT32_MAX)
            number[of[i]] = (uint32_t)used++;
    return used;
}

/* Members by cluster, and where each ends. */
static void fill_members(struct sb_clusters *clusters, const uint32_t *of, const uint32_t *number, size_t n)
{
    for (size_t i = 0; i < n; i++)
        clusters->items[number[of[i]]].size++;
    size_t at = 0;
    for (size_t i = 0; i < clusters->count; i++) {
        clusters->items[i].end = at; /* grows to the end while its members come */
        at += clusters->items[i].size;
    }
    for (size_t i = 0; i < n; i++)
        clusters->members[clusters->items[number[of[i]]].end++] = (uint32_t)i;
}

enum sb_status sb_clusters_make(struct sb_clusters *clusters, const struct sb_mining *set, const uint32_t *of,
                                size_t labels, struct sb_error *error)
{
    size_t n = set->count;
    uint32_t *number = malloc((labels + 1) * sizeof *number), *copy = malloc((n + 1) * sizeof *copy);
    float *sum = malloc(set->dimensions * sizeof *sum);
    enum sb_status status = SB_OK;
    *clusters = (struct sb_clusters){.members = malloc((n + 1) * sizeof *clusters->members)};
    if (number && copy && sum && clusters->members) {
        clusters->count = number_labels(number, of, n, labels);
        clusters->items = calloc(clusters->count + 1, sizeof *clusters->items);
    }
    if (clusters->items) {
        fill_members(clusters, of, number, n);
        for (size_t i = 0; i < clusters->count; i++) {
            struct sb_cluster *c = &clusters->items[i];
            find_medoid(c, clusters->members + c->end - c->size, set, sum);
        }
        qsort(clusters->items, clusters->count, sizeof *clusters->items, by_size);
        reorder(clusters, copy, n);
    } else {
        sb_clusters_free(clusters);
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the clusters of %zu vectors", n);
    }
    free(number);
    free(copy);
    free(sum);
    return status;
}
