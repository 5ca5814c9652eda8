#include "server/http_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TIMEOUT_MAX_MS = 3600000 };

static const char *header(const struct sb_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* Compares in a time that does not depend on where they differ. */
static bool same_secret(const char *given, const char *secret)
{
    size_t length = strlen(secret), differ = strlen(given) ^ length;
    for (size_t i = 0; given[i] && i < length; i++)
        differ |= (size_t)((unsigned char)given[i] ^ (unsigned char)secret[i]);
    return differ == 0;
}

static bool has_key(const struct sb_exchange *x)
{
    const char *key = x->http->server->options.api_key, *given = header(x, "Authorization");
    if (!key || !key[0])
        return true;
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, key);
}

static bool find_route(struct sb_exchange *x)
{
    struct sb_request *r = &x->request;
    struct sb_route_match match;
    struct sb_error error; /* its text is well-formed, whatever bytes the address holds */
    enum sb_route_result result = sb_route_find(x->method, x->url, &match);
    r->style = match.style;
    if (result == SB_ROUTE_UNKNOWN) {
        sb_fail(&error, SB_NOT_FOUND, "there is no route %.16s %.200s; GET /docs lists them", x->method, x->url);
        return sb_http_refuse(x, SB_PROBLEM_NOT_FOUND, error.message);
    }
    if (result == SB_ROUTE_WRONG_METHOD) {
        r->reply.allow = sb_request_keep(r, match.allow);
        sb_fail(&error, SB_INVALID, "%.200s takes %s, not %.16s", x->url, match.allow, x->method);
        return sb_http_refuse(x, SB_PROBLEM_METHOD, error.message);
    }
    r->route = match.route;
    for (size_t i = 0; i < SB_ROUTE_PARAMS && match.params[i].text; i++)
        if (sb_request_decode(r, match.params[i].text, match.params[i].size, &r->params[i], &error) != SB_OK)
            return sb_http_refuse(x, SB_PROBLEM_INVALID, error.message);
    return true;
}

static bool set_deadline(struct sb_exchange *x)
{
    const char *text = header(x, "X-Request-Timeout-Ms");
    int64_t milliseconds = x->http->server->options.request_timeout_ms;
    if (text) {
        char *end;
        milliseconds = strtoll(text, &end, 10);
        if (!*text || *end || milliseconds < 1 || milliseconds > TIMEOUT_MAX_MS)
            return sb_http_refuse(x, SB_PROBLEM_INVALID,
                                  "x-request-timeout-ms is not a whole number from 1 to 3600000");
    }
    x->request.deadline_ns = milliseconds ? x->request.received_ns + milliseconds * 1000000 : 0;
    return true;
}

static bool is_type(const char *content_type, const char *type)
{
    size_t length = strcspn(content_type, "; \t");
    return length == strlen(type) && strncasecmp(content_type, type, length) == 0;
}

/* The names that JSON lines go by; none is registered. */
static bool is_json_lines(const char *content_type)
{
    return is_type(content_type, "application/x-ndjson") || is_type(content_type, "application/jsonl") ||
           is_type(content_type, "application/x-jsonlines");
}

/* Whether the body is to be read in pieces; then only a deadline that the client has set counts. */
static bool begin_pieces(struct sb_exchange *x, const char *type)
{
    const struct sb_piece_handlers *pieces = sb_route_pieces(x->request.route);
    if (!pieces || !(pieces->always || (type && is_json_lines(type))))
        return false;
    x->pieces = pieces;
    if (!header(x, "X-Request-Timeout-Ms"))
        x->request.deadline_ns = 0;
    return true;
}

static bool check_body_headers(struct sb_exchange *x)
{
    const char *type = header(x, "Content-Type"), *length = header(x, "Content-Length");
    bool has_body = length ? strcmp(length, "0") != 0 : header(x, "Transfer-Encoding") != NULL;
    bool uploads = x->request.route->uploads;
    if (begin_pieces(x, type))
        return true;
    if (has_body && type && !uploads && !is_type(type, "application/json"))
        return sb_http_refuse(x, SB_PROBLEM_MEDIA_TYPE, "content-type must be application/json");
    if (length && strtoull(length, NULL, 10) > sb_http_body_max(x))
        return sb_http_too_large(x);
    if (uploads)
        sb_http_upload_begin(x, type);
    return true;
}

void sb_http_look_at_head(struct sb_exchange *x)
{
    if (!find_route(x))
        return;
    if (!x->request.route->is_public && !has_key(x)) {
        sb_http_refuse(x, SB_PROBLEM_UNAUTHORIZED, "a key is required: authorization: Bearer KEY");
        return;
    }
    if (atomic_load(&x->http->stopping)) {
        x->request.reply.close = true;
        sb_http_refuse(x, SB_PROBLEM_STOPPING, "the server is stopping");
        return;
    }
    if (set_deadline(x))
        (void)check_body_headers(x);
}

bool sb_http_can_drain(const struct sb_exchange *x)
{
    const char *length = header(x, "Content-Length");
    return !header(x, "Expect") && (!length || strtoull(length, NULL, 10) <= SB_HTTP_DRAIN_MAX);
}
