/*
 * Where a store keeps its collections: one table of functions a database, and a store that begins with a pointer to its
 * own. The calls of retrieval/store.h, retrieval/search_text.h and retrieval/reembed.h, which say what each must do, go
 * through it (retrieval/engine.c). Only retrieval/ includes this.
 *
 * The calls of a table take the `struct sb_store *` that its open made: to the outside always that, within an engine
 * whatever struct begins with a struct sb_store_base.
 */
#ifndef SB_RETRIEVAL_ENGINE_H
#define SB_RETRIEVAL_ENGINE_H

#include "retrieval/reembed.h"
#include "retrieval/search_text.h"
#include "retrieval/store.h"

struct sb_store_engine {
    void (*close)(struct sb_store *store);
    enum sb_status (*create)(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                             struct sb_error *error);
    enum sb_status (*describe)(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                               struct sb_error *error);
    enum sb_status (*list)(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                           struct sb_error *error);
    enum sb_status (*drop)(struct sb_store *store, const char *collection, struct sb_error *error);
    enum sb_status (*alias_set)(struct sb_store *store, const char *alias, const char *collection,
                                struct sb_error *error);
    enum sb_status (*alias_delete)(struct sb_store *store, const char *alias, struct sb_error *error);
    enum sb_status (*alias_list)(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                 struct sb_error *error);
    enum sb_status (*upsert)(struct sb_store *store, const char *collection, const char *model_hash,
                             const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                             struct sb_error *error);
    enum sb_status (*get)(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                          struct sb_error *error);
    enum sb_status (*scroll)(struct sb_store *store, const char *collection, const char *after, size_t limit,
                             struct sb_sentences *out, struct sb_error *error);
    enum sb_status (*visit)(struct sb_store *store, const char *collection, sb_visit visit, void *context,
                            struct sb_error *error);
    enum sb_status (*remove)(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                             size_t *deleted, struct sb_error *error);
    enum sb_status (*search)(struct sb_store *store, const char *collection, const struct sb_search *search,
                             struct sb_search_results *results, struct sb_error *error);
    enum sb_status (*search_text)(struct sb_store *store, const char *collection, const struct sb_text_search *search,
                                  struct sb_search_results *results, struct sb_error *error);
    void (*set_approximate_from)(struct sb_store *store, size_t sentences);
    void (*search_stats)(struct sb_store *store, struct sb_search_stats *stats);
    enum sb_status (*reembed_begin)(struct sb_store *store, const char *collection, const char *model_name,
                                    const char *model_hash, int dimensions, struct sb_error *error);
    enum sb_status (*reembed_cancel)(struct sb_store *store, const char *collection, struct sb_error *error);
    enum sb_status (*reembed_progress)(struct sb_store *store, const char *collection,
                                       struct sb_reembed_progress *progress, struct sb_error *error);
    enum sb_status (*reembed_step)(struct sb_store *store, const char *collection, size_t most, sb_embed_texts embed,
                                   void *context, enum sb_reembed_state *state, struct sb_error *error);
};

struct sb_store_base {
    const struct sb_store_engine *engine;
};

#endif
