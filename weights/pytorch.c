/*
 * pytorch_model.bin as torch.save (1.6 and later) writes it: a zip file of
 *
 *     NAME/data.pkl   a pickled dictionary: parameter name -> _rebuild_tensor_v2(storage, offset, shape, strides, ...)
 *     NAME/data/KEY   the bytes of storage KEY; several tensors may be views of one
 *     NAME/byteorder  "little"
 *
 * A storage in the pickle is the persistent id ("storage", torch.FloatStorage, KEY, "cpu", elements). Older files hold the same in
 * another order: weights/pytorch_legacy.c.
 */
#include "weights/checkpoint_impl.h"

#include "weights/pytorch_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sb_pickle_global allowed[] = {
    {"collections", "OrderedDict", SB_PICKLE_MAKES_DICT},
    {"torch._utils", "_rebuild_tensor_v2", SB_PICKLE_IS_CALLED},
    {"torch._utils", "_rebuild_parameter", SB_PICKLE_IS_CALLED},
    {"torch", "FloatStorage", SB_PICKLE_IS_TYPE},
    {"torch", "HalfStorage", SB_PICKLE_IS_TYPE},
    {"torch", "BFloat16Storage", SB_PICKLE_IS_TYPE},
    {"torch", "DoubleStorage", SB_PICKLE_IS_TYPE},
    {"torch", "LongStorage", SB_PICKLE_IS_TYPE},
    {"torch", "IntStorage", SB_PICKLE_IS_TYPE},
    {"torch", "ShortStorage", SB_PICKLE_IS_TYPE},
    {"torch", "CharStorage", SB_PICKLE_IS_TYPE},
    {"torch", "ByteStorage", SB_PICKLE_IS_TYPE},
    {"torch", "BoolStorage", SB_PICKLE_IS_TYPE},
};

struct reader {
    struct sb_checkpoint *checkpoint;
    const char *file;
    size_t file_size;
    struct sb_zip zip; /* or the storages of an older file, by key */
    struct sb_pickle pickle;
    char root[256]; /* "NAME/" */
    bool is_legacy;
    size_t copied; /* bytes of tensors that had to be made row-major */
};

struct storage {
    const struct sb_zip_entry *entry;
    const struct sb_storage_type *type;
    size_t elements;
};

static const struct sb_pickle_value *value_at(const struct reader *r, int32_t index)
{
    return &r->pickle.values[index];
}

static bool is_call(const struct sb_pickle_value *value, const char *function)
{
    return value->kind == SB_PICKLE_CALL && strcmp(value->global->name, function) == 0;
}

/* Non-negative integers of a tuple: a shape or strides. */
static bool read_sizes(size_t *sizes, int *rank, const struct reader *r, int32_t index)
{
    int32_t items[SB_MAX_RANK];
    const struct sb_pickle_value *tuple = value_at(r, index);
    if (tuple->kind != SB_PICKLE_TUPLE || tuple->count > SB_MAX_RANK)
        return false;
    *rank = (int)sb_tuple_items(items, SB_MAX_RANK, &r->pickle, tuple);
    for (int i = 0; i < *rank; i++) {
        const struct sb_pickle_value *size = value_at(r, items[i]);
        if (size->kind != SB_PICKLE_INT || size->integer < 0)
            return false;
        sizes[i] = (size_t)size->integer;
    }
    return true;
}

static enum sb_status read_storage(struct storage *storage, const struct reader *r, const char *name, int32_t index,
                                   struct sb_error *error)
{
    struct sb_storage_id id;
    char entry_name[sizeof r->root + SB_STORAGE_KEY_MAX + 8];
    if (!sb_storage_id(&id, &r->pickle, value_at(r, index)))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" has no storage", r->file, name);
    snprintf(entry_name, sizeof entry_name, "%s%s%.*s", r->root, r->is_legacy ? "" : "data/", (int)id.key_size, id.key);
    *storage = (struct storage){.entry = sb_zip_find(&r->zip, entry_name), .type = id.type, .elements = id.elements};
    if (!storage->entry)
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" is stored in %s, which is not there", r->file, name,
                       entry_name);
    size_t bytes;
    if (__builtin_mul_overflow(storage->elements, storage->type->size, &bytes) || bytes != storage->entry->size)
        return sb_fail(error, SB_CORRUPT, "%s: %s has %zu bytes, but tensor \"%s\" claims %zu elements of %s", r->file,
                       entry_name, storage->entry->size, name, storage->elements, storage->type->name);
    return SB_OK;
}

