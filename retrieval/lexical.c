#include "retrieval/lexical.h"

#include "retrieval/index.h"
#include "retrieval/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_SLOTS = 1024,
    FIRST_BYTES = 8,
    MOST_FREQUENCY = UINT8_MAX,
    FEW_DEAD = 1024,
};

/* Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009, and their usual values. */
static const double K1 = 1.2, B = 0.75;

/* A term's postings. bytes: for each document varint(2 * difference to the one before + (frequency > 1)), and in that
   case the frequency in a byte. Documents count from 1 here, so that no difference is 0. */
struct list {
    sb_term term; /* 0: an empty slot */
    uint8_t *bytes;
    uint32_t size, capacity, last, documents;
};

struct sb_lexical {
    struct list *slots; /* hash table, linear probing, at most half full */
    size_t slot_mask, terms;
    uint32_t *rows;    /* [documents]: where a document is, UINT32_MAX: dead */
    uint16_t *lengths; /* [documents]: terms */
    size_t documents, capacity, dead;
    uint64_t length;  /* of all live documents */
    uint32_t *of_row; /* [row_count]: the row's document + 1, 0: none */
    size_t row_count, row_capacity;
    uint32_t *stale; /* rows below row_count that are to be added again */
    size_t stale_count, stale_capacity;
    size_t bytes; /* of the postings */
};

struct sb_lexical *sb_lexical_new(void)
{
    struct sb_lexical *l = calloc(1, sizeof *l);
    struct list *slots = calloc(FIRST_SLOTS, sizeof *slots);
    if (!l || !slots) {
        free(l);
        free(slots);
        return NULL;
    }
    l->slots = slots;
    l->slot_mask = FIRST_SLOTS - 1;
    return l;
}

void sb_lexical_free(struct sb_lexical *lexical)
{
    if (!lexical)
        return;
    for (size_t i = 0; i <= lexical->slot_mask; i++)
        free(lexical->slots[i].bytes);
    free(lexical->slots);
    free(lexical->rows);
    free(lexical->lengths);
    free(lexical->of_row);
    free(lexical->stale);
    free(lexical);
}

size_t sb_lexical_documents(const struct sb_lexical *lexical)
{
    return lexical->documents;
}

int64_t sb_lexical_row(const struct sb_lexical *lexical, size_t document)
{
    return lexical->rows[document] == UINT32_MAX ? SB_LEXICAL_DEAD : (int64_t)lexical->rows[document];
}

size_t sb_lexical_bytes(const struct sb_lexical *lexical)
{
    return lexical->bytes + (lexical->slot_mask + 1) * sizeof *lexical->slots +
           lexical->capacity * (sizeof *lexical->rows + sizeof *lexical->lengths) +
           lexical->row_capacity * sizeof *lexical->of_row + lexical->stale_capacity * sizeof *lexical->stale;
}

/* ---- terms ---- */

/* Mixes the bits (the finalizer of MurmurHash3), since terms of neighbouring characters are neighbouring numbers. */
static size_t hash(sb_term term)
{
    term ^= term >> 33;
    term *= UINT64_C(0xFF51AFD7ED558CCD);
    return (size_t)(term ^ term >> 33);
}

static struct list *find(const struct sb_lexical *l, sb_term term)
{
    size_t slot = hash(term) & l->slot_mask;
    while (l->slots[slot].term && l->slots[slot].term != term)
        slot = (slot + 1) & l->slot_mask;
    return &l->slots[slot];
}

static bool grow_slots(struct sb_lexical *l)
{
    size_t count = l->slot_mask + 1;
    struct list *old = l->slots, *slots = calloc(2 * count, sizeof *slots);
    if (!slots)
        return false;
    l->slots = slots;
    l->slot_mask = 2 * count - 1;
    for (size_t i = 0; i < count; i++)
        if (old[i].term)
            *find(l, old[i].term) = old[i];
    free(old);
    return true;
}

/* ---- postings ---- */

