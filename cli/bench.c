/* simbert bench */
#include "cli/bench.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/text_options.h"

#include <string.h>

static const struct {
    const char *name;
    sb_bench_run run;
} kinds[] = {
    {"embed", sb_bench_embed},
    {"paraphrase", sb_bench_paraphrase},
    {"train", sb_bench_train},
    {"attention", sb_bench_attention},
    {"tokenize", sb_bench_tokenize},
    {"texts", sb_bench_print_texts},
};

enum sb_status sb_bench_print_texts(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error)
{
    struct sb_bench_input input = {0};
    enum sb_status status = sb_bench_load(&input, bench, sb_bench_sentence_count, error);
    for (size_t i = 0; i < input.count && status == SB_OK; i++)
        sb_buffer_format(out, "%s\n", input.items[i]);
    sb_bench_input_free(&input);
    return status;
}

static int run(const struct sb_bench *bench, char **argv, int count, struct sb_error *error)
{
    sb_bench_run measure = NULL;
    struct sb_buffer out = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && count == 1; i++)
        if (strcmp(argv[0], kinds[i].name) == 0)
            measure = kinds[i].run;
    if (!measure) {
        sb_fail(error, SB_INVALID, "it takes one of embed, paraphrase, train, attention, tokenize, texts%s%s", count ? ", not " : "",
                count ? argv[0] : "");
        return SB_EXIT_USAGE;
    }
    enum sb_status status = measure(&out, bench, error);
    if (status == SB_OK)
        status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    return sb_exit(status);
}

int sb_command_bench(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert bench [OPTION]... embed | paraphrase | train | attention | tokenize | texts\n"
        "\n"
        "Measures speed on this machine, after a warm-up, and reports medians.\n"
        "  embed        many sentences at once, and one at a time; tokenization included\n"
        "  paraphrase   requests for 20 samples, and for 4 beams, of 12 tokens each, on one thread; everything "
        "included\n"
        "  train        steps of SimBERT training, 64 pairs of sentences each; in f32 or bf16\n"
        "  attention    each attention variant made from the model, in rows of 16 to 512 tokens: time and memory of serving\n"
        "               and training\n"
        "  tokenize     text to ids, on one thread\n"
        "  texts        measures nothing: prints the built-in sentences, to measure other programs with them\n";
    static const char examples[] = "  simbert bench embed\n"
                                   "  simbert bench embed --threads 2 --dtype auto --json\n"
                                   "  simbert bench tokenize --input questions.txt --repeat 11\n"
                                   "  simbert bench texts --count 2000 > sentences.txt\n";
    struct sb_bench bench = {.repeat = 5, .model.threads = 1};
    const struct sb_option options[] = {
        {.name = "input", .type = SB_OPTION_TEXT, .value = &bench.input, .argument = "FILE",
         .default_text = "built-in questions of 11 characters on average", .help = "measure with the lines of FILE"},
        {.name = "count", .type = SB_OPTION_SIZE, .value = &bench.count, .low = 0, .high = 1 << 20, .argument = "N",
         .default_text = "0, all of FILE, or 2000 built-in ones, 20 for paraphrases",
         .help = "texts to measure with"},
        {.name = "repeat", .type = SB_OPTION_INT, .value = &bench.repeat, .low = 1, .high = 1000, .argument = "N",
         .help = "measurements"},
        {.name = "json", .type = SB_OPTION_FLAG, .value = &bench.json, .help = SB_JSON_HELP},
        {0},
    };
    struct sb_option model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {{"Options", options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_model_options_table(model_options, &bench.model);
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    return run(&bench, argv, count, error);
}
