#include "server/model_folders.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "model/task.h"
#include "server/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ---- */

char *sb_model_folder(const char *data, const char *name)
{
    static const char middle[] = "/models/";
    size_t size = strlen(data) + sizeof middle + 3 * strlen(name), n;
    char *path = malloc(size);
    if (!path)
        return NULL;
    n = (size_t)snprintf(path, size, "%s%s", data, middle);
    for (; *name; name++) /* the only characters of a name that a file name can not have, or that would hide it */
        n += (size_t)snprintf(path + n, size - n, *name == '/' ? "%%2F" : "%c", *name);
    return path;
}

/* The name of a folder; false when it is none. */
static bool name_of(const char *folder, char name[SB_MODEL_NAME_MAX + 1])
{
    size_t n = 0;
    if (folder[0] == '.')
        return false;
    for (; *folder; folder++) {
        if (n == SB_MODEL_NAME_MAX)
            return false;
        bool slash = strncmp(folder, "%2F", 3) == 0;
        name[n++] = slash ? '/' : *folder;
        folder += slash ? 2 : 0;
    }
    name[n] = '\0';
    return sb_model_name_check(name, NULL) == SB_OK;
}

/* ---- deleting ---- */

static const char deleted_prefix[] = ".deleted-";

enum sb_status sb_model_folder_delete(const char *dir, struct sb_error *error)
{
    const char *slash = strrchr(dir, '/');
    char *aside;
    if (!slash || asprintf(&aside, "%.*s/%s%s", (int)(slash - dir), dir, deleted_prefix, slash + 1) < 0)
        return sb_fail(error, SB_NO_MEMORY, "no memory to remove %s", dir);
    enum sb_status status = sb_folder_remove(aside, error); /* what a crash may have left of this name */
    if (status == SB_OK && rename(dir, aside) != 0)
        status = sb_fail(error, SB_IO, "cannot remove %s: %s", dir, strerror(errno));
    if (status == SB_OK)
        status = sb_folder_remove(aside, error);
    free(aside);
    return status;
}

static void remove_deleted(const char *data, const char *folder)
{
    struct sb_error error;
    char *path;
    if (strncmp(folder, deleted_prefix, sizeof deleted_prefix - 1) != 0 ||
        asprintf(&path, "%s/models/%s", data, folder) < 0)
        return;
    if (sb_folder_remove(path, &error) != SB_OK)
        sb_log(SB_LOG_WARN, "server", "%s", error.message);
    free(path);
}

/* ---- warming up ---- */

static enum sb_status compute(struct sb_session *session, struct sb_model *model, struct sb_error *error)
{
    struct sb_input items[] = {{.text = "怎么申请退货？"}, {.text = "今天天气不错"}, {.text = "a"}};
    enum { TEXTS = sizeof items / sizeof *items };
    const struct sb_inputs inputs = {.items = items, .count = TEXTS, .is_list = true};
    struct sb_rows rows = {0};
    struct sb_task *task = NULL;
    for (size_t i = 0; i < TEXTS; i++)
        items[i].size = strlen(items[i].text);
    enum sb_status status =
        sb_rows_encode(&rows, model, &inputs, &(struct sb_encode_options){.truncate = true}, error);
    if (status == SB_OK)
        status = sb_embed_task_new(&task, model, rows.items, rows.count, error);
    if (status == SB_OK)
        status = sb_task_run(task, session, error);
    const float *vectors = status == SB_OK ? sb_embed_task_vectors(task) : NULL;
    for (size_t i = 0; vectors && i < TEXTS * (size_t)sb_model_dimensions(model) && status == SB_OK; i++)
        if (!isfinite(vectors[i]))
            status = sb_fail(error, SB_CORRUPT, "the model computes vectors that are not numbers");
    sb_task_free(task);
    sb_rows_free(&rows);
    return status;
}

enum sb_status sb_model_open_warm(struct sb_model **model, const char *dir, const struct sb_model_options *options,
                                  struct sb_error *error)
{
    struct sb_session *session = NULL;
    enum sb_status status = sb_model_open(model, dir, options, error);
    if (status != SB_OK)
        return status;
    status = sb_session_new(&session, *model, NULL, error);
    if (status == SB_OK)
        status = compute(session, *model, error);
    sb_session_free(session);
    if (status != SB_OK) {
        sb_model_release(*model);
        *model = NULL;
    }
    return status;
}

/* ---- all of them ---- */

static enum sb_status add(struct sb_registry *registry, const char *dir, const struct sb_model_options *options,
                          struct sb_error *error)
{
    struct sb_model *model;
    struct sb_model_origin origin = {.fine_tuned = true};
    struct stat about;
    int64_t start = sb_now_ns();
    if (stat(dir, &about) == 0)
        origin.created_at = about.st_mtime;
    snprintf(origin.dir, sizeof origin.dir, "%s", dir);
    enum sb_status status = sb_model_open_warm(&model, dir, options, error);
    if (status != SB_OK)
        return status;
    status = sb_registry_add_from(registry, model, &origin, error);
    if (status == SB_OK)
        sb_log(SB_LOG_INFO, "server", "model %s: fine-tuned, %.0f MB in %.0f ms", options->name,
               (double)sb_model_bytes(model) / 1e6, (double)(sb_now_ns() - start) / 1e6);
    sb_model_release(model);
    return status;
}

static void add_or_log(struct sb_registry *registry, const char *data, const struct sb_model_options *options)
{
    struct sb_error error;
    char *dir = sb_model_folder(data, options->name);
    enum sb_status status = dir ? add(registry, dir, options, &error)
                                : sb_fail(&error, SB_NO_MEMORY, "no memory to open model %s", options->name);
    if (status != SB_OK)
        sb_log(SB_LOG_ERROR, "server", "model %s is not served: %s", options->name, error.message);
    free(dir);
}

enum sb_status sb_model_folders_open(struct sb_registry *registry, const char *data,
                                     const struct sb_model_options *options, struct sb_error *error)
{
    struct sb_model_options named = *options;
    char name[SB_MODEL_NAME_MAX + 1];
    struct dirent **entries = NULL;
    char *folder = sb_path_join(data, "models");
    if (!folder)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open the fine-tuned models");
    int count = scandir(folder, &entries, NULL, alphasort);
    enum sb_status status =
        count >= 0 || errno == ENOENT ? SB_OK : sb_fail(error, SB_IO, "cannot read %s: %s", folder, strerror(errno));
    free(folder);
    named.name = name;
    for (int i = 0; i < count; i++) {
        remove_deleted(data, entries[i]->d_name);
        if (name_of(entries[i]->d_name, name))
            add_or_log(registry, data, &named);
        free(entries[i]);
    }
    free(entries);
    return status;
}
