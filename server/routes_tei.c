/* text-embeddings-inference's embed, similarity, tokenize and decode. */
#include "server/embedding.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

struct embed {
    struct sb_embedding embedding; /* first */
    enum sb_length length;
    size_t dimensions;
};

static void embed_free(void *state)
{
    struct embed *e = state;
    sb_embedding_clear(&e->embedding);
    free(e);
}

/* truncate and truncation_direction of object. */
static bool parse_truncation(struct sb_parse *parse, struct sb_encode_options *options)
{
    const char *direction = "right";
    options->truncate = true;
    if (!sb_parse_bool(parse, "truncate", &options->truncate) ||
        !sb_parse_string(parse, "truncation_direction", &direction))
        return false;
    options->from_the_left = strcasecmp(direction, "left") == 0;
    return options->from_the_left || strcasecmp(direction, "right") == 0 ||
           sb_parse_fail(parse, SB_PROBLEM_INVALID, "truncation_direction is \"%.40s\"; left and right are possible",
                         direction);
}

/* ---- embed ---- */

static void embed_ready(struct sb_request *request)
{
    const struct embed *e = request->state;
    struct sb_buffer *out = &request->reply.body;
    float *scratch = malloc(e->dimensions * sizeof *scratch);
    if (!scratch) {
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for a vector");
        return;
    }
    sb_buffer_text(out, "[");
    for (size_t i = 0; i < e->embedding.rows.count; i++) {
        if (i)
            sb_buffer_text(out, ",");
        sb_embedding_vector(&e->embedding, i, e->dimensions, e->length, scratch);
        sb_put_vector(out, scratch, e->dimensions);
    }
    sb_buffer_text(out, "]");
    free(scratch);
    sb_request_send(request, 200);
}

void sb_handle_embed(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    bool normalize = true;
    int64_t dimensions = 0;
    if (!sb_request_json(request, &parse.object))
        return;
    struct embed *e = sb_request_state(request, sizeof *e, embed_free);
    if (!e)
        return;
    if (!sb_parse_string(&parse, "model", &name) || !parse_truncation(&parse, &e->embedding.options) ||
        !sb_parse_bool(&parse, "normalize", &normalize) ||
        !sb_parse_int(&parse, "dimensions", 1, INT32_MAX, &dimensions) ||
        !sb_parse_inputs(&parse, "inputs", SB_INPUT_TEXTS | SB_INPUT_IDS, request->server->options.max_client_batch,
                         &e->embedding.inputs)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return;
    size_t all = (size_t)sb_model_dimensions(model);
    e->dimensions = dimensions && (size_t)dimensions < all ? (size_t)dimensions : all;
    e->length = normalize ? SB_LENGTH_ONE : SB_LENGTH_RAW;
    e->embedding.ready = embed_ready;
    sb_embedding_start(&e->embedding, request, model);
}

/* ---- similarity ---- */

static void similarity_ready(struct sb_request *request)
{
    const struct embed *e = request->state;
    struct sb_buffer *out = &request->reply.body;
    sb_buffer_text(out, "[");
    for (size_t i = 1; i < e->embedding.rows.count; i++) {
        if (i > 1)
            sb_buffer_text(out, ",");
        sb_put_score(out, sb_embedding_cosine(&e->embedding, 0, i));
    }
    sb_buffer_text(out, "]");
    sb_request_send(request, 200);
}

/* {"inputs": {"source_sentence": "s", "sentences": ["a"]}, "parameters": {"truncate": …}}: row 0 is the source. */
static bool parse_similarity(struct sb_parse *parse, size_t limit, struct embed *e, const char **name)
{
    const cJSON *top = parse->object, *parameters = sb_parse_field(parse, "parameters");
    if (parameters && !cJSON_IsObject(parameters))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "parameters must be an object");
    parse->object = parameters; /* NULL reads as an empty object */
    if (!parse_truncation(parse, &e->embedding.options))
        return false;
    parse->object = top;
    if (!sb_parse_string(parse, "model", name))
        return false;
    const char *source = NULL;
    parse->object = sb_parse_field(parse, "inputs");
    if (!cJSON_IsObject(parse->object))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "inputs must be an object with source_sentence and sentences");
    if (!sb_parse_string(parse, "source_sentence", &source))
        return false;
    if (!source)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "source_sentence is missing");
    return sb_inputs_add_text(parse, &e->embedding.inputs, source) &&
           sb_parse_inputs(parse, "sentences", SB_INPUT_TEXTS, limit, &e->embedding.inputs);
}

