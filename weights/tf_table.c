#include "weights/tf_table_impl.h"

#include "weights/bytes_impl.h"
#include "weights/crc32c.h"

#include <inttypes.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRAILER_SIZE = 5,
    BLOCK_MAX = 64 << 20, /* bytes of an unpacked block; TensorFlow makes them of 256 KiB at most */
};

bool sb_varint(uint64_t *value, const uint8_t *data, size_t size, size_t *at)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && *at < size; shift += 7) {
        uint8_t byte = data[(*at)++];
        if (shift == 63 && byte > 1)
            return false;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *value = result;
            return true;
        }
    }
    return false;
}

struct handle {
    uint64_t offset, size;
};

static bool read_handle(struct handle *handle, const uint8_t *data, size_t size, size_t *at)
{
    return sb_varint(&handle->offset, data, size, at) && sb_varint(&handle->size, data, size, at);
}

struct block {
    const uint8_t *data;
    size_t size;
    uint8_t *unpacked; /* owned, when the stored block was compressed */
};

static enum sb_status unpack(struct block *block, const char *file, const struct handle *handle, const uint8_t *stored,
                             struct sb_error *error)
{
    size_t length;
    if (snappy_uncompressed_length((const char *)stored, (size_t)handle->size, &length) != SNAPPY_OK)
        return sb_fail(error, SB_CORRUPT, "%s: the snappy block at byte %" PRIu64 " has no length", file,
                       handle->offset);
    if (length > BLOCK_MAX)
        return sb_fail(error, SB_LIMIT, "%s: the block at byte %" PRIu64 " unpacks to %zu bytes, more than %d", file,
                       handle->offset, length, BLOCK_MAX);
    block->unpacked = malloc(length + 1);
    if (!block->unpacked)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for a block of %zu bytes", file, length);
    if (snappy_uncompress((const char *)stored, (size_t)handle->size, (char *)block->unpacked, &length) != SNAPPY_OK)
        return sb_fail(error, SB_CORRUPT, "%s: the snappy block at byte %" PRIu64 " is damaged", file, handle->offset);
    block->data = block->unpacked;
    block->size = length;
    return SB_OK;
}

/* Finds the block, checks its checksum and unpacks it. The caller frees block->unpacked, also on failure. */
static enum sb_status load_block(struct block *block, const char *file, const uint8_t *data, size_t size,
                                 const struct handle *handle, struct sb_error *error)
{
    *block = (struct block){0};
    size_t room = size - SB_TABLE_FOOTER_SIZE;
    if (handle->offset > room || handle->size > room - handle->offset ||
        room - handle->offset - handle->size < TRAILER_SIZE)
        return sb_fail(error, SB_CORRUPT,
                       "%s: a block of %" PRIu64 " bytes at %" PRIu64 " does not fit the file's %zu bytes", file,
                       handle->size, handle->offset, size);
    const uint8_t *stored = data + handle->offset, *trailer = stored + handle->size;
    uint32_t crc = sb_crc32c(0, stored, (size_t)handle->size + 1),
             expected = sb_crc32c_unmask(sb_load_u32(trailer + 1));
    if (crc != expected)
        return sb_fail(error, SB_CORRUPT,
                       "%s: the block at byte %" PRIu64 " has CRC-32C %08" PRIx32 ", but %08" PRIx32
                       " is stored: the file is damaged",
                       file, handle->offset, crc, expected);
    if (trailer[0] == 1)
        return unpack(block, file, handle, stored, error);
    if (trailer[0] != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s: the block at byte %" PRIu64 " is compressed in the unknown way %d",
                       file, handle->offset, trailer[0]);
    block->data = stored;
    block->size = (size_t)handle->size;
    return SB_OK;
}

/* The key of the entry before, over all blocks of one level. */
struct key {
    char bytes[SB_TABLE_MAX_KEY];
    size_t size;
    bool any; /* the first key may be empty, later ones are larger than the one before */
};

/* Replaces the tail of the key behind `shared` bytes; the result must be larger than the key was. */
static bool advance_key(struct key *key, size_t shared, const uint8_t *tail, size_t tail_size)
{
    size_t old_tail = key->size - shared, common = old_tail < tail_size ? old_tail : tail_size;
    int order = common ? memcmp(tail, key->bytes + shared, common) : 0;
    bool rises = !key->any || order > 0 || (order == 0 && tail_size > old_tail);
    if (tail_size)
        memcpy(key->bytes + shared, tail, tail_size);
    key->size = shared + tail_size;
    key->any = true;
    return rises;
}

