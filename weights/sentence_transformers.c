/*
 * A sentence-transformers directory: modules.json lists what happens to a text, one folder a module.
 *
 *     [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
 *      {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
 *      {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
 *      {"idx": 3, "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]
 */
#include "weights/config_impl.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* The folder of a module lies in the model's directory. */
static bool is_plain_folder(const char *path)
{
    return path[0] != '\0' && path[0] != '.' && !strchr(path, '/') &&
           strlen(path) < sizeof((struct sb_modules *)0)->dense;
}

/* Newer files say pooling_mode, older ones have a flag a mode; more than one flag means vectors behind each other. */
static enum sb_status read_mode(enum sb_pooling *pooling, const cJSON *json, struct sb_error *error)
{
    const char *mode = NULL;
    const cJSON *item;
    enum sb_status status = sb_json_get_string(&mode, json, "pooling_mode", error);
    if (status != SB_OK)
        return status;
    cJSON_ArrayForEach(item, json)
    {
        if (strncmp(item->string, "pooling_mode_", 13) != 0 || !cJSON_IsTrue(item))
            continue;
        if (mode)
            return sb_fail(error, SB_UNSUPPORTED, "pooling by \"%.40s\" and \"%.60s\" at once", mode, item->string);
        mode = item->string;
    }
    if (mode && (strcmp(mode, "cls") == 0 || strcmp(mode, "pooling_mode_cls_token") == 0))
        *pooling = SB_POOL_CLS;
    else if (mode && (strcmp(mode, "mean") == 0 || strcmp(mode, "pooling_mode_mean_tokens") == 0))
        *pooling = SB_POOL_MEAN;
    else
        return sb_fail(error, SB_UNSUPPORTED, "pooling by \"%.60s\"; known are cls and mean", mode ? mode : "nothing");
    return SB_OK;
}

static enum sb_status read_pooling(enum sb_pooling *pooling, const char *dir, const char *folder,
                                   struct sb_error *error)
{
    cJSON *json = NULL;
    char *inner = sb_path_join(dir, folder), *path = inner ? sb_path_join(inner, "config.json") : NULL;
    enum sb_status status = path ? sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error)
                                 : sb_fail(error, SB_NO_MEMORY, "no memory to read the pooling of %s", dir);
    if (status == SB_OK) {
        status = cJSON_IsObject(json) ? read_mode(pooling, json, error)
                                      : sb_fail(error, SB_INVALID, "it is not a JSON object");
        if (status != SB_OK)
            status = sb_fail_context(error, status, "%s", path);
    }
    cJSON_Delete(json);
    free(path);
    free(inner);
    return status;
}

enum module_kind { TRANSFORMER, POOLING, DENSE, NORMALIZE, MODULE_KINDS };

static const char *const module_names[MODULE_KINDS] = {"Transformer", "Pooling", "Dense", "Normalize"};

/* The class behind the last dot: packages were renamed, the classes were not. */
static enum module_kind kind_of(const char *type)
{
    const char *dot = strrchr(type, '.');
    int kind = 0;
    while (kind < MODULE_KINDS && strcmp(dot ? dot + 1 : type, module_names[kind]) != 0)
        kind++;
    return (enum module_kind)kind;
}

static enum sb_status read_module(struct sb_modules *modules, int *last, const char *dir, const cJSON *json,
                                  struct sb_error *error)
{
    const char *type = "", *path = "";
    enum sb_status status = cJSON_IsObject(json) ? sb_json_get_string(&type, json, "type", error)
                                                 : sb_fail(error, SB_INVALID, "a module is not a JSON object");
    if (status == SB_OK)
        status = sb_json_get_string(&path, json, "path", error);
    if (status != SB_OK)
        return status;
    enum module_kind kind = kind_of(type);
    if (kind == MODULE_KINDS)
        return sb_fail(error, SB_UNSUPPORTED, "the module \"%.100s\"; known are Transformer, Pooling, Dense, Normalize",
                       type);
    if ((int)kind <= *last || (kind > POOLING && *last < POOLING) || (kind == POOLING && *last != TRANSFORMER))
        return sb_fail(error, SB_UNSUPPORTED,
                       "the module %s out of order; known is Transformer, Pooling, [Dense], [Normalize]",
                       module_names[kind]);
    *last = (int)kind;
    if (kind == TRANSFORMER && strcmp(path, "") != 0 && strcmp(path, ".") != 0)
        return sb_fail(error, SB_UNSUPPORTED,
                       "the Transformer is in the folder \"%.60s\": move its files up and make its path \"\"", path);
    if ((kind == POOLING || kind == DENSE) && !is_plain_folder(path))
        return sb_fail(error, SB_INVALID, "the path \"%.60s\" of %s is no name of a folder in this directory", path,
                       module_names[kind]);
    if (kind == POOLING)
        return read_pooling(&modules->pooling, dir, path, error);
    if (kind == DENSE)
        strcpy(modules->dense, path);
    modules->normalize = kind == NORMALIZE;
    return SB_OK;
}

enum sb_status sb_modules_from_json(struct sb_modules *modules, const char *dir, const cJSON *json,
                                    struct sb_error *error)
{
    int last = -1;
    const cJSON *item;
    *modules = (struct sb_modules){.present = true};
    if (!cJSON_IsArray(json))
        return sb_fail(error, SB_INVALID, "it is not a JSON array");
    enum sb_status status = SB_OK;
    cJSON_ArrayForEach(item, json)
    {
        status = read_module(modules, &last, dir, item, error);
        if (status != SB_OK)
            return status;
    }
    return last >= POOLING ? SB_OK : sb_fail(error, SB_INVALID, "there is no Pooling module");
}

enum sb_status sb_modules_read(struct sb_modules *modules, const char *dir, struct sb_error *error)
{
    cJSON *json = NULL;
    *modules = (struct sb_modules){0};
    char *path = sb_path_join(dir, "modules.json");
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to look into %s", dir);
    enum sb_status status = SB_OK;
    if (sb_file_exists(path)) {
        status = sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error);
        if (status == SB_OK) {
            status = sb_modules_from_json(modules, dir, json, error);
            if (status != SB_OK)
                status = sb_fail_context(error, status, "%s", path);
        }
    }
    cJSON_Delete(json);
    free(path);
    return status;
}
