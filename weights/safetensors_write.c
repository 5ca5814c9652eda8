#include "weights/safetensors_write.h"

#include "base/buffer.h"
#include "base/file.h"
#include "weights/checkpoint_impl.h"

#include <stdlib.h>
#include <string.h>

struct sb_safetensors_writer {
    struct sb_file_writer *file;
    size_t announced, written; /* bytes of data */
};

static const char *const dtype_names[] = {
    [SB_F32] = "F32", [SB_F16] = "F16", [SB_BF16] = "BF16", [SB_F64] = "F64",
    [SB_I8] = "I8",   [SB_U8] = "U8",   [SB_I32] = "I32",   [SB_I64] = "I64",
};

/* {"name": {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, ...}; *size becomes the end of the last
 * tensor. */
static enum sb_status make_header(struct sb_buffer *header, size_t *size, const struct sb_tensor *tensors, size_t count,
                                  struct sb_error *error)
{
    *size = 0;
    sb_buffer_text(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        const struct sb_tensor *t = &tensors[i];
        size_t elements, bytes, begin = *size;
        if (t->dtype >= SB_DTYPE_OTHER)
            return sb_fail(error, SB_INVALID, "tensor \"%s\" has a dtype that can not be written", t->name);
        if (!sb_shape_count(&elements, t->shape, t->rank) ||
            __builtin_mul_overflow(elements, sb_dtype_size(t->dtype), &bytes) ||
            __builtin_add_overflow(*size, bytes, size))
            return sb_fail(error, SB_LIMIT, "tensor \"%s\" is too large to be written", t->name);
        sb_buffer_text(header, ",");
        sb_buffer_json_string(header, t->name, strlen(t->name));
        sb_buffer_format(header, ":{\"dtype\":\"%s\",\"shape\":[", dtype_names[t->dtype]);
        for (int k = 0; k < t->rank; k++)
            sb_buffer_format(header, "%s%zu", k ? "," : "", t->shape[k]);
        sb_buffer_format(header, "],\"data_offsets\":[%zu,%zu]}", begin, *size);
    }
    sb_buffer_text(header, "}");
    while (header->length % 8 != 0 && !header->failed) /* the data begins aligned */
        sb_buffer_text(header, " ");
    return header->failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the header of %zu tensors", count) : SB_OK;
}

enum sb_status sb_safetensors_begin(struct sb_safetensors_writer **writer, const char *path,
                                    const struct sb_tensor *tensors, size_t count, struct sb_error *error)
{
    struct sb_buffer header = {0};
    *writer = NULL;
    struct sb_safetensors_writer *w = calloc(1, sizeof *w);
    enum sb_status status = w ? make_header(&header, &w->announced, tensors, count, error)
                              : sb_fail(error, SB_NO_MEMORY, "no memory to write %s", path);
    if (status == SB_OK)
        status = sb_file_writer_begin(&w->file, path, error);
    if (status == SB_OK) {
        uint64_t header_size = header.length;
        status = sb_file_writer_write(w->file, &header_size, sizeof header_size, error);
    }
    if (status == SB_OK)
        status = sb_file_writer_write(w->file, header.data, header.length, error);
    sb_buffer_free(&header);
    if (status != SB_OK) {
        sb_safetensors_abandon(w);
        return status;
    }
    *writer = w;
    return SB_OK;
}

enum sb_status sb_safetensors_write(struct sb_safetensors_writer *writer, const void *data, size_t size,
                                    struct sb_error *error)
{
    writer->written += size;
    return sb_file_writer_write(writer->file, data, size, error);
}

enum sb_status sb_safetensors_commit(struct sb_safetensors_writer *writer, struct sb_error *error)
{
    if (writer->written != writer->announced) {
        enum sb_status status = sb_fail(error, SB_INVALID, "%zu bytes of tensors were written, but %zu announced",
                                        writer->written, writer->announced);
        sb_safetensors_abandon(writer);
        return status;
    }
    enum sb_status status = sb_file_writer_commit(writer->file, error);
    free(writer);
    return status;
}

void sb_safetensors_abandon(struct sb_safetensors_writer *writer)
{
    if (!writer)
        return;
    sb_file_writer_abandon(writer->file);
    free(writer);
}
