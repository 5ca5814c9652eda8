/*
 * What the commands over texts and a model have in common: options of their own, those of texts, those of the model; and
 * for the ones that compare each text with each, all vectors.
 *
 *     if (!sb_text_command_begin(about, options, examples, &texts, &model, argv, &count, &exit, error))
 *         return exit;
 *     return sb_exit(sb_text_command_mine(&texts, &model, argv, count, print_pairs, &settings, error));
 */
#ifndef SB_CLI_TEXT_COMMAND_H
#define SB_CLI_TEXT_COMMAND_H

#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/text_options.h"
#include "cli/text_vectors.h"

/* sb_command_begin with the options of texts and model behind the command's own. */
SB_MUST_CHECK bool sb_text_command_begin(const char *about, const struct sb_option *options, const char *examples,
                                         struct sb_text_choice *texts, struct sb_model_choice *model, char **argv,
                                         int *count, int *exit, struct sb_error *error);

/* Loads the model, embeds all texts, and calls work with them; set, too, is borrowed for the call. */
SB_MUST_CHECK enum sb_status sb_text_command_mine(const struct sb_text_choice *texts,
                                                  const struct sb_model_choice *model, char **arguments, int count,
                                                  enum sb_status (*work)(void *context,
                                                                         const struct sb_text_vectors *all,
                                                                         const struct sb_mining *set,
                                                                         struct sb_error *error),
                                                  void *context, struct sb_error *error);

#endif
