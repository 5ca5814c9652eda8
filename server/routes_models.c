/* The models served: list, describe, delete; and their aliases. What changes the disk runs on background threads. */
#include "base/file.h"
#include "server/embedding.h"
#include "server/model_folders.h"
#include "server/parse.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_model(struct sb_server *server, struct sb_buffer *out, const struct sb_model *model)
{
    struct sb_model_origin origin = {0};
    sb_registry_origin(server->registry, sb_model_name(model), &origin);
    sb_buffer_text(out, "{\"id\":");
    sb_put_text(out, sb_model_name(model));
    sb_buffer_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"simbert\",\"hash\":",
                     (long long)origin.created_at);
    sb_put_text(out, sb_model_hash(model));
    sb_buffer_format(out, ",\"dimensions\":%d,\"max_input_length\":%d,\"dtype\":\"%s\",\"can_paraphrase\":%s}",
                     sb_model_dimensions(model), sb_model_max_length(model), sb_model_dtype(model),
                     sb_model_can_generate(model) ? "true" : "false");
}

void sb_handle_models(struct sb_request *request)
{
    struct sb_model *models[SB_REGISTRY_MAX];
    struct sb_buffer *out = &request->reply.body;
    size_t count = sb_registry_list(request->server->registry, models);
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            sb_buffer_text(out, ",");
        put_model(request->server, out, models[i]);
        sb_model_release(models[i]);
    }
    sb_buffer_text(out, "]}");
    sb_request_send(request, 200);
}

void sb_handle_model(struct sb_request *request)
{
    struct sb_model *model = sb_request_model(request, request->params[0]);
    if (!model)
        return;
    put_model(request->server, &request->reply.body, model);
    sb_model_release(model);
    sb_request_send(request, 200);
}

/* ---- delete ---- */