static size_t put_varint(uint8_t out[5], uint32_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static uint32_t take_varint(const uint8_t **at)
{
    uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
}

static bool append(struct sb_lexical *l, sb_term term, uint32_t document, unsigned frequency)
{
    if (2 * (l->terms + 1) > l->slot_mask + 1 && !grow_slots(l))
        return false;
    struct list *list = find(l, term);
    uint8_t entry[6];
    size_t n = put_varint(entry, 2 * (document - list->last) + (frequency > 1));
    if (frequency > 1)
        entry[n++] = (uint8_t)(frequency < MOST_FREQUENCY ? frequency : MOST_FREQUENCY);
    if (list->size + n > list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity + list->capacity / 2 + 4 : FIRST_BYTES;
        uint8_t *bytes = realloc(list->bytes, capacity);
        if (!bytes)
            return false;
        l->bytes += capacity - list->capacity;
        list->bytes = bytes;
        list->capacity = capacity;
    }
    l->terms += list->term == 0;
    list->term = term;
    memcpy(list->bytes + list->size, entry, n);
    list->size += (uint32_t)n;
    list->last = document;
    list->documents++;
    return true;
}

/* ---- documents ---- */

/* A text's terms, sorted so that equal ones stand together. */
struct sorted {
    sb_term *items;
    size_t count, capacity;
};

static int by_term(const void *a, const void *b)
{
    sb_term x = *(const sb_term *)a, y = *(const sb_term *)b;
    return (x > y) - (x < y);
}

static bool sort_terms(struct sorted *sorted, const char *text, size_t size)
{
    struct sb_terms terms = sb_terms_of(text, size);
    sb_term term;
    sorted->count = 0;
    while (sb_terms_next(&terms, &term)) {
        if (sorted->count == sorted->capacity) {
            size_t capacity = 2 * sorted->capacity + 64;
            sb_term *items = realloc(sorted->items, capacity * sizeof *items);
            if (!items)
                return false;
            sorted->items = items;
            sorted->capacity = capacity;
        }
        sorted->items[sorted->count++] = term;
    }
    qsort(sorted->items, sorted->count, sizeof *sorted->items, by_term);
    return true;
}

/* How many terms from the i-th on are equal to it. */
static size_t run_length(const struct sorted *sorted, size_t i)
{
    size_t n = 1;
    while (i + n < sorted->count && sorted->items[i + n] == sorted->items[i])
        n++;
    return n;
}

static bool reserve_document(struct sb_lexical *l)
{
    if (l->documents < l->capacity)
        return true;
    size_t capacity = 2 * l->capacity + 64;
    if (capacity >= UINT32_MAX / 2)
        return false;
    uint32_t *rows = realloc(l->rows, capacity * sizeof *rows);
    if (rows)
        l->rows = rows;
    uint16_t *lengths = realloc(l->lengths, capacity * sizeof *lengths);
    if (lengths)
        l->lengths = lengths;
    if (!rows || !lengths)
        return false;
    l->capacity = capacity;
    return true;
}

static bool reserve_row(struct sb_lexical *l, size_t row)
{
    if (row < l->row_capacity)
        return true;
    size_t capacity = 2 * row + 64;
    uint32_t *of_row = realloc(l->of_row, capacity * sizeof *of_row);
    if (!of_row)
        return false;
    l->of_row = of_row;
    l->row_capacity = capacity;
    return true;
}

/* False: no memory. A document of which only some terms were stored is dead from the start. */
static bool add(struct sb_lexical *l, struct sorted *sorted, size_t row, struct sb_sentence sentence)
{
    if (!reserve_document(l) || !sort_terms(sorted, sentence.text, sentence.text_size))
        return false;
    uint32_t document = (uint32_t)l->documents++;
    l->rows[document] = UINT32_MAX;
    l->lengths[document] = (uint16_t)(sorted->count < UINT16_MAX ? sorted->count : UINT16_MAX);
    for (size_t i = 0; i < sorted->count;) {
        size_t n = run_length(sorted, i);
        if (!append(l, sorted->items[i], document + 1, (unsigned)(n < MOST_FREQUENCY ? n : MOST_FREQUENCY))) {
            l->dead++;
            return false;
        }
        i += n;
    }
    l->rows[document] = (uint32_t)row;
    l->of_row[row] = document + 1;
    l->length += l->lengths[document];
    return true;
}

bool sb_lexical_catch_up(struct sb_lexical *lexical, const struct sb_index *index, size_t most, bool *failed)
{
    struct sb_lexical *l = lexical;
    struct sorted sorted = {0};
    bool good = true;
    for (; good && most > 0 && l->stale_count > 0; most--) {
        size_t row = l->stale[l->stale_count - 1];
        if (sb_index_is_live(index, row) && !l->of_row[row])
            good = add(l, &sorted, row, sb_index_sentence(index, row));
        l->stale_count -= good;
    }
    for (; good && most > 0 && l->row_count < index->rows; most--) {
        size_t row = l->row_count;
        good = reserve_row(l, row);
        if (!good)
            break;
        l->of_row[row] = 0;
        if (sb_index_is_live(index, row))
            good = add(l, &sorted, row, sb_index_sentence(index, row));
        l->row_count += good;
    }
    free(sorted.items);
    *failed = !good;
    return l->stale_count == 0 && l->row_count >= index->rows;
}

bool sb_lexical_forget(struct sb_lexical *lexical, size_t row)
{
    struct sb_lexical *l = lexical;
    if (row >= l->row_count || !l->of_row[row])
        return true;
    uint32_t document = l->of_row[row] - 1;
    if (l->stale_count == l->stale_capacity) {
        size_t capacity = 2 * l->stale_capacity + 64;
        uint32_t *stale = realloc(l->stale, capacity * sizeof *stale);
        if (!stale)
            return false;
        l->stale = stale;
        l->stale_capacity = capacity;
    }
    l->stale[l->stale_count++] = (uint32_t)row;
    l->of_row[row] = 0;
    l->rows[document] = UINT32_MAX;
    l->length -= l->lengths[document];
    l->dead++;
    return l->dead < FEW_DEAD || 2 * l->dead < l->documents;
}

/* ---- scoring ---- */

/* Adds the frequencies of a list to counts. */
static void count_list(const struct list *list, uint16_t *counts)
{
    const uint8_t *at = list->bytes, *end = list->bytes + list->size;
    uint32_t document = 0;
    while (at < end) {
        uint32_t entry = take_varint(&at);
        document += entry / 2;
        unsigned frequency = entry % 2 ? *at++ : 1, sum = counts[document - 1] + frequency;
        counts[document - 1] = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
    }
}

struct scale {
    double live, mean_length, weight; /* weight: how often the query has the term, times its idf */
};

static double inverse_frequency(const struct scale *s, double documents)
{
    double others = s->live > documents ? s->live - documents : 0; /* the dead are among the documents of a term */
    return log(1 + (others + 0.5) / (documents + 0.5));
}

static float part(const struct scale *s, double frequency, double length)
{
    return (float)(s->weight * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length / s->mean_length)));
}

