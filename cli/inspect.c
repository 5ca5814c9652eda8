/* simbert inspect */
#include "weights/convert.h"
#include "cli/command.h"
#include "cli/output.h"

static int inspect(const char *dir, bool json, bool check, struct sb_error *error)
{
    struct sb_buffer report = {0};
    bool fits;
    enum sb_status status = sb_inspect(&report, &fits, dir, json, error);
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
        "Says what the model directory holds: format, configuration, every tensor and what it is used for; and what "
        "does\n"
        "not fit: missing tensors, wrong shapes, damaged or missing data. Reads the directories of Google's BERT and\n"
        "SimBERT, Hugging Face and sentence-transformers.\n";
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
