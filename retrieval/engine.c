/* Which database a store is opened on, and that every call goes there. */
#include "retrieval/engine.h"

#include "retrieval/postgres.h"
#include "retrieval/sqlite.h"

#include <string.h>

static const struct sb_store_engine *engine_of(const struct sb_store *store)
{
    return ((const struct sb_store_base *)(const void *)store)->engine;
}

bool sb_postgres_is_url(const char *path)
{
    return strncmp(path, "postgresql://", 13) == 0 || strncmp(path, "postgres://", 11) == 0;
}

#ifndef SB_HAVE_LIBPQ
enum sb_status sb_postgres_open(struct sb_store **store, const char *url, struct sb_error *error)
{
    (void)url;
    *store = NULL;
    return sb_fail(error, SB_UNSUPPORTED,
                   "this program was built without libpq, and can not use PostgreSQL; build it anew where libpq-dev is");
}
#endif

enum sb_status sb_store_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                             struct sb_error *error)
{
    return sb_postgres_is_url(path) ? sb_postgres_open(store, path, error)
                                    : sb_sqlite_open(store, path, kernels, error);
}

void sb_store_close(struct sb_store *store)
{
    if (store)
        engine_of(store)->close(store);
}

enum sb_status sb_store_create(struct sb_store *store, const struct sb_collection_info *info, bool *created,
                               struct sb_error *error)
{
    return engine_of(store)->create(store, info, created, error);
}

enum sb_status sb_store_describe(struct sb_store *store, const char *collection, struct sb_collection_info *info,
                                 struct sb_error *error)
{
    return engine_of(store)->describe(store, collection, info, error);
}

enum sb_status sb_store_list(struct sb_store *store, struct sb_collection_info **infos, size_t *count,
                             struct sb_error *error)
{
    return engine_of(store)->list(store, infos, count, error);
}

enum sb_status sb_store_drop(struct sb_store *store, const char *collection, struct sb_error *error)
{
    return engine_of(store)->drop(store, collection, error);
}

enum sb_status sb_store_alias_set(struct sb_store *store, const char *alias, const char *collection,
                                  struct sb_error *error)
{
    return engine_of(store)->alias_set(store, alias, collection, error);
}

enum sb_status sb_store_alias_delete(struct sb_store *store, const char *alias, struct sb_error *error)
{
    return engine_of(store)->alias_delete(store, alias, error);
}

enum sb_status sb_store_alias_list(struct sb_store *store, struct sb_alias **aliases, size_t *count,
                                   struct sb_error *error)
{
    return engine_of(store)->alias_list(store, aliases, count, error);
}

enum sb_status sb_store_upsert(struct sb_store *store, const char *collection, const char *model_hash,
                               const struct sb_sentence *sentences, size_t n, size_t *inserted, size_t *updated,
                               struct sb_error *error)
{
    return engine_of(store)->upsert(store, collection, model_hash, sentences, n, inserted, updated, error);
}

enum sb_status sb_store_get(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                            struct sb_error *error)
{
    return engine_of(store)->get(store, collection, id, out, error);
}

enum sb_status sb_store_scroll(struct sb_store *store, const char *collection, const char *after, size_t limit,
                               struct sb_sentences *out, struct sb_error *error)
{
    return engine_of(store)->scroll(store, collection, after, limit, out, error);
}

enum sb_status sb_store_visit(struct sb_store *store, const char *collection, sb_visit visit, void *context,
                              struct sb_error *error)
{
    return engine_of(store)->visit(store, collection, visit, context, error);
}

enum sb_status sb_store_delete(struct sb_store *store, const char *collection, const char *const *ids, size_t n,
                               size_t *deleted, struct sb_error *error)
{
    return engine_of(store)->remove(store, collection, ids, n, deleted, error);
}

enum sb_status sb_store_search(struct sb_store *store, const char *collection, const struct sb_search *search,
                               struct sb_search_results *results, struct sb_error *error)
{
    return engine_of(store)->search(store, collection, search, results, error);
}

enum sb_status sb_store_search_text(struct sb_store *store, const char *collection, const struct sb_text_search *search,
                                    struct sb_search_results *results, struct sb_error *error)
{
    return engine_of(store)->search_text(store, collection, search, results, error);
}

void sb_store_set_approximate_from(struct sb_store *store, size_t sentences)
{
    engine_of(store)->set_approximate_from(store, sentences);
}

void sb_store_search_stats(struct sb_store *store, struct sb_search_stats *stats)
{
    engine_of(store)->search_stats(store, stats);
}

enum sb_status sb_reembed_begin(struct sb_store *store, const char *collection, const char *model_name,
                                const char *model_hash, int dimensions, struct sb_error *error)
{
    return engine_of(store)->reembed_begin(store, collection, model_name, model_hash, dimensions, error);
}

enum sb_status sb_reembed_cancel(struct sb_store *store, const char *collection, struct sb_error *error)
{
    return engine_of(store)->reembed_cancel(store, collection, error);
}

enum sb_status sb_reembed_progress(struct sb_store *store, const char *collection, struct sb_reembed_progress *progress,
                                   struct sb_error *error)
{
    return engine_of(store)->reembed_progress(store, collection, progress, error);
}

enum sb_status sb_reembed_step(struct sb_store *store, const char *collection, size_t most, sb_embed_texts embed,
                               void *context, enum sb_reembed_state *state, struct sb_error *error)
{
    return engine_of(store)->reembed_step(store, collection, most, embed, context, state, error);
}
