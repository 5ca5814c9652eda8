/* TensorFlow checkpoints written here: the bytes that TensorFlow writes for the same tensors, and what the writer refuses. */
#include "base/file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/tf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA ".data-00000-of-00001"

static size_t bytes_of(const struct sb_tensor *tensor)
{
    return tensor->count * sb_dtype_size(tensor->dtype);
}

static struct sb_checkpoint *open_ok(const char *dir)
{
    struct sb_checkpoint *checkpoint;
    struct sb_error error;
    ck_assert_msg(sb_checkpoint_open(&checkpoint, dir, &error) == SB_OK, "%s: %s", dir, error.message);
    return checkpoint;
}

/* Writes all tensors of a checkpoint to out/x, `piece` bytes at a time. */
static void rewrite(const struct sb_checkpoint *checkpoint, size_t piece)
{
    size_t count = sb_checkpoint_count(checkpoint);
    struct sb_tensor *tensors = calloc(count, sizeof *tensors);
    keep((char *)tensors);
    struct sb_tf_writer *writer;
    struct sb_error error;
    for (size_t i = 0; i < count; i++)
        tensors[i] = *sb_checkpoint_at(checkpoint, i);
    ck_assert_int_eq(sb_make_folders(scratch("out"), &error), SB_OK);
    ck_assert_msg(sb_tf_begin(&writer, scratch("out/x"), tensors, count, &error) == SB_OK, "%s", error.message);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0, size = bytes_of(&tensors[i]); at < size; at += piece)
            ck_assert_int_eq(
                sb_tf_write(writer, (const char *)tensors[i].data + at, size - at < piece ? size - at : piece, &error),
                SB_OK);
    ck_assert_msg(sb_tf_commit(writer, &error) == SB_OK, "%s", error.message);
}

static void expect_same_file(const char *a, const char *b)
{
    size_t size, other;
    const char *bytes = whole_file(a, &size), *others = whole_file(b, &other);
    ck_assert_uint_eq(size, other);
    ck_assert_mem_eq(bytes, others, size);
}

/* Made by TensorFlow, with Adam slots, an int64 and a scalar among the tensors. */
static const char *const made_by_tensorflow[] = {"models/tiny-bert", "models/tiny-factorised", "models/tiny-keysize",
                                                 "models/tiny-headsize", "models/tiny-roformer"};

START_TEST(the_bytes_of_tensorflow)
{
    static const size_t pieces[] = {1, 7, 1 << 20};
    char name[200];
    snprintf(name, sizeof name, "%s/bert_model.ckpt.index", made_by_tensorflow[_i]);
    const char *index = golden(name);
    snprintf(name, sizeof name, "%s/bert_model.ckpt" DATA, made_by_tensorflow[_i]);
    const char *data = golden(name);
    scratch_copy("src/bert_model.ckpt.index", index);
    scratch_copy("src/bert_model.ckpt" DATA, data);
    struct sb_checkpoint *checkpoint = open_ok(scratch("src"));
    for (int i = 0; i < 3; i++) {
        rewrite(checkpoint, pieces[i]);
        expect_same_file(scratch("out/x.index"), index);
        expect_same_file(scratch("out/x" DATA), data);
    }
    sb_checkpoint_close(checkpoint);
}
END_TEST

/* An index of more than one block of 256 KiB: 5,000 names of 100 bytes that share little, because the number stands in front. */
START_TEST(many_tensors)
{
    enum { COUNT = 5000 };
    struct sb_tensor *tensors = calloc(COUNT, sizeof *tensors);
    keep((char *)tensors);
    struct sb_tf_writer *writer;
    struct sb_error error;
    size_t size;
    for (int i = 0; i < COUNT; i++) {
        char name[120];
        snprintf(name, sizeof name, "%05d/%0100d", i, i);
        tensors[i] =
            (struct sb_tensor){.name = keep(strdup(name)), .dtype = SB_F32, .rank = 1, .shape = {(size_t)(i % 3)}};
    }
    ck_assert_int_eq(sb_make_folders(scratch("m"), &error), SB_OK);
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("m/x"), tensors, COUNT, &error), SB_OK);
    for (int i = 0; i < COUNT; i++) {
        const float numbers[2] = {(float)i, (float)-i};
        ck_assert_int_eq(sb_tf_write(writer, numbers, tensors[i].shape[0] * sizeof *numbers, &error), SB_OK);
    }
    ck_assert_int_eq(sb_tf_commit(writer, &error), SB_OK);
    whole_file(scratch("m/x.index"), &size);
    ck_assert_uint_gt(size, 2 * (256 << 10)); /* three blocks */
    struct sb_checkpoint *checkpoint =
        open_ok(scratch("m")); /* keys out of order and wrong block sums are errors here */
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, i);
        ck_assert_str_eq(tensor->name, tensors[i].name);
        ck_assert_uint_eq(tensor->count, i % 3);
        ck_assert(tensor->has_checksum);
        ck_assert_int_eq(sb_checkpoint_verify(checkpoint, tensor, &error), SB_OK);
        float first = 0;
        memcpy(&first, tensor->data, i % 3 ? sizeof first : 0);
        ck_assert_float_eq(first, i % 3 ? (float)i : 0);
    }
    sb_checkpoint_close(checkpoint);
}
END_TEST

