/*
 * The approximate index: how much it finds, that every change is seen at once, filters, and its file, which may be lost,
 * damaged, or of another state.
 */
#include "tests/unit/retrieval/fixture.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* Sanitizers make building an index ten times slower. Half of the rows, which one test deletes, must be enough for one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROWS = 2600, DAMAGED_FILES = 2 };
#else
enum { ROWS = 5000, DAMAGED_FILES = 12 };
#endif
enum { D = 32, QUERIES = 60, FROM = 1000 };

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

static void put_rows(struct sb_store *store, size_t first, size_t last, uint64_t shift)
{
    for (size_t at = first; at < last;) {
        char ids[500][24], metadata[500][32];
        float vectors[500 * D];
        struct sb_sentence all[500];
        size_t n = 0;
        for (; n < 500 && at < last; n++, at++) {
            snprintf(ids[n], sizeof ids[n], "%zu", at);
            snprintf(metadata[n], sizeof metadata[n], "{\"n\":%zu}", at);
            clustered(vectors + n * D, at + shift);
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

static void wait_until_indexed(struct sb_store *store)
{
    for (int i = 0; i < 6000 && !is_indexed(store); i++)
        usleep(10000);
    ck_assert(is_indexed(store));
}

static struct sb_store *open_small(const char *name)
{
    struct sb_store *store = open_store(name);
    sb_store_set_approximate_from(store, FROM);
    return store;
}

static struct sb_store *open_indexed(const char *name, enum sb_vectors vectors)
{
    struct sb_store *store = open_small(name);
    struct sb_collection_info info = info_of("c", D);
    info.vectors = vectors;
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    put_rows(store, 0, ROWS, 0);
    wait_until_indexed(store);
    return store;
}

struct filter {
    unsigned long step;
    size_t asked;
};

static bool keep_multiples(void *context, const struct sb_sentence *s)
{
    struct filter *filter = context;
    filter->asked++;
    return strtoul(s->id, NULL, 10) % filter->step == 0;
}

/* Of QUERIES queries' 10 nearest, how many an ordinary search finds. */
static double recall_of(struct sb_store *store, struct filter *filter)
{
    float *queries = malloc(QUERIES * D * sizeof *queries);
    size_t found = 0, expected = 0;
    for (size_t q = 0; q < QUERIES; q++)
        clustered(queries + q * D, 1000000 + q);
    struct sb_search search = {.vectors = queries, .queries = QUERIES, .top_k = 10, .min_score = -1};
    struct sb_search_results results, exact;
    if (filter) {
        search.keep = keep_multiples;
        search.keep_context = filter;
    }
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
    search.exact = true;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &exact, NULL), SB_OK);
    for (size_t q = 0; q < QUERIES; q++) {
        ck_assert_uint_eq(results.ends[q], exact.ends[q]);
        for (size_t i = q ? exact.ends[q - 1] : 0; i < exact.ends[q]; i++, expected++)
            for (size_t j = q ? results.ends[q - 1] : 0; j < results.ends[q]; j++)
                if (strcmp(exact.matches[i].sentence.id, results.matches[j].sentence.id) == 0) {
                    ck_assert(exact.matches[i].score == results.matches[j].score);
                    found++;
                }
    }
    sb_search_results_free(&results);
    sb_search_results_free(&exact);
    free(queries);
    return (double)found / (double)expected;
}

static struct sb_search_stats stats_of(struct sb_store *store)
{
    struct sb_search_stats stats;
    sb_store_search_stats(store, &stats);
    return stats;
}

static void check_recall(struct sb_store *store)
{
    uint64_t before = stats_of(store).approximate;
    double recall = recall_of(store, NULL);
    ck_assert_msg(recall >= 0.98, "recall %.4f", recall);
    ck_assert_uint_eq(stats_of(store).approximate - before, QUERIES); /* and it was an approximate search */
}

START_TEST(the_nearest_are_found_in_every_form)
{
    struct sb_store *store = open_indexed("a.db", (enum sb_vectors)_i);
    check_recall(store);
    sb_store_close(store);
}
END_TEST

/* The id that is nearest to the vector. */
static const char *nearest(struct sb_store *store, const float *vector)
{
    struct sb_search search = {.vectors = vector, .queries = 1, .top_k = 1, .min_score = -1};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], 1);
    char *id = strdup(results.matches[0].sentence.id);
    sb_search_results_free(&results);
    return keep(id);
}

START_TEST(changes_are_seen_at_once)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT16);
    for (uint64_t i = 0; i < 200; i++) {
        char id[16];
        float vector[D];
        clustered(vector, 500000 + i);
        snprintf(id, sizeof id, "%d", (int)(i % 2 ? i : 10000 + i)); /* one that is there, and a new one */
        struct sb_sentence s = {id, "new", 3, NULL, vector};
        ck_assert_int_eq(put(store, "c", s, NULL), SB_OK);
        ck_assert_str_eq(nearest(store, vector), id);
        if (i % 3 == 0) {
            const char *const ids[] = {id};
            ck_assert_int_eq(sb_store_delete(store, "c", ids, 1, NULL, NULL), SB_OK);
            ck_assert_str_ne(nearest(store, vector), id);
        }
    }
    ck_assert_uint_ge(stats_of(store).approximate, 200);
    check_recall(store);
    sb_store_close(store);
}
END_TEST