static void score_list(const struct sb_lexical *l, float *scores, const struct list *list, const struct scale *s)
{
    const uint8_t *at = list->bytes, *end = list->bytes + list->size;
    uint32_t document = 0;
    while (at < end) {
        uint32_t entry = take_varint(&at);
        document += entry / 2;
        unsigned frequency = entry % 2 ? *at++ : 1;
        scores[document - 1] += part(s, frequency, l->lengths[document - 1]);
    }
}

/* A character alone is what all its pairs have in common. */
static void score_character(const struct sb_lexical *l, float *scores, uint16_t *counts, int32_t character,
                            struct scale *s)
{
    size_t documents = 0;
    for (size_t i = 0; i <= l->slot_mask; i++)
        if (l->slots[i].term && sb_term_holds(l->slots[i].term, character))
            count_list(&l->slots[i], counts);
    for (size_t i = 0; i < l->documents; i++)
        documents += counts[i] > 0;
    s->weight *= inverse_frequency(s, (double)documents);
    for (size_t i = 0; i < l->documents; i++) {
        if (counts[i])
            scores[i] += part(s, counts[i], l->lengths[i]);
        counts[i] = 0;
    }
}

bool sb_lexical_score(const struct sb_lexical *lexical, float *scores, uint16_t *counts, const char *text, size_t size)
{
    const struct sb_lexical *l = lexical;
    struct sorted sorted = {0};
    struct scale s = {.live = (double)(l->documents - l->dead)};
    s.mean_length = s.live > 0 && l->length > 0 ? (double)l->length / s.live : 1;
    bool good = sort_terms(&sorted, text, size);
    for (size_t i = 0; good && i < sorted.count;) {
        size_t n = run_length(&sorted, i);
        const struct list *list = find(l, sorted.items[i]);
        s.weight = (double)n;
        if (sb_term_character(sorted.items[i])) {
            score_character(l, scores, counts, sb_term_character(sorted.items[i]), &s);
        } else if (list->term) {
            s.weight *= inverse_frequency(&s, list->documents);
            score_list(l, scores, list, &s);
        }
        i += n;
    }
    free(sorted.items);
    return good;
}
