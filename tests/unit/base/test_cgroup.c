#include "base/cgroup.h"
#include "base/file.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *root;

static void setup(void)
{
    root = temporary_folder();
}

/* Writes one file of the pretended /proc and /sys. */
static void put(const char *path, const char *text)
{
    char *full = sb_path_join(root, path + 1), *slash = strrchr(full, '/');
    *slash = '\0';
    ck_assert_int_eq(sb_make_folders(full, NULL), SB_OK);
    *slash = '/';
    ck_assert_int_eq(sb_write_file(full, text, strlen(text), NULL), SB_OK);
    free(full);
}

static const char unified[] = "25 1 0:22 / /proc rw - proc proc rw\n"
                              "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

START_TEST(v2_quota_of_the_group)
{
    put("/proc/self/mountinfo", unified);
    put("/proc/self/cgroup", "0::/user/app\n");
    put("/sys/fs/cgroup/user/app/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/user/app/memory.max", "1073741824\n");
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 1.5);
    ck_assert_uint_eq(limits.memory, 1073741824);
}
END_TEST

START_TEST(v2_smallest_ancestor_counts)
{
    put("/proc/self/mountinfo", unified);
    put("/proc/self/cgroup", "0::/user/app\n");
    put("/sys/fs/cgroup/user/app/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/user/app/memory.max", "max\n");
    put("/sys/fs/cgroup/user/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/user/memory.max", "5000\n");
    put("/sys/fs/cgroup/memory.max", "9000\n");
    put("/sys/fs/cgroup/cpu.max", "900000 100000\n");
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 0.5);
    ck_assert_uint_eq(limits.memory, 5000);
}
END_TEST

START_TEST(v2_no_limit)
{
    put("/proc/self/mountinfo", unified);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/memory.max", "max\n");
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 0);
    ck_assert_uint_eq(limits.memory, 0);
}
END_TEST

/* A container without its own name space sees the host's group name and a mount whose root is that group. */
START_TEST(v1_container)
{
    put("/proc/self/mountinfo",
        "31 25 0:27 /docker/1a /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 25 0:28 /docker/1a /sys/fs/cgroup/memory ro master:10 - cgroup cgroup rw,memory\n"
        "33 25 0:29 /docker/1a /sys/fs/cgroup/cpuset ro master:11 - cgroup cgroup rw,cpuset\n");
    put("/proc/self/cgroup", "7:cpuset:/docker/1a\n5:memory:/docker/1a\n3:cpu,cpuacct:/docker/1a\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4096000\n");
    put("/sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n"); /* not the hierarchy of the cpu controller */
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 2.5);
    ck_assert_uint_eq(limits.memory, 4096000);
}
END_TEST

START_TEST(v1_no_limit)
{
    put("/proc/self/mountinfo", "31 25 0:27 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
                                "32 25 0:28 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/proc/self/cgroup", "5:memory:/a\n3:cpu:/a\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 0);
    ck_assert_uint_eq(limits.memory, 0);
}
END_TEST

/* Both at once: v1 controllers and an empty unified hierarchy. */
START_TEST(hybrid)
{
    put("/proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                                "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
    put("/proc/self/cgroup", "3:cpu:/a\n0::/b\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    ck_assert_double_eq(sb_cgroup_limits(root).cpus, 3);
}
END_TEST

static const struct {
    const char *mount_root, *group;
} outside[] = {
    {"/", "/../../../other"}, /* outside of the name space */
    {"/app", "/app2"},        /* "/app" is no ancestor of this */
    {"/app", "/else"},
};

START_TEST(groups_outside_of_the_mount)
{
    char text[200];
    snprintf(text, sizeof text, "30 25 0:26 %s /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", outside[_i].mount_root);
    put("/proc/self/mountinfo", text);
    snprintf(text, sizeof text, "0::%s\n", outside[_i].group);
    put("/proc/self/cgroup", text);
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/2/cpu.max", "1 100000\n");
    put("/other/cpu.max", "1 100000\n");
    ck_assert_double_eq(sb_cgroup_limits(root).cpus, 1);
}
END_TEST

static const char *const broken[] = {
    "", "\n", "31\n", "a b c d e f - \n", "1 2 3 4 5 6 - cgroup2\n", " - cgroup2 x y\n"};

START_TEST(broken_tables_mean_no_limit)
{
    put("/proc/self/mountinfo", broken[_i]);
    put("/proc/self/cgroup", "0\n0:\n:\n");
    ck_assert_double_eq(sb_cgroup_limits(root).cpus, 0);
    ck_assert_double_eq(sb_cgroup_limits("/no/such/root").cpus, 0);
}
END_TEST

START_TEST(broken_limits_mean_no_limit)
{
    put("/proc/self/mountinfo", unified);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100000\n");
    put("/sys/fs/cgroup/memory.max", "lots\n");
    struct sb_cgroup_limits limits = sb_cgroup_limits(root);
    ck_assert_double_eq(limits.cpus, 0);
    ck_assert_uint_eq(limits.memory, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *tests = tcase_create("cgroup");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, v2_quota_of_the_group);
    tcase_add_test(tests, v2_smallest_ancestor_counts);
    tcase_add_test(tests, v2_no_limit);
    tcase_add_test(tests, v1_container);
    tcase_add_test(tests, v1_no_limit);
    tcase_add_test(tests, hybrid);
    tcase_add_loop_test(tests, groups_outside_of_the_mount, 0, 3);
    tcase_add_loop_test(tests, broken_tables_mean_no_limit, 0, sizeof broken / sizeof *broken);
    tcase_add_test(tests, broken_limits_mean_no_limit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
