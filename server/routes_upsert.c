/* Upsert: a list of sentences, embedded and then stored in one transaction on a background thread. */
#include "server/collection_request.h"
#include "server/routes.h"
#include "server/server_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        sb_sentence_clear(&u->sentences[i]);
    free(u->sentences);
    free(u);
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
    for (const cJSON *item = list->child; item; item = item->next, i++) {
        char name[40];
        snprintf(name, sizeof name, "sentence %zu", i);
        if (!sb_parse_sentence(parse, item, name, &u->sentences[i]) ||
            !sb_inputs_add_text(parse, &u->embedding.inputs, u->sentences[i].text))
            return false;
    }
    u->embedding.inputs.is_list = true;
    return true;
}

static void upsert_store(struct sb_request *request)
{
    struct upsert *u = request->state;
    struct sb_embedding *e = &u->embedding;
    struct sb_error error;
    size_t inserted, updated;
    sb_embedding_normalize(e);
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
    sb_put_usage(body, e->rows.tokens);
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
    struct sb_model *model = sb_collection_model(request);
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