/* Whether a collection's vectors were made by these weights: without them it could not be searched any more. */
static enum sb_status check_collections(struct sb_server *server, const struct sb_model *model, struct sb_error *error)
{
    struct sb_collection_info *infos = NULL;
    size_t count = 0;
    enum sb_status status = sb_store_list(server->store, &infos, &count, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        if (strcmp(infos[i].model_hash, sb_model_hash(model)) == 0)
            status = sb_fail(error, SB_CONFLICT, "model \"%s\" made the vectors of collection \"%s\"",
                             sb_model_name(model), infos[i].name);
    free(infos);
    return status;
}

static enum sb_status check_jobs(struct sb_server *server, const char *name, struct sb_error *error)
{
    int64_t jobs = 0;
    enum sb_status status = sb_records_jobs_of_model(server->records, name, &jobs, error);
    return status == SB_OK && jobs
               ? sb_fail(error, SB_CONFLICT, "model \"%s\" is the base of a fine-tuning job that is not over", name)
               : status;
}

static enum sb_status delete_model(struct sb_server *server, const char *name, struct sb_error *error)
{
    struct sb_model_origin origin;
    struct sb_model *model = sb_registry_acquire(server->registry, name);
    if (!model || strcmp(sb_model_name(model), name) != 0 ||
        !sb_registry_origin(server->registry, name, &origin)) {
        sb_model_release(model); /* an alias is no model */
        return sb_fail(error, SB_NOT_FOUND, "there is no model \"%.100s\"", name);
    }
    enum sb_status status = SB_OK;
    if (!origin.fine_tuned)
        status = sb_fail(error, SB_CONFLICT, "model \"%s\" belongs to this server's start; only fine-tuned ones can be deleted",
                         name);
    else if (!sb_folder_exists(origin.dir)) /* its job has just ended: see server/jobs_publish.c */
        status = sb_fail(error, SB_CONFLICT, "model \"%s\" is not at its place %s yet; try again", name, origin.dir);
    if (status == SB_OK)
        status = check_collections(server, model, error);
    if (status == SB_OK)
        status = check_jobs(server, name, error);
    sb_model_release(model);
    if (status == SB_OK)
        status = sb_registry_remove(server->registry, name, error);
    return status == SB_OK ? sb_model_folder_delete(origin.dir, error) : status;
}

static void delete_later(struct sb_request *request)
{
    struct sb_error error;
    enum sb_status status = delete_model(request->server, request->params[0], &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, status == SB_NOT_FOUND ? "model" : NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"id\":");
    sb_put_text(&request->reply.body, request->params[0]);
    sb_buffer_text(&request->reply.body, ",\"object\":\"model\",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_model_delete(struct sb_request *request)
{
    sb_request_later(request, delete_later);
}

/* ---- aliases ---- */

static void put_alias(struct sb_buffer *out, const struct sb_model_alias *alias)
{
    sb_buffer_text(out, "{\"object\":\"model.alias\",\"name\":");
    sb_put_text(out, alias->name);
    sb_buffer_text(out, ",\"model\":");
    sb_put_text(out, alias->model);
    sb_buffer_format(out, ",\"served\":%s}", alias->resolved ? "true" : "false");
}

static void send_alias(struct sb_request *request)
{
    struct sb_model_alias alias;
    struct sb_error error;
    if (!sb_registry_alias(request->server->registry, request->params[0], &alias)) {
        sb_fail(&error, SB_NOT_FOUND, "there is no alias \"%.100s\"", request->params[0]);
        sb_request_fail(request, SB_NOT_FOUND, NULL, &error);
        return;
    }
    put_alias(&request->reply.body, &alias);
    sb_request_send(request, 200);
}

void sb_handle_model_alias(struct sb_request *request)
{
    send_alias(request);
}

void sb_handle_model_aliases(struct sb_request *request)
{
    struct sb_model_alias aliases[SB_ALIASES_MAX];
    size_t count = sb_registry_list_aliases(request->server->registry, aliases);
    struct sb_buffer *out = &request->reply.body;
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(out, i ? "," : "");
        put_alias(out, &aliases[i]);
    }
    sb_buffer_text(out, "]}");
    sb_request_send(request, 200);
}

/* In memory, then on disk; put back when the disk refuses, so that what was answered is what a restart finds. */
static enum sb_status set_alias(struct sb_server *server, const char *name, const char *model, struct sb_error *error)
{
    struct sb_model_alias before;
    pthread_mutex_lock(&server->aliases_lock); /* disk and memory in one order */
    bool existed = sb_registry_alias(server->registry, name, &before);
    enum sb_status status = sb_registry_set_alias(server->registry, name, model, error);
    if (status == SB_OK) {
        status = sb_records_set_alias(server->records, name, model, error);
        if (status != SB_OK) {
            enum sb_status undone = existed ? sb_registry_restore_alias(server->registry, name, before.model, NULL)
                                            : sb_registry_remove_alias(server->registry, name, NULL);
            (void)undone;
        }
    }
    pthread_mutex_unlock(&server->aliases_lock);
    return status;
}

static void set_later(struct sb_request *request)
{
    struct sb_parse parse = {0};
    struct sb_error error;
    const char *model = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    if (!sb_parse_string(&parse, "model", &model) ||
        (!model && !sb_parse_fail(&parse, SB_PROBLEM_INVALID, "model is missing: what the alias is to stand for"))) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    enum sb_status status = set_alias(request->server, request->params[0], model, &error);
    if (status == SB_OK)
        send_alias(request);
    else
        sb_request_fail(request, status, status == SB_NOT_FOUND ? "model" : NULL, &error);
}

void sb_handle_model_alias_set(struct sb_request *request)
{
    sb_request_later(request, set_later);
}

static void remove_later(struct sb_request *request)
{
    struct sb_server *server = request->server;
    struct sb_error error;
    const char *name = request->params[0];
    pthread_mutex_lock(&server->aliases_lock);
    enum sb_status status = sb_registry_remove_alias(server->registry, name, &error);
    if (status == SB_OK)
        status = sb_records_remove_alias(server->records, name, &error);
    pthread_mutex_unlock(&server->aliases_lock);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"model.alias\",\"name\":");
    sb_put_text(&request->reply.body, name);
    sb_buffer_text(&request->reply.body, ",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_model_alias_delete(struct sb_request *request)
{
    sb_request_later(request, remove_later);
}
