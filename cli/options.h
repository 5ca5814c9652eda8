/*
 * Options of a command, described by tables: parsing, environment twins and the generated help.
 *
 *     struct settings { int64_t threads; bool json; };
 *     static const struct sb_option options[] = {
 *         {"threads", "N", SB_OPTION_INT, offsetof(struct settings, threads), 0, 1024, "threads that compute"},
 *         {"json", NULL, SB_OPTION_FLAG, offsetof(struct settings, json), 0, 0, "one JSON object a line"},
 *         {0},
 *     };
 *
 * A value comes from the command line (--threads 4, --threads=4), else from the environment (SIMBERT_THREADS), else it
 * stays what the settings held. An empty variable counts as unset. "--" ends the options; "-" is an argument.
 */
#ifndef SB_CLI_OPTIONS_H
#define SB_CLI_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SB_OPTION_LIST_MAX = 64 };

enum sb_option_type {
    SB_OPTION_FLAG,   /* bool; in the environment 1, 0, true or false */
    SB_OPTION_INT,    /* int64_t in [low, high] */
    SB_OPTION_DOUBLE, /* double in [low, high] */
    SB_OPTION_STRING, /* const char *, borrowed from the arguments or the environment */
    SB_OPTION_LIST,   /* struct sb_option_list: may be given several times */
};

struct sb_option_list {
    const char *values[SB_OPTION_LIST_MAX];
    size_t count;
};

struct sb_option {
    const char *name;  /* without the dashes; NULL ends a table */
    const char *value; /* what help calls the value; "a|b" for a string that is one of a and b; NULL for a flag */
    enum sb_option_type type;
    size_t offset; /* of the field in the settings */
    double low, high;
    const char *help;
};

/* Tables may be shared between commands: each is applied to the struct at `offset` of the settings. */
struct sb_option_group {
    const struct sb_option *options; /* NULL ends the groups */
    size_t offset;
};

/* Arguments that are no options, borrowed. */
struct sb_arguments {
    const char **items; /* free() */
    size_t count;
};

/* Fills settings and arguments. *help is set, and nothing else looked at, when --help or -h is among them. SB_INVALID
   names the option, and for an unknown one the nearest. */
SB_MUST_CHECK enum sb_status sb_options_parse(void *settings, struct sb_arguments *arguments, bool *help,
                                              const struct sb_option_group *groups, int argc, char **argv,
                                              struct sb_error *error);

/* One entry an option, with its default (what settings hold) and its variable. */
void sb_options_print(FILE *file, const struct sb_option_group *groups, const void *settings);

/* The candidate that a misspelt word is most likely meant to be; NULL when none is near. next() gives candidate i or
   NULL past the last. */
const char *sb_nearest_word(const char *word, const char *(*next)(const void *context, size_t i), const void *context);

#endif
