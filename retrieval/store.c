/*
 * Opening and closing the store, and the lock that keeps a second process out.
 */
#include "kernels/kernels.h"
#include "retrieval/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* One process a database: the lock is gone with the process, however it ends. It lies beside the file itself, not
   beside a link to it, so that a database has one lock by whatever name it is opened. */
enum sb_status sb_store_lock(struct sb_store *store, struct sb_error *error)
{
    char *real = realpath(store->path, NULL), *path = NULL;
    int length = asprintf(&path, "%s.lock", real ? real : store->path); /* NULL: the file is still to be made */
    free(real);
    if (length < 0)
        return sb_store_no_memory(store, error);
    enum sb_status status = SB_OK;
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock_file < 0)
        status = sb_fail(error, SB_IO, "%s: %s", path, strerror(errno));
    else if (flock(store->lock_file, LOCK_EX | LOCK_NB) != 0)
        status = errno == EWOULDBLOCK
                     ? sb_fail(error, SB_CONFLICT, "%s: another simbert process has this database open", store->path)
                     : sb_fail(error, SB_IO, "%s: %s", path, strerror(errno));
    free(path);
    return status;
}

struct sb_store *sb_store_new(const char *path)
{
    struct sb_store *store = calloc(1, sizeof *store);
    if (!store || !(store->path = strdup(path))) {
        free(store);
        return NULL;
    }
    store->base.engine = &sb_sqlite_engine;
    pthread_mutex_init(&store->writer, NULL);
    sb_index_lock_init(&store->list);
    store->lock_file = -1;
    atomic_init(&store->approximate_from, SB_APPROXIMATE_FROM);
    sb_recall_init(&store->recall);
    sb_worker_init(&store->worker);
    return store;
}

enum sb_status sb_sqlite_open(struct sb_store **store, const char *path, const struct sb_kernels *kernels,
                              struct sb_error *error)
{
    *store = NULL;
    struct sb_store *s = sb_store_new(path);
    if (!s)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the database", path);
    enum sb_status status = SB_OK;
    const struct sb_kernels *chosen = kernels ? kernels : sb_kernels_choose(NULL, error);
    if (chosen)
        s->kernels = sb_score_kernels_choose(chosen);
    else
        status = error ? error->status : SB_INVALID;
    if (status == SB_OK)
        status = sb_store_lock(s, error);
    if (status == SB_OK)
        status = sb_schema_open(s, error);
    if (status == SB_OK)
        status = sb_collections_load(s, error);
    if (status == SB_OK)
        status = sb_aliases_load(s, error);
    if (status != SB_OK) {
        sb_sqlite_close(s);
        return status;
    }
    *store = s;
    return SB_OK;
}

void sb_sqlite_close(struct sb_store *store)
{
    if (!store)
        return;
    sb_worker_stop(&store->worker);
    for (size_t i = 0; i < store->count; i++)
        sb_ann_finish(store, store->collections[i]);
    for (size_t i = 0; i < store->count; i++)
        sb_collection_release(store->collections[i]);
    free(store->collections);
    free(store->aliases);
    sqlite3_close(store->db);
    if (store->lock_file >= 0)
        close(store->lock_file);
    sb_worker_free(&store->worker);
    sb_recall_free(&store->recall);
    pthread_mutex_destroy(&store->writer);
    pthread_rwlock_destroy(&store->list);
    free(store->path);
    free(store);
}

void sb_sqlite_set_approximate_from(struct sb_store *store, size_t sentences)
{
    atomic_store(&store->approximate_from, sentences);
    sb_worker_wake(store);
}
