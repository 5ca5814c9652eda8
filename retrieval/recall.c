#include "retrieval/recall.h"

#include "retrieval/store_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_EVERY = 256 };

void sb_recall_init(struct sb_recall *recall)
{
    pthread_mutex_init(&recall->lock, NULL);
    recall->count = 0;
    atomic_init(&recall->approximate, 0);
    atomic_init(&recall->exact, 0);
    atomic_init(&recall->samples, 0);
    atomic_init(&recall->expected, 0);
    atomic_init(&recall->found, 0);
}

void sb_recall_free(struct sb_recall *recall)
{
    for (size_t i = 0; i < recall->count; i++)
        free(recall->waiting[i].vector);
    pthread_mutex_destroy(&recall->lock);
}

/* The search's first query. Without room or memory there is one sample less. */
static bool take_sample(struct sb_recall *recall, const char *collection, size_t dimensions,
                        const struct sb_search *search)
{
    float *vector = malloc(dimensions * sizeof *vector);
    if (!vector)
        return false;
    memcpy(vector, search->vectors, dimensions * sizeof *vector);
    struct sb_recall_sample sample = {.top_k = search->top_k, .dimensions = dimensions, .vector = vector};
    snprintf(sample.collection, sizeof sample.collection, "%s", collection);
    pthread_mutex_lock(&recall->lock);
    bool taken = recall->count < SB_RECALL_WAITING;
    if (taken)
        recall->waiting[recall->count++] = sample;
    pthread_mutex_unlock(&recall->lock);
    if (!taken)
        free(vector);
    return taken;
}

bool sb_recall_note(struct sb_recall *recall, const char *collection, size_t dimensions, const struct sb_search *search,
                    bool approximate)
{
    if (!approximate) {
        atomic_fetch_add(&recall->exact, search->queries);
        return false;
    }
    uint64_t before = atomic_fetch_add(&recall->approximate, search->queries);
    bool is_due = before / SAMPLE_EVERY != (before + search->queries) / SAMPLE_EVERY || before == 0;
    return is_due && !search->keep && take_sample(recall, collection, dimensions, search);
}

/* How many of the exact hits are among the others; both sorted by score. */
static size_t common(const struct sb_search_results *exact, const struct sb_search_results *other)
{
    size_t found = 0;
    for (size_t i = 0; i < exact->ends[0]; i++)
        for (size_t j = 0; j < other->ends[0]; j++)
            if (strcmp(exact->matches[i].sentence.id, other->matches[j].sentence.id) == 0) {
                found++;
                break;
            }
    return found;
}

/* Both searches under one lock, so that no change comes between them. */
static void check(struct sb_store *store, const struct sb_recall_sample *sample)
{
    struct sb_search search = {.vectors = sample->vector, .queries = 1, .top_k = sample->top_k, .min_score = -INFINITY};
    struct sb_search_results approximate = {0}, exact = {0};
    struct sb_collection *c;
    bool was_approximate = false;
    if (sb_collection_begin_read(store, sample->collection, &c, NULL) != SB_OK)
        return;
    enum sb_status status = SB_NOT_FOUND;
    if ((size_t)c->info.dimensions == sample->dimensions)
        status = sb_search_held(store, c, &search, &approximate, &was_approximate, NULL);
    search.exact = true;
    if (status == SB_OK && was_approximate)
        status = sb_search_held(store, c, &search, &exact, &was_approximate, NULL);
    else
        status = SB_NOT_FOUND;
    sb_collection_end_read(c);
    if (status == SB_OK) {
        atomic_fetch_add(&store->recall.found, common(&exact, &approximate));
        atomic_fetch_add(&store->recall.expected, exact.ends[0]);
        atomic_fetch_add(&store->recall.samples, 1);
    }
    sb_search_results_free(&approximate);
    sb_search_results_free(&exact);
}

bool sb_recall_check(struct sb_store *store)
{
    struct sb_recall *recall = &store->recall;
    struct sb_recall_sample sample = {.vector = NULL};
    pthread_mutex_lock(&recall->lock);
    bool any = recall->count > 0;
    if (any)
        sample = recall->waiting[--recall->count];
    bool more = recall->count > 0;
    pthread_mutex_unlock(&recall->lock);
    if (any)
        check(store, &sample);
    free(sample.vector);
    return more;
}

void sb_sqlite_search_stats(struct sb_store *store, struct sb_search_stats *stats)
{
    struct sb_recall *recall = &store->recall;
    *stats = (struct sb_search_stats){.exact = atomic_load(&recall->exact),
                                      .approximate = atomic_load(&recall->approximate),
                                      .samples = atomic_load(&recall->samples),
                                      .expected = atomic_load(&recall->expected),
                                      .found = atomic_load(&recall->found)};
}
