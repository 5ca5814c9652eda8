/*
 * The store over SQLite: its calls, by the names of the table in retrieval/engine.h. Only retrieval/ includes this.
 */
#ifndef SB_RETRIEVAL_SQLITE_H
#define SB_RETRIEVAL_SQLITE_H

#include "retrieval/engine.h"

extern const struct sb_store_engine sb_sqlite_engine;

SB_MUST_CHECK enum sb_status sb_sqlite_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                                            struct sb_error *error);
void sb_sqlite_close(struct sb_store *store);
SB_MUST_CHECK enum sb_status sb_sqlite_create(struct sb_store *store, const struct sb_collection_info *info,
                                              bool *created, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_describe(struct sb_store *store, const char *collection,
                                                struct sb_collection_info *info, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                                            struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_drop(struct sb_store *store, const char *collection, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_alias_set(struct sb_store *store, const char *alias, const char *collection,
                                                 struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_alias_delete(struct sb_store *store, const char *alias, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                                  struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                                              const struct sb_sentence *sentences, size_t n, size_t *inserted,
                                              size_t *updated, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_get(struct sb_store *store, const char *collection, const char *id,
                                           struct sb_sentences *out, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_scroll(struct sb_store *store, const char *collection, const char *after,
                                              size_t limit, struct sb_sentences *out, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_visit(struct sb_store *store, const char *collection,
                                             sb_visit visit, void *context, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_delete(struct sb_store *store, const char *collection, const char *const *ids,
                                              size_t n, size_t *deleted, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_search(struct sb_store *store, const char *collection,
                                              const struct sb_search *search, struct sb_search_results *results,
                                              struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_search_text(struct sb_store *store, const char *collection,
                                                   const struct sb_text_search *search,
                                                   struct sb_search_results *results, struct sb_error *error);
void sb_sqlite_set_approximate_from(struct sb_store *store, size_t sentences);
void sb_sqlite_search_stats(struct sb_store *store, struct sb_search_stats *stats);
SB_MUST_CHECK enum sb_status sb_sqlite_reembed_begin(struct sb_store *store, const char *collection,
                                                     const char *model_name, const char *model_hash, int dimensions,
                                                     struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_reembed_cancel(struct sb_store *store, const char *collection,
                                                      struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_reembed_progress(struct sb_store *store, const char *collection,
                                                        struct sb_reembed_progress *progress, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sqlite_reembed_step(struct sb_store *store, const char *collection, size_t most,
                                                    sb_embed_texts embed, void *context, enum sb_reembed_state *state,
                                                    struct sb_error *error);

#endif
