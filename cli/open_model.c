/* Finding and opening a model. */
#include "cli/open_model.h"

#include "base/cpu.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MODEL "models/simbert-small-zh"

enum { THREADS_MAX = 1024 };

const struct sb_option sb_model_group[] = {
    {"model", "DIR", SB_OPTION_STRING, offsetof(struct sb_model_settings, dir), 0, 0, SB_MODEL_HELP},
    {"dtype", "f32|bf16|int8|auto", SB_OPTION_STRING, offsetof(struct sb_model_settings, dtype), 0, 0,
     "arithmetic of the linear layers; auto is bf16 where the processor computes it (default f32)"},
    {"kernels", "NAME", SB_OPTION_STRING, offsetof(struct sb_model_settings, kernels), 0, 0,
     "kernel variant, see simbert doctor (default the fastest)"},
    {"threads", "N", SB_OPTION_INT, offsetof(struct sb_model_settings, threads), 0, THREADS_MAX,
     "threads that compute; 0 is one a processor; results do not depend on it"},
    {0},
};

/* Where this program lies, without its own name; free() it. */
static char *program_folder(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return strdup(path);
}

static bool exists(const char *path)
{
    return sb_folder_exists(path) || sb_file_exists(path);
}

char *sb_find_shared(const char *path)
{
    static const char *const places[] = {"..", "../share/simbert"};
    if (exists(path))
        return strdup(path);
    char *program = program_folder(), *found = NULL;
    for (size_t i = 0; program && !found && i < sizeof places / sizeof *places; i++) {
        char *place = sb_path_join(program, places[i]);
        found = place ? sb_path_join(place, path) : NULL;
        free(place);
        if (found && !exists(found)) {
            free(found);
            found = NULL;
        }
    }
    free(program);
    return found;
}

enum sb_status sb_find_model(char **dir, const char *named, struct sb_error *error)
{
    *dir = named ? strdup(named) : sb_find_shared(DEFAULT_MODEL);
    if (*dir)
        return SB_OK;
    return sb_fail(error, SB_NOT_FOUND,
                   "no model: %s is neither here nor beside the program; name one with --model DIR or SIMBERT_MODEL",
                   DEFAULT_MODEL);
}

int sb_threads(const struct sb_model_settings *settings)
{
    return settings->threads > 0 ? (int)settings->threads : sb_cpu_count();
}

enum sb_status sb_open_model(struct sb_model **model, const struct sb_model_settings *settings, struct sb_error *error)
{
    char *dir;
    enum sb_status status = sb_find_model(&dir, settings->dir, error);
    if (status != SB_OK)
        return status;
    struct sb_model_options options = {.kernels = settings->kernels, .dtype = settings->dtype};
    options.pool = sb_pool_new(sb_threads(settings));
    status = sb_model_open(model, dir, &options, error);
    sb_pool_free(options.pool);
    free(dir);
    return status;
}
