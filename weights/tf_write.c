#include "weights/tf_write.h"

#include "base/file.h"
#include "weights/checkpoint_impl.h"
#include "weights/crc32c.h"
#include "weights/tf_bundle_impl.h"
#include "weights/tf_table_write_impl.h"

#include <stdlib.h>
#include <string.h>

/* One tensor of the index; its checksum grows while its bytes pass. */
struct entry {
    char *name;
    struct sb_buffer head; /* the encoded entry up to the checksum */
    size_t left;           /* bytes that are still to come */
    uint32_t crc;
};

struct sb_tf_writer {
    char *index_path;
    struct sb_file_writer *data;
    struct entry *entries;
    size_t count, current; /* current: the first entry with bytes left, or count */
};

static void put_tag(struct sb_buffer *out, int field, int wire)
{
    sb_put_varint(out, (uint64_t)(field << 3 | wire));
}

/* {2: dim {1: size}} for each dimension. */
static void put_shape(struct sb_buffer *out, const struct sb_tensor *tensor)
{
    for (int i = 0; i < tensor->rank; i++) {
        struct sb_buffer dim = {0};
        if (tensor->shape[i] > 0) {
            put_tag(&dim, SB_TF_DIM_SIZE, SB_PROTO_VARINT);
            sb_put_varint(&dim, tensor->shape[i]);
        }
        put_tag(out, SB_TF_SHAPE_DIM, SB_PROTO_BYTES);
        sb_put_varint(out, dim.length);
        sb_buffer_bytes(out, dim.data, dim.length);
        out->failed = out->failed || dim.failed;
        sb_buffer_free(&dim);
    }
}

/* Fields in rising order; zeros are left out, as in every protocol buffer. */
static void put_entry(struct sb_buffer *out, const struct sb_tensor *tensor, size_t offset, size_t size)
{
    struct sb_buffer shape = {0};
    put_shape(&shape, tensor);
    put_tag(out, SB_TF_ENTRY_DTYPE, SB_PROTO_VARINT);
    sb_put_varint(out, (uint64_t)sb_tf_dtype_number(tensor->dtype));
    put_tag(out, SB_TF_ENTRY_SHAPE, SB_PROTO_BYTES);
    sb_put_varint(out, shape.length);
    sb_buffer_bytes(out, shape.data, shape.length);
    if (offset) {
        put_tag(out, SB_TF_ENTRY_OFFSET, SB_PROTO_VARINT);
        sb_put_varint(out, offset);
    }
    if (size) {
        put_tag(out, SB_TF_ENTRY_SIZE, SB_PROTO_VARINT);
        sb_put_varint(out, size);
    }
    out->failed = out->failed || shape.failed;
    sb_buffer_free(&shape);
}

static enum sb_status make_entry(struct entry *entry, size_t *offset, const struct sb_tensor *tensor,
                                 struct sb_error *error)
{
    size_t elements, size, end;
    if (sb_tf_dtype_number(tensor->dtype) == 0 || tensor->rank < 0 || tensor->rank > SB_MAX_RANK)
        return sb_fail(error, SB_INVALID, "tensor \"%s\" has a dtype or shape that can not be written", tensor->name);
    if (!sb_shape_count(&elements, tensor->shape, tensor->rank) ||
        __builtin_mul_overflow(elements, sb_dtype_size(tensor->dtype), &size) ||
        __builtin_add_overflow(*offset, size, &end))
        return sb_fail(error, SB_LIMIT, "tensor \"%s\" is too large to be written", tensor->name);
    entry->name = strdup(tensor->name);
    entry->left = size;
    put_entry(&entry->head, tensor, *offset, size);
    *offset = end;
    if (!entry->name || entry->head.failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the index entry of tensor \"%s\"", tensor->name);
    return SB_OK;
}

