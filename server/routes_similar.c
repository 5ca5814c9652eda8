/*
 * Similar sentences: what is asked (texts, vectors, or stored sentences by id) becomes vectors, texts or both; then the
 * searches of the mode, their fusion, and if wished a new order of what they found: by the model's pair head, or by cosine
 * where it has none or vectors are asked for, which have no text.
 */
#include "model/pair_score.h"
#include "retrieval/fusion.h"
#include "retrieval/search_text.h"
#include "server/collection_request.h"
#include "server/rerank.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOP_K_MAX = 1000,
    CANDIDATES_MIN = 100, /* that each search gives for fusion and reranking, unless top_k asks for more */
    CANDIDATES_A_MATCH = 4,
};

enum mode { MODE_VECTOR, MODE_LEXICAL, MODE_HYBRID };

struct similar {
    struct sb_embedding embedding;
    struct sb_filter *filter;
    enum mode mode;
    int64_t top_k;
    double min_score;       /* as given, or below every score of the mode */
    bool reranks, by_pairs; /* the latter: by the pair head of the collection's model */
    bool is_again;          /* the collection has changed its model while the texts were embedded */
    size_t queries, dimensions;
    char model_hash[64];                /* of the model that made the queries' vectors */
    const cJSON *vector_list, *id_list; /* borrowed from the JSON; NULL unless that is what is asked */
    bool is_one;                        /* the list is one vector or one id */
    float *vectors;                     /* [queries, dimensions], owned; NULL: the embedding's */
    struct sb_text_query *texts;        /* [queries] */
    struct sb_sentences *stored;        /* [queries], of the ids */
    struct sb_search_results by_meaning, by_words, fused;
    struct sb_search_results *results; /* one of the three */
    char model_name[128];              /* the collection's, when it was searched */
    struct sb_rerank rerank;
};

static void similar_free(void *state)
{
    struct similar *s = state;
    sb_rerank_clear(&s->rerank);
    sb_embedding_clear(&s->embedding);
    sb_search_results_free(&s->fused);
    sb_search_results_free(&s->by_meaning);
    sb_search_results_free(&s->by_words);
    sb_filter_free(s->filter);
    for (size_t i = 0; s->stored && i < s->queries; i++)
        sb_sentences_free(&s->stored[i]);
    free(s->stored);
    free(s->vectors);
    free(s->texts);
    free(s);
}

/* ---- reading the request ---- */

static bool parse_mode(struct sb_parse *parse, enum mode *mode)
{
    static const char *const names[] = {"vector", "lexical", "hybrid"};
    const char *name = NULL;
    if (!sb_parse_string(parse, "mode", &name))
        return false;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    return !name ||
           sb_parse_fail(parse, SB_PROBLEM_INVALID, "mode is \"%.64s\"; vector, lexical and hybrid are possible", name);
}

/* BM25 has no upper bound, and without words in common it is 0; a cosine is in [-1, 1]. */
static bool parse_min_score(struct sb_parse *parse, struct similar *s)
{
    bool is_cosine = s->mode != MODE_LEXICAL || s->reranks;
    s->min_score = is_cosine ? -1 : 0;
    return sb_parse_double(parse, "min_score", is_cosine ? -1 : 0, is_cosine ? 1 : 1e6, &s->min_score);
}

/* One vector or id, or a list of them. */
static bool parse_list(struct sb_parse *parse, struct similar *s, const cJSON *list, bool is_one, size_t limit)
{
    s->is_one = is_one;
    s->queries = is_one ? 1 : (size_t)cJSON_GetArraySize(list);
    if (s->queries == 0)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s is an empty list", parse->param);
    if (s->queries > limit)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s has %zu elements; at most %zu are possible", parse->param,
                             s->queries, limit);
    return true;
}

static const cJSON *element(const struct similar *s, const cJSON *list, size_t i)
{
    const cJSON *item = s->is_one ? list : list->child;
    while (i-- > 0)
        item = item->next;
    return item;
}

static bool parse_vectors(struct sb_parse *parse, struct similar *s, size_t limit)
{
    const cJSON *list = s->vector_list;
    if (!cJSON_IsArray(list))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "vector must be a list of numbers, or a list of such lists");
    if (s->mode != MODE_VECTOR)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "a vector has no words: with it mode can only be \"vector\"");
    return parse_list(parse, s, list, !list->child || cJSON_IsNumber(list->child), limit);
}

