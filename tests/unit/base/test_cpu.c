#include "base/cpu.h"
#include "tests/unit/support.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* The kernel's own list, "flags : fpu vme ...": it shows only what the system supports. */
static bool kernel_says(const char *flag)
{
    static char line[16384];
    char word[32];
    FILE *file = fopen("/proc/cpuinfo", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) && strncmp(line, "flags", 5) != 0)
        ;
    fclose(file);
    line[strcspn(line, "\n")] = ' ';
    snprintf(word, sizeof word, " %s ", flag);
    return strncmp(line, "flags", 5) == 0 && strstr(line, word);
}

START_TEST(features_agree_with_the_kernel)
{
    const struct sb_cpu *cpu = sb_cpu();
    ck_assert_ptr_eq(cpu, sb_cpu());
    ck_assert_int_eq(cpu->avx2, kernel_says("avx2"));
    ck_assert_int_eq(cpu->fma, kernel_says("fma"));
    ck_assert_int_eq(cpu->f16c, kernel_says("f16c"));
    ck_assert_int_eq(cpu->avx512f, kernel_says("avx512f"));
    ck_assert_int_eq(cpu->avx512bw, kernel_says("avx512bw"));
    ck_assert_int_eq(cpu->avx512dq, kernel_says("avx512dq"));
    ck_assert_int_eq(cpu->avx512vl, kernel_says("avx512vl"));
    ck_assert_int_eq(cpu->avx512_bf16, kernel_says("avx512_bf16"));
    ck_assert_int_eq(cpu->avx512_vnni, kernel_says("avx512_vnni"));
    ck_assert_str_ne(cpu->model, "");
}
END_TEST

START_TEST(count_follows_the_affinity)
{
    int before = sb_cpu_count();
    ck_assert_int_ge(before, 1);
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(sb_cpu_count(), 1);
    ck_assert(sb_cpu_quota() >= 0);
}
END_TEST

START_TEST(resident_memory_grows_with_use)
{
    enum { SIZE = 64 << 20 };
    size_t before = sb_memory_resident();
    ck_assert_uint_gt(before, 0);
    static volatile char memory[SIZE];
    for (size_t i = 0; i < SIZE; i += 4096)
        memory[i] = 1;
    ck_assert_uint_ge(sb_memory_resident(), before + SIZE / 2 + (size_t)memory[1]);
}
END_TEST

START_TEST(time_does_not_go_back)
{
    int64_t last = sb_now_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now = sb_now_ns();
        ck_assert_int_ge(now, last);
        last = now;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    tcase_add_test(tests, features_agree_with_the_kernel);
    tcase_add_test(tests, count_follows_the_affinity);
    tcase_add_test(tests, resident_memory_grows_with_use);
    tcase_add_test(tests, time_does_not_go_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
