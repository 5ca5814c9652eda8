/*
 * The trie: edges (node, byte) -> node in one open-addressed table. Node 0 is the root; node values hold the id of the token
 * that ends there. Continuation pieces hang below the node that their prefix leads to.
 */
#include "tokenizer/vocab.h"

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

/* A node costs up to 68 bytes; 250,000 tokens of many languages make about 1.5 million. */
enum { MAX_VOCAB_BYTES = 64 << 20, MAX_TOKENS = 4 << 20, MAX_NODES = 6 << 20 };

struct edge {
    uint64_t key; /* node << 8 | byte, plus 1 so that 0 is empty */
    uint32_t to;
};

struct sb_vocab {
    char *text;     /* all tokens, each with a NUL behind it */
    size_t *starts; /* [count + 1] */
    size_t count;
    struct edge *edges;
    size_t edge_mask, edge_count;
    int32_t *ids; /* [nodes]: id of the token that ends here, -1: none */
    size_t nodes, node_capacity;
    uint32_t continuation_root; /* 0: no token continues */
};

static struct edge *find_edge(const struct sb_vocab *v, uint32_t node, unsigned char byte)
{
    uint64_t key = ((uint64_t)node << 8 | byte) + 1;
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15u >> 20) & v->edge_mask;
    while (v->edges[at].key && v->edges[at].key != key)
        at = (at + 1) & v->edge_mask;
    return &v->edges[at];
}

static bool grow_edges(struct sb_vocab *v)
{
    size_t size = v->edges ? 2 * (v->edge_mask + 1) : 1 << 12, old_size = v->edges ? v->edge_mask + 1 : 0;
    struct edge *old = v->edges, *edges = calloc(size, sizeof *edges);
    if (!edges)
        return false;
    v->edges = edges;
    v->edge_mask = size - 1;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key)
            *find_edge(v, (uint32_t)((old[i].key - 1) >> 8), (unsigned char)(old[i].key - 1)) = old[i];
    free(old);
    return true;
}

static bool new_node(struct sb_vocab *v, uint32_t *node)
{
    if (v->nodes == MAX_NODES)
        return false;
    if (v->nodes == v->node_capacity) {
        size_t capacity = v->node_capacity ? 2 * v->node_capacity : 1 << 12;
        int32_t *ids = realloc(v->ids, capacity * sizeof *ids);
        if (!ids)
            return false;
        v->ids = ids;
        v->node_capacity = capacity;
    }
    *node = (uint32_t)v->nodes;
    v->ids[v->nodes++] = -1;
    return true;
}

/* Follows bytes from the root, making what is missing; *node is where they end. */
static bool make_path(struct sb_vocab *v, const char *bytes, size_t size, uint32_t *node)
{
    *node = 0;
    for (size_t i = 0; i < size; i++) {
        if (2 * v->edge_count > v->edge_mask && !grow_edges(v))
            return false;
        struct edge *edge = find_edge(v, *node, (unsigned char)bytes[i]);
        if (!edge->key) {
            uint32_t to;
            if (!new_node(v, &to))
                return false;
            *edge = (struct edge){((uint64_t)*node << 8 | (unsigned char)bytes[i]) + 1, to};
            v->edge_count++;
        }
        *node = edge->to;
    }
    return true;
}

static uint32_t follow(const struct sb_vocab *v, const char *bytes, size_t size)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        const struct edge *edge = find_edge(v, node, (unsigned char)bytes[i]);
        if (!edge->key)
            return UINT32_MAX;
        node = edge->to;
    }
    return node;
}

static bool add_tokens(struct sb_vocab *v, const char *const *tokens, const size_t *sizes, const char *prefix)
{
    size_t total = 0;
    uint32_t node;
    for (size_t i = 0; i < v->count; i++)
        total += sizes[i] + 1;
    v->text = malloc(total + 1);
    v->starts = calloc(v->count + 1, sizeof *v->starts);
    if (!v->text || !v->starts || !grow_edges(v) || !new_node(v, &node))
        return false;
    for (size_t i = 0, at = 0; i < v->count; i++) {
        if (sizes[i])
            memcpy(v->text + at, tokens[i], sizes[i]);
        v->text[at + sizes[i]] = '\0';
        v->starts[i] = at;
        at += sizes[i] + 1;
        if (!make_path(v, tokens[i], sizes[i], &node))
            return false;
        v->ids[node] = (int32_t)i;
    }
    uint32_t root = follow(v, prefix, strlen(prefix));
    v->continuation_root = root == UINT32_MAX ? 0 : root;
    return true;
}

