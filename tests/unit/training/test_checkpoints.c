/*
 * Checkpoints: what is saved is loaded; damaged ones are skipped for the one before; disks that fail.
 */
#include "training/checkpoints.h"

#include "base/file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

struct run {
    float weights[100];
    double moments[7];
    struct sb_checkpoint_part parts[2];
};

static void run_init(struct run *run, float from)
{
    for (int i = 0; i < 100; i++)
        run->weights[i] = from + (float)i;
    for (int i = 0; i < 7; i++)
        run->moments[i] = (double)from * i;
    run->parts[0] = (struct sb_checkpoint_part){"weights", run->weights, sizeof run->weights};
    run->parts[1] = (struct sb_checkpoint_part){"moments", run->moments, sizeof run->moments};
}

static void save(const char *dir, uint64_t step, size_t keep)
{
    struct run run;
    char state[64];
    run_init(&run, (float)step);
    snprintf(state, sizeof state, "{\"step\":%d}", (int)step);
    ck_assert_int_eq(sb_checkpoints_save(dir, step, run.parts, 2, state, keep, NULL), SB_OK);
}

static void expect(const char *dir, uint64_t expected)
{
    struct run run, reference;
    struct sb_error error;
    uint64_t step = 0;
    char *state, text[64];
    run_init(&run, -1);
    run_init(&reference, (float)expected);
    enum sb_status status = sb_checkpoints_load(dir, run.parts, 2, &step, &state, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    ck_assert_uint_eq(step, expected);
    ck_assert_int_eq(memcmp(run.weights, reference.weights, sizeof run.weights), 0);
    ck_assert_int_eq(memcmp(run.moments, reference.moments, sizeof run.moments), 0);
    snprintf(text, sizeof text, "{\"step\":%d}", (int)expected);
    ck_assert_str_eq(state, text);
    free(state);
}

static const char *path_of(const char *dir, uint64_t step)
{
    char path[512];
    sb_checkpoints_path(path, sizeof path, dir, step);
    return keep(strdup(path));
}

START_TEST(test_newest_is_loaded)
{
    const char *dir = scratch("run/checkpoints");
    for (uint64_t step = 5; step <= 20; step += 5)
        save(dir, step, 2);
    expect(dir, 20);
    ck_assert(sb_file_exists(path_of(dir, 15)));
    ck_assert(!sb_file_exists(path_of(dir, 10)));
    ck_assert(!sb_file_exists(path_of(dir, 5)));
}
END_TEST

START_TEST(test_none)
{
    struct run run;
    struct sb_error error;
    uint64_t step;
    char *state;
    run_init(&run, 0);
    ck_assert_int_eq(sb_checkpoints_load(scratch("absent"), run.parts, 2, &step, &state, &error), SB_NOT_FOUND);
}
END_TEST

/* Cut anywhere, and with any byte changed, the one before is taken. */
START_TEST(test_damaged)
{
    const char *dir = temporary_folder();
    save(dir, 1, 3);
    save(dir, 2, 3);
    const char *path = path_of(dir, 2);
    size_t size;
    const char *whole = whole_file(path, &size);
    for (size_t length = 0; length < size; length += 13) {
        ck_assert_int_eq(sb_write_file(path, whole, length, NULL), SB_OK);
        expect(dir, 1);
    }
    char *bytes = malloc(size);
    for (size_t at = 64; at < size; at += 7) { /* names and sizes in front are checked by test_other_run */
        memcpy(bytes, whole, size);
        bytes[at] = (char)(bytes[at] ^ 4);
        ck_assert_int_eq(sb_write_file(path, bytes, size, NULL), SB_OK);
        struct run run;
        uint64_t step = 0;
        char *state = NULL;
        run_init(&run, 0);
        enum sb_status status = sb_checkpoints_load(dir, run.parts, 2, &step, &state, NULL);
        ck_assert(status == SB_OK ? step == 1 : status == SB_INVALID); /* never what was changed */
        free(state);
    }
    free(bytes);
    ck_assert_int_eq(sb_write_file(path, whole, size, NULL), SB_OK);
    expect(dir, 2);
}
END_TEST

START_TEST(test_all_damaged)
{
    const char *dir = temporary_folder();
    save(dir, 1, 3);
    ck_assert_int_eq(sb_write_file(path_of(dir, 1), "SBCKPT01", 8, NULL), SB_OK);
    struct run run;
    struct sb_error error;
    uint64_t step;
    char *state;
    run_init(&run, 0);
    ck_assert_int_eq(sb_checkpoints_load(dir, run.parts, 2, &step, &state, &error), SB_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "damaged"));
}
END_TEST

START_TEST(test_other_run)
{
    const char *dir = temporary_folder();
    save(dir, 1, 3);
    struct run run;
    struct sb_error error;
    uint64_t step;
    char *state;
    run_init(&run, 0);
    run.parts[1].name = "moment";
    ck_assert_int_eq(sb_checkpoints_load(dir, run.parts, 2, &step, &state, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "'moments'"));
    run_init(&run, 0);
    run.parts[0].bytes -= 4;
    ck_assert_int_eq(sb_checkpoints_load(dir, run.parts, 2, &step, &state, &error), SB_INVALID);
    run_init(&run, 0);
    ck_assert_int_eq(sb_checkpoints_load(dir, run.parts, 1, &step, &state, &error), SB_INVALID);
}
END_TEST

/* The disk takes no more: the save fails with the path, what was there stays and nothing is left behind. */
START_TEST(test_disk_full)
{
    const char *dir = temporary_folder();
    save(dir, 1, 1);
    struct run run;
    struct sb_error error;
    run_init(&run, 2);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {256, RLIM_INFINITY}, none;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum sb_status status = sb_checkpoints_save(dir, 2, run.parts, 2, "{}", 1, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(status, SB_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "step-000000000002"));
    expect(dir, 1);
    ck_assert(!sb_file_exists(path_of(dir, 2)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/checkpoints");
    TCase *tests = tcase_create("checkpoints");
    tcase_add_test(tests, test_newest_is_loaded);
    tcase_add_test(tests, test_none);
    tcase_add_test(tests, test_damaged);
    tcase_add_test(tests, test_all_damaged);
    tcase_add_test(tests, test_other_run);
    tcase_add_test(tests, test_disk_full);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
