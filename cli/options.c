#include "cli/options.h"

#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIABLE_SIZE = 64 };

void sb_option_variable(char *out, size_t size, const char *name)
{
    snprintf(out, size, "SIMBERT_%s", name);
    for (char *c = out; *c; c++)
        *c = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
}

void sb_option_list_free(struct sb_option_list *list)
{
    free(list->items);
    free(list->memory);
    *list = (struct sb_option_list){0};
}

static bool list_add(struct sb_option_list *list, const char *text, struct sb_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        const char **items = realloc(list->items, capacity * sizeof *items);
        if (!items) {
            sb_fail(error, SB_NO_MEMORY, "no memory for the options");
            return false;
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = text;
    return true;
}

/* ---- values; `what` is how the user wrote the option: "--top-k" or "SIMBERT_TOP_K" ---- */

static bool wrong(struct sb_error *error, const char *what, const char *text, const char *wanted)
{
    sb_fail(error, SB_INVALID, "%s is \"%s\"; it must be %s", what, text, wanted);
    return false;
}

static bool set_flag(const struct sb_option *option, const char *what, const char *text, struct sb_error *error)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *(bool *)option->value = i % 2 == 1;
            return true;
        }
    }
    return wrong(error, what, text, "1, true, yes, on or 0, false, no, off");
}

static bool in_range(const struct sb_option *option, double number)
{
    return number >= option->low && number <= option->high;
}

static bool set_number(const struct sb_option *option, const char *what, const char *text, struct sb_error *error)
{
    char wanted[96], *end;
    bool whole = option->type != SB_OPTION_DOUBLE;
    snprintf(wanted, sizeof wanted, "%s from %.15g to %.15g", whole ? "a whole number" : "a number", option->low,
             option->high);
    if (!*text || text[strspn(text, whole ? "+-0123456789" : "+-.0123456789eE")])
        return wrong(error, what, text, wanted);
    errno = 0;
    if (whole) {
        long long number = strtoll(text, &end, 10);
        if (*end || errno || !in_range(option, (double)number))
            return wrong(error, what, text, wanted);
        if (option->type == SB_OPTION_INT)
            *(int *)option->value = (int)number;
        else
            *(size_t *)option->value = (size_t)number;
        return true;
    }
    double number = strtod(text, &end);
    if (*end || !isfinite(number) || !in_range(option, number))
        return wrong(error, what, text, wanted);
    *(double *)option->value = number;
    return true;
}

static bool set_choice(const struct sb_option *option, const char *what, const char *text, struct sb_error *error)
{
    size_t size = strlen(text);
    for (const char *at = option->choices; at; at = strstr(at, ", ")) {
        at += *at == ',' ? 2 : 0;
        if (size == strcspn(at, ",") && strncmp(at, text, size) == 0) {
            *(const char **)option->value = text;
            return true;
        }
    }
    sb_fail(error, SB_INVALID, "%s is \"%s\"; the choices are %s", what, text, option->choices);
    return false;
}

static bool set_value(const struct sb_option *option, const char *what, const char *text, struct sb_error *error)
{
    switch (option->type) {
    case SB_OPTION_FLAG: return set_flag(option, what, text, error);
    case SB_OPTION_INT:
    case SB_OPTION_SIZE:
    case SB_OPTION_DOUBLE: return set_number(option, what, text, error);
    case SB_OPTION_CHOICE: return set_choice(option, what, text, error);
    case SB_OPTION_LIST: return list_add(option->value, text, error);
    case SB_OPTION_TEXT: *(const char **)option->value = text; return true;
    }
    return false;
}

/* ---- the environment ---- */

static bool set_list_from(struct sb_option_list *list, const char *text, struct sb_error *error)
{
    char *rest, *item;
    list->memory = rest = strdup(text);
    if (!rest) {
        sb_fail(error, SB_NO_MEMORY, "no memory for the options");
        return false;
    }
    while ((item = strsep(&rest, ",")))
        if (*item && !list_add(list, item, error))
            return false;
    return true;
}

static bool set_from_environment(const struct sb_option *option, struct sb_error *error)
{
    char variable[VARIABLE_SIZE];
    sb_option_variable(variable, sizeof variable, option->name);
    const char *text = getenv(variable);
    if (!text || !*text)
        return true;
    if (option->type == SB_OPTION_LIST)
        return set_list_from(option->value, text, error);
    return set_value(option, variable, text, error);
}

