/*
 * The file of an approximate index, <folder of the database>/ann/<collection>-<hash>.ann: a cache. It is written whole
 * (base/file.h), used only if its hash is right and it fits the collection, and made anew when it is missing.
 *
 *     | struct header | sequences: i64 [nodes] | sb_graph_write's bytes | hash of all before it, in hexadecimal |
 *
 * Row numbers differ from one start to the next; nodes are named by sentences.sequence. What has changed since the file's
 * generation is found by sentences.generation when the collection is read.
 */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "retrieval/ann.h"
#include "retrieval/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 1, PIECE = 1 << 20 };
static const char magic[8] = "SBMTANN";

struct header {
    char magic[8];
    uint32_t format, vectors, dimensions, unused;
    int64_t key, created_at, generation, last_sequence;
    uint64_t nodes;
    char model_hash[64];
};

/* NULL when out of memory. */
static char *folder_of(const struct sb_store *store)
{
    char *path = NULL;
    const char *slash = strrchr(store->path, '/');
    int folder = slash ? (int)(slash - store->path) : 0;
    if (asprintf(&path, "%.*s%sann", folder, store->path, slash ? "/" : "") < 0)
        return NULL;
    return path;
}

static char *path_of(const struct sb_store *store, const struct sb_collection *c)
{
    char *folder = folder_of(store), *path = NULL;
    if (folder && asprintf(&path, "%s/%s-%.16s.ann", folder, c->info.name, c->info.model_hash) < 0)
        path = NULL;
    free(folder);
    return path;
}

static struct header header_for(const struct sb_collection *c)
{
    struct header h = {.format = FORMAT,
                       .vectors = c->info.vectors,
                       .dimensions = (uint32_t)c->info.dimensions,
                       .key = c->key,
                       .created_at = c->info.created_at,
                       .generation = c->generation};
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.model_hash, sizeof h.model_hash, "%s", c->info.model_hash);
    return h;
}

/* Whether it is this collection's. */
static bool fits(const struct header *h, const struct sb_collection *c)
{
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->format == FORMAT && h->vectors == c->info.vectors &&
           h->dimensions == (uint32_t)c->info.dimensions && h->key == c->key && h->created_at == c->info.created_at &&
           h->generation >= 0 && strncmp(h->model_hash, c->info.model_hash, sizeof h->model_hash) == 0;
}

int64_t sb_ann_file_generation(const struct sb_store *store, const struct sb_collection *c)
{
    struct header h;
    char *path = path_of(store, c);
    FILE *file = path ? fopen(path, "rbe") : NULL;
    /* a later state than the database's: of before a backup was put back */
    bool good = file && fread(&h, sizeof h, 1, file) == 1 && fits(&h, c) && h.generation <= c->generation;
    if (file)
        fclose(file);
    free(path);
    return good ? h.generation : -1;
}

void sb_ann_file_remove(const struct sb_store *store, const struct sb_collection *c)
{
    char *path = path_of(store, c);
    if (path)
        unlink(path);
    free(path);
}

/* ---- reading ---- */

/* size: without the hash, which lies behind it. */
static bool hash_is_right(const char *bytes, size_t size)
{
    struct sb_hash hash;
    char digits[SB_HASH_DIGITS + 1];
    sb_hash_begin(&hash);
    for (size_t at = 0; at < size; at += PIECE)
        sb_hash_bytes(&hash, bytes + at, size - at < PIECE ? size - at : PIECE);
    sb_hash_end(&hash, digits);
    return memcmp(digits, bytes + size, SB_HASH_DIGITS) == 0;
}

