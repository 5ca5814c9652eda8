/* Paraphrases: our own route with Hugging Face's option names, whole or as a stream, and bert4keras' gen_synonyms. */
#include "base/cpu.h"
#include "base/random.h"
#include "base/utf8.h"
#include "server/embedding.h"
#include "server/paraphrase_query.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/stream.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4 }; /* inputs of one request that are written at once: each has a cache of its own */

/* One input: what its task calls back with, and what it left. */
struct element {
    struct paraphrases *owner;
    size_t index;
    struct sb_buffer candidates; /* its results as JSON */
};

struct paraphrases {
    struct sb_request *request;
    struct sb_work work;
    struct sb_model *model;
    struct sb_inputs inputs;
    struct sb_paraphrase_query query;
    struct element *elements; /* [inputs.count] */
    int64_t prompt_tokens, completion_tokens;
    void (*put)(struct sb_buffer *out, const struct sb_paraphrase *candidate);
    void (*reply)(struct sb_request *request);
    bool streams;
    pthread_mutex_t stream_lock; /* candidates of several inputs may come at once */
    struct sb_stream *stream;    /* NULL until the first event: what fails before it gets a status of its own */
};

static void paraphrases_free(void *state)
{
    struct paraphrases *p = state;
    sb_work_clear(&p->work);
    for (size_t i = 0; p->elements && i < p->inputs.count; i++)
        sb_buffer_free(&p->elements[i].candidates);
    free(p->elements);
    sb_inputs_free(&p->inputs);
    sb_paraphrase_query_free(&p->query);
    sb_model_release(p->model);
    pthread_mutex_destroy(&p->stream_lock);
    free(p);
}

static void put_candidate(struct sb_buffer *out, const struct sb_paraphrase *candidate)
{
    sb_buffer_text(out, "{\"text\":");
    sb_buffer_json_string(out, candidate->text, candidate->size);
    sb_buffer_text(out, ",\"similarity\":");
    sb_put_score(out, candidate->similarity);
    sb_buffer_text(out, ",\"logprob\":");
    sb_put_score(out, candidate->logprob);
    sb_buffer_format(out, ",\"edit_distance\":%d,\"finish_reason\":\"%s\"}", candidate->edit_distance,
                     candidate->stopped ? "stop" : "length");
}

/* ---- the stream ---- */

/* The stream, begun with its first event; NULL without memory. */
static struct sb_stream *open_stream(struct paraphrases *p)
{
    pthread_mutex_lock(&p->stream_lock);
    if (!p->stream) {
        p->stream = sb_stream_new(p->request);
        if (p->stream)
            sb_stream_start(p->stream);
    }
    struct sb_stream *stream = p->stream;
    pthread_mutex_unlock(&p->stream_lock);
    return stream;
}

static void stream_candidate(void *context, const struct sb_paraphrase *candidate)
{
    struct element *element = context;
    struct sb_stream *stream = open_stream(element->owner);
    struct sb_buffer event = {0};
    sb_buffer_format(&event, "{\"index\":%zu,\"candidate\":", element->index);
    put_candidate(&event, candidate);
    sb_buffer_text(&event, "}");
    if (stream && !event.failed)
        sb_stream_event(stream, event.data, event.length);
    sb_buffer_free(&event);
}

static void end_stream(struct paraphrases *p, enum sb_status status, const struct sb_error *error)
{
    struct sb_stream *stream = open_stream(p);
    struct sb_buffer event = {0};
    if (!stream) {
        sb_request_problem(p->request, SB_PROBLEM_STOPPING, NULL, "no memory for the stream");
        return;
    }
    if (status == SB_OK)
        sb_buffer_text(&event, "[DONE]");
    else
        sb_error_body(&event, SB_STYLE_OPENAI, sb_problem_of(status), NULL, error->message);
    if (!event.failed)
        sb_stream_event(stream, event.data, event.length);
    sb_buffer_free(&event);
    sb_stream_end(stream);
}

/* ---- the work ---- */

static struct paraphrases *paraphrases_of(struct sb_work *work)
{
    return (struct paraphrases *)((char *)work - offsetof(struct paraphrases, work));
}

