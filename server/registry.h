/*
 * The models that requests can name, one of them the default, and aliases: further names that can be switched from one
 * model to another while requests run.
 *
 *     struct sb_registry *registry;
 *     sb_registry_new(&registry, &error);
 *     sb_registry_add(registry, model, &error);                       // the first one is the default
 *     sb_registry_set_alias(registry, "faq", "simbert-small-zh", &error);
 *     struct sb_model *model = sb_registry_acquire(registry, "faq");  // the model behind it; NULL: the default
 *     ...
 *     sb_model_release(model);
 *     sb_registry_free(registry);
 *
 * A name is looked up once a request, under a lock; from there the request keeps its model by reference. So a switch or
 * a removal never drops a request, nor mixes two models in one: those that began earlier end with the model that they
 * began with, and the last of them frees it.
 *
 * Thread rule: every call from any number of threads, except new and free.
 */
#ifndef SB_SERVER_REGISTRY_H
#define SB_SERVER_REGISTRY_H

#include "base/status.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

struct sb_registry;

enum { SB_REGISTRY_MAX = 64, SB_MODEL_NAME_MAX = 127, SB_ALIASES_MAX = 64 };

/* The alias of this name, if there is one, stands for the model of requests that name none. */
#define SB_DEFAULT_ALIAS "default"

SB_MUST_CHECK enum sb_status sb_registry_new(struct sb_registry **registry, struct sb_error *error);
void sb_registry_free(struct sb_registry *registry); /* releases its models; NULL is fine */

/* ---- models ---- */

/* Keeps a reference of its own. SB_CONFLICT if the name is taken by a model or an alias, SB_INVALID if it is empty, too
   long, or holds anything but letters, digits and ".-_:/@", SB_LIMIT after SB_REGISTRY_MAX models. */
SB_MUST_CHECK enum sb_status sb_registry_add(struct sb_registry *registry, struct sb_model *model,
                                             struct sb_error *error);

/* What the registry remembers of a model beside the model itself. */
struct sb_model_origin {
    char dir[1024];     /* "" when unknown */
    bool fine_tuned;    /* made by a job of this server, which may delete it */
    int64_t created_at; /* seconds since 1970; 0: unknown */
};
SB_MUST_CHECK enum sb_status sb_registry_add_from(struct sb_registry *registry, struct sb_model *model,
                                                  const struct sb_model_origin *origin, struct sb_error *error);
/* False when there is no such model; name may be an alias or NULL as for acquire. */
bool sb_registry_origin(struct sb_registry *registry, const char *name, struct sb_model_origin *origin);

/* Takes a model off the list; requests that run keep it. SB_NOT_FOUND; SB_CONFLICT while it is the default or an alias
   stands for it. */
SB_MUST_CHECK enum sb_status sb_registry_remove(struct sb_registry *registry, const char *name,
                                                struct sb_error *error);
/* name: a model, or an alias, which need not have a model yet. */
SB_MUST_CHECK enum sb_status sb_registry_set_default(struct sb_registry *registry, const char *name,
                                                     struct sb_error *error);
/* Whether a name is fit for a model or an alias. */
SB_MUST_CHECK enum sb_status sb_model_name_check(const char *name, struct sb_error *error);

/* ---- finding ---- */

/* A reference that the caller releases; NULL if there is no such model. name: a model or an alias; NULL or "": the
 * default. */
struct sb_model *sb_registry_acquire(struct sb_registry *registry, const char *name);
/* The first model with these weights (sb_model_hash), whatever it is called; NULL if none is loaded. */
struct sb_model *sb_registry_acquire_hash(struct sb_registry *registry, const char *hash);
/* References to all models in the order of adding: the caller releases each. Returns how many. */
size_t sb_registry_list(struct sb_registry *registry, struct sb_model *models[SB_REGISTRY_MAX]);
/* Appends the names, "a, b and c", for messages. */
void sb_registry_names(struct sb_registry *registry, char *text, size_t size);

/* ---- aliases ---- */

struct sb_model_alias {
    char name[SB_MODEL_NAME_MAX + 1];
    char model[SB_MODEL_NAME_MAX + 1];
    bool resolved; /* the model is served */
};

/* Points the alias at a model, from the next request on. SB_NOT_FOUND: no such model; SB_CONFLICT: a model has this
   name; SB_INVALID: not a name; SB_LIMIT. */
SB_MUST_CHECK enum sb_status sb_registry_set_alias(struct sb_registry *registry, const char *name, const char *model,
                                                   struct sb_error *error);
/* The same for an alias of an earlier run, whose model may be missing: then it has none until the model is added. */
SB_MUST_CHECK enum sb_status sb_registry_restore_alias(struct sb_registry *registry, const char *name,
                                                       const char *model, struct sb_error *error);
bool sb_registry_alias(struct sb_registry *registry, const char *name, struct sb_model_alias *alias);
SB_MUST_CHECK enum sb_status sb_registry_remove_alias(struct sb_registry *registry, const char *name,
                                                      struct sb_error *error);
size_t sb_registry_list_aliases(struct sb_registry *registry, struct sb_model_alias aliases[SB_ALIASES_MAX]);

/* Times that a name was made to stand for another model, or for none: aliases set and removed, models removed. */
int64_t sb_registry_swaps(struct sb_registry *registry);

#endif
