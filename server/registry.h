/*
 * The models that requests can name, one of them the default.
 *
 *     struct sb_registry *registry;
 *     sb_registry_new(&registry, &error);
 *     sb_registry_add(registry, model, &error);                       // the first one is the default
 *     struct sb_model *model = sb_registry_acquire(registry, NULL);   // the default; a name: that one, or NULL
 *     ...
 *     sb_model_release(model);
 *     sb_registry_free(registry);
 *
 * Thread rule: every call from any number of threads, except new and free.
 */
#ifndef SB_SERVER_REGISTRY_H
#define SB_SERVER_REGISTRY_H

#include "base/status.h"
#include "model/model.h"

#include <stdbool.h>

struct sb_registry;

enum { SB_REGISTRY_MAX = 64, SB_MODEL_NAME_MAX = 127 };

SB_MUST_CHECK enum sb_status sb_registry_new(struct sb_registry **registry, struct sb_error *error);
void sb_registry_free(struct sb_registry *registry); /* releases its models; NULL is fine */

/* Keeps a reference of its own. SB_CONFLICT if the name is taken, SB_INVALID if it is empty, too long, or holds
   anything but letters, digits and ".-_:/@", SB_LIMIT after SB_REGISTRY_MAX models. */
SB_MUST_CHECK enum sb_status sb_registry_add(struct sb_registry *registry, struct sb_model *model,
                                             struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_registry_set_default(struct sb_registry *registry, const char *name,
                                                     struct sb_error *error);

/* A reference that the caller releases; NULL if there is no such model. name NULL or "": the default. */
struct sb_model *sb_registry_acquire(struct sb_registry *registry, const char *name);

/* References to all models in the order of adding: the caller releases each. Returns how many. */
size_t sb_registry_list(struct sb_registry *registry, struct sb_model *models[SB_REGISTRY_MAX]);

/* Appends the names, "a, b and c", for messages. */
void sb_registry_names(struct sb_registry *registry, char *text, size_t size);

#endif
