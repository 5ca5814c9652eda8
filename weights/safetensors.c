/*
 * safetensors:
 *
 *     0        8                    8+n
 *     | u64 n  | JSON, n bytes      | data                                  |
 *              {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
 *               "__metadata__": {string: string}}
 *
 * Offsets count from the end of the header. Sorted by begin, the tensors tile the data without gap or overlap: nothing
 * can hide in between.
 */
#include "weights/checkpoint_impl.h"

#include "base/json.h"
#include "weights/bytes_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100000000 }; /* the format's own limit */

static const struct {
    const char *name;
    enum sb_dtype dtype;
    size_t size;
} dtypes[] = {
    {"F64", SB_F64, 8},
    {"F32", SB_F32, 4},
    {"F16", SB_F16, 2},
    {"BF16", SB_BF16, 2},
    {"I64", SB_I64, 8},
    {"I32", SB_I32, 4},
    {"I8", SB_I8, 1},
    {"U8", SB_U8, 1},
    {"I16", SB_DTYPE_OTHER, 2},
    {"U16", SB_DTYPE_OTHER, 2},
    {"U32", SB_DTYPE_OTHER, 4},
    {"U64", SB_DTYPE_OTHER, 8},
    {"BOOL", SB_DTYPE_OTHER, 1},
    {"F8_E4M3", SB_DTYPE_OTHER, 1},
    {"F8_E5M2", SB_DTYPE_OTHER, 1},
};

/* One tensor of the header, before its place in the file is checked. */
struct header_entry {
    struct sb_tensor tensor;
    size_t begin, end;
};

/* The only value of key; a key that is missing or there twice is an error. */
static enum sb_status get_once(const cJSON **value, const char *file, const cJSON *object, const char *key,
                               struct sb_error *error)
{
    *value = NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (strcmp(item->string, key) != 0)
            continue;
        if (*value)
            return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" has \"%s\" twice", file, object->string, key);
        *value = item;
    }
    return *value ? SB_OK : sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" has no \"%s\"", file, object->string, key);
}

/* Largest integer that a JSON number keeps exactly. */
static const int64_t exact_max = (INT64_C(1) << 53) - 1;

static enum sb_status read_dtype(struct sb_tensor *tensor, size_t *element_size, const char *file, const cJSON *item,
                                 struct sb_error *error)
{
    const cJSON *value;
    enum sb_status status = get_once(&value, file, item, "dtype", error);
    if (status != SB_OK)
        return status;
    if (!cJSON_IsString(value))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\": \"dtype\" is not a string", file, item->string);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(value->valuestring, dtypes[i].name) == 0) {
            tensor->dtype = dtypes[i].dtype;
            tensor->stored_dtype = dtypes[i].name;
            *element_size = dtypes[i].size;
            return SB_OK;
        }
    }
    return sb_fail(error, SB_UNSUPPORTED, "%s: tensor \"%s\" has the unknown dtype \"%.40s\"", file, item->string,
                   value->valuestring);
}

static enum sb_status read_shape(struct sb_tensor *tensor, const char *file, const cJSON *item, struct sb_error *error)
{
    const cJSON *value, *dimension;
    enum sb_status status = get_once(&value, file, item, "shape", error);
    if (status != SB_OK)
        return status;
    if (!cJSON_IsArray(value))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\": \"shape\" is not an array", file, item->string);
    cJSON_ArrayForEach(dimension, value)
    {
        int64_t size;
        if (tensor->rank == SB_MAX_RANK)
            return sb_fail(error, SB_UNSUPPORTED, "%s: tensor \"%s\" has more than %d dimensions", file, item->string,
                           SB_MAX_RANK);
        if (!sb_json_as_int(&size, 0, exact_max, dimension))
            return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\": dimension %d of \"shape\" is no size", file,
                           item->string, tensor->rank);
        tensor->shape[tensor->rank++] = (size_t)size;
    }
    if (!sb_shape_count(&tensor->count, tensor->shape, tensor->rank))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" has more elements than can be counted", file,
                       item->string);
    return SB_OK;
}

static enum sb_status read_offsets(struct header_entry *entry, const char *file, const cJSON *item, size_t data_size,
                                   struct sb_error *error)
{
    const cJSON *value;
    int64_t begin, end;
    enum sb_status status = get_once(&value, file, item, "data_offsets", error);
    if (status != SB_OK)
        return status;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2 ||
        !sb_json_as_int(&begin, 0, exact_max, value->child) || !sb_json_as_int(&end, 0, exact_max, value->child->next))
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\": \"data_offsets\" is not a pair of offsets", file,
                       item->string);
    if (begin > end)
        return sb_fail(error, SB_CORRUPT,
                       "%s: tensor \"%s\" begins at byte %" PRId64 " and ends before it, at %" PRId64, file,
                       item->string, begin, end);
    if ((uint64_t)end > data_size)
        return sb_fail(error, SB_CORRUPT,
                       "%s: tensor \"%s\" ends at byte %" PRId64
                       " of the data, which has only %zu: the file is truncated",
                       file, item->string, end, data_size);
    entry->begin = (size_t)begin;
    entry->end = (size_t)end;
    return SB_OK;
}

