/*
 * The store over PostgreSQL. What needs a database runs if $SIMBERT_TEST_POSTGRES is the URL of one that may be filled, as
 * it is when tests/blackbox/test_postgres.py starts this program.
 */
#include "tests/unit/retrieval/fixture.h"

#include <math.h>
#include <pthread.h>
#include <unistd.h>

enum { ROWS = 4000, D = 32, QUERIES = 40, FROM = 1000, TOP = 10 };

static const char database[] = "SIMBERT_TEST_POSTGRES";

/* Around 60 centres, as sentences are around their topics; of length 1. */
static void clustered(float *vector, uint64_t stream)
{
    double square = 0;
    for (size_t d = 0; d < D; d++) {
        double value = sb_random_normal(21, stream % 60, d) + 0.6 * sb_random_normal(22, stream, d);
        vector[d] = (float)value;
        square += value * value;
    }
    for (size_t d = 0; d < D; d++)
        vector[d] = (float)(vector[d] / sqrt(square));
}

static void put_rows(struct sb_store *store, size_t first, size_t last)
{
    for (size_t at = first; at < last;) {
        char ids[500][24], metadata[500][32];
        float vectors[500 * D];
        struct sb_sentence all[500];
        size_t n = 0;
        for (; n < 500 && at < last; n++, at++) {
            snprintf(ids[n], sizeof ids[n], "%zu", at);
            snprintf(metadata[n], sizeof metadata[n], "{\"n\":%zu}", at);
            clustered(vectors + n * D, at);
            all[n] = (struct sb_sentence){ids[n], "x", 1, metadata[n], vectors + n * D};
        }
        ck_assert_int_eq(sb_store_upsert(store, "c", hash, all, n, NULL, NULL, NULL), SB_OK);
    }
}

static bool is_indexed(struct sb_store *store)
{
    struct sb_collection_info info;
    ck_assert_int_eq(sb_store_describe(store, "c", &info, NULL), SB_OK);
    return info.is_indexed;
}

static struct sb_store *open_filled(enum sb_search_kind kind)
{
    struct sb_store *store;
    struct sb_error error;
    struct sb_collection_info info = info_of("c", D);
    info.search = kind;
    ck_assert_msg(sb_store_open(&store, getenv(database), NULL, &error) == SB_OK, "%s", error.message);
    sb_store_set_approximate_from(store, FROM);
    (void)!sb_store_drop(store, "c", NULL);
    ck_assert_msg(sb_store_create(store, &info, NULL, &error) == SB_OK, "%s", error.message);
    put_rows(store, 0, ROWS);
    return store;
}

static bool keeps_one_in_a_hundred(void *context, const struct sb_sentence *sentence)
{
    (void)context;
    return strtoul(sentence->id, NULL, 10) % 100 == 7;
}

static struct sb_search_results find(struct sb_store *store, const float *vectors, bool exact, bool filtered)
{
    struct sb_search_results results;
    struct sb_error error;
    struct sb_search search = {.vectors = vectors, .queries = QUERIES, .top_k = TOP, .min_score = -1, .exact = exact};
    if (filtered)
        search.keep = keeps_one_in_a_hundred;
    ck_assert_msg(sb_store_search(store, "c", &search, &results, &error) == SB_OK, "%s", error.message);
    ck_assert_uint_eq(results.ends[QUERIES - 1], QUERIES * TOP);
    return results;
}

/* The share of b's matches that a has too. */
static double share(const struct sb_search_results *a, const struct sb_search_results *b)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES * TOP; i++)
        for (size_t j = i / TOP * TOP; j < i / TOP * TOP + TOP; j++)
            found += strcmp(a->matches[j].sentence.id, b->matches[i].sentence.id) == 0;
    return (double)found / (QUERIES * TOP);
}

START_TEST(a_large_collection_gets_an_index)
{
    struct sb_store *store = open_filled(SB_SEARCH_AUTO);
    struct sb_search_stats stats;
    float queries[QUERIES * D];
    for (size_t q = 0; q < QUERIES; q++)
        clustered(queries + q * D, ROWS + q);
    for (int i = 0; i < 1200 && !is_indexed(store); i++)
        usleep(100000);
    ck_assert(is_indexed(store));
    struct sb_search_results exact = find(store, queries, true, false), near = find(store, queries, false, false);
    ck_assert_double_ge(share(&near, &exact), 0.98);
    sb_store_search_stats(store, &stats);
    ck_assert_uint_eq(stats.exact, QUERIES);
    ck_assert_uint_eq(stats.approximate, QUERIES);
    sb_search_results_free(&exact);
    sb_search_results_free(&near);
    exact = find(store, queries, true, true);
    near = find(store, queries, false, true);
    ck_assert_double_ge(share(&near, &exact), 0.98);
    sb_search_results_free(&exact);
    sb_search_results_free(&near);
    ck_assert_int_eq(sb_store_drop(store, "c", NULL), SB_OK);
    sb_store_close(store);
}
END_TEST

