/* Parsing options by their tables. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An option and the field that it fills. */
struct target {
    const struct sb_option *option;
    void *field;
};

/* Target i over all groups; option is NULL past the last. */
static struct target target_at(const struct sb_option_group *groups, void *settings, size_t i)
{
    for (; groups->options; groups++) {
        for (const struct sb_option *option = groups->options; option->name; option++) {
            if (i-- == 0)
                return (struct target){option, (char *)settings + groups->offset + option->offset};
        }
    }
    return (struct target){0};
}

static struct target find(const struct sb_option_group *groups, void *settings, const char *name, size_t length)
{
    struct target target;
    for (size_t i = 0; (target = target_at(groups, settings, i)).option != NULL; i++) {
        if (strlen(target.option->name) == length && memcmp(target.option->name, name, length) == 0)
            return target;
    }
    return target;
}

/* "a" is one of "a|b". */
static bool is_one_of(const char *value, const char *choices)
{
    size_t length = strlen(value);
    for (const char *at = choices; length > 0 && (at = strstr(at, value)) != NULL; at += length) {
        if ((at == choices || at[-1] == '|') && (at[length] == '\0' || at[length] == '|'))
            return true;
    }
    return false;
}

static enum sb_status set_int(int64_t *field, const struct sb_option *option, const char *source, const char *value,
                              struct sb_error *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end || errno || (double)number < option->low || (double)number > option->high)
        return sb_fail(error, SB_INVALID, "%s must be a whole number from %.0f to %.0f, not \"%.80s\"", source,
                       option->low, option->high, value);
    *field = number;
    return SB_OK;
}

static enum sb_status set_double(double *field, const struct sb_option *option, const char *source, const char *value,
                                 struct sb_error *error)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= option->low && number <= option->high)) /* NaN is in no range */
        return sb_fail(error, SB_INVALID, "%s must be a number from %g to %g, not \"%.80s\"", source, option->low,
                       option->high, value);
    *field = number;
    return SB_OK;
}

static enum sb_status set_flag(bool *field, const char *source, const char *value, struct sb_error *error)
{
    bool on = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "0") != 0 && strcmp(value, "false") != 0)
        return sb_fail(error, SB_INVALID, "%s must be 1, 0, true or false, not \"%.80s\"", source, value);
    *field = on;
    return SB_OK;
}

static enum sb_status set_string(const char **field, const struct sb_option *option, const char *source,
                                 const char *value, struct sb_error *error)
{
    if (strchr(option->value, '|') && !is_one_of(value, option->value))
        return sb_fail(error, SB_INVALID, "%s must be one of %s, not \"%.80s\"", source, option->value, value);
    *field = value;
    return SB_OK;
}

static enum sb_status add_to_list(struct sb_option_list *list, const char *source, const char *value,
                                  struct sb_error *error)
{
    if (list->count == SB_OPTION_LIST_MAX)
        return sb_fail(error, SB_INVALID, "%s is given more than %d times", source, SB_OPTION_LIST_MAX);
    list->values[list->count++] = value;
    return SB_OK;
}

/* source: how the user gave it, for errors: "--port" or "SIMBERT_PORT". */
static enum sb_status set(struct target target, const char *source, const char *value, struct sb_error *error)
{
    switch (target.option->type) {
    case SB_OPTION_FLAG:
        return set_flag(target.field, source, value, error);
    case SB_OPTION_INT:
        return set_int(target.field, target.option, source, value, error);
    case SB_OPTION_DOUBLE:
        return set_double(target.field, target.option, source, value, error);
    case SB_OPTION_STRING:
        return set_string(target.field, target.option, source, value, error);
    case SB_OPTION_LIST:
        return add_to_list(target.field, source, value, error);
    }
    return sb_fail(error, SB_INTERNAL, "%s has no type", source);
}

enum { VARIABLE_MAX = 64 };

/* "top-k": "SIMBERT_TOP_K". */
static void variable_name(char variable[VARIABLE_MAX], const char *name)
{
    int used = snprintf(variable, VARIABLE_MAX, "SIMBERT_%s", name);
    for (int i = 0; i < used && variable[i]; i++)
        variable[i] = (char)(variable[i] == '-' ? '_' : toupper((unsigned char)variable[i]));
}

