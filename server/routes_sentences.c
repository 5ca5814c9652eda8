/*
 * The sentences of a collection: upsert and similar (which first need the network for vectors), get, scroll, delete.
 * What touches the disk or searches runs on background threads.
 */
#include "server/embedding.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum { SCROLL_DEFAULT = 100, SCROLL_MAX = 1000, TOP_K_MAX = 1000 };

/* The members of a sentence's object, without its braces. */
static void print_members(struct sb_buffer *body, const struct sb_sentence *sentence)
{
    sb_buffer_text(body, "\"id\":");
    sb_put_text(body, sentence->id);
    sb_buffer_text(body, ",\"text\":");
    sb_buffer_json_string(body, sentence->text, sentence->text_size);
    sb_buffer_format(body, ",\"metadata\":%s", sentence->metadata ? sentence->metadata : "{}");
}

/* The model that made the collection's vectors, with a reference; NULL: the request has been answered. */
static struct sb_model *collection_model(struct sb_request *request)
{
    struct sb_collection_info info;
    struct sb_error error;
    enum sb_status status = sb_store_describe(request->server->store, request->params[0], &info, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return NULL;
    }
    struct sb_model *model = sb_registry_acquire(request->server->registry, info.model_name);
    if (model && strcmp(sb_model_hash(model), info.model_hash) == 0 && sb_model_dimensions(model) == info.dimensions)
        return model;
    sb_fail(&error, SB_CONFLICT,
            "collection \"%s\" was made by model \"%s\", %s; serve that model, or create the collection anew",
            info.name, info.model_name, model ? "which has changed since" : "which this server does not have");
    sb_model_release(model);
    sb_request_fail(request, SB_CONFLICT, NULL, &error);
    return NULL;
}

/* Whatever the model does: a dot product of stored vectors is a cosine. */
static void normalize_vectors(struct sb_embedding *e)
{
    for (size_t i = 0; i < e->rows.count; i++)
        sb_embedding_vector(e, i, e->dimensions, SB_LENGTH_ONE, e->vectors + i * e->dimensions);
}

static void print_usage(struct sb_buffer *body, const struct sb_embedding *e)
{
    sb_buffer_format(body, "\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}", e->rows.tokens, e->rows.tokens);
}

/* ---- upsert ---- */

struct upsert {
    struct sb_embedding embedding;
    struct sb_sentence *sentences; /* [count]; id and text borrowed from the JSON, metadata owned */
    size_t count;
};

static void upsert_free(void *state)
{
    struct upsert *u = state;
    sb_embedding_clear(&u->embedding);
    for (size_t i = 0; i < u->count; i++)
        cJSON_free((char *)(uintptr_t)u->sentences[i].metadata);
    free(u->sentences);
    free(u);
}

static bool parse_sentence(struct sb_parse *parse, struct upsert *u, const cJSON *item, size_t index)
{
    struct sb_sentence *sentence = &u->sentences[index];
    struct sb_parse fields = {.object = item};
    if (!cJSON_IsObject(item))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentence %zu is not an object", index);
    if (!sb_parse_string(&fields, "id", &sentence->id) || !sb_parse_string(&fields, "text", &sentence->text))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentence %zu: %s", index, fields.error.message);
    if (!sentence->id || !sentence->id[0])
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentence %zu has no id", index);
    if (!sentence->text || !sentence->text[0])
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "sentence %zu has no text", index);
    sentence->text_size = strlen(sentence->text);
    const cJSON *metadata = sb_parse_field(&fields, "metadata");
    if (metadata && !cJSON_IsObject(metadata))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentence %zu: metadata is not an object", index);
    if (metadata && !(sentence->metadata = cJSON_PrintUnformatted(metadata)))
        return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for the metadata of sentence %zu", index);
    return sb_inputs_add_text(parse, &u->embedding.inputs, sentence->text);
}

static bool parse_sentences(struct sb_parse *parse, struct upsert *u, size_t limit)
{
    const cJSON *list = sb_parse_field(parse, "sentences");
    if (!list || !cJSON_IsArray(list))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentences must be a list of {\"id\", \"text\", \"metadata\"}");
    size_t count = (size_t)cJSON_GetArraySize(list), i = 0;
    if (count == 0)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "sentences is an empty list");
    if (count > limit)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "sentences has %zu elements; at most %zu are possible", count,
                             limit);
    u->sentences = calloc(count, sizeof *u->sentences);
    if (!u->sentences)
        return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for %zu sentences", count);
    u->count = count;
    for (const cJSON *item = list->child; item; item = item->next, i++)
        if (!parse_sentence(parse, u, item, i))
            return false;
    u->embedding.inputs.is_list = true;
    return true;
}

