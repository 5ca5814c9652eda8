/*
 * A request's work on the network, cut into parts so that threads share it and that a long list does not hold more
 * memory than a few of its elements need: some parts are computed at a time, the next begins when one ends.
 *
 *     struct sb_work work = {.request = request, .model = model, .parts = n, .window = 4,
 *                            .make = make, .take = take, .end = end};
 *     sb_work_start(&work);        // end() is called exactly once, also when nothing could be started
 *
 * Thread rule: make and take are called by one thread at a time, end after all of them; each by whatever thread.
 */
#ifndef SB_SERVER_WORK_H
#define SB_SERVER_WORK_H

#include "server/request.h"
#include "server/scheduler.h"

#include <pthread.h>

struct sb_work_slot;

struct sb_work {
    struct sb_request *request;
    struct sb_model *model; /* the caller's reference, until end */
    size_t parts;           /* at least 1 */
    size_t window;          /* parts that are computed at once */

    /* Makes the task of a part. SB_OVERLOADED: not now; the part is made later when others run, must when none does. */
    enum sb_status (*make)(struct sb_work *work, size_t part, bool must, struct sb_task **task, struct sb_error *error);
    /* Takes what the part's task computed, or what it left when it failed. The task is freed afterwards. */
    void (*take)(struct sb_work *work, size_t part, struct sb_task *task);
    /* All parts are done (SB_OK), or one failed, and none runs any more. The work may be freed. */
    void (*end)(struct sb_work *work, enum sb_status status, const struct sb_error *error);

    /* Private. */
    pthread_mutex_t lock;
    struct sb_work_slot *slots; /* [window] */
    size_t next, running;
    bool started, ended;
    int64_t first_started_ns;
    enum sb_status status;
    struct sb_error error;
};

void sb_work_start(struct sb_work *work);
void sb_work_clear(struct sb_work *work); /* frees what start allocated; before start, and twice, it is fine */

#endif
