/*
 * An approximate index over the rows of a matrix: a hierarchical navigable small world graph (Malkov and Yashunin, 2016).
 * hnswlib builds it; its C++ ends here. Only retrieval/ includes this.
 *
 *     struct sb_graph *graph = sb_graph_new(&matrix, kernels);
 *     sb_graph_add(graph, row);                              // each row; a row that was added before is linked anew
 *     n = sb_graph_search(hits, graph, &queries, 0, 100);
 *     sb_graph_free(graph);
 *
 * The graph holds row numbers and links, no vectors: distances are computed from the matrix, in its own form, so that a
 * score is never that of a vector that has been replaced. Why hnswlib and not FAISS: it is one header, adds and relinks
 * single rows, and lets its user compute the distances; FAISS would keep a copy of the vectors.
 *
 * Thread rule: one that adds, or any number that search; the matrix must not change meanwhile.
 */
#ifndef SB_RETRIEVAL_GRAPH_H
#define SB_RETRIEVAL_GRAPH_H

#include "retrieval/hits.h"
#include "retrieval/vectors.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sb_graph;

/* The matrix and the kernels are borrowed for the graph's life. NULL when out of memory. */
struct sb_graph *sb_graph_new(const struct sb_matrix *matrix, const struct sb_score_kernels *kernels);
void sb_graph_free(struct sb_graph *graph);

/* False when out of memory: the graph is to be freed. */
bool sb_graph_add(struct sb_graph *graph, size_t row);
size_t sb_graph_nodes(const struct sb_graph *graph);

/* hits[ef]: rows that are about the nearest to query q, with the scores of sb_matrix_scan, in no order; how many. Deleted
   rows are among them. SIZE_MAX when out of memory. */
size_t sb_graph_search(struct sb_hit *hits, struct sb_graph *graph, const struct sb_queries *queries, size_t q,
                       size_t ef);

/* The graph as bytes, little-endian, nodes in the order of rows[]:
 *
 *     | nodes: u32 | entry: u32 | level: u8 [nodes] | links | links | ...
 *
 * A node's links are, for each of its levels from 0 up, | count: u32 | node: u32 [count] |. */
bool sb_graph_write(const struct sb_graph *graph, bool (*put)(void *context, const void *bytes, size_t size),
                    void *context);
/* The row of a node. */
uint32_t sb_graph_row(const struct sb_graph *graph, size_t node);
/* The graph that was written, without the nodes whose row is SB_GRAPH_GONE. Rows whose links were mostly to such ones are
   put into weak[nodes], *weak_count of them: they should be added anew. NULL when out of memory, or when the bytes are no
   graph of `nodes` nodes. */
enum { SB_GRAPH_GONE = -1 };
struct sb_graph *sb_graph_read(const struct sb_matrix *matrix, const struct sb_score_kernels *kernels,
                               const void *bytes, size_t size, const int64_t *rows, size_t nodes, uint32_t *weak,
                               size_t *weak_count);

#ifdef __cplusplus
}
#endif
#endif
