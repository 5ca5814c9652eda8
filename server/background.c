#include "server/background.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct sb_background {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct sb_background_job *first, **end;
    bool stopping;
    int started;
    pthread_t threads[];
};

static void *work(void *argument)
{
    struct sb_background *b = argument;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->first && !b->stopping)
            pthread_cond_wait(&b->work, &b->lock);
        struct sb_background_job *job = b->first;
        if (!job)
            break;
        b->first = job->next;
        if (!b->first)
            b->end = &b->first;
        pthread_mutex_unlock(&b->lock);
        job->run(job);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

enum sb_status sb_background_new(struct sb_background **background, int threads, struct sb_error *error)
{
    *background = NULL;
    struct sb_background *b = calloc(1, sizeof *b + (size_t)threads * sizeof *b->threads);
    if (!b)
        return sb_fail(error, SB_NO_MEMORY, "background: no memory");
    b->end = &b->first;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->work, NULL);
    for (; b->started < threads; b->started++)
        if (pthread_create(&b->threads[b->started], NULL, work, b) != 0) {
            sb_background_free(b);
            return sb_fail(error, SB_NO_MEMORY, "background: a thread can not be started");
        }
    *background = b;
    return SB_OK;
}

void sb_background_push(struct sb_background *background, struct sb_background_job *job)
{
    pthread_mutex_lock(&background->lock);
    job->next = NULL;
    *background->end = job;
    background->end = &job->next;
    pthread_cond_signal(&background->work);
    pthread_mutex_unlock(&background->lock);
}

void sb_background_free(struct sb_background *background)
{
    if (!background)
        return;
    pthread_mutex_lock(&background->lock);
    background->stopping = true;
    pthread_cond_broadcast(&background->work);
    pthread_mutex_unlock(&background->lock);
    for (int i = 0; i < background->started; i++)
        pthread_join(background->threads[i], NULL);
    pthread_cond_destroy(&background->work);
    pthread_mutex_destroy(&background->lock);
    free(background);
}
