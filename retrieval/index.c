#include "retrieval/index.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64, TEXTS_WORTH_CLOSING_UP = 1 << 20 };

struct record {
    uint32_t id_size, text_size, metadata_size;
};

bool sb_index_lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* glibc's default lets readers starve a writer */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    bool made = pthread_rwlock_init(lock, &attributes) == 0;
    pthread_rwlockattr_destroy(&attributes);
    return made;
}

bool sb_index_init(struct sb_index *index, enum sb_vectors form, size_t dimensions)
{
    *index = (struct sb_index){.matrix = {.form = form, .dimensions = dimensions}, .hash_key = sb_random_fresh_seed()};
    pthread_mutex_init(&index->lexical_lock, NULL);
    return sb_index_lock_init(&index->lock);
}

/* It is made anew when it is next asked for. */
static void drop_lexical(struct sb_index *index)
{
    sb_lexical_free(index->lexical);
    index->lexical = NULL;
}

void sb_index_clear(struct sb_index *index)
{
    drop_lexical(index);
    sb_matrix_free(&index->matrix);
    sb_region_free(&index->texts);
    free(index->places);
    free(index->sequences);
    free(index->slots);
    index->places = NULL;
    index->sequences = NULL;
    index->slots = NULL;
    index->rows = index->capacity = index->live = index->slot_mask = index->texts_size = index->texts_dead = 0;
    index->epoch++;
}

void sb_index_free(struct sb_index *index)
{
    sb_index_clear(index);
    pthread_mutex_destroy(&index->lexical_lock);
    pthread_rwlock_destroy(&index->lock);
}

void sb_index_swap(struct sb_index *a, struct sb_index *b)
{
    drop_lexical(a);
    drop_lexical(b);
    struct sb_index old = *a;
    uint64_t epoch = a->epoch > b->epoch ? a->epoch + 1 : b->epoch + 1;
    a->matrix = b->matrix;
    a->places = b->places;
    a->sequences = b->sequences;
    a->rows = b->rows;
    a->capacity = b->capacity;
    a->live = b->live;
    a->texts = b->texts;
    a->texts_size = b->texts_size;
    a->texts_dead = b->texts_dead;
    a->slots = b->slots;
    a->slot_mask = b->slot_mask;
    a->hash_key = b->hash_key;
    b->matrix = old.matrix;
    b->places = old.places;
    b->sequences = old.sequences;
    b->rows = old.rows;
    b->capacity = old.capacity;
    b->live = old.live;
    b->texts = old.texts;
    b->texts_size = old.texts_size;
    b->texts_dead = old.texts_dead;
    b->slots = old.slots;
    b->slot_mask = old.slot_mask;
    b->hash_key = old.hash_key;
    a->epoch = b->epoch = epoch;
}

/* ---- records ---- */

static bool has_metadata(const struct sb_sentence *sentence)
{
    return sentence->metadata && strcmp(sentence->metadata, "{}") != 0;
}

size_t sb_index_record_size(const struct sb_sentence *s)
{
    return sizeof(struct record) + strlen(s->id) + 1 + s->text_size + 1 +
           (has_metadata(s) ? strlen(s->metadata) + 1 : 0);
}

static size_t record_size(const struct record *r)
{
    return sizeof *r + r->id_size + 1 + r->text_size + 1 + (r->metadata_size ? r->metadata_size + 1 : 0);
}

static const char *record_at(const struct sb_index *index, uint64_t place, struct record *record)
{
    const char *at = (const char *)index->texts.data + place - 1;
    memcpy(record, at, sizeof *record);
    return at + sizeof *record;
}

static uint64_t append_record(struct sb_index *index, const struct sb_sentence *s)
{
    struct record record = {(uint32_t)strlen(s->id), (uint32_t)s->text_size,
                            has_metadata(s) ? (uint32_t)strlen(s->metadata) : 0};
    char *at = (char *)index->texts.data + index->texts_size;
    uint64_t place = index->texts_size + 1;
    memcpy(at, &record, sizeof record);
    at += sizeof record;
    memcpy(at, s->id, record.id_size + 1);
    at += record.id_size + 1;
    memcpy(at, s->text, record.text_size);
    at[record.text_size] = '\0';
    if (record.metadata_size)
        memcpy(at + record.text_size + 1, s->metadata, record.metadata_size + 1);
    index->texts_size += record_size(&record);
    return place;
}

struct sb_sentence sb_index_sentence(const struct sb_index *index, size_t row)
{
    struct record record;
    const char *id = record_at(index, index->places[row], &record), *text = id + record.id_size + 1;
    return (struct sb_sentence){.id = id,
                                .text = text,
                                .text_size = record.text_size,
                                .metadata = record.metadata_size ? text + record.text_size + 1 : "{}"};
}

static const char *row_id(const struct sb_index *index, size_t row)
{
    struct record record;
    return record_at(index, index->places[row], &record);
}

/* Marks a row's record as dead. */
static void bury_record(struct sb_index *index, size_t row)
{
    if (index->lexical && !sb_lexical_forget(index->lexical, row))
        drop_lexical(index);
    struct record record;
    record_at(index, index->places[row], &record);
    index->texts_dead += record_size(&record);
}

