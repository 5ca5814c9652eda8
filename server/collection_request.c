#include "server/collection_request.h"

#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

bool sb_parse_filter(struct sb_parse *parse, const char *key, struct sb_filter **filter)
{
    const cJSON *json = sb_parse_field(parse, key);
    if (!json)
        return true;
    enum sb_status status = sb_filter_parse(filter, json, &parse->error);
    if (status != SB_OK)
        parse->problem = sb_problem_of(status);
    return status == SB_OK;
}

enum sb_status sb_request_query_filter(struct sb_request *request, struct sb_filter **filter, struct sb_error *error)
{
    const char *text;
    cJSON *json = NULL;
    enum sb_status status = sb_request_query(request, "filter", &text, error);
    if (status != SB_OK || !text)
        return status;
    status = sb_json_parse(&json, text, strlen(text), error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "filter");
    status = sb_filter_parse(filter, json, error);
    cJSON_Delete(json);
    return status;
}

static bool keep(void *context, const struct sb_sentence *sentence)
{
    const char *metadata = sentence->metadata ? sentence->metadata : "{}";
    return sb_filter_keeps(context, metadata, strlen(metadata));
}

sb_keep sb_filter_keep_of(const struct sb_filter *filter)
{
    return filter ? keep : NULL;
}

bool sb_request_collection(struct sb_request *request, struct sb_collection_info *info)
{
    struct sb_error error;
    enum sb_status status = sb_store_describe(request->server->store, request->params[0], info, &error);
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    return status == SB_OK;
}

enum sb_status sb_get_vector(struct sb_request *request, const char *id, size_t dimensions, struct sb_sentences *found,
                             struct sb_error *error)
{
    enum sb_status status = sb_store_get(request->server->store, request->params[0], id, found, error);
    if (status != SB_OK || found->dimensions == dimensions)
        return status;
    sb_sentences_free(found);
    return sb_fail(error, SB_CONFLICT, "collection \"%s\" has just changed its model; try again", request->params[0]);
}

static void fail_without_model(struct sb_request *request, const struct sb_collection_info *info,
                               struct sb_error *error)
{
    struct sb_reembed_progress progress = {0};
    struct sb_model *model = sb_registry_acquire(request->server->registry, info->model_name);
    enum sb_status status = sb_reembed_progress(request->server->store, info->name, &progress, error);
    if (status == SB_OK && progress.state == SB_REEMBED_RUNNING)
        sb_fail(
            error, SB_CONFLICT,
            "collection \"%s\" changes to model \"%.100s\", %lld of %lld sentences are done; the model that made its "
            "vectors is not loaded, so that until then only mode \"lexical\" answers",
            info->name, progress.model_name, (long long)progress.done, (long long)progress.total);
    else
        sb_fail(error, SB_CONFLICT,
                "collection \"%s\" was made by model \"%s\", %s; serve that model, or let the collection change to "
                "another with POST .../reembed",
                info->name, info->model_name, model ? "which has changed since" : "which this server does not have");
    sb_model_release(model);
}

struct sb_model *sb_collection_model(struct sb_request *request)
{
    struct sb_registry *registry = request->server->registry;
    struct sb_collection_info info;
    struct sb_error error;
    if (!sb_request_collection(request, &info))
        return NULL;
    struct sb_model *model = sb_registry_acquire_hash(registry, info.model_hash);
    if (model && sb_model_dimensions(model) == info.dimensions)
        return model;
    sb_model_release(model);
    fail_without_model(request, &info, &error);
    sb_request_fail(request, SB_CONFLICT, NULL, &error);
    return NULL;
}

bool sb_parse_sentence(struct sb_parse *parse, const cJSON *item, const char *name, struct sb_sentence *sentence)
{
    struct sb_parse fields = {.object = item};
    *sentence = (struct sb_sentence){0};
    if (!cJSON_IsObject(item))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s is not an object", name);
    if (!sb_parse_string(&fields, "id", &sentence->id) || !sb_parse_string(&fields, "text", &sentence->text))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s: %s", name, fields.error.message);
    if (!sentence->id || !sentence->id[0])
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s has no id", name);
    if (!sentence->text || !sentence->text[0])
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s has no text", name);
    sentence->text_size = strlen(sentence->text);
    const cJSON *metadata = sb_parse_field(&fields, "metadata");
    if (metadata && !cJSON_IsObject(metadata))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s: metadata is not an object", name);
    if (metadata && !(sentence->metadata = cJSON_PrintUnformatted(metadata)))
        return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for the metadata of %s", name);
    return true;
}

void sb_sentence_clear(struct sb_sentence *sentence)
{
    cJSON_free((char *)(uintptr_t)sentence->metadata);
    sentence->metadata = NULL;
}

void sb_embedding_normalize(struct sb_embedding *embedding)
{
    for (size_t i = 0; i < embedding->rows.count; i++)
        sb_embedding_vector(embedding, i, embedding->dimensions, SB_LENGTH_ONE,
                            embedding->vectors + i * embedding->dimensions);
}

void sb_put_sentence(struct sb_buffer *body, const struct sb_sentence *sentence)
{
    sb_buffer_text(body, "\"id\":");
    sb_put_text(body, sentence->id);
    sb_buffer_text(body, ",\"text\":");
    sb_buffer_json_string(body, sentence->text, sentence->text_size);
    sb_buffer_text(body, ",\"metadata\":");
    sb_buffer_text(body, sentence->metadata ? sentence->metadata : "{}");
}

void sb_put_reembedding(struct sb_buffer *body, const struct sb_reembed_progress *progress)
{
    static const char *const states[] = {"none", "running", "cleaning"};
    sb_buffer_format(body, "{\"state\":\"%s\"", states[progress->state]);
    if (progress->state == SB_REEMBED_RUNNING) {
        sb_buffer_text(body, ",\"model\":");
        sb_put_text(body, progress->model_name);
        sb_buffer_format(body, ",\"dimensions\":%d,\"done\":%lld,\"total\":%lld", progress->dimensions,
                         (long long)progress->done, (long long)progress->total);
    }
    sb_buffer_text(body, "}");
}

void sb_put_usage(struct sb_buffer *body, size_t tokens)
{
    sb_buffer_format(body, "\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}", tokens, tokens);
}
