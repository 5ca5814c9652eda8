/*
 * Writes the table that weights/tf_table_impl.h draws, in memory and without compression, as TensorFlow does:
 *
 *     struct sb_table_writer writer = {0};
 *     sb_table_add(&writer, "a", 1, value, value_size);
 *     sb_table_add(&writer, "b", 1, value, value_size);     // keys rise
 *     sb_table_finish(&writer);
 *     if (!writer.table.failed)
 *         use(writer.table.data, writer.table.length);
 *     sb_table_writer_free(&writer);
 *
 * Running out of memory shows in table.failed, after finish. Not thread-safe.
 */
#ifndef SB_WEIGHTS_TF_TABLE_WRITE_IMPL_H
#define SB_WEIGHTS_TF_TABLE_WRITE_IMPL_H

#include "base/buffer.h"
#include "weights/tf_table_impl.h"

struct sb_table_block {
    struct sb_buffer entries, restarts; /* restarts: u32 each */
    size_t count;
    char key[SB_TABLE_MAX_KEY]; /* of the last entry */
    size_t key_size;
};

struct sb_table_writer {
    struct sb_buffer table;
    struct sb_table_block block, index;
};

/* key_size <= SB_TABLE_MAX_KEY; a key is larger than the one before. */
void sb_table_add(struct sb_table_writer *writer, const char *key, size_t key_size, const void *value,
                  size_t value_size);
void sb_table_finish(struct sb_table_writer *writer);
void sb_table_writer_free(struct sb_table_writer *writer);

/* Appends what sb_varint reads. */
void sb_put_varint(struct sb_buffer *out, uint64_t value);

#endif