static bool parse_ids(struct sb_parse *parse, struct similar *s, size_t limit)
{
    const cJSON *list = s->id_list;
    if (!cJSON_IsString(list) && !cJSON_IsArray(list))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "id must be a text or a list of texts");
    if (!parse_list(parse, s, list, cJSON_IsString(list), limit))
        return false;
    for (const cJSON *id = cJSON_IsArray(list) ? list->child : NULL; id; id = id->next)
        if (!cJSON_IsString(id))
            return sb_parse_fail(parse, SB_PROBLEM_INVALID, "id: an element is not a text");
    return true;
}

static bool parse_query(struct sb_parse *parse, struct similar *s, size_t limit)
{
    bool has_query = sb_parse_field(parse, "query") != NULL;
    s->id_list = sb_parse_field(parse, "id");
    s->vector_list = sb_parse_field(parse, "vector");
    if (has_query + (s->id_list != NULL) + (s->vector_list != NULL) > 1)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "query, vector and id: one of them is expected");
    if (s->vector_list)
        return parse_vectors(parse, s, limit);
    parse->param = "id";
    if (s->id_list)
        return parse_ids(parse, s, limit);
    if (!sb_parse_inputs(parse, "query", SB_INPUT_TEXTS, limit, &s->embedding.inputs))
        return false;
    s->queries = s->embedding.inputs.count;
    return true;
}

/* ---- what is asked becomes vectors and texts ---- */

static enum sb_status read_vector(const cJSON *list, float *vector, size_t dimensions, size_t index,
                                  struct sb_error *error)
{
    size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0, i = 0;
    double square = 0;
    if (count != dimensions)
        return sb_fail(error, SB_INVALID, "vector %zu has %zu numbers; the collection's have %zu", index, count,
                       dimensions);
    for (const cJSON *item = list->child; item; item = item->next, i++) {
        if (!cJSON_IsNumber(item) || !isfinite((float)item->valuedouble))
            return sb_fail(error, SB_INVALID, "vector %zu: element %zu is not a number that a float can hold", index,
                           i);
        square += item->valuedouble * item->valuedouble;
    }
    if (!(square > 0) || !isfinite(square))
        return sb_fail(error, SB_INVALID, "vector %zu has no direction: its length is %g", index, sqrt(square));
    i = 0;
    for (const cJSON *item = list->child; item; item = item->next)
        vector[i++] = (float)(item->valuedouble / sqrt(square));
    return SB_OK;
}

static enum sb_status read_vectors(struct similar *s, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    const cJSON *list = element(s, s->vector_list, 0);
    for (size_t i = 0; i < s->queries && status == SB_OK; i++, list = list->next)
        status = read_vector(list, s->vectors + i * s->dimensions, s->dimensions, i, error);
    return status;
}

static enum sb_status read_stored(struct sb_request *request, struct similar *s, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    const cJSON *id = element(s, s->id_list, 0);
    for (size_t i = 0; i < s->queries && status == SB_OK; i++, id = id->next) {
        status = sb_get_vector(request, id->valuestring, s->dimensions, &s->stored[i], error);
        if (status != SB_OK)
            break;
        const struct sb_sentence *found = &s->stored[i].items[0];
        memcpy(s->vectors + i * s->dimensions, found->vector, s->dimensions * sizeof *s->vectors);
        s->texts[i] = (struct sb_text_query){found->text, found->text_size};
    }
    return status;
}

static enum sb_status prepare(struct sb_request *request, struct similar *s, struct sb_error *error)
{
    bool is_text = !s->vector_list && !s->id_list;
    s->texts = calloc(s->queries, sizeof *s->texts);
    s->stored = s->id_list ? calloc(s->queries, sizeof *s->stored) : NULL;
    s->vectors = is_text ? NULL : calloc(s->queries * s->dimensions, sizeof *s->vectors);
    if (!s->texts || (!is_text && !s->vectors) || (s->id_list && !s->stored))
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu queries", s->queries);
    for (size_t i = 0; i < s->queries && is_text; i++)
        s->texts[i] = (struct sb_text_query){s->embedding.inputs.items[i].text, s->embedding.inputs.items[i].size};
    if (s->vector_list)
        return read_vectors(s, error);
    return s->id_list ? read_stored(request, s, error) : SB_OK;
}

