#include "training/parallel.h"

#include "training/parallel_backend.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sb_parallel {
    const struct sb_parallel_backend *backend; /* NULL: alone */
    void *module;
    int rank, size;
};

enum { PIECE = 1 << 24 }; /* elements of one message */

/* Whether an mpirun started this process: Open MPI, MPICH and Slurm say so. */
static bool is_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_SIZE") || getenv("PMIX_RANK");
}

/* Beside the program (build/), or where `make install` puts it. RTLD_GLOBAL: Open MPI loads components that need its symbols. */
static void *load_module(char *tried, size_t size)
{
    static const char *const places[] = {"simbert-mpi.so", "../lib/simbert/simbert-mpi.so"};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return NULL;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        snprintf(tried, size, "%.*s/%s", (int)(slash - self), self, places[i]);
        void *module = dlopen(tried, RTLD_NOW | RTLD_GLOBAL);
        if (module)
            return module;
    }
    return NULL;
}

static enum sb_status connect_processes(struct sb_parallel *p, struct sb_error *error)
{
    char tried[PATH_MAX + 64] = "simbert-mpi.so";
    p->module = load_module(tried, sizeof tried);
    const char *why = p->module ? "it has no backend" : dlerror();
    p->backend = p->module ? dlsym(p->module, SB_PARALLEL_SYMBOL) : NULL;
    if (!p->backend)
        return sb_fail(error, SB_UNSUPPORTED,
                       "started by mpirun, but MPI can not be loaded (%s: %s): install Open MPI's or MPICH's development "
                       "package and build again",
                       tried, why ? why : "unknown");
    if (!p->backend->start(&p->rank, &p->size))
        return sb_fail(error, SB_INTERNAL, "MPI did not start");
    return SB_OK;
}

enum sb_status sb_parallel_start(struct sb_parallel **parallel, struct sb_error *error)
{
    *parallel = calloc(1, sizeof **parallel);
    if (!*parallel)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    (*parallel)->size = 1;
    enum sb_status status = is_launched() ? connect_processes(*parallel, error) : SB_OK;
    if (status != SB_OK) {
        free(*parallel);
        *parallel = NULL;
    }
    return status;
}

/* The module stays loaded: MPI's libraries do not come off cleanly. */
void sb_parallel_stop(struct sb_parallel *parallel)
{
    if (parallel && parallel->backend)
        parallel->backend->stop();
    free(parallel);
}

int sb_parallel_rank(const struct sb_parallel *parallel)
{
    return parallel ? parallel->rank : 0;
}

int sb_parallel_size(const struct sb_parallel *parallel)
{
    return parallel ? parallel->size : 1;
}

static int piece(size_t count, size_t first)
{
    return (int)(count - first < PIECE ? count - first : PIECE);
}

void sb_parallel_sum(struct sb_parallel *parallel, float *values, size_t count)
{
    for (size_t i = 0; sb_parallel_size(parallel) > 1 && i < count; i += PIECE)
        parallel->backend->sum(values + i, piece(count, i));
}

void sb_parallel_sum_doubles(struct sb_parallel *parallel, double *values, size_t count)
{
    for (size_t i = 0; sb_parallel_size(parallel) > 1 && i < count; i += PIECE)
        parallel->backend->sum_doubles(values + i, piece(count, i));
}

void sb_parallel_gather(struct sb_parallel *parallel, float *values, const size_t *borders)
{
    int size = sb_parallel_size(parallel);
    for (int r = 0; r < size && size > 1; r++)
        for (size_t i = borders[r]; i < borders[r + 1]; i += PIECE)
            parallel->backend->broadcast(values + i, piece(borders[r + 1], i), r);
}
