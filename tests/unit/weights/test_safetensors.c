/* safetensors: real files, shards, and files that lie. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/checkpoint.h"
#include "weights/safetensors_write.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes NAME: header size, header, and data_size bytes 0, 1, 2, ... */
static void put(const char *name, const char *header, size_t data_size)
{
    uint64_t header_size = strlen(header);
    unsigned char *file = malloc(8 + header_size + data_size + 1);
    memcpy(file, &header_size, 8);
    memcpy(file + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++)
        file[8 + header_size + i] = (unsigned char)i;
    scratch_write(name, file, 8 + header_size + data_size);
    free(file);
}

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

START_TEST(real_files)
{
    static const struct {
        const char *dir, *stored;
        enum sb_dtype dtype;
    } files[] = {{"checkpoints/safetensors-float32", "F32", SB_F32},
                 {"checkpoints/safetensors-float16", "F16", SB_F16},
                 {"checkpoints/safetensors-int8", "I8", SB_I8}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct sb_checkpoint *checkpoint = open_ok(golden(files[i].dir));
        ck_assert_str_eq(sb_checkpoint_format(checkpoint), "safetensors");
        ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 1);
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, 0);
        ck_assert_str_eq(tensor->name, "embeddings");
        ck_assert_str_eq(tensor->stored_dtype, files[i].stored);
        ck_assert_int_eq(tensor->dtype, files[i].dtype);
        ck_assert_int_eq(tensor->rank, 2);
        ck_assert_uint_eq(tensor->shape[0], 29528);
        ck_assert_uint_eq(tensor->shape[1], 2);
        ck_assert_uint_eq(tensor->count, 59056);
        ck_assert_ptr_nonnull(tensor->data);
        ck_assert_ptr_null(sb_checkpoint_missing_data(checkpoint));
        sb_checkpoint_close(checkpoint);
    }
}
END_TEST

START_TEST(half_is_rounded_float)
{
    struct sb_checkpoint *wide = open_ok(golden("checkpoints/safetensors-float32"));
    struct sb_checkpoint *half = open_ok(golden("checkpoints/safetensors-float16"));
    const struct sb_tensor *a = sb_checkpoint_at(wide, 0), *b = sb_checkpoint_at(half, 0);
    uint16_t *rounded = malloc(a->count * 2);
    float *numbers = malloc(a->count * sizeof *numbers);
    sb_to_f32(numbers, a->data, SB_F32, a->count);
    sb_from_f32(rounded, SB_F16, numbers, a->count);
    ck_assert_mem_eq(rounded, b->data, a->count * 2);
    free(rounded);
    free(numbers);
    sb_checkpoint_close(wide);
    sb_checkpoint_close(half);
}
END_TEST

START_TEST(contents)
{
    put("m/model.safetensors",
        "{\"__metadata__\":{\"a\":\"b\"},\"z\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[4,8]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,9007199254740991,9007199254740991],\"data_offsets\":[8,8]},"
        "\"odd\":{\"shape\":[1],\"data_offsets\":[8,9],\"dtype\":\"BOOL\"}}   ",
        9);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 4);
    ck_assert_str_eq(sb_checkpoint_at(checkpoint, 0)->name, "a");
    ck_assert_str_eq(sb_checkpoint_at(checkpoint, 3)->name, "z");
    const struct sb_tensor *scalar = sb_checkpoint_find(checkpoint, "a"), *z = sb_checkpoint_find(checkpoint, "z");
    ck_assert_int_eq(scalar->rank, 0);
    ck_assert_uint_eq(scalar->count, 1);
    ck_assert_mem_eq(scalar->data, "\0\1\2\3", 4);
    ck_assert_mem_eq(z->data, "\4\5\6\7", 4);
    ck_assert_uint_eq(sb_checkpoint_find(checkpoint, "none")->count, 0);
    ck_assert_int_eq(sb_checkpoint_find(checkpoint, "odd")->dtype, SB_DTYPE_OTHER);
    ck_assert_ptr_null(sb_checkpoint_find(checkpoint, "y"));
    ck_assert(!z->has_checksum);
    struct sb_error error;
    ck_assert_int_eq(sb_checkpoint_verify(checkpoint, z, &error), SB_OK);
    struct sb_tensor foreign = *z;
    ck_assert_int_eq(sb_checkpoint_verify(checkpoint, &foreign, &error), SB_INVALID);
    sb_checkpoint_close(checkpoint);
}
END_TEST

