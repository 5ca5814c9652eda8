/*
 * The options of commands that read texts and print a result for each.
 *
 *     struct sb_text_choice choice = sb_text_choice_defaults();
 *     struct sb_option options[SB_TEXT_OPTIONS];
 *     sb_text_options_table(options, &choice);
 */
#ifndef SB_CLI_TEXT_OPTIONS_H
#define SB_CLI_TEXT_OPTIONS_H

#include "cli/options.h"

#define SB_INPUT_DEFAULT "standard input, unless texts are arguments"
#define SB_INPUT_HELP "read the texts from FILE, one a line; - is standard input"
#define SB_JSON_HELP "print one JSON object a line, for programs"

struct sb_text_choice {
    const char *input; /* NULL: the arguments, else standard input */
    bool json;
    const char *progress; /* SB_PROGRESS_CHOICES */
};
struct sb_text_choice sb_text_choice_defaults(void);

enum { SB_TEXT_OPTIONS = 4 };

/* --input, --json, --progress. */
void sb_text_options_table(struct sb_option table[SB_TEXT_OPTIONS], struct sb_text_choice *choice);

#endif
