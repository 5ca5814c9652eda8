#include "retrieval/worker.h"

#include "retrieval/store_impl.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { NICENESS = 10, LOOK_AGAIN_S = 5 };

void sb_worker_init(struct sb_worker *worker)
{
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    worker->started = worker->has_work = false;
    atomic_init(&worker->stopping, false);
}

/* A slice for each collection; true if any has more to do. */
static bool work_on_all(struct sb_store *store)
{
    size_t count;
    bool more = false;
    struct sb_collection **all = sb_collections_hold(store, &count);
    for (size_t i = 0; all && i < count; i++) {
        if (!atomic_load(&store->worker.stopping))
            more = sb_ann_work(store, all[i]) || more;
        sb_collection_release(all[i]);
    }
    free(all);
    return sb_recall_check(store) || more;
}

/* Until somebody wakes it, or for a while: a file may be due. */
static void wait_for_work(struct sb_worker *worker)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOOK_AGAIN_S;
    pthread_mutex_lock(&worker->lock);
    int code = 0;
    while (!worker->has_work && code == 0 && !atomic_load(&worker->stopping))
        code = pthread_cond_timedwait(&worker->wake, &worker->lock, &until);
    worker->has_work = false;
    pthread_mutex_unlock(&worker->lock);
}

static void *run(void *context)
{
    struct sb_store *store = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread, on Linux */
    while (!atomic_load(&store->worker.stopping))
        if (!work_on_all(store))
            wait_for_work(&store->worker);
    return NULL;
}

void sb_worker_wake(struct sb_store *store)
{
    struct sb_worker *worker = &store->worker;
    pthread_mutex_lock(&worker->lock);
    if (!worker->started && !atomic_load(&worker->stopping))
        worker->started = pthread_create(&worker->thread, NULL, run, store) == 0;
    worker->has_work = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void sb_worker_stop(struct sb_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    atomic_store(&worker->stopping, true);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = false;
}

void sb_worker_free(struct sb_worker *worker)
{
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
}
