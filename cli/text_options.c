#include "cli/text_options.h"

#include "cli/progress.h"

#include <string.h>

struct sb_text_choice sb_text_choice_defaults(void)
{
    return (struct sb_text_choice){.progress = "auto"};
}

void sb_text_options_table(struct sb_option table[SB_TEXT_OPTIONS], struct sb_text_choice *choice)
{
    const struct sb_option options[SB_TEXT_OPTIONS] = {
        {.name = "input", .type = SB_OPTION_TEXT, .value = &choice->input, .argument = "FILE",
         .default_text = SB_INPUT_DEFAULT, .help = SB_INPUT_HELP},
        {.name = "json", .type = SB_OPTION_FLAG, .value = &choice->json, .help = SB_JSON_HELP},
        {.name = "progress", .type = SB_OPTION_CHOICE, .value = &choice->progress, .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN", .help = SB_PROGRESS_HELP},
    };
    memcpy(table, options, sizeof options);
}
