/* A collection changes to another model: begun and cancelled by hand; the work is server/reembedding.c's. */
#include "retrieval/reembed.h"
#include "server/collection_request.h"
#include "server/reembedding.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

static void send_progress(struct sb_request *request, int status)
{
    struct sb_reembed_progress progress;
    struct sb_error error;
    enum sb_status read = sb_reembed_progress(request->server->store, request->params[0], &progress, &error);
    if (read != SB_OK) {
        sb_request_fail(request, read, NULL, &error);
        return;
    }
    sb_put_reembedding(&request->reply.body, &progress);
    sb_request_send(request, status);
}

static void release_model(void *state)
{
    sb_model_release(state);
}

static void begin(struct sb_request *request)
{
    struct sb_model *model = request->state;
    struct sb_error error;
    enum sb_status status = sb_reembed_begin(request->server->store, request->params[0], sb_model_name(model),
                                             sb_model_hash(model), sb_model_dimensions(model), &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_reembedding_wake(request->server->reembedding);
    send_progress(request, 202);
}

void sb_handle_reembed(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    if (!sb_parse_string(&parse, "model", &name)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return; /* answered: the request may be gone */
    request->state = model;
    request->free_state = release_model;
    sb_request_later(request, begin);
}

static void progress(struct sb_request *request)
{
    send_progress(request, 200);
}

void sb_handle_reembed_progress(struct sb_request *request)
{
    sb_request_later(request, progress);
}

static void cancel(struct sb_request *request)
{
    struct sb_error error;
    enum sb_status status = sb_reembed_cancel(request->server->store, request->params[0], &error);
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    else
        send_progress(request, 200);
}

void sb_handle_reembed_cancel(struct sb_request *request)
{
    sb_request_later(request, cancel);
}
