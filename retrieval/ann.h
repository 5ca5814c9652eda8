/*
 * The approximate index of a collection: a graph over its rows, built by the store's worker (retrieval/worker.h) and kept
 * in a file that can be lost. Only retrieval/ includes this.
 *
 *     rows 0 ... covered   are nodes of the graph, but for those in `moved`, whose vectors have changed since
 *     rows covered ...     are compared one by one, like those in `moved`, until the worker has added them
 *
 * So a search sees every change at once, and the truth is never in the graph: it says where to look, and the scores come
 * from the index. When rows get other numbers (epoch), the graph is discarded and built anew.
 *
 * Locks: graph, covered, ready and epoch are written under `lock`, with the index's lock held for reading, and read under
 * either of them by the worker, under both by searches. moved and tracks are written under the index's lock for writing, or
 * for reading with `lock` for writing; read under both.
 */
#ifndef SB_RETRIEVAL_ANN_H
#define SB_RETRIEVAL_ANN_H

#include "retrieval/graph.h"
#include "retrieval/index.h"

#include <stdatomic.h>

struct sb_store;
struct sb_collection;
struct sb_score_kernels;

struct sb_ann {
    pthread_rwlock_t lock;
    struct sb_graph *graph; /* NULL: none */
    bool ready;             /* complete once: searches use it */
    uint64_t epoch;         /* of the index whose row numbers the graph holds */
    size_t covered;
    bool tracks;     /* changes must be told to sb_ann_moved */
    bool lost_track; /* moved is not complete: build anew */
    uint32_t *moved; /* [moved_count] */
    size_t moved_count, moved_capacity;
    struct sb_region moved_bits; /* a bit a row */
    /* Only the worker: */
    bool file_tried;
    size_t unsaved;   /* nodes added or linked anew since the file was written */
    int64_t saved_at; /* sb_now_ns() */
};

bool sb_ann_init(struct sb_ann *ann);
void sb_ann_clear(struct sb_ann *ann); /* forgets all, before anybody else knows it */
void sb_ann_free(struct sb_ann *ann);

/* The row's vector has changed. Under the index's lock, writing. */
void sb_ann_moved(struct sb_ann *ann, size_t row);

/* Whether a search of top_k should use the graph. from: sentences from which on that is as fast as comparing all; kept: the
   share of rows that its filter keeps, 1 without one. Under the index's lock. */
bool sb_ann_serves(struct sb_ann *ann, const struct sb_index *index, size_t from, size_t top_k, double kept);
/* Candidates for each query into heaps of `limit`; false: the caller must compare all (no memory, fewer were found than
   there may be, the graph is not usable). Under the index's lock. */
bool sb_ann_search(struct sb_ann *ann, struct sb_hits *heaps, size_t limit, const struct sb_index *index,
                   const struct sb_score_kernels *kernels, const struct sb_queries *queries,
                   const struct sb_search *search, double kept);

/* One slice of what there is to do, by the worker: reading the file, building, catching up, saving. True if there is more. */
bool sb_ann_work(struct sb_store *store, struct sb_collection *collection);
/* Writes the file if anything changed and nothing waits to be added. By the worker. */
void sb_ann_save(struct sb_store *store, struct sb_collection *collection);
/* When the worker has ended: adds what waits, unless that takes long, and saves. */
void sb_ann_finish(struct sb_store *store, struct sb_collection *collection);

/* ann_file.c. */
/* The generation of the file that fits this collection; -1: none. */
int64_t sb_ann_file_generation(const struct sb_store *store, const struct sb_collection *collection);
/* Makes the graph from the file if it is sound and fits. Under the index's lock for reading and the ann's for writing. */
bool sb_ann_file_read(struct sb_store *store, struct sb_collection *collection);
bool sb_ann_file_write(struct sb_store *store, struct sb_collection *collection);
void sb_ann_file_remove(const struct sb_store *store, const struct sb_collection *collection);

#endif
