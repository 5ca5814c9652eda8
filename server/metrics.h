/*
 * Counters of the service in Prometheus text: the names of text-embeddings-inference unchanged ("te_..."), ours beside
 * them
 * ("simbert_...").
 *
 *     struct sb_metrics *metrics;
 *     sb_metrics_new(&metrics, routes, &error);
 *     sb_metrics_reply(metrics, route, 200);
 *     sb_metrics_print(metrics, &gauges, &text);
 *
 * Thread rule: every call from any number of threads, except new and free. Nothing waits.
 */
#ifndef SB_SERVER_METRICS_H
#define SB_SERVER_METRICS_H

#include "base/buffer.h"
#include "base/status.h"
#include "model/paraphrase.h"
#include "server/errors.h"
#include "server/timing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_metrics;

/* routes: how many the route table has. */
SB_MUST_CHECK enum sb_status sb_metrics_new(struct sb_metrics **metrics, size_t routes, struct sb_error *error);
void sb_metrics_free(struct sb_metrics *metrics); /* NULL is fine */

/* A reply was sent, or given up because the client was gone (status 499). route: index in the table, or routes for
 * none. */
void sb_metrics_reply(struct sb_metrics *metrics, size_t route, int status);

/* A request for the network's work, of so many inputs: when it is understood, and how it ended. */
void sb_metrics_compute_begin(struct sb_metrics *metrics, bool batch, size_t inputs);
void sb_metrics_compute_success(struct sb_metrics *metrics, bool batch, size_t inputs, const struct sb_timing *timing,
                                int64_t total_ns);
void sb_metrics_failure(struct sb_metrics *metrics, enum sb_problem problem);
void sb_metrics_input_length(struct sb_metrics *metrics, size_t tokens);
void sb_metrics_pass(struct sb_metrics *metrics, size_t rows, size_t tokens);
void sb_metrics_generation(struct sb_metrics *metrics, const struct sb_paraphrase_counts *counts, size_t results);

/* What is not counted but looked at. */
struct sb_metrics_gauges {
    size_t queued, running, active_requests, generation_cache_bytes;
    int64_t passes, tokens, rows, expired, cancelled;
    int64_t vector_cache_hits, vector_cache_misses;
    size_t vector_cache_entries, vector_cache_bytes;
    int threads;
};
void sb_metrics_print(const struct sb_metrics *metrics, const struct sb_metrics_gauges *gauges, struct sb_buffer *text);

#endif
