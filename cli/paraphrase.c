/* simbert paraphrase */
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/paraphrase_options.h"
#include "cli/progress.h"
#include "cli/text_options.h"
#include "cli/texts.h"
#include "cli/workers.h"

#include <stdlib.h>

struct settings {
    struct sb_paraphrase_choice paraphrases;
    struct sb_text_choice texts;
    struct sb_model_choice model;
};

/* One batch of texts that threads work on, each writing into a buffer of its text. */
struct work {
    const struct settings *settings;
    struct sb_texts *texts;
    struct sb_text_batch batch;
    struct sb_buffer *results; /* [most] */
    size_t most;
};

static void put_json(struct sb_buffer *out, struct sb_text text, const struct sb_paraphrase *candidates, size_t count)
{
    sb_buffer_text(out, "{\"text\":");
    sb_buffer_json_string(out, text.text, text.size);
    sb_buffer_text(out, ",\"candidates\":[");
    for (size_t i = 0; i < count; i++) {
        const struct sb_paraphrase *c = &candidates[i];
        sb_buffer_format(out, "%s{\"text\":", i ? "," : "");
        sb_buffer_json_string(out, c->text, c->size);
        sb_buffer_text(out, ",\"similarity\":");
        sb_buffer_float(out, (float)c->similarity);
        sb_buffer_text(out, ",\"logprob\":");
        sb_buffer_float(out, (float)c->logprob);
        sb_buffer_format(out, ",\"edit_distance\":%d,\"finish_reason\":\"%s\"}", c->edit_distance,
                         c->stopped ? "stop" : "length");
    }
    sb_buffer_text(out, "]}\n");
}

static void put_text(struct sb_buffer *out, struct sb_text text, const struct sb_paraphrase *candidates, size_t count)
{
    sb_buffer_bytes(out, text.text, text.size);
    sb_buffer_text(out, "\n");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_format(out, "  %.4f  ", candidates[i].similarity);
        sb_buffer_bytes(out, candidates[i].text, candidates[i].size);
        sb_buffer_text(out, "\n");
    }
}

static enum sb_status write_one(void *context, size_t index, struct sb_workers *workers, int worker,
                                struct sb_error *error)
{
    struct work *work = context;
    struct sb_text text = sb_text_at(&work->batch, index);
    struct sb_task *task = NULL;
    size_t count;
    enum sb_status status = sb_paraphrase_task_new(&task, workers->model, text.text, text.size,
                                                   &work->settings->paraphrases.options, error);
    if (status == SB_OK)
        status = sb_task_run(task, workers->sessions[worker], error);
    if (status == SB_OK) {
        const struct sb_paraphrase *candidates = sb_paraphrase_task_results(task, &count);
        if (work->settings->texts.json)
            put_json(&work->results[index], text, candidates, count);
        else
            put_text(&work->results[index], text, candidates, count);
    } else {
        char name[300];
        sb_texts_name(work->texts, work->batch.first + index, name, sizeof name);
        sb_fail_context(error, status, "%s", name);
    }
    sb_task_free(task);
    return status;
}

static enum sb_status write_all(struct work *work, struct sb_workers *workers, struct sb_error *error)
{
    const struct sb_text_choice *choice = &work->settings->texts;
    struct sb_progress progress = sb_progress_begin(choice->progress, choice->json, "texts");
    enum sb_status status = SB_OK;
    while (status == SB_OK) {
        status = sb_texts_read(work->texts, &work->batch, work->most, error);
        if (status != SB_OK || work->batch.count == 0)
            break;
        status = sb_workers_run(workers, work->batch.count, write_one, work, error);
        for (size_t i = 0; i < work->batch.count && status == SB_OK; i++)
            status = sb_output_write(&work->results[i], error);
        sb_progress_update(&progress, work->batch.first + work->batch.count);
    }
    sb_progress_end(&progress);
    return status;
}

static enum sb_status run(struct settings *settings, char **arguments, int count, struct sb_error *error)
{
    struct work work = {.settings = settings};
    struct sb_model *model = NULL;
    struct sb_workers *workers = NULL;
    enum sb_status status = sb_texts_open(&work.texts, arguments, count, settings->texts.input, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, &settings->model, error);
    if (status == SB_OK)
        status = sb_paraphrase_choice_resolve(&settings->paraphrases, model, error);
    if (status == SB_OK)
        status = sb_workers_new(&workers, model, sb_model_choice_threads(&settings->model), error);
    if (status == SB_OK) {
        work.most = (size_t)workers->threads * 4;
        work.results = calloc(work.most, sizeof *work.results);
        status =
            work.results ? write_all(&work, workers, error) : sb_fail(error, SB_NO_MEMORY, "no memory for the results");
    }
    for (size_t i = 0; i < work.most && work.results; i++)
        sb_buffer_free(&work.results[i]);
    free(work.results);
    sb_text_batch_free(&work.batch);
    sb_workers_free(workers);
    sb_model_release(model);
    sb_texts_close(work.texts);
    return status;
}

int sb_command_paraphrase(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert paraphrase [OPTION]... [TEXT]...\n"
        "\n"
        "Says each text in other words: writes candidates, drops copies and duplicates, and prints the n best, each "
        "behind\n"
        "its similarity to the text, which is the cosine of their vectors. With --json a text's result is\n"
        "{\"text\",\"candidates\":[{\"text\",\"similarity\",\"logprob\",\"edit_distance\",\"finish_reason\"}]}.\n";
    static const char examples[] =
        "  simbert paraphrase 怎么申请退货\n"
        "  simbert paraphrase --n 5 --min-similarity 0.9 --json < questions.txt\n"
        "  simbert paraphrase --num-beams 8 --num-beam-groups 4 --diversity-penalty 1 怎么申请退货\n"
        "  simbert paraphrase --mask 2:4 --seed 7 怎么申请退货\n";
    struct settings settings = {.paraphrases = sb_paraphrase_choice_defaults(), .texts = sb_text_choice_defaults()};
    struct sb_option options[SB_PARAPHRASE_OPTIONS], text_options[SB_TEXT_OPTIONS], model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {
        {"Paraphrases", options}, {"Options", text_options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_paraphrase_options_table(options, &settings.paraphrases);
    sb_text_options_table(text_options, &settings.texts);
    sb_model_options_table(model_options, &settings.model);
    if (sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        exit = sb_exit(run(&settings, argv, count, error));
    sb_paraphrase_choice_free(&settings.paraphrases);
    return exit;
}
