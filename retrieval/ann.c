#include "retrieval/ann.h"

#include "base/cpu.h"
#include "base/log.h"
#include "retrieval/scan.h"
#include "retrieval/store_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST_CANDIDATES = 200, /* looked at for a query: recall at 10 of 0.989 among a million, see bench/search.md */
    MOST_CANDIDATES = 3000, /* for one query */
    BUILD_SLICE = 32,       /* rows added while no writer comes in: some 10 ms */
    SERVE_SLICE = 4,        /* the same when searches wait too */
    SAVE_FROM = 1000,       /* changes that are worth a new file */
};
static const int64_t save_interval_ns = INT64_C(60000000000), finish_ns = INT64_C(2000000000);

bool sb_ann_init(struct sb_ann *ann)
{
    *ann = (struct sb_ann){0};
    return sb_index_lock_init(&ann->lock);
}

/* Under `lock`, writing, or when nobody else knows it. */
static void discard(struct sb_ann *ann)
{
    sb_graph_free(ann->graph);
    ann->graph = NULL;
    ann->ready = ann->tracks = ann->lost_track = false;
    ann->covered = ann->moved_count = ann->unsaved = 0;
    if (ann->moved_bits.data)
        memset(ann->moved_bits.data, 0, ann->moved_bits.size);
}

void sb_ann_clear(struct sb_ann *ann)
{
    discard(ann);
}

void sb_ann_free(struct sb_ann *ann)
{
    discard(ann);
    free(ann->moved);
    sb_region_free(&ann->moved_bits);
    pthread_rwlock_destroy(&ann->lock);
}

/* ---- rows whose vectors have changed ---- */

static bool is_moved(const struct sb_ann *ann, size_t row)
{
    const uint8_t *bits = ann->moved_bits.data;
    return row / 8 < ann->moved_bits.size && (bits[row / 8] >> row % 8 & 1);
}

static bool reserve_moved(struct sb_ann *ann, size_t row)
{
    size_t had = ann->moved_bits.size;
    if (!sb_region_reserve(&ann->moved_bits, row / 8 + 1))
        return false;
    memset((char *)ann->moved_bits.data + had, 0, ann->moved_bits.size - had);
    if (ann->moved_count < ann->moved_capacity)
        return true;
    size_t capacity = 2 * ann->moved_capacity + 64;
    uint32_t *moved = realloc(ann->moved, capacity * sizeof *moved);
    if (!moved)
        return false;
    ann->moved = moved;
    ann->moved_capacity = capacity;
    return true;
}

void sb_ann_moved(struct sb_ann *ann, size_t row)
{
    bool is_no_node = ann->graph && row >= ann->covered;
    if (!ann->tracks || ann->lost_track || is_no_node || is_moved(ann, row))
        return;
    if (!reserve_moved(ann, row)) {
        ann->lost_track = true;
        return;
    }
    ann->moved[ann->moved_count++] = (uint32_t)row;
    ((uint8_t *)ann->moved_bits.data)[row / 8] |= (uint8_t)(1 << row % 8);
}

static size_t take_moved(struct sb_ann *ann)
{
    size_t row = ann->moved[--ann->moved_count];
    ((uint8_t *)ann->moved_bits.data)[row / 8] &= (uint8_t) ~(1 << row % 8);
    return row;
}

/* ---- searching ---- */

/* A filter leaves some of the candidates: so many more are looked at. */
static size_t candidates_for(size_t top_k, double kept)
{
    size_t candidates = 2 * top_k > LEAST_CANDIDATES ? 2 * top_k : LEAST_CANDIDATES;
    return kept < (double)candidates / MOST_CANDIDATES ? SIZE_MAX : (size_t)((double)candidates / kept);
}

/* At `from` sentences the least candidates take as long as comparing all; more take as long as comparing more. */
static bool is_worth(size_t candidates, size_t sentences, size_t from)
{
    return (double)candidates / LEAST_CANDIDATES <= (double)sentences / (double)(from ? from : 1);
}

