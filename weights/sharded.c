/*
 * A checkpoint in several files: NAME.index.json beside them says in which file each tensor is.
 *
 *     {"metadata": {"total_size": 123}, "weight_map": {"bert.pooler.dense.weight": "model-00002-of-00002.safetensors",
 * ...}}
 */
#include "weights/checkpoint_impl.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A shard lies beside the index: a path in its name could reach any file of the machine. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/') &&
           strlen(name) < 256;
}

/* The shard files that the map names, each once, borrowed from the JSON. */
static enum sb_status list_shards(const char **shards, size_t *count, const char *index_path, const cJSON *map,
                                  struct sb_error *error)
{
    const cJSON *item;
    *count = 0;
    cJSON_ArrayForEach(item, map)
    {
        if (!cJSON_IsString(item))
            return sb_fail(error, SB_CORRUPT, "%s: \"%.200s\" in weight_map is not a file name", index_path,
                           item->string);
        if (!is_plain_name(item->valuestring))
            return sb_fail(error, SB_CORRUPT, "%s: \"%.100s\" of tensor \"%.100s\" is no name of a file in this folder",
                           index_path, item->valuestring, item->string);
        size_t known = 0;
        while (known < *count && strcmp(shards[known], item->valuestring) != 0)
            known++;
        if (known < *count)
            continue;
        if (*count == SB_MAX_SHARDS)
            return sb_fail(error, SB_LIMIT, "%s names more than %d files", index_path, SB_MAX_SHARDS);
        shards[(*count)++] = item->valuestring;
    }
    return *count ? SB_OK : sb_fail(error, SB_CORRUPT, "%s: weight_map is empty", index_path);
}

static enum sb_status read_shard(struct sb_checkpoint *checkpoint, const char *folder, const char *index_path,
                                 const char *name, sb_file_reader read, struct sb_error *error)
{
    const struct sb_opened_file *file;
    char *path = sb_path_join(folder, name);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", name);
    enum sb_status status = sb_checkpoint_map(checkpoint, &file, path, error);
    if (status == SB_OK)
        status = read(checkpoint, file->path, file->mapping.data, file->mapping.size, error);
    else
        status = sb_fail_context(error, status, "%s names a shard that can not be read", index_path);
    free(path);
    return status;
}

/* Every tensor of the map is in the file that the map names. */
static enum sb_status check_map(struct sb_checkpoint *checkpoint, const char *index_path, const cJSON *map,
                                struct sb_error *error)
{
    enum sb_status status = sb_checkpoint_finish(checkpoint, error);
    const cJSON *item;
    if (status != SB_OK)
        return status;
    cJSON_ArrayForEach(item, map)
    {
        const struct sb_stored *stored = sb_checkpoint_find_stored(checkpoint, item->string);
        const char *slash = stored ? strrchr(stored->file, '/') : NULL;
        if (!stored || strcmp(slash ? slash + 1 : stored->file, item->valuestring) != 0)
            return sb_fail(error, SB_CORRUPT, "%s: tensor \"%.200s\" is not in %s", index_path, item->string,
                           item->valuestring);
    }
    return SB_OK;
}

enum sb_status sb_sharded_read(struct sb_checkpoint *checkpoint, const char *folder, const char *index_name,
                               const char *format, sb_file_reader read, struct sb_error *error)
{
    enum sb_status status;
    cJSON *json = NULL;
    size_t count = 0;
    const char **shards = calloc(SB_MAX_SHARDS, sizeof *shards);
    char *index_path = sb_path_join(folder, index_name);
    if (!index_path || !shards) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory to open %s", folder);
        goto cleanup;
    }
    status = sb_json_read_file(&json, index_path, SB_MAX_INDEX_BYTES, error);
    if (status != SB_OK)
        goto cleanup;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    if (!cJSON_IsObject(map)) {
        status = sb_fail(error, SB_CORRUPT, "%s: \"weight_map\" is missing or not an object", index_path);
        goto cleanup;
    }
    status = list_shards(shards, &count, index_path, map, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = read_shard(checkpoint, folder, index_path, shards[i], read, error);
    if (status == SB_OK)
        status = check_map(checkpoint, index_path, map, error);
    snprintf(checkpoint->format, sizeof checkpoint->format, "%s (%zu shard%s)", format, count, count == 1 ? "" : "s");
cleanup:
    cJSON_Delete(json);
    free(index_path);
    free(shards);
    return status;
}
