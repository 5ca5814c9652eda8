/* Health, info, metrics and the documentation. */
#include "retrieval/reembed.h"
#include "server/api_description.h"
#include "server/embedding.h"
#include "server/http.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>

void sb_handle_health(struct sb_request *request)
{
    sb_buffer_text(&request->reply.body, "{\"status\":\"ok\"}");
    sb_request_send(request, 200);
}

/* ---- info ---- */

static const char *pooling_name(enum sb_pooling pooling)
{
    return pooling == SB_POOL_MEAN ? "mean" : pooling == SB_POOL_CLS ? "cls" : "pooler";
}

void sb_handle_info(struct sb_request *request)
{
    const struct sb_server_options *o = &request->server->options;
    struct sb_buffer *out = &request->reply.body;
    struct sb_model *model = sb_request_model(request, NULL);
    if (!model)
        return;
    sb_buffer_text(out, "{\"model_id\":");
    sb_put_text(out, sb_model_name(model));
    sb_buffer_text(out, ",\"model_sha\":");
    sb_put_text(out, sb_model_hash(model));
    sb_buffer_format(out, ",\"model_dtype\":\"%s\",\"model_type\":{\"embedding\":{\"pooling\":\"%s\"}}",
                     sb_model_dtype(model), pooling_name(sb_model_config(model)->pooling));
    sb_buffer_format(out, ",\"max_concurrent_requests\":%zu,\"max_input_length\":%d,\"max_batch_tokens\":%zu",
                     o->max_queue, sb_model_max_length(model), o->max_batch_tokens);
    sb_buffer_format(out, ",\"max_batch_requests\":%zu,\"max_client_batch_size\":%zu,\"auto_truncate\":true",
                     o->max_batch_rows, o->max_client_batch);
    sb_buffer_format(out, ",\"tokenization_workers\":%d,\"version\":\"%s\",\"sha\":null}", o->threads, SB_VERSION);
    sb_model_release(model);
    sb_request_send(request, 200);
}

/* ---- metrics ---- */

static void print_collections(struct sb_server *server, struct sb_buffer *text)
{
    struct sb_collection_info *infos = NULL;
    size_t count = 0;
    if (sb_store_list(server->store, &infos, &count, NULL) != SB_OK) {
        sb_buffer_text(text, "# the collections could not be read\n");
        return;
    }
    sb_buffer_text(text, "# TYPE simbert_collection_sentences gauge\n");
    for (size_t i = 0; i < count; i++) /* names hold nothing to escape */
        sb_buffer_format(text, "simbert_collection_sentences{collection=\"%s\"} %lld\n", infos[i].name,
                         (long long)infos[i].count);
    sb_buffer_text(text, "# TYPE simbert_collection_stale_vectors gauge\n");
    for (size_t i = 0; i < count; i++) {
        struct sb_reembed_progress progress;
        if (sb_reembed_progress(server->store, infos[i].name, &progress, NULL) == SB_OK)
            sb_buffer_format(text, "simbert_collection_stale_vectors{collection=\"%s\"} %lld\n", infos[i].name,
                             progress.state == SB_REEMBED_RUNNING ? (long long)(progress.total - progress.done) : 0LL);
    }
    free(infos);
}

/* Recall: found / expected, of the searches that were repeated exactly. */
static void print_searches(struct sb_server *server, struct sb_buffer *text)
{
    struct sb_search_stats stats;
    sb_store_search_stats(server->store, &stats);
    sb_buffer_format(text,
                     "# TYPE simbert_searches_total counter\n"
                     "simbert_searches_total{kind=\"exact\"} %llu\nsimbert_searches_total{kind=\"approximate\"} %llu\n"
                     "# TYPE simbert_search_samples_total counter\nsimbert_search_samples_total %llu\n"
                     "# TYPE simbert_search_expected_total counter\nsimbert_search_expected_total %llu\n"
                     "# TYPE simbert_search_found_total counter\nsimbert_search_found_total %llu\n",
                     (unsigned long long)stats.exact, (unsigned long long)stats.approximate,
                     (unsigned long long)stats.samples, (unsigned long long)stats.expected,
                     (unsigned long long)stats.found);
}

static void print_models(struct sb_server *server, struct sb_buffer *text)
{
    struct sb_model *models[SB_REGISTRY_MAX];
    size_t count = sb_registry_list(server->registry, models);
    sb_buffer_format(text, "# TYPE simbert_model_swaps_total counter\nsimbert_model_swaps_total %lld\n",
                     (long long)sb_registry_swaps(server->registry));
    sb_buffer_text(text, "# TYPE simbert_model_bytes gauge\n");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_format(text, "simbert_model_bytes{model=\"%s\",hash=\"%s\",dtype=\"%s\"} %zu\n",
                         sb_model_name(models[i]), sb_model_hash(models[i]), sb_model_dtype(models[i]),
                         sb_model_bytes(models[i]));
        sb_model_release(models[i]);
    }
}

static void metrics(struct sb_request *request)
{
    struct sb_server *server = request->server;
    struct sb_scheduler_stats stats = sb_scheduler_stats(server->scheduler);
    struct sb_vector_cache_stats cache = sb_vector_cache_stats(server->vector_cache);
    struct sb_metrics_gauges gauges = {.queued = stats.queued,
                                       .running = stats.running,
                                       .passes = stats.passes,
                                       .tokens = stats.tokens,
                                       .rows = stats.rows,
                                       .expired = stats.expired,
                                       .cancelled = stats.cancelled,
                                       .threads = stats.threads,
                                       .vector_cache_hits = cache.hits,
                                       .vector_cache_misses = cache.misses,
                                       .vector_cache_entries = cache.entries,
                                       .vector_cache_bytes = cache.bytes,
                                       .active_requests = sb_http_active(server->http),
                                       .generation_cache_bytes = atomic_load(&server->generation_bytes)};
    sb_metrics_print(server->metrics, &gauges, &request->reply.body);
    print_models(server, &request->reply.body);
    print_collections(server, &request->reply.body);
    print_searches(server, &request->reply.body);
    if (server->jobs)
        sb_jobs_print_metrics(server->jobs, &request->reply.body);
    request->reply.content_type = "text/plain; version=0.0.4";
    sb_request_send(request, 200);
}

void sb_handle_metrics(struct sb_request *request)
{
    sb_request_later(request, metrics); /* reads the disk */
}

/* ---- documentation ---- */

void sb_handle_docs(struct sb_request *request)
{
    request->reply.content_type = "text/html; charset=utf-8";
    sb_api_page(&request->reply.body);
    sb_request_send(request, 200);
}

void sb_handle_openapi(struct sb_request *request)
{
    sb_api_openapi(&request->reply.body);
    sb_request_send(request, 200);
}