static void upsert_store(struct sb_request *request)
{
    struct upsert *u = request->state;
    struct sb_embedding *e = &u->embedding;
    struct sb_error error;
    size_t inserted, updated;
    normalize_vectors(e);
    for (size_t i = 0; i < u->count; i++)
        u->sentences[i].vector = e->vectors + i * e->dimensions;
    enum sb_status status = sb_store_upsert(request->server->store, request->params[0], sb_model_hash(e->model),
                                            u->sentences, u->count, &inserted, &updated, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, status == SB_INVALID ? "sentences" : NULL, &error);
        return;
    }
    struct sb_buffer *body = &request->reply.body;
    sb_buffer_format(body, "{\"inserted\":%zu,\"updated\":%zu,", inserted, updated);
    print_usage(body, e);
    sb_buffer_text(body, "}");
    sb_request_send(request, 200);
}

static void upsert_ready(struct sb_request *request)
{
    sb_request_later(request, upsert_store);
}

static void upsert_embed(struct sb_request *request)
{
    struct upsert *u = request->state;
    struct sb_model *model = collection_model(request);
    if (model)
        sb_embedding_start(&u->embedding, request, model);
}

void sb_handle_sentences_upsert(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct upsert *u = sb_request_state(request, sizeof *u, upsert_free);
    if (!u)
        return;
    u->embedding.options.truncate = true;
    u->embedding.ready = upsert_ready;
    if (!parse_sentences(&parse, u, request->server->options.max_client_batch))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, upsert_embed);
}

/* ---- similar ---- */

struct similar {
    struct sb_embedding embedding;
    int64_t top_k;
    double min_score;
};

static void similar_free(void *state)
{
    struct similar *s = state;
    sb_embedding_clear(&s->embedding);
    free(s);
}

/* What a client would miss if it were ignored. */
static bool parse_unsupported(struct sb_parse *parse)
{
    const char *mode = NULL;
    const cJSON *rerank;
    if (sb_parse_field(parse, "filter"))
        return sb_parse_fail(parse, SB_PROBLEM_UNSUPPORTED, "filter is not supported");
    if (!sb_parse_string(parse, "mode", &mode))
        return false;
    if (mode && strcmp(mode, "vector") != 0)
        return sb_parse_fail(parse, SB_PROBLEM_UNSUPPORTED, "mode is \"%.64s\"; only \"vector\" is supported", mode);
    rerank = sb_parse_field(parse, "rerank");
    if (rerank && !cJSON_IsFalse(rerank))
        return sb_parse_fail(parse, SB_PROBLEM_UNSUPPORTED, "rerank is not supported");
    return true;
}

static void print_matches(struct sb_buffer *body, const struct sb_search_results *results)
{
    for (size_t query = 0, i = 0; query < results->queries; query++) {
        sb_buffer_text(body, query ? ",{\"matches\":[" : "{\"matches\":[");
        for (size_t first = i; i < results->ends[query]; i++) {
            sb_buffer_text(body, i > first ? ",{" : "{");
            print_members(body, &results->matches[i].sentence);
            sb_buffer_text(body, ",\"score\":");
            sb_put_score(body, results->matches[i].score);
            sb_buffer_text(body, "}");
        }
        sb_buffer_text(body, "]}");
    }
}

static void similar_search(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_embedding *e = &s->embedding;
    struct sb_search_results results = {0};
    struct sb_error error;
    normalize_vectors(e);
    struct sb_search search = {
        .vectors = e->vectors, .queries = e->rows.count, .top_k = (size_t)s->top_k, .min_score = s->min_score};
    enum sb_status status = sb_store_search(request->server->store, request->params[0], &search, &results, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    struct sb_buffer *body = &request->reply.body;
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    print_matches(body, &results);
    sb_buffer_text(body, "],\"model\":");
    sb_put_text(body, sb_model_name(e->model));
    sb_buffer_text(body, ",");
    print_usage(body, e);
    sb_buffer_text(body, "}");
    sb_search_results_free(&results);
    sb_request_send(request, 200);
}

static void similar_ready(struct sb_request *request)
{
    sb_request_later(request, similar_search);
}

static void similar_embed(struct sb_request *request)
{
    struct similar *s = request->state;
    struct sb_model *model = collection_model(request);
    if (model)
        sb_embedding_start(&s->embedding, request, model);
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
    s->embedding.ready = similar_ready;
    s->top_k = 10;
    s->min_score = -1;
    if (!sb_parse_inputs(&parse, "query", SB_INPUT_TEXTS, request->server->options.max_client_batch,
                         &s->embedding.inputs) ||
        !sb_parse_int(&parse, "top_k", 1, TOP_K_MAX, &s->top_k) ||
        !sb_parse_double(&parse, "min_score", -1, 1, &s->min_score) || !parse_unsupported(&parse))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, similar_embed);
}

