/*
 * Threads with a session of the network each, for commands that work through many texts.
 *
 *     struct sb_workers *workers;
 *     sb_workers_new(&workers, model, 4, &error);
 *     sb_workers_run(workers, count, body, context, &error);    // body(context, i, workers, worker, &error) for each i
 * < count sb_workers_free(workers);
 *
 * Thread rule: one thread at a time; body runs on several.
 */
#ifndef SB_CLI_WORKERS_H
#define SB_CLI_WORKERS_H

#include "model/session.h"

struct sb_workers {
    struct sb_model *model; /* a reference */
    int threads;
    struct sb_pool *pool;
    struct sb_session **sessions;  /* [threads] */
    struct sb_encoding *encodings; /* [threads] */
};

SB_MUST_CHECK enum sb_status sb_workers_new(struct sb_workers **workers, struct sb_model *model, int threads,
                                            struct sb_error *error);
void sb_workers_free(struct sb_workers *workers); /* NULL is fine */

/* One index of the work; worker < threads says whose session and encoding to use. */
typedef enum sb_status (*sb_workers_body)(void *context, size_t index, struct sb_workers *workers, int worker,
                                          struct sb_error *error);

/* After a failure no further index is begun. Of several failures that of the lowest index is reported. */
SB_MUST_CHECK enum sb_status sb_workers_run(struct sb_workers *workers, size_t count, sb_workers_body body,
                                            void *context, struct sb_error *error);

#endif
