#include "cli/model_choice.h"

#include "base/cpu.h"
#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIPPED "models/simbert-small-zh"

void sb_model_options_table(struct sb_option table[SB_MODEL_OPTIONS], struct sb_model_choice *choice)
{
    const struct sb_option options[SB_MODEL_OPTIONS] = {
        {.name = "model", .type = SB_OPTION_TEXT, .value = &choice->dir, .argument = "DIR",
         .default_text = SB_MODEL_HELP_DEFAULT, .help = "model directory"},
        {.name = "kernels", .type = SB_OPTION_TEXT, .value = &choice->kernels, .argument = "NAME",
         .default_text = "the fastest", .help = SB_KERNELS_HELP},
        {.name = "dtype", .type = SB_OPTION_CHOICE, .value = &choice->dtype, .choices = SB_DTYPE_CHOICES,
         .argument = "TYPE", .default_text = "f32", .help = SB_DTYPE_HELP},
        {.name = "threads", .type = SB_OPTION_INT, .value = &choice->threads, .low = 0, .high = 1024, .argument = "N",
         .default_text = choice->threads ? NULL : "0, as many as there are processors",
         .help = "threads that compute"},
    };
    memcpy(table, options, sizeof options);
}

/* The folder of this program, malloc'd; NULL if the system does not say. */
static char *program_folder(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0)
        return NULL;
    path[size] = '\0';
    char *slash = strrchr(path, '/');
    return slash ? strndup(path, (size_t)(slash - path)) : NULL;
}

enum sb_status sb_model_find(char **dir, const char *choice, struct sb_error *error)
{
    static const char *const beside[] = {"../" SHIPPED, "../share/simbert/" SHIPPED};
    if (choice || sb_folder_exists(SHIPPED)) {
        *dir = strdup(choice ? choice : SHIPPED);
        return *dir ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the model's path");
    }
    char *program = program_folder();
    *dir = NULL;
    for (size_t i = 0; program && !*dir && i < sizeof beside / sizeof *beside; i++) {
        *dir = sb_path_join(program, beside[i]);
        if (*dir && !sb_folder_exists(*dir)) {
            free(*dir);
            *dir = NULL;
        }
    }
    if (!*dir)
        sb_fail(error, SB_NOT_FOUND,
                "no model: neither %s, nor %s or %s from %s, exists; name one with --model DIR or $SIMBERT_MODEL",
                SHIPPED, beside[0], beside[1], program ? program : "the program's folder");
    free(program);
    return *dir ? SB_OK : SB_NOT_FOUND;
}

int sb_model_choice_threads(const struct sb_model_choice *choice)
{
    return choice->threads ? choice->threads : sb_cpu_count();
}

enum sb_status sb_model_choice_open(struct sb_model **model, const struct sb_model_choice *choice,
                                    struct sb_error *error)
{
    char *dir;
    *model = NULL;
    enum sb_status status = sb_model_find(&dir, choice->dir, error);
    if (status != SB_OK)
        return status;
    struct sb_pool *pool = sb_pool_new(sb_model_choice_threads(choice));
    struct sb_model_options options = {.kernels = choice->kernels, .dtype = choice->dtype, .pool = pool};
    status = sb_model_open(model, dir, &options, error);
    sb_pool_free(pool);
    free(dir);
    return status;
}
