/* pytorch_model.bin without a zip file: files that PyTorch wrote, and ones that lie. */
#include "base/buffer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "tests/unit/weights/torch_files.h"
#include "weights/checkpoint_impl.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(same_as_the_zip_file)
{
    scratch_copy("zip/pytorch_model.bin", golden("models/tiny-bert/pytorch_model.bin"));
    struct sb_checkpoint *zip = open_ok(scratch("zip")), *legacy = open_ok(golden("checkpoints/torch-legacy"));
    ck_assert_str_eq(sb_checkpoint_format(legacy), "pytorch");
    ck_assert_uint_eq(sb_checkpoint_count(legacy), sb_checkpoint_count(zip));
    for (size_t i = 0; i < sb_checkpoint_count(zip); i++) {
        const struct sb_tensor *a = sb_checkpoint_at(zip, i), *b = sb_checkpoint_at(legacy, i);
        ck_assert_str_eq(a->name, b->name);
        ck_assert_str_eq(a->stored_dtype, b->stored_dtype);
        ck_assert_int_eq(a->rank, b->rank);
        ck_assert_mem_eq(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
        ck_assert_mem_eq(a->data, b->data, a->count * sb_dtype_size(a->dtype));
        ck_assert(!b->has_checksum);
        ck_assert_int_eq(sb_checkpoint_verify(legacy, b, NULL), SB_OK);
    }
    sb_checkpoint_close(zip);
    sb_checkpoint_close(legacy);
}
END_TEST

static void expect_floats(const struct sb_checkpoint *checkpoint, const char *name, enum sb_dtype dtype, int rank,
                          const float *numbers, size_t count)
{
    const struct sb_tensor *tensor = sb_checkpoint_find(checkpoint, name);
    float found[12];
    ck_assert_ptr_nonnull(tensor);
    ck_assert_int_eq(tensor->dtype, dtype);
    ck_assert_int_eq(tensor->rank, rank);
    ck_assert_uint_eq(tensor->count, count);
    sb_to_f32(found, tensor->data, dtype, count);
    ck_assert_mem_eq(found, numbers, count * sizeof *found);
}

START_TEST(views_and_formats)
{
    static const float w[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, t[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
    struct sb_checkpoint *checkpoint = open_ok(golden("checkpoints/torch-legacy-views"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 8); /* and an epoch, which is no tensor */
    expect_floats(checkpoint, "w", SB_F32, 2, w, 12);
    expect_floats(checkpoint, "t", SB_F32, 2, t, 12);
    expect_floats(checkpoint, "row", SB_F32, 1, w + 4, 4);
    expect_floats(checkpoint, "h", SB_F16, 1, (const float[]){1.5f, -2.0f}, 2);
    expect_floats(checkpoint, "b", SB_BF16, 1, (const float[]){0.5f, 3.0f}, 2);
    expect_floats(checkpoint, "s", SB_F32, 0, (const float[]){2.5f}, 1);
    expect_floats(checkpoint, "e", SB_F32, 2, w, 0);
    ck_assert_mem_eq(sb_checkpoint_find(checkpoint, "n")->data, ((const int64_t[]){7, -8}), 16);
    ck_assert_ptr_eq(sb_checkpoint_find(checkpoint, "row")->data,
                     (const float *)sb_checkpoint_find(checkpoint, "w")->data + 4);
    sb_checkpoint_close(checkpoint);
}
END_TEST

static enum sb_status read_bytes(const char *bytes, size_t size)
{
    struct sb_checkpoint *checkpoint = sb_checkpoint_new();
    enum sb_status status = sb_pytorch_read(checkpoint, "file", bytes, size, NULL);
    sb_checkpoint_close(checkpoint);
    return status;
}

/* Any beginning of a file is refused. */
START_TEST(truncated)
{
    size_t size;
    const char *file = whole_file(golden("checkpoints/torch-legacy-views/pytorch_model.bin"), &size);
    for (size_t cut = 0; cut < size; cut++) {
        char *copy = malloc(cut + 1); /* a block of its own, so that a read behind it is seen */
        memcpy(copy, file, cut);
        ck_assert_int_eq(read_bytes(copy, cut), SB_CORRUPT);
        free(copy);
    }
    ck_assert_int_eq(read_bytes(file, size), SB_OK);
}
END_TEST

/* Any byte changed: refused or read, never a crash. */
START_TEST(flipped_bytes)
{
    size_t size, refused = 0;
    const char *file = whole_file(golden("checkpoints/torch-legacy-views/pytorch_model.bin"), &size);
    char *copy = malloc(size);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, file, size);
            copy[i] = (char)(copy[i] ^ 1 << bit);
            refused += read_bytes(copy, size) != SB_OK;
        }
    }
    ck_assert_uint_gt(refused, 4 * size);
    free(copy);
}
END_TEST

/* ---- files made here, in their parts ---- */

#define TEXT(length, text) "X" length "\0\0\0" text
#define STORAGE "(" TEXT("\7", "storage") "ctorch\nFloatStorage\n" TEXT("\1", "k") TEXT("\3", "cpu") "K\6NtQ"
#define STATE_OF(storage)                                                                                              \
    "\x80\2}" TEXT("\1", "a") "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K\0K\2K\3\x86K\3K\1\x86\x89"             \
                              "ccollections\nOrderedDict\n)RtRs."
#define KEYS "\x80\2]" TEXT("\1", "k") "a."
#define NUMBERS "\6\0\0\0\0\0\0\0aaaabbbbccccddddeeeeffff"

struct part {
    const char *data;
    size_t size;
};
#define PART(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof text - 1                                                                                          \
    }
