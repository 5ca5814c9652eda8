#include "weights/tf_bundle_impl.h"

#include "weights/bytes_impl.h"
#include "weights/checkpoint_impl.h"
#include "weights/crc32c.h"
#include "weights/tf_table_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct field {
    uint64_t number;
    int wire;
    uint64_t value;       /* SB_PROTO_VARINT, SB_PROTO_FIXED32, SB_PROTO_FIXED64 */
    const uint8_t *bytes; /* SB_PROTO_BYTES */
    size_t size;
};

/* Reads the field at *at < size. False when the message is damaged. */
static bool next_field(struct field *field, const uint8_t *data, size_t size, size_t *at)
{
    uint64_t tag, length;
    if (!sb_varint(&tag, data, size, at) || tag >> 3 == 0)
        return false;
    *field = (struct field){.number = tag >> 3, .wire = (int)(tag & 7)};
    switch (field->wire) {
    case SB_PROTO_VARINT: return sb_varint(&field->value, data, size, at);
    case SB_PROTO_FIXED64:
    case SB_PROTO_FIXED32: {
        size_t width = field->wire == SB_PROTO_FIXED64 ? 8 : 4;
        if (size - *at < width)
            return false;
        field->value = width == 8 ? sb_load_u64(data + *at) : sb_load_u32(data + *at);
        *at += width;
        return true;
    }
    case SB_PROTO_BYTES:
        if (!sb_varint(&length, data, size, at) || length > size - *at)
            return false;
        field->bytes = data + *at;
        field->size = (size_t)length;
        *at += (size_t)length;
        return true;
    default: return false;
    }
}

static const struct {
    const char *name;
    enum sb_dtype dtype;
    size_t size; /* 0: elements have no fixed size */
} dtypes[] = {
    [1] = {"DT_FLOAT", SB_F32, 4},
    [2] = {"DT_DOUBLE", SB_F64, 8},
    [3] = {"DT_INT32", SB_I32, 4},
    [4] = {"DT_UINT8", SB_U8, 1},
    [5] = {"DT_INT16", SB_DTYPE_OTHER, 2},
    [6] = {"DT_INT8", SB_I8, 1},
    [7] = {"DT_STRING", SB_DTYPE_OTHER, 0},
    [8] = {"DT_COMPLEX64", SB_DTYPE_OTHER, 8},
    [9] = {"DT_INT64", SB_I64, 8},
    [10] = {"DT_BOOL", SB_DTYPE_OTHER, 1},
    [14] = {"DT_BFLOAT16", SB_BF16, 2},
    [17] = {"DT_UINT16", SB_DTYPE_OTHER, 2},
    [18] = {"DT_COMPLEX128", SB_DTYPE_OTHER, 16},
    [19] = {"DT_HALF", SB_F16, 2},
    [21] = {"DT_VARIANT", SB_DTYPE_OTHER, 0},
    [22] = {"DT_UINT32", SB_DTYPE_OTHER, 4},
    [23] = {"DT_UINT64", SB_DTYPE_OTHER, 8},
};

int sb_tf_dtype_number(enum sb_dtype dtype)
{
    for (size_t i = 1; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].name && dtypes[i].dtype == dtype && dtype != SB_DTYPE_OTHER)
            return (int)i;
    return 0;
}

struct bundle {
    struct sb_checkpoint *checkpoint;
    const char *index_file;
    size_t shard_count; /* 0 until the header has been read */
    struct shard {
        const struct sb_opened_file *file; /* NULL: not asked for yet */
        bool is_missing;
    } * shards;
};

struct entry {
    uint64_t dtype, shard, offset, size;
    uint32_t crc; /* unmasked */
    bool has_crc, is_sliced;
    int rank;
    size_t shape[SB_MAX_RANK];
};

static enum sb_status fail_damaged(const struct bundle *bundle, const char *name, struct sb_error *error)
{
    return sb_fail(error, SB_CORRUPT, "%s: the entry of \"%s\" is damaged", bundle->index_file, name);
}

