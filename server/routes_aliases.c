/* Further names of collections, which can be switched from one to another while requests run. */
#include "server/parse.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

static void put_alias(struct sb_buffer *body, const char *name, const char *collection)
{
    sb_buffer_text(body, "{\"object\":\"alias\",\"name\":");
    sb_put_text(body, name);
    sb_buffer_text(body, ",\"collection\":");
    sb_put_text(body, collection);
    sb_buffer_text(body, "}");
}

static void list(struct sb_request *request)
{
    struct sb_alias *aliases;
    struct sb_error error;
    size_t count;
    enum sb_status status = sb_store_alias_list(request->server->store, &aliases, &count, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(&request->reply.body, i ? "," : "");
        put_alias(&request->reply.body, aliases[i].name, aliases[i].collection);
    }
    sb_buffer_text(&request->reply.body, "]}");
    free(aliases);
    sb_request_send(request, 200);
}

void sb_handle_alias_list(struct sb_request *request)
{
    sb_request_later(request, list);
}

static void set(struct sb_request *request)
{
    const char *collection = request->state; /* borrowed from the JSON */
    struct sb_error error;
    enum sb_status status = sb_store_alias_set(request->server->store, request->params[0], collection, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    put_alias(&request->reply.body, request->params[0], collection);
    sb_request_send(request, 200);
}

void sb_handle_alias_set(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *collection = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    if (!sb_parse_string(&parse, "collection", &collection) ||
        (!collection &&
         !sb_parse_fail(&parse, SB_PROBLEM_INVALID, "collection is missing: what the alias is to stand for"))) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    request->state = (void *)(uintptr_t)collection;
    sb_request_later(request, set);
}

static void drop(struct sb_request *request)
{
    struct sb_error error;
    enum sb_status status = sb_store_alias_delete(request->server->store, request->params[0], &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"alias\",\"name\":");
    sb_put_text(&request->reply.body, request->params[0]);
    sb_buffer_text(&request->reply.body, ",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_alias_delete(struct sb_request *request)
{
    sb_request_later(request, drop);
}