#define T(name, dtype, shape, offsets)                                                                                 \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data_size;
    enum sb_status status;
    const char *words;
} lies[] = {
    {"", 0, SB_CORRUPT, "does not begin with '{'"},
    {"[]", 0, SB_CORRUPT, "does not begin with '{'"},
    {" {}", 0, SB_CORRUPT, "does not begin with '{'"},
    {"{", 0, SB_CORRUPT, "the header: bad JSON"},
    {"{\"a\":1}", 0, SB_CORRUPT, "\"a\" in the header is not an object"},
    {"{\"a\":{}}", 0, SB_CORRUPT, "\"a\" has no \"dtype\""},
    {"{\"a\":{\"dtype\":1}}", 0, SB_CORRUPT, "\"dtype\" is not a string"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\"}}", 0, SB_CORRUPT, "\"dtype\" twice"},
    {"{\"a\":{\"dtype\":\"F31\"}}", 0, SB_UNSUPPORTED, "unknown dtype \"F31\""},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, SB_CORRUPT, "no \"shape\""},
    {"{" T("a", "F32", "4", "[0,4]") "}", 4, SB_CORRUPT, "\"shape\" is not an array"},
    {"{" T("a", "F32", "[-1]", "[0,4]") "}", 4, SB_CORRUPT, "dimension 0 of \"shape\""},
    {"{" T("a", "F32", "[1,1.5]", "[0,4]") "}", 4, SB_CORRUPT, "dimension 1 of \"shape\""},
    {"{" T("a", "F32", "[\"1\"]", "[0,4]") "}", 4, SB_CORRUPT, "dimension 0 of \"shape\""},
    {"{" T("a", "F32", "[9007199254740992]", "[0,4]") "}", 4, SB_CORRUPT, "dimension 0 of \"shape\""},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, SB_UNSUPPORTED, "more than 8 dimensions"},
    {"{" T("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, SB_CORRUPT, "more elements than can be counted"},
    {"{" T("a", "F64", "[4503599627370496,1024]", "[0,0]") "}", 0, SB_CORRUPT, "ask for 4611686018427387904 x 8"},
    {"{" T("a", "F32", "[1]", "[0]") "}", 4, SB_CORRUPT, "\"data_offsets\" is not a pair"},
    {"{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, SB_CORRUPT, "\"data_offsets\" is not a pair"},
    {"{" T("a", "F32", "[1]", "[-4,0]") "}", 4, SB_CORRUPT, "\"data_offsets\" is not a pair"},
    {"{" T("a", "F32", "[1]", "{}") "}", 4, SB_CORRUPT, "\"data_offsets\" is not a pair"},
    {"{" T("a", "F32", "[1]", "[0,1e300]") "}", 4, SB_CORRUPT, "\"data_offsets\" is not a pair"},
    {"{" T("a", "F32", "[1]", "[4,0]") "}", 4, SB_CORRUPT, "begins at byte 4 and ends before it"},
    {"{" T("a", "F32", "[1]", "[0,4]") "}", 3, SB_CORRUPT, "truncated"},
    {"{" T("a", "F32", "[1]", "[0,9007199254740991]") "}", 4, SB_CORRUPT, "truncated"},
    {"{" T("a", "F32", "[2]", "[0,4]") "}", 4, SB_CORRUPT, "has 4 bytes, but its shape and dtype F32 ask for 2 x 4"},
    {"{" T("a", "F16", "[1]", "[0,4]") "}", 4, SB_CORRUPT, "ask for 1 x 2"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[3,7]") "}", 7, SB_CORRUPT,
     "\"b\" begins at byte 3 of the data and overlaps \"a\""},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[0,4]") "}", 4, SB_CORRUPT, "overlaps"},
    {"{" T("b", "F32", "[2]", "[4,12]") "," T("a", "F32", "[3]", "[0,12]") "}", 12, SB_CORRUPT, "overlaps"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[5,9]") "}", 9, SB_CORRUPT,
     "bytes 4 to 5 of the data, before tensor \"b\""},
    {"{" T("a", "F32", "[1]", "[1,5]") "}", 5, SB_CORRUPT, "bytes 0 to 1"},
    {"{" T("a", "F32", "[1]", "[0,4]") "}", 5, SB_CORRUPT, "end at byte 4 of the data, which has 5"},
    {"{}", 1, SB_CORRUPT, "end at byte 0"},
    {"{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, SB_CORRUPT, "\"a\" occurs twice"},
    {"{" T("", "F32", "[1]", "[0,4]") "}", 4, SB_CORRUPT, "empty name"},
    {"{" T("a\\nb", "F32", "[1]", "[0,4]") "}", 4, SB_CORRUPT, "control character"},
    {"{" T("a\\u0000", "F32", "[1]", "[0,4]") "}", 4, SB_CORRUPT, "NUL"},
    {"{" T("a", "F32", "[1]", "[0,4]") "}{}", 4, SB_CORRUPT, "the header"},
};

