#include "server/parse.h"

#include <stdarg.h>
#include <stdio.h>

static bool result(struct sb_parse *parse, enum sb_status status)
{
    if (status != SB_OK)
        parse->problem = sb_problem_of(status);
    return status == SB_OK;
}

bool sb_parse_bool(struct sb_parse *parse, const char *key, bool *value)
{
    parse->param = key;
    return result(parse, sb_json_get_bool(value, parse->object, key, &parse->error));
}

bool sb_parse_int(struct sb_parse *parse, const char *key, int64_t low, int64_t high, int64_t *value)
{
    parse->param = key;
    return result(parse, sb_json_get_int(value, low, high, parse->object, key, &parse->error));
}

bool sb_parse_double(struct sb_parse *parse, const char *key, double low, double high, double *value)
{
    parse->param = key;
    return result(parse, sb_json_get_double(value, low, high, parse->object, key, &parse->error));
}

bool sb_parse_string(struct sb_parse *parse, const char *key, const char **value)
{
    parse->param = key;
    return result(parse, sb_json_get_string(value, parse->object, key, &parse->error));
}

const cJSON *sb_parse_field(struct sb_parse *parse, const char *key)
{
    parse->param = key;
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(parse->object, key);
    return cJSON_IsNull(field) ? NULL : field;
}

bool sb_parse_fail(struct sb_parse *parse, enum sb_problem problem, const char *format, ...)
{
    char message[sizeof parse->error.message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sb_fail(&parse->error, SB_INVALID, "%s", message); /* makes it well-formed */
    parse->problem = problem;
    return false;
}

void sb_request_parse_failed(struct sb_request *request, const struct sb_parse *parse)
{
    sb_request_problem(request, parse->problem, parse->param, parse->error.message);
}
