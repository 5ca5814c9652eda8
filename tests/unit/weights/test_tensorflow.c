/* TensorFlow bundles: real checkpoints, damage at every byte, and indexes that lie with correct checksums. */
#include "base/buffer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/checkpoint.h"
#include "weights/crc32c.h"

#include <snappy-c.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_checkpoint *open_ok(const char *dir)
{
    struct sb_checkpoint *checkpoint;
    struct sb_error error;
    ck_assert_msg(sb_checkpoint_open(&checkpoint, dir, &error) == SB_OK, "%s: %s", dir, error.message);
    return checkpoint;
}

static void expect_error(const char *dir, enum sb_status status, const char *words)
{
    struct sb_checkpoint *checkpoint;
    struct sb_error error = {0};
    enum sb_status got = sb_checkpoint_open(&checkpoint, dir, &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
    ck_assert_ptr_null(checkpoint);
}

static void verify_all(const struct sb_checkpoint *checkpoint)
{
    struct sb_error error;
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, i);
        ck_assert(tensor->has_checksum);
        ck_assert_msg(sb_checkpoint_verify(checkpoint, tensor, &error) == SB_OK, "%s", error.message);
    }
}

static const struct {
    const char *dir, *format;
    size_t count;
    bool has_data;
    const char *tensor; /* one of them, with its shape */
    size_t rows, columns;
} checkpoints[] = {
    {"checkpoints/keras-bert-toy", "tensorflow (1 shard)", 139, true, "bert/embeddings/word_embeddings", 15, 4},
    {"checkpoints/two-shard-ckpt", "tensorflow (2 shards)", 250, true, NULL, 0, 0},
    {"checkpoints/snappy-index", "tensorflow (1 shard)", 619, false, "bert/embeddings/word_embeddings", 30522, 768},
    {"checkpoints/simbert-small-index", "tensorflow (1 shard)", 110, false,
     "bert/encoder/embedding_hidden_mapping_in/kernel", 128, 384},
    {"checkpoints/google-chinese-index", "tensorflow (1 shard)", 206, false, "bert/embeddings/position_embeddings", 512,
     768},
};

START_TEST(real_files)
{
    struct sb_checkpoint *checkpoint = open_ok(golden(checkpoints[_i].dir));
    ck_assert_str_eq(sb_checkpoint_format(checkpoint), checkpoints[_i].format);
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), checkpoints[_i].count);
    if (checkpoints[_i].tensor) {
        const struct sb_tensor *tensor = sb_checkpoint_find(checkpoint, checkpoints[_i].tensor);
        ck_assert_ptr_nonnull(tensor);
        ck_assert_int_eq(tensor->dtype, SB_F32);
        ck_assert_str_eq(tensor->stored_dtype, "DT_FLOAT");
        ck_assert_int_eq(tensor->rank, 2);
        ck_assert_uint_eq(tensor->shape[0], checkpoints[_i].rows);
        ck_assert_uint_eq(tensor->shape[1], checkpoints[_i].columns);
    }
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++)
        ck_assert_int_eq(sb_checkpoint_at(checkpoint, i)->data != NULL, checkpoints[_i].has_data);
    if (checkpoints[_i].has_data)
        ck_assert_ptr_null(sb_checkpoint_missing_data(checkpoint));
    else
        ck_assert_ptr_nonnull(strstr(sb_checkpoint_missing_data(checkpoint), "bert_model.ckpt.data-00000-of-00001"));
    verify_all(checkpoint);
    sb_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(index_with_optimizer_slots)
{
    scratch_copy("m/model.ckpt-103.index", golden("checkpoints/google-chinese-index/model.ckpt-103.index"));
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 604);
    ck_assert_ptr_nonnull(sb_checkpoint_find(checkpoint, "bert/pooler/dense/kernel/adam_m"));
    ck_assert_ptr_nonnull(strstr(sb_checkpoint_missing_data(checkpoint), "model.ckpt-103.data-00000-of-00001"));
    sb_checkpoint_close(checkpoint);
    scratch_copy("m/other.index", golden("checkpoints/snappy-index/bert_model.ckpt.index"));
    expect_error(scratch("m"), SB_INVALID, "several TensorFlow checkpoints (model.ckpt-103.index, other.index)");
}
END_TEST

