/*
 * A trie over token ids. Its edges stand in one hash table with open addressing: (node, token) -> node. Node 0 is the
 * root, so a free place is one whose edge leads to it.
 */
#include "training/word_list.h"

#include "base/file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1 << 12, MAX_TOKENS = 64 };

struct edge {
    uint32_t from;
    int32_t token;
    uint32_t to; /* 0: free */
};

struct sb_word_list {
    struct edge *edges; /* [capacity], a power of two, at most half of them taken */
    size_t capacity, edge_count;
    uint8_t *ends; /* [capacity / 2 + 1] of nodes: a word ends here */
    size_t count;
};

static size_t place_of(const struct sb_word_list *w, uint32_t from, int32_t token)
{
    uint64_t key = ((uint64_t)from << 32 | (uint32_t)token) * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
    size_t at = (size_t)(key >> 20) & (w->capacity - 1);
    while (w->edges[at].to && (w->edges[at].from != from || w->edges[at].token != token))
        at = (at + 1) & (w->capacity - 1);
    return at;
}

static bool grow(struct sb_word_list *w)
{
    struct sb_word_list larger = *w;
    larger.capacity = w->capacity ? 2 * w->capacity : FIRST_CAPACITY;
    larger.edges = calloc(larger.capacity, sizeof *larger.edges);
    larger.ends = calloc(larger.capacity / 2 + 1, 1);
    if (!larger.edges || !larger.ends) {
        free(larger.edges);
        free(larger.ends);
        return false;
    }
    for (size_t i = 0; i < w->capacity; i++)
        if (w->edges[i].to)
            larger.edges[place_of(&larger, w->edges[i].from, w->edges[i].token)] = w->edges[i];
    if (w->ends)
        memcpy(larger.ends, w->ends, w->edge_count + 1);
    free(w->edges);
    free(w->ends);
    *w = larger;
    return true;
}

static bool add_word(struct sb_word_list *w, const int32_t *ids, size_t count)
{
    uint32_t node = 0;
    for (size_t i = 0; i < count; i++) {
        if (w->edge_count == w->capacity / 2 && !grow(w))
            return false;
        struct edge *edge = &w->edges[place_of(w, node, ids[i])];
        if (!edge->to)
            *edge = (struct edge){node, ids[i], (uint32_t)++w->edge_count};
        node = edge->to;
    }
    w->count += !w->ends[node];
    w->ends[node] = 1;
    return true;
}

/* [CLS] word [SEP] without the ends, if all of it is known and it has more than one token. */
static bool is_word(const struct sb_encoding *encoding, const struct sb_special_ids *special)
{
    bool known = encoding->length >= 4 && encoding->length <= MAX_TOKENS + 2;
    for (size_t i = 1; known && i + 1 < encoding->length; i++)
        known = encoding->ids[i] != special->unk;
    return known;
}

static enum sb_status read_words(struct sb_word_list *w, const char *text, size_t size, const char *path,
                                 const struct sb_tokenizer *tokenizer, struct sb_error *error)
{
    const struct sb_special_ids special = sb_tokenizer_special(tokenizer);
    struct sb_encoding encoding = {0};
    enum sb_status status = SB_OK;
    size_t line = 0;
    for (const char *at = text, *end = text + size, *stop; status == SB_OK && at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        line++;
        size_t length = 0;
        while (at + length < stop && !strchr(" \t\r", at[length]))
            length++;
        status = sb_tokenizer_encode(tokenizer, &encoding, at, length, NULL, 0, 0, error);
        if (status != SB_OK)
            sb_fail_context(error, status, "%s:%zu", path, line);
        else if (is_word(&encoding, &special) && !add_word(w, encoding.ids + 1, encoding.length - 2))
            status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for its words", path);
    }
    sb_encoding_free(&encoding);
    if (status == SB_OK && w->count == 0)
        status = sb_fail(error, SB_INVALID, "%s: no line is a word of several tokens that the vocabulary has", path);
    return status;
}

enum sb_status sb_word_list_open(struct sb_word_list **words, const char *path, const struct sb_tokenizer *tokenizer,
                                 struct sb_error *error)
{
    char *text = NULL;
    size_t size = 0;
    *words = NULL;
    enum sb_status status = sb_read_file(&text, &size, path, SB_WORD_LIST_MAX_BYTES, error);
    if (status != SB_OK)
        return status;
    struct sb_word_list *w = calloc(1, sizeof *w);
    if (w && grow(w))
        status = read_words(w, text, size, path, tokenizer, error);
    else
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for its words", path);
    free(text);
    if (status == SB_OK)
        *words = w;
    else
        sb_word_list_free(w);
    return status;
}

void sb_word_list_free(struct sb_word_list *words)
{
    if (!words)
        return;
    free(words->edges);
    free(words->ends);
    free(words);
}

size_t sb_word_list_count(const struct sb_word_list *words)
{
    return words->count;
}

size_t sb_word_list_match(const struct sb_word_list *w, const int32_t *ids, size_t count)
{
    size_t longest = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < count; i++) {
        node = w->edges[place_of(w, node, ids[i])].to;
        if (!node)
            break;
        if (w->ends[node])
            longest = i + 1;
    }
    return longest;
}