enum { MAGIC, VERSION, MACHINE, STATE, KEY_LIST, STORAGES, PARTS };
static const struct part good[PARTS] = {
    [MAGIC] = PART("\x80\2\x8A\x0Al\xFC\x9C\x46\xF9 j\xA8P\x19."),
    [VERSION] = PART("\x80\2M\xE9\3."),
    [MACHINE] = PART("\x80\2}" TEXT("\x0D", "little_endian") "\x88s."),
    [STATE] = PART(STATE_OF(STORAGE)),
    [KEY_LIST] = PART(KEYS),
    [STORAGES] = PART(NUMBERS),
};

/* Writes m/pytorch_model.bin with one part replaced. */
static void put(int which, const struct part *other)
{
    struct sb_buffer file = {0};
    for (int i = 0; i < PARTS; i++) {
        const struct part *part = i == which ? other : &good[i];
        sb_buffer_bytes(&file, part->data, part->size);
    }
    scratch_write("m/pytorch_model.bin", file.data, file.length);
    sb_buffer_free(&file);
}

START_TEST(made_here)
{
    put(PARTS, NULL);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *a = sb_checkpoint_find(checkpoint, "a");
    ck_assert_uint_eq(a->count, 6);
    ck_assert_mem_eq(a->data, "aaaabbbbccccddddeeeeffff", 24);
    sb_checkpoint_close(checkpoint);
}
END_TEST

#define STORAGE_WITH(type, key, count, view)                                                                           \
    "(" TEXT("\7", "storage") "ctorch\n" type "\n" key TEXT("\3", "cpu") count view "tQ"
#define KEY TEXT("\1", "k")

static const struct {
    int which;
    struct part part;
    enum sb_status status;
    const char *words;
} bad[] = {
    {MAGIC, PART("\x80\2\x8A\x0Al\xFC\x9C\x46\xF9 j\xA8P\x18."), SB_CORRUPT, "torch.save did not write it"},
    {VERSION, PART("\x80\2M\xEA\3."), SB_UNSUPPORTED, "another version"},
    {VERSION, PART("\x80\2N."), SB_UNSUPPORTED, "another version"},
    {MACHINE, PART("\x80\2}" TEXT("\x0D", "little_endian") "\x89s."), SB_UNSUPPORTED, "byte order"},
    {MACHINE, PART("\x80\2}."), SB_UNSUPPORTED, "byte order"},
    {MACHINE, PART("\x80\2N."), SB_UNSUPPORTED, "byte order"},
    {STATE, PART("\x80\2N."), SB_CORRUPT, "no tensor says"},
    {STATE,
     PART("\x80\2"
          "cposix\nsystem\n" TEXT("\2", "ls") "\x85R."),
     SB_UNSUPPORTED, "posix.system"},
    {STATE, PART(STATE_OF(STORAGE_WITH("FloatStorage", KEY, "K\5", "N"))), SB_CORRUPT, "claims 5 elements"},
    {STATE, PART(STATE_OF(STORAGE_WITH("DoubleStorage", KEY, "K\6", "N"))), SB_CORRUPT,
     "claims 6 elements of DoubleStorage"},
    {STATE, PART(STATE_OF(STORAGE_WITH("FloatStorage", TEXT("\1", "j"), "K\6", "N"))), SB_CORRUPT, "no tensor says"},
    {STATE, PART(STATE_OF(STORAGE_WITH("FloatStorage", KEY, "K\6", "K\1"))), SB_CORRUPT, "no tensor says"},
    {STATE, PART(STATE_OF("N")), SB_CORRUPT, "no tensor says"},
    {KEY_LIST, PART("\x80\2N."), SB_CORRUPT, "not a list"},
    {KEY_LIST, PART("\x80\2]."), SB_CORRUPT, "\"a\" is stored in k, which is not there"},
    {KEY_LIST, PART("\x80\2]K\1a."), SB_CORRUPT, "key is not a string"},
    {KEY_LIST, PART("\x80\2]" TEXT("\x29", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") "a."), SB_CORRUPT,
     "key is not a string"},
    {STORAGES, PART(""), SB_CORRUPT, "storage k is not there"},
    {STORAGES, PART("\6\0\0\0\0\0\0\0aaaabbbbccccddddeeeefff"), SB_CORRUPT, "23 bytes are left"},
    {STORAGES,
     PART("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x3F"
          "aaaabbbbccccddddeeeeffff"),
     SB_CORRUPT, "4611686018427387903 elements"},
    {STORAGES, PART("\5\0\0\0\0\0\0\0aaaabbbbccccddddeeeeffff"), SB_CORRUPT,
     "k has 20 bytes, but tensor \"a\" claims 6"},
};

START_TEST(lies)
{
    put(bad[_i].which, &bad[_i].part);
    expect_error(bad[_i].status, bad[_i].words);
}
END_TEST

/* A key that is listed twice has two storages. */
START_TEST(key_twice)
{
    struct sb_buffer file = {0};
    for (int i = 0; i < KEY_LIST; i++)
        sb_buffer_bytes(&file, good[i].data, good[i].size);
    sb_buffer_bytes(&file, "\x80\2](" KEY KEY "e.", sizeof "\x80\2](" KEY KEY "e." - 1);
    sb_buffer_bytes(&file, NUMBERS NUMBERS, sizeof NUMBERS NUMBERS - 1);
    scratch_write("m/pytorch_model.bin", file.data, file.length);
    sb_buffer_free(&file);
    expect_error(SB_CORRUPT, "k occurs twice");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/pytorch_legacy");
    TCase *tests = tcase_create("pytorch_legacy");
    tcase_add_test(tests, same_as_the_zip_file);
    tcase_add_test(tests, views_and_formats);
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, flipped_bytes);
    tcase_add_test(tests, made_here);
    tcase_add_loop_test(tests, lies, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tests, key_twice);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