START_TEST(lie)
{
    put("m/model.safetensors", lies[_i].header, lies[_i].data_size);
    expect_error(scratch("m"), lies[_i].status, lies[_i].words);
}
END_TEST

START_TEST(long_name)
{
    char header[1000], name[402];
    memset(name, 'n', 401);
    name[401] = '\0';
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    put("m/model.safetensors", header, 1);
    expect_error(scratch("m"), SB_CORRUPT, "more than 400 bytes");
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name + 1);
    put("m/model.safetensors", header, 1);
    sb_checkpoint_close(open_ok(scratch("m")));
}
END_TEST

START_TEST(header_sizes)
{
    const uint64_t sizes[] = {0, 3, 100000001, UINT64_MAX, UINT64_MAX - 7, 1 << 20};
    unsigned char file[10] = "01234567{}";
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memcpy(file, &sizes[i], 8);
        scratch_write("m/model.safetensors", file, sizeof file);
        expect_error(scratch("m"), SB_CORRUPT, "header");
    }
}
END_TEST

START_TEST(deep_header)
{
    char header[1000] = "{\"a\":";
    memset(header + 5, '[', 900);
    put("m/model.safetensors", header, 0);
    expect_error(scratch("m"), SB_CORRUPT, "deeper");
}
END_TEST

/* A file that ends anywhere is refused, whatever is cut. */
START_TEST(truncated)
{
    size_t size;
    const char *file = whole_file(golden("models/tiny-bert/model.safetensors"), &size);
    for (size_t cut = 0; cut < size; cut += cut < 8000 ? 97 : 9973) {
        scratch_write("m/model.safetensors", file, cut);
        struct sb_checkpoint *checkpoint;
        struct sb_error error;
        ck_assert_int_eq(sb_checkpoint_open(&checkpoint, scratch("m"), &error), SB_CORRUPT);
    }
}
END_TEST

/* Two shards and their index, with tensors a and b in the first and c in the second. */
static void put_shards(const char *weight_map)
{
    char index[1000];
    put("m/model-00001-of-00002.safetensors", "{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[1]", "[2,3]") "}", 3);
    put("m/model-00002-of-00002.safetensors", "{" T("c", "U8", "[4]", "[0,4]") "}", 4);
    snprintf(index, sizeof index, "{\"metadata\":{\"total_size\":7},\"weight_map\":%s}", weight_map);
    scratch_text("m/model.safetensors.index.json", index);
}

#define S1 "\"model-00001-of-00002.safetensors\""
#define S2 "\"model-00002-of-00002.safetensors\""

START_TEST(shards)
{
    put_shards("{\"a\":" S1 ",\"c\":" S2 ",\"b\":" S1 "}");
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    ck_assert_str_eq(sb_checkpoint_format(checkpoint), "safetensors (2 shards)");
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 3);
    ck_assert_mem_eq(sb_checkpoint_find(checkpoint, "b")->data, "\2", 1);
    ck_assert_mem_eq(sb_checkpoint_find(checkpoint, "c")->data, "\0\1\2\3", 4);
    sb_checkpoint_close(checkpoint);
}
END_TEST

static const struct {
    const char *map;
    enum sb_status status;
    const char *words;
} bad_maps[] = {
    {"[]", SB_CORRUPT, "weight_map"},
    {"null", SB_CORRUPT, "weight_map"},
    {"{}", SB_CORRUPT, "empty"},
    {"{\"a\":1}", SB_CORRUPT, "\"a\" in weight_map is not a file name"},
    {"{\"a\":\"\"}", SB_CORRUPT, "no name of a file in this folder"},
    {"{\"a\":\"..\"}", SB_CORRUPT, "no name of a file in this folder"},
    {"{\"a\":\"../model-00001-of-00002.safetensors\"}", SB_CORRUPT, "no name of a file in this folder"},
    {"{\"a\":\"/etc/passwd\"}", SB_CORRUPT, "no name of a file in this folder"},
    {"{\"a\":\"sub/x.safetensors\"}", SB_CORRUPT, "no name of a file in this folder"},
    {"{\"a\":\"model-00003-of-00002.safetensors\"}", SB_NOT_FOUND, "names a shard that can not be read"},
    {"{\"a\":" S2 "}", SB_CORRUPT, "\"a\" is not in model-00002"},
    {"{\"a\":" S2 ",\"c\":" S1 "}", SB_CORRUPT, "\"a\" is not in model-00002"},
    {"{\"a\":" S1 ",\"d\":" S1 "}", SB_CORRUPT, "\"d\" is not in model-00001"},
    {"{", SB_INVALID, "bad JSON"},
};

START_TEST(bad_map)
{
    put_shards(bad_maps[_i].map);
    expect_error(scratch("m"), bad_maps[_i].status, bad_maps[_i].words);
}
END_TEST

