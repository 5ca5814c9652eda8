#include "server/registry.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct sb_model *model;
    struct sb_model_origin origin;
};

struct alias {
    char name[SB_MODEL_NAME_MAX + 1], model[SB_MODEL_NAME_MAX + 1];
};

struct sb_registry {
    pthread_mutex_t lock; /* guards all below */
    struct entry entries[SB_REGISTRY_MAX];
    size_t count;
    struct alias aliases[SB_ALIASES_MAX];
    size_t alias_count;
    char chosen[SB_MODEL_NAME_MAX + 1]; /* the default's name, "" before the first model */
    int64_t swaps;
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
        sb_model_release(registry->entries[i].model);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

enum sb_status sb_model_name_check(const char *name, struct sb_error *error)
{
    size_t length = strlen(name);
    bool good = length >= 1 && length <= SB_MODEL_NAME_MAX;
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)name[i]) || strchr(".-_:/@", name[i]);
    return good ? SB_OK
                : sb_fail(error, SB_INVALID,
                          "model name \"%.200s\": 1 to %d letters, digits and \".-_:/@\" are possible", name,
                          SB_MODEL_NAME_MAX);
}

/* ---- looking up, with the lock held ---- */

/* The index of the model called name; count if there is none. */
static size_t find(const struct sb_registry *registry, const char *name)
{
    size_t i = 0;
    while (i < registry->count && strcmp(sb_model_name(registry->entries[i].model), name) != 0)
        i++;
    return i;
}

static size_t find_alias(const struct sb_registry *registry, const char *name)
{
    size_t i = 0;
    while (i < registry->alias_count && strcmp(registry->aliases[i].name, name) != 0)
        i++;
    return i;
}

/* The model that a name, be it an alias, stands for. */
static size_t resolve(const struct sb_registry *registry, const char *name)
{
    size_t i = find(registry, name), alias;
    if (i == registry->count && (alias = find_alias(registry, name)) < registry->alias_count)
        i = find(registry, registry->aliases[alias].model);
    return i;
}

/* The same with NULL or "" for the default. An alias "default" without its model leaves the one of the start. */
static size_t resolve_or_default(const struct sb_registry *registry, const char *name)
{
    if (name && name[0])
        return resolve(registry, name);
    size_t i = resolve(registry, SB_DEFAULT_ALIAS);
    return i < registry->count ? i : resolve(registry, registry->chosen);
}

static struct sb_model *retained(const struct sb_registry *registry, size_t i)
{
    if (i == registry->count)
        return NULL;
    sb_model_retain(registry->entries[i].model);
    return registry->entries[i].model;
}

/* ---- models ---- */

enum sb_status sb_registry_add_from(struct sb_registry *registry, struct sb_model *model,
                                    const struct sb_model_origin *origin, struct sb_error *error)
{
    const char *name = sb_model_name(model);
    enum sb_status status = sb_model_name_check(name, error);
    if (status != SB_OK)
        return status;
    pthread_mutex_lock(&registry->lock);
    if (find(registry, name) < registry->count)
        status = sb_fail(error, SB_CONFLICT, "two models are called \"%s\"; give one another name with NAME=DIR", name);
    else if (find_alias(registry, name) < registry->alias_count)
        status = sb_fail(error, SB_CONFLICT, "\"%s\" is an alias; give the model another name, or delete the alias",
                         name);
    else if (registry->count == SB_REGISTRY_MAX)
        status = sb_fail(error, SB_LIMIT, "more than %d models", SB_REGISTRY_MAX);
    if (status == SB_OK) {
        sb_model_retain(model);
        if (registry->count == 0)
            snprintf(registry->chosen, sizeof registry->chosen, "%s", name);
        registry->entries[registry->count++] = (struct entry){model, *origin};
    }
    pthread_mutex_unlock(&registry->lock);
    return status;
}

enum sb_status sb_registry_add(struct sb_registry *registry, struct sb_model *model, struct sb_error *error)
{
    return sb_registry_add_from(registry, model, &(struct sb_model_origin){0}, error);
}