static enum sb_status read_entry(struct header_entry *entry, const char *file, const cJSON *item, const char *data,
                                 size_t data_size, struct sb_error *error)
{
    size_t element_size = 0, bytes;
    if (!cJSON_IsObject(item))
        return sb_fail(error, SB_CORRUPT, "%s: \"%.200s\" in the header is not an object", file, item->string);
    if (strlen(item->string) > SB_MAX_TENSOR_NAME)
        return sb_fail(error, SB_CORRUPT, "%s: a tensor's name has more than %d bytes", file, SB_MAX_TENSOR_NAME);
    *entry = (struct header_entry){.tensor.name = item->string};
    enum sb_status status = read_dtype(&entry->tensor, &element_size, file, item, error);
    if (status == SB_OK)
        status = read_shape(&entry->tensor, file, item, error);
    if (status == SB_OK)
        status = read_offsets(entry, file, item, data_size, error);
    if (status != SB_OK)
        return status;
    if (__builtin_mul_overflow(entry->tensor.count, element_size, &bytes) || bytes != entry->end - entry->begin)
        return sb_fail(
            error, SB_CORRUPT, "%s: tensor \"%s\" has %zu bytes, but its shape and dtype %s ask for %zu x %zu", file,
            item->string, entry->end - entry->begin, entry->tensor.stored_dtype, entry->tensor.count, element_size);
    entry->tensor.data = data + entry->begin;
    return SB_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct header_entry *first = a, *second = b;
    if (first->begin != second->begin)
        return first->begin < second->begin ? -1 : 1;
    return first->end < second->end ? -1 : first->end > second->end;
}

/* Sorts by place: each tensor begins where the one before it ends, and the last ends with the file. */
static enum sb_status check_tiling(struct header_entry *entries, size_t count, const char *file, size_t data_size,
                                   struct sb_error *error)
{
    size_t at = 0;
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_places);
    for (size_t i = 0; i < count; i++) {
        const char *name = entries[i].tensor.name;
        if (entries[i].begin < at)
            return sb_fail(error, SB_CORRUPT,
                           "%s: tensor \"%s\" begins at byte %zu of the data and overlaps \"%s\", which ends at %zu",
                           file, name, entries[i].begin, entries[i - 1].tensor.name, at);
        if (entries[i].begin > at)
            return sb_fail(error, SB_CORRUPT,
                           "%s: bytes %zu to %zu of the data, before tensor \"%s\", belong to no tensor", file, at,
                           entries[i].begin, name);
        at = entries[i].end;
    }
    if (at != data_size)
        return sb_fail(error, SB_CORRUPT, "%s: the tensors end at byte %zu of the data, which has %zu", file, at,
                       data_size);
    return SB_OK;
}

static enum sb_status read_header(struct sb_checkpoint *checkpoint, const char *file, const cJSON *header,
                                  const char *data, size_t data_size, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    size_t count = 0, capacity = (size_t)cJSON_GetArraySize(header);
    struct header_entry *entries = calloc(capacity + 1, sizeof *entries);
    if (!entries)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for %zu tensors", file, capacity);
    const cJSON *item;
    cJSON_ArrayForEach(item, header)
    {
        if (strcmp(item->string, "__metadata__") == 0)
            continue;
        status = read_entry(&entries[count++], file, item, data, data_size, error);
        if (status != SB_OK)
            goto cleanup;
    }
    status = check_tiling(entries, count, file, data_size, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = sb_checkpoint_add(checkpoint, file, &entries[i].tensor, NULL, error);
cleanup:
    free(entries);
    return status;
}

enum sb_status sb_safetensors_read(struct sb_checkpoint *checkpoint, const char *file, const void *data, size_t size,
                                   struct sb_error *error)
{
    const char *bytes = data;
    cJSON *header = NULL;
    if (size < 8)
        return sb_fail(error, SB_CORRUPT, "%s has %zu bytes, too few for a safetensors file", file, size);
    uint64_t header_size = sb_load_u64(bytes);
    if (header_size > HEADER_MAX)
        return sb_fail(error, SB_CORRUPT,
                       "%s: the header claims %" PRIu64 " bytes, more than %d: this is no safetensors file", file,
                       header_size, HEADER_MAX);
    if (header_size > size - 8)
        return sb_fail(error, SB_CORRUPT,
                       "%s: the header claims %" PRIu64 " bytes, but only %zu follow: the file is truncated", file,
                       header_size, size - 8);
    if (header_size == 0 || bytes[8] != '{')
        return sb_fail(error, SB_CORRUPT, "%s: the header does not begin with '{': this is no safetensors file", file);
    size_t data_at = 8 + (size_t)header_size;
    enum sb_status status = sb_json_parse(&header, bytes + 8, (size_t)header_size, error);
    if (status != SB_OK)
        return sb_fail_context(error, status == SB_INVALID ? SB_CORRUPT : status, "%s: the header", file);
    status = read_header(checkpoint, file, header, bytes + data_at, size - data_at, error);
    cJSON_Delete(header);
    return status;
}
