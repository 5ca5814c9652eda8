#include "cli/command.h"

#include "cli/output.h"

int sb_exit(enum sb_status status)
{
    return status == SB_OK || status == SB_CANCELLED ? SB_EXIT_OK : SB_EXIT_FAILURE;
}

bool sb_command_begin(const char *about, const struct sb_option_group *groups, const char *examples, char **argv,
                      int *count, int *exit, struct sb_error *error)
{
    if (sb_options_want_help(argv)) {
        struct sb_buffer text = {0};
        sb_buffer_text(&text, about);
        sb_options_help(&text, groups);
        sb_buffer_format(&text, "\nExamples:\n%s", examples);
        *exit = sb_exit(sb_output_write(&text, error));
        sb_buffer_free(&text);
        return false;
    }
    *exit = SB_EXIT_USAGE;
    return sb_options_parse(groups, argv, count, error);
}