START_TEST(an_exact_collection_gets_none)
{
    struct sb_store *store = open_filled(SB_SEARCH_EXACT);
    sleep(3);
    ck_assert(!is_indexed(store));
    ck_assert_int_eq(sb_store_drop(store, "c", NULL), SB_OK);
    sb_store_close(store);
}
END_TEST

static bool count_up_to(void *context, const struct sb_sentence *sentence, size_t dimensions)
{
    ck_assert_uint_eq(dimensions, D);
    size_t *seen = context;
    float vector[D];
    clustered(vector, *seen);
    ck_assert_uint_eq(strtoul(sentence->id, NULL, 10), *seen);
    ck_assert_mem_eq(sentence->vector, vector, sizeof vector);
    return ++*seen < 1234;
}

START_TEST(vectors_come_back_bit_for_bit)
{
    struct sb_store *store = open_filled(SB_SEARCH_EXACT);
    struct sb_sentences one;
    float vector[D];
    size_t seen = 0;
    ck_assert_int_eq(sb_store_visit(store, "c", count_up_to, &seen, NULL), SB_OK);
    ck_assert_uint_eq(seen, 1234);
    clustered(vector, 77);
    ck_assert_int_eq(sb_store_get(store, "c", "77", &one, NULL), SB_OK);
    ck_assert_mem_eq(one.items[0].vector, vector, sizeof vector);
    sb_sentences_free(&one);
    ck_assert_int_eq(sb_store_drop(store, "c", NULL), SB_OK);
    sb_store_close(store);
}
END_TEST

enum { BATCH = 500, BATCHES = 10 };

/* As another process would: with a store of its own. */
static void *write_batches(void *argument)
{
    const size_t *first = argument;
    struct sb_store *store;
    ck_assert_int_eq(sb_store_open(&store, getenv(database), NULL, NULL), SB_OK);
    for (size_t i = 0; i < BATCHES; i++)
        put_rows(store, *first + i * BATCH, *first + (i + 1) * BATCH);
    sb_store_close(store);
    return NULL;
}

/* Who reads on from the last sentence that was there misses none, though two write. */
START_TEST(sentences_come_into_sight_in_their_order)
{
    struct sb_store *store = open_filled(SB_SEARCH_EXACT);
    pthread_t writers[2];
    size_t firsts[2] = {100000, 200000}, seen = 0;
    char after[24] = "3999";
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_batches, &firsts[i]), 0);
    for (int i = 0; i < 5000 && seen < 2 * BATCHES * BATCH; i++) {
        struct sb_sentences page;
        ck_assert_int_eq(sb_store_scroll(store, "c", after, 1000, &page, NULL), SB_OK);
        if (page.count > 0)
            snprintf(after, sizeof after, "%s", page.items[page.count - 1].id);
        seen += page.count;
        sb_sentences_free(&page);
        usleep(1000);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    ck_assert_uint_eq(seen, 2 * BATCHES * BATCH);
    ck_assert_int_eq(sb_store_drop(store, "c", NULL), SB_OK);
    sb_store_close(store);
}
END_TEST

/* Nobody listens on port 1. */
START_TEST(a_database_that_is_away)
{
    struct sb_store *store;
    struct sb_error error;
    struct sb_collection_info info;
    enum sb_status status = sb_store_open(&store, "postgresql://user:secret@127.0.0.1:1/x", NULL, &error);
    if (status == SB_UNSUPPORTED) { /* built without libpq */
        ck_assert_ptr_nonnull(strstr(error.message, "libpq"));
        return;
    }
    ck_assert_int_eq(status, SB_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sb_store_describe(store, "c", &info, &error), SB_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(error.message, "PostgreSQL 127.0.0.1:1/x does not answer"));
        ck_assert_ptr_null(strstr(error.message, "secret"));
    }
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres");
    TCase *tests = tcase_create("postgres");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, a_database_that_is_away);
    if (getenv(database)) {
        tcase_add_test(tests, vectors_come_back_bit_for_bit);
        tcase_add_test(tests, an_exact_collection_gets_none);
        tcase_add_test(tests, sentences_come_into_sight_in_their_order);
        tcase_add_test(tests, a_large_collection_gets_an_index);
    }
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
