/*
 * Groups of sentences that mean nearly the same, each with the member that stands in its middle (the medoid: the one of
 * the highest mean cosine to the others), which serves as its title.
 *
 *     struct sb_clusters clusters;
 *     sb_clusters_agglomerate(&clusters, &set, 0.8, &error);
 *     for (size_t i = 0; i < clusters.count; i++)
 *         print(clusters.items[i].medoid, clusters.items[i].size);
 *     sb_clusters_free(&clusters);
 */
#ifndef SB_RETRIEVAL_CLUSTERS_H
#define SB_RETRIEVAL_CLUSTERS_H

#include "retrieval/mining.h"

struct sb_cluster {
    size_t size, end;  /* its members are members[end - size, end) */
    uint32_t medoid;   /* of equal ones the first */
    double similarity; /* mean cosine of the members to the medoid, itself left out; 1 for a single one */
};

struct sb_clusters {
    struct sb_cluster *items; /* [count], largest first; of equal ones the one with the first member */
    size_t count;
    uint32_t *members; /* [vectors of the set], in order within each cluster */
};

/* Agglomerative, average linkage: as long as two clusters have a mean cosine between their members of min_score or
   more, the most similar two are joined. Every vector is in a cluster, be it alone. Exact, by reciprocal nearest
   neighbours (Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983). Time: as
   sb_duplicates_find, and so many rounds of comparing what has changed with all that is left, each at most as long. */
SB_MUST_CHECK enum sb_status sb_clusters_agglomerate(struct sb_clusters *clusters, const struct sb_mining *set,
                                                     double min_score, struct sb_error *error);

/* Spherical k-means from a k-means++ start (Arthur and Vassilvitskii, 2007) that seed chooses, at most 50 rounds. Fewer
   than k clusters if there are fewer different vectors. k: 1 to the vectors of the set. */
SB_MUST_CHECK enum sb_status sb_clusters_kmeans(struct sb_clusters *clusters, const struct sb_mining *set, size_t k,
                                                uint64_t seed, struct sb_error *error);

void sb_clusters_free(struct sb_clusters *clusters);

/* For agglomerate.c and kmeans.c: the clusters of which `of[i]` < `labels` names vector i's; labels may be unused. */
SB_MUST_CHECK enum sb_status sb_clusters_make(struct sb_clusters *clusters, const struct sb_mining *set,
                                              const uint32_t *of, size_t labels, struct sb_error *error);

#endif