/* rows[nodes] of the sequences: the index's rows are in the order of theirs. How many are still there. */
static size_t find_rows(int64_t *rows, const char *sequences, size_t nodes, const struct sb_index *index)
{
    size_t found = 0;
    for (size_t i = 0; i < nodes; i++) {
        int64_t sequence;
        memcpy(&sequence, sequences + i * sizeof sequence, sizeof sequence);
        size_t low = 0, high = index->rows;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (index->sequences[middle] < sequence)
                low = middle + 1;
            else
                high = middle;
        }
        bool there = low < index->rows && index->sequences[low] == sequence && sb_index_is_live(index, low);
        rows[i] = there ? (int64_t)low : SB_GRAPH_GONE;
        found += there;
    }
    return found;
}

/* Live rows up to the last that the file knew: each must be a node. */
static size_t covered_rows(const struct sb_index *index, int64_t last_sequence, size_t *live)
{
    size_t row = 0;
    *live = 0;
    for (; row < index->rows && index->sequences[row] <= last_sequence; row++)
        *live += sb_index_is_live(index, row);
    return row;
}

static bool each_once(const int64_t *rows, size_t nodes, size_t row_count)
{
    uint8_t *seen = calloc(row_count + 1, 1);
    bool good = seen != NULL;
    for (size_t i = 0; good && i < nodes; i++)
        if (rows[i] != SB_GRAPH_GONE)
            good = !seen[rows[i]]++;
    free(seen);
    return good;
}

/* The rest of the file behind a header that fits. */
static bool take_rest(struct sb_store *store, struct sb_collection *c, const struct header *h, const char *rest,
                      size_t size)
{
    struct sb_ann *ann = &c->ann;
    size_t nodes = (size_t)h->nodes, live, weak_count = 0;
    if (nodes == 0 || nodes > UINT32_MAX / 2 || nodes > size / sizeof(int64_t))
        return false;
    int64_t *rows = malloc(nodes * sizeof *rows);
    uint32_t *weak = malloc(nodes * sizeof *weak);
    size_t found = rows && weak ? find_rows(rows, rest, nodes, &c->index) : 0;
    size_t covered = covered_rows(&c->index, h->last_sequence, &live);
    /* a graph that lost a tenth of its nodes has holes that adding the weak ones does not close */
    bool good = found > 0 && found == live && found >= nodes - nodes / 10 && each_once(rows, nodes, c->index.rows);
    if (good)
        ann->graph = sb_graph_read(&c->index.matrix, store->kernels, rest + nodes * sizeof *rows,
                                   size - nodes * sizeof *rows, rows, nodes, weak, &weak_count);
    good = good && ann->graph;
    if (good) {
        ann->covered = covered;
        ann->epoch = c->index.epoch;
        ann->tracks = true;
        for (size_t i = 0; i < weak_count; i++)
            sb_ann_moved(ann, weak[i]);
    }
    free(rows);
    free(weak);
    return good;
}

static bool take_file(struct sb_store *store, struct sb_collection *c, const struct sb_mapping *mapping)
{
    struct header h;
    const char *bytes = mapping->data;
    if (mapping->size < sizeof h + SB_HASH_DIGITS)
        return false;
    size_t size = mapping->size - SB_HASH_DIGITS;
    memcpy(&h, bytes, sizeof h);
    return fits(&h, c) && h.generation == c->ann_generation && hash_is_right(bytes, size) &&
           take_rest(store, c, &h, bytes + sizeof h, size - sizeof h);
}

bool sb_ann_file_read(struct sb_store *store, struct sb_collection *c)
{
    struct sb_mapping mapping = {0};
    if (!c->ann.tracks) /* there was no file when the collection was read */
        return false;
    char *path = path_of(store, c);
    bool good = path && sb_map_file(&mapping, path, NULL) == SB_OK && take_file(store, c, &mapping);
    if (!good)
        sb_log(SB_LOG_WARN, "search", "%s: damaged or not of this collection; it is made anew", path ? path : "");
    sb_unmap(&mapping);
    free(path);
    return good;
}

/* ---- writing ---- */

struct output {
    struct sb_file_writer *writer;
    struct sb_hash hash;
    char *piece; /* [PIECE]: hashed and written when full */
    size_t filled;
    enum sb_status status;
    struct sb_error error;
};

