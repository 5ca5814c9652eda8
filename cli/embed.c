/* simbert embed */
#include "cli/command.h"
#include "cli/embed_texts.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/text_options.h"

struct printer {
    bool json;
    size_t dimensions;
    struct sb_buffer out;
};

static enum sb_status print(void *context, const struct sb_text_batch *batch, const float *vectors,
                            struct sb_error *error)
{
    struct printer *p = context;
    for (size_t i = 0; i < batch->count; i++) {
        const float *vector = vectors + i * p->dimensions;
        if (p->json)
            sb_buffer_format(&p->out, "{\"index\":%zu,\"embedding\":[", batch->first + i);
        for (size_t d = 0; d < p->dimensions; d++) {
            if (d)
                sb_buffer_text(&p->out, p->json ? "," : " ");
            sb_buffer_float(&p->out, vector[d]);
        }
        sb_buffer_text(&p->out, p->json ? "]}\n" : "\n");
    }
    return sb_output_write(&p->out, error);
}

static enum sb_status embed(const struct sb_text_choice *choice, const struct sb_model_choice *model_choice,
                            char **arguments, int count, struct sb_error *error)
{
    struct sb_texts *texts = NULL;
    struct sb_model *model = NULL;
    struct printer printer = {.json = choice->json};
    enum sb_status status = sb_texts_open(&texts, arguments, count, choice->input, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, model_choice, error);
    if (status == SB_OK) {
        printer.dimensions = (size_t)sb_model_dimensions(model);
        struct sb_embed_job job = {.model = model,
                                   .threads = sb_model_choice_threads(model_choice),
                                   .texts = texts,
                                   .take = print,
                                   .context = &printer};
        struct sb_progress progress = sb_progress_begin(choice->progress, choice->json, "texts");
        status = sb_embed_texts(&job, &progress, error);
    }
    sb_buffer_free(&printer.out);
    sb_model_release(model);
    sb_texts_close(texts);
    return status;
}

int sb_command_embed(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert embed [OPTION]... [TEXT]...\n"
        "\n"
        "Prints the vector of each text: its numbers on a line, or with --json {\"index\",\"embedding\"}.\n"
        "An empty line is a text too, so that line N of the output belongs to line N of the input.\n"
        "A text that is longer than the model takes is cut at its end.\n";
    static const char examples[] = "  simbert embed 怎么申请退货\n"
                                   "  simbert embed --json < questions.txt > vectors.jsonl\n"
                                   "  xz -dc questions.txt.xz | simbert embed --threads 2 > vectors.txt\n";
    struct sb_text_choice choice = sb_text_choice_defaults();
    struct sb_model_choice model = {0};
    struct sb_option options[SB_TEXT_OPTIONS], model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {{"Options", options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_text_options_table(options, &choice);
    sb_model_options_table(model_options, &model);
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    return sb_exit(embed(&choice, &model, argv, count, error));
}
