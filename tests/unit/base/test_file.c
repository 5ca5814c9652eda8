#include "base/file.h"
#include "tests/unit/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder;
static struct sb_error error;

static void setup(void)
{
    folder = temporary_folder();
    error = (struct sb_error){0};
}

static const char *in_folder(const char *name)
{
    return keep(sb_path_join(folder, name));
}

static void put(const char *path, const char *text)
{
    ck_assert_int_eq(sb_write_file(path, text, strlen(text), &error), SB_OK);
}

static void check_content(const char *path, const char *expected)
{
    char *data;
    size_t size;
    ck_assert_int_eq(sb_read_file(&data, &size, path, 1000, &error), SB_OK);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_str_eq(data, expected);
    free(data);
}

static int entries(void)
{
    int n = 0;
    DIR *opened = opendir(folder);
    while (readdir(opened))
        n++;
    closedir(opened);
    return n - 2;
}

static int open_files(void)
{
    int n = 0;
    DIR *opened = opendir("/proc/self/fd");
    while (readdir(opened))
        n++;
    closedir(opened);
    return n;
}

START_TEST(write_then_read_then_map)
{
    const char *path = in_folder("a");
    put(path, "first");
    put(path, "second, longer");
    check_content(path, "second, longer");
    ck_assert_int_eq(entries(), 1);
    struct sb_mapping mapping;
    ck_assert_int_eq(sb_map_file(&mapping, path, &error), SB_OK);
    put(path, "third"); /* a mapping keeps the file it was made from */
    ck_assert_uint_eq(mapping.size, 14);
    ck_assert_mem_eq(mapping.data, "second, longer", 14);
    sb_unmap(&mapping);
    ck_assert_ptr_null(mapping.data);
    sb_unmap(&mapping);
}
END_TEST

START_TEST(empty_files)
{
    const char *path = in_folder("empty");
    ck_assert_int_eq(sb_write_file(path, NULL, 0, &error), SB_OK);
    check_content(path, "");
    struct sb_mapping mapping;
    ck_assert_int_eq(sb_map_file(&mapping, path, &error), SB_OK);
    ck_assert_ptr_null(mapping.data);
    ck_assert_uint_eq(mapping.size, 0);
    sb_unmap(&mapping);
}
END_TEST

START_TEST(limits)
{
    const char *path = in_folder("five");
    char *data;
    size_t size;
    put(path, "12345");
    ck_assert_int_eq(sb_read_file(&data, &size, path, 5, &error), SB_OK);
    free(data);
    ck_assert_int_eq(sb_read_file(&data, &size, path, 4, &error), SB_LIMIT);
    ck_assert_ptr_null(data);
    ck_assert_ptr_nonnull(strstr(error.message, "five has 5 bytes, more than the limit of 4"));
}
END_TEST

START_TEST(missing_files)
{
    struct sb_mapping mapping;
    char *data;
    size_t size;
    ck_assert_int_eq(sb_map_file(&mapping, in_folder("none"), &error), SB_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "none: No such file or directory"));
    sb_unmap(&mapping);
    ck_assert_int_eq(sb_read_file(&data, &size, in_folder("none"), 10, NULL), SB_NOT_FOUND);
    put(in_folder("file"), "x");
    ck_assert_int_eq(sb_read_file(&data, &size, in_folder("file/below"), 10, NULL), SB_NOT_FOUND);
}
END_TEST

START_TEST(only_regular_files)
{
    struct sb_mapping mapping;
    const char *pipe_path = in_folder("pipe");
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    int before = open_files();
    ck_assert_int_eq(sb_map_file(&mapping, folder, &error), SB_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "not a regular file"));
    ck_assert_int_eq(sb_map_file(&mapping, pipe_path, &error), SB_IO); /* and does not wait for a writer */
    ck_assert_int_eq(sb_map_file(&mapping, "/dev/zero", &error), SB_IO);
    ck_assert_int_eq(open_files(), before);
    ck_assert(!sb_file_exists(folder) && sb_folder_exists(folder));
    ck_assert(!sb_file_exists(pipe_path) && !sb_folder_exists(pipe_path));
    ck_assert(!sb_file_exists(in_folder("none")) && !sb_folder_exists(in_folder("none")));
}
END_TEST

START_TEST(written_in_pieces)
{
    const char *path = in_folder("pieces");
    struct sb_file_writer *writer;
    put(path, "old");
    int before = open_files();
    ck_assert_int_eq(sb_file_writer_begin(&writer, path, &error), SB_OK);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(sb_file_writer_write(writer, "0123456789", (size_t)i, &error), SB_OK);
    check_content(path, "old"); /* until the commit */
    ck_assert_int_eq(sb_file_writer_commit(writer, &error), SB_OK);
    check_content(path, "001012012301234012345012345601234567012345678");
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(open_files(), before);
}
END_TEST