START_TEST(one_of_two_shards_missing)
{
    const char *dir = golden("checkpoints/two-shard-ckpt");
    char path[600];
    snprintf(path, sizeof path, "%s/model.ckpt-1.index", dir);
    scratch_copy("m/model.ckpt-1.index", path);
    snprintf(path, sizeof path, "%s/model.ckpt-1.data-00001-of-00002", dir);
    scratch_copy("m/model.ckpt-1.data-00001-of-00002", path);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    size_t missing = 0;
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++)
        missing += sb_checkpoint_at(checkpoint, i)->data == NULL;
    ck_assert_uint_gt(missing, 0);
    ck_assert_uint_lt(missing, 250);
    ck_assert_ptr_nonnull(strstr(sb_checkpoint_missing_data(checkpoint), "model.ckpt-1.data-00000-of-00002"));
    sb_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(strange_extras)
{
    struct sb_checkpoint *checkpoint;
    scratch_copy("m/bert_model.ckpt.index", golden("models/tiny-bert/bert_model.ckpt.index"));
    scratch_copy("m/bert_model.ckpt.data-00000-of-00001",
                 golden("models/tiny-bert/bert_model.ckpt.data-00000-of-00001"));
    checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *step = sb_checkpoint_find(checkpoint, "global_step");
    int64_t value;
    ck_assert_int_eq(step->dtype, SB_I64);
    ck_assert_int_eq(step->rank, 0);
    memcpy(&value, step->data, sizeof value);
    ck_assert_int_eq(value, 123456789012);
    ck_assert_ptr_nonnull(sb_checkpoint_find(checkpoint, "bert/pooler/dense/kernel/adam_v"));
    sb_checkpoint_close(checkpoint);
}
END_TEST

/* No byte of the blocks may change unnoticed; the footer's padding and the metaindex, which is not read, may. */
START_TEST(damaged_index)
{
    size_t size, accepted = 0;
    const char *index = whole_file(golden("models/tiny-bert/bert_model.ckpt.index"), &size);
    char *copy = malloc(size);
    for (size_t i = 0; i < size; i += i < size - 120 ? 7 : 1) {
        struct sb_checkpoint *checkpoint;
        memcpy(copy, index, size);
        copy[i] = (char)(copy[i] ^ 0x20);
        scratch_write("m/bert_model.ckpt.index", copy, size);
        if (sb_checkpoint_open(&checkpoint, scratch("m"), NULL) == SB_OK) {
            accepted++;
            ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 65);
            ck_assert_uint_ge(i, size - 120);
            sb_checkpoint_close(checkpoint);
        }
    }
    ck_assert_uint_lt(accepted, 60);
    free(copy);
}
END_TEST

START_TEST(truncated_index)
{
    size_t size;
    const char *index = whole_file(golden("models/tiny-bert/bert_model.ckpt.index"), &size);
    for (size_t cut = 0; cut < size; cut += 13) {
        struct sb_checkpoint *checkpoint;
        scratch_write("m/bert_model.ckpt.index", index, cut);
        ck_assert_int_eq(sb_checkpoint_open(&checkpoint, scratch("m"), NULL), SB_CORRUPT);
    }
}
END_TEST

START_TEST(damaged_data)
{
    size_t size, found = 0;
    char *data = (char *)(uintptr_t)whole_file(golden("models/tiny-bert/bert_model.ckpt.data-00000-of-00001"), &size);
    struct sb_error error;
    scratch_copy("m/bert_model.ckpt.index", golden("models/tiny-bert/bert_model.ckpt.index"));
    data[size / 2] = (char)(data[size / 2] ^ 1);
    scratch_write("m/bert_model.ckpt.data-00000-of-00001", data, size);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, i);
        if (sb_checkpoint_verify(checkpoint, tensor, &error) == SB_OK)
            continue;
        found++;
        ck_assert_int_eq(error.status, SB_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, tensor->name));
    }
    ck_assert_uint_eq(found, 1);
    sb_checkpoint_close(checkpoint);
    scratch_write("m/bert_model.ckpt.data-00000-of-00001", data, size - 1);
    expect_error(scratch("m"), SB_CORRUPT, "truncated");
    scratch_write("m/bert_model.ckpt.data-00000-of-00001", "", 0);
    expect_error(scratch("m"), SB_CORRUPT, "truncated");
}
END_TEST

/* ---- indexes made here ---- */