static enum sb_status walk_block(const char *file, const struct block *block, struct key *key, sb_table_visitor visit,
                                 void *context, struct sb_error *error)
{
    if (block->size < 4)
        return sb_fail(error, SB_CORRUPT, "%s: a block of %zu bytes has no restart points", file, block->size);
    uint32_t restarts = sb_load_u32(block->data + block->size - 4);
    if (restarts > (block->size - 4) / 4)
        return sb_fail(error, SB_CORRUPT, "%s: a block of %zu bytes claims %" PRIu32 " restart points", file,
                       block->size, restarts);
    size_t end = block->size - 4 - 4 * (size_t)restarts, at = 0;
    bool first = true; /* a block's first key is stored whole */
    while (at < end) {
        uint64_t shared, unshared, value_size;
        if (!sb_varint(&shared, block->data, end, &at) || !sb_varint(&unshared, block->data, end, &at) ||
            !sb_varint(&value_size, block->data, end, &at))
            return sb_fail(error, SB_CORRUPT, "%s: an entry of a block is cut", file);
        if (shared > (first ? 0 : key->size) || unshared > end - at || value_size > end - at - unshared)
            return sb_fail(error, SB_CORRUPT,
                           "%s: an entry of a block claims %" PRIu64 " + %" PRIu64 " + %" PRIu64 " bytes, %zu are left",
                           file, shared, unshared, value_size, end - at);
        if (shared + unshared > SB_TABLE_MAX_KEY)
            return sb_fail(error, SB_CORRUPT, "%s: a key has more than %d bytes", file, SB_TABLE_MAX_KEY);
        if (!advance_key(key, (size_t)shared, block->data + at, (size_t)unshared))
            return sb_fail(error, SB_CORRUPT, "%s: the keys are not in rising order", file);
        at += (size_t)unshared;
        enum sb_status status = visit(context, key->bytes, key->size, block->data + at, (size_t)value_size, error);
        if (status != SB_OK)
            return status;
        at += (size_t)value_size;
        first = false;
    }
    return SB_OK;
}

/* What visiting the index block needs to visit the blocks that it lists. */
struct walk {
    const char *file;
    const uint8_t *data;
    size_t size;
    struct key key;
    sb_table_visitor visit;
    void *context;
};

static enum sb_status visit_handle(void *context, const char *key, size_t key_size, const void *value,
                                   size_t value_size, struct sb_error *error)
{
    struct walk *walk = context;
    struct handle handle;
    struct block block;
    size_t at = 0;
    (void)key;
    (void)key_size;
    if (!read_handle(&handle, value, value_size, &at))
        return sb_fail(error, SB_CORRUPT, "%s: the index block holds a damaged handle", walk->file);
    enum sb_status status = load_block(&block, walk->file, walk->data, walk->size, &handle, error);
    if (status == SB_OK)
        status = walk_block(walk->file, &block, &walk->key, walk->visit, walk->context, error);
    free(block.unpacked);
    return status;
}

enum sb_status sb_table_walk(const char *file, const void *data, size_t size, sb_table_visitor visit, void *context,
                             struct sb_error *error)
{
    const uint8_t *bytes = data;
    struct handle metaindex, index;
    struct block block = {0};
    size_t at = 0;
    if (size < SB_TABLE_FOOTER_SIZE)
        return sb_fail(error, SB_CORRUPT, "%s has %zu bytes, too few for a TensorFlow index", file, size);
    const uint8_t *footer = bytes + size - SB_TABLE_FOOTER_SIZE;
    if (sb_load_u64(footer + 40) != SB_TABLE_MAGIC)
        return sb_fail(error, SB_CORRUPT,
                       "%s does not end with the magic number of a TensorFlow index: it is truncated or something "
                       "else",
                       file);
    if (!read_handle(&metaindex, footer, 40, &at) || !read_handle(&index, footer, 40, &at))
        return sb_fail(error, SB_CORRUPT, "%s: the footer is damaged", file);
    struct key *index_key = calloc(1, sizeof *index_key);
    struct walk *walk = calloc(1, sizeof *walk);
    enum sb_status status;
    if (!index_key || !walk) {
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory to read the index", file);
        goto cleanup;
    }
    *walk = (struct walk){.file = file, .data = bytes, .size = size, .visit = visit, .context = context};
    status = load_block(&block, file, bytes, size, &index, error);
    if (status == SB_OK)
        status = walk_block(file, &block, index_key, visit_handle, walk, error);
cleanup:
    free(block.unpacked);
    free(index_key);
    free(walk);
    return status;
}
