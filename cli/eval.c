/* simbert eval */
#include "cli/eval.h"
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/text_options.h"
#include "model/decode_options.h"

struct settings {
    struct sb_option_list files;
    struct sb_eval_options eval;
    struct sb_model_choice model;
};

struct sb_eval_options sb_eval_defaults(void)
{
    return (struct sb_eval_options){.threshold = 0.9, .texts = 200, .paraphrases = 10, .seed = 1, .progress = "auto"};
}

enum sb_status sb_eval_file(struct sb_eval_result *result, struct sb_workers *workers, const char *path,
                            const struct sb_eval_options *options, struct sb_error *error)
{
    struct sb_eval_data eval;
    *result = (struct sb_eval_result){.path = path};
    enum sb_status status = sb_eval_data_read(&eval, result, options, error);
    if (status == SB_OK)
        status = sb_eval_similarity(result, &eval, workers, options, error);
    if (status == SB_OK)
        status = sb_eval_generation(result, &eval, workers, options, error);
    sb_eval_data_free(&eval);
    return status;
}

static enum sb_status run(const struct settings *settings, struct sb_error *error)
{
    struct sb_model *model = NULL;
    struct sb_workers *workers = NULL;
    struct sb_buffer out = {0};
    enum sb_status status = sb_model_choice_open(&model, &settings->model, error);
    if (status == SB_OK)
        status = sb_workers_new(&workers, model, sb_model_choice_threads(&settings->model), error);
    for (size_t i = 0; i < settings->files.count && status == SB_OK; i++) {
        struct sb_eval_result result;
        status = sb_eval_file(&result, workers, settings->files.items[i], &settings->eval, error);
        if (status != SB_OK)
            break;
        (settings->eval.json ? sb_eval_put_json : sb_eval_put_table)(&out, &result, model);
        status = sb_output_write(&out, error);
    }
    sb_buffer_free(&out);
    sb_workers_free(workers);
    sb_model_release(model);
    return status;
}

int sb_command_eval(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert eval --pairs FILE [OPTION]...\n"
        "\n"
        "Measures a model on examples that it was not trained on. What is measured depends on the file:\n"
        "  two texts and a label 0 or 1     similarity (Spearman, Pearson, AUC, accuracy); of the pairs with 1 also\n"
        "                                   retrieval, likelihood and paraphrases\n"
        "  two texts and a graded score     similarity (Spearman, Pearson)\n"
        "  {\"text\",\"synonyms\":[...]}        retrieval, likelihood and paraphrases\n"
        "Lines are tab-separated or JSON, also compressed (.gz, .xz). A line that is neither is an error.\n"
        "\n"
        "  retrieval    every first text looks for its others among all texts of the file: MRR and recall@k\n"
        "  likelihood   nats a token of the given paraphrase behind its text, and the gap between doing so behind the\n"
        "               given words and behind the model's own; and what it writes greedily and by beam search\n"
        "  paraphrases  sampled (top_k 5): how many are copies, how near and how different the others are\n"
        "docs/eval.md defines them.\n";
    static const char examples[] = "  simbert eval --pairs dev.tsv\n"
                                   "  simbert eval --model my-model --pairs dev.tsv --pairs faq.jsonl --json\n"
                                   "  simbert eval --pairs dev.tsv --limit 2000 --texts 50 --paraphrases 20\n"
                                   "  simbert eval --pairs dev.tsv --texts 0\n";
    struct settings settings = {.eval = sb_eval_defaults()};
    settings.eval.decodes = true;
    const struct sb_option options[] = {
        {.name = "pairs",
         .type = SB_OPTION_LIST,
         .value = &settings.files,
         .argument = "FILE",
         .help = "examples to measure with; may be given several times"},
        {.name = "limit",
         .type = SB_OPTION_SIZE,
         .value = &settings.eval.limit,
         .low = 0,
         .high = 1 << 30,
         .argument = "N",
         .default_text = "0, all",
         .help = "take N examples of a file, a sample"},
        {.name = "threshold",
         .type = SB_OPTION_DOUBLE,
         .value = &settings.eval.threshold,
         .low = -1,
         .high = 1,
         .argument = "X",
         .help = "cosine above which a pair is the same, for the accuracy beside the best one"},
        {.name = "texts",
         .type = SB_OPTION_SIZE,
         .value = &settings.eval.texts,
         .low = 0,
         .high = 1 << 30,
         .argument = "N",
         .help = "measure likelihood and paraphrases of N texts, a sample; 0: of none"},
        {.name = "paraphrases",
         .type = SB_OPTION_INT,
         .value = &settings.eval.paraphrases,
         .low = 0,
         .high = SB_MAX_SEQUENCES,
         .argument = "N",
         .help = "write N paraphrases of each; 0: none"},
        {.name = "seed",
         .type = SB_OPTION_SIZE,
         .value = &settings.eval.seed,
         .low = 0,
         .high = 0x1p53,
         .argument = "N",
         .help = "names the samples and what is written"},
        {.name = "json", .type = SB_OPTION_FLAG, .value = &settings.eval.json, .help = SB_JSON_HELP},
        {.name = "progress",
         .type = SB_OPTION_CHOICE,
         .value = &settings.eval.progress,
         .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN",
         .help = SB_PROGRESS_HELP},
        {0},
    };
    struct sb_option model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {{"Options", options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_model_options_table(model_options, &settings.model);
    if (sb_command_begin(about, groups, examples, argv, &count, &exit, error)) {
        if (settings.files.count == 0 || count > 0) {
            sb_fail(error, SB_INVALID, "the examples come as --pairs FILE%s%s", count ? ", not as " : "",
                    count ? argv[0] : "");
            exit = SB_EXIT_USAGE;
        } else {
            exit = sb_exit(run(&settings, error));
        }
    }
    sb_option_list_free(&settings.files);
    return exit;
}
