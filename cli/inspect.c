/* simbert inspect */
#include "weights/convert.h"
#include "cli/command.h"
#include "cli/output.h"
#include "tokenizer/tokenizer.h"

/* Behind the weights' report: as a line, or as one more member of its object. */
static void add_tokenizer(struct sb_buffer *report, const char *dir, bool json)
{
    struct sb_tokenizer *tokenizer = NULL;
    struct sb_error error;
    bool there = sb_tokenizer_open(&tokenizer, dir, &error) == SB_OK;
    if (json) {
        report->length--; /* the closing brace */
        sb_buffer_text(report, ",\"tokenizer\":");
        if (there)
            sb_buffer_format(report, "{\"kind\":\"%s\",\"vocab_size\":%d,\"joins_ideographs\":%s}}",
                             sb_tokenizer_kind(tokenizer), sb_tokenizer_vocab_size(tokenizer),
                             sb_tokenizer_joins_ideographs(tokenizer) ? "true" : "false");
        else
            sb_buffer_text(report, "null}");
    } else if (there) {
        sb_buffer_format(report, "tokenizer  %s, %d tokens\n", sb_tokenizer_kind(tokenizer),
                         sb_tokenizer_vocab_size(tokenizer));
        if (sb_tokenizer_joins_ideographs(tokenizer))
            sb_buffer_text(report, "           of words: the longest ones, from the left, stand in for those of jieba\n");
    } else {
        sb_buffer_format(report, "tokenizer  none: %s\n", error.message);
    }
    sb_tokenizer_free(tokenizer);
}

static int inspect(const char *dir, bool json, bool check, struct sb_error *error)
{
    struct sb_buffer report = {0};
    bool fits;
    enum sb_status status = sb_inspect(&report, &fits, dir, json, error);
    if (status == SB_OK)
        add_tokenizer(&report, dir, json);
    if (status == SB_OK && report.length > 0 && report.data[report.length - 1] != '\n')
        sb_buffer_text(&report, "\n");
    if (status == SB_OK)
        status = sb_output_write(&report, error);
    sb_buffer_free(&report);
    if (status == SB_OK && check && !fits) {
        sb_fail(error, SB_INVALID, "%s does not fit: the report names the problems", dir);
        return SB_EXIT_FAILURE;
    }
    return sb_exit(status);
}

int sb_command_inspect(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert inspect [OPTION]... DIR\n"
        "\n"
        "Says what the model directory holds: format, configuration, every tensor and what it is used for, the\n"
        "tokenizer; and what does not fit: missing tensors, wrong shapes, damaged or missing data. Reads the directories\n"
        "of Google's BERT and SimBERT, Hugging Face and sentence-transformers.\n";
    static const char examples[] =
        "  simbert inspect models/simbert-small-zh\n"
        "  simbert inspect --check --json chinese_simbert_L-6_H-384_A-12 > report.json && echo it fits\n";
    bool json = false, check = false;
    const struct sb_option options[] = {
        {.name = "json", .type = SB_OPTION_FLAG, .value = &json, .help = "print one JSON object, for programs"},
        {.name = "check", .type = SB_OPTION_FLAG, .value = &check,
         .help = "exit with status 1 if something does not fit"},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {0}};
    int count, exit;
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count != 1) {
        sb_fail(error, SB_INVALID, "it takes one model directory, not %d", count);
        return SB_EXIT_USAGE;
    }
    return inspect(argv[0], json, check, error);
}
