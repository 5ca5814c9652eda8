/*
 * Many threads on one store: no search sees half a change, a long one holds up nobody, a dropped collection lives until
 * the last search in it is done.
 */
#include "tests/unit/retrieval/fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct load {
    struct sb_store *store;
    atomic_bool stop;
    int number;
};

enum { GROUP = 32, WRITERS = 2 };

/* A writer's sentences always change together, to one text: no search may see some of them, or two texts. */
static void *write_groups(void *context)
{
    struct load *load = context;
    const float vector[DIMENSIONS] = {1};
    char text[32], ids[GROUP][16];
    const char *names[GROUP];
    struct sb_sentence group[GROUP];
    for (int round = 0; !atomic_load(&load->stop) && round < 300; round++) {
        snprintf(text, sizeof text, "%d", round);
        for (int i = 0; i < GROUP; i++) {
            snprintf(ids[i], sizeof ids[i], "%d-%d", load->number, i);
            names[i] = ids[i];
            group[i] = (struct sb_sentence){ids[i], text, strlen(text), NULL, vector};
        }
        ck_assert_int_eq(sb_store_upsert(load->store, "faq", hash, group, GROUP, NULL, NULL, NULL), SB_OK);
        if (round % 5 == 4)
            ck_assert_int_eq(sb_store_delete(load->store, "faq", names, GROUP, NULL, NULL), SB_OK);
    }
    return NULL;
}

static void *drop_and_create(void *context)
{
    struct load *load = context;
    struct sb_collection_info info = info_of("other", DIMENSIONS);
    const float vector[DIMENSIONS] = {1}; /* keep() is for one thread */
    struct sb_sentence one = {"1", "x", 1, NULL, vector};
    for (int round = 0; !atomic_load(&load->stop) && round < 100; round++) {
        ck_assert_int_eq(sb_store_create(load->store, &info, NULL, NULL), SB_OK);
        ck_assert_int_eq(put(load->store, "other", one, NULL), SB_OK);
        ck_assert_int_eq(sb_store_drop(load->store, "other", NULL), SB_OK);
    }
    return NULL;
}

static void check_groups(const struct sb_search_results *results)
{
    const char *text[WRITERS] = {NULL};
    size_t count[WRITERS] = {0};
    for (size_t m = 0; m < results->ends[0]; m++) {
        int writer = results->matches[m].sentence.id[0] - '0';
        if (count[writer]++)
            ck_assert_str_eq(text[writer], results->matches[m].sentence.text);
        text[writer] = results->matches[m].sentence.text;
    }
    for (int writer = 0; writer < WRITERS; writer++)
        ck_assert_msg(count[writer] == 0 || count[writer] == GROUP, "%zu of %d", count[writer], GROUP);
}

START_TEST(searches_never_see_half_a_change)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct load loads[WRITERS + 1] = {{.store = store, .number = 0}, {.store = store, .number = 1}, {.store = store}};
    pthread_t threads[WRITERS + 1];
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_groups, &loads[i]);
    pthread_create(&threads[WRITERS], NULL, drop_and_create, &loads[WRITERS]);
    const float query[DIMENSIONS] = {1};
    struct sb_search search = {.vectors = query, .queries = 1, .top_k = 100, .min_score = -1};
    for (int i = 0; i < 4000; i++) {
        struct sb_search_results results;
        ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, NULL), SB_OK);
        check_groups(&results);
        sb_search_results_free(&results);
        if (sb_store_search(store, "other", &search, &results, NULL) == SB_OK)
            sb_search_results_free(&results);
    }
    for (int i = 0; i <= WRITERS; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(threads[i], NULL);
    }
    sb_store_close(store);
}
END_TEST

/* A search that stands still in its filter until it is let go. */
static sem_t has_begun, may_go_on;

static bool keep_slowly(void *context, const struct sb_sentence *sentence)
{
    (void)context;
    (void)sentence;
    sem_post(&has_begun);
    sem_wait(&may_go_on);
    return true;
}

struct slow_search {
    struct sb_store *store;
    struct sb_search_results results;
    enum sb_status status;
};

static void *search_slowly(void *context)
{
    struct slow_search *slow = context;
    const float query[DIMENSIONS] = {1};
    struct sb_search search = {.vectors = query, .queries = 1, .top_k = 10, .min_score = -100, .keep = keep_slowly};
    slow->status = sb_store_search(slow->store, "faq", &search, &slow->results, NULL);
    return NULL;
}

START_TEST(a_collection_is_dropped_while_it_is_searched)
{
    sem_init(&has_begun, 0, 0);
    sem_init(&may_go_on, 0, 0);
    struct slow_search slow = {0};
    struct sb_sentences out;
    slow.store = open_with("a.db", "faq");
    create(slow.store, "other");
    ck_assert_int_eq(put(slow.store, "faq", sentence("1", "old", 1), NULL), SB_OK);
    pthread_t thread;
    pthread_create(&thread, NULL, search_slowly, &slow);
    sem_wait(&has_begun);
    create(slow.store, "third");
    ck_assert_int_eq(put(slow.store, "other", sentence("1", "x", 1), NULL), SB_OK);
    ck_assert_int_eq(sb_store_drop(slow.store, "faq", NULL), SB_OK);
    ck_assert_int_eq(sb_store_get(slow.store, "faq", "1", &out, NULL), SB_NOT_FOUND);
    create(slow.store, "faq");
    ck_assert_int_eq(put(slow.store, "faq", sentence("1", "new", 2), NULL), SB_OK);
    sem_post(&may_go_on);
    pthread_join(thread, NULL);
    ck_assert_int_eq(slow.status, SB_OK);
    ck_assert_uint_eq(slow.results.ends[0], 1);
    ck_assert_str_eq(slow.results.matches[0].sentence.text, "old");
    sb_store_close(slow.store);
    ck_assert_str_eq(slow.results.matches[0].sentence.id, "1"); /* results own what they hold */
    sb_search_results_free(&slow.results);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store threads");
    TCase *tests = tcase_create("store threads");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, searches_never_see_half_a_change);
    tcase_add_test(tests, a_collection_is_dropped_while_it_is_searched);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
