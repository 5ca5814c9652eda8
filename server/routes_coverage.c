/* Which of many incoming questions have no near neighbour in a collection: what it does not cover yet. */
#include "server/collection_request.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>

struct coverage {
    struct sb_embedding embedding;
    struct sb_filter *filter;
    double min_score;
    bool is_again; /* the collection has changed its model while the questions were embedded */
};

static void coverage_free(void *state)
{
    struct coverage *c = state;
    sb_embedding_clear(&c->embedding);
    sb_filter_free(c->filter);
    free(c);
}

static void put_question(struct sb_buffer *body, const struct coverage *c, const struct sb_search_results *results,
                         size_t i)
{
    size_t first = i ? results->ends[i - 1] : 0;
    const struct sb_match *match = results->ends[i] > first ? &results->matches[first] : NULL;
    sb_buffer_format(body, "%s{\"index\":%zu,\"text\":", i ? "," : "", i);
    sb_put_text(body, c->embedding.inputs.items[i].text);
    sb_buffer_format(body, ",\"covered\":%s,\"nearest\":", match && match->score >= c->min_score ? "true" : "false");
    if (match) {
        sb_buffer_text(body, "{");
        sb_put_sentence(body, &match->sentence);
        sb_buffer_text(body, ",\"score\":");
        sb_put_score(body, match->score);
        sb_buffer_text(body, "}");
    } else {
        sb_buffer_text(body, "null");
    }
    sb_buffer_text(body, "}");
}

static void send_coverage(struct sb_request *request, const struct sb_search_results *results)
{
    const struct coverage *c = request->state;
    struct sb_buffer *body = &request->reply.body;
    size_t covered = 0;
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < results->queries; i++) {
        size_t first = i ? results->ends[i - 1] : 0;
        covered += results->ends[i] > first && results->matches[first].score >= c->min_score;
        put_question(body, c, results, i);
    }
    sb_buffer_format(body, "],\"covered\":%zu,\"uncovered\":%zu,\"model\":", covered, results->queries - covered);
    sb_put_text(body, sb_model_name(c->embedding.model));
    sb_buffer_text(body, ",");
    sb_put_usage(body, c->embedding.rows.tokens);
    sb_buffer_text(body, "}");
    sb_request_send(request, 200);
}

static void embed(struct sb_request *request)
{
    struct coverage *c = request->state;
    struct sb_model *model = sb_collection_model(request);
    if (model)
        sb_embedding_start(&c->embedding, request, model);
}

static void search(struct sb_request *request)
{
    struct coverage *c = request->state;
    struct sb_search_results results;
    struct sb_error error;
    sb_embedding_normalize(&c->embedding);
    struct sb_search nearest = {.vectors = c->embedding.vectors,
                                .queries = c->embedding.rows.count,
                                .top_k = 1,
                                .min_score = -1,
                                .keep = sb_filter_keep_of(c->filter),
                                .keep_context = c->filter,
                                .model_hash = sb_model_hash(c->embedding.model)};
    enum sb_status status = sb_store_search(request->server->store, request->params[0], &nearest, &results, &error);
    if (status == SB_CONFLICT && !c->is_again) {
        c->is_again = true;
        sb_embedding_again(&c->embedding);
        embed(request);
        return;
    }
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    send_coverage(request, &results);
    sb_search_results_free(&results);
}

static void search_later(struct sb_request *request)
{
    sb_request_later(request, search);
}

void sb_handle_coverage(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct coverage *c = sb_request_state(request, sizeof *c, coverage_free);
    if (!c)
        return;
    c->embedding.options.truncate = true;
    c->embedding.ready = search_later;
    c->min_score = 0.8;
    if (!sb_parse_inputs(&parse, "query", SB_INPUT_TEXTS, request->server->options.max_client_batch,
                         &c->embedding.inputs) ||
        !sb_parse_double(&parse, "min_score", -1, 1, &c->min_score) || !sb_parse_filter(&parse, "filter", &c->filter))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, embed);
}
