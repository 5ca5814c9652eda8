/*
 * Exact search against a ranking in double precision; ties, bounds and bad requests.
 */
#include "base/random.h"
#include "retrieval/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hash[] = "00112233445566778899aabbccddeeff";

static struct sb_store *reopen(struct sb_store *store)
{
    sb_store_close(store);
    ck_assert_int_eq(sb_store_open(&store, scratch("search.db"), NULL, NULL), SB_OK);
    return store;
}

/* A store with an empty collection "c". */
static struct sb_store *open_empty(int dimensions)
{
    struct sb_store *store = reopen(NULL);
    struct sb_collection_info info = {.name = "c", .model_name = "tiny", .dimensions = dimensions};
    memcpy(info.model_hash, hash, sizeof hash);
    (void)!sb_store_drop(store, "c", NULL); /* of the size before */
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    return store;
}

static void put(struct sb_store *store, const char *id, const float *vector)
{
    struct sb_sentence s = {.id = id, .text = "x", .text_size = 1, .vector = vector};
    ck_assert_int_eq(sb_store_upsert(store, "c", hash, &s, 1, NULL, NULL, NULL), SB_OK);
}

/* The ids found, best first, with a space behind each. */
static const char *ids_found(struct sb_store *store, const float *query, size_t top_k, double min_score)
{
    struct sb_search search = {.vectors = query, .queries = 1, .top_k = top_k, .min_score = min_score};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
    char *ids = calloc(results.ends[0] + 1, SB_SENTENCE_ID_MAX + 1);
    for (size_t m = 0; m < results.ends[0]; m++)
        strcat(strcat(ids, results.matches[m].sentence.id), " ");
    sb_search_results_free(&results);
    return keep(ids);
}

/* rows[n, dimensions] of length 1. Rows that are a multiple of 90 apart are equal, so that there are ties. */
static float *unit_rows(uint64_t seed, size_t n, size_t dimensions)
{
    float *rows = malloc(n * dimensions * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t d = 0; d < dimensions; d++) {
            double value = sb_random_normal(seed, i % 90, d);
            rows[i * dimensions + d] = (float)value;
            square += value * value;
        }
        for (size_t d = 0; d < dimensions; d++)
            rows[i * dimensions + d] = (float)(rows[i * dimensions + d] / sqrt(square));
    }
    return rows;
}

struct ranked {
    double dot;
    size_t row;
};

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->dot != y->dot)
        return x->dot < y->dot ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static struct ranked *rank_all(const float *query, const float *rows, size_t n, size_t dimensions)
{
    struct ranked *all = calloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i].row = i;
        for (size_t d = 0; d < dimensions; d++)
            all[i].dot += (double)query[d] * (double)rows[i * dimensions + d];
    }
    return all;
}

/* Place by place the score is that of the true ranking, no row comes twice, and equal scores keep the order of
   insertion. */
static void compare(const struct sb_match *matches, size_t count, const float *query, const float *rows, size_t n,
                    size_t dimensions)
{
    static const double tolerance = 2e-6; /* of a float sum of 512 products of unit vectors */
    struct ranked *all = rank_all(query, rows, n, dimensions), *sorted = malloc(n * sizeof *sorted);
    bool *seen = calloc(n, sizeof *seen);
    memcpy(sorted, all, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, best_first);
    for (size_t m = 0; m < count; m++) {
        size_t row = strtoul(matches[m].sentence.id, NULL, 10);
        ck_assert(row < n && !seen[row]);
        seen[row] = true;
        ck_assert_double_eq_tol(matches[m].score, sorted[m].dot, tolerance);
        ck_assert_double_eq_tol(matches[m].score, all[row].dot, tolerance);
        if (m > 0 && matches[m].score == matches[m - 1].score)
            ck_assert_uint_gt(row, strtoul(matches[m - 1].sentence.id, NULL, 10));
        else if (m > 0)
            ck_assert(matches[m].score < matches[m - 1].score);
    }
    free(seen);
    free(sorted);
    free(all);
}

static void check_size(size_t n, size_t dimensions)
{
    enum { QUERIES = 3 };
    static const size_t top_ks[] = {1, 10, 1000};
    struct sb_store *store = open_empty((int)dimensions);
    float *rows = unit_rows(1, n, dimensions), *queries = unit_rows(2, QUERIES, dimensions);
    char(*ids)[24] = calloc(n, sizeof *ids);
    struct sb_sentence *all = calloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        all[i] = (struct sb_sentence){
            .id = ids[i], .text = ids[i], .text_size = strlen(ids[i]), .vector = rows + i * dimensions};
    }
    ck_assert_int_eq(sb_store_upsert(store, "c", hash, all, n, NULL, NULL, NULL), SB_OK);
    for (size_t k = 0; k < sizeof top_ks / sizeof *top_ks; k++) {
        struct sb_search search = {.vectors = queries, .queries = QUERIES, .top_k = top_ks[k], .min_score = -1};
        struct sb_search_results results;
        size_t count = n < top_ks[k] ? n : top_ks[k];
        ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
        for (size_t q = 0; q < QUERIES; q++) {
            ck_assert_uint_eq(results.ends[q], (q + 1) * count);
            compare(results.matches + q * count, count, queries + q * dimensions, rows, n, dimensions);
        }
        sb_search_results_free(&results);
    }
    free(all);
    free(ids);
    free(queries);
    free(rows);
    sb_store_close(store);
}