bool sb_registry_origin(struct sb_registry *registry, const char *name, struct sb_model_origin *origin)
{
    pthread_mutex_lock(&registry->lock);
    size_t i = resolve_or_default(registry, name);
    bool found = i < registry->count;
    if (found)
        *origin = registry->entries[i].origin;
    pthread_mutex_unlock(&registry->lock);
    return found;
}

/* Why a model that is listed must stay. */
static enum sb_status check_unused(const struct sb_registry *registry, size_t i, struct sb_error *error)
{
    const char *name = sb_model_name(registry->entries[i].model);
    for (size_t a = 0; a < registry->alias_count; a++)
        if (strcmp(registry->aliases[a].model, name) == 0)
            return sb_fail(error, SB_CONFLICT, "model \"%s\" is what the alias \"%s\" stands for; switch or delete it first",
                           name, registry->aliases[a].name);
    return strcmp(registry->chosen, name) == 0
               ? sb_fail(error, SB_CONFLICT, "model \"%s\" is the default of requests that name none", name)
               : SB_OK;
}

enum sb_status sb_registry_remove(struct sb_registry *registry, const char *name, struct sb_error *error)
{
    struct sb_model *model = NULL;
    pthread_mutex_lock(&registry->lock);
    size_t i = find(registry, name);
    enum sb_status status = i < registry->count ? check_unused(registry, i, error)
                                                : sb_fail(error, SB_NOT_FOUND, "there is no model \"%.100s\"", name);
    if (status == SB_OK) {
        model = registry->entries[i].model;
        memmove(&registry->entries[i], &registry->entries[i + 1],
                (--registry->count - i) * sizeof *registry->entries); /* keeps the order of adding */
        registry->swaps++;
    }
    pthread_mutex_unlock(&registry->lock);
    sb_model_release(model);
    return status;
}

enum sb_status sb_registry_set_default(struct sb_registry *registry, const char *name, struct sb_error *error)
{
    pthread_mutex_lock(&registry->lock);
    bool found = find(registry, name) < registry->count || find_alias(registry, name) < registry->alias_count;
    if (found)
        snprintf(registry->chosen, sizeof registry->chosen, "%s", name);
    pthread_mutex_unlock(&registry->lock);
    return found ? SB_OK
                 : sb_fail(error, SB_NOT_FOUND, "the default model \"%s\" is not among the models served", name);
}

/* ---- finding ---- */

struct sb_model *sb_registry_acquire(struct sb_registry *registry, const char *name)
{
    pthread_mutex_lock(&registry->lock);
    struct sb_model *model = retained(registry, resolve_or_default(registry, name));
    pthread_mutex_unlock(&registry->lock);
    return model;
}

struct sb_model *sb_registry_acquire_hash(struct sb_registry *registry, const char *hash)
{
    size_t i = 0;
    pthread_mutex_lock(&registry->lock);
    while (i < registry->count && strcmp(sb_model_hash(registry->entries[i].model), hash) != 0)
        i++;
    struct sb_model *model = retained(registry, i);
    pthread_mutex_unlock(&registry->lock);
    return model;
}

size_t sb_registry_list(struct sb_registry *registry, struct sb_model *models[SB_REGISTRY_MAX])
{
    pthread_mutex_lock(&registry->lock);
    size_t count = registry->count;
    for (size_t i = 0; i < count; i++)
        models[i] = retained(registry, i);
    pthread_mutex_unlock(&registry->lock);
    return count;
}

void sb_registry_names(struct sb_registry *registry, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count && at < size; i++) {
        const char *between = i == 0 ? "" : i + 1 < registry->count ? ", " : " and ";
        at += (size_t)snprintf(text + at, size - at, "%s%s", between, sb_model_name(registry->entries[i].model));
    }
    pthread_mutex_unlock(&registry->lock);
}

/* ---- aliases ---- */