static void varint(struct sb_buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        sb_buffer_bytes(out, &(char){(char)(value | 0x80)}, 1);
    sb_buffer_bytes(out, &(char){(char)value}, 1);
}

/* An entry of a block: `shared` bytes of the key before, then key. */
static void entry(struct sb_buffer *block, size_t shared, const char *key, size_t key_size, const void *value,
                  size_t value_size)
{
    varint(block, shared);
    varint(block, key_size);
    varint(block, value_size);
    sb_buffer_bytes(block, key, key_size);
    sb_buffer_bytes(block, value, value_size);
}

static void end_block(struct sb_buffer *block)
{
    const uint32_t restarts[] = {0, 1};
    sb_buffer_bytes(block, restarts, sizeof restarts);
}

/* Appends the block with its kind and checksum; the handle goes to handle. */
static void store(struct sb_buffer *table, struct sb_buffer *handle, const struct sb_buffer *block, char kind)
{
    varint(handle, table->length);
    varint(handle, block->length);
    size_t start = table->length;
    sb_buffer_bytes(table, block->data, block->length);
    sb_buffer_bytes(table, &kind, 1);
    uint32_t crc = sb_crc32c_mask(sb_crc32c(0, table->data + start, table->length - start));
    sb_buffer_bytes(table, &crc, sizeof crc);
}

static void finish(struct sb_buffer *table, const struct sb_buffer *meta_handle, const struct sb_buffer *index_handle)
{
    const uint64_t magic = UINT64_C(0xdb4775248b80fb57);
    char footer[40] = {0};
    memcpy(footer, meta_handle->data, meta_handle->length);
    memcpy(footer + meta_handle->length, index_handle->data, index_handle->length);
    sb_buffer_bytes(table, footer, sizeof footer);
    sb_buffer_bytes(table, &magic, sizeof magic);
}

/* Writes m/x.index with this one data block. */
static void put_index(const struct sb_buffer *block, char kind)
{
    struct sb_buffer table = {0}, handle = {0}, index = {0}, index_handle = {0};
    store(&table, &handle, block, kind);
    entry(&index, 0, "zzz", 3, handle.data, handle.length);
    end_block(&index);
    store(&table, &index_handle, &index, 0);
    finish(&table, &handle, &index_handle);
    scratch_write("m/x.index", table.data, table.length);
    sb_buffer_free(&table);
    sb_buffer_free(&handle);
    sb_buffer_free(&index);
    sb_buffer_free(&index_handle);
}

#define HEADER "\x08\x01" /* one shard */
#define SHAPE23 "\x12\x08\x12\x02\x08\x02\x12\x02\x08\x03"

/* A block of the header and one tensor "a" of 2 x 3 floats in a file of 24 bytes, each replaceable. */
static void put_entries(const char *header, size_t header_size, const char *key, size_t key_size, const char *value,
                        size_t value_size)
{
    struct sb_buffer block = {0};
    if (header)
        entry(&block, 0, "", 0, header, header_size);
    entry(&block, 0, key, key_size, value, value_size);
    end_block(&block);
    put_index(&block, 0);
    scratch_write("m/x.data-00000-of-00001", "aaaabbbbccccddddeeeeffff", 24);
    sb_buffer_free(&block);
}

START_TEST(made_here)
{
    /* the smallest index that is right: what the cases below break */
    static const char value[] = "\x08\x01" SHAPE23 "\x28\x18";
    put_entries(HEADER, 2, "a", 1, value, sizeof value - 1);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *a = sb_checkpoint_find(checkpoint, "a");
    ck_assert_uint_eq(a->count, 6);
    ck_assert(!a->has_checksum);
    ck_assert_mem_eq(a->data, "aaaabbbb", 8);
    sb_checkpoint_close(checkpoint);
}
END_TEST