/* ---- the searches ---- */

static const float *query_vectors(const struct similar *s)
{
    return s->vectors ? s->vectors : s->embedding.vectors;
}

/* How many each search is to find: one more for ids, which find themselves. */
static size_t depth_of(const struct similar *s)
{
    bool chooses = s->mode == MODE_HYBRID || (s->reranks && s->mode == MODE_LEXICAL) || s->by_pairs;
    size_t depth = (size_t)s->top_k + (s->id_list != NULL);
    if (chooses && depth < CANDIDATES_MIN)
        depth = CANDIDATES_MIN;
    if (chooses && depth < CANDIDATES_A_MATCH * (size_t)s->top_k)
        depth = CANDIDATES_A_MATCH * (size_t)s->top_k;
    return depth < TOP_K_MAX ? depth : TOP_K_MAX;
}

static enum sb_status search_vectors(struct sb_request *request, struct sb_error *error)
{
    struct similar *s = request->state;
    struct sb_search search = {.vectors = query_vectors(s),
                               .queries = s->queries,
                               .top_k = depth_of(s),
                               .min_score = s->by_pairs ? -1 : s->min_score,
                               .keep = sb_filter_keep_of(s->filter),
                               .keep_context = s->filter,
                               .model_hash = s->model_hash};
    return sb_store_search(request->server->store, request->params[0], &search, &s->by_meaning, error);
}

static enum sb_status search_texts(struct sb_request *request, struct sb_error *error)
{
    struct similar *s = request->state;
    struct sb_text_search search = {.texts = s->texts,
                                    .queries = s->queries,
                                    .top_k = depth_of(s),
                                    .min_score = s->mode == MODE_LEXICAL && !s->reranks ? s->min_score : 0,
                                    .keep = sb_filter_keep_of(s->filter),
                                    .keep_context = s->filter};
    return sb_store_search_text(request->server->store, request->params[0], &search, &s->by_words, error);
}

/* The cosine of a query and a match as it is stored. A match that has been deleted since ranks last. */
static double cosine_of(struct sb_request *request, const struct similar *s, size_t query, const char *id)
{
    struct sb_sentences found;
    double sum = 0;
    if (sb_get_vector(request, id, s->dimensions, &found, NULL) != SB_OK)
        return -1;
    const float *a = query_vectors(s) + query * s->dimensions, *b = found.items[0].vector;
    for (size_t i = 0; i < s->dimensions; i++)
        sum += (double)a[i] * (double)b[i];
    sb_sentences_free(&found);
    return sum;
}

static void rank_by_cosine(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_search_results *results = s->results;
    for (size_t query = 0, i = 0; query < results->queries; query++)
        for (; i < results->ends[query]; i++)
            results->matches[i].score = cosine_of(request, s, query, results->matches[i].sentence.id);
    sb_rerank_sort(results);
}

/* ---- the reply ---- */

/* At most top_k, and not the sentence itself that was asked about. */
static void put_matches(struct sb_buffer *body, const struct similar *s, size_t query)
{
    const struct sb_search_results *results = s->results;
    size_t first = query ? results->ends[query - 1] : 0, count = 0;
    const char *own_id = s->stored ? s->stored[query].items[0].id : "";
    double low = s->reranks ? s->min_score : -INFINITY;
    sb_buffer_text(body, query ? ",{\"matches\":[" : "{\"matches\":[");
    for (size_t i = first; i < results->ends[query] && count < (size_t)s->top_k; i++) {
        const struct sb_match *match = &results->matches[i];
        if (match->score < low || strcmp(match->sentence.id, own_id) == 0)
            continue;
        sb_buffer_text(body, count++ ? ",{" : "{");
        sb_put_sentence(body, &match->sentence);
        sb_buffer_text(body, ",\"score\":");
        sb_put_score(body, match->score);
        sb_buffer_text(body, "}");
    }
    sb_buffer_text(body, "]}");
}

static void send_matches(struct sb_request *request)
{
    const struct similar *s = request->state;
    struct sb_buffer *body = &request->reply.body;
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < s->queries; i++)
        put_matches(body, s, i);
    sb_buffer_text(body, "],\"model\":");
    sb_put_text(body, s->model_name);
    sb_buffer_text(body, ",");
    sb_put_usage(body, s->embedding.rows.tokens + s->rerank.embedding.rows.tokens);
    sb_buffer_text(body, "}");
    sb_request_send(request, 200);
}