START_TEST(search_is_exact)
{
    static const size_t sizes[] = {1, 7, 31, 256, 257, 600}, dimensions[] = {1, 7, 31, 33, 512};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t d = 0; d < sizeof dimensions / sizeof *dimensions; d++)
            check_size(sizes[s], dimensions[d]);
}
END_TEST

START_TEST(ties_keep_the_order_of_insertion)
{
    static const float one[] = {1};
    struct sb_store *store = open_empty(1);
    put(store, "e", one);
    put(store, "b", one);
    put(store, "d", one);
    ck_assert_str_eq(ids_found(store, one, 10, -1), "e b d ");
    put(store, "e", one); /* an update keeps its place, a new insertion does not */
    ck_assert_int_eq(sb_store_delete(store, "c", (const char *const[]){"b"}, 1, NULL, NULL), SB_OK);
    put(store, "b", one);
    ck_assert_str_eq(ids_found(store, one, 10, -1), "e d b ");
    ck_assert_str_eq(ids_found(store, one, 2, -1), "e d ");
    store = reopen(store);
    ck_assert_str_eq(ids_found(store, one, 10, -1), "e d b ");
    sb_store_close(store);
}
END_TEST

START_TEST(min_score_bounds_from_above_minus_one)
{
    static const float one[] = {1}, three[] = {3}, half[] = {0.5f}, five[] = {-5};
    struct sb_store *store = open_empty(1);
    put(store, "half", half);
    put(store, "three", three);
    put(store, "minus-five", five);
    ck_assert_str_eq(ids_found(store, one, 10, 0.5), "three half ");
    ck_assert_str_eq(ids_found(store, one, 10, 0.50001), "three ");
    ck_assert_str_eq(ids_found(store, one, 10, -0.999), "three half ");
    ck_assert_str_eq(ids_found(store, one, 10, -1), "three half minus-five ");
    ck_assert_str_eq(ids_found(store, one, 10, -INFINITY), "three half minus-five ");
    ck_assert_str_eq(ids_found(store, one, 10, 3.5), "");
    sb_store_close(store);
}
END_TEST

static void refuse(struct sb_store *store, struct sb_search search, const char *says)
{
    struct sb_error error = {0};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, &error), SB_INVALID);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
    sb_search_results_free(&results); /* of a failed search: empty */
}

static struct sb_search request(const float *vectors, size_t queries, size_t top_k, double min_score)
{
    return (struct sb_search){.vectors = vectors, .queries = queries, .top_k = top_k, .min_score = min_score};
}

START_TEST(bad_searches_are_refused)
{
    static const float good[] = {1, 2, 3, 4}, nan_vector[] = {1, 2, 3, NAN}, endless[] = {INFINITY, 2, 3, 4};
    struct sb_store *store = open_empty(2);
    struct sb_search search = {.vectors = good, .queries = 2, .top_k = 5, .min_score = -1};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK); /* of an empty collection: nothing */
    ck_assert_uint_eq(results.ends[1], 0);
    sb_search_results_free(&results);
    ck_assert_int_eq(sb_store_search(store, "none", &search, &results, NULL), SB_NOT_FOUND);
    refuse(store, request(nan_vector, 2, 5, -1), "query 1: element 1 of its vector is not finite");
    refuse(store, request(endless, 2, 5, -1), "query 0: element 0");
    refuse(store, request(good, 2, 0, -1), "top_k 0; 1 to 1000");
    refuse(store, request(good, 2, 1001, -1), "top_k 1001; 1 to 1000");
    refuse(store, request(good, 0, 5, -1), "0 queries");
    refuse(store, request(good, 2, 5, NAN), "min_score is not a number");
    sb_store_close(store);
}
END_TEST

/* Keeps rows whose number is a multiple of *context. */
static bool keep_multiples(void *context, const struct sb_sentence *s)
{
    return strtoul(s->id, NULL, 10) % *(unsigned long *)context == 0;
}

START_TEST(a_filter_that_keeps_few_still_fills_top_k)
{
    enum { ROWS = 3000 };
    static unsigned long step = 100;
    struct sb_store *store = open_empty(7);
    float *rows = unit_rows(3, ROWS, 7);
    for (size_t i = 0; i < ROWS; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        put(store, id, rows + i * 7);
    }
    struct sb_search search = {
        .vectors = rows, .queries = 2, .top_k = 20, .min_score = -1, .keep = keep_multiples, .keep_context = &step};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
    for (size_t q = 0; q < 2; q++) {
        struct ranked *all = rank_all(rows + q * 7, rows, ROWS, 7);
        size_t kept = 0;
        for (size_t i = 0; i < ROWS; i += step)
            all[kept++] = all[i];
        qsort(all, kept, sizeof *all, best_first);
        ck_assert_uint_eq(results.ends[q], (q + 1) * 20);
        for (size_t m = 0; m < 20; m++) {
            ck_assert_uint_eq(strtoul(results.matches[q * 20 + m].sentence.id, NULL, 10) % step, 0);
            ck_assert_double_eq_tol(results.matches[q * 20 + m].score, all[m].dot, 2e-6);
        }
        free(all);
    }
    sb_search_results_free(&results);
    free(rows);
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    TCase *tests = tcase_create("search");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, search_is_exact);
    tcase_add_test(tests, ties_keep_the_order_of_insertion);
    tcase_add_test(tests, min_score_bounds_from_above_minus_one);
    tcase_add_test(tests, bad_searches_are_refused);
    tcase_add_test(tests, a_filter_that_keeps_few_still_fills_top_k);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