static const struct {
    const char *header;
    size_t header_size;
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
    enum sb_status status;
    const char *words;
} bad_entries[] = {
#define B(text) text, sizeof text - 1
    {NULL, 0, B("a"), B("\x08\x01" SHAPE23 "\x28\x18"), SB_CORRUPT, "header is missing"},
    {B("\x08"), B("a"), B(""), SB_CORRUPT, "header is damaged"},
    {B("\x08\x00"), B("a"), B(""), SB_CORRUPT, "claims 0 data files"},
    {B("\x08\xFF\xFF\xFF\xFF\x0F"), B("a"), B(""), SB_CORRUPT, "claims 4294967295 data files"},
    {B("\x08\x01\x10\x01"), B("a"), B(""), SB_UNSUPPORTED, "big-endian"},
    {B(HEADER), B("a"), B(""), SB_UNSUPPORTED, "unknown dtype 0"},
    {B(HEADER), B("a"), B("\x08\x7F"), SB_UNSUPPORTED, "unknown dtype 127"},
    {B(HEADER), B("a"), B("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), SB_UNSUPPORTED, "unknown dtype"},
    {B(HEADER), B("a"), B("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"), SB_CORRUPT, "\"a\" is damaged"},
    {B(HEADER), B("a"), B("\x08\x01" SHAPE23 "\x28\x14"), SB_CORRUPT,
     "has 20 bytes, but its shape and dtype DT_FLOAT ask for 6 x 4"},
    {B(HEADER), B("a"), B("\x08\x02" SHAPE23 "\x28\x18"), SB_CORRUPT, "ask for 6 x 8"},
    {B(HEADER), B("a"), B("\x08\x01" SHAPE23 "\x28\x18\x20\x01"), SB_CORRUPT, "24 bytes at 1, but the file has 24"},
    {B(HEADER), B("a"), B("\x08\x01" SHAPE23 "\x28\x18\x20\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), SB_CORRUPT,
     "truncated"},
    {B(HEADER), B("a"), B("\x08\x01" SHAPE23 "\x28\x18\x18\x01"), SB_CORRUPT, "data file 1 of 1"},
    {B(HEADER), B("a"), B("\x08\x01" SHAPE23 "\x28\x18\x3A\x00"), SB_UNSUPPORTED, "slices"},
    {B(HEADER), B("\0slice"), B("\x08\x01"), SB_UNSUPPORTED, "slices"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x02\x18\x01"), SB_UNSUPPORTED, "unknown shape"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x0D\x12\x0B\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), SB_CORRUPT,
     "no size"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x0E\x12\x05\x08\x80\x80\x80\x40\x12\x05\x08\x80\x80\x80\x40"), SB_CORRUPT,
     "ask for 18014398509481984 x 4"},
    {B(HEADER), B("a"),
     B("\x08\x01\x12\x15\x12\x05\x08\x80\x80\x80\x40\x12\x05\x08\x80\x80\x80\x40\x12\x05\x08\x80\x80\x80\x40"),
     SB_CORRUPT, "counted"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x12\x12\x00\x12\x00\x12\x00\x12\x00\x12\x00\x12\x00\x12\x00\x12\x00\x12\x00"),
     SB_UNSUPPORTED, "more than 8 dimensions"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x7F"), SB_CORRUPT, "damaged"},
    {B(HEADER), B("a"), B("\x08\x01\x12\x02\x12\x7F"), SB_CORRUPT, "damaged"},
    {B(HEADER), B("a"), B("\x0B\x01"), SB_CORRUPT, "damaged"},
    {B(HEADER), B("a"), B("\x35\x01\x02"), SB_CORRUPT, "damaged"},
    {B(HEADER), B("a"), B("\x00\x01"), SB_CORRUPT, "damaged"},
    {B(HEADER), B("a\nb"), B("\x08\x01" SHAPE23 "\x28\x18"), SB_CORRUPT, "control character"},
    {B(HEADER), B("a\xFF"), B("\x08\x01" SHAPE23 "\x28\x18"), SB_CORRUPT, "not UTF-8"},
};

START_TEST(bad_entry)
{
    put_entries(bad_entries[_i].header, bad_entries[_i].header_size, bad_entries[_i].key, bad_entries[_i].key_size,
                bad_entries[_i].value, bad_entries[_i].value_size);
    expect_error(scratch("m"), bad_entries[_i].status, bad_entries[_i].words);
}
END_TEST

START_TEST(strings_are_listed)
{
    /* a scalar DT_STRING with a checksum, which is not of its bytes: TensorFlow 2 keeps its object graph so */
    static const char value[] = "\x08\x07\x12\x00\x28\x05\x35\x01\x02\x03\x04";
    put_entries(HEADER, 2, "_CHECKPOINTABLE_OBJECT_GRAPH", 28, value, sizeof value - 1);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *graph = sb_checkpoint_at(checkpoint, 0);
    ck_assert_str_eq(graph->stored_dtype, "DT_STRING");
    ck_assert_int_eq(graph->dtype, SB_DTYPE_OTHER);
    ck_assert(!graph->has_checksum);
    ck_assert_int_eq(sb_checkpoint_verify(checkpoint, graph, NULL), SB_OK);
    sb_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(empty_tensor_in_empty_file)
{
    static const char value[] = "\x08\x01\x12\x04\x12\x02\x08\x00";
    put_entries(HEADER, 2, "a", 1, value, sizeof value - 1);
    scratch_write("m/x.data-00000-of-00001", "", 0);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_at(checkpoint, 0)->count, 0);
    ck_assert_ptr_nonnull(sb_checkpoint_at(checkpoint, 0)->data);
    ck_assert_ptr_null(sb_checkpoint_missing_data(checkpoint));
    sb_checkpoint_close(checkpoint);
}
END_TEST

static void expect_bad_block(struct sb_buffer *block, char kind, enum sb_status status, const char *words)
{
    put_index(block, kind);
    expect_error(scratch("m"), status, words);
    sb_buffer_free(block);
}

START_TEST(bad_blocks)
{
    struct sb_buffer block = {0};
    const uint32_t many = 0x40000000;
    char long_key[5000];
    memset(long_key, 'k', sizeof long_key);

    expect_bad_block(&block, 0, SB_CORRUPT, "restart points");
    sb_buffer_bytes(&block, &many, 4);
    expect_bad_block(&block, 0, SB_CORRUPT, "claims 1073741824 restart points");
    sb_buffer_bytes(&block, "\0\1", 2);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "an entry of a block is cut");
    entry(&block, 1, "a", 1, "", 0); /* shares with a key that is not there */
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "claims 1 + 1 + 0 bytes");
    sb_buffer_bytes(&block, "\0\x7F\0a", 4);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "claims 0 + 127 + 0 bytes");
    sb_buffer_bytes(&block,
                    "\0\1\x7F"
                    "a",
                    4);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "claims 0 + 1 + 127 bytes");
    entry(&block, 0, long_key, sizeof long_key, "", 0);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "more than 4096 bytes");
    entry(&block, 0, "", 0, HEADER, 2);
    entry(&block, 0, long_key, 401, "", 0);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "401 bytes, more than 400");
    entry(&block, 0, "", 0, HEADER, 2);
    entry(&block, 0, "", 0, HEADER, 2);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "rising order");
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "header is missing");
    end_block(&block);
    expect_bad_block(&block, 2, SB_UNSUPPORTED, "unknown way 2");
}
END_TEST

