/* simbert serve */
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/model_choice.h"
#include "server/server.h"

#include <stdlib.h>
#include <string.h>

struct settings {
    struct sb_server_options server;
    struct sb_option_list models;
    const char *log_level, *log_format;
};

enum { SERVE_OPTIONS = 9, LIMIT_OPTIONS = 12, JOB_OPTIONS = 6 };

static void list_options(struct sb_option table[SERVE_OPTIONS], struct settings *s)
{
    struct sb_server_options *o = &s->server;
    const struct sb_option options[] = {
        {.name = "host", .type = SB_OPTION_TEXT, .value = &o->host, .argument = "HOST",
         .help = "address to listen on; 0.0.0.0 is all"},
        {.name = "port", .type = SB_OPTION_INT, .value = &o->port, .low = 0, .high = 65535, .argument = "N",
         .help = "port to listen on; 0: any free one, the log says which"},
        {.name = "data", .type = SB_OPTION_TEXT, .value = &o->data, .argument = "DIR",
         .help = "where collections, files, jobs and fine-tuned models are kept; made if needed"},
        {.name = "store", .type = SB_OPTION_TEXT, .value = &o->store, .argument = "URL",
         .default_text = "in the data directory",
         .help = "PostgreSQL database with pgvector for the collections, postgresql://user@host:5432/name; several servers "
                 "may share one; the environment hides a password from other users"},
        {.name = "api-key", .type = SB_OPTION_TEXT, .value = &o->api_key, .argument = "KEY", .default_text = "none",
         .help = "clients must send \"authorization: Bearer KEY\"; the environment hides it from other users"},
        {.name = "log-level", .type = SB_OPTION_CHOICE, .value = &s->log_level,
         .choices = "debug, info, warn, error, none", .argument = "LEVEL",
         .help = "what the log on standard error holds"},
        {.name = "log-format", .type = SB_OPTION_CHOICE, .value = &s->log_format, .choices = "text, json",
         .argument = "FORM", .help = "form of its lines"},
        {.name = "log-requests", .type = SB_OPTION_FLAG, .value = &o->log_requests, .help = "log a line a request"},
        {0},
    };
    _Static_assert(sizeof options == SERVE_OPTIONS * sizeof *options, "SERVE_OPTIONS");
    memcpy(table, options, sizeof options);
}

static void list_limits(struct sb_option limits[LIMIT_OPTIONS], struct sb_server_options *o)
{
    const struct sb_option options[] = {
        {.name = "threads", .type = SB_OPTION_INT, .value = &o->threads, .low = 0, .high = 1024, .argument = "N",
         .default_text = "0, as many as there are processors", .help = "threads that compute"},
        {.name = "max-queue", .type = SB_OPTION_SIZE, .value = &o->max_queue, .low = 1, .high = 1 << 20,
         .argument = "N", .help = "pieces of work that wait; requests that come with more get 429 and Retry-After"},
        {.name = "max-batch-tokens", .type = SB_OPTION_SIZE, .value = &o->max_batch_tokens, .low = 1, .high = 1 << 20,
         .argument = "N", .help = "tokens of one pass through the network"},
        {.name = "max-batch-rows", .type = SB_OPTION_SIZE, .value = &o->max_batch_rows, .low = 1, .high = 1 << 16,
         .argument = "N", .help = "rows of one pass"},
        {.name = "vector-cache-bytes", .type = SB_OPTION_SIZE, .value = &o->vector_cache_bytes, .low = 0, .high = 1e15,
         .argument = "N", .help = "memory for vectors of texts that came before; 0: every text is computed"},
        {.name = "max-generation-bytes", .type = SB_OPTION_SIZE, .value = &o->max_generation_bytes, .low = 0,
         .high = 1e15, .argument = "N", .default_text = "0, a quarter of the memory",
         .help = "caches of all paraphrase requests that run"},
        {.name = "max-client-batch", .type = SB_OPTION_SIZE, .value = &o->max_client_batch, .low = 1, .high = 1 << 20,
         .argument = "N", .help = "inputs of one request"},
        {.name = "max-body-bytes", .type = SB_OPTION_SIZE, .value = &o->max_body_bytes, .low = 1024, .high = 1 << 30,
         .argument = "N", .help = "bytes of one request's body; larger ones get 413"},
        {.name = "max-connections", .type = SB_OPTION_INT, .value = &o->max_connections, .low = 1, .high = 1 << 16,
         .argument = "N", .help = "connections at a time; further ones wait"},
        {.name = "request-timeout-ms", .type = SB_OPTION_INT, .value = &o->request_timeout_ms, .low = 0,
         .high = 3600000, .argument = "N",
         .help = "deadline of requests that set none with x-request-timeout-ms; past it they get 504; 0: none"},
        {.name = "receive-timeout-ms", .type = SB_OPTION_INT, .value = &o->receive_timeout_ms, .low = 100,
         .high = 3600000, .argument = "N",
         .help = "time for a request to arrive completely, and for a silent connection"},
        {0},
    };
    _Static_assert(sizeof options == LIMIT_OPTIONS * sizeof *options, "LIMIT_OPTIONS");
    memcpy(limits, options, sizeof options);
}

