/* simbert embed: the sentence vector of each text. */
#include "cli/command.h"
#include "cli/embedder.h"
#include "cli/open_model.h"
#include "cli/output.h"

struct settings {
    struct sb_model_settings model;
    bool json;
};

static const struct sb_option options[] = {
    {"json", NULL, SB_OPTION_FLAG, offsetof(struct settings, json), 0, 0, "one JSON object a line"},
    {0},
};
static const struct sb_option_group groups[] = {
    {sb_model_group, offsetof(struct settings, model)},
    {options, 0},
    {0},
};

static void print_vector(struct sb_buffer *out, size_t index, const float *vector, size_t n, bool json)
{
    if (json) {
        sb_buffer_format(out, "{\"index\":%zu,\"embedding\":", index);
        sb_buffer_floats(out, vector, n);
        sb_buffer_text(out, "}\n");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        sb_buffer_text(out, i ? " " : "");
        sb_buffer_float(out, vector[i]);
    }
    sb_buffer_text(out, "\n");
}

static enum sb_exit embed_all(struct sb_embedder *embedder, struct sb_texts *texts, bool json)
{
    struct sb_error error;
    struct sb_progress progress;
    struct sb_buffer out = {0};
    enum sb_exit result = SB_EXIT_OK;
    sb_progress_start(&progress, "embed");
    do {
        if (sb_texts_next(texts, &error) != SB_OK ||
            sb_embedder_run(embedder, texts->items, texts->count, &error) != SB_OK) {
            result = sb_exit_failure(&error);
            break;
        }
        for (size_t i = 0; i < texts->count; i++)
            print_vector(&out, texts->first + i, embedder->vectors + i * embedder->dimensions, embedder->dimensions,
                         json);
        if (!sb_output(&out, &error)) {
            result = sb_output_failure(&error);
            break;
        }
        sb_progress_update(&progress, texts->first + texts->count);
    } while (texts->count > 0);
    sb_progress_end(&progress);
    sb_buffer_free(&out);
    return result;
}

static enum sb_exit run(const void *given, const struct sb_arguments *arguments)
{
    const struct settings *settings = given;
    struct sb_error error;
    struct sb_model *model = NULL;
    struct sb_embedder *embedder = NULL;
    struct sb_texts texts;
    enum sb_exit result;
    if (sb_open_model(&model, &settings->model, &error) != SB_OK ||
        sb_embedder_new(&embedder, model, sb_threads(&settings->model), &error) != SB_OK ||
        sb_texts_open(&texts, arguments, NULL, &error) != SB_OK) {
        result = sb_exit_failure(&error);
    } else {
        result = embed_all(embedder, &texts, settings->json);
        sb_embedder_warn(embedder);
        sb_texts_close(&texts);
    }
    sb_embedder_free(embedder);
    sb_model_release(model);
    return result;
}

const struct sb_command sb_command_embed = {
    .name = "embed",
    .summary = "prints the vector of each text",
    .usage = "[TEXT]...",
    .details = "Reads the arguments, or one text a line from standard input. Prints a line of numbers a text, with --json\n"
               "{\"index\":0,\"embedding\":[...]}; index counts the texts from 0.\n",
    .examples = "  simbert embed 花呗怎么还款\n"
                "  simbert embed --json < sentences.txt > vectors.jsonl\n",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .run = run,
};
