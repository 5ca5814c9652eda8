#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * A run is a generation. The caller opens it, works on it as well, closes it when no index is left, and waits for the
 * workers that had joined. A worker that wakes too late finds it closed and goes back to sleep, so a run never waits
 * for a thread that the system has not scheduled yet.
 */
struct sb_pool {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    int threads, started;
    atomic_uint generation;
    atomic_int active; /* workers inside the run; changed under lock */
    bool open;         /* under lock, as are the next two */
    bool stopping;
    void (*body)(void *context, size_t index, int worker);
    void *context;
    size_t count;
    atomic_size_t next;
    struct worker {
        struct sb_pool *pool;
        pthread_t thread;
        int number;
    } workers[];
};

/* About 50 us of waiting before sleeping: the next loop of the same computation usually comes sooner than that. */
enum { SPINS = 1000 };

static void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(struct sb_pool *pool, int worker)
{
    size_t index;
    while ((index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->count)
        pool->body(pool->context, index, worker);
}

static void *worker_main(void *argument)
{
    const struct worker *self = argument;
    struct sb_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load_explicit(&pool->generation, memory_order_relaxed) == seen; i++)
            spin_pause();
        pthread_mutex_lock(&pool->lock);
        while (pool->generation == seen && !pool->stopping)
            pthread_cond_wait(&pool->begin, &pool->lock);
        bool stop = pool->stopping, join = pool->open && !stop;
        seen = pool->generation;
        pool->active += join;
        pthread_mutex_unlock(&pool->lock);
        if (stop)
            return NULL;
        if (!join)
            continue;
        work(pool, self->number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->active == 0)
            pthread_cond_signal(&pool->end);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Workers take no signals: those are for the thread that waits for them. */
static bool start_workers(struct sb_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < pool->threads - 1; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .number = i + 1};
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            break;
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool->started == pool->threads - 1;
}

struct sb_pool *sb_pool_new(int threads)
{
    if (threads <= 1)
        return NULL;
    struct sb_pool *pool = calloc(1, sizeof *pool + (size_t)(threads - 1) * sizeof *pool->workers);
    if (!pool)
        return NULL;
    pool->threads = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    if (!start_workers(pool)) {
        sb_pool_free(pool);
        return NULL;
    }
    return pool;
}

void sb_pool_free(struct sb_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int sb_pool_threads(const struct sb_pool *pool)
{
    return pool ? pool->threads : 1;
}

void sb_pool_run(struct sb_pool *pool, size_t count, void (*body)(void *context, size_t index, int worker),
                 void *context)
{
    if (!pool || count <= 1) {
        for (size_t i = 0; i < count; i++)
            body(context, i, 0);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->body = body;
    pool->context = context;
    pool->count = count;
    pool->next = 0;
    pool->open = true;
    pool->generation++;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);

    work(pool, 0);

    pthread_mutex_lock(&pool->lock);
    pool->open = false;
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool->active, memory_order_relaxed) > 0; i++)
        spin_pause();
    pthread_mutex_lock(&pool->lock);
    while (pool->active > 0)
        pthread_cond_wait(&pool->end, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