START_TEST(filters_of_any_share_fill_top_k)
{
    static const unsigned long steps[] = {1, 2, 10, 100, 1000, 2500};
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT8);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct filter filter = {.step = steps[i]};
        double recall = recall_of(store, &filter); /* which also compares how many were found */
        ck_assert_msg(recall >= 0.98, "one of %lu: recall %.4f", steps[i], recall);
    }
    sb_store_close(store);
}
END_TEST

/* Rows close up, and get other numbers, when half are gone. */
START_TEST(deleting_most_makes_a_new_index)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT16);
    char ids[ROWS][24];
    const char *names[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        names[i] = ids[i];
    }
    ck_assert_int_eq(sb_store_delete(store, "c", names, ROWS / 2 + 20, NULL, NULL), SB_OK);
    ck_assert(recall_of(store, NULL) >= 0.98);
    for (int i = 0; i < 1000 && stats_of(store).approximate == 0; i++) {
        usleep(10000);
        ck_assert(recall_of(store, NULL) >= 0.98);
    }
    check_recall(store);
    sb_store_close(store);
}
END_TEST

/* ---- the file ---- */

static const char *file_path(void)
{
    char name[64];
    snprintf(name, sizeof name, "ann/c-%.16s.ann", hash);
    return scratch(name);
}

/* Whether the index is there at once; building takes longer. */
static bool file_is_used(struct sb_store *store)
{
    for (int i = 0; i < 100 && !is_indexed(store); i++) /* reading all nodes takes a moment too */
        usleep(1000);
    return is_indexed(store);
}

static size_t size_of_file(void)
{
    size_t size;
    whole_file(file_path(), &size);
    return size;
}

START_TEST(the_index_is_there_after_reopening)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT16);
    sb_store_close(store);
    ck_assert_uint_gt(size_of_file(), ROWS * 8);
    store = open_small("a.db");
    ck_assert(file_is_used(store));
    check_recall(store);
    /* what changes behind the file's back: rows of every kind */
    put_rows(store, 0, 100, 7777);
    put_rows(store, ROWS, ROWS + 100, 0);
    char late[16], new_one[16];
    snprintf(late, sizeof late, "%d", ROWS + 50);
    snprintf(new_one, sizeof new_one, "%d", ROWS + 7);
    ck_assert_int_eq(sb_store_delete(store, "c", (const char *const[]){"200", "201", late}, 3, NULL, NULL), SB_OK);
    size_t size;
    const char *old = whole_file(file_path(), &size);
    sb_store_close(store);
    scratch_write(strrchr(file_path(), '/') - 3, old, size); /* as if the process had been killed */
    store = open_small("a.db");
    ck_assert(file_is_used(store));
    check_recall(store);
    float vector[D];
    clustered(vector, 7777 + 5);
    ck_assert_str_eq(nearest(store, vector), "5");
    clustered(vector, ROWS + 7);
    ck_assert_str_eq(nearest(store, vector), new_one);
    clustered(vector, 200);
    ck_assert_str_ne(nearest(store, vector), "200");
    sb_store_close(store);
}
END_TEST

static void reopen_without_file(const char *why)
{
    struct sb_store *store = open_small("a.db");
    ck_assert_msg(recall_of(store, NULL) >= 0.98, "%s", why);
    wait_until_indexed(store);
    check_recall(store);
    sb_store_close(store);
    ck_assert_uint_gt(size_of_file(), ROWS * 8);
}

START_TEST(a_lost_or_damaged_file_is_made_anew)
{
    sb_store_close(open_indexed("a.db", SB_VECTORS_INT16));
    size_t size;
    const char *sound = whole_file(file_path(), &size), *name = strrchr(file_path(), '/') - 3;
    char *changed = malloc(size + 1);
    ck_assert_int_eq(unlink(file_path()), 0);
    ck_assert_int_eq(rmdir(scratch("ann")), 0);
    reopen_without_file("removed");
    for (uint64_t round = 0; round < DAMAGED_FILES; round++) {
        uint32_t words[4];
        sb_random_words(words, 31, round, 0);
        memcpy(changed, sound, size);
        changed[round < 3 ? words[0] % 200 : words[0] % size] ^= (char)(1 << words[1] % 8);
        scratch_write(name, changed, round % 4 == 3 ? words[2] % size : size);
        reopen_without_file("damaged");
    }
    free(changed);
}
END_TEST

