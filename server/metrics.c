#include "server/metrics.h"

#include "base/cpu.h"
#include "server/router.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS_MAX = 36 };

/* Counts per bucket, not cumulated; the last bucket is everything above the bounds. */
struct histogram {
    _Atomic int64_t counts[BUCKETS_MAX + 1];
    _Atomic int64_t sum;
};

/* Bounds of a kind of histogram, in the unit that is counted; scale makes it the unit that is printed. */
struct scale {
    int64_t bounds[BUCKETS_MAX];
    size_t count;
    double unit;
};

enum {
    DROPPED_FORCE_WORDS,
    DROPPED_EMPTY,
    DROPPED_COPY,
    DROPPED_DUPLICATE,
    DROPPED_EDIT_DISTANCE,
    DROPPED_SIMILARITY,
    DROPPED
};
static const char *const dropped_names[DROPPED] = {"force_words", "empty",         "copy",
                                                   "duplicate",   "edit_distance", "similarity"};

enum { STATUS_CLASSES = 6 }; /* 0: the client was gone */

struct sb_metrics {
    struct scale durations, lengths, batch_sizes, batch_tokens;
    _Atomic int64_t count[2], success[2]; /* single, batch */
    _Atomic int64_t failure[SB_PROBLEM_COUNT];
    _Atomic int64_t embed_count, embed_success;
    struct histogram duration, tokenization, queue, inference, input_length, batch_size, batch_token;
    _Atomic int64_t generated_tokens, decode_steps, results, dropped[DROPPED];
    size_t routes;
    _Atomic int64_t replies[][STATUS_CLASSES]; /* [routes + 1] */
};

/* The buckets that text-embeddings-inference prints. */
static void set_scales(struct sb_metrics *m)
{
    double seconds = 1e-5;
    m->durations = (struct scale){.count = 35, .unit = 1e-9};
    for (size_t i = 0; i < m->durations.count; i++)
        m->durations.bounds[i] = (int64_t)((seconds *= 1.5) * 1e9);
    m->lengths = (struct scale){.count = 14, .unit = 1};
    m->batch_sizes = (struct scale){.count = 13, .unit = 1};
    m->batch_tokens = (struct scale){.count = 21, .unit = 1};
    for (size_t i = 0; i < m->batch_tokens.count; i++)
        m->lengths.bounds[i] = m->batch_sizes.bounds[i] = m->batch_tokens.bounds[i] = (int64_t)1 << i;
}

enum sb_status sb_metrics_new(struct sb_metrics **metrics, size_t routes, struct sb_error *error)
{
    struct sb_metrics *m = calloc(1, sizeof *m + (routes + 1) * sizeof *m->replies);
    *metrics = m;
    if (!m)
        return sb_fail(error, SB_NO_MEMORY, "metrics: no memory");
    m->routes = routes;
    set_scales(m);
    return SB_OK;
}

void sb_metrics_free(struct sb_metrics *metrics)
{
    free(metrics);
}

/* ---- counting ---- */