/* Keys "ab" then "aa", by sharing: smaller than the one before. */
START_TEST(falling_keys)
{
    static const char value[] = "\x08\x01" SHAPE23 "\x28\x18";
    struct sb_buffer block = {0};
    entry(&block, 0, "", 0, HEADER, 2);
    entry(&block, 0, "ab", 2, value, sizeof value - 1);
    entry(&block, 1, "a", 1, value, sizeof value - 1);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "rising order");
    entry(&block, 0, "", 0, HEADER, 2);
    entry(&block, 0, "ab", 2, value, sizeof value - 1);
    entry(&block, 2, "", 0, value, sizeof value - 1);
    end_block(&block);
    expect_bad_block(&block, 0, SB_CORRUPT, "rising order");
}
END_TEST

/* Writes m/x.index with these data blocks, one may be listed twice. */
static void put_blocks(const struct sb_buffer *first, const struct sb_buffer *second)
{
    struct sb_buffer table = {0}, handle = {0}, index = {0}, index_handle = {0};
    store(&table, &handle, first, 0);
    entry(&index, 0, "a", 1, handle.data, handle.length);
    if (second != first) {
        sb_buffer_reset(&handle);
        store(&table, &handle, second, 0);
    }
    entry(&index, 0, "z", 1, handle.data, handle.length);
    end_block(&index);
    store(&table, &index_handle, &index, 0);
    finish(&table, &handle, &index_handle);
    scratch_write("m/x.index", table.data, table.length);
    sb_buffer_free(&table);
    sb_buffer_free(&handle);
    sb_buffer_free(&index);
    sb_buffer_free(&index_handle);
}

