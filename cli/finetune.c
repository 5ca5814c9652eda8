/* simbert finetune */
#include "cli/finetune.h"

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/progress.h"
#include "training/resized_model.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

enum { EXIT_STOPPED = 75 }; /* EX_TEMPFAIL: the same command goes on */

struct settings {
    const char *model, *output, *recipe, *job, *dtype, *progress;
    struct sb_option_list train, evaluate;
    int threads;
};

/* What a job's file says, in the terms of the command line; strings point into json. */
struct job {
    cJSON *json;
    char *checkpoints;
    const cJSON *recipe;
};

/* The recipe as JSON: the file, a job's object, or nothing; with the evaluation files of the command line. */
static enum sb_status recipe_text(char **text, const struct settings *s, const struct job *job, struct sb_error *error)
{
    cJSON *json = NULL;
    enum sb_status status = SB_OK;
    *text = NULL;
    if (s->recipe)
        status = sb_json_read_file(&json, s->recipe, SB_RECIPE_MAX_BYTES, error);
    else
        json = job->recipe ? cJSON_Duplicate(job->recipe, true) : cJSON_CreateObject();
    if (status != SB_OK)
        return status;
    if (s->evaluate.count && cJSON_IsObject(json)) {
        cJSON *evaluation = cJSON_GetObjectItemCaseSensitive(json, "evaluation");
        if (!evaluation)
            evaluation = cJSON_AddObjectToObject(json, "evaluation");
        cJSON_DeleteItemFromObjectCaseSensitive(evaluation, "files");
        cJSON *files = cJSON_AddArrayToObject(evaluation, "files");
        for (size_t i = 0; i < s->evaluate.count; i++)
            cJSON_AddItemToArray(files, cJSON_CreateString(s->evaluate.items[i]));
    }
    *text = cJSON_Print(json);
    cJSON_Delete(json);
    return *text ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the recipe");
}

static enum sb_status add_training_files(struct sb_recipe *recipe, const struct settings *s, const char *model,
                                         struct sb_error *error)
{
    struct sb_data_file *files = calloc(s->train.count, sizeof *files);
    struct sb_weights *weights = NULL;
    if (!files)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the list of files");
    for (size_t i = 0; i < s->train.count; i++)
        files[i].path = s->train.items[i];
    enum sb_status status = sb_weights_open(&weights, model, error);
    if (status == SB_OK)
        status = sb_recipe_train_on(recipe, files, s->train.count, sb_weights_has_mlm(weights), error);
    sb_weights_close(weights);
    free(files);
    return status;
}

static enum sb_status make_recipe(struct sb_recipe **recipe, const struct settings *s, const struct job *job,
                                  const char *model, struct sb_error *error)
{
    char *text;
    *recipe = NULL;
    enum sb_status status = recipe_text(&text, s, job, error);
    if (status == SB_OK)
        status = sb_recipe_read(recipe, text, strlen(text), error);
    free(text);
    if (status != SB_OK)
        return s->recipe ? sb_fail_context(error, status, "%s", s->recipe) : status;
    if (s->train.count)
        status = add_training_files(*recipe, s, model, error);
    return status == SB_OK ? sb_recipe_resolve(*recipe, error) : status;
}

/* With "resize" in the recipe training begins with a model of other sizes, made below the checkpoints. *start is malloc'd. */
static enum sb_status resize(char **start, const char *model, const char *checkpoints, const struct sb_recipe *recipe,
                             struct sb_error *error)
{
    struct sb_model_sizes sizes = {.hidden_size = (int)recipe->resize.hidden_size,
                                   .attention_key_size = (int)recipe->resize.attention_key_size,
                                   .intermediate_size = (int)recipe->resize.intermediate_size,
                                   .attention_parts = recipe->resize.attention_parts.items,
                                   .attention_part_count = (int)recipe->resize.attention_parts.count,
                                   .factor_a = (int)recipe->resize.factor_a,
                                   .factor_b = (int)recipe->resize.factor_b,
                                   .factor_rank = (int)recipe->resize.factor_rank,
                                   .vocabulary = recipe->resize.vocabulary};
    bool changes = sizes.hidden_size || sizes.attention_key_size || sizes.intermediate_size ||
                   sizes.attention_part_count || sizes.vocabulary;
    *start = changes ? sb_path_join(checkpoints, "resized") : strdup(model);
    if (!*start)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    return changes ? sb_resize_model(model, *start, &sizes, error) : SB_OK;
}

static enum sb_status train(const struct settings *s, const struct job *job, struct sb_error *error)
{
    char *model = NULL, *checkpoints = NULL, *start = NULL;
    struct sb_recipe *recipe = NULL;
    enum sb_status status = sb_model_find(&model, s->model, error);
    if (status == SB_OK)
        status = make_recipe(&recipe, s, job, model, error);
    checkpoints = job->checkpoints ? strdup(job->checkpoints) : sb_path_join(s->output, "checkpoints");
    if (status == SB_OK && !checkpoints)
        status = sb_fail(error, SB_NO_MEMORY, "no memory");
    if (status == SB_OK)
        status = resize(&start, model, checkpoints, recipe, error);
    if (status == SB_OK) {
        struct sb_finetune_task task = {.model = model,
                                        .start = start,
                                        .output = s->output,
                                        .checkpoints = checkpoints,
                                        .is_job = s->job != NULL,
                                        .recipe = recipe,
                                        .progress = s->progress};
        struct sb_model_choice threads = {.threads = s->threads ? s->threads : (int)recipe->threads};
        task.threads = sb_model_choice_threads(&threads);
        sb_dtype_parse(s->dtype, &task.dtype);
        status = sb_finetune_run(&task, error);
    }
    sb_recipe_free(recipe);
    free(start);
    free(checkpoints);
    free(model);
    return status;
}

