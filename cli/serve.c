/* simbert serve: the REST server's options as flags. */
#include "base/log.h"
#include "cli/command.h"
#include "cli/open_model.h"
#include "server/server.h"

#include <stdlib.h>
#include <string.h>

struct settings {
    struct sb_option_list models;
    struct sb_server_options server; /* its strings are set in place, its numbers through those below */
    int64_t port, threads, max_queue, max_batch_tokens, max_batch_rows, max_generation_bytes, max_client_batch,
        max_body_bytes, max_connections, request_timeout_ms, receive_timeout_ms;
    bool no_log_requests, log_json;
    const char *log_level;
};

#define TEXT(field) SB_OPTION_STRING, offsetof(struct settings, server.field), 0, 0
#define NUMBER(field, low, high) SB_OPTION_INT, offsetof(struct settings, field), low, high

static const struct sb_option options[] = {
    {"host", "HOST", TEXT(host), "address or name to listen on"},
    {"port", "PORT", NUMBER(port, 0, 65535), "port to listen on; 0: any free one, which the log names"},
    {"data", "DIR", TEXT(data), "directory of the collections; made when missing"},
    {"model", "[NAME=]DIR", SB_OPTION_LIST, offsetof(struct settings, models), 0, 0, SB_MODEL_HELP},
    {"default-model", "NAME", TEXT(default_model), "for requests that name none (default the first --model)"},
    {"dtype", "f32|bf16|int8|auto", TEXT(dtype), "arithmetic of the linear layers (default f32)"},
    {"kernels", "NAME", TEXT(kernels), "kernel variant, see simbert doctor (default the fastest)"},
    {"threads", "N", NUMBER(threads, 0, 1024), "threads that compute; 0 is one a processor"},
    {"max-queue", "N", NUMBER(max_queue, 1, 1e6), "requests that may wait; further ones get status 429"},
    {"max-batch-tokens", "N", NUMBER(max_batch_tokens, 1, 1e6), "tokens of one pass through the network"},
    {"max-batch-rows", "N", NUMBER(max_batch_rows, 1, 1e5), "texts of one pass through the network"},
    {"max-generation-bytes", "N", NUMBER(max_generation_bytes, 0, 1e15),
     "caches of all paraphrase requests at work; 0: a quarter of the memory"},
    {"max-client-batch", "N", NUMBER(max_client_batch, 1, 1e6), "inputs of one request"},
    {"max-body-bytes", "N", NUMBER(max_body_bytes, 1, 1e12), "largest request body; larger ones get status 413"},
    {"max-connections", "N", NUMBER(max_connections, 1, 1e6), "connections at a time; further ones wait"},
    {"request-timeout-ms", "N", NUMBER(request_timeout_ms, 0, 1e9), "deadline of requests that set none; 0: none"},
    {"receive-timeout-ms", "N", NUMBER(receive_timeout_ms, 1, 1e9), "for a request to arrive, and for silence"},
    {"api-key", "KEY", TEXT(api_key), "requests must send it as \"authorization: Bearer KEY\""},
    {"no-log-requests", NULL, SB_OPTION_FLAG, offsetof(struct settings, no_log_requests), 0, 0, "log no line a request"},
    {"log-level", "debug|info|warn|error|none", SB_OPTION_STRING, offsetof(struct settings, log_level), 0, 0,
     "what the log on stderr holds"},
    {"log-json", NULL, SB_OPTION_FLAG, offsetof(struct settings, log_json), 0, 0, "log lines are JSON objects"},
    {0},
};
static const struct sb_option_group groups[] = {{options, 0}, {0}};

static void defaults(void *given)
{
    struct settings *s = given;
    s->server = sb_server_defaults();
    s->port = s->server.port;
    s->threads = s->server.threads;
    s->max_queue = (int64_t)s->server.max_queue;
    s->max_batch_tokens = (int64_t)s->server.max_batch_tokens;
    s->max_batch_rows = (int64_t)s->server.max_batch_rows;
    s->max_generation_bytes = (int64_t)s->server.max_generation_bytes;
    s->max_client_batch = (int64_t)s->server.max_client_batch;
    s->max_body_bytes = (int64_t)s->server.max_body_bytes;
    s->max_connections = s->server.max_connections;
    s->request_timeout_ms = s->server.request_timeout_ms;
    s->receive_timeout_ms = s->server.receive_timeout_ms;
    s->no_log_requests = !s->server.log_requests;
    s->log_level = "info";
}

