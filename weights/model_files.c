#include "weights/model_files_impl.h"

#include "base/file.h"
#include "weights/config_impl.h"
#include "weights/grow_impl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum sb_status sb_write_json_file(const char *folder, const char *name, cJSON *json, struct sb_error *error)
{
    char *text = json ? cJSON_Print(json) : NULL, *path = sb_path_join(folder, name);
    enum sb_status status = text && path ? sb_write_file(path, text, strlen(text), error)
                                         : sb_fail(error, SB_NO_MEMORY, "no memory to write %s to %s", name, folder);
    free(path);
    cJSON_free(text);
    cJSON_Delete(json);
    return status;
}

static bool is_tokenizer_file(const char *name)
{
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return length > 6 && strcmp(name + length - 6, ".model") == 0; /* SentencePiece */
}

struct names {
    char **items;
    size_t count, capacity;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static enum sb_status add_name(struct names *names, const char *dir, const char *name, struct sb_error *error)
{
    char *copy = strdup(name);
    if (!copy || !sb_grow((void **)&names->items, &names->capacity, names->count, sizeof *names->items)) {
        free(copy);
        return sb_fail(error, SB_NO_MEMORY, "no memory to look into %s", dir);
    }
    names->items[names->count++] = copy;
    return SB_OK;
}

static enum sb_status list_tokenizer(struct names *names, const char *dir, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    *names = (struct names){0};
    DIR *folder = opendir(dir);
    if (!folder)
        return sb_fail(error, SB_IO, "cannot open the folder %s: %s", dir, strerror(errno));
    for (const struct dirent *entry; status == SB_OK && (entry = readdir(folder)) != NULL;)
        if (is_tokenizer_file(entry->d_name))
            status = add_name(names, dir, entry->d_name, error);
    closedir(folder);
    return status;
}

/* Makes dst/name what src/name is: a copy, or nothing. */
static enum sb_status mirror(const char *src, const char *dst, const char *name, struct sb_error *error)
{
    struct sb_mapping mapping = {0};
    char *from = sb_path_join(src, name), *to = sb_path_join(dst, name);
    enum sb_status status = SB_OK;
    if (!from || !to) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory to copy %s", name);
    } else if (sb_file_exists(from)) {
        status = sb_map_file(&mapping, from, error);
        if (status == SB_OK)
            status = sb_write_file(to, mapping.data, mapping.size, error);
        sb_unmap(&mapping);
    } else if (unlink(to) != 0 && errno != ENOENT) {
        status = sb_fail(error, SB_IO, "cannot remove %s: %s", to, strerror(errno));
    }
    free(from);
    free(to);
    return status;
}

static enum sb_status copy_tokenizer(const char *src, const char *dst, struct sb_error *error)
{
    struct names theirs = {0}, stale = {0};
    enum sb_status status = list_tokenizer(&theirs, src, error);
    if (status == SB_OK && theirs.count > 0)
        status = list_tokenizer(&stale, dst, error);
    for (size_t i = 0; i < stale.count && status == SB_OK; i++)
        status = mirror(src, dst, stale.items[i], error);
    for (size_t i = 0; i < theirs.count && status == SB_OK; i++)
        status = mirror(src, dst, theirs.items[i], error);
    names_free(&theirs);
    names_free(&stale);
    return status;
}

static bool add_module(cJSON *list, const char *kind, const char *path)
{
    char type[80];
    snprintf(type, sizeof type, "sentence_transformers.models.%s", kind);
    int index = cJSON_GetArraySize(list);
    cJSON *module = cJSON_CreateObject();
    bool good = module && cJSON_AddNumberToObject(module, "idx", index) &&
                cJSON_AddStringToObject(module, "path", path) && cJSON_AddStringToObject(module, "type", type);
    if (good && cJSON_AddItemToArray(list, module))
        return true;
    cJSON_Delete(module);
    return false;
}

static cJSON *make_modules(const struct sb_modules *modules)
{
    cJSON *list = cJSON_CreateArray();
    if (list && add_module(list, "Transformer", "") && add_module(list, "Pooling", "1_Pooling") &&
        (!modules->dense[0] || add_module(list, "Dense", SB_DENSE_FOLDER)) &&
        (!modules->normalize || add_module(list, "Normalize", modules->dense[0] ? "3_Normalize" : "2_Normalize")))
        return list;
    cJSON_Delete(list);
    return NULL;
}

static cJSON *make_pooling(const struct sb_config *config)
{
    static const char *const others[] = {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens"};
    cJSON *json = cJSON_CreateObject();
    bool good = json && cJSON_AddNumberToObject(json, "word_embedding_dimension", config->hidden_size) &&
                cJSON_AddBoolToObject(json, "pooling_mode_cls_token", config->pooling == SB_POOL_CLS) &&
                cJSON_AddBoolToObject(json, "pooling_mode_mean_tokens", config->pooling == SB_POOL_MEAN);
    for (int i = 0; i < 2 && good; i++)
        good = cJSON_AddBoolToObject(json, others[i], false) != NULL;
    if (good)
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* The folders get the names that the library gives; the weights of Dense are written by the converter. */
static enum sb_status write_modules(const char *src, const char *dst, const struct sb_config *config,
                                    struct sb_error *error)
{
    struct sb_modules modules;
    enum sb_status status = sb_modules_read(&modules, src, error);
    if (status != SB_OK || !modules.present)
        return status == SB_OK ? mirror(src, dst, "modules.json", error) : status;
    char *pooling = sb_path_join(dst, "1_Pooling");
    status = pooling ? sb_make_folders(pooling, error) : sb_fail(error, SB_NO_MEMORY, "no memory to write to %s", dst);
    if (status == SB_OK)
        status = sb_write_json_file(pooling, "config.json", make_pooling(config), error);
    if (status == SB_OK)
        status = sb_write_json_file(dst, "modules.json", make_modules(&modules), error);
    free(pooling);
    return status;
}

static bool is_same_folder(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

enum sb_status sb_copy_model_files(const char *src, const char *dst, const struct sb_config *config,
                                   struct sb_error *error)
{
    enum sb_status status = SB_OK;
    if (!is_same_folder(src, dst)) {
        status = copy_tokenizer(src, dst, error);
        if (status == SB_OK)
            status = mirror(src, dst, "sentence_bert_config.json", error);
    }
    return status == SB_OK ? write_modules(src, dst, config, error) : status;
}
