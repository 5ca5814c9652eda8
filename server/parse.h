/*
 * Reading a request's fields in one chain that stops at the first wrong one and remembers which it was.
 *
 *     struct sb_parse p = {.object = json};
 *     if (!sb_parse_bool(&p, "stream", &stream) || !sb_parse_int(&p, "n", 1, 1000, &n))
 *         sb_request_parse_failed(request, &p);
 *
 * A missing field or null leaves the value untouched. Unknown fields are ignored, as by the services whose clients we
 * serve.
 */
#ifndef SB_SERVER_PARSE_H
#define SB_SERVER_PARSE_H

#include "base/json.h"
#include "base/status.h"
#include "server/request.h"

#include <stdbool.h>
#include <stdint.h>

struct sb_parse {
    const cJSON *object;
    const char *param;       /* the field read last; after a failure the wrong one */
    enum sb_problem problem; /* after a failure */
    struct sb_error error;
};

SB_MUST_CHECK bool sb_parse_bool(struct sb_parse *parse, const char *key, bool *value);
SB_MUST_CHECK bool sb_parse_int(struct sb_parse *parse, const char *key, int64_t low, int64_t high, int64_t *value);
SB_MUST_CHECK bool sb_parse_double(struct sb_parse *parse, const char *key, double low, double high, double *value);
SB_MUST_CHECK bool sb_parse_string(struct sb_parse *parse, const char *key, const char **value); /* borrowed */
/* The field, or NULL when it is missing or null; sets param. */
const cJSON *sb_parse_field(struct sb_parse *parse, const char *key);

/* Fails with the field read last; returns false. */
bool sb_parse_fail(struct sb_parse *parse, enum sb_problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Answers the request with the failure. */
void sb_request_parse_failed(struct sb_request *request, const struct sb_parse *parse);

#endif