bool sb_ann_serves(struct sb_ann *ann, const struct sb_index *index, size_t from, size_t top_k, double kept)
{
    pthread_rwlock_rdlock(&ann->lock);
    bool usable = ann->ready && ann->epoch == index->epoch && !ann->lost_track;
    pthread_rwlock_unlock(&ann->lock);
    return usable && is_worth(candidates_for(top_k, kept), index->live, from);
}

static int best_first(const void *a, const void *b)
{
    const struct sb_hit *x = a, *y = b;
    return sb_hit_behind(*x, *y) ? 1 : sb_hit_behind(*y, *x) ? -1 : 0;
}

/* What the graph finds for a query, the filter asked about the best first. False when out of memory. */
static bool from_graph(struct sb_ann *ann, struct sb_hits *heap, size_t limit, const struct sb_index *index,
                       const struct sb_queries *queries, size_t q, const struct sb_search *search, struct sb_hit *found,
                       size_t candidates)
{
    size_t n = sb_graph_search(found, ann->graph, queries, q, candidates);
    if (n == SIZE_MAX)
        return false;
    qsort(found, n, sizeof *found, best_first);
    for (size_t i = 0; i < n && heap->count < limit; i++)
        if (sb_index_is_live(index, found[i].row) && !is_moved(ann, found[i].row) &&
            sb_search_keeps(search, index, found[i].row))
            sb_hits_offer(heap, limit, found[i]);
    return true;
}

static void from_moved(const struct sb_ann *ann, struct sb_hits *heap, size_t limit, const struct sb_index *index,
                       const struct sb_score_kernels *kernels, const struct sb_queries *queries, size_t q,
                       const struct sb_search *search)
{
    for (size_t i = 0; i < ann->moved_count; i++) {
        struct sb_hit hit = {0, ann->moved[i]};
        if (hit.row >= ann->covered || !sb_index_is_live(index, hit.row))
            continue;
        sb_matrix_gather(&hit.score, &index->matrix, kernels, &ann->moved[i], 1, queries, q);
        if ((heap->count < limit || sb_hit_behind(heap->items[0], hit)) && sb_search_keeps(search, index, hit.row))
            sb_hits_offer(heap, limit, hit);
    }
}

/* Under both locks. */
static bool search_graph(struct sb_ann *ann, struct sb_hits *heaps, size_t limit, const struct sb_index *index,
                         const struct sb_score_kernels *kernels, const struct sb_queries *queries,
                         const struct sb_search *search, double kept)
{
    size_t candidates = candidates_for(search->top_k, kept),
           least = search->top_k < index->live ? search->top_k : index->live;
    struct sb_hit *found = malloc(candidates * sizeof *found);
    bool good = found != NULL;
    for (size_t q = 0; good && q < queries->count; q++) {
        good = from_graph(ann, &heaps[q], limit, index, queries, q, search, found, candidates);
        if (good)
            from_moved(ann, &heaps[q], limit, index, kernels, queries, q, search);
    }
    if (good)
        sb_scan(heaps, limit, index, kernels, queries, search, ann->covered, index->rows);
    for (size_t q = 0; good && q < queries->count; q++)
        good = heaps[q].count >= least;
    free(found);
    return good;
}

bool sb_ann_search(struct sb_ann *ann, struct sb_hits *heaps, size_t limit, const struct sb_index *index,
                   const struct sb_score_kernels *kernels, const struct sb_queries *queries,
                   const struct sb_search *search, double kept)
{
    pthread_rwlock_rdlock(&ann->lock);
    bool good = ann->ready && ann->epoch == index->epoch && !ann->lost_track &&
                search_graph(ann, heaps, limit, index, kernels, queries, search, kept);
    pthread_rwlock_unlock(&ann->lock);
    for (size_t q = 0; !good && q < queries->count; q++)
        heaps[q].count = 0;
    return good;
}

