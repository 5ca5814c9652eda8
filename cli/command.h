/*
 * A command of the program, one file each; cli/main.c holds the table of them.
 *
 *     int sb_command_hello(char **argv, struct sb_error *error)
 *     {
 *         static const char about[] = "Usage: simbert hello [OPTION]...\n\nGreets.\n";
 *         bool json = false;
 *         const struct sb_option options[] = {{.name = "json", ...}, {0}};
 *         const struct sb_option_group groups[] = {{"Options", options}, {0}};
 *         int count, exit;
 *         if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
 *             return exit;
 *         return sb_exit(work(json, error));
 *     }
 *
 * A command never prints its errors: main() does.
 */
#ifndef SB_CLI_COMMAND_H
#define SB_CLI_COMMAND_H

#include "base/status.h"
#include "cli/options.h"

enum {
    SB_EXIT_OK = 0,
    SB_EXIT_FAILURE = 1,
    SB_EXIT_USAGE = 2, /* the command line is wrong */
};

/* argv: the arguments behind the command's name, ended by NULL. */
typedef int (*sb_command_run)(char **argv, struct sb_error *error);

int sb_command_serve(char **argv, struct sb_error *error);
int sb_command_embed(char **argv, struct sb_error *error);
int sb_command_similar(char **argv, struct sb_error *error);
int sb_command_duplicates(char **argv, struct sb_error *error);
int sb_command_clusters(char **argv, struct sb_error *error);
int sb_command_coverage(char **argv, struct sb_error *error);
int sb_command_import(char **argv, struct sb_error *error);
int sb_command_export(char **argv, struct sb_error *error);
int sb_command_check(char **argv, struct sb_error *error);
int sb_command_paraphrase(char **argv, struct sb_error *error);
int sb_command_tokenize(char **argv, struct sb_error *error);
int sb_command_inspect(char **argv, struct sb_error *error);
int sb_command_eval(char **argv, struct sb_error *error);
int sb_command_finetune(char **argv, struct sb_error *error);
int sb_command_study(char **argv, struct sb_error *error);
int sb_command_convert(char **argv, struct sb_error *error);
int sb_command_bench(char **argv, struct sb_error *error);
int sb_command_doctor(char **argv, struct sb_error *error);

/* Prints the help if argv asks for it, else reads the options; argv[0, *count) are then the other arguments. False: the
   command is over, with *exit. */
SB_MUST_CHECK bool sb_command_begin(const char *about, const struct sb_option_group *groups, const char *examples,
                                    char **argv, int *count, int *exit, struct sb_error *error);

/* SB_OK: SB_EXIT_OK. So is SB_CANCELLED, which sb_output_write gives when the reader of a pipe has gone: it has what it
 * wants. */
int sb_exit(enum sb_status status);

#endif
