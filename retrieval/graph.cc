#include "retrieval/graph.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <queue>
#include <vector>

/* hnswlib keeps a mutex of 40 bytes a node for threads that add at once. Here one thread adds, and nobody else meanwhile: what
   it names std::mutex in the graph is a mutex of one byte that does nothing. The pool of marks, which searches share, keeps
   its real one. */
#include <hnswlib/visited_list_pool.h>
namespace hnswlib
{
namespace std
{
using namespace ::std;
struct mutex {
    void lock()
    {
    }
    void unlock()
    {
    }
};
} // namespace std
} // namespace hnswlib

/* Without its prefetching, which reads a link past the end of a full list. */
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

namespace
{

/* Links of a node above the lowest level (twice as many there), and candidates while a node is linked: recall above 0.98 at
   a million rows, see bench/README.md. */
constexpr size_t links = 16, candidates_linking = 120, first_capacity = 1024;

/* Elements are row numbers; their distance comes from the matrix. hnswlib keeps a label behind each element's data; the row
   is that label and there is no other data, so that what it takes for the data is the label. */
class row_space : public hnswlib::SpaceInterface<float>
{
  public:
    row_space(const sb_matrix *m, const sb_score_kernels *k) : matrix(m), kernels(k)
    {
    }
    size_t get_data_size() override
    {
        return 0;
    }
    hnswlib::DISTFUNC<float> get_dist_func() override
    {
        return distance;
    }
    void *get_dist_func_param() override
    {
        return this;
    }

    const sb_matrix *matrix;
    const sb_score_kernels *kernels;

  private:
    static float distance(const void *a, const void *b, const void *space)
    {
        const row_space *s = static_cast<const row_space *>(space);
        hnswlib::labeltype x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return -sb_matrix_pair(s->matrix, s->kernels, x, y);
    }
};

using hnsw = hnswlib::HierarchicalNSW<float>;

struct behind_first {
    bool operator()(const std::pair<float, uint32_t> &a, const std::pair<float, uint32_t> &b) const
    {
        return a.first < b.first;
    }
};
struct before_first {
    bool operator()(const std::pair<float, uint32_t> &a, const std::pair<float, uint32_t> &b) const
    {
        return a.first > b.first;
    }
};
/* The best candidate first; the worst result first. */
using best_first =
    std::priority_queue<std::pair<float, uint32_t>, std::vector<std::pair<float, uint32_t>>, behind_first>;
using worst_first =
    std::priority_queue<std::pair<float, uint32_t>, std::vector<std::pair<float, uint32_t>>, before_first>;

} // namespace

struct sb_graph {
    sb_graph(const sb_matrix *matrix, const sb_score_kernels *kernels, size_t capacity)
        : space(matrix, kernels), index(&space, capacity, links, candidates_linking)
    {
    }
    row_space space;
    hnsw index;
    /* [rows]: the node of a row. Instead of the hash table in which hnswlib finds labels, which takes ten times as much. */
    std::vector<uint32_t> node_of;
};

namespace
{

constexpr uint32_t no_node = UINT32_MAX;

uint32_t row_of(const hnsw &index, uint32_t node)
{
    return static_cast<uint32_t>(index.getExternalLabel(node));
}

void note_node(sb_graph *graph, size_t row, uint32_t node)
{
    if (row >= graph->node_of.size())
        graph->node_of.resize(row + 1, no_node);
    graph->node_of[row] = node;
}

/* A query on its way through the graph. Scores are similarities: higher is nearer. */
class walk
{
  public:
    walk(sb_graph *g, const sb_queries *q, size_t number) : graph(g), queries(q), query(number)
    {
    }

    /* The node of the upper levels that is nearest, and its score. */
    std::pair<float, uint32_t> descend()
    {
        hnsw &index = graph->index;
        uint32_t node = index.enterpoint_node_;
        score(&node, 1);
        std::pair<float, uint32_t> best(scores[0], node);
        for (int level = index.maxlevel_; level > 0; level--)
            for (bool moved = true; moved;) {
                moved = false;
                size_t n = neighbours(index.get_linklist(best.second, level));
                for (size_t i = 0; i < n; i++)
                    if (scores[i] > best.first) {
                        best = std::make_pair(scores[i], nodes[i]);
                        moved = true;
                    }
            }
        return best;
    }

    /* The ef nearest that are reached from `start` on the lowest level. */
    worst_first spread(std::pair<float, uint32_t> start, size_t ef, hnswlib::VisitedList *visited)
    {
        hnsw &index = graph->index;
        best_first open;
        worst_first found;
        open.push(start);
        found.push(start);
        visited->mass[start.second] = visited->curV;
        while (!open.empty()) {
            std::pair<float, uint32_t> next = open.top();
            if (found.size() >= ef && next.first < found.top().first)
                break;
            open.pop();
            size_t n = unvisited(index.get_linklist0(next.second), visited);
            for (size_t i = 0; i < n; i++)
                if (found.size() < ef || scores[i] > found.top().first) {
                    open.emplace(scores[i], nodes[i]);
                    found.emplace(scores[i], nodes[i]);
                    if (found.size() > ef)
                        found.pop();
                }
            if (!open.empty())
                __builtin_prefetch(index.get_linklist0(open.top().second));
        }
        return found;
    }