/* Counts a task's cache; false when it would be too much for the server. One always may run. */
static bool reserve_cache(struct sb_server *server, size_t bytes, bool must)
{
    size_t before = atomic_fetch_add(&server->generation_bytes, bytes);
    if (must || before == 0 || before + bytes <= server->options.max_generation_bytes)
        return true;
    atomic_fetch_sub(&server->generation_bytes, bytes);
    return false;
}

static enum sb_status make_part(struct sb_work *work, size_t part, bool must, struct sb_task **task,
                                struct sb_error *error)
{
    struct paraphrases *p = paraphrases_of(work);
    struct sb_paraphrase_options options = p->query.options;
    const struct sb_input *input = &p->inputs.items[part];
    if (p->streams) {
        options.on_candidate = stream_candidate;
        options.context = &p->elements[part];
    }
    enum sb_status status = sb_paraphrase_task_new(task, p->model, input->text, input->size, &options, error);
    if (status != SB_OK)
        return p->inputs.is_list ? sb_fail_context(error, status, "input %zu", part) : status;
    if (!reserve_cache(p->request->server, sb_paraphrase_task_counts(*task).cache_bytes, must)) {
        sb_task_free(*task);
        return sb_fail(error, SB_OVERLOADED,
                       "the paraphrases under way use all memory meant for them (%zu MiB); try again later",
                       p->request->server->options.max_generation_bytes >> 20);
    }
    return SB_OK;
}

static void take_part(struct sb_work *work, size_t part, struct sb_task *task)
{
    struct paraphrases *p = paraphrases_of(work);
    struct sb_buffer *out = &p->elements[part].candidates;
    struct sb_paraphrase_counts counts = sb_paraphrase_task_counts(task);
    size_t count;
    const struct sb_paraphrase *results = sb_paraphrase_task_results(task, &count);
    for (size_t i = 0; i < count; i++) {
        if (i)
            sb_buffer_text(out, ",");
        p->put(out, &results[i]);
    }
    p->prompt_tokens += counts.source_tokens;
    p->completion_tokens += counts.generated_tokens;
    atomic_fetch_sub(&p->request->server->generation_bytes, counts.cache_bytes);
    sb_metrics_generation(p->request->server->metrics, &counts, count);
}

static void end_parts(struct sb_work *work, enum sb_status status, const struct sb_error *error)
{
    struct paraphrases *p = paraphrases_of(work);
    struct sb_request *request = p->request;
    request->timing.tokens = p->prompt_tokens + p->completion_tokens;
    if (status == SB_OK)
        sb_metrics_compute_success(request->server->metrics, p->inputs.is_list, 0, &request->timing,
                                   sb_now_ns() - request->received_ns);
    if (p->streams && (p->stream || status == SB_OK)) {
        end_stream(p, status, error);
    } else if (status != SB_OK) {
        sb_request_fail(request, status, NULL, error);
    } else {
        request->reply.timed = true;
        p->reply(request);
    }
}

/* The state with its locks; NULL: answered. */
static struct paraphrases *paraphrases_new(struct sb_request *request)
{
    struct paraphrases *p = sb_request_state(request, sizeof *p, paraphrases_free);
    if (p) {
        p->request = request;
        pthread_mutex_init(&p->stream_lock, NULL);
    }
    return p;
}

static void start(struct paraphrases *p)
{
    struct sb_request *request = p->request;
    p->elements = calloc(p->inputs.count, sizeof *p->elements);
    if (!p->elements) {
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for the request");
        return;
    }
    for (size_t i = 0; i < p->inputs.count; i++) {
        p->elements[i].owner = p;
        p->elements[i].index = i;
        request->timing.characters += (int64_t)sb_utf8_length(p->inputs.items[i].text, p->inputs.items[i].size);
    }
    sb_metrics_compute_begin(request->server->metrics, p->inputs.is_list, 0);
    p->work = (struct sb_work){.request = request,
                               .model = p->model,
                               .parts = p->inputs.count,
                               .window = WINDOW,
                               .make = make_part,
                               .take = take_part,
                               .end = end_parts};
    sb_work_start(&p->work);
}