static void flush(struct output *out)
{
    sb_hash_bytes(&out->hash, out->piece, out->filled);
    if (out->status == SB_OK)
        out->status = sb_file_writer_write(out->writer, out->piece, out->filled, &out->error);
    out->filled = 0;
}

static bool put(void *context, const void *bytes, size_t size)
{
    struct output *out = context;
    for (const char *from = bytes; size > 0;) {
        size_t some = PIECE - out->filled < size ? PIECE - out->filled : size;
        memcpy(out->piece + out->filled, from, some);
        out->filled += some;
        from += some;
        size -= some;
        if (out->filled == PIECE)
            flush(out);
    }
    return out->status == SB_OK;
}

/* Each node's sequence, and a header of the same state: nothing may be waiting to be added. Takes the writer's lock, so
   that the generation is that of what the index shows, and the model does not change. NULL: not now, or no memory. */
static int64_t *collect(struct sb_store *store, struct sb_collection *c, struct header *h, char **path)
{
    int64_t *sequences = NULL;
    pthread_mutex_lock(&store->writer);
    pthread_rwlock_rdlock(&c->index.lock);
    const struct sb_ann *ann = &c->ann;
    const struct sb_index *index = &c->index;
    size_t nodes = ann->graph ? sb_graph_nodes(ann->graph) : 0;
    if (nodes && ann->epoch == index->epoch && ann->covered == index->rows && ann->moved_count == 0 && !ann->lost_track)
        sequences = malloc(nodes * sizeof *sequences);
    *path = sequences ? path_of(store, c) : NULL;
    if (sequences) {
        *h = header_for(c);
        h->nodes = nodes;
        h->last_sequence = index->rows ? index->sequences[index->rows - 1] : 0;
        for (size_t i = 0; i < nodes; i++)
            sequences[i] = index->sequences[sb_graph_row(ann->graph, i)];
    }
    pthread_rwlock_unlock(&c->index.lock);
    pthread_mutex_unlock(&store->writer);
    return sequences;
}

static enum sb_status write_all(struct output *out, const char *path, const struct sb_graph *graph,
                                const struct header *h, const int64_t *sequences)
{
    char digits[SB_HASH_DIGITS + 1];
    enum sb_status status = sb_file_writer_begin(&out->writer, path, &out->error);
    if (status != SB_OK)
        return status;
    sb_hash_begin(&out->hash);
    if (put(out, h, sizeof *h) && put(out, sequences, h->nodes * sizeof *sequences) && sb_graph_write(graph, put, out))
        flush(out);
    sb_hash_end(&out->hash, digits);
    if (out->status == SB_OK)
        out->status = sb_file_writer_write(out->writer, digits, SB_HASH_DIGITS, &out->error);
    if (out->status == SB_OK)
        return sb_file_writer_commit(out->writer, &out->error);
    sb_file_writer_abandon(out->writer);
    return out->status;
}

bool sb_ann_file_write(struct sb_store *store, struct sb_collection *c)
{
    struct output *out = calloc(1, sizeof *out);
    struct header h;
    char *folder = folder_of(store), *path = NULL;
    int64_t *sequences = out && folder && (out->piece = malloc(PIECE)) ? collect(store, c, &h, &path) : NULL;
    enum sb_status status = SB_NO_MEMORY;
    if (sequences && path) {
        status = sb_make_folders(folder, &out->error);
        /* only the caller changes the graph */
        if (status == SB_OK)
            status = write_all(out, path, c->ann.graph, &h, sequences);
        if (status != SB_OK)
            sb_log(SB_LOG_WARN, "search", "the approximate index can not be saved: %s", out->error.message);
    }
    if (out)
        free(out->piece);
    free(out);
    free(folder);
    free(path);
    free(sequences);
    return status == SB_OK;
}
