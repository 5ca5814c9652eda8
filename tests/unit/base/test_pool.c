#include "base/pool.h"
#include "tests/unit/support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { MOST = 1000 };
static atomic_int calls[MOST];
static int plain[MOST]; /* written without atomics: what the pool must make visible to the caller */
static int threads;

static void count_call(void *context, size_t index, int worker)
{
    ck_assert_ptr_eq(context, plain);
    ck_assert(worker >= 0 && worker < threads);
    atomic_fetch_add(&calls[index], 1);
    plain[index] += (int)index + 1;
}

static const size_t run_counts[] = {0, 1, 2, 3, 7, MOST};

START_TEST(each_index_once)
{
    static const int thread_counts[] = {0, 1, 2, 3, 8};
    threads = thread_counts[_i] > 1 ? thread_counts[_i] : 1;
    struct sb_pool *pool = sb_pool_new(thread_counts[_i]);
    ck_assert_int_eq(sb_pool_threads(pool), threads);
    ck_assert((pool == NULL) == (threads == 1));
    for (size_t r = 0; r < sizeof run_counts / sizeof *run_counts; r++) {
        memset(calls, 0, sizeof calls);
        memset(plain, 0, sizeof plain);
        sb_pool_run(pool, run_counts[r], count_call, plain);
        for (size_t i = 0; i < MOST; i++) {
            ck_assert_int_eq(calls[i], i < run_counts[r]);
            ck_assert_int_eq(plain[i], i < run_counts[r] ? (int)i + 1 : 0);
        }
    }
    sb_pool_free(pool);
}
END_TEST

/* Runs back to back, where workers wake too late for one and early for the next; each depends on the one before. */
START_TEST(many_short_runs)
{
    enum { RUNS = 3000 };
    threads = 4;
    struct sb_pool *pool = sb_pool_new(threads);
    memset(plain, 0, sizeof plain);
    for (int r = 0; r < RUNS; r++)
        sb_pool_run(pool, (size_t)(r % 6), count_call, plain);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(plain[i], RUNS / 6 * (5 - i) * (i + 1));
    sb_pool_free(pool);
}
END_TEST

static void doze(void *context, size_t index, int worker)
{
    (void)index;
    struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
    atomic_fetch_or((atomic_int *)context, 1 << worker);
}

START_TEST(workers_wake_from_sleep_and_share)
{
    atomic_int seen = 0;
    struct sb_pool *pool = sb_pool_new(3);
    struct timespec long_enough_to_sleep = {.tv_nsec = 20000000};
    nanosleep(&long_enough_to_sleep, NULL);
    sb_pool_run(pool, 60, doze, &seen);
    ck_assert_int_eq(seen, 7);
    sb_pool_free(pool);
}
END_TEST

static void note_signals(void *context, size_t index, int worker)
{
    (void)context, (void)index;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ck_assert_int_eq(sigismember(&blocked, SIGTERM), worker != 0);
    struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
}

START_TEST(workers_take_no_signals)
{
    struct sb_pool *pool = sb_pool_new(2);
    sb_pool_run(pool, 20, note_signals, NULL);
    sb_pool_free(pool);
}
END_TEST

START_TEST(new_and_free_at_once)
{
    for (int i = 0; i < 50; i++)
        sb_pool_free(sb_pool_new(4));
    sb_pool_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_index_once, 0, 5);
    tcase_add_test(tests, many_short_runs);
    tcase_add_test(tests, workers_wake_from_sleep_and_share);
    tcase_add_test(tests, workers_take_no_signals);
    tcase_add_test(tests, new_and_free_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