/* ---- /v1/paraphrases ---- */

static void paraphrases_reply(struct sb_request *request)
{
    struct paraphrases *p = request->state;
    struct sb_buffer *out = &request->reply.body;
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < p->inputs.count; i++) {
        const struct sb_buffer *candidates = &p->elements[i].candidates;
        sb_buffer_format(out, "%s{\"index\":%zu,\"candidates\":[", i ? "," : "", i);
        sb_buffer_bytes(out, candidates->data, candidates->length);
        sb_buffer_text(out, "]}");
        out->failed = out->failed || candidates->failed;
    }
    sb_buffer_text(out, "],\"model\":");
    sb_put_text(out, sb_model_name(p->model));
    sb_buffer_format(out, ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}}",
                     (long long)p->prompt_tokens, (long long)p->completion_tokens,
                     (long long)(p->prompt_tokens + p->completion_tokens));
    sb_request_send(request, 200);
}

void sb_handle_paraphrases(struct sb_request *request)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    struct paraphrases *p = paraphrases_new(request);
    if (!p)
        return;
    bool ok = sb_parse_string(&parse, "model", &name) && sb_parse_bool(&parse, "stream", &p->streams) &&
              sb_parse_inputs(&parse, "input", SB_INPUT_TEXTS, request->server->options.max_client_batch, &p->inputs);
    if (ok) {
        p->model = sb_request_model(request, name);
        if (!p->model)
            return;
        ok = sb_parse_paraphrase(&parse, p->model, &p->query);
    }
    if (!ok) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    p->put = put_candidate;
    p->reply = paraphrases_reply;
    start(p);
}

/* ---- /gen_synonyms ---- */

static void put_text(struct sb_buffer *out, const struct sb_paraphrase *candidate)
{
    sb_buffer_json_string(out, candidate->text, candidate->size);
}

static void synonyms_reply(struct sb_request *request)
{
    struct paraphrases *p = request->state;
    struct sb_buffer *out = &request->reply.body;
    const struct sb_buffer *texts = &p->elements[0].candidates;
    sb_buffer_text(out, "{\"code\":0,\"desc\":\"succeeded\",\"data\":[");
    sb_buffer_bytes(out, texts->data, texts->length);
    sb_buffer_text(out, "]}");
    out->failed = out->failed || texts->failed;
    sb_request_send(request, 200);
}

static enum sb_status read_synonyms_query(struct sb_request *request, const char **text, const char **name, int64_t *n,
                                          int64_t *k, struct sb_error *error)
{
    enum sb_status status = sb_request_query(request, "text", text, error);
    if (status == SB_OK && (!*text || !**text))
        status = sb_fail(error, SB_INVALID, *text ? "text is empty" : "lack of \"text\" argument");
    if (status == SB_OK)
        status = sb_request_query_int(request, "n", 1, SB_MAX_SEQUENCES, n, error);
    if (status == SB_OK)
        status = sb_request_query_int(request, "k", 1, SB_MAX_SEQUENCES, k, error);
    if (status == SB_OK)
        status = sb_request_query(request, "model", name, error);
    return status;
}

void sb_handle_gen_synonyms(struct sb_request *request)
{
    struct sb_error error;
    struct sb_parse parse = {.param = "text"};
    const char *text = NULL, *name = NULL;
    int64_t n = 100, k = 20;
    struct paraphrases *p = paraphrases_new(request);
    if (!p)
        return;
    enum sb_status status = read_synonyms_query(request, &text, &name, &n, &k, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    if (!sb_inputs_add_text(&parse, &p->inputs, text)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    p->model = sb_request_model(request, name);
    if (!p->model)
        return;
    p->query.options = sb_paraphrase_defaults();
    p->query.options.num_candidates = (int)n;
    p->query.options.n = (int)(k < n ? k : n);
    p->query.options.decode.seed = sb_random_fresh_seed();
    p->put = put_text;
    p->reply = synonyms_reply;
    start(p);
}