/* Another collection under the same name, which happens to have the same number of sentences. */
START_TEST(a_file_of_another_collection_is_not_used)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT16);
    sb_store_close(store);
    size_t size;
    const char *old = whole_file(file_path(), &size), *name = strrchr(file_path(), '/') - 3;
    store = open_small("a.db");
    ck_assert_int_eq(sb_store_drop(store, "c", NULL), SB_OK);
    ck_assert_int_ne(access(file_path(), F_OK), 0); /* gone with its collection */
    struct sb_collection_info info = info_of("c", D);
    info.vectors = SB_VECTORS_INT16;
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    put_rows(store, 0, ROWS, 424242);
    sb_store_close(store);
    scratch_write(name, old, size);
    reopen_without_file("another's");
}
END_TEST

/* ---- recall in service, and threads ---- */

START_TEST(recall_is_sampled)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT16);
    for (int i = 0; i < 30; i++)
        recall_of(store, NULL);
    for (int i = 0; i < 3000 && stats_of(store).samples < 3; i++)
        usleep(1000);
    struct sb_search_stats stats = stats_of(store);
    ck_assert_uint_ge(stats.samples, 3);
    ck_assert_uint_eq(stats.expected, 10 * stats.samples);
    ck_assert_uint_le(stats.found, stats.expected);
    ck_assert_uint_ge(100 * stats.found, 90 * stats.expected);
    ck_assert_uint_ge(stats.exact, 30 * QUERIES);
    sb_store_close(store);
}
END_TEST

struct load {
    struct sb_store *store;
    atomic_bool stop;
};

static void *change_all_the_time(void *context)
{
    struct load *load = context;
    for (uint64_t round = 0; !atomic_load(&load->stop) && round < 400; round++) {
        char ids[8][16];
        const char *names[8];
        float vectors[8 * D];
        struct sb_sentence all[8];
        for (uint64_t i = 0; i < 8; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", (int)((round * 97 + i * 331) % (ROWS + 500)));
            names[i] = ids[i];
            clustered(vectors + i * D, round * 8 + i);
            all[i] = (struct sb_sentence){ids[i], "x", 1, NULL, vectors + i * D};
        }
        if (round % 4 == 3)
            ck_assert_int_eq(sb_store_delete(load->store, "c", names, 8, NULL, NULL), SB_OK);
        else
            ck_assert_int_eq(sb_store_upsert(load->store, "c", hash, all, 8, NULL, NULL, NULL), SB_OK);
    }
    return NULL;
}

/* A search and its exact repetition see the same unless a change came in between, so only whole failures would show here;
   it is for ThreadSanitizer. */
static void *search_all_the_time(void *context)
{
    struct load *load = context;
    for (uint64_t i = 0; !atomic_load(&load->stop); i++) {
        float vector[D];
        clustered(vector, i);
        struct sb_search search = {.vectors = vector, .queries = 1, .top_k = 10, .min_score = -1};
        struct sb_search_results results;
        ck_assert_int_eq(sb_store_search(load->store, "c", &search, &results, NULL), SB_OK);
        ck_assert_uint_eq(results.ends[0], 10);
        sb_search_results_free(&results);
    }
    return NULL;
}

START_TEST(changes_and_searches_at_once)
{
    struct sb_store *store = open_indexed("a.db", SB_VECTORS_INT8);
    struct load load = {.store = store};
    pthread_t writer, readers[2];
    pthread_create(&writer, NULL, change_all_the_time, &load);
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, search_all_the_time, &load);
    pthread_join(writer, NULL);
    atomic_store(&load.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    ck_assert(recall_of(store, NULL) >= 0.98);
    sb_store_close(store);
    store = open_small("a.db");
    wait_until_indexed(store);
    check_recall(store);
    sb_store_close(store);
}
END_TEST

START_TEST(an_exact_collection_gets_no_index)
{
    struct sb_store *store = open_small("a.db");
    struct sb_collection_info info = info_of("c", D);
    info.search = SB_SEARCH_EXACT;
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    put_rows(store, 0, ROWS, 0);
    usleep(100000);
    ck_assert(!is_indexed(store));
    ck_assert(recall_of(store, NULL) == 1);
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("approximate index");
    TCase *tests = tcase_create("approximate index");
    tcase_set_timeout(tests, 400);
    tcase_add_loop_test(tests, the_nearest_are_found_in_every_form, 0, SB_VECTORS_FORMS);
    tcase_add_test(tests, changes_are_seen_at_once);
    tcase_add_test(tests, filters_of_any_share_fill_top_k);
    tcase_add_test(tests, deleting_most_makes_a_new_index);
    tcase_add_test(tests, the_index_is_there_after_reopening);
    tcase_add_test(tests, a_lost_or_damaged_file_is_made_anew);
    tcase_add_test(tests, a_file_of_another_collection_is_not_used);
    tcase_add_test(tests, recall_is_sampled);
    tcase_add_test(tests, changes_and_searches_at_once);
    tcase_add_test(tests, an_exact_collection_gets_no_index);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
