#include "server/finetuning_recipe.h"

#include "training/recipe.h"

#include <stdlib.h>
#include <string.h>

/* What a recipe of the command line may name, and one from outside may not. */
static bool names_files(const struct sb_recipe *recipe)
{
    bool names = recipe->evaluation.files.count > 0 || recipe->resize.vocabulary;
    for (size_t i = 0; i < recipe->objectives.count; i++)
        names = names || recipe->objectives.items[i].data.count > 0 || recipe->objectives.items[i].noise.words;
    return names;
}

static enum sb_status place_teacher(cJSON *recipe, const char *teacher, struct sb_registry *registry,
                                    struct sb_error *error)
{
    struct sb_model_origin origin;
    if (!sb_registry_origin(registry, teacher, &origin) || !origin.dir[0])
        return sb_fail(error, SB_INVALID, "recipe.teacher: there is no model \"%.100s\"", teacher);
    char *dir = realpath(origin.dir, NULL);
    cJSON *item = dir ? cJSON_CreateString(dir) : NULL;
    free(dir);
    if (!item || !cJSON_ReplaceItemInObjectCaseSensitive(recipe, "teacher", item))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the recipe");
    return SB_OK;
}

enum sb_status sb_finetuning_recipe(char **text, cJSON *recipe, struct sb_registry *registry, struct sb_error *error)
{
    struct sb_recipe *read = NULL;
    char *printed = cJSON_PrintUnformatted(recipe);
    enum sb_status status = printed ? sb_recipe_read(&read, printed, strlen(printed), error)
                                    : sb_fail(error, SB_NO_MEMORY, "no memory for the recipe");
    if (status == SB_OK && names_files(read))
        status = sb_fail(error, SB_INVALID,
                         "the recipe names files; training_file and validation_file are the data here");
    if (status == SB_OK && read->teacher)
        status = place_teacher(recipe, read->teacher, registry, error);
    sb_recipe_free(read);
    cJSON_free(printed);
    *text = status == SB_OK ? cJSON_PrintUnformatted(recipe) : NULL;
    return status == SB_OK && !*text ? sb_fail(error, SB_NO_MEMORY, "no memory for the recipe") : status;
}

enum sb_status sb_finetuning_default_rate(double *rate, struct sb_error *error)
{
    struct sb_recipe *recipe;
    enum sb_status status = sb_recipe_new(&recipe, error);
    if (status != SB_OK)
        return status;
    *rate = recipe->learning_rate;
    sb_recipe_free(recipe);
    return SB_OK;
}
