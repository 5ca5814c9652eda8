#include "server/request.h"

#include "base/cpu.h"
#include "base/utf8.h"
#include "server/server_impl.h"
#include "server/uploads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sb_kept {
    struct sb_kept *next;
    char text[];
};

void sb_request_init(struct sb_request *request, struct sb_server *server)
{
    *request =
        (struct sb_request){.server = server, .received_ns = sb_now_ns(), .reply.content_type = "application/json"};
}

void sb_request_clear(struct sb_request *request)
{
    if (request->free_state)
        request->free_state(request->state);
    cJSON_Delete(request->json);
    sb_upload_free(request->upload);
    if (request->reply.has_file)
        close(request->reply.file);
    while (request->kept) {
        struct sb_kept *next = request->kept->next;
        free(request->kept);
        request->kept = next;
    }
    sb_buffer_free(&request->body);
    sb_buffer_free(&request->reply.body);
}

bool sb_request_json(struct sb_request *request, const cJSON **json)
{
    struct sb_error error;
    if (request->body.length == 0) {
        sb_request_problem(request, SB_PROBLEM_INVALID, NULL, "the request has no body; a JSON object is expected");
        return false;
    }
    enum sb_status status = sb_json_parse(&request->json, request->body.data, request->body.length, &error);
    if (status == SB_OK && !cJSON_IsObject(request->json))
        status = sb_fail(&error, SB_INVALID, "the body is not a JSON object");
    else if (status != SB_OK)
        sb_fail_context(&error, status, "the body");
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return false;
    }
    *json = request->json;
    return true;
}

/* ---- decoding of URLs ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes to out, which holds size bytes; false at a bad escape or a NUL. */
static bool percent_decode(const char *text, size_t size, char *out, size_t *length)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_digit(text[i + 1]) : -1, low = i + 2 < size ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        out[n++] = c;
    }
    *length = n;
    return true;
}

static char *keep(struct sb_request *request, size_t size)
{
    struct sb_kept *kept = calloc(1, sizeof *kept + size + 1);
    if (!kept)
        return NULL;
    kept->next = request->kept;
    request->kept = kept;
    return kept->text;
}

const char *sb_request_keep(struct sb_request *request, const char *text)
{
    char *copy = keep(request, strlen(text));
    return copy ? strcpy(copy, text) : NULL;
}

enum sb_status sb_request_decode(struct sb_request *request, const char *text, size_t size, const char **decoded,
                                 struct sb_error *error)
{
    size_t length = 0;
    char *out = keep(request, size);
    if (!out)
        return sb_fail(error, SB_NO_MEMORY, "no memory for an address of %zu bytes", size);
    if (!percent_decode(text, size, out, &length))
        return sb_fail(error, SB_INVALID, "the address holds %%00 or a %% that two hexadecimal digits do not follow");
    if (!sb_utf8_valid(out, length, NULL))
        return sb_fail(error, SB_INVALID, "the address is not UTF-8");
    *decoded = out;
    return SB_OK;
}

enum sb_status sb_request_query(struct sb_request *request, const char *name, const char **value,
                                struct sb_error *error)
{
    const char *raw = sb_request_raw_query(request, name);
    *value = NULL;
    return raw ? sb_request_decode(request, raw, strlen(raw), value, error) : SB_OK;
}

enum sb_status sb_request_query_int(struct sb_request *request, const char *name, int64_t low, int64_t high,
                                    int64_t *value, struct sb_error *error)
{
    const char *text;
    char *end;
    enum sb_status status = sb_request_query(request, name, &text, error);
    if (status != SB_OK || !text)
        return status;
    long long number = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || number < low ||
        number > high) /* strtoll saturates: out of any bounds we use */
        return sb_fail(error, SB_INVALID, "%s is \"%.64s\"; a whole number from %lld to %lld is expected", name, text,
                       (long long)low, (long long)high);
    *value = number;
    return SB_OK;
}

/* ---- state and steps ---- */

void *sb_request_state(struct sb_request *request, size_t size, void (*free_state)(void *state))
{
    request->state = calloc(1, size);
    if (request->state)
        request->free_state = free_state;
    else
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for the request");
    return request->state;
}

static void run_step(struct sb_background_job *job)
{
    struct sb_request *request = (struct sb_request *)((char *)job - offsetof(struct sb_request, job));
    if (atomic_load(&request->cancelled))
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "the request was cancelled");
    else if (request->deadline_ns && sb_now_ns() >= request->deadline_ns)
        sb_request_problem(request, SB_PROBLEM_DEADLINE, NULL, "the deadline passed before the work was done");
    else
        request->step(request);
}

void sb_request_later(struct sb_request *request, void (*step)(struct sb_request *request))
{
    request->step = step;
    request->job.run = run_step;
    sb_background_push(request->server->background, &request->job);
}

/* ---- ends ---- */

void sb_request_send(struct sb_request *request, int status)
{
    if (request->reply.body.failed) {
        sb_buffer_reset(&request->reply.body);
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for the reply");
        return;
    }
    request->reply.status = status;
    sb_request_respond(request);
}

void sb_request_problem(struct sb_request *request, enum sb_problem problem, const char *param, const char *message)
{
    struct sb_reply *reply = &request->reply;
    sb_buffer_reset(&reply->body);
    if (reply->has_file)
        close(reply->file);
    reply->has_file = false;
    reply->content_type = "application/json";
    sb_error_body(&reply->body, request->style, problem, param, message);
    reply->status = sb_problem_http_status(problem, request->style);
    sb_metrics_failure(request->server->metrics, problem);
    sb_request_respond(request);
}

void sb_request_fail(struct sb_request *request, enum sb_status status, const char *param, const struct sb_error *error)
{
    sb_request_problem(request, sb_problem_of(status), param, error->message);
}