static enum sb_status read_environment(void *settings, const struct sb_option_group *groups, struct sb_error *error)
{
    struct target target;
    for (size_t i = 0; (target = target_at(groups, settings, i)).option != NULL; i++) {
        char variable[VARIABLE_MAX];
        variable_name(variable, target.option->name);
        const char *value = getenv(variable);
        if (!value || !*value)
            continue;
        enum sb_status status = set(target, variable, value, error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

static const char *name_at(const void *groups, size_t i)
{
    const struct sb_option_group *group = groups;
    for (; group->options; group++) {
        for (const struct sb_option *option = group->options; option->name; option++) {
            if (i-- == 0)
                return option->name;
        }
    }
    return NULL;
}

static enum sb_status unknown(const struct sb_option_group *groups, const char *argument, struct sb_error *error)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *nearest = sb_nearest_word(name, name_at, groups);
    return nearest ? sb_fail(error, SB_INVALID, "unknown option --%s; did you mean --%s?", name, nearest)
                   : sb_fail(error, SB_INVALID, "unknown option --%s; --help lists the options", name);
}

/* The command line, as far as it is read. */
struct reader {
    void *settings;
    const struct sb_option_group *groups;
    int argc, at;
    char **argv;
    struct sb_option_list *replaced; /* the list whose values from the environment have given way */
};

/* Takes the option argv[at], and its value from the next argument when it is not behind "=". */
static enum sb_status take_option(struct reader *r, struct sb_error *error)
{
    const char *argument = r->argv[r->at], *name = argument + 2;
    size_t length = strcspn(name, "=");
    struct target target = find(r->groups, r->settings, name, length);
    if (!target.option)
        return unknown(r->groups, argument, error);
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (target.option->type == SB_OPTION_FLAG)
        value = value ? value : "1";
    else if (!value && r->at + 1 < r->argc)
        value = r->argv[++r->at];
    char source[VARIABLE_MAX];
    snprintf(source, sizeof source, "--%s", target.option->name);
    if (!value)
        return sb_fail(error, SB_INVALID, "%s needs a value: %s %s", source, source, target.option->value);
    if (target.option->type == SB_OPTION_LIST && r->replaced != target.field) {
        r->replaced = target.field;
        r->replaced->count = 0;
    }
    return set(target, source, value, error);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static enum sb_status take_all(struct reader *r, struct sb_arguments *arguments, struct sb_error *error)
{
    bool options_end = false;
    for (; r->at < r->argc; r->at++) {
        const char *argument = r->argv[r->at];
        enum sb_status status = SB_OK;
        if (options_end || argument[0] != '-' || !argument[1])
            arguments->items[arguments->count++] = argument;
        else if (strcmp(argument, "--") == 0)
            options_end = true;
        else if (argument[1] == '-')
            status = take_option(r, error);
        else
            status = sb_fail(error, SB_INVALID,
                             "unknown option %.80s; options begin with two dashes, texts with a dash stand behind --",
                             argument);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

enum sb_status sb_options_parse(void *settings, struct sb_arguments *arguments, bool *help,
                                const struct sb_option_group *groups, int argc, char **argv, struct sb_error *error)
{
    *help = asks_for_help(argc, argv);
    if (*help)
        return SB_OK;
    arguments->items = malloc(((size_t)argc + 1) * sizeof *arguments->items);
    if (!arguments->items)
        return sb_fail(error, SB_NO_MEMORY, "out of memory");
    enum sb_status status = read_environment(settings, groups, error);
    struct reader reader = {.settings = settings, .groups = groups, .argc = argc, .argv = argv};
    return status == SB_OK ? take_all(&reader, arguments, error) : status;
}

/* Writes "default X, " where there is one worth naming. */
static void print_default(FILE *file, const struct sb_option *option, const void *field)
{
    if (option->type == SB_OPTION_INT)
        fprintf(file, "default %lld, ", (long long)*(const int64_t *)field);
    else if (option->type == SB_OPTION_DOUBLE)
        fprintf(file, "default %g, ", *(const double *)field);
    else if (option->type == SB_OPTION_STRING && *(const char *const *)field)
        fprintf(file, "default %s, ", *(const char *const *)field);
    else if (option->type == SB_OPTION_LIST)
        fprintf(file, "may be repeated, ");
}

void sb_options_print(FILE *file, const struct sb_option_group *groups, const void *settings)
{
    for (; groups->options; groups++) {
        for (const struct sb_option *option = groups->options; option->name; option++) {
            char variable[VARIABLE_MAX];
            variable_name(variable, option->name);
            fprintf(file, "  --%s%s%s\n      %s\n      (", option->name, option->value ? " " : "",
                    option->value ? option->value : "", option->help);
            print_default(file, option, (const char *)settings + groups->offset + option->offset);
            fprintf(file, "%s)\n", variable);
        }
    }
    fprintf(file, "  --help\n      this text\n");
}
