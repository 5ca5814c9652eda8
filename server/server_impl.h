/* What the parts of one server share. */
#ifndef SB_SERVER_SERVER_IMPL_H
#define SB_SERVER_SERVER_IMPL_H

#include "retrieval/store.h"
#include "server/background.h"
#include "server/jobs.h"
#include "server/metrics.h"
#include "server/records.h"
#include "server/registry.h"
#include "server/scheduler.h"
#include "server/server.h"
#include "server/vector_cache.h"

#include <pthread.h>
#include <stdatomic.h>

struct sb_http;
struct sb_reembedding;

/* Bodies larger than this are parsed, tokenized and printed by background threads. */
enum { SB_INLINE_BYTES = 64 << 10 };

struct sb_server {
    struct sb_server_options options; /* with what was left open filled in: threads, max_generation_bytes */
    struct sb_registry *registry;
    struct sb_scheduler *scheduler;
    struct sb_background *background;
    struct sb_reembedding *reembedding;
    struct sb_background *mining; /* one thread, for work on whole collections */
    atomic_int minings, imports;  /* that wait or run */
    atomic_bool stopping;         /* exports end */
    struct sb_store *store;
    int data_lock; /* -1: the store's own file keeps others out */
    struct sb_records *records;
    struct sb_jobs *jobs;
    pthread_mutex_t aliases_lock; /* held while an alias changes in the registry and the records */
    struct sb_metrics *metrics;
    struct sb_vector_cache *vector_cache; /* NULL: off */
    struct sb_http *http;
    int port;
    _Atomic size_t generation_bytes; /* key/value caches of the paraphrase tasks that live */
};

#endif