static enum sb_status make_entries(struct sb_tf_writer *w, const struct sb_tensor *tensors, struct sb_error *error)
{
    size_t offset = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (i > 0 && strcmp(tensors[i - 1].name, tensors[i].name) >= 0)
            return sb_fail(error, SB_INVALID, "tensor \"%s\" does not come before \"%s\"", tensors[i - 1].name,
                           tensors[i].name);
        enum sb_status status = sb_check_tensor_name("a TensorFlow index", tensors[i].name, error);
        if (status == SB_OK)
            status = make_entry(&w->entries[i], &offset, &tensors[i], error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

static char *add_ending(const char *prefix, const char *ending)
{
    struct sb_buffer path = {0};
    sb_buffer_text(&path, prefix);
    sb_buffer_text(&path, ending);
    return sb_buffer_take(&path, NULL);
}

/* To the next tensor that has bytes. */
static void skip_complete(struct sb_tf_writer *w)
{
    while (w->current < w->count && w->entries[w->current].left == 0)
        w->current++;
}

enum sb_status sb_tf_begin(struct sb_tf_writer **writer, const char *prefix, const struct sb_tensor *tensors,
                           size_t count, struct sb_error *error)
{
    enum sb_status status;
    char *data_path = add_ending(prefix, SB_TF_ONLY_SHARD);
    *writer = NULL;
    struct sb_tf_writer *w = calloc(1, sizeof *w);
    if (w) {
        w->index_path = add_ending(prefix, SB_TF_INDEX);
        w->entries = calloc(count + 1, sizeof *w->entries);
        w->count = count;
    }
    if (!w || !w->index_path || !w->entries || !data_path) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory to write %s" SB_TF_INDEX, prefix);
        goto cleanup;
    }
    status = make_entries(w, tensors, error);
    if (status == SB_OK)
        status = sb_file_writer_begin(&w->data, data_path, error);
    if (status != SB_OK)
        goto cleanup;
    skip_complete(w);
    *writer = w;
    w = NULL;
cleanup:
    sb_tf_abandon(w);
    free(data_path);
    return status;
}

enum sb_status sb_tf_write(struct sb_tf_writer *writer, const void *data, size_t size, struct sb_error *error)
{
    const char *bytes = data;
    for (size_t at = 0; at < size;) {
        if (writer->current == writer->count)
            return sb_fail(error, SB_INVALID, "%zu bytes more than the tensors announced have", size - at);
        struct entry *entry = &writer->entries[writer->current];
        size_t n = entry->left < size - at ? entry->left : size - at;
        entry->crc = sb_crc32c(entry->crc, bytes + at, n);
        entry->left -= n;
        at += n;
        skip_complete(writer);
    }
    return sb_file_writer_write(writer->data, data, size, error);
}

static enum sb_status write_index(const struct sb_tf_writer *w, struct sb_error *error)
{
    /* {1: num_shards = 1, 3: version {1: producer = 1}}; little-endian is 0 and left out */
    static const uint8_t header[] = {SB_TF_HEADER_SHARDS << 3 | SB_PROTO_VARINT,
                                     1,
                                     SB_TF_HEADER_VERSION << 3 | SB_PROTO_BYTES,
                                     2,
                                     1 << 3 | SB_PROTO_VARINT,
                                     1};
    enum sb_status status;
    struct sb_table_writer *table = calloc(1, sizeof *table);
    struct sb_buffer value = {0};
    if (!table)
        return sb_fail(error, SB_NO_MEMORY, "no memory to write %s", w->index_path);
    sb_table_add(table, "", 0, header, sizeof header);
    for (size_t i = 0; i < w->count; i++) {
        const uint32_t crc = sb_crc32c_mask(w->entries[i].crc);
        sb_buffer_reset(&value);
        sb_buffer_bytes(&value, w->entries[i].head.data, w->entries[i].head.length);
        put_tag(&value, SB_TF_ENTRY_CRC, SB_PROTO_FIXED32);
        sb_buffer_bytes(&value, &crc, sizeof crc);
        sb_table_add(table, w->entries[i].name, strlen(w->entries[i].name), value.data, value.length);
    }
    sb_table_finish(table);
    if (table->table.failed || value.failed)
        status = sb_fail(error, SB_NO_MEMORY, "no memory to write %s", w->index_path);
    else
        status = sb_write_file(w->index_path, table->table.data, table->table.length, error);
    sb_table_writer_free(table);
    sb_buffer_free(&value);
    free(table);
    return status;
}

enum sb_status sb_tf_commit(struct sb_tf_writer *writer, struct sb_error *error)
{
    enum sb_status status;
    if (writer->current < writer->count) {
        status = sb_fail(error, SB_INVALID, "tensor \"%s\" lacks %zu bytes", writer->entries[writer->current].name,
                         writer->entries[writer->current].left);
    } else {
        status = sb_file_writer_commit(writer->data, error);
        writer->data = NULL;
        if (status == SB_OK)
            status = write_index(writer, error);
    }
    sb_tf_abandon(writer);
    return status;
}

void sb_tf_abandon(struct sb_tf_writer *writer)
{
    if (!writer)
        return;
    sb_file_writer_abandon(writer->data);
    for (size_t i = 0; writer->entries && i < writer->count; i++) {
        free(writer->entries[i].name);
        sb_buffer_free(&writer->entries[i].head);
    }
    free(writer->entries);
    free(writer->index_path);
    free(writer);
}