/* With the lock held. */
static enum sb_status put_alias(struct sb_registry *registry, const char *name, const char *model,
                                struct sb_error *error)
{
    size_t i = find_alias(registry, name);
    if (find(registry, name) < registry->count)
        return sb_fail(error, SB_CONFLICT, "\"%s\" is a model; an alias needs a name of its own", name);
    if (i == SB_ALIASES_MAX)
        return sb_fail(error, SB_LIMIT, "more than %d aliases", SB_ALIASES_MAX);
    snprintf(registry->aliases[i].name, sizeof registry->aliases[i].name, "%s", name);
    snprintf(registry->aliases[i].model, sizeof registry->aliases[i].model, "%s", model);
    registry->alias_count += i == registry->alias_count;
    return SB_OK;
}

enum sb_status sb_registry_restore_alias(struct sb_registry *registry, const char *name, const char *model,
                                         struct sb_error *error)
{
    enum sb_status status = sb_model_name_check(name, error);
    if (status == SB_OK)
        status = sb_model_name_check(model, error);
    if (status != SB_OK)
        return status;
    pthread_mutex_lock(&registry->lock);
    status = put_alias(registry, name, model, error);
    pthread_mutex_unlock(&registry->lock);
    return status;
}

enum sb_status sb_registry_set_alias(struct sb_registry *registry, const char *name, const char *model,
                                     struct sb_error *error)
{
    enum sb_status status = sb_model_name_check(name, error);
    if (status != SB_OK)
        return status;
    pthread_mutex_lock(&registry->lock);
    status = find(registry, model) < registry->count
                 ? put_alias(registry, name, model, error)
                 : sb_fail(error, SB_NOT_FOUND, "there is no model \"%.100s\" for an alias to stand for", model);
    registry->swaps += status == SB_OK;
    pthread_mutex_unlock(&registry->lock);
    return status;
}

/* With the lock held. */
static struct sb_model_alias describe_alias(const struct sb_registry *registry, const struct alias *alias)
{
    struct sb_model_alias about = {.resolved = find(registry, alias->model) < registry->count};
    memcpy(about.name, alias->name, sizeof about.name);
    memcpy(about.model, alias->model, sizeof about.model);
    return about;
}

bool sb_registry_alias(struct sb_registry *registry, const char *name, struct sb_model_alias *alias)
{
    pthread_mutex_lock(&registry->lock);
    size_t i = find_alias(registry, name);
    bool found = i < registry->alias_count;
    if (found)
        *alias = describe_alias(registry, &registry->aliases[i]);
    pthread_mutex_unlock(&registry->lock);
    return found;
}

enum sb_status sb_registry_remove_alias(struct sb_registry *registry, const char *name, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    pthread_mutex_lock(&registry->lock);
    size_t i = find_alias(registry, name);
    if (i == registry->alias_count)
        status = sb_fail(error, SB_NOT_FOUND, "there is no alias \"%.100s\"", name);
    else if (strcmp(registry->chosen, name) == 0)
        status = sb_fail(error, SB_CONFLICT, "alias \"%s\" is the default of requests that name no model", name);
    if (status == SB_OK) {
        memmove(&registry->aliases[i], &registry->aliases[i + 1],
                (--registry->alias_count - i) * sizeof *registry->aliases);
        registry->swaps++;
    }
    pthread_mutex_unlock(&registry->lock);
    return status;
}

size_t sb_registry_list_aliases(struct sb_registry *registry, struct sb_model_alias aliases[SB_ALIASES_MAX])
{
    pthread_mutex_lock(&registry->lock);
    size_t count = registry->alias_count;
    for (size_t i = 0; i < count; i++)
        aliases[i] = describe_alias(registry, &registry->aliases[i]);
    pthread_mutex_unlock(&registry->lock);
    return count;
}

int64_t sb_registry_swaps(struct sb_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    int64_t swaps = registry->swaps;
    pthread_mutex_unlock(&registry->lock);
    return swaps;
}
