/*
 * Fine-tuned models on disk: <data>/models/<name>/, with "/" of the name as "%2F". What lies there is served.
 *
 *     sb_model_folders_open(registry, &options, &error);                  // all of them, at the start
 *     char *dir = sb_model_folder("data", "ft:small:org:faq:a1b2c3d4");
 *
 * Thread rule: every call from any thread.
 */
#ifndef SB_SERVER_MODEL_FOLDERS_H
#define SB_SERVER_MODEL_FOLDERS_H

#include "server/registry.h"

/* malloc'd; NULL: no memory. */
char *sb_model_folder(const char *data, const char *name);

/* Opens and adds all models of the data directory. One that can not be opened is logged and left out: the others are
   served all the same. */
SB_MUST_CHECK enum sb_status sb_model_folders_open(struct sb_registry *registry, const char *data,
                                                   const struct sb_model_options *options, struct sb_error *error);

/* Removes the folder of a model that is not served any more; after a crash in between, the next open removes the rest. */
SB_MUST_CHECK enum sb_status sb_model_folder_delete(const char *dir, struct sb_error *error);

/* Opens a model and computes a few rows with it, so that its first request finds it warm and a broken one is found
   here. The caller has the reference. */
SB_MUST_CHECK enum sb_status sb_model_open_warm(struct sb_model **model, const char *dir,
                                                const struct sb_model_options *options, struct sb_error *error);

#endif