/* The view's last element lies in the storage. */
static bool fits(const struct sb_tensor *tensor, const size_t *strides, size_t offset, size_t elements)
{
    size_t last = offset, step;
    if (tensor->count == 0)
        return true;
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(tensor->shape[i] - 1, strides[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    return last < elements;
}

static bool is_row_major(const struct sb_tensor *tensor, const size_t *strides)
{
    size_t expected = 1;
    for (int i = tensor->rank - 1; i >= 0 && tensor->count > 0; i--) {
        if (tensor->shape[i] != 1 && strides[i] != expected)
            return false;
        expected *= tensor->shape[i];
    }
    return true;
}

/* dst gets the view's elements in row-major order. */
static void copy_view(char *dst, const char *src, const struct sb_tensor *tensor, const size_t *strides,
                      size_t element_size)
{
    size_t at[SB_MAX_RANK] = {0}, offset = 0;
    for (size_t n = 0; n < tensor->count; n++) {
        memcpy(dst + n * element_size, src + offset * element_size, element_size);
        for (int i = tensor->rank - 1; i >= 0; i--) {
            offset += strides[i];
            if (++at[i] < tensor->shape[i])
                break;
            offset -= at[i] * strides[i];
            at[i] = 0;
        }
    }
}

/* Weights that came from TensorFlow are often stored as transposed views. Copies may take as much as the file, not
   more: views that repeat elements could ask for any amount. */
static enum sb_status make_row_major(struct reader *r, struct sb_tensor *tensor, const size_t *strides,
                                     size_t element_size, struct sb_error *error)
{
    size_t bytes;
    if (__builtin_mul_overflow(tensor->count, element_size, &bytes) || bytes > r->file_size - r->copied)
        return sb_fail(error, SB_LIMIT, "%s: tensor \"%s\" repeats elements: its view is larger than the file", r->file,
                       tensor->name);
    char *copy = malloc(bytes);
    if (!copy)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for the %zu bytes of tensor \"%s\"", r->file, bytes,
                       tensor->name);
    copy_view(copy, tensor->data, tensor, strides, element_size);
    r->copied += bytes;
    tensor->data = copy;
    return sb_checkpoint_keep(r->checkpoint, copy, error);
}

/* arguments: (storage, offset, shape, strides, requires_grad, hooks[, metadata]) */
static enum sb_status add_tensor(struct reader *r, const char *name, const struct sb_pickle_value *arguments,
                                 struct sb_error *error)
{
    struct sb_tensor tensor = {.name = name};
    struct storage storage = {0};
    size_t strides[SB_MAX_RANK];
    int stride_count;
    int32_t items[7];
    size_t count = sb_tuple_items(items, 7, &r->pickle, arguments);
    if (count < 6 || count > 7 || value_at(r, items[1])->kind != SB_PICKLE_INT || value_at(r, items[1])->integer < 0 ||
        !read_sizes(tensor.shape, &tensor.rank, r, items[2]) || !read_sizes(strides, &stride_count, r, items[3]) ||
        tensor.rank != stride_count)
        return sb_fail(error, SB_CORRUPT, "%s: the shape of tensor \"%s\" is damaged, or has more than %d dimensions",
                       r->file, name, SB_MAX_RANK);
    if (count == 7 && value_at(r, items[6])->count != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s: tensor \"%s\" is a negated or conjugated view", r->file, name);
    size_t offset = (size_t)value_at(r, items[1])->integer;
    enum sb_status status = read_storage(&storage, r, name, items[0], error);
    if (status != SB_OK)
        return status;
    if (!sb_shape_count(&tensor.count, tensor.shape, tensor.rank) || !fits(&tensor, strides, offset, storage.elements))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" reaches beyond the %zu elements of its storage", r->file,
                       name, storage.elements);
    tensor.dtype = storage.type->dtype;
    tensor.stored_dtype = storage.type->name;
    tensor.data = storage.entry->data + (tensor.count ? offset * storage.type->size : 0);
    if (!is_row_major(&tensor, strides))
        status = make_row_major(r, &tensor, strides, storage.type->size, error);
    const struct sb_checksum checksum = {r->is_legacy ? SB_CHECKSUM_NONE : SB_CHECKSUM_CRC32, storage.entry->crc32,
                                         storage.entry->data, storage.entry->size};
    if (status == SB_OK)
        status = sb_checkpoint_add(r->checkpoint, r->file, &tensor, &checksum, error);
    return status;
}