/* Copies the live records into a new region. Without memory for it everything stays as it is. */
static void close_up_texts(struct sb_index *index)
{
    struct sb_region texts = {0};
    size_t size = 0;
    if (!sb_region_reserve(&texts, index->texts_size - index->texts_dead + 1))
        return;
    for (size_t row = 0; row < index->rows; row++) {
        struct record record;
        if (!index->places[row])
            continue;
        record_at(index, index->places[row], &record);
        memcpy((char *)texts.data + size, (const char *)index->texts.data + index->places[row] - 1,
               record_size(&record));
        index->places[row] = size + 1;
        size += record_size(&record);
    }
    sb_region_free(&index->texts);
    index->texts = texts;
    index->texts_size = size;
    index->texts_dead = 0;
}

/* ---- the hash table ---- */

/* Keyed, because ids are chosen outside: nobody who does not know the key can make many of them meet in one slot.
   Chains eight bytes at a time through the generator's permutation, beginning with the length. */
static size_t hash_id(const struct sb_index *index, const char *id)
{
    size_t length = strlen(id);
    uint64_t h = length;
    for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
        uint64_t part = 0;
        uint32_t words[4];
        memcpy(&part, id + at, length - at < sizeof part ? length - at : sizeof part);
        sb_random_words(words, index->hash_key, h, part);
        h = (uint64_t)words[1] << 32 | words[0];
    }
    return (size_t)h;
}

/* The slot that holds the id, or the empty one where it would go. */
static size_t find_slot(const struct sb_index *index, const char *id)
{
    size_t slot = hash_id(index, id) & index->slot_mask;
    while (index->slots[slot] && strcmp(row_id(index, index->slots[slot] - 1), id) != 0)
        slot = (slot + 1) & index->slot_mask;
    return slot;
}

int64_t sb_index_find(const struct sb_index *index, const char *id)
{
    if (!index->slots)
        return SB_NO_ROW;
    return (int64_t)index->slots[find_slot(index, id)] - 1;
}

static void fill_slots(struct sb_index *index)
{
    memset(index->slots, 0, (index->slot_mask + 1) * sizeof *index->slots);
    for (size_t row = 0; row < index->rows; row++)
        if (index->places[row])
            index->slots[find_slot(index, row_id(index, row))] = (uint32_t)(row + 1);
}

/* What was probed past the hole moves up, so that it is still found. */
static void empty_slot(struct sb_index *index, size_t hole)
{
    index->slots[hole] = 0;
    for (size_t slot = (hole + 1) & index->slot_mask; index->slots[slot]; slot = (slot + 1) & index->slot_mask) {
        uint32_t moved = index->slots[slot];
        index->slots[slot] = 0;
        index->slots[find_slot(index, row_id(index, moved - 1))] = moved;
    }
}

/* ---- rows ---- */

static bool reserve_rows(struct sb_index *index, size_t wanted)
{
    size_t capacity = index->capacity ? index->capacity : FIRST_CAPACITY;
    while (capacity < wanted)
        capacity *= 2;
    uint64_t *places = realloc(index->places, capacity * sizeof *places);
    if (places)
        index->places = places;
    int64_t *sequences = realloc(index->sequences, capacity * sizeof *sequences);
    if (sequences)
        index->sequences = sequences;
    uint32_t *slots = malloc(2 * capacity * sizeof *slots); /* at most half full */
    if (!places || !sequences || !slots || !sb_matrix_reserve(&index->matrix, wanted)) {
        free(slots);
        return false;
    }
    free(index->slots);
    index->slots = slots;
    index->slot_mask = 2 * capacity - 1;
    index->capacity = capacity;
    fill_slots(index);
    return true;
}

bool sb_index_reserve(struct sb_index *index, size_t more, size_t bytes)
{
    size_t wanted, texts;
    if (__builtin_add_overflow(index->rows, more, &wanted) || wanted >= UINT32_MAX / 2 ||
        __builtin_add_overflow(index->texts_size, bytes, &texts))
        return false;
    if (!sb_region_reserve(&index->texts, texts + 1))
        return false;
    return wanted <= index->capacity ? sb_matrix_reserve(&index->matrix, wanted) : reserve_rows(index, wanted);
}

size_t sb_index_put(struct sb_index *index, const struct sb_sentence *sentence, const void *stored, int64_t sequence)
{
    size_t slot = find_slot(index, sentence->id), row;
    if (index->slots[slot]) {
        row = index->slots[slot] - 1;
        bury_record(index, row);
    } else {
        row = index->rows++;
        index->slots[slot] = (uint32_t)(row + 1);
        index->sequences[row] = sequence;
        index->live++;
    }
    index->places[row] = append_record(index, sentence);
    sb_matrix_put(&index->matrix, row, stored);
    return row;
}

static void close_up(struct sb_index *index)
{
    size_t kept = 0;
    for (size_t row = 0; row < index->rows; row++) {
        if (!index->places[row])
            continue;
        index->places[kept] = index->places[row];
        index->sequences[kept] = index->sequences[row];
        sb_matrix_move(&index->matrix, kept, row);
        kept++;
    }
    index->rows = kept;
    index->epoch++;
    drop_lexical(index);
    fill_slots(index);
}

int64_t sb_index_remove(struct sb_index *index, const char *id)
{
    int64_t row = sb_index_find(index, id);
    if (row == SB_NO_ROW)
        return SB_NO_ROW;
    empty_slot(index, find_slot(index, id));
    bury_record(index, (size_t)row);
    index->places[row] = 0;
    index->live--;
    return row;
}

void sb_index_tidy(struct sb_index *index)
{
    if (index->rows > FIRST_CAPACITY && 2 * index->live < index->rows)
        close_up(index);
    if (index->texts_dead > TEXTS_WORTH_CLOSING_UP && 2 * index->texts_dead > index->texts_size)
        close_up_texts(index);
}