/* Formats, a scalar, an empty tensor and no tensor at all. */
START_TEST(every_shape)
{
    static const struct sb_tensor tensors[] = {
        {.name = "a", .dtype = SB_F16, .rank = 0},
        {.name = "b", .dtype = SB_BF16, .rank = 3, .shape = {1, 2, 1}},
        {.name = "c", .dtype = SB_F32, .rank = 2, .shape = {5, 0}},
        {.name = "d", .dtype = SB_I8, .rank = 8, .shape = {1, 1, 1, 1, 1, 1, 1, 3}},
    };
    struct sb_tf_writer *writer;
    struct sb_error error;
    ck_assert_int_eq(sb_make_folders(scratch("m"), &error), SB_OK);
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("m/x"), tensors, 4, &error), SB_OK);
    ck_assert_int_eq(sb_tf_write(writer, "aabbbbddd", 9, &error), SB_OK);
    ck_assert_int_eq(sb_tf_commit(writer, &error), SB_OK);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    static const char *const dtypes[] = {"DT_HALF", "DT_BFLOAT16", "DT_FLOAT", "DT_INT8"};
    for (size_t i = 0; i < 4; i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, i);
        ck_assert_str_eq(tensor->stored_dtype, dtypes[i]);
        ck_assert_int_eq(tensor->rank, tensors[i].rank);
        ck_assert_mem_eq(tensor->shape, tensors[i].shape, sizeof tensor->shape);
        ck_assert_int_eq(sb_checkpoint_verify(checkpoint, tensor, &error), SB_OK);
    }
    ck_assert_mem_eq(sb_checkpoint_find(checkpoint, "d")->data, "ddd", 3);
    sb_checkpoint_close(checkpoint);
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("m/x"), NULL, 0, &error), SB_OK);
    ck_assert_int_eq(sb_tf_commit(writer, &error), SB_OK);
    checkpoint = open_ok(scratch("m"));
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 0);
    sb_checkpoint_close(checkpoint);
}
END_TEST

static void expect_refused(const struct sb_tensor *tensors, size_t count, enum sb_status status, const char *words)
{
    struct sb_tf_writer *writer;
    struct sb_error error = {0};
    enum sb_status got = sb_tf_begin(&writer, scratch("x"), tensors, count, &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
    ck_assert_ptr_null(writer);
    ck_assert(!sb_file_exists(scratch("x" DATA)) && !sb_file_exists(scratch("x.index")));
}

#define ONE(tensor_name)                                                                                               \
    {                                                                                                                  \
        .name = tensor_name, .dtype = SB_F32, .rank = 1, .shape = { 1 }                                                \
    }

START_TEST(refused_tensors)
{
    expect_refused((struct sb_tensor[]){ONE("b"), ONE("a")}, 2, SB_INVALID, "\"b\" does not come before \"a\"");
    expect_refused((struct sb_tensor[]){ONE("b"), ONE("b")}, 2, SB_INVALID, "\"b\" does not come before \"b\"");
    expect_refused((struct sb_tensor[]){{.name = "a", .dtype = SB_DTYPE_OTHER}}, 1, SB_INVALID, "\"a\" has a dtype");
    expect_refused((struct sb_tensor[]){{.name = "a", .rank = 9}}, 1, SB_INVALID, "\"a\" has a dtype or shape");
    expect_refused((struct sb_tensor[]){ONE("a\n")}, 1, SB_CORRUPT, "control character");
    expect_refused((struct sb_tensor[]){{.name = "a", .rank = 2, .shape = {SIZE_MAX, 2}}}, 1, SB_LIMIT, "\"a\"");
    expect_refused((struct sb_tensor[]){{.name = "a", .rank = 1, .shape = {SIZE_MAX / 4}},
                                        {.name = "b", .rank = 1, .shape = {SIZE_MAX / 4}}},
                   2, SB_LIMIT, "\"b\"");
}
END_TEST

/* Nothing appears, and nothing is replaced, before all is there. */
START_TEST(incomplete)
{
    const struct sb_tensor tensors[] = {ONE("a"), ONE("b")};
    struct sb_tf_writer *writer;
    struct sb_error error;
    scratch_text("x.index", "old");
    scratch_text("x" DATA, "old");
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("x"), tensors, 2, &error), SB_OK);
    ck_assert_int_eq(sb_tf_write(writer, "aaaabb", 6, &error), SB_OK);
    ck_assert_int_eq(sb_tf_commit(writer, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "\"b\" lacks 2 bytes"));
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("x"), tensors, 2, &error), SB_OK);
    ck_assert_int_eq(sb_tf_write(writer, "aaaabbbb", 8, &error), SB_OK);
    ck_assert_int_eq(sb_tf_write(writer, "c", 1, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "1 bytes more"));
    sb_tf_abandon(writer);
    sb_tf_abandon(NULL);
    ck_assert_str_eq(whole_file(scratch("x.index"), NULL), "old");
    ck_assert_str_eq(whole_file(scratch("x" DATA), NULL), "old");
    ck_assert_int_eq(sb_tf_begin(&writer, scratch("none/x"), tensors, 2, &error), SB_NOT_FOUND);
    ck_assert_ptr_null(writer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/tf_write");
    TCase *tests = tcase_create("tf_write");
    tcase_add_loop_test(tests, the_bytes_of_tensorflow, 0, sizeof made_by_tensorflow / sizeof *made_by_tensorflow);
    tcase_add_test(tests, many_tensors);
    tcase_add_test(tests, every_shape);
    tcase_add_test(tests, refused_tensors);
    tcase_add_test(tests, incomplete);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