/* Entries of the dictionary that are no tensors (epoch, versions) are not weights. */
static enum sb_status add_value(struct reader *r, const struct sb_pickle_item *item, struct sb_error *error)
{
    const struct sb_pickle_value *key = value_at(r, item->key), *value = value_at(r, item->value);
    char name[SB_MAX_TENSOR_NAME + 1];
    int32_t first = SB_PICKLE_NOTHING;
    if (is_call(value, "_rebuild_parameter") && sb_tuple_items(&first, 1, &r->pickle, value_at(r, value->argument)) > 0)
        value = value_at(r, first);
    if (!is_call(value, "_rebuild_tensor_v2"))
        return SB_OK;
    if (key->kind != SB_PICKLE_STRING || key->size > SB_MAX_TENSOR_NAME || memchr(key->text, '\0', key->size))
        return sb_fail(error, SB_CORRUPT, "%s: a tensor's name is not a string of at most %d bytes", r->file,
                       SB_MAX_TENSOR_NAME);
    memcpy(name, key->text, key->size);
    name[key->size] = '\0';
    enum sb_status status = sb_check_tensor_name(r->file, name, error);
    return status == SB_OK ? add_tensor(r, name, value_at(r, value->argument), error) : status;
}

/* Finds "NAME/data.pkl"; NAME is the file's name at the time of saving. */
static enum sb_status find_pickle(const struct sb_zip_entry **entry, struct reader *r, struct sb_error *error)
{
    static const char tail[] = "/data.pkl";
    const size_t tail_size = sizeof tail - 1;
    *entry = NULL;
    for (size_t i = 0; i < r->zip.count; i++) {
        const struct sb_zip_entry *e = &r->zip.entries[i];
        if (e->name_size < tail_size || memcmp(e->name + e->name_size - tail_size, tail, tail_size) != 0)
            continue;
        size_t root_size = e->name_size - tail_size + 1;
        if (*entry || root_size >= sizeof r->root || memchr(e->name, '\0', root_size))
            return sb_fail(error, SB_CORRUPT, "%s holds several data.pkl, or one with a damaged name", r->file);
        memcpy(r->root, e->name, root_size);
        r->root[root_size] = '\0';
        *entry = e;
    }
    return *entry ? SB_OK : sb_fail(error, SB_CORRUPT, "%s holds no data.pkl: torch.save did not write it", r->file);
}

/* Finds the dictionary of a zip file. */
static enum sb_status read_zip(struct reader *r, const void *data, size_t size, struct sb_error *error)
{
    const struct sb_zip_entry *pickle, *byteorder;
    char name[sizeof r->root + 16];
    enum sb_status status = sb_zip_read(&r->zip, r->file, data, size, error);
    if (status == SB_OK)
        status = find_pickle(&pickle, r, error);
    if (status != SB_OK)
        return status;
    snprintf(name, sizeof name, "%sbyteorder", r->root);
    byteorder = sb_zip_find(&r->zip, name);
    if (byteorder && (byteorder->size != 6 || memcmp(byteorder->data, "little", 6) != 0))
        return sb_fail(error, SB_UNSUPPORTED, "%s was written on a machine whose byte order is not little-endian",
                       r->file);
    return sb_pickle_read(&r->pickle, r->file, pickle->data, pickle->size, allowed, sizeof allowed / sizeof *allowed,
                          error);
}

static enum sb_status add_state(struct reader *r, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    const struct sb_pickle_value *state = value_at(r, r->pickle.root);
    if (state->kind != SB_PICKLE_DICT)
        return sb_fail(error, SB_UNSUPPORTED,
                       "%s holds something else than a dictionary of tensors: save model.state_dict()", r->file);
    for (int32_t i = state->first; i != SB_PICKLE_NOTHING && status == SB_OK; i = r->pickle.items[i].next)
        status = add_value(r, &r->pickle.items[i], error);
    if (status == SB_OK && r->checkpoint->count == 0)
        status = sb_fail(error, SB_CORRUPT, "%s holds no tensors at the top of its dictionary: save model.state_dict()",
                         r->file);
    return status;
}

enum sb_status sb_pytorch_read(struct sb_checkpoint *checkpoint, const char *file, const void *data, size_t size,
                               struct sb_error *error)
{
    struct reader r = {
        .checkpoint = checkpoint, .file = file, .file_size = size, .is_legacy = sb_pytorch_is_legacy(data, size)};
    enum sb_status status = r.is_legacy ? sb_pytorch_read_legacy(&r.pickle, &r.zip, file, data, size, allowed,
                                                                 sizeof allowed / sizeof *allowed, error)
                                        : read_zip(&r, data, size, error);
    if (status == SB_OK)
        status = add_state(&r, error);
    sb_pickle_free(&r.pickle);
    sb_zip_free(&r.zip);
    return status;
}
