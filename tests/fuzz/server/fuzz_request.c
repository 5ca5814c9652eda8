/*
 * Any request must be answered exactly once, with a sensible status and well-formed JSON, and leave nothing behind.
 * Input: a line "METHOD PATH?QUERY", then the body. The handlers run with everything below them but HTTP: tiny-bert,
 * scheduler, database.
 */
#include "tests/unit/server/handlers.h"

#include <stdint.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A wrong answer is a crash, so that every kind of fuzzer sees it. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct sb_server server;
static char folder[512];

static void close_at_exit(void)
{
    static const char *const files[] = {"simbert.db", "simbert.db-wal", "simbert.db-shm", "simbert.db-journal",
                                        "simbert.db.lock", "jobs.db", "jobs.db-wal", "jobs.db-shm"};
    handlers_close(&server);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void open_once(void)
{
    const char *source = getenv("SB_SOURCE"), *temporary = getenv("TMPDIR");
    char model[512];
    if (server.registry)
        return;
    snprintf(model, sizeof model, "%s/tests/golden/models/tiny-bert", source ? source : ".");
    snprintf(folder, sizeof folder, "%s/simbert-fuzz-XXXXXX", temporary ? temporary : "/tmp");
    must(mkdtemp(folder) && handlers_open(&server, model, folder));
    server.options.request_timeout_ms = 200;
    atexit(close_at_exit);
}

static void check_reply(const struct call *call)
{
    const struct sb_reply *reply = &call->request.reply;
    must(call->answers == 1);
    must(reply->status >= 200 && reply->status < 600);
    if (reply->stream || strcmp(reply->content_type, "application/json") != 0)
        return;
    cJSON *json = NULL;
    must(sb_json_parse(&json, reply->body.data, reply->body.length, NULL) == SB_OK);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    char line[1024], *path;
    open_once();
    if (!end || (size_t)(end - data) >= sizeof line)
        return 0;
    memcpy(line, data, (size_t)(end - data));
    line[end - data] = '\0';
    path = strchr(line, ' ');
    if (!path)
        return 0;
    *path++ = '\0';
    struct call call;
    if (call_run(&call, &server, line, path, end + 1, size - (size_t)(end + 1 - data)))
        check_reply(&call);
    call_clear(&call);
    must(atomic_load(&server.generation_bytes) == 0);
    return 0;
}
