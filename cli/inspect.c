/* simbert inspect: what a model directory holds and what does not fit. */
#include "cli/command.h"
#include "cli/open_model.h"
#include "cli/output.h"
#include "weights/convert.h"

#include <stdlib.h>

struct settings {
    bool json;
};

static const struct sb_option options[] = {
    {"json", NULL, SB_OPTION_FLAG, offsetof(struct settings, json), 0, 0, "one JSON object"},
    {0},
};
static const struct sb_option_group groups[] = {{options, 0}, {0}};

static enum sb_exit inspect(const char *dir, bool json)
{
    struct sb_error error;
    struct sb_buffer report = {0};
    bool fits = false;
    enum sb_exit result;
    if (sb_inspect(&report, &fits, dir, json, &error) != SB_OK) {
        result = sb_exit_failure(&error);
    } else {
        if (json && report.length > 0 && report.data[report.length - 1] != '\n')
            sb_buffer_text(&report, "\n");
        result = sb_output(&report, &error) && sb_output_flush(&error) ? SB_EXIT_OK : sb_output_failure(&error);
        if (result == SB_EXIT_OK && !fits)
            result = SB_EXIT_FAILURE;
    }
    sb_buffer_free(&report);
    return result;
}

static enum sb_exit run(const void *given, const struct sb_arguments *arguments)
{
    const struct settings *settings = given;
    struct sb_error error;
    char *dir = NULL;
    if (arguments->count > 1)
        return sb_exit_usage("one directory at a time, not %zu", arguments->count);
    if (sb_find_model(&dir, arguments->count ? arguments->items[0] : getenv("SIMBERT_MODEL"), &error) != SB_OK)
        return sb_exit_failure(&error);
    enum sb_exit result = inspect(dir, settings->json);
    free(dir);
    return result;
}

const struct sb_command sb_command_inspect = {
    .name = "inspect",
    .summary = "prints what a model directory holds and what does not fit",
    .usage = "[DIR]",
    .details = "Lists the format, the config and every tensor with its use, then the problems. The exit status is 1 when\n"
               "there are any. Needs no weights data: the list is there when only the index is.\n",
    .examples = "  simbert inspect models/simbert-small-zh\n"
                "  simbert inspect --json DIR | jq .\n",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .run = run,
};