/* ---- the worker's part ---- */

/* From the file, or empty. Under both locks. */
static bool begin(struct sb_store *store, struct sb_collection *c)
{
    struct sb_ann *ann = &c->ann;
    if (!ann->file_tried) {
        ann->file_tried = true;
        if (sb_ann_file_read(store, c)) {
            sb_log(SB_LOG_INFO, "search", "%s: approximate index read, %zu sentences", c->info.name, ann->covered);
            return true;
        }
    }
    discard(ann);
    ann->graph = sb_graph_new(&c->index.matrix, store->kernels);
    ann->epoch = c->index.epoch;
    ann->tracks = true;
    return ann->graph != NULL;
}

/* Under both locks; false when out of memory. */
static bool add_slice(struct sb_ann *ann, const struct sb_index *index)
{
    int slice = ann->ready ? SERVE_SLICE : BUILD_SLICE;
    bool good = true;
    for (; good && slice > 0 && ann->covered < index->rows; ann->covered++)
        if (sb_index_is_live(index, ann->covered)) {
            good = sb_graph_add(ann->graph, ann->covered);
            ann->unsaved++;
            slice--;
        }
    for (; good && slice > 0 && ann->moved_count > 0; slice--) {
        size_t row = take_moved(ann);
        if (row < index->rows && sb_index_is_live(index, row))
            good = sb_graph_add(ann->graph, row);
        ann->unsaved++;
    }
    if (ann->covered == index->rows && ann->moved_count == 0)
        ann->ready = true;
    return good;
}

/* Under the index's lock, reading. True if there is more. */
static bool work(struct sb_store *store, struct sb_collection *c)
{
    struct sb_ann *ann = &c->ann;
    const struct sb_index *index = &c->index;
    if (!c->loaded) /* whoever reads it has the ann to himself */
        return false;
    bool wanted = c->info.search == SB_SEARCH_AUTO && index->live >= atomic_load(&store->approximate_from);
    bool more = false, was_ready;
    pthread_rwlock_wrlock(&ann->lock);
    was_ready = ann->ready;
    if (ann->graph && (!wanted || ann->epoch != index->epoch || ann->lost_track))
        discard(ann);
    if (wanted && (ann->graph || begin(store, c))) {
        if (!add_slice(ann, index))
            discard(ann); /* without memory exact search goes on; the next change tries again */
        else
            more = ann->covered < index->rows || ann->moved_count > 0;
    }
    if (ann->ready && !was_ready)
        sb_log(SB_LOG_INFO, "search", "%s: approximate search of %zu sentences", c->info.name, index->live);
    pthread_rwlock_unlock(&ann->lock);
    return more;
}

bool sb_ann_work(struct sb_store *store, struct sb_collection *c)
{
    pthread_rwlock_rdlock(&c->index.lock);
    bool more = work(store, c);
    pthread_rwlock_unlock(&c->index.lock);
    struct sb_ann *ann = &c->ann;
    bool is_first = ann->saved_at == 0;
    if (!more && ann->ready && ann->unsaved > 0 &&
        (is_first || (ann->unsaved >= SAVE_FROM && sb_now_ns() - ann->saved_at >= save_interval_ns)))
        sb_ann_save(store, c);
    return more;
}

void sb_ann_finish(struct sb_store *store, struct sb_collection *c)
{
    int64_t until = sb_now_ns() + finish_ns;
    while (c->ann.ready && sb_now_ns() < until && sb_ann_work(store, c))
        ;
    sb_ann_save(store, c);
}

void sb_ann_save(struct sb_store *store, struct sb_collection *c)
{
    if (!c->ann.ready || c->ann.unsaved == 0 || atomic_load(&c->dropped))
        return;
    if (sb_ann_file_write(store, c))
        c->ann.unsaved = 0;
    c->ann.saved_at = sb_now_ns();
    if (atomic_load(&c->dropped))
        sb_ann_file_remove(store, c);
}