enum sb_status sb_vocab_new(struct sb_vocab **vocab, const char *const *tokens, const size_t *sizes, size_t count,
                            const char *prefix, struct sb_error *error)
{
    *vocab = NULL;
    if (count < 1 || count > MAX_TOKENS)
        return sb_fail(error, SB_INVALID, "vocabulary: %zu tokens; 1 to %d are allowed", count, MAX_TOKENS);
    struct sb_vocab *v = calloc(1, sizeof *v);
    if (v)
        v->count = count;
    if (!v || !add_tokens(v, tokens, sizes, prefix)) {
        bool too_large = v && v->nodes == MAX_NODES;
        sb_vocab_free(v);
        if (too_large)
            return sb_fail(error, SB_LIMIT, "vocabulary: its %zu tokens have more than %d different beginnings", count,
                           MAX_NODES);
        return sb_fail(error, SB_NO_MEMORY, "vocabulary: no memory for %zu tokens", count);
    }
    *vocab = v;
    return SB_OK;
}

/* The first word of a line, as the reference reads it (Python's str.split). */
static void first_word(const char **token, size_t *size, const char *line, size_t length)
{
    size_t at = 0, start = 0;
    bool inside = false;
    *token = line;
    *size = 0;
    while (at < length) {
        size_t before = at;
        int32_t c = sb_utf8_next(line, length, &at);
        bool space = c >= 0 && sb_char_is_python_space(c);
        if (space && inside)
            break;
        if (!space && !inside) {
            inside = true;
            start = before;
        }
        if (inside)
            *size = at - start;
    }
    *token = line + start;
}

enum sb_status sb_vocab_parse(struct sb_vocab **vocab, const char *data, size_t size, struct sb_error *error)
{
    size_t lines = 1, count = 0;
    *vocab = NULL;
    if (memchr(data, '\0', size))
        return sb_fail(error, SB_CORRUPT, "holds a NUL byte; it is not a vocabulary");
    size_t bad;
    if (!sb_utf8_valid(data, size, &bad))
        return sb_fail(error, SB_CORRUPT, "malformed UTF-8 at byte %zu", bad);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    const char **tokens = malloc(lines * sizeof *tokens);
    size_t *sizes = malloc(lines * sizeof *sizes);
    enum sb_status status = tokens && sizes ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu lines", lines);
    for (size_t at = 0; status == SB_OK && at < size; count++) {
        const char *end = memchr(data + at, '\n', size - at);
        size_t length = end ? (size_t)(end - (data + at)) : size - at;
        first_word(&tokens[count], &sizes[count], data + at, length);
        at += length + 1;
    }
    if (status == SB_OK)
        status = sb_vocab_new(vocab, tokens, sizes, count, "##", error);
    free(tokens);
    free(sizes);
    return status;
}

enum sb_status sb_vocab_read(struct sb_vocab **vocab, const char *path, struct sb_error *error)
{
    char *data;
    size_t size;
    *vocab = NULL;
    enum sb_status status = sb_read_file(&data, &size, path, MAX_VOCAB_BYTES, error);
    if (status != SB_OK)
        return status;
    status = sb_vocab_parse(vocab, data, size, error);
    if (status != SB_OK)
        sb_fail_context(error, status, "%s", path);
    free(data);
    return status;
}

void sb_vocab_free(struct sb_vocab *vocab)
{
    if (!vocab)
        return;
    free(vocab->text);
    free(vocab->starts);
    free(vocab->edges);
    free(vocab->ids);
    free(vocab);
}

int32_t sb_vocab_size(const struct sb_vocab *vocab)
{
    return (int32_t)vocab->count;
}

const char *sb_vocab_token(const struct sb_vocab *vocab, int32_t id)
{
    return id >= 0 && (size_t)id < vocab->count ? vocab->text + vocab->starts[id] : "";
}

int32_t sb_vocab_id(const struct sb_vocab *vocab, const char *token, size_t size)
{
    uint32_t node = follow(vocab, token, size);
    return node == UINT32_MAX ? -1 : vocab->ids[node];
}

int32_t sb_vocab_longest(const struct sb_vocab *vocab, const char *word, size_t size, int continues, size_t *length)
{
    uint32_t node = continues ? vocab->continuation_root : 0;
    int32_t id = -1;
    *length = 0;
    if (continues && node == 0)
        return -1;
    for (size_t i = 0; i < size;) {
        const struct edge *edge = find_edge(vocab, node, (unsigned char)word[i]);
        if (!edge->key)
            break;
        node = edge->to;
        i++;
        bool whole_character = i == size || ((unsigned char)word[i] & 0xC0) != 0x80;
        if (vocab->ids[node] >= 0 && whole_character) {
            id = vocab->ids[node];
            *length = i;
        }
    }
    return id;
}