START_TEST(tensor_in_two_shards)
{
    put_shards("{\"a\":" S1 ",\"c\":" S2 "}");
    put("m/model-00002-of-00002.safetensors", "{" T("c", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[2,4]") "}", 4);
    expect_error(scratch("m"), SB_CORRUPT, "\"b\" occurs twice");
}
END_TEST

START_TEST(folders_without_weights)
{
    scratch_text("m/readme.txt", "x");
    expect_error(scratch("m"), SB_NOT_FOUND, "holds no weights");
    expect_error(scratch("nothing"), SB_NOT_FOUND, "cannot open the folder");
    expect_error(scratch("m/readme.txt"), SB_NOT_FOUND, "cannot open the folder");
    scratch_text("m/model.safetensors", "");
    expect_error(scratch("m"), SB_CORRUPT, "0 bytes");
}
END_TEST

START_TEST(writes)
{
    const struct sb_tensor tensors[] = {
        {.name = "w\"\xE4\xBD\xA0", .dtype = SB_F32, .rank = 2, .shape = {2, 3}},
        {.name = "scalar", .dtype = SB_I64, .rank = 0},
        {.name = "empty", .dtype = SB_BF16, .rank = 3, .shape = {2, 0, 5}},
    };
    const float numbers[] = {1, 2, 3, 4, 5, 6};
    const int64_t scalar = -7;
    struct sb_safetensors_writer *writer;
    struct sb_error error;
    scratch_text("m/x", "");
    ck_assert_int_eq(sb_safetensors_begin(&writer, scratch("m/model.safetensors"), tensors, 3, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_write(writer, numbers, 10, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_write(writer, (const char *)numbers + 10, 14, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_write(writer, &scalar, 8, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_commit(writer, &error), SB_OK);
    size_t size;
    uint64_t header_size;
    memcpy(&header_size, whole_file(scratch("m/model.safetensors"), &size), 8);
    ck_assert_uint_eq(header_size % 8, 0);
    ck_assert_uint_eq(size, 8 + header_size + 32);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *w = sb_checkpoint_find(checkpoint, tensors[0].name);
    ck_assert_ptr_nonnull(w);
    ck_assert_mem_eq(w->data, numbers, sizeof numbers);
    ck_assert_mem_eq(sb_checkpoint_find(checkpoint, "scalar")->data, &scalar, 8);
    ck_assert_uint_eq(sb_checkpoint_find(checkpoint, "empty")->shape[2], 5);
    sb_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(refuses_to_write)
{
    struct sb_tensor tensor = {.name = "w", .dtype = SB_DTYPE_OTHER, .rank = 1, .shape = {4}};
    struct sb_safetensors_writer *writer;
    struct sb_error error;
    scratch_text("m/model.safetensors", "old");
    const char *path = scratch("m/model.safetensors");
    ck_assert_int_eq(sb_safetensors_begin(&writer, path, &tensor, 1, &error), SB_INVALID);
    ck_assert_ptr_null(writer);
    tensor = (struct sb_tensor){.name = "w", .dtype = SB_F32, .rank = 2, .shape = {SIZE_MAX / 2, 3}};
    ck_assert_int_eq(sb_safetensors_begin(&writer, path, &tensor, 1, &error), SB_LIMIT);
    tensor = (struct sb_tensor){.name = "w", .dtype = SB_F32, .rank = 1, .shape = {4}};
    ck_assert_int_eq(sb_safetensors_begin(&writer, path, &tensor, 1, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_write(writer, "1234", 4, &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_commit(writer, &error), SB_INVALID);
    ck_assert_str_eq(whole_file(path, NULL), "old"); /* nothing lost */
    ck_assert_int_eq(sb_safetensors_begin(&writer, scratch("none/model.safetensors"), &tensor, 1, &error),
                     SB_NOT_FOUND);
    sb_safetensors_abandon(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/safetensors");
    TCase *tests = tcase_create("safetensors");
    tcase_add_test(tests, real_files);
    tcase_add_test(tests, half_is_rounded_float);
    tcase_add_test(tests, contents);
    tcase_add_loop_test(tests, lie, 0, sizeof lies / sizeof *lies);
    tcase_add_test(tests, long_name);
    tcase_add_test(tests, header_sizes);
    tcase_add_test(tests, deep_header);
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, shards);
    tcase_add_loop_test(tests, bad_map, 0, sizeof bad_maps / sizeof *bad_maps);
    tcase_add_test(tests, tensor_in_two_shards);
    tcase_add_test(tests, folders_without_weights);
    tcase_add_test(tests, writes);
    tcase_add_test(tests, refuses_to_write);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
