/*
 * pytorch_model.bin as torch.save wrote it before 1.6, and still does where it is told not to write a zip file:
 *
 *     | magic | pickle: 1001 | pickle: {"little_endian": True, ...} | pickle: the dictionary of tensors | pickle: [KEY, ...] |
 *     | u64 elements, their bytes: the storage of the first KEY | that of the second | ...
 *
 * How many bytes an element has is said only by the persistent ids in the dictionary.
 */
#include "weights/pytorch_impl.h"

#include "weights/bytes_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The number 0x1950a86a20f9469cfc6c, pickled. */
static const uint8_t magic[] = {0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.'};

enum { FORMAT_VERSION = 1001 };

struct cursor {
    const char *file;
    const uint8_t *data;
    size_t size, at;
    const struct sb_pickle_global *allowed;
    size_t allowed_count;
};

bool sb_pytorch_is_legacy(const void *data, size_t size)
{
    return size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

/* The pickle at the cursor, which moves behind it. Free it with sb_pickle_free, also after a failure. */
static enum sb_status next_pickle(struct sb_pickle *pickle, struct cursor *c, struct sb_error *error)
{
    size_t left = c->size - c->at;
    enum sb_status status =
        sb_pickle_read(pickle, c->file, c->data + c->at, left < SB_PICKLE_MAX_BYTES ? left : SB_PICKLE_MAX_BYTES,
                       c->allowed, c->allowed_count, error);
    if (status == SB_OK)
        c->at += pickle->size;
    return status;
}

static enum sb_status read_version(struct cursor *c, struct sb_error *error)
{
    struct sb_pickle pickle;
    enum sb_status status = next_pickle(&pickle, c, error);
    if (status != SB_OK)
        return status;
    const struct sb_pickle_value *version = &pickle.values[pickle.root];
    if (version->kind != SB_PICKLE_INT || version->integer != FORMAT_VERSION)
        status = sb_fail(error, SB_UNSUPPORTED, "%s is of another version of torch.save's old format than %d", c->file,
                         FORMAT_VERSION);
    sb_pickle_free(&pickle);
    return status;
}

static enum sb_status read_machine(struct cursor *c, struct sb_error *error)
{
    struct sb_pickle pickle;
    enum sb_status status = next_pickle(&pickle, c, error);
    if (status != SB_OK)
        return status;
    const struct sb_pickle_value *root = &pickle.values[pickle.root];
    bool is_little = false;
    for (int32_t i = root->kind == SB_PICKLE_DICT ? root->first : SB_PICKLE_NOTHING; i != SB_PICKLE_NOTHING;
         i = pickle.items[i].next) {
        const struct sb_pickle_value *value = &pickle.values[pickle.items[i].value];
        if (sb_pickle_text_is(&pickle.values[pickle.items[i].key], "little_endian"))
            is_little = value->kind == SB_PICKLE_BOOL && value->integer;
    }
    if (!is_little)
        status = sb_fail(error, SB_UNSUPPORTED,
                         "%s was written on a machine whose byte order is not little-endian, or does not say which",
                         c->file);
    sb_pickle_free(&pickle);
    return status;
}

/* The persistent ids of the dictionary, to be looked up by key. */
struct ids {
    struct sb_storage_id *items;
    size_t count;
};

static int compare_ids(const void *a, const void *b)
{
    const struct sb_storage_id *first = a, *second = b;
    if (first->key_size != second->key_size)
        return first->key_size < second->key_size ? -1 : 1;
    return memcmp(first->key, second->key, first->key_size);
}

static enum sb_status list_ids(struct ids *ids, const struct sb_pickle *state, const char *file, struct sb_error *error)
{
    ids->items = calloc(state->value_count + 1, sizeof *ids->items);
    if (!ids->items)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for the storages", file);
    for (size_t i = 0; i < state->value_count; i++)
        ids->count += sb_storage_id(&ids->items[ids->count], state, &state->values[i]);
    if (ids->count > 1)
        qsort(ids->items, ids->count, sizeof *ids->items, compare_ids);
    return SB_OK;
}

/* The storage at the cursor, whose key is this. */
static enum sb_status read_storage(struct sb_zip_entry *entry, struct cursor *c, const struct ids *ids,
                                   const struct sb_pickle_value *key, struct sb_error *error)
{
    if (key->kind != SB_PICKLE_STRING || key->size > SB_STORAGE_KEY_MAX)
        return sb_fail(error, SB_CORRUPT, "%s: a storage's key is not a string of at most %d bytes", c->file,
                       SB_STORAGE_KEY_MAX);
    const struct sb_storage_id wanted = {.key = key->text, .key_size = key->size}, *id = NULL;
    if (ids->count > 0)
        id = bsearch(&wanted, ids->items, ids->count, sizeof *ids->items, compare_ids);
    if (!id)
        return sb_fail(error, SB_CORRUPT, "%s: no tensor says of which type storage %.*s is", c->file, (int)key->size,
                       key->text);
    if (c->size - c->at < sizeof(uint64_t))
        return sb_fail(error, SB_CORRUPT, "%s is truncated: storage %.*s is not there", c->file, (int)key->size,
                       key->text);
    uint64_t elements = sb_load_u64(c->data + c->at);
    c->at += sizeof elements;
    if (elements > (c->size - c->at) / id->type->size)
        return sb_fail(error, SB_CORRUPT,
                       "%s: storage %.*s claims %" PRIu64 " elements of %s, but %zu bytes are left: it is truncated",
                       c->file, (int)key->size, key->text, elements, id->type->name, c->size - c->at);
    *entry = (struct sb_zip_entry){
        .name = id->key, .name_size = id->key_size, .data = c->data + c->at, .size = (size_t)elements * id->type->size};
    c->at += entry->size;
    return SB_OK;
}

static enum sb_status read_storages(struct sb_zip *storages, struct cursor *c, const struct sb_pickle *state,
                                    struct sb_error *error)
{
    struct sb_pickle keys = {0};
    struct ids ids = {0};
    enum sb_status status = next_pickle(&keys, c, error);
    if (status == SB_OK)
        status = list_ids(&ids, state, c->file, error);
    if (status != SB_OK)
        goto cleanup;
    const struct sb_pickle_value *list = &keys.values[keys.root];
    if (list->kind != SB_PICKLE_LIST) {
        status = sb_fail(error, SB_CORRUPT, "%s: the keys of the storages are not a list", c->file);
        goto cleanup;
    }
    storages->entries = calloc((size_t)list->count + 1, sizeof *storages->entries);
    if (!storages->entries) {
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for %" PRIu32 " storages", c->file, list->count);
        goto cleanup;
    }
    for (int32_t i = list->first; i != SB_PICKLE_NOTHING && status == SB_OK; i = keys.items[i].next)
        status = read_storage(&storages->entries[storages->count++], c, &ids, &keys.values[keys.items[i].value], error);
    if (status == SB_OK)
        status = sb_zip_sort(storages, c->file, error);
cleanup:
    free(ids.items);
    sb_pickle_free(&keys);
    return status;
}

enum sb_status sb_pytorch_read_legacy(struct sb_pickle *state, struct sb_zip *storages, const char *file,
                                      const void *data, size_t size, const struct sb_pickle_global *allowed,
                                      size_t allowed_count, struct sb_error *error)
{
    struct cursor c = {.file = file,
                       .data = data,
                       .size = size,
                       .at = sizeof magic,
                       .allowed = allowed,
                       .allowed_count = allowed_count};
    *state = (struct sb_pickle){0};
    *storages = (struct sb_zip){0};
    enum sb_status status = read_version(&c, error);
    if (status == SB_OK)
        status = read_machine(&c, error);
    if (status == SB_OK)
        status = next_pickle(state, &c, error);
    return status == SB_OK ? read_storages(storages, &c, state, error) : status;
}
