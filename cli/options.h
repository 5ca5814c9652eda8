/*
 * Options of a command, read through one table: --name VALUE, --name=VALUE, flags (--name, --no-name), and for what the
 * command line leaves out the environment's SIMBERT_NAME. The help text comes from the same table.
 *
 *     int top_k = 10;
 *     bool json = false;
 *     const struct sb_option options[] = {
 *         {.name = "top-k", .type = SB_OPTION_INT, .value = &top_k, .low = 1, .high = 1000, .argument = "N",
 *          .help = "matches of a query"},
 *         {.name = "json", .type = SB_OPTION_FLAG, .value = &json, .help = "print JSON"},
 *         {0},
 *     };
 *     const struct sb_option_group groups[] = {{"Options", options}, {0}};
 *     int count;
 *     if (!sb_options_parse(groups, argv, &count, &error)) ...             // argv[0, count): what is no option
 *
 * What a value holds before the call is its default. Everything after "--" is no option, nor is "-" alone.
 */
#ifndef SB_CLI_OPTIONS_H
#define SB_CLI_OPTIONS_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Texts of an option that may be given several times; the environment separates them by commas. Zero-initialise. */
struct sb_option_list {
    const char **items; /* [count], borrowed from argv or memory */
    size_t count, capacity;
    char *memory; /* the environment's value, cut at its commas */
};
void sb_option_list_free(struct sb_option_list *list);

enum sb_option_type {
    SB_OPTION_FLAG,   /* bool; the environment says 1, true, yes, on or 0, false, no, off */
    SB_OPTION_INT,    /* int in [low, high] */
    SB_OPTION_SIZE,   /* size_t in [low, high] */
    SB_OPTION_DOUBLE, /* double in [low, high] */
    SB_OPTION_TEXT,   /* const char *, borrowed; NULL: not given */
    SB_OPTION_CHOICE, /* const char *, one of choices */
    SB_OPTION_LIST,   /* struct sb_option_list */
};

struct sb_option {
    const char *name; /* "top-k": --top-k and SIMBERT_TOP_K; NULL ends the table */
    enum sb_option_type type;
    void *value;
    double low, high;
    const char *choices;      /* "f32, f16, bf16" */
    const char *argument;     /* what the help calls the value: "N" */
    const char *default_text; /* what the help says in place of the value before the call */
    const char *help;
};

struct sb_option_group {
    const char *title; /* NULL ends the groups */
    const struct sb_option *options;
};

/* Reads argv up to its NULL and moves what is no option to the front, *count texts. False: the error names the option,
   or the environment variable, what was wrong and, for an unknown option, the one that was probably meant. */
SB_MUST_CHECK bool sb_options_parse(const struct sb_option_group *groups, char **argv, int *count,
                                    struct sb_error *error);

/* True if argv asks for help: -h or --help stands before any "--". */
bool sb_options_want_help(char *const *argv);

/* Appends what the groups offer, with defaults and the names of the environment's variables. */
void sb_options_help(struct sb_buffer *out, const struct sb_option_group *groups);

/* The environment's name for an option: "SIMBERT_TOP_K"; cut to size. */
void sb_option_variable(char *out, size_t size, const char *name);

#endif