/* ---- the command line ---- */

/* The groups as one numbered table: option number i, NULL past the last. */
static const struct sb_option *option_at(const struct sb_option_group *groups, size_t i)
{
    for (; groups->title; groups++)
        for (const struct sb_option *option = groups->options; option->name; option++)
            if (i-- == 0)
                return option;
    return NULL;
}

/* The number of the option that is called name[0, size); -1: none. */
static int find(const struct sb_option_group *groups, const char *name, size_t size)
{
    const struct sb_option *option;
    for (int i = 0; (option = option_at(groups, (size_t)i)); i++)
        if (strlen(option->name) == size && strncmp(option->name, name, size) == 0)
            return i;
    return -1;
}

static void unknown(const struct sb_option_group *groups, const char *argument, size_t size, struct sb_error *error)
{
    char typed[VARIABLE_SIZE];
    const struct sb_option *option;
    snprintf(typed, sizeof typed, "%.*s", (int)size, argument);
    struct sb_nearest nearest = {.typed = typed + strspn(typed, "-")};
    for (size_t i = 0; (option = option_at(groups, i)); i++)
        sb_nearest_offer(&nearest, option->name);
    if (nearest.name)
        sb_fail(error, SB_INVALID, "unknown option %s; did you mean --%s?", typed, nearest.name);
    else
        sb_fail(error, SB_INVALID, "unknown option %s (a text that begins with \"-\" goes behind \"--\")", typed);
}

/* One option at argv[*at]; moves *at to the last text that belongs to it, and marks the option's number in seen. */
static bool parse_one(const struct sb_option_group *groups, char **argv, int *at, bool *seen, struct sb_error *error)
{
    const char *argument = argv[*at], *name = argument + 2, *equals = strchr(argument, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(argument) - 2;
    bool is_long = strncmp(argument, "--", 2) == 0, negated = false;
    int number = is_long ? find(groups, name, size) : -1;
    if (number < 0 && is_long && strncmp(name, "no-", 3) == 0 && !equals) {
        number = find(groups, name + 3, size - 3);
        negated = true;
    }
    const struct sb_option *option = number < 0 ? NULL : option_at(groups, (size_t)number);
    if (!option || (negated && option->type != SB_OPTION_FLAG)) {
        unknown(groups, argument, equals ? (size_t)(equals - argument) : strlen(argument), error);
        return false;
    }
    seen[number] = true;
    char what[VARIABLE_SIZE];
    snprintf(what, sizeof what, "--%s", option->name);
    if (option->type == SB_OPTION_FLAG && !equals) {
        *(bool *)option->value = !negated;
        return true;
    }
    const char *value = equals ? equals + 1 : argv[*at + 1];
    if (!value) {
        sb_fail(error, SB_INVALID, "%s needs a value: %s %s", what, what, option->argument);
        return false;
    }
    *at += equals ? 0 : 1;
    return set_value(option, what, value, error);
}

bool sb_options_parse(const struct sb_option_group *groups, char **argv, int *count, struct sb_error *error)
{
    size_t options = 0;
    bool good = true, ended = false;
    while (option_at(groups, options))
        options++;
    bool *seen = calloc(options + 1, sizeof *seen);
    if (!seen) {
        sb_fail(error, SB_NO_MEMORY, "no memory for the options");
        return false;
    }
    *count = 0;
    for (int at = 0; argv[at] && good; at++) {
        if (ended || argv[at][0] != '-' || !argv[at][1])
            argv[(*count)++] = argv[at];
        else if (strcmp(argv[at], "--") == 0)
            ended = true;
        else
            good = parse_one(groups, argv, &at, seen, error);
    }
    for (size_t i = 0; i < options && good; i++)
        good = seen[i] || set_from_environment(option_at(groups, i), error);
    free(seen);
    return good;
}

bool sb_options_want_help(char *const *argv)
{
    for (; *argv && strcmp(*argv, "--") != 0; argv++)
        if (strcmp(*argv, "-h") == 0 || strcmp(*argv, "--help") == 0)
            return true;
    return false;
}
