/* The cache of vectors and the plan that uses it: exact, bounded, apart by model, and only the first of equal rows computed. */
#include "server/row_plan.h"
#include "server/vector_cache.h"
#include "tests/unit/support.h"

#include <pthread.h>
#include <string.h>

enum { DIMENSIONS = 4 };

static void put(struct sb_vector_cache *cache, const char *model, int32_t id, float value)
{
    float vector[DIMENSIONS] = {value, 1, 2, 3};
    sb_vector_cache_put(cache, model, &id, 1, vector, value, DIMENSIONS);
}

static bool get(struct sb_vector_cache *cache, const char *model, int32_t id, float *value)
{
    float vector[DIMENSIONS], norm = 0;
    bool hit = sb_vector_cache_get(cache, model, &id, 1, vector, &norm, DIMENSIONS);
    *value = hit ? vector[0] : -1;
    ck_assert(!hit || (norm == vector[0] && vector[3] == 3));
    return hit;
}

START_TEST(rows_come_back_by_model_and_ids)
{
    struct sb_vector_cache *cache;
    float value;
    ck_assert_int_eq(sb_vector_cache_new(&cache, 1 << 16, NULL), SB_OK);
    put(cache, "aa", 1, 10);
    put(cache, "aa", 2, 20);
    put(cache, "bb", 1, 30);
    put(cache, "aa", 1, 99); /* there already: the first stays */
    ck_assert(get(cache, "aa", 1, &value) && value == 10);
    ck_assert(get(cache, "aa", 2, &value) && value == 20);
    ck_assert(get(cache, "bb", 1, &value) && value == 30);
    ck_assert(!get(cache, "bb", 2, &value));
    int32_t longer[] = {1, 1};
    float vector[DIMENSIONS], norm;
    ck_assert(!sb_vector_cache_get(cache, "aa", longer, 2, vector, &norm, DIMENSIONS));
    struct sb_vector_cache_stats stats = sb_vector_cache_stats(cache);
    ck_assert_int_eq(stats.hits, 3);
    ck_assert_int_eq(stats.misses, 2);
    ck_assert_uint_eq(stats.entries, 3);
    sb_vector_cache_free(cache);
}
END_TEST

START_TEST(what_was_not_used_for_long_goes_first)
{
    struct sb_vector_cache *cache;
    float value;
    enum { BYTES = 4096 };
    ck_assert_int_eq(sb_vector_cache_new(&cache, BYTES, NULL), SB_OK);
    put(cache, "m", 0, 0);
    for (int32_t id = 1; id < 200; id++) {
        put(cache, "m", id, (float)id);
        ck_assert(get(cache, "m", 0, &value)); /* always in use */
        ck_assert_uint_le(sb_vector_cache_stats(cache).bytes, BYTES);
    }
    ck_assert(!get(cache, "m", 1, &value));
    ck_assert(get(cache, "m", 199, &value) && value == 199);
    ck_assert_uint_ge(sb_vector_cache_stats(cache).entries, 10);
    float big[2000] = {0};
    int32_t id = 7;
    sb_vector_cache_put(cache, "m", &id, 1, big, 0, 2000); /* larger than the cache: not kept */
    ck_assert_uint_le(sb_vector_cache_stats(cache).bytes, BYTES);
    sb_vector_cache_free(cache);
}
END_TEST

START_TEST(no_cache_holds_nothing)
{
    struct sb_vector_cache *cache;
    float value;
    ck_assert_int_eq(sb_vector_cache_new(&cache, 0, NULL), SB_OK);
    ck_assert_ptr_null(cache);
    put(cache, "m", 1, 1);
    ck_assert(!get(cache, "m", 1, &value));
    sb_vector_cache_free(cache);
}
END_TEST

static void *use(void *context)
{
    for (int i = 0; i < 5000; i++) {
        float value;
        int32_t id = (i * 7) % 97;
        if (get(context, "m", id, &value))
            ck_assert(value == (float)id);
        else
            put(context, "m", id, (float)id);
    }
    return NULL;
}

START_TEST(threads_share_a_cache)
{
    struct sb_vector_cache *cache;
    pthread_t threads[4];
    ck_assert_int_eq(sb_vector_cache_new(&cache, 6000, NULL), SB_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, cache), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    sb_vector_cache_free(cache);
}
END_TEST

static bool is_cached(void *context, size_t row)
{
    return row == *(size_t *)context;
}

START_TEST(equal_rows_are_computed_once)
{
    int32_t ids[] = {1, 2, 1, 2, 3, 1, 2, 9};
    struct sb_embed_input items[] = {{ids, 2}, {ids + 4, 1}, {ids + 2, 2}, {ids + 7, 1}, {ids + 5, 2}, {ids, 1}};
    struct sb_rows rows = {.items = items, .count = 6};
    struct sb_row_plan plan = {0};
    size_t cached = 3;
    ck_assert_int_eq(sb_row_plan_make(&plan, &rows, is_cached, &cached, NULL), SB_OK);
    static const size_t source[] = {0, 1, 0, 3, 0, 5}, computed[] = {0, 1, 5};
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(plan.source[i], source[i]);
    ck_assert_uint_eq(plan.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(plan.rows[i], computed[i]);
        ck_assert_ptr_eq(plan.inputs[i].ids, items[computed[i]].ids);
    }
    sb_row_plan_clear(&plan);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_cache");
    TCase *tests = tcase_create("vector_cache");
    tcase_add_test(tests, rows_come_back_by_model_and_ids);
    tcase_add_test(tests, what_was_not_used_for_long_goes_first);
    tcase_add_test(tests, no_cache_holds_nothing);
    tcase_add_test(tests, threads_share_a_cache);
    tcase_add_test(tests, equal_rows_are_computed_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
