#include "study/merge.h"

#include "base/json.h"

#include <stdbool.h>
#include <string.h>

/* patch's items move to target or are freed with it; both objects. Depth is bounded by sb_json_parse. */
static bool merge(cJSON *target, cJSON *patch)
{
    cJSON *next;
    for (cJSON *item = patch->child; item; item = next) {
        next = item->next;
        cJSON *old = cJSON_GetObjectItemCaseSensitive(target, item->string);
        if (cJSON_IsObject(item) && cJSON_IsObject(old)) {
            if (!merge(old, item))
                return false;
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
        if (cJSON_IsNull(item))
            continue;
        /* A fresh object drops the nulls inside of the new one. */
        cJSON *moved = cJSON_IsObject(item) ? cJSON_CreateObject() : cJSON_Duplicate(item, true);
        if (!moved || !cJSON_AddItemToObject(target, item->string, moved)) {
            cJSON_Delete(moved);
            return false;
        }
        if (cJSON_IsObject(item) && !merge(moved, item))
            return false;
    }
    return true;
}

enum sb_status sb_study_overlay(cJSON **json, const char *text, struct sb_error *error)
{
    cJSON *patch = NULL;
    if (!text)
        return SB_OK;
    enum sb_status status = sb_json_parse(&patch, text, strlen(text), error);
    if (status != SB_OK)
        return status;
    if (cJSON_IsObject(patch) && cJSON_IsObject(*json)) {
        bool merged = merge(*json, patch);
        cJSON_Delete(patch);
        return merged ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for a recipe");
    }
    cJSON_Delete(*json);
    *json = patch;
    return SB_OK;
}