START_TEST(two_blocks)
{
    static const char value[] = "\x08\x01\x12\x04\x12\x02\x08\x00";
    struct sb_buffer first = {0}, second = {0};
    entry(&first, 0, "", 0, HEADER, 2);
    entry(&first, 0, "aa", 2, value, sizeof value - 1);
    end_block(&first);
    entry(&second, 0, "ab", 2, value, sizeof value - 1);
    end_block(&second);
    put_blocks(&first, &second);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 2);
    ck_assert_ptr_nonnull(sb_checkpoint_find(checkpoint, "ab"));
    sb_checkpoint_close(checkpoint);
    /* the first key of a block is whole: it can not share with the block before */
    sb_buffer_reset(&second);
    entry(&second, 1, "b", 1, value, sizeof value - 1);
    end_block(&second);
    put_blocks(&first, &second);
    expect_error(scratch("m"), SB_CORRUPT, "claims 1 + 1 + 8 bytes");
    /* keys rise from block to block, so no block can be listed twice: a small file would be a long read */
    put_blocks(&first, &first);
    expect_error(scratch("m"), SB_CORRUPT, "rising order");
    sb_buffer_free(&first);
    sb_buffer_free(&second);
}
END_TEST

static void expect_bad_footer(const char *bytes, size_t size, const char *words)
{
    const uint64_t magic = UINT64_C(0xdb4775248b80fb57);
    char file[48] = {0};
    memcpy(file, bytes, size);
    memcpy(file + 40, &magic, 8);
    scratch_write("m/x.index", file, sizeof file);
    expect_error(scratch("m"), SB_CORRUPT, words);
}

START_TEST(bad_footers)
{
    expect_bad_footer("\0\0\0\0", 4, "does not fit");
    expect_bad_footer("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 11, "footer is damaged");
    expect_bad_footer("\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\0", 13, "does not fit");
    expect_bad_footer("\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 13, "does not fit");
}
END_TEST

START_TEST(snappy_blocks)
{
    struct sb_buffer block = {0}, packed = {0};
    static const char value[] = "\x08\x01" SHAPE23 "\x28\x18";
    char room[1000];
    size_t size = sizeof room;
    entry(&block, 0, "", 0, HEADER, 2);
    entry(&block, 0, "a", 1, value, sizeof value - 1);
    end_block(&block);
    ck_assert_int_eq(snappy_compress(block.data, block.length, room, &size), SNAPPY_OK);
    sb_buffer_bytes(&packed, room, size);
    put_index(&packed, 1);
    scratch_write("m/x.data-00000-of-00001", "aaaabbbbccccddddeeeeffff", 24);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 1);
    sb_checkpoint_close(checkpoint);
    packed.length--;
    put_index(&packed, 1);
    expect_error(scratch("m"), SB_CORRUPT, "snappy block at byte 0 is damaged");
    sb_buffer_free(&packed);
    sb_buffer_bytes(&packed, "\xFF\xFF\xFF\xFF\x0F", 5); /* claims 4 GiB */
    expect_bad_block(&packed, 1, SB_LIMIT, "unpacks to 4294967295 bytes");
    sb_buffer_bytes(&packed, "\xFF", 1);
    expect_bad_block(&packed, 1, SB_CORRUPT, "has no length");
    sb_buffer_free(&block);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/tensorflow");
    TCase *tests = tcase_create("tensorflow");
    tcase_set_timeout(tests, 60); /* damaged_index syncs a file a step */
    tcase_add_loop_test(tests, real_files, 0, sizeof checkpoints / sizeof *checkpoints);
    tcase_add_test(tests, index_with_optimizer_slots);
    tcase_add_test(tests, one_of_two_shards_missing);
    tcase_add_test(tests, strange_extras);
    tcase_add_test(tests, damaged_index);
    tcase_add_test(tests, truncated_index);
    tcase_add_test(tests, damaged_data);
    tcase_add_test(tests, made_here);
    tcase_add_loop_test(tests, bad_entry, 0, sizeof bad_entries / sizeof *bad_entries);
    tcase_add_test(tests, strings_are_listed);
    tcase_add_test(tests, empty_tensor_in_empty_file);
    tcase_add_test(tests, bad_blocks);
    tcase_add_test(tests, falling_keys);
    tcase_add_test(tests, two_blocks);
    tcase_add_test(tests, bad_footers);
    tcase_add_test(tests, snappy_blocks);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