static bool list_one(struct sb_option_list *list, const char *item)
{
    list->items = calloc(1, sizeof *list->items);
    if (list->items)
        list->items[list->count++] = item;
    return list->items != NULL;
}

/* DIR/job.json, as the server writes it (docs/fine-tuning.md). */
static enum sb_status read_job(struct job *job, struct settings *s, struct sb_error *error)
{
    char *path = sb_path_join(s->job, "job.json");
    const char *validation = NULL, *file = NULL;
    job->checkpoints = sb_path_join(s->job, "checkpoints");
    enum sb_status status = path && job->checkpoints ? sb_json_read_file(&job->json, path, SB_RECIPE_MAX_BYTES, error)
                                                     : sb_fail(error, SB_NO_MEMORY, "no memory");
    if (status == SB_OK) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(job->json, "model");
        s->model = cJSON_GetStringValue(item);
        s->output = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job->json, "output"));
        file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job->json, "train"));
        validation = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job->json, "validation"));
        job->recipe = cJSON_GetObjectItemCaseSensitive(job->json, "recipe");
        if (!s->model || !s->output || !file)
            status = sb_fail(error, SB_INVALID, "%s: \"model\", \"train\" and \"output\" must be texts", path);
    }
    if (status == SB_OK && (!list_one(&s->train, file) || (validation && !list_one(&s->evaluate, validation))))
        status = sb_fail(error, SB_NO_MEMORY, "no memory");
    free(path);
    return status;
}

static int run(struct settings *s, struct sb_error *error)
{
    struct job job = {0};
    enum sb_status status = s->job ? read_job(&job, s, error) : SB_OK;
    if (status == SB_OK)
        status = train(s, &job, error);
    free(job.checkpoints);
    cJSON_Delete(job.json);
    return status == SB_CANCELLED ? EXIT_STOPPED : sb_exit(status);
}

int sb_command_finetune(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert finetune --train FILE --out DIR [OPTION]...\n"
        "\n"
        "Trains the model on your own examples and saves the result as a model directory, with a report\n"
        "(report.html, report.json) in it. What is learnt follows from the file:\n"
        "  {\"text\",\"synonyms\":[...]}, or two texts that mean the same    to embed and to paraphrase (SimBERT)\n"
        "  two texts and a label 0 or 1, or a graded score                to tell same from different\n"
        "  anchor, positive, negative; premise, hypothesis, relation      likewise\n"
        "  {\"messages\":[...]} of OpenAI's fine-tuning                    to write the assistant's answer\n"
        "  one text a line                                                to write it back from noise\n"
        "A recipe says more: losses, optimizer, adversarial training, schedules (docs/recipes.md).\n"
        "\n"
        "Ctrl-C keeps a checkpoint and exits with 75; the same command goes on from there, to the same result.\n";
    static const char examples[] =
        "  simbert finetune --train faq.jsonl --out my-model\n"
        "  simbert finetune --train pairs.tsv --eval dev.tsv --recipe recipe.json --out my-model\n"
        "  simbert serve --model my-model\n"
        "  mpirun -n 2 simbert finetune --train faq.jsonl --threads 1 --out my-model\n";
    struct settings settings = {.dtype = "f16", .progress = "auto"};
    const struct sb_option options[] = {
        {.name = "train", .type = SB_OPTION_LIST, .value = &settings.train, .argument = "FILE",
         .help = "examples to learn from; may be given several times"},
        {.name = "eval", .type = SB_OPTION_LIST, .value = &settings.evaluate, .argument = "FILE",
         .help = "examples to measure with, before and after; never trained on"},
        {.name = "out", .type = SB_OPTION_TEXT, .value = &settings.output, .argument = "DIR",
         .help = "where the new model goes; checkpoints are below it meanwhile"},
        {.name = "recipe", .type = SB_OPTION_TEXT, .value = &settings.recipe, .argument = "FILE",
         .help = "how to train, as JSON (docs/recipes.md)"},
        {.name = "model", .type = SB_OPTION_TEXT, .value = &settings.model, .argument = "DIR",
         .default_text = SB_MODEL_HELP_DEFAULT, .help = "model to begin with"},
        {.name = "save-dtype", .type = SB_OPTION_CHOICE, .value = &settings.dtype, .choices = "f32, f16, bf16",
         .argument = "TYPE", .help = "how the weights are stored"},
        {.name = "threads", .type = SB_OPTION_INT, .value = &settings.threads, .low = 0, .high = 1024, .argument = "N",
         .default_text = "0, as many as there are processors", .help = "threads that compute; changes no result"},
        {.name = "progress", .type = SB_OPTION_CHOICE, .value = &settings.progress, .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN", .help = "show progress on standard error"},
        {.name = "job", .type = SB_OPTION_TEXT, .value = &settings.job, .argument = "DIR",
         .help = "for the server: read DIR/job.json, write events as JSON lines to standard output"},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {0}};
    int count, exit;
    if (sb_command_begin(about, groups, examples, argv, &count, &exit, error)) {
        bool recipe_has_data = settings.recipe && settings.train.count == 0;
        if (count > 0 || (!settings.job && (!settings.output || !(settings.train.count || recipe_has_data)))) {
            sb_fail(error, SB_INVALID, "finetune needs --train FILE, or a --recipe that names its data, and --out DIR%s%s",
                    count ? "; not " : "", count ? argv[0] : "");
            exit = SB_EXIT_USAGE;
        } else {
            exit = run(&settings, error);
        }
    }
    sb_option_list_free(&settings.train);
    sb_option_list_free(&settings.evaluate);
    return exit;
}