void sb_handle_similarity(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    struct embed *e = sb_request_state(request, sizeof *e, embed_free);
    if (!e)
        return;
    if (!parse_similarity(&parse, request->server->options.max_client_batch, e, &name)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return;
    e->embedding.ready = similarity_ready;
    sb_embedding_start(&e->embedding, request, model);
}

/* ---- tokenize ---- */

static void put_token(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, int32_t id, struct sb_span span)
{
    sb_buffer_format(out, "{\"id\":%d,\"text\":", id);
    sb_put_text(out, sb_tokenizer_token(tokenizer, id));
    sb_buffer_format(out, ",\"special\":%s", sb_tokenizer_is_special(tokenizer, id) ? "true" : "false");
    if (span.start < 0)
        sb_buffer_text(out, ",\"start\":null,\"stop\":null}");
    else
        sb_buffer_format(out, ",\"start\":%d,\"stop\":%d}", span.start, span.end);
}

static enum sb_status put_tokens(struct sb_buffer *out, const struct sb_tokenizer *tokenizer,
                                 struct sb_encoding *encoding, const struct sb_input *input, bool special,
                                 struct sb_error *error)
{
    enum sb_status status = special
                                ? sb_tokenizer_encode(tokenizer, encoding, input->text, input->size, NULL, 0, 0, error)
                                : sb_tokenizer_encode_plain(tokenizer, encoding, input->text, input->size, error);
    if (status != SB_OK)
        return status;
    sb_buffer_text(out, "[");
    for (size_t i = 0; i < encoding->length; i++) {
        if (i)
            sb_buffer_text(out, ",");
        put_token(out, tokenizer, encoding->ids[i], encoding->offsets[i]);
    }
    sb_buffer_text(out, "]");
    return SB_OK;
}

/* Writes all inputs' tokens; answers the request. */
static void tokenize_all(struct sb_request *request, const struct sb_model *model, const struct sb_inputs *inputs,
                         bool special)
{
    struct sb_encoding encoding = {0};
    struct sb_buffer *out = &request->reply.body;
    struct sb_error error;
    enum sb_status status = SB_OK;
    sb_buffer_text(out, "[");
    for (size_t i = 0; i < inputs->count && status == SB_OK; i++) {
        if (i)
            sb_buffer_text(out, ",");
        status = put_tokens(out, sb_model_tokenizer(model), &encoding, &inputs->items[i], special, &error);
    }
    sb_buffer_text(out, "]");
    sb_encoding_free(&encoding);
    if (status == SB_OK)
        sb_request_send(request, 200);
    else
        sb_request_problem(request, SB_PROBLEM_TOKENIZER, "inputs", error.message);
}

void sb_handle_tokenize(struct sb_request *request)
{
    struct sb_parse parse = {0};
    struct sb_inputs inputs = {0};
    struct sb_model *model;
    const char *name = NULL;
    bool special = true;
    if (!sb_request_json(request, &parse.object))
        return;
    if (!sb_parse_string(&parse, "model", &name) || !sb_parse_bool(&parse, "add_special_tokens", &special) ||
        !sb_parse_inputs(&parse, "inputs", SB_INPUT_TEXTS, request->server->options.max_client_batch, &inputs)) {
        sb_inputs_free(&inputs);
        sb_request_parse_failed(request, &parse);
    } else if ((model = sb_request_model(request, name))) {
        /* request may be gone when this returns; inputs and model are ours. */
        tokenize_all(request, model, &inputs, special);
        sb_model_release(model);
        sb_inputs_free(&inputs);
    } else {
        sb_inputs_free(&inputs);
    }
}

/* ---- decode ---- */

/* {"ids": [1, 2]} or [[1, 2], [3]] -> ["text", …] */
static enum sb_status decode_one(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, const cJSON *list,
                                 bool keep_special, struct sb_error *error)
{
    size_t count = (size_t)cJSON_GetArraySize(list), n = 0;
    int64_t id;
    struct sb_buffer text = {0};
    int32_t *ids = malloc((count + 1) * sizeof *ids);
    enum sb_status status = ids ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu token ids", count);
    for (const cJSON *item = list->child; item && status == SB_OK; item = item->next) {
        if (sb_json_as_int(&id, 0, sb_tokenizer_vocab_size(tokenizer) - 1, item))
            ids[n++] = (int32_t)id;
        else
            status = sb_fail(error, SB_INVALID, "ids: element %zu is no token id of this model (0 to %d)", n,
                             sb_tokenizer_vocab_size(tokenizer) - 1);
    }
    if (status == SB_OK)
        status = sb_tokenizer_decode(tokenizer, &text, ids, n, keep_special, error);
    if (status == SB_OK)
        sb_buffer_json_string(out, text.data ? text.data : "", text.length);
    out->failed = out->failed || text.failed;
    sb_buffer_free(&text);
    free(ids);
    return status;
}

static enum sb_status decode_all(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, const cJSON *ids,
                                 bool keep_special, struct sb_error *error)
{
    if (!cJSON_IsArray(ids) || !ids->child)
        return sb_fail(error, SB_INVALID, "ids must be a list of token ids, or a list of such lists");
    if (!cJSON_IsArray(ids->child))
        return decode_one(out, tokenizer, ids, keep_special, error);
    enum sb_status status = SB_OK;
    for (const cJSON *item = ids->child; item && status == SB_OK; item = item->next) {
        if (item->prev && item != ids->child)
            sb_buffer_text(out, ",");
        status = cJSON_IsArray(item) ? decode_one(out, tokenizer, item, keep_special, error)
                                     : sb_fail(error, SB_INVALID, "ids mixes lists with what is none");
    }
    return status;
}

void sb_handle_decode(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    bool skip_special = true;
    if (!sb_request_json(request, &parse.object))
        return;
    if (!sb_parse_string(&parse, "model", &name) || !sb_parse_bool(&parse, "skip_special_tokens", &skip_special)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return;
    struct sb_buffer *out = &request->reply.body;
    struct sb_error error;
    sb_buffer_text(out, "[");
    enum sb_status status =
        decode_all(out, sb_model_tokenizer(model), sb_parse_field(&parse, "ids"), !skip_special, &error);
    sb_buffer_text(out, "]");
    sb_model_release(model);
    if (status == SB_OK)
        sb_request_send(request, 200);
    else
        sb_request_fail(request, status, "ids", &error);
}