static enum sb_status read_header(struct bundle *bundle, const uint8_t *value, size_t size, struct sb_error *error)
{
    uint64_t shards = 0, endianness = 0;
    struct field field;
    for (size_t at = 0; at < size;) {
        if (!next_field(&field, value, size, &at))
            return sb_fail(error, SB_CORRUPT, "%s: the bundle's header is damaged", bundle->index_file);
        if (field.number == SB_TF_HEADER_SHARDS && field.wire == SB_PROTO_VARINT)
            shards = field.value;
        else if (field.number == SB_TF_HEADER_ENDIANNESS && field.wire == SB_PROTO_VARINT)
            endianness = field.value;
    }
    if (endianness != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s was written on a big-endian machine", bundle->index_file);
    if (shards < 1 || shards > SB_MAX_SHARDS)
        return sb_fail(error, SB_CORRUPT, "%s claims %" PRIu64 " data files, not 1 to %d", bundle->index_file, shards,
                       SB_MAX_SHARDS);
    bundle->shards = calloc((size_t)shards, sizeof *bundle->shards);
    if (!bundle->shards)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for %" PRIu64 " data files", bundle->index_file, shards);
    bundle->shard_count = (size_t)shards;
    return SB_OK;
}

/* Dimensions of a TensorShapeProto, appended to the entry's shape. */
static enum sb_status read_shape(struct entry *entry, const struct bundle *bundle, const char *name,
                                 const uint8_t *value, size_t size, struct sb_error *error)
{
    struct field field, inner;
    for (size_t at = 0; at < size;) {
        if (!next_field(&field, value, size, &at))
            return fail_damaged(bundle, name, error);
        if (field.number == SB_TF_SHAPE_UNKNOWN && field.wire == SB_PROTO_VARINT && field.value != 0)
            return sb_fail(error, SB_UNSUPPORTED, "%s: \"%s\" has an unknown shape", bundle->index_file, name);
        if (field.number != SB_TF_SHAPE_DIM || field.wire != SB_PROTO_BYTES)
            continue;
        uint64_t dimension = 0; /* protocol buffers leave zeros out */
        for (size_t i = 0; i < field.size;) {
            if (!next_field(&inner, field.bytes, field.size, &i))
                return fail_damaged(bundle, name, error);
            if (inner.number == SB_TF_DIM_SIZE && inner.wire == SB_PROTO_VARINT)
                dimension = inner.value;
        }
        if (entry->rank == SB_MAX_RANK)
            return sb_fail(error, SB_UNSUPPORTED, "%s: \"%s\" has more than %d dimensions", bundle->index_file, name,
                           SB_MAX_RANK);
        if (dimension > INT64_MAX)
            return sb_fail(error, SB_CORRUPT, "%s: dimension %d of \"%s\" is no size", bundle->index_file, entry->rank,
                           name);
        entry->shape[entry->rank++] = (size_t)dimension;
    }
    return SB_OK;
}

static enum sb_status read_entry(struct entry *entry, const struct bundle *bundle, const char *name,
                                 const uint8_t *value, size_t size, struct sb_error *error)
{
    struct field field;
    enum sb_status status = SB_OK;
    *entry = (struct entry){0};
    for (size_t at = 0; at < size && status == SB_OK;) {
        if (!next_field(&field, value, size, &at))
            return fail_damaged(bundle, name, error);
        bool is_number = field.wire == SB_PROTO_VARINT;
        if (field.number == SB_TF_ENTRY_DTYPE && is_number)
            entry->dtype = field.value;
        else if (field.number == SB_TF_ENTRY_SHAPE && field.wire == SB_PROTO_BYTES)
            status = read_shape(entry, bundle, name, field.bytes, field.size, error);
        else if (field.number == SB_TF_ENTRY_SHARD && is_number)
            entry->shard = field.value;
        else if (field.number == SB_TF_ENTRY_OFFSET && is_number)
            entry->offset = field.value;
        else if (field.number == SB_TF_ENTRY_SIZE && is_number)
            entry->size = field.value;
        else if (field.number == SB_TF_ENTRY_CRC && field.wire == SB_PROTO_FIXED32) {
            entry->crc = sb_crc32c_unmask((uint32_t)field.value);
            entry->has_crc = true;
        } else if (field.number == SB_TF_ENTRY_SLICES)
            entry->is_sliced = true;
    }
    return status;
}

/* "PREFIX.data-00000-of-00002", mapped at its first use. The first one that is not there is remembered in missing_data.
 */
static enum sb_status open_shard(struct bundle *bundle, size_t number, struct sb_error *error)
{
    struct shard *shard = &bundle->shards[number];
    if (shard->file)
        return SB_OK;
    size_t prefix = strlen(bundle->index_file) - strlen(SB_TF_INDEX);
    char *path;
    if (asprintf(&path, "%.*s.data-%05zu-of-%05zu", (int)prefix, bundle->index_file, number, bundle->shard_count) < 0)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open its data", bundle->index_file);
    enum sb_status status = sb_checkpoint_map(bundle->checkpoint, &shard->file, path, error);
    shard->is_missing = status == SB_NOT_FOUND;
    if (shard->is_missing && !bundle->checkpoint->missing_data)
        bundle->checkpoint->missing_data = path;
    else
        free(path);
    return shard->is_missing ? SB_OK : status;
}

/* Gives the tensor its data, if the shard is there. */
static enum sb_status locate(struct sb_tensor *tensor, struct sb_checksum *checksum, struct bundle *bundle,
                             const struct entry *entry, struct sb_error *error)
{
    static const char no_bytes[1]; /* an empty file is mapped to NULL, which would say that the data is missing */
    if (entry->shard >= bundle->shard_count)
        return sb_fail(error, SB_CORRUPT, "%s: \"%s\" is in data file %" PRIu64 " of %zu", bundle->index_file,
                       tensor->name, entry->shard, bundle->shard_count);
    enum sb_status status = open_shard(bundle, (size_t)entry->shard, error);
    const struct shard *shard = &bundle->shards[entry->shard];
    if (status != SB_OK || shard->is_missing)
        return status;
    const struct sb_mapping *mapping = &shard->file->mapping;
    if (entry->offset > mapping->size || entry->size > mapping->size - entry->offset)
        return sb_fail(error, SB_CORRUPT,
                       "%s: \"%s\" has %" PRIu64 " bytes at %" PRIu64 ", but the file has %zu: it is truncated",
                       shard->file->path, tensor->name, entry->size, entry->offset, mapping->size);
    tensor->data = entry->size ? (const char *)mapping->data + entry->offset : no_bytes;
    checksum->data = tensor->data;
    checksum->size = (size_t)entry->size;
    return SB_OK;
}

static enum sb_status add_tensor(struct bundle *bundle, const char *name, const struct entry *entry,
                                 struct sb_error *error)
{
    struct sb_tensor tensor = {.name = name, .rank = entry->rank};
    struct sb_checksum checksum = {0};
    size_t bytes, element_size;
    if (entry->is_sliced)
        return sb_fail(error, SB_UNSUPPORTED, "%s: \"%s\" is a partitioned variable, stored in slices: save it whole",
                       bundle->index_file, name);
    if (entry->dtype >= sizeof dtypes / sizeof *dtypes || !dtypes[entry->dtype].name)
        return sb_fail(error, SB_UNSUPPORTED, "%s: \"%s\" has the unknown dtype %" PRIu64, bundle->index_file, name,
                       entry->dtype);
    tensor.dtype = dtypes[entry->dtype].dtype;
    tensor.stored_dtype = dtypes[entry->dtype].name;
    element_size = dtypes[entry->dtype].size;
    memcpy(tensor.shape, entry->shape, sizeof tensor.shape);
    if (!sb_shape_count(&tensor.count, tensor.shape, tensor.rank))
        return sb_fail(error, SB_CORRUPT, "%s: \"%s\" has more elements than can be counted", bundle->index_file, name);
    if (element_size && (__builtin_mul_overflow(tensor.count, element_size, &bytes) || bytes != entry->size))
        return sb_fail(error, SB_CORRUPT,
                       "%s: \"%s\" has %" PRIu64 " bytes, but its shape and dtype %s ask for %zu x %zu",
                       bundle->index_file, name, entry->size, tensor.stored_dtype, tensor.count, element_size);
    /* Of strings TensorFlow sums the lengths in another width than it stores them. */
    if (element_size && entry->has_crc)
        checksum = (struct sb_checksum){.kind = SB_CHECKSUM_CRC32C, .value = entry->crc};
    enum sb_status status = locate(&tensor, &checksum, bundle, entry, error);
    if (status == SB_OK)
        status = sb_checkpoint_add(bundle->checkpoint, bundle->index_file, &tensor, &checksum, error);
    return status;
}

static enum sb_status visit(void *context, const char *key, size_t key_size, const void *value, size_t value_size,
                            struct sb_error *error)
{
    struct bundle *bundle = context;
    struct entry entry;
    char name[SB_MAX_TENSOR_NAME + 1];
    if (key_size == 0)
        return read_header(bundle, value, value_size, error);
    if (bundle->shard_count == 0)
        return sb_fail(error, SB_CORRUPT, "%s: the bundle's header is missing", bundle->index_file);
    if (memchr(key, '\0', key_size))
        return sb_fail(error, SB_UNSUPPORTED, "%s holds slices of a partitioned variable: save it whole",
                       bundle->index_file);
    if (key_size > SB_MAX_TENSOR_NAME)
        return sb_fail(error, SB_CORRUPT, "%s: a tensor's name has %zu bytes, more than %d", bundle->index_file,
                       key_size, SB_MAX_TENSOR_NAME);
    memcpy(name, key, key_size);
    name[key_size] = '\0';
    enum sb_status status = sb_check_tensor_name(bundle->index_file, name, error);
    if (status == SB_OK)
        status = read_entry(&entry, bundle, name, value, value_size, error);
    if (status == SB_OK)
        status = add_tensor(bundle, name, &entry, error);
    return status;
}

enum sb_status sb_tf_bundle_read(struct sb_checkpoint *checkpoint, const char *index_file, const void *data,
                                 size_t size, struct sb_error *error)
{
    struct bundle bundle = {.checkpoint = checkpoint, .index_file = index_file};
    enum sb_status status = sb_table_walk(index_file, data, size, visit, &bundle, error);
    if (status == SB_OK && bundle.shard_count == 0)
        status = sb_fail(error, SB_CORRUPT, "%s: the bundle's header is missing", index_file);
    snprintf(checkpoint->format, sizeof checkpoint->format, "tensorflow (%zu shard%s)", bundle.shard_count,
             bundle.shard_count == 1 ? "" : "s");
    free(bundle.shards);
    return status;
}
