#include "base/arena.h"
#include "tests/unit/support.h"

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum { SLICES = 6 };
static const size_t counts[SLICES] = {1, 0, 64, 3, 1000, 7}, sizes[SLICES] = {1, 8, 1, 24, 4, 9};

static struct sb_arena arena;

static void setup(void)
{
    arena = (struct sb_arena){0};
}

static void teardown(void)
{
    sb_arena_free(&arena);
}

static void layout(char *slices[SLICES])
{
    for (int i = 0; i < SLICES; i++)
        slices[i] = sb_arena_take(&arena, counts[i], sizes[i]);
}

START_TEST(measure_commit_carve)
{
    char *slices[SLICES];
    layout(slices);
    for (int i = 0; i < SLICES; i++)
        ck_assert_ptr_null(slices[i]);
    ck_assert(sb_arena_commit(&arena));
    layout(slices);
    ck_assert_uint_eq(arena.used, arena.size);
    for (int i = 0; i < SLICES; i++) {
        ck_assert_uint_eq((uintptr_t)slices[i] % 64, 0);
        for (size_t k = 0; k < counts[i] * sizes[i]; k++)
            ck_assert_int_eq(slices[i][k], 0);
        memset(slices[i], i + 1, counts[i] * sizes[i]);
    }
    for (int i = 0; i < SLICES; i++) /* no slice overlaps another */
        for (size_t k = 0; k < counts[i] * sizes[i]; k++)
            ck_assert_int_eq(slices[i][k], i + 1);
}
END_TEST

START_TEST(large_arenas_are_zeroed_and_aligned_to_huge_pages)
{
    sb_arena_take(&arena, 5, 1 << 20);
    ck_assert(sb_arena_commit(&arena));
    char *slice = sb_arena_take(&arena, 5, 1 << 20);
    ck_assert_uint_eq((uintptr_t)slice % (2 << 20), 0);
    for (size_t i = 0; i < 5 << 20; i += 4096)
        ck_assert_int_eq(slice[i], 0);
    slice[(5 << 20) - 1] = 1;
}
END_TEST

static const struct {
    size_t count, size;
} too_large[] = {{SIZE_MAX, 2}, {SIZE_MAX / 8 + 1, 8}, {1, SIZE_MAX}, {SIZE_MAX - 62, 1}};

START_TEST(overflow_is_remembered)
{
    sb_arena_take(&arena, 10, 10);
    ck_assert_ptr_null(sb_arena_take(&arena, too_large[_i].count, too_large[_i].size));
    ck_assert(arena.overflow);
    ck_assert_ptr_null(sb_arena_take(&arena, 1, 1));
    ck_assert(!sb_arena_commit(&arena));
}
END_TEST

START_TEST(sums_that_overflow)
{
    sb_arena_take(&arena, SIZE_MAX / 2, 1);
    sb_arena_take(&arena, SIZE_MAX / 2, 1);
    sb_arena_take(&arena, 1000, 1);
    ck_assert(!sb_arena_commit(&arena));
}
END_TEST

START_TEST(more_than_the_machine_has)
{
    sb_arena_take(&arena, SIZE_MAX / 4, 1);
    ck_assert(!sb_arena_commit(&arena));
    ck_assert_ptr_null(arena.base);
}
END_TEST

START_TEST(empty_arena)
{
    ck_assert(sb_arena_commit(&arena));
    sb_arena_free(&arena);
    sb_arena_free(&arena); /* a freed one is a zeroed one */
}
END_TEST

#if defined(__SANITIZE_ADDRESS__)
START_TEST(gaps_are_poisoned)
{
    char *slices[SLICES];
    layout(slices);
    ck_assert(sb_arena_commit(&arena));
    layout(slices);
    for (int i = 0; i < SLICES; i++) {
        size_t bytes = counts[i] * sizes[i];
        ck_assert_ptr_null(__asan_region_is_poisoned(slices[i], bytes));
        ck_assert(__asan_address_is_poisoned(slices[i] + bytes));
        ck_assert(__asan_address_is_poisoned(slices[i] + bytes + 63));
    }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tests = tcase_create("arena");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, measure_commit_carve);
    tcase_add_test(tests, large_arenas_are_zeroed_and_aligned_to_huge_pages);
    tcase_add_loop_test(tests, overflow_is_remembered, 0, sizeof too_large / sizeof *too_large);
    tcase_add_test(tests, sums_that_overflow);
    tcase_add_test(tests, more_than_the_machine_has);
    tcase_add_test(tests, empty_arena);
#if defined(__SANITIZE_ADDRESS__)
    tcase_add_test(tests, gaps_are_poisoned);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
