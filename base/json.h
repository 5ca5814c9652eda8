/*
 * Reading JSON from outside with cJSON, checked first: size, well-formed UTF-8, nesting depth, no NUL escapes (cJSON
 * would cut the string there), no lone surrogates, nothing behind the value. Getters give one-line errors that name the
 * key.
 *
 * All getters: object is a JSON object; a missing key or null leaves *value untouched (set the default before the call)
 * and returns SB_OK; a wrong type or a value out of [low, high] is SB_INVALID.
 */
#ifndef SB_BASE_JSON_H
#define SB_BASE_JSON_H

#include "base/status.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SB_JSON_MAX_DEPTH = 64 };

/* Parses text[0, size). The caller frees *json with cJSON_Delete. SB_INVALID names the first bad byte's offset. */
SB_MUST_CHECK enum sb_status sb_json_parse(cJSON **json, const char *text, size_t size, struct sb_error *error);

/* sb_read_file and sb_json_parse in one; the error names the file. */
SB_MUST_CHECK enum sb_status sb_json_read_file(cJSON **json, const char *path, size_t limit, struct sb_error *error);

SB_MUST_CHECK enum sb_status sb_json_get_bool(bool *value, const cJSON *object, const char *key,
                                              struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_json_get_int(int64_t *value, int64_t low, int64_t high, const cJSON *object,
                                             const char *key, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_json_get_double(double *value, double low, double high, const cJSON *object,
                                                const char *key, struct sb_error *error);
/* Borrowed from object. */
SB_MUST_CHECK enum sb_status sb_json_get_string(const char **value, const cJSON *object, const char *key,
                                                struct sb_error *error);

/* True if json is a number without a fraction in [low, high]; stores it. False past 2^53, where doubles skip integers. */
bool sb_json_as_int(int64_t *value, int64_t low, int64_t high, const cJSON *json);

#endif
