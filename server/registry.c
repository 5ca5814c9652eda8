#include "server/registry.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sb_registry {
    pthread_mutex_t lock;
    struct sb_model *models[SB_REGISTRY_MAX];
    size_t count, chosen;
};

enum sb_status sb_registry_new(struct sb_registry **registry, struct sb_error *error)
{
    *registry = calloc(1, sizeof **registry);
    if (!*registry)
        return sb_fail(error, SB_NO_MEMORY, "registry: no memory");
    pthread_mutex_init(&(*registry)->lock, NULL);
    return SB_OK;
}

void sb_registry_free(struct sb_registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++)
        sb_model_release(registry->models[i]);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

/* The index of the model called name; count if there is none. */
static size_t find(const struct sb_registry *registry, const char *name)
{
    size_t i = 0;
    while (i < registry->count && strcmp(sb_model_name(registry->models[i]), name) != 0)
        i++;
    return i;
}

static bool name_is_good(const char *name)
{
    size_t length = strlen(name);
    if (length < 1 || length > SB_MODEL_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr(".-_:/@", name[i]))
            return false;
    return true;
}

enum sb_status sb_registry_add(struct sb_registry *registry, struct sb_model *model, struct sb_error *error)
{
    const char *name = sb_model_name(model);
    enum sb_status status = SB_OK;
    if (!name_is_good(name))
        return sb_fail(error, SB_INVALID, "model name \"%s\": 1 to %d letters, digits and \".-_:/@\" are possible",
                       name, SB_MODEL_NAME_MAX);
    pthread_mutex_lock(&registry->lock);
    if (find(registry, name) < registry->count)
        status = sb_fail(error, SB_CONFLICT, "two models are called \"%s\"; give one another name with NAME=DIR", name);
    else if (registry->count == SB_REGISTRY_MAX)
        status = sb_fail(error, SB_LIMIT, "more than %d models", SB_REGISTRY_MAX);
    if (status == SB_OK) {
        sb_model_retain(model);
        registry->models[registry->count++] = model;
    }
    pthread_mutex_unlock(&registry->lock);
    return status;
}

enum sb_status sb_registry_set_default(struct sb_registry *registry, const char *name, struct sb_error *error)
{
    pthread_mutex_lock(&registry->lock);
    size_t i = find(registry, name);
    bool found = i < registry->count;
    if (found)
        registry->chosen = i;
    pthread_mutex_unlock(&registry->lock);
    return found ? SB_OK
                 : sb_fail(error, SB_NOT_FOUND, "the default model \"%s\" is not among the models served", name);
}

struct sb_model *sb_registry_acquire(struct sb_registry *registry, const char *name)
{
    pthread_mutex_lock(&registry->lock);
    size_t i = name && name[0] ? find(registry, name) : registry->chosen;
    struct sb_model *model = i < registry->count ? registry->models[i] : NULL;
    if (model)
        sb_model_retain(model);
    pthread_mutex_unlock(&registry->lock);
    return model;
}

size_t sb_registry_list(struct sb_registry *registry, struct sb_model *models[SB_REGISTRY_MAX])
{
    pthread_mutex_lock(&registry->lock);
    size_t count = registry->count;
    for (size_t i = 0; i < count; i++) {
        models[i] = registry->models[i];
        sb_model_retain(models[i]);
    }
    pthread_mutex_unlock(&registry->lock);
    return count;
}

void sb_registry_names(struct sb_registry *registry, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count && at < size; i++) {
        int n = snprintf(text + at, size - at, "%s%s",
                         i == 0                    ? ""
                         : i + 1 < registry->count ? ", "
                                                   : " and ",
                         sb_model_name(registry->models[i]));
        at += (size_t)n;
    }
    pthread_mutex_unlock(&registry->lock);
}
