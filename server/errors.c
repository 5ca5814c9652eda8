#include "server/errors.h"

#include <string.h>

/* tei: the status on text-embeddings-inference's routes and its error_type. */
static const struct {
    const char *name;
    int status;
    const char *type;
    int tei;
    const char *tei_type;
} problems[SB_PROBLEM_COUNT] = {
    [SB_PROBLEM_INVALID] = {"validation", 400, "invalid_request_error", 422, "Validation"},
    [SB_PROBLEM_EMPTY] = {"empty", 400, "invalid_request_error", 400, "Empty"},
    [SB_PROBLEM_TOKENIZER] = {"tokenizer", 400, "invalid_request_error", 422, "Tokenizer"},
    [SB_PROBLEM_UNSUPPORTED] = {"unsupported", 400, "invalid_request_error", 424, "Backend"},
    [SB_PROBLEM_UNAUTHORIZED] = {"invalid_api_key", 401, "authentication_error", 401, "Validation"},
    [SB_PROBLEM_NOT_FOUND] = {"not_found", 404, "invalid_request_error", 404, "Validation"},
    [SB_PROBLEM_METHOD] = {"method_not_allowed", 405, "invalid_request_error", 405, "Validation"},
    [SB_PROBLEM_ARRIVAL] = {"request_timeout", 408, "invalid_request_error", 408, "Validation"},
    [SB_PROBLEM_CONFLICT] = {"conflict", 409, "invalid_request_error", 409, "Validation"},
    [SB_PROBLEM_TOO_LARGE] = {"too_large", 413, "invalid_request_error", 413, "Validation"},
    [SB_PROBLEM_MEDIA_TYPE] = {"unsupported_media_type", 415, "invalid_request_error", 415, "Validation"},
    [SB_PROBLEM_OVERLOADED] = {"overloaded", 429, "rate_limit_error", 429, "Overloaded"},
    [SB_PROBLEM_STOPPING] = {"unavailable", 503, "server_error", 503, "Unhealthy"},
    [SB_PROBLEM_DEADLINE] = {"deadline", 504, "server_error", 504, "Backend"},
    [SB_PROBLEM_STORAGE] = {"storage", 507, "server_error", 507, "Backend"},
    [SB_PROBLEM_INTERNAL] = {"internal", 500, "server_error", 500, "Backend"},
};

enum sb_problem sb_problem_of(enum sb_status status)
{
    switch (status) {
    case SB_INVALID: return SB_PROBLEM_INVALID;
    case SB_NOT_FOUND: return SB_PROBLEM_NOT_FOUND;
    case SB_CONFLICT: return SB_PROBLEM_CONFLICT;
    case SB_IO: return SB_PROBLEM_STORAGE;
    case SB_UNSUPPORTED: return SB_PROBLEM_UNSUPPORTED;
    case SB_LIMIT: return SB_PROBLEM_INVALID;
    case SB_OVERLOADED: return SB_PROBLEM_OVERLOADED;
    case SB_DEADLINE: return SB_PROBLEM_DEADLINE;
    case SB_NO_MEMORY:
    case SB_UNAVAILABLE:
    case SB_CANCELLED: return SB_PROBLEM_STOPPING;
    case SB_OK:
    case SB_CORRUPT:
    case SB_INTERNAL: break;
    }
    return SB_PROBLEM_INTERNAL;
}

int sb_problem_http_status(enum sb_problem problem, enum sb_style style)
{
    return style == SB_STYLE_TEI ? problems[problem].tei : problems[problem].status;
}

const char *sb_problem_name(enum sb_problem problem)
{
    return problems[problem].name;
}

static void json_text(struct sb_buffer *body, const char *text)
{
    sb_buffer_json_string(body, text, strlen(text));
}

void sb_error_body(struct sb_buffer *body, enum sb_style style, enum sb_problem problem, const char *param,
                   const char *message)
{
    switch (style) {
    case SB_STYLE_OPENAI:
        sb_buffer_text(body, "{\"error\":{\"message\":");
        json_text(body, message);
        sb_buffer_format(body, ",\"type\":\"%s\",\"param\":", problems[problem].type);
        if (param)
            json_text(body, param);
        else
            sb_buffer_text(body, "null");
        sb_buffer_format(body, ",\"code\":\"%s\"}}", problems[problem].name);
        break;
    case SB_STYLE_TEI:
        sb_buffer_text(body, "{\"error\":");
        json_text(body, message);
        sb_buffer_format(body, ",\"error_type\":\"%s\"}", problems[problem].tei_type);
        break;
    case SB_STYLE_SERVING:
        /* As there: 1 for a wrong argument, 2 for what went wrong behind it. */
        sb_buffer_format(body, "{\"code\":%d,\"desc\":", problems[problem].status < 429 ? 1 : 2);
        json_text(body, message);
        sb_buffer_text(body, ",\"data\":[]}");
        break;
    }
}
