#include "study/start.h"

#include "base/file.h"
#include "base/json.h"
#include "model/network.h"
#include "study/merge.h"
#include "weights/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

/* patch is laid over dir/config.json. */
static enum sb_status change_config(const char *dir, const char *patch, struct sb_error *error)
{
    cJSON *json = NULL;
    char *path = sb_path_join(dir, "config.json"), *text = NULL;
    enum sb_status status = path ? sb_json_read_file(&json, path, MAX_CONFIG_BYTES, error)
                                 : sb_fail(error, SB_NO_MEMORY, "%s: no memory for its config", dir);
    if (status == SB_OK)
        status = sb_study_overlay(&json, patch, error);
    if (status == SB_OK && !(text = cJSON_Print(json)))
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for its config", dir);
    if (status == SB_OK)
        status = sb_write_file(path, text, strlen(text), error);
    free(text);
    free(path);
    cJSON_Delete(json);
    return status;
}

/* Layers behind the first ones stay in the file, unread. */
static enum sb_status cut_layers(const char *dir, int layers, struct sb_error *error)
{
    struct sb_config config;
    char patch[64];
    enum sb_status status = sb_config_read(&config, dir, error);
    if (status != SB_OK)
        return status;
    if (layers > config.num_hidden_layers)
        return sb_fail(error, SB_INVALID, "%d layers can not be kept of its %d", layers, config.num_hidden_layers);
    snprintf(patch, sizeof patch, "{\"num_hidden_layers\": %d}", layers);
    return layers ? change_config(dir, patch, error) : SB_OK;
}

static bool is_redrawn(const struct sb_parameter *p, const struct sb_network *old, const char *const *redraws)
{
    const struct sb_parameter *q = sb_parameters_find(sb_network_parameters(old), p->name);
    if (!q || q->rows != p->rows || q->columns != p->columns)
        return true;
    for (size_t i = 0; redraws[i]; i++)
        if (strstr(p->name, redraws[i]))
            return true;
    return false;
}

/* network holds what it shares with the old one; the rest of it is drawn. */
static enum sb_status redraw(struct sb_network *network, const struct sb_network *old,
                             const struct sb_study_start *start, struct sb_error *error)
{
    const struct sb_parameters *parameters = sb_network_parameters(network);
    struct sb_parameter *items = calloc(parameters->count, sizeof *items);
    if (!items)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu parameters", parameters->count);
    memcpy(items, parameters->items, parameters->count * sizeof *items);
    for (size_t i = 0; i < parameters->count; i++)
        items[i].is_new = is_redrawn(&items[i], old, start->redraws);
    struct sb_parameters marked = {.items = items, .count = parameters->count, .size = parameters->size};
    enum sb_status status = sb_initialise_new(sb_network_values(network), &marked, &start->initialiser, error);
    free(items);
    return status;
}

/* dir holds the model; it becomes one of the new config. */
static enum sb_status remake(const struct sb_study_start *start, const char *dir, struct sb_error *error)
{
    struct sb_network *old = NULL, *network = NULL;
    struct sb_config config;
    enum sb_status status = sb_network_open(&old, dir, NULL, error);
    if (status == SB_OK && start->config)
        status = change_config(dir, start->config, error);
    if (status == SB_OK)
        status = sb_config_read(&config, dir, error);
    if (status == SB_OK)
        status = sb_network_like(&network, old, &config, error);
    if (status == SB_OK) {
        sb_network_copy_same(network, old);
        status = redraw(network, old, start, error);
    }
    if (status == SB_OK)
        status = sb_network_save(network, NULL, SB_F32, dir, error);
    sb_network_free(network);
    sb_network_free(old);
    return status;
}

enum sb_status sb_study_make_start(const struct sb_study_start *start, const char *dst, struct sb_error *error)
{
    enum sb_status status = sb_convert(start->model, dst, SB_F32, error);
    if (status == SB_OK)
        status = cut_layers(dst, start->layers, error);
    if (status == SB_OK && start->redraws)
        status = remake(start, dst, error);
    return status == SB_OK ? SB_OK : sb_fail_context(error, status, "the model to start from");
}