static struct sb_server_options server_options(const struct settings *s)
{
    struct sb_server_options o = s->server;
    o.port = (int)s->port;
    o.threads = (int)s->threads;
    o.max_queue = (size_t)s->max_queue;
    o.max_batch_tokens = (size_t)s->max_batch_tokens;
    o.max_batch_rows = (size_t)s->max_batch_rows;
    o.max_generation_bytes = (size_t)s->max_generation_bytes;
    o.max_client_batch = (size_t)s->max_client_batch;
    o.max_body_bytes = (size_t)s->max_body_bytes;
    o.max_connections = (int)s->max_connections;
    o.request_timeout_ms = (int)s->request_timeout_ms;
    o.receive_timeout_ms = (int)s->receive_timeout_ms;
    o.log_requests = !s->no_log_requests;
    return o;
}

/* Splits "NAME=DIR"; a value with a slash before the first "=" is a directory. *copy is what the caller frees. */
static bool parse_model(struct sb_server_model *model, char **copy, const char *value)
{
    *copy = strdup(value);
    if (!*copy)
        return false;
    char *equals = *copy + strcspn(*copy, "=/");
    *model = (struct sb_server_model){.dir = *copy};
    if (*equals == '=') {
        *equals = '\0';
        *model = (struct sb_server_model){.name = *copy, .dir = equals + 1};
    }
    return true;
}

/* The models that are named, or the default one. copies[count] are the caller's to free, also on failure. */
static enum sb_status find_models(struct sb_server_model *models, char **copies, size_t *count,
                                  const struct sb_option_list *named, struct sb_error *error)
{
    *count = 0;
    if (named->count == 0) {
        enum sb_status status = sb_find_model(&copies[0], NULL, error);
        models[0] = (struct sb_server_model){.dir = copies[0]};
        *count = status == SB_OK;
        return status;
    }
    for (size_t i = 0; i < named->count; i++) {
        if (!parse_model(&models[i], &copies[i], named->values[i]))
            return sb_fail(error, SB_NO_MEMORY, "out of memory");
        *count = i + 1;
    }
    return SB_OK;
}

static enum sb_exit run(const void *given, const struct sb_arguments *arguments)
{
    const struct settings *settings = given;
    struct sb_error error;
    struct sb_server_model models[SB_OPTION_LIST_MAX];
    char *copies[SB_OPTION_LIST_MAX] = {0};
    enum sb_log_level level;
    if (arguments->count > 0)
        return sb_exit_usage("unexpected argument \"%.80s\"; serve has only options", arguments->items[0]);
    if (sb_log_level_parse(settings->log_level, &level))
        sb_log_set_level(level);
    sb_log_json(settings->log_json);

    struct sb_server_options server = server_options(settings);
    enum sb_status status = find_models(models, copies, &server.model_count, &settings->models, &error);
    server.models = models;
    if (status == SB_OK)
        status = sb_server_run(&server, &error);
    for (size_t i = 0; i < server.model_count; i++)
        free(copies[i]);
    return status == SB_OK ? SB_EXIT_OK : sb_exit_failure(&error);
}

const struct sb_command sb_command_serve = {
    .name = "serve",
    .summary = "answers over HTTP until SIGTERM or SIGINT",
    .usage = "",
    .details = "Serves embeddings, paraphrases and collections of sentences; docs/api.md lists the requests. Logs to\n"
               "stderr. A signal lets running requests finish; a second one does not.\n",
    .examples = "  simbert serve\n"
                "  simbert serve --host 0.0.0.0 --port 80 --data /var/lib/simbert\n"
                "  simbert serve --model small=models/simbert-small-zh --model base=/srv/simbert-base\n",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .run = run,
};
