/*
 * The store's thread for what nobody waits for: approximate indexes are built, brought up to date and saved, and some
 * searches repeated to measure recall. Started when a collection is first large enough. Only retrieval/ includes this.
 *
 * Thread rule: any thread wakes it; one stops it.
 */
#ifndef SB_RETRIEVAL_WORKER_H
#define SB_RETRIEVAL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct sb_store;

struct sb_worker {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, has_work;
    atomic_bool stopping;
    pthread_t thread;
};

void sb_worker_init(struct sb_worker *worker);
/* There may be something to do. Starts the thread if need be; without one, exact search goes on. */
void sb_worker_wake(struct sb_store *store);
void sb_worker_stop(struct sb_worker *worker); /* and waits for its end */
void sb_worker_free(struct sb_worker *worker);

#endif