START_TEST(abandoned)
{
    const char *path = in_folder("kept");
    struct sb_file_writer *writer;
    put(path, "old");
    ck_assert_int_eq(sb_file_writer_begin(&writer, path, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_write(writer, "new", 3, &error), SB_OK);
    sb_file_writer_abandon(writer);
    sb_file_writer_abandon(NULL);
    check_content(path, "old");
    ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(two_writers_of_one_path)
{
    const char *path = in_folder("shared");
    struct sb_file_writer *one, *two;
    ck_assert_int_eq(sb_file_writer_begin(&one, path, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_begin(&two, path, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_write(one, "1", 1, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_write(two, "22", 2, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_commit(one, &error), SB_OK);
    check_content(path, "1");
    ck_assert_int_eq(sb_file_writer_commit(two, &error), SB_OK);
    check_content(path, "22");
}
END_TEST

/* A crashed process with our number left temporary files behind, or somebody planted a link: they are not touched. */
START_TEST(taken_temporary_names)
{
    const char *path = in_folder("a");
    char name[100];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "a.%ld.%d.tmp", (long)getpid(), i);
        ck_assert_int_eq(symlink("/no/such/file", in_folder(name)), 0);
    }
    put(path, "x");
    check_content(path, "x");
    ck_assert_int_eq(entries(), 4);
}
END_TEST

/* A full disk, played by the limit on the size of a file. */
START_TEST(failed_write_keeps_the_old_file)
{
    const char *path = in_folder("kept");
    char *large = calloc(1, 100000);
    put(path, "old");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {4096, 4096};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(sb_write_file(path, large, 100000, &error), SB_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "kept: File too large"));
    check_content(path, "old");
    ck_assert_int_eq(entries(), 1);

    struct sb_file_writer *writer;
    ck_assert_int_eq(sb_file_writer_begin(&writer, path, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_write(writer, large, 100000, &error), SB_IO);
    ck_assert_int_eq(sb_file_writer_write(writer, "x", 0, &error), SB_OK);
    ck_assert_int_eq(sb_file_writer_commit(writer, &error), SB_IO);
    check_content(path, "old");
    ck_assert_int_eq(entries(), 1);
    free(large);
}
END_TEST

START_TEST(unwritable_places)
{
    ck_assert_int_eq(sb_write_file(in_folder("none/a"), "x", 1, &error), SB_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "none/a: No such file or directory"));
    ck_assert_int_eq(sb_write_file("/proc/simbert-test", "x", 1, &error), SB_NOT_FOUND); /* also for root */
    ck_assert_int_eq(mkdir(in_folder("taken"), 0755), 0);
    ck_assert_int_eq(sb_write_file(in_folder("taken"), "x", 1, &error), SB_IO); /* a folder is not replaced */
    ck_assert_int_eq(entries(), 1);
    if (geteuid() == 0) /* root may write anywhere; become nobody */
        ck_assert_int_eq(chmod(folder, 0555) | setegid(65534) | seteuid(65534), 0);
    else
        ck_assert_int_eq(chmod(folder, 0555), 0);
    ck_assert_int_eq(sb_write_file(in_folder("b"), "x", 1, &error), SB_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "b: Permission denied"));
    ck_assert_int_eq(sb_make_folders(in_folder("c/d"), &error), SB_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "c: Permission denied"));
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0) | setegid(0), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
}
END_TEST

START_TEST(files_are_readable_by_others)
{
    struct stat about;
    umask(022);
    put(in_folder("a"), "x");
    ck_assert_int_eq(stat(in_folder("a"), &about), 0);
    ck_assert_int_eq(about.st_mode & 0777, 0644);
}
END_TEST

START_TEST(relative_paths)
{
    ck_assert_int_eq(chdir(folder), 0);
    put("here", "x");
    check_content("./here", "x");
    ck_assert_int_eq(sb_make_folders("one//two/three/", &error), SB_OK);
    ck_assert(sb_folder_exists("one/two/three"));
    ck_assert_int_eq(sb_make_folders("one/two", &error), SB_OK);
    ck_assert_int_eq(sb_make_folders("/", &error), SB_OK);
    ck_assert_int_eq(sb_make_folders("here/below", &error), SB_IO);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(joined_paths)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {"a", "", "a/"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = sb_path_join(cases[i][0], cases[i][1]);
        ck_assert_str_eq(joined, cases[i][2]);
        free(joined);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, write_then_read_then_map);
    tcase_add_test(tests, empty_files);
    tcase_add_test(tests, limits);
    tcase_add_test(tests, missing_files);
    tcase_add_test(tests, only_regular_files);
    tcase_add_test(tests, written_in_pieces);
    tcase_add_test(tests, abandoned);
    tcase_add_test(tests, two_writers_of_one_path);
    tcase_add_test(tests, taken_temporary_names);
    tcase_add_test(tests, failed_write_keeps_the_old_file);
    tcase_add_test(tests, unwritable_places);
    tcase_add_test(tests, files_are_readable_by_others);
    tcase_add_test(tests, relative_paths);
    tcase_add_test(tests, joined_paths);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
