/*
 * Any bytes as pytorch_model.bin. The first byte chooses: 0, the rest is the zip file; otherwise the rest is the pickle
 * in a zip file made here, beside a storage "0" of 24 bytes.
 */
#include "tests/fuzz/weights/touch.h"

#include "base/buffer.h"

#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void number(struct sb_buffer *out, uint64_t value, size_t width)
{
    sb_buffer_bytes(out, &value, width);
}

/* A local header and the bytes, and in the other buffer the entry of the directory. */
static void add_entry(struct sb_buffer *zip, struct sb_buffer *directory, const char *name, const void *bytes,
                      size_t size)
{
    size_t offset = zip->length;
    for (int central = 0; central < 2; central++) {
        struct sb_buffer *out = central ? directory : zip;
        number(out, central ? 0x02014b50 : 0x04034b50, 4);
        number(out, 0, central ? 4 : 2);
        number(out, 0, 8);
        number(out, crc32_z(0, bytes, size), 4);
        number(out, size, 4);
        number(out, size, 4);
        number(out, strlen(name), 2);
        number(out, 0, 2);
        if (central) {
            number(out, 0, 8);
            number(out, 0, 2);
            number(out, offset, 4);
        }
        sb_buffer_text(out, name);
    }
    sb_buffer_bytes(zip, bytes, size);
}

static void wrap(struct sb_buffer *zip, const uint8_t *pickle, size_t size)
{
    struct sb_buffer directory = {0};
    add_entry(zip, &directory, "x/data.pkl", pickle, size);
    add_entry(zip, &directory, "x/data/0", "aaaabbbbccccddddeeeeffff", 24);
    size_t start = zip->length;
    sb_buffer_bytes(zip, directory.data, directory.length);
    number(zip, 0x06054b50, 4);
    number(zip, 0, 4);
    number(zip, 2, 2);
    number(zip, 2, 2);
    number(zip, directory.length, 4);
    number(zip, start, 4);
    number(zip, 0, 2);
    sb_buffer_free(&directory);
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
        wrap(&file, data + 1, size - 1);
        bytes = file.data;
        length = file.length;
    }
    if (sb_pytorch_read(checkpoint, "fuzz", bytes, length, &error) == SB_OK)
        touch(checkpoint);
cleanup:
    sb_buffer_free(&file);
    sb_checkpoint_close(checkpoint);
    return 0;
}
