/* Collections as a whole: create, describe, list, drop. All of it is disk work, so it runs on background threads. */
#include "server/collection_request.h"
#include "server/routes.h"
#include "server/server_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_collection(struct sb_buffer *body, struct sb_store *store, const struct sb_collection_info *info)
{
    struct sb_reembed_progress progress;
    sb_buffer_text(body, "{\"object\":\"collection\",\"name\":");
    sb_buffer_json_string(body, info->name, strlen(info->name));
    sb_buffer_text(body, ",\"model\":");
    sb_buffer_json_string(body, info->model_name, strlen(info->model_name));
    if (sb_reembed_progress(store, info->name, &progress, NULL) == SB_OK && progress.state != SB_REEMBED_NONE) {
        sb_buffer_text(body, ",\"reembedding\":");
        sb_put_reembedding(body, &progress);
    }
    sb_buffer_format(body,
                     ",\"dimensions\":%d,\"vectors\":\"%s\",\"search\":\"%s\",\"is_indexed\":%s,\"count\":%lld,\"created_at\":%lld}",
                     info->dimensions, sb_vectors_name(info->vectors), sb_search_kind_name(info->search),
                     info->is_indexed ? "true" : "false",
                     (long long)info->count, (long long)info->created_at);
}

/* Answers with the collection that the path names. */
static void send_description(struct sb_request *request, int status)
{
    struct sb_collection_info info;
    struct sb_error error;
    enum sb_status described = sb_store_describe(request->server->store, request->params[0], &info, &error);
    if (described != SB_OK) {
        sb_request_fail(request, described, NULL, &error);
        return;
    }
    print_collection(&request->reply.body, request->server->store, &info);
    sb_request_send(request, status);
}

/* ---- create ---- */

struct creation {
    struct sb_model *model;
    enum sb_vectors vectors;
    enum sb_search_kind search;
};

static void creation_free(void *state)
{
    struct creation *c = state;
    sb_model_release(c->model);
    free(c);
}

static void create(struct sb_request *request)
{
    const struct creation *c = request->state;
    struct sb_collection_info info = {
        .dimensions = sb_model_dimensions(c->model), .vectors = c->vectors, .search = c->search};
    struct sb_error error;
    bool created;
    const char *name = request->params[0];
    enum sb_status status = SB_OK;
    if (strlen(name) > SB_COLLECTION_NAME_MAX)
        status = sb_fail(&error, SB_INVALID, "the collection's name has %zu bytes; at most %d are possible",
                         strlen(name), SB_COLLECTION_NAME_MAX);
    snprintf(info.name, sizeof info.name, "%s", name);
    snprintf(info.model_name, sizeof info.model_name, "%s", sb_model_name(c->model));
    snprintf(info.model_hash, sizeof info.model_hash, "%s", sb_model_hash(c->model));
    if (status == SB_OK)
        status = sb_store_create(request->server->store, &info, &created, &error);
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    else
        send_description(request, created ? 201 : 200);
}

static bool parse_creation(struct sb_parse *parse, struct creation *c, const char **model)
{
    const char *vectors = NULL, *search = NULL;
    if (!sb_parse_string(parse, "model", model) || !sb_parse_string(parse, "vectors", &vectors))
        return false;
    if (vectors && !sb_vectors_parse(vectors, &c->vectors))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID,
                             "vectors is \"%.64s\"; f32, f16, int16 and int8 are possible", vectors);
    if (!sb_parse_string(parse, "search", &search))
        return false;
    return !search || sb_search_kind_parse(search, &c->search) ||
           sb_parse_fail(parse, SB_PROBLEM_INVALID, "search is \"%.64s\"; auto and exact are possible", search);
}

void sb_handle_collection_create(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    struct creation *c = sb_request_state(request, sizeof *c, creation_free);
    if (!c)
        return;
    if (request->body.length > 0) {
        if (!sb_request_json(request, &parse.object))
            return;
        if (!parse_creation(&parse, c, &name)) {
            sb_request_parse_failed(request, &parse);
            return;
        }
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return; /* answered: the state may be gone */
    c->model = model;
    sb_request_later(request, create);
}

/* ---- describe, list, drop ---- */

static void describe(struct sb_request *request)
{
    send_description(request, 200);
}

void sb_handle_collection_describe(struct sb_request *request)
{
    sb_request_later(request, describe);
}

static void list(struct sb_request *request)
{
    struct sb_collection_info *infos;
    struct sb_error error;
    size_t n;
    enum sb_status status = sb_store_list(request->server->store, &infos, &n, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    struct sb_buffer *body = &request->reply.body;
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        sb_buffer_text(body, i ? "," : "");
        print_collection(body, request->server->store, &infos[i]);
    }
    sb_buffer_text(body, "]}");
    free(infos);
    sb_request_send(request, 200);
}

void sb_handle_collection_list(struct sb_request *request)
{
    sb_request_later(request, list);
}

static void drop(struct sb_request *request)
{
    struct sb_error error;
    const char *name = request->params[0];
    enum sb_status status = sb_store_drop(request->server->store, name, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"collection\",\"name\":");
    sb_buffer_json_string(&request->reply.body, name, strlen(name));
    sb_buffer_text(&request->reply.body, ",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_collection_drop(struct sb_request *request)
{
    sb_request_later(request, drop);
}
