#include "retrieval/index.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

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

bool sb_index_init(struct sb_index *index, size_t dimensions)
{
    *index = (struct sb_index){.dimensions = dimensions, .hash_key = sb_random_fresh_seed()};
    return sb_index_lock_init(&index->lock);
}

void sb_index_clear(struct sb_index *index)
{
    for (size_t i = 0; i < index->rows; i++)
        free(index->items[i]);
    free(index->items);
    free(index->matrix);
    free(index->slots);
    index->items = NULL;
    index->matrix = NULL;
    index->slots = NULL;
    index->rows = index->capacity = index->live = index->slot_mask = 0;
}

void sb_index_free(struct sb_index *index)
{
    sb_index_clear(index);
    pthread_rwlock_destroy(&index->lock);
}

struct sb_item *sb_item_new(const struct sb_sentence *sentence)
{
    const char *metadata = sentence->metadata ? sentence->metadata : "{}";
    size_t id_size = strlen(sentence->id), metadata_size = strlen(metadata);
    struct sb_item *item = malloc(sizeof *item + id_size + sentence->text_size + metadata_size + 3);
    if (!item)
        return NULL;
    *item = (struct sb_item){id_size, sentence->text_size, metadata_size};
    char *at = item->strings;
    memcpy(at, sentence->id, id_size + 1);
    at += id_size + 1;
    memcpy(at, sentence->text, sentence->text_size);
    at[sentence->text_size] = '\0';
    memcpy(at + sentence->text_size + 1, metadata, metadata_size + 1);
    return item;
}

const char *sb_item_id(const struct sb_item *item)
{
    return item->strings;
}

const char *sb_item_text(const struct sb_item *item)
{
    return item->strings + item->id_size + 1;
}

const char *sb_item_metadata(const struct sb_item *item)
{
    return sb_item_text(item) + item->text_size + 1;
}

struct sb_sentence sb_item_sentence(const struct sb_item *item)
{
    return (struct sb_sentence){.id = sb_item_id(item),
                                .text = sb_item_text(item),
                                .text_size = item->text_size,
                                .metadata = sb_item_metadata(item)};
}

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
    while (index->slots[slot] && strcmp(sb_item_id(index->items[index->slots[slot] - 1]), id) != 0)
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
        if (index->items[row])
            index->slots[find_slot(index, sb_item_id(index->items[row]))] = (uint32_t)(row + 1);
}

bool sb_index_reserve(struct sb_index *index, size_t more)
{
    size_t wanted;
    if (__builtin_add_overflow(index->rows, more, &wanted) || wanted >= UINT32_MAX / 2)
        return false;
    if (wanted <= index->capacity)
        return true;
    size_t capacity = index->capacity ? index->capacity : FIRST_CAPACITY;
    while (capacity < wanted)
        capacity *= 2;
    struct sb_item **items = realloc(index->items, capacity * sizeof *items);
    if (items)
        index->items = items;
    float *matrix = realloc(index->matrix, capacity * index->dimensions * sizeof *matrix);
    if (matrix)
        index->matrix = matrix;
    uint32_t *slots = malloc(2 * capacity * sizeof *slots); /* at most half full */
    if (!items || !matrix || !slots) {
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

void sb_index_put(struct sb_index *index, struct sb_item *item, const float *vector)
{
    size_t slot = find_slot(index, sb_item_id(item)), row;
    if (index->slots[slot]) {
        row = index->slots[slot] - 1;
        free(index->items[row]);
    } else {
        row = index->rows++;
        index->slots[slot] = (uint32_t)(row + 1);
        index->live++;
    }
    index->items[row] = item;
    memcpy(index->matrix + row * index->dimensions, vector, index->dimensions * sizeof *vector);
}

static void close_up(struct sb_index *index)
{
    size_t kept = 0;
    for (size_t row = 0; row < index->rows; row++) {
        if (!index->items[row])
            continue;
        index->items[kept] = index->items[row];
        if (kept != row)
            memcpy(index->matrix + kept * index->dimensions, index->matrix + row * index->dimensions,
                   index->dimensions * sizeof *index->matrix);
        kept++;
    }
    index->rows = kept;
}

bool sb_index_remove(struct sb_index *index, const char *id)
{
    int64_t row = sb_index_find(index, id);
    if (row == SB_NO_ROW)
        return false;
    size_t hole = find_slot(index, id);
    free(index->items[row]);
    index->items[row] = NULL;
    index->live--;
    index->slots[hole] = 0;
    /* What was probed past the hole moves up, so that it is still found. */
    for (size_t slot = (hole + 1) & index->slot_mask; index->slots[slot]; slot = (slot + 1) & index->slot_mask) {
        uint32_t moved = index->slots[slot];
        index->slots[slot] = 0;
        index->slots[find_slot(index, sb_item_id(index->items[moved - 1]))] = moved;
    }
    if (index->rows > FIRST_CAPACITY && 2 * index->live < index->rows) {
        close_up(index);
        fill_slots(index);
    }
    return true;
}
