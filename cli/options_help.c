/* The help text of option tables. */
#include "cli/options.h"

#include <string.h>

enum { HELP_COLUMN = 30, LINE_END = 100 };

static void pad(struct sb_buffer *out, size_t from, size_t to)
{
    for (; from < to; from++)
        sb_buffer_text(out, " ");
}

/* Words of text from HELP_COLUMN on; column is where the line stands. */
static void put_wrapped(struct sb_buffer *out, const char *text, size_t column)
{
    if (column + 2 > HELP_COLUMN) {
        sb_buffer_text(out, "\n");
        column = 0;
    }
    pad(out, column, HELP_COLUMN);
    column = HELP_COLUMN;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + word > LINE_END) {
            sb_buffer_text(out, "\n");
            pad(out, 0, HELP_COLUMN);
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            sb_buffer_text(out, " ");
            column++;
        }
        sb_buffer_bytes(out, text, word);
        column += word;
        text += word + strspn(text + word, " ");
    }
    sb_buffer_text(out, "\n");
}

static void put_default(struct sb_buffer *out, const struct sb_option *option)
{
    const char *text;
    if (option->default_text) {
        sb_buffer_format(out, "default: %s; ", option->default_text);
        return;
    }
    switch (option->type) {
    case SB_OPTION_FLAG:
        if (*(const bool *)option->value)
            sb_buffer_format(out, "default: yes, --no-%s turns it off; ", option->name);
        break;
    case SB_OPTION_INT: sb_buffer_format(out, "default: %d; ", *(const int *)option->value); break;
    case SB_OPTION_SIZE: sb_buffer_format(out, "default: %zu; ", *(const size_t *)option->value); break;
    case SB_OPTION_DOUBLE: sb_buffer_format(out, "default: %g; ", *(const double *)option->value); break;
    case SB_OPTION_TEXT:
    case SB_OPTION_CHOICE:
        text = *(const char *const *)option->value;
        if (text)
            sb_buffer_format(out, "default: %s; ", text);
        break;
    case SB_OPTION_LIST: break;
    }
}

static void put_option(struct sb_buffer *out, const struct sb_option *option)
{
    char variable[64];
    struct sb_buffer text = {0};
    size_t start = out->length;
    sb_buffer_format(out, "  --%s%s%s", option->name, option->argument ? " " : "",
                     option->argument ? option->argument : "");
    sb_buffer_text(&text, option->help);
    if (option->choices)
        sb_buffer_format(&text, ": %s", option->choices);
    sb_option_variable(variable, sizeof variable, option->name);
    sb_buffer_text(&text, " [");
    put_default(&text, option);
    sb_buffer_format(&text, "%s]", variable);
    if (text.failed)
        out->failed = true;
    else
        put_wrapped(out, text.data, out->length - start);
    sb_buffer_free(&text);
}

void sb_options_help(struct sb_buffer *out, const struct sb_option_group *groups)
{
    for (; groups->title; groups++) {
        sb_buffer_format(out, "\n%s:\n", groups->title);
        for (const struct sb_option *option = groups->options; option->name; option++)
            put_option(out, option);
    }
}