/* ---- the steps ---- */

static void rerank_later(struct sb_request *request);

static void embed(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_model *model = sb_collection_model(request);
    if (!model)
        return;
    snprintf(s->model_hash, sizeof s->model_hash, "%s", sb_model_hash(model));
    s->dimensions = (size_t)sb_model_dimensions(model);
    sb_embedding_start(&s->embedding, request, model);
}

static enum sb_status run_searches(struct sb_request *request, struct sb_error *error)
{
    struct similar *s = request->state;
    struct sb_collection_info info;
    if (s->embedding.vectors)
        sb_embedding_normalize(&s->embedding);
    enum sb_status status = sb_store_describe(request->server->store, request->params[0], &info, error);
    if (status != SB_OK)
        return status;
    snprintf(s->model_name, sizeof s->model_name, "%s", info.model_name);
    if (s->mode != MODE_LEXICAL)
        status = search_vectors(request, error);
    if (status == SB_OK && s->mode != MODE_VECTOR)
        status = search_texts(request, error);
    if (status == SB_OK && s->mode == MODE_HYBRID)
        status = sb_fuse(&s->fused, &s->by_meaning, &s->by_words, depth_of(s), error);
    s->results = s->mode == MODE_HYBRID ? &s->fused : s->mode == MODE_LEXICAL ? &s->by_words : &s->by_meaning;
    return status;
}

static void rerank(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_model *model = sb_collection_model(request);
    if (!model)
        return;
    s->rerank.ready = rerank_later;
    sb_rerank_start(&s->rerank, request, model, s->texts, s->results);
}

/* The collection got another model while the texts were embedded: once more, with that one. */
static void search_again(struct sb_request *request)
{
    struct similar *s = request->state;
    s->is_again = true;
    sb_search_results_free(&s->by_meaning);
    sb_embedding_again(&s->embedding);
    embed(request);
}

static void search(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_error error;
    enum sb_status status = run_searches(request, &error);
    if (status == SB_CONFLICT && s->embedding.model && !s->is_again) {
        search_again(request);
    } else if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
    } else if (s->by_pairs) {
        rerank(request);
    } else {
        if (s->reranks && s->mode != MODE_VECTOR)
            rank_by_cosine(request);
        send_matches(request);
    }
}

static void send_reranked(struct sb_request *request)
{
    struct similar *s = request->state;
    sb_rerank_scores(&s->rerank);
    send_matches(request);
}

static void rerank_later(struct sb_request *request)
{
    sb_request_later(request, send_reranked);
}

static void search_later(struct sb_request *request)
{
    sb_request_later(request, search);
}

static void begin(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_collection_info info;
    struct sb_error error;
    if (!sb_request_collection(request, &info))
        return;
    s->dimensions = (size_t)info.dimensions;
    memcpy(s->model_hash, info.model_hash, sizeof s->model_hash);
    enum sb_status status = prepare(request, s, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, s->vector_list ? "vector" : s->id_list ? "id" : "query", &error);
        return;
    }
    if (s->reranks && !s->vector_list) {
        struct sb_model *model = sb_collection_model(request);
        if (!model)
            return;
        s->by_pairs = sb_model_scores_pairs(model);
        sb_model_release(model);
    }
    if (s->vectors || (s->mode == MODE_LEXICAL && (!s->reranks || s->by_pairs))) {
        search(request);
        return;
    }
    embed(request);
}

void sb_handle_similar(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct similar *s = sb_request_state(request, sizeof *s, similar_free);
    if (!s)
        return;
    s->embedding.options.truncate = true;
    s->embedding.ready = search_later;
    s->top_k = 10;
    if (!parse_mode(&parse, &s->mode) || !sb_parse_bool(&parse, "rerank", &s->reranks) ||
        !parse_query(&parse, s, request->server->options.max_client_batch) ||
        !sb_parse_int(&parse, "top_k", 1, TOP_K_MAX, &s->top_k) || !parse_min_score(&parse, s) ||
        !sb_parse_filter(&parse, "filter", &s->filter))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, begin);
}
