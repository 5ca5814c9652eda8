#include "weights/tf_table_write_impl.h"

#include "weights/crc32c.h"

#include <assert.h>
#include <string.h>

/* TensorFlow's own sizes: the same entries give the same bytes. */
enum { BLOCK_BYTES = 256 << 10, RESTART_INTERVAL = 16, INDEX_RESTART_INTERVAL = 1 };

void sb_put_varint(struct sb_buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        sb_buffer_bytes(out, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    sb_buffer_bytes(out, &(uint8_t){(uint8_t)value}, 1);
}

static void put_u32(struct sb_buffer *out, uint32_t value)
{
    sb_buffer_bytes(out, &value, sizeof value);
}

/* An entry at a restart point has its whole key, so that a search can begin there. */
static void add_entry(struct sb_table_block *block, size_t restart_interval, const char *key, size_t key_size,
                      const void *value, size_t value_size)
{
    size_t shared = 0, most = key_size < block->key_size ? key_size : block->key_size;
    if (block->count % restart_interval == 0)
        put_u32(&block->restarts, (uint32_t)block->entries.length);
    else
        while (shared < most && key[shared] == block->key[shared])
            shared++;
    sb_put_varint(&block->entries, shared);
    sb_put_varint(&block->entries, key_size - shared);
    sb_put_varint(&block->entries, value_size);
    sb_buffer_bytes(&block->entries, key + shared, key_size - shared);
    sb_buffer_bytes(&block->entries, value, value_size);
    memcpy(block->key, key, key_size);
    block->key_size = key_size;
    block->count++;
}

/* Moves the block behind the table and appends its handle. A block without entries still has one restart point. */
static void store(struct sb_buffer *table, struct sb_buffer *handle, struct sb_table_block *block)
{
    size_t start = table->length;
    const char plain = 0;
    if (block->count == 0)
        put_u32(&block->restarts, 0);
    sb_buffer_bytes(table, block->entries.data, block->entries.length);
    sb_buffer_bytes(table, block->restarts.data, block->restarts.length);
    put_u32(table, (uint32_t)(block->restarts.length / sizeof(uint32_t)));
    sb_put_varint(handle, start);
    sb_put_varint(handle, table->length - start);
    sb_buffer_bytes(table, &plain, 1);
    table->failed = table->failed || block->entries.failed || block->restarts.failed || handle->failed;
    if (!table->failed)
        put_u32(table, sb_crc32c_mask(sb_crc32c(0, table->data + start, table->length - start)));
    sb_buffer_reset(&block->entries);
    sb_buffer_reset(&block->restarts);
    block->count = 0;
    block->key_size = 0;
}

/* key: not below the block's last one, and below the first of the next block. */
static void end_block(struct sb_table_writer *w, const char *key, size_t key_size)
{
    struct sb_buffer handle = {0};
    store(&w->table, &handle, &w->block);
    add_entry(&w->index, INDEX_RESTART_INTERVAL, key, key_size, handle.data, handle.length);
    sb_buffer_free(&handle);
}

void sb_table_add(struct sb_table_writer *w, const char *key, size_t key_size, const void *value, size_t value_size)
{
    assert(key_size <= SB_TABLE_MAX_KEY);
    add_entry(&w->block, RESTART_INTERVAL, key, key_size, value, value_size);
    if (w->block.entries.length + w->block.restarts.length + sizeof(uint32_t) < BLOCK_BYTES)
        return;
    char last[SB_TABLE_MAX_KEY];
    memcpy(last, key, key_size);
    end_block(w, last, key_size);
}

/* The shortest key behind this one: "global_step" -> "h". */
static size_t shorten(char *key, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)key[i] != 0xFF) {
            key[i]++;
            return i + 1;
        }
    }
    return size;
}

void sb_table_finish(struct sb_table_writer *w)
{
    const uint64_t magic = SB_TABLE_MAGIC;
    static const char zeros[SB_TABLE_FOOTER_SIZE];
    struct sb_buffer footer = {0};
    struct sb_table_block metaindex = {0};
    if (w->block.count > 0) {
        char last[SB_TABLE_MAX_KEY];
        memcpy(last, w->block.key, w->block.key_size);
        end_block(w, last, shorten(last, w->block.key_size));
    }
    store(&w->table, &footer, &metaindex);
    store(&w->table, &footer, &w->index);
    sb_buffer_bytes(&footer, zeros, SB_TABLE_FOOTER_SIZE - sizeof magic - footer.length);
    sb_buffer_bytes(&footer, &magic, sizeof magic);
    sb_buffer_bytes(&w->table, footer.data, footer.length);
    w->table.failed = w->table.failed || footer.failed;
    sb_buffer_free(&footer);
    sb_buffer_free(&metaindex.restarts);
}

void sb_table_writer_free(struct sb_table_writer *w)
{
    sb_buffer_free(&w->table);
    sb_buffer_free(&w->block.entries);
    sb_buffer_free(&w->block.restarts);
    sb_buffer_free(&w->index.entries);
    sb_buffer_free(&w->index.restarts);
}