static void list_job_options(struct sb_option table[JOB_OPTIONS], struct sb_server_options *o)
{
    const struct sb_option options[] = {
        {.name = "max-jobs", .type = SB_OPTION_INT, .value = &o->max_jobs, .low = 1, .high = 16, .argument = "N",
         .help = "fine-tuning jobs that run at a time; the rest queue"},
        {.name = "job-niceness", .type = SB_OPTION_INT, .value = &o->job_niceness, .low = 0, .high = 19,
         .argument = "N", .help = "how far a job's process gives way to requests"},
        {.name = "job-threads", .type = SB_OPTION_INT, .value = &o->job_threads, .low = 0, .high = 1024,
         .argument = "N", .default_text = "0, as many as there are processors", .help = "threads of a job"},
        {.name = "job-memory-bytes", .type = SB_OPTION_SIZE, .value = &o->job_memory_bytes, .low = 0, .high = 1e15,
         .argument = "N", .default_text = "0, three quarters of the memory", .help = "memory of a job"},
        {.name = "max-upload-bytes", .type = SB_OPTION_SIZE, .value = &o->max_upload_bytes, .low = 1024, .high = 1e12,
         .argument = "N", .help = "bytes of one uploaded file"},
        {0},
    };
    _Static_assert(sizeof options == JOB_OPTIONS * sizeof *options, "JOB_OPTIONS");
    memcpy(table, options, sizeof options);
}

/* "NAME=DIR" or "DIR"; a folder whose name holds "=" is a folder. dir is malloc'd, name points into text's copy. */
static enum sb_status read_model(struct sb_server_model *model, const char *text, struct sb_error *error)
{
    const char *equals = sb_folder_exists(text) ? NULL : strchr(text, '=');
    char *dir = strdup(equals ? equals + 1 : text);
    char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;
    *model = (struct sb_server_model){.name = name, .dir = dir};
    return dir && (name || !equals) ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the models");
}

static void free_models(struct sb_server_model *models, size_t count)
{
    for (size_t i = 0; i < count && models; i++) {
        free((char *)models[i].name);
        free((char *)models[i].dir);
    }
    free(models);
}

static enum sb_status serve(struct settings *s, struct sb_error *error)
{
    enum sb_log_level level = SB_LOG_INFO;
    size_t count = s->models.count ? s->models.count : 1;
    struct sb_server_model *models = calloc(count, sizeof *models);
    enum sb_status status = models ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the models");
    for (size_t i = 0; i < s->models.count && status == SB_OK; i++)
        status = read_model(&models[i], s->models.items[i], error);
    if (status == SB_OK && s->models.count == 0) {
        char *dir;
        status = sb_model_find(&dir, NULL, error);
        models[0].dir = dir;
    }
    if (status == SB_OK) {
        if (sb_log_level_parse(s->log_level, &level))
            sb_log_set_level(level);
        sb_log_json(strcmp(s->log_format, "json") == 0);
        s->server.models = models;
        s->server.model_count = count;
        status = sb_server_run(&s->server, error);
    }
    free_models(models, count);
    return status;
}

int sb_command_serve(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert serve [OPTION]...\n"
        "\n"
        "Answers over HTTP until SIGTERM or SIGINT, then finishes what runs. GET /docs describes the routes.\n";
    static const char examples[] =
        "  simbert serve\n"
        "  simbert serve --host 0.0.0.0 --port 80 --data /var/lib/simbert --log-format json\n"
        "  simbert serve --model small=models/simbert-small-zh --model bge=models/bge-small-zh --default-model small\n"
        "  SIMBERT_PORT=9000 SIMBERT_API_KEY=secret simbert serve\n"
        "  curl -s http://127.0.0.1:8080/v1/embeddings -H 'content-type: application/json' -d '{\"input\": "
        "\"怎么退货\"}'\n";
    struct settings s = {.server = sb_server_defaults(), .log_level = "info", .log_format = "text"};
    const struct sb_option model_options[] = {
        {.name = "model", .type = SB_OPTION_LIST, .value = &s.models, .argument = "[NAME=]DIR",
         .default_text = SB_MODEL_HELP_DEFAULT,
         .help = "model directory, and what requests call it (else the directory's last part); may be given several "
                 "times"},
        {.name = "default-model", .type = SB_OPTION_TEXT, .value = &s.server.default_model, .argument = "NAME",
         .default_text = "the first", .help = "the model of requests that name none"},
        {.name = "kernels", .type = SB_OPTION_TEXT, .value = &s.server.kernels, .argument = "NAME",
         .default_text = "the fastest", .help = SB_KERNELS_HELP},
        {.name = "dtype", .type = SB_OPTION_CHOICE, .value = &s.server.dtype, .choices = SB_DTYPE_CHOICES,
         .argument = "TYPE", .default_text = "f32", .help = SB_DTYPE_HELP},
        {0},
    };
    struct sb_option options[SERVE_OPTIONS], limits[LIMIT_OPTIONS], job_options[JOB_OPTIONS];
    const struct sb_option_group groups[] = {
        {"Options", options}, {"Models", model_options}, {"Fine-tuning", job_options}, {"Limits", limits}, {0}};
    int count, exit;
    list_options(options, &s);
    list_limits(limits, &s.server);
    list_job_options(job_options, &s.server);
    s.server.finetune_program = getenv("SIMBERT_FINETUNE"); /* for tests of the server alone */
    if (sb_command_begin(about, groups, examples, argv, &count, &exit, error)) {
        if (count > 0) {
            sb_fail(error, SB_INVALID, "it takes options only, not \"%s\"", argv[0]);
            exit = SB_EXIT_USAGE;
        } else {
            exit = sb_exit(serve(&s, error));
        }
    }
    sb_option_list_free(&s.models);
    return exit;
}