static void add(_Atomic int64_t *counter, int64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static int64_t get(const _Atomic int64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void observe(struct histogram *h, const struct scale *scale, int64_t value)
{
    size_t i = 0;
    while (i < scale->count && value > scale->bounds[i])
        i++;
    add(&h->counts[i], 1);
    add(&h->sum, value);
}

void sb_metrics_reply(struct sb_metrics *metrics, size_t route, int status)
{
    add(&metrics->replies[route][status == 499 ? 0 : status / 100 % STATUS_CLASSES], 1);
}

void sb_metrics_compute_begin(struct sb_metrics *metrics, bool batch, size_t inputs)
{
    add(&metrics->count[batch], 1);
    add(&metrics->embed_count, (int64_t)inputs);
}

void sb_metrics_compute_success(struct sb_metrics *metrics, bool batch, size_t inputs, const struct sb_timing *timing,
                                int64_t total_ns)
{
    add(&metrics->success[batch], 1);
    add(&metrics->embed_success, (int64_t)inputs);
    observe(&metrics->duration, &metrics->durations, total_ns);
    observe(&metrics->tokenization, &metrics->durations, timing->tokenization_ns);
    observe(&metrics->queue, &metrics->durations, timing->queue_ns);
    observe(&metrics->inference, &metrics->durations, timing->inference_ns);
}

void sb_metrics_failure(struct sb_metrics *metrics, enum sb_problem problem)
{
    add(&metrics->failure[problem], 1);
}

void sb_metrics_input_length(struct sb_metrics *metrics, size_t tokens)
{
    observe(&metrics->input_length, &metrics->lengths, (int64_t)tokens);
}

void sb_metrics_pass(struct sb_metrics *metrics, size_t rows, size_t tokens)
{
    observe(&metrics->batch_size, &metrics->batch_sizes, (int64_t)rows);
    observe(&metrics->batch_token, &metrics->batch_tokens, (int64_t)tokens);
}

void sb_metrics_generation(struct sb_metrics *metrics, const struct sb_paraphrase_counts *counts, size_t results)
{
    add(&metrics->generated_tokens, counts->generated_tokens);
    add(&metrics->decode_steps, counts->decode_steps);
    add(&metrics->results, (int64_t)results);
    const int64_t dropped[DROPPED] = {counts->dropped_force_words,   counts->dropped_empty,
                                      counts->dropped_copies,        counts->dropped_duplicates,
                                      counts->dropped_edit_distance, counts->dropped_similarity};
    for (size_t i = 0; i < DROPPED; i++)
        add(&metrics->dropped[i], dropped[i]);
}

/* ---- printing ---- */

static void print_type(struct sb_buffer *text, const char *name, const char *type)
{
    sb_buffer_format(text, "# TYPE %s %s\n", name, type);
}

static void print_number(struct sb_buffer *text, const char *name, const char *type, int64_t value)
{
    print_type(text, name, type);
    sb_buffer_format(text, "%s %lld\n", name, (long long)value);
}

static void print_histogram(struct sb_buffer *text, const char *name, const struct histogram *h,
                            const struct scale *scale)
{
    int64_t total = 0;
    print_type(text, name, "histogram");
    for (size_t i = 0; i < scale->count; i++) {
        total += get(&h->counts[i]);
        sb_buffer_format(text, "%s_bucket{le=\"%.9g\"} %lld\n", name, (double)scale->bounds[i] * scale->unit,
                         (long long)total);
    }
    total += get(&h->counts[scale->count]);
    sb_buffer_format(text, "%s_bucket{le=\"+Inf\"} %lld\n", name, (long long)total);
    sb_buffer_format(text, "%s_sum %.9g\n%s_count %lld\n", name, (double)get(&h->sum) * scale->unit, name,
                     (long long)total);
}

static void print_tei(const struct sb_metrics *m, const struct sb_metrics_gauges *gauges, struct sb_buffer *text)
{
    static const char *const methods[2] = {"single", "batch"};
    print_type(text, "te_request_count", "counter");
    for (size_t i = 0; i < 2; i++)
        sb_buffer_format(text, "te_request_count{method=\"%s\"} %lld\n", methods[i], (long long)get(&m->count[i]));
    print_type(text, "te_request_success", "counter");
    for (size_t i = 0; i < 2; i++)
        sb_buffer_format(text, "te_request_success{method=\"%s\"} %lld\n", methods[i], (long long)get(&m->success[i]));
    print_type(text, "te_request_failure", "counter");
    for (size_t i = 0; i < SB_PROBLEM_COUNT; i++)
        sb_buffer_format(text, "te_request_failure{err=\"%s\"} %lld\n", sb_problem_name((enum sb_problem)i),
                         (long long)get(&m->failure[i]));
    print_number(text, "te_embed_count", "counter", get(&m->embed_count));
    print_number(text, "te_embed_success", "counter", get(&m->embed_success));
    print_number(text, "te_queue_size", "gauge", (int64_t)gauges->queued);
    print_histogram(text, "te_request_duration", &m->duration, &m->durations);
    print_histogram(text, "te_request_tokenization_duration", &m->tokenization, &m->durations);
    print_histogram(text, "te_request_queue_duration", &m->queue, &m->durations);
    print_histogram(text, "te_request_inference_duration", &m->inference, &m->durations);
    print_histogram(text, "te_request_input_length", &m->input_length, &m->lengths);
    print_histogram(text, "te_batch_next_size", &m->batch_size, &m->batch_sizes);
    print_histogram(text, "te_batch_next_tokens", &m->batch_token, &m->batch_tokens);
}

static void print_replies(const struct sb_metrics *m, struct sb_buffer *text)
{
    static const char *const classes[STATUS_CLASSES] = {"gone", "1xx", "2xx", "3xx", "4xx", "5xx"};
    print_type(text, "simbert_requests_total", "counter");
    for (size_t route = 0; route <= m->routes; route++) {
        char name[96] = "none";
        if (route < m->routes)
            sb_route_name(route, name, sizeof name);
        for (size_t i = 0; i < STATUS_CLASSES; i++)
            if (get(&m->replies[route][i]))
                sb_buffer_format(text, "simbert_requests_total{route=\"%s\",status=\"%s\"} %lld\n", name, classes[i],
                                 (long long)get(&m->replies[route][i]));
    }
}

static void print_generation(const struct sb_metrics *m, const struct sb_metrics_gauges *gauges, struct sb_buffer *text)
{
    print_number(text, "simbert_generation_tokens_total", "counter", get(&m->generated_tokens));
    print_number(text, "simbert_generation_steps_total", "counter", get(&m->decode_steps));
    print_number(text, "simbert_generation_candidates_total", "counter", get(&m->results));
    print_type(text, "simbert_generation_candidates_dropped_total", "counter");
    for (size_t i = 0; i < DROPPED; i++)
        sb_buffer_format(text, "simbert_generation_candidates_dropped_total{filter=\"%s\"} %lld\n", dropped_names[i],
                         (long long)get(&m->dropped[i]));
    print_number(text, "simbert_generation_cache_bytes", "gauge", (int64_t)gauges->generation_cache_bytes);
}

void sb_metrics_print(const struct sb_metrics *metrics, const struct sb_metrics_gauges *gauges, struct sb_buffer *text)
{
    print_tei(metrics, gauges, text);
    print_replies(metrics, text);
    print_generation(metrics, gauges, text);
    print_number(text, "simbert_jobs_running", "gauge", (int64_t)gauges->running);
    print_number(text, "simbert_requests_active", "gauge", (int64_t)gauges->active_requests);
    print_number(text, "simbert_passes_total", "counter", gauges->passes);
    print_number(text, "simbert_rows_total", "counter", gauges->rows);
    print_number(text, "simbert_tokens_total", "counter", gauges->tokens);
    print_number(text, "simbert_deadline_expired_total", "counter", gauges->expired);
    print_number(text, "simbert_cancelled_total", "counter", gauges->cancelled);
    print_number(text, "simbert_vector_cache_hits_total", "counter", gauges->vector_cache_hits);
    print_number(text, "simbert_vector_cache_misses_total", "counter", gauges->vector_cache_misses);
    print_number(text, "simbert_vector_cache_entries", "gauge", (int64_t)gauges->vector_cache_entries);
    print_number(text, "simbert_vector_cache_bytes", "gauge", (int64_t)gauges->vector_cache_bytes);
    print_number(text, "simbert_threads", "gauge", gauges->threads);
    print_type(text, "simbert_cpu_quota", "gauge");
    sb_buffer_format(text, "simbert_cpu_quota %.9g\n", sb_cpu_quota());
    print_number(text, "simbert_memory_limit_bytes", "gauge", (int64_t)sb_memory_limit());
    print_number(text, "process_resident_memory_bytes", "gauge", (int64_t)sb_memory_resident());
}
