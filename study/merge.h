/*
 * One JSON value laid over another, as RFC 7396 has it: objects key by key, anything else replaces what was there, null takes a key
 * away.
 *
 *     sb_study_overlay(&json, "{\"optimizer\": {\"name\": \"lamb\"}}", &error);
 *
 * Thread rule: no state.
 */
#ifndef SB_STUDY_MERGE_H
#define SB_STUDY_MERGE_H

#include "base/status.h"

#include <cjson/cJSON.h>

/* *json is the caller's, replaced or changed; of what it was nothing has to be freed. text NULL: nothing happens. */
SB_MUST_CHECK enum sb_status sb_study_overlay(cJSON **json, const char *text, struct sb_error *error);

#endif
