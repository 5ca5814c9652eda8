#include "server/sentence_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct sb_sentence_set *set;
    const struct sb_filter *filter;
    size_t most;
    bool no_memory, too_many;
};

static bool reserve(struct sb_sentence_set *set)
{
    if (set->count < set->capacity)
        return true;
    size_t capacity = set->capacity ? 2 * set->capacity : 1024;
    float *vectors = realloc(set->vectors, capacity * set->dimensions * sizeof *vectors);
    if (vectors)
        set->vectors = vectors;
    size_t *places = realloc(set->places, capacity * sizeof *places);
    if (places)
        set->places = places;
    if (!vectors || !places)
        return false;
    set->capacity = capacity;
    return true;
}

/* What is stored in few bits has a length near 1. */
static void copy_unit(float *out, const float *vector, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++)
        square += (double)vector[i] * (double)vector[i];
    double factor = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(vector[i] * factor);
}

/* | text size | id | 0 | metadata | 0 | text | 0 | */
static void put_strings(struct sb_buffer *strings, const struct sb_sentence *s)
{
    const char *metadata = s->metadata ? s->metadata : "{}";
    sb_buffer_bytes(strings, &s->text_size, sizeof s->text_size);
    sb_buffer_bytes(strings, s->id, strlen(s->id) + 1);
    sb_buffer_bytes(strings, metadata, strlen(metadata) + 1);
    sb_buffer_bytes(strings, s->text, s->text_size);
    sb_buffer_bytes(strings, "", 1);
}

static bool take(void *context, const struct sb_sentence *sentence, size_t dimensions)
{
    struct reading *r = context;
    struct sb_sentence_set *set = r->set;
    const char *metadata = sentence->metadata ? sentence->metadata : "{}";
    if (r->filter && !sb_filter_keeps(r->filter, metadata, strlen(metadata)))
        return true;
    set->dimensions = dimensions;
    r->too_many = set->count == r->most;
    r->no_memory = !r->too_many && !reserve(set);
    if (r->too_many || r->no_memory)
        return false;
    set->places[set->count] = set->strings.length;
    put_strings(&set->strings, sentence);
    copy_unit(set->vectors + set->count++ * set->dimensions, sentence->vector, set->dimensions);
    r->no_memory = set->strings.failed;
    return !r->no_memory;
}

enum sb_status sb_sentence_set_read(struct sb_sentence_set *set, struct sb_store *store, const char *collection,
                                    const struct sb_filter *filter, size_t most, struct sb_error *error)
{
    struct reading r = {.set = set, .filter = filter, .most = most};
    *set = (struct sb_sentence_set){0};
    enum sb_status status = sb_store_visit(store, collection, take, &r, error);
    if (status == SB_OK && r.too_many)
        status = sb_fail(error, SB_LIMIT,
                         "these are more than %zu sentences, the most for this; a filter can choose some", most);
    if (status == SB_OK && r.no_memory)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a copy of the collection's sentences");
    return status;
}

void sb_sentence_set_free(struct sb_sentence_set *set)
{
    free(set->vectors);
    free(set->places);
    sb_buffer_free(&set->strings);
    *set = (struct sb_sentence_set){0};
}

struct sb_sentence sb_sentence_set_at(const struct sb_sentence_set *set, size_t i)
{
    struct sb_sentence s = {.vector = set->vectors + i * set->dimensions};
    const char *at = set->strings.data + set->places[i];
    memcpy(&s.text_size, at, sizeof s.text_size);
    s.id = at + sizeof s.text_size;
    s.metadata = s.id + strlen(s.id) + 1;
    s.text = s.metadata + strlen(s.metadata) + 1;
    return s;
}