  private:
    static constexpr size_t most = 2 * links;
    sb_graph *graph;
    const sb_queries *queries;
    size_t query;
    uint32_t nodes[most], rows[most];
    float scores[most];

    void score(const uint32_t *which, size_t n)
    {
        for (size_t i = 0; i < n; i++)
            rows[i] = row_of(graph->index, which[i]);
        sb_matrix_gather(scores, graph->space.matrix, graph->space.kernels, rows, n, queries, query);
    }

    size_t neighbours(const hnswlib::linklistsizeint *list)
    {
        size_t n = std::min<size_t>(graph->index.getListCount(const_cast<hnswlib::linklistsizeint *>(list)), most);
        memcpy(nodes, list + 1, n * sizeof *nodes);
        score(nodes, n);
        return n;
    }

    size_t unvisited(const hnswlib::linklistsizeint *list, hnswlib::VisitedList *visited)
    {
        size_t count = std::min<size_t>(graph->index.getListCount(const_cast<hnswlib::linklistsizeint *>(list)), most);
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t node = list[1 + i];
            if (visited->mass[node] == visited->curV)
                continue;
            visited->mass[node] = visited->curV;
            /* not the whole of what follows: its row number, and with it where its vector lies */
            __builtin_prefetch(graph->index.getDataByInternalId(node));
            nodes[n++] = node;
        }
        score(nodes, n);
        return n;
    }
};

} // namespace

sb_graph *sb_graph_new(const sb_matrix *matrix, const sb_score_kernels *kernels)
{
    try {
        return new sb_graph(matrix, kernels, first_capacity);
    } catch (const std::exception &) {
        return nullptr;
    }
}

void sb_graph_free(sb_graph *graph)
{
    delete graph;
}