/* ---- get, scroll ---- */

static void get(struct sb_request *request)
{
    struct sb_sentences found = {0};
    struct sb_error error;
    enum sb_status status =
        sb_store_get(request->server->store, request->params[0], request->params[1], &found, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"sentence\",");
    print_members(&request->reply.body, &found.items[0]);
    sb_buffer_text(&request->reply.body, "}");
    sb_sentences_free(&found);
    sb_request_send(request, 200);
}

void sb_handle_sentence_get(struct sb_request *request)
{
    sb_request_later(request, get);
}

/* One more than the limit is read, to know whether there is more. */
static void print_page(struct sb_buffer *body, const struct sb_sentences *found, size_t limit)
{
    size_t count = found->count < limit ? found->count : limit;
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(body, i ? ",{\"object\":\"sentence\"," : "{\"object\":\"sentence\",");
        print_members(body, &found->items[i]);
        sb_buffer_text(body, "}");
    }
    sb_buffer_text(body, "],\"first_id\":");
    if (count)
        sb_put_text(body, found->items[0].id);
    else
        sb_buffer_text(body, "null");
    sb_buffer_text(body, ",\"last_id\":");
    if (count)
        sb_put_text(body, found->items[count - 1].id);
    else
        sb_buffer_text(body, "null");
    sb_buffer_format(body, ",\"has_more\":%s}", found->count > limit ? "true" : "false");
}

static void scroll(struct sb_request *request)
{
    struct sb_sentences found = {0};
    struct sb_error error;
    const char *after;
    int64_t limit = SCROLL_DEFAULT;
    enum sb_status status = sb_request_query(request, "after", &after, &error);
    if (status == SB_OK)
        status = sb_request_query_int(request, "limit", 1, SCROLL_MAX, &limit, &error);
    if (status == SB_OK)
        status = sb_store_scroll(request->server->store, request->params[0], after, (size_t)limit + 1, &found, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    print_page(&request->reply.body, &found, (size_t)limit);
    sb_sentences_free(&found);
    sb_request_send(request, 200);
}

void sb_handle_sentences_scroll(struct sb_request *request)
{
    sb_request_later(request, scroll);
}

/* ---- delete ---- */

struct deletion {
    const char **ids; /* [count], borrowed from the JSON */
    size_t count;
};

static void deletion_free(void *state)
{
    struct deletion *d = state;
    free(d->ids);
    free(d);
}

static bool parse_ids(struct sb_parse *parse, struct deletion *d)
{
    if (sb_parse_field(parse, "filter"))
        return sb_parse_fail(parse, SB_PROBLEM_UNSUPPORTED, "filter is not supported; give ids");
    const cJSON *list = sb_parse_field(parse, "ids");
    if (!list || !cJSON_IsArray(list) || !list->child)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "ids must be a list of one or more ids");
    d->ids = calloc((size_t)cJSON_GetArraySize(list), sizeof *d->ids);
    if (!d->ids)
        return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for the ids");
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return sb_parse_fail(parse, SB_PROBLEM_INVALID, "ids: element %zu is not a text", d->count);
        d->ids[d->count++] = item->valuestring;
    }
    return true;
}

static void delete_list(struct sb_request *request)
{
    const struct deletion *d = request->state;
    struct sb_error error;
    size_t deleted;
    enum sb_status status =
        sb_store_delete(request->server->store, request->params[0], d->ids, d->count, &deleted, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_format(&request->reply.body, "{\"deleted\":%zu}", deleted);
    sb_request_send(request, 200);
}

void sb_handle_sentences_delete(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct deletion *d = sb_request_state(request, sizeof *d, deletion_free);
    if (!d)
        return;
    if (!parse_ids(&parse, d))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, delete_list);
}

static void delete_one(struct sb_request *request)
{
    struct sb_error error;
    const char *id = request->params[1];
    size_t deleted = 0;
    enum sb_status status = sb_store_delete(request->server->store, request->params[0], &id, 1, &deleted, &error);
    if (status == SB_OK && deleted == 0)
        status = sb_fail(&error, SB_NOT_FOUND, "collection \"%s\" has no sentence \"%.200s\"", request->params[0], id);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"sentence\",\"id\":");
    sb_put_text(&request->reply.body, id);
    sb_buffer_text(&request->reply.body, ",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_sentence_delete(struct sb_request *request)
{
    sb_request_later(request, delete_one);
}
