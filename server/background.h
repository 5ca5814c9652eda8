/*
 * Threads for what must not hold up the HTTP threads and is not a pass through the network: the disk, searches, long
 * JSON.
 *
 *     struct sb_background *background;
 *     sb_background_new(&background, 2, &error);
 *     request->job.run = run;                     // embedded in what it works on: nothing to allocate, nothing to fail
 *     sb_background_push(background, &request->job);
 *     sb_background_free(background);             // runs what was pushed
 *
 * Thread rule: push from any thread; run() is called once, on one of the threads, in the order of pushing.
 */
#ifndef SB_SERVER_BACKGROUND_H
#define SB_SERVER_BACKGROUND_H

#include "base/status.h"

struct sb_background;

struct sb_background_job {
    void (*run)(struct sb_background_job *job); /* may free job, or push it again */
    struct sb_background_job *next;
};

SB_MUST_CHECK enum sb_status sb_background_new(struct sb_background **background, int threads, struct sb_error *error);
void sb_background_push(struct sb_background *background, struct sb_background_job *job);
void sb_background_free(struct sb_background *background); /* NULL is fine */

#endif
