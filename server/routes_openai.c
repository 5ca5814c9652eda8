/* OpenAI's embeddings. */
#include "server/embedding.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

struct embeddings {
    struct sb_embedding embedding; /* first: ready() finds it in the request's state */
    bool base64;
    size_t dimensions; /* of the answer */
};

static void embeddings_free(void *state)
{
    struct embeddings *e = state;
    sb_embedding_clear(&e->embedding);
    free(e);
}

static void put_embedding(struct sb_buffer *out, const struct embeddings *e, size_t row, float *scratch)
{
    bool whole = e->dimensions == e->embedding.dimensions;
    sb_embedding_vector(&e->embedding, row, e->dimensions, whole ? SB_LENGTH_MODEL : SB_LENGTH_ONE, scratch);
    sb_buffer_format(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", row ? "," : "", row);
    if (e->base64)
        sb_put_base64(out, scratch, e->dimensions);
    else
        sb_put_vector(out, scratch, e->dimensions);
    sb_buffer_text(out, "}");
}

static void embeddings_ready(struct sb_request *request)
{
    const struct embeddings *e = request->state;
    struct sb_buffer *out = &request->reply.body;
    float *scratch = malloc(e->dimensions * sizeof *scratch);
    if (!scratch) {
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for a vector");
        return;
    }
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < e->embedding.rows.count; i++)
        put_embedding(out, e, i, scratch);
    free(scratch);
    sb_buffer_text(out, "],\"model\":");
    sb_put_text(out, sb_model_name(e->embedding.model));
    sb_buffer_format(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", e->embedding.rows.tokens,
                     e->embedding.rows.tokens);
    sb_request_send(request, 200);
}

static bool parse_format(struct sb_parse *parse, bool *base64)
{
    const char *format = "float";
    if (!sb_parse_string(parse, "encoding_format", &format))
        return false;
    *base64 = strcmp(format, "base64") == 0;
    return *base64 || strcmp(format, "float") == 0 ||
           sb_parse_fail(parse, SB_PROBLEM_INVALID, "encoding_format is \"%.40s\"; float and base64 are possible",
                         format);
}

void sb_handle_embeddings(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    int64_t dimensions = 0;
    if (!sb_request_json(request, &parse.object))
        return;
    struct embeddings *e = sb_request_state(request, sizeof *e, embeddings_free);
    if (!e)
        return;
    size_t limit = request->server->options.max_client_batch;
    if (!sb_parse_string(&parse, "model", &name) || !parse_format(&parse, &e->base64) ||
        !sb_parse_int(&parse, "dimensions", 1, INT32_MAX, &dimensions) ||
        !sb_parse_inputs(&parse, "input", SB_INPUT_TEXTS | SB_INPUT_IDS, limit, &e->embedding.inputs)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return;
    if (dimensions > sb_model_dimensions(model)) {
        parse.param = "dimensions";
        sb_parse_fail(&parse, SB_PROBLEM_INVALID, "dimensions is %lld; the model's vectors have %d",
                      (long long)dimensions, sb_model_dimensions(model));
        sb_request_parse_failed(request, &parse);
        sb_model_release(model);
        return;
    }
    e->dimensions = dimensions ? (size_t)dimensions : (size_t)sb_model_dimensions(model);
    e->embedding.options.truncate = true;
    e->embedding.ready = embeddings_ready;
    sb_embedding_start(&e->embedding, request, model);
}