bool sb_graph_add(sb_graph *graph, size_t row)
{
    hnsw &index = graph->index;
    hnswlib::labeltype label = row;
    try {
        if (row < graph->node_of.size() && graph->node_of[row] != no_node) {
            index.updatePoint(&label, graph->node_of[row], 1);
            return true;
        }
        if (index.cur_element_count == index.max_elements_)
            index.resizeIndex(index.max_elements_ + index.max_elements_ / 8);
        note_node(graph, row, index.addPoint(&label, label, -1));
        index.label_lookup_.clear();
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

size_t sb_graph_nodes(const sb_graph *graph)
{
    return graph->index.cur_element_count;
}

uint32_t sb_graph_row(const sb_graph *graph, size_t node)
{
    return row_of(graph->index, static_cast<uint32_t>(node));
}

size_t sb_graph_search(sb_hit *hits, sb_graph *graph, const sb_queries *queries, size_t q, size_t ef)
{
    hnsw &index = graph->index;
    if (index.cur_element_count == 0)
        return 0;
    hnswlib::VisitedList *visited = nullptr;
    size_t n = 0;
    try {
        visited = index.visited_list_pool_->getFreeVisitedList();
        walk w(graph, queries, q);
        for (worst_first found = w.spread(w.descend(), ef, visited); !found.empty(); found.pop())
            hits[n++] = sb_hit{found.top().first, row_of(index, found.top().second)};
    } catch (const std::exception &) {
        n = SIZE_MAX;
    }
    if (visited)
        index.visited_list_pool_->releaseVisitedList(visited);
    return n;
}

/* ---- as bytes ---- */

bool sb_graph_write(const sb_graph *graph, bool (*put)(void *, const void *, size_t), void *context)
{
    const hnsw &index = graph->index;
    uint32_t head[2] = {static_cast<uint32_t>(index.cur_element_count), index.enterpoint_node_};
    bool good = put(context, head, sizeof head);
    for (uint32_t node = 0; good && node < head[0]; node++) {
        uint8_t level = static_cast<uint8_t>(index.element_levels_[node]);
        good = put(context, &level, sizeof level);
    }
    for (uint32_t node = 0; good && node < head[0]; node++)
        for (int level = 0; good && level <= index.element_levels_[node]; level++) {
            hnswlib::linklistsizeint *list = index.get_linklist_at_level(node, level);
            uint32_t count = index.getListCount(list);
            good = put(context, &count, sizeof count) && put(context, list + 1, count * sizeof(uint32_t));
        }
    return good;
}

namespace
{

/* Bytes that are read and not trusted. */
class reader
{
  public:
    reader(const void *bytes, size_t size) : at(static_cast<const uint8_t *>(bytes)), left(size)
    {
    }
    bool take(void *to, size_t size)
    {
        if (size > left)
            return false;
        if (size)
            memcpy(to, at, size);
        at += size;
        left -= size;
        return true;
    }
    bool done() const
    {
        return left == 0;
    }

  private:
    const uint8_t *at;
    size_t left;
};

/* What is kept of a list of links: those to nodes that are still there. new_nodes[] says which. */
bool take_links(reader &from, uint32_t *kept, uint32_t *count, uint32_t *lost, size_t most,
                const std::vector<int64_t> &new_nodes)
{
    uint32_t n;
    if (!from.take(&n, sizeof n) || n > most)
        return false;
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node;
        if (!from.take(&node, sizeof node) || node >= new_nodes.size())
            return false;
        if (new_nodes[node] != SB_GRAPH_GONE)
            kept[(*count)++] = static_cast<uint32_t>(new_nodes[node]);
    }
    *lost = n - *count;
    return true;
}

/* Makes node `node` as hnswlib lays it out, with no links yet. */
bool place_node(sb_graph *graph, uint32_t node, uint32_t row, int level)
{
    hnsw &index = graph->index;
    memset(index.data_level0_memory_ + node * index.size_data_per_element_, 0, index.size_data_per_element_);
    index.setExternalLabel(node, row);
    note_node(graph, row, node);
    if (level > 0) {
        index.linkLists_[node] = static_cast<char *>(calloc(1, index.size_links_per_element_ * level + 1));
        if (!index.linkLists_[node])
            return false;
    }
    index.element_levels_[node] = level;
    index.cur_element_count = node + 1;
    return true;
}

/* A link to a level on which the other node does not exist would lead outside of its memory. */
bool links_fit(const hnsw &index)
{
    for (uint32_t node = 0; node < index.cur_element_count; node++)
        for (int level = 1; level <= index.element_levels_[node]; level++) {
            hnswlib::linklistsizeint *list = index.get_linklist(node, level);
            for (size_t i = 0; i < index.getListCount(list); i++)
                if (index.element_levels_[list[1 + i]] < level)
                    return false;
        }
    return true;
}

bool read_into(sb_graph *graph, reader &from, const std::vector<uint8_t> &levels, const std::vector<int64_t> &new_nodes,
               const int64_t *rows, uint32_t *weak, size_t *weak_count)
{
    hnsw &index = graph->index;
    for (size_t old = 0; old < levels.size(); old++) {
        bool stays = new_nodes[old] != SB_GRAPH_GONE;
        uint32_t node = static_cast<uint32_t>(new_nodes[old]), kept[2 * links], count, lost;
        if (stays && !place_node(graph, node, static_cast<uint32_t>(rows[old]), levels[old]))
            return false;
        for (int level = 0; level <= levels[old]; level++) {
            if (!take_links(from, kept, &count, &lost, level ? links : 2 * links, new_nodes))
                return false;
            if (!stays)
                continue;
            hnswlib::linklistsizeint *list = index.get_linklist_at_level(node, level);
            index.setListCount(list, static_cast<unsigned short>(count));
            memcpy(list + 1, kept, count * sizeof *kept);
            if (level == 0 && lost > count)
                weak[(*weak_count)++] = static_cast<uint32_t>(rows[old]);
        }
    }
    return from.done() && links_fit(index);
}

/* The one that was, or another of the highest level. */
void choose_entry(hnsw &index, int64_t wanted)
{
    uint32_t entry = wanted == SB_GRAPH_GONE ? 0 : static_cast<uint32_t>(wanted);
    for (uint32_t node = 0; node < index.cur_element_count; node++)
        if (index.element_levels_[node] > index.element_levels_[entry])
            entry = node;
    index.enterpoint_node_ = entry;
    index.maxlevel_ = index.element_levels_[entry];
}

sb_graph *read_graph(const sb_matrix *matrix, const sb_score_kernels *kernels, reader from, const int64_t *rows,
                     size_t nodes, uint32_t *weak, size_t *weak_count)
{
    uint32_t head[2];
    std::vector<uint8_t> levels(nodes);
    std::vector<int64_t> new_nodes(nodes, SB_GRAPH_GONE);
    if (!from.take(head, sizeof head) || head[0] != nodes || nodes == 0 || head[1] >= nodes ||
        !from.take(levels.data(), nodes))
        return nullptr;
    int64_t count = 0;
    for (size_t old = 0; old < nodes; old++)
        if (rows[old] != SB_GRAPH_GONE)
            new_nodes[old] = count++;
    if (count == 0)
        return nullptr;
    size_t capacity = std::max<size_t>(static_cast<size_t>(count) + static_cast<size_t>(count) / 8, first_capacity);
    sb_graph *graph = new sb_graph(matrix, kernels, capacity);
    try {
        if (read_into(graph, from, levels, new_nodes, rows, weak, weak_count)) {
            choose_entry(graph->index, new_nodes[head[1]]);
            return graph;
        }
    } catch (const std::exception &) {
    }
    delete graph;
    return nullptr;
}

} // namespace

sb_graph *sb_graph_read(const sb_matrix *matrix, const sb_score_kernels *kernels, const void *bytes, size_t size,
                        const int64_t *rows, size_t nodes, uint32_t *weak, size_t *weak_count)
{
    *weak_count = 0;
    try {
        return read_graph(matrix, kernels, reader(bytes, size), rows, nodes, weak, weak_count);
    } catch (const std::exception &) {
        return nullptr;
    }
}
