/*
 * The options that say how paraphrases are written, for every command that writes them. Names and defaults are those of
 * the route /v1/paraphrases.
 *
 *     struct sb_paraphrase_choice choice = sb_paraphrase_choice_defaults();
 *     struct sb_option options[SB_PARAPHRASE_OPTIONS];
 *     sb_paraphrase_options_table(options, &choice);
 *     ...
 *     if (sb_paraphrase_choice_resolve(&choice, model, &error) == SB_OK)
 *         sb_paraphrase_task_new(&task, model, text, size, &choice.options, &error);
 *     sb_paraphrase_choice_free(&choice);
 */
#ifndef SB_CLI_PARAPHRASE_OPTIONS_H
#define SB_CLI_PARAPHRASE_OPTIONS_H

#include "cli/options.h"
#include "server/paraphrase_query.h"

struct sb_paraphrase_choice {
    struct sb_paraphrase_options options; /* borrows from below */
    int num_beams;                        /* 0: sampling */
    size_t seed;
    const char *early_stopping;
    struct sb_option_list bad_words, force_words, mask;
    struct sb_paraphrase_query query; /* the lists, as token ids and ranges */
};
struct sb_paraphrase_choice sb_paraphrase_choice_defaults(void);
void sb_paraphrase_choice_free(struct sb_paraphrase_choice *choice);

enum { SB_PARAPHRASE_OPTIONS = 24 };

void sb_paraphrase_options_table(struct sb_option table[SB_PARAPHRASE_OPTIONS], struct sb_paraphrase_choice *choice);

/* Once the model is known: makes options complete. */
SB_MUST_CHECK enum sb_status sb_paraphrase_choice_resolve(struct sb_paraphrase_choice *choice,
                                                          const struct sb_model *model, struct sb_error *error);

#endif
