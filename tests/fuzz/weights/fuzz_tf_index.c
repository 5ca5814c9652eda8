/*
 * Any bytes as a TensorFlow index. The first byte chooses: 0, the rest is the file; otherwise the rest is one block,
 * and the file around it is made here with its checksums right, since a mutation would hardly ever get past them.
 */
#include "tests/fuzz/weights/touch.h"

#include "base/buffer.h"
#include "weights/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void varint(struct sb_buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        sb_buffer_bytes(out, &(char){(char)(value | 0x80)}, 1);
    sb_buffer_bytes(out, &(char){(char)value}, 1);
}

/* Appends block, kind and checksum. */
static void store(struct sb_buffer *out, const void *block, size_t size, char kind)
{
    size_t start = out->length;
    sb_buffer_bytes(out, block, size);
    sb_buffer_bytes(out, &kind, 1);
    uint32_t crc = sb_crc32c_mask(sb_crc32c(0, out->data + start, size + 1));
    sb_buffer_bytes(out, &crc, sizeof crc);
}

static void wrap(struct sb_buffer *file, const uint8_t *block, size_t size, char kind)
{
    const uint32_t restarts[] = {0, 1};
    const uint64_t magic = UINT64_C(0xdb4775248b80fb57);
    struct sb_buffer index = {0}, handle = {0}, footer = {0};
    varint(&handle, 0);
    varint(&handle, size);
    sb_buffer_bytes(&index, "\0\1", 2);
    varint(&index, handle.length);
    sb_buffer_bytes(&index, "z", 1);
    sb_buffer_bytes(&index, handle.data, handle.length);
    sb_buffer_bytes(&index, restarts, sizeof restarts);
    store(file, block, size, kind);
    varint(&footer, 0);
    varint(&footer, 0);
    varint(&footer, file->length);
    varint(&footer, index.length);
    store(file, index.data, index.length, 0);
    while (footer.length < 40)
        sb_buffer_bytes(&footer, "", 1);
    sb_buffer_bytes(file, footer.data, 40);
    sb_buffer_bytes(file, &magic, sizeof magic);
    sb_buffer_free(&index);
    sb_buffer_free(&handle);
    sb_buffer_free(&footer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_checkpoint *checkpoint = sb_checkpoint_new();
    struct sb_buffer file = {0};
    struct sb_error error;
    if (size < 1 || !checkpoint)
        goto cleanup;
    const void *bytes = data + 1;
    size_t length = size - 1;
    if (data[0] != 0) {
        wrap(&file, data + 1, size - 1, data[0] == 1 ? 0 : 1);
        bytes = file.data;
        length = file.length;
    }
    if (sb_tf_bundle_read(checkpoint, "no-such-folder/fuzz.index", bytes, length, &error) == SB_OK)
        touch(checkpoint);
cleanup:
    sb_buffer_free(&file);
    sb_checkpoint_close(checkpoint);
    return 0;
}
