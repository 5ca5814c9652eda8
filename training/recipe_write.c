/*
 * Recipe -> JSON, and the table of all keys, by the tables of recipe_fields.c.
 */
#include "training/recipe_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void indent(struct sb_buffer *out, int depth)
{
    sb_buffer_format(out, "\n%*s", 2 * depth, "");
}

/* The shortest decimal that reads back as the same double. */
static void write_number(struct sb_buffer *out, double value)
{
    char text[32];
    if (!isfinite(value)) {
        sb_buffer_text(out, "null");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    sb_buffer_text(out, text);
}

static void write_text(struct sb_buffer *out, const char *text)
{
    if (text)
        sb_buffer_json_string(out, text, strlen(text));
    else
        sb_buffer_text(out, "null");
}

static void write_fields(struct sb_buffer *out, const struct sb_field *fields, const void *base, int depth);

static void write_file(struct sb_buffer *out, const struct sb_data_file *file)
{
    if (file->kind == SB_DATA_AUTO && !file->columns && !(file->score_high > file->score_low)) {
        write_text(out, file->path);
        return;
    }
    sb_buffer_text(out, "{\"file\": ");
    write_text(out, file->path);
    sb_buffer_format(out, ", \"format\": \"%s\", \"columns\": ", sb_data_kind_name(file->kind));
    write_text(out, file->columns);
    if (file->score_high > file->score_low) {
        sb_buffer_text(out, ", \"score_range\": [");
        write_number(out, file->score_low);
        sb_buffer_text(out, ", ");
        write_number(out, file->score_high);
        sb_buffer_text(out, "]");
    }
    sb_buffer_text(out, "}");
}

static void write_texts(struct sb_buffer *out, const struct sb_recipe_texts *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sb_buffer_text(out, i ? ", " : "");
        write_text(out, list->items[i]);
    }
}

static void write_numbers(struct sb_buffer *out, const struct sb_recipe_numbers *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sb_buffer_text(out, i ? ", " : "");
        write_number(out, list->items[i]);
    }
}

static void write_files(struct sb_buffer *out, const struct sb_recipe_files *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sb_buffer_text(out, i ? ", " : "");
        write_file(out, &list->items[i]);
    }
}

static void write_objectives(struct sb_buffer *out, const struct sb_field *f, const struct sb_recipe_objectives *list,
                             int depth)
{
    for (size_t i = 0; i < list->count; i++) {
        sb_buffer_text(out, i ? "," : "");
        indent(out, depth + 1);
        write_fields(out, f->fields, &list->items[i], depth + 1);
    }
    if (list->count)
        indent(out, depth);
}

/* A list in brackets; null when it was not given and that is not the same as an empty one. */
static void write_list(struct sb_buffer *out, const struct sb_field *f, const void *at, int depth)
{
    bool given = f->type == SB_FIELD_TEXTS     ? ((const struct sb_recipe_texts *)at)->given
                 : f->type == SB_FIELD_NUMBERS ? ((const struct sb_recipe_numbers *)at)->given
                                               : true;
    if (!given) {
        sb_buffer_text(out, "null");
        return;
    }
    sb_buffer_text(out, "[");
    if (f->type == SB_FIELD_TEXTS)
        write_texts(out, at);
    else if (f->type == SB_FIELD_NUMBERS)
        write_numbers(out, at);
    else if (f->type == SB_FIELD_FILES)
        write_files(out, at);
    else
        write_objectives(out, f, at, depth);
    sb_buffer_text(out, "]");
}

static void write_value(struct sb_buffer *out, const struct sb_field *f, const void *base, int depth)
{
    const void *at = (const char *)base + f->offset;
    size_t size = 0;
    switch (f->type) {
    case SB_FIELD_COUNT:
        if (*(const uint64_t *)at == SB_RECIPE_AUTO)
            sb_buffer_text(out, "null");
        else
            sb_buffer_format(out, "%" PRIu64, *(const uint64_t *)at);
        break;
    case SB_FIELD_NUMBER: write_number(out, *(const double *)at); break;
    case SB_FIELD_BOOL: sb_buffer_text(out, *(const bool *)at ? "true" : "false"); break;
    case SB_FIELD_TEXT:
    case SB_FIELD_NAME: write_text(out, *(const char *const *)at); break;
    case SB_FIELD_CHOICE: {
        const char *choice = sb_choice_at(f->choices, *(const int *)at, &size);
        sb_buffer_json_string(out, choice, size);
        break;
    }
    case SB_FIELD_SECTION: write_fields(out, f->fields, base, depth); break;
    default: write_list(out, f, at, depth);
    }
}

static void write_fields(struct sb_buffer *out, const struct sb_field *fields, const void *base, int depth)
{
    sb_buffer_text(out, "{");
    for (const struct sb_field *f = fields; f->name; f++) {
        sb_buffer_text(out, f == fields ? "" : ",");
        indent(out, depth + 1);
        sb_buffer_format(out, "\"%s\": ", f->name);
        write_value(out, f, base, depth + 1);
    }
    indent(out, depth);
    sb_buffer_text(out, "}");
}

void sb_recipe_write_json(const struct sb_recipe *recipe, struct sb_buffer *out)
{
    write_fields(out, sb_recipe_fields, recipe, 0);
    sb_buffer_text(out, "\n");
}

/* ---- The table ---- */

static const double UNBOUNDED = 1e16; /* bounds beyond this only keep arithmetic safe */

static void write_bounds(struct sb_buffer *out, const struct sb_field *f)
{
    static const char *const types[] = {
        [SB_FIELD_COUNT] = "count",         [SB_FIELD_NUMBER] = "number",
        [SB_FIELD_BOOL] = "true, false",    [SB_FIELD_TEXT] = "text",
        [SB_FIELD_TEXTS] = "list of texts", [SB_FIELD_NUMBERS] = "list of numbers",
        [SB_FIELD_FILES] = "files",         [SB_FIELD_OBJECTIVES] = "list of objectives",
    };
    if (!f->choices) {
        sb_buffer_text(out, types[f->type]);
        if (f->type != SB_FIELD_COUNT && f->type != SB_FIELD_NUMBER)
            return;
        if (f->low > -UNBOUNDED)
            sb_buffer_format(out, f->high < UNBOUNDED ? ", %.16g" : " from %.16g", f->low);
        if (f->high < UNBOUNDED)
            sb_buffer_format(out, " to %.16g", f->high);
        return;
    }
    for (const char *c = f->choices; *c; c++)
        sb_buffer_bytes(out, *c == '|' ? ", " : c, *c == '|' ? 2 : 1);
}

static void write_rows(struct sb_buffer *out, const struct sb_field *fields, const char *prefix)
{
    char inner[80];
    for (const struct sb_field *f = fields; f->name; f++) {
        if (f->type == SB_FIELD_SECTION) {
            snprintf(inner, sizeof inner, "%s%s.", prefix, f->name);
            write_rows(out, f->fields, inner);
            continue;
        }
        const char *quote = f->standard && f->choices ? "\"" : "";
        sb_buffer_format(out, "| `%s%s` | %s%s%s | ", prefix, f->name, quote, f->standard ? f->standard : "null",
                         quote);
        write_bounds(out, f);
        sb_buffer_format(out, " | %s |\n", f->help);
        if (f->type == SB_FIELD_OBJECTIVES) {
            snprintf(inner, sizeof inner, "%s%s[].", prefix, f->name);
            write_rows(out, f->fields, inner);
        }
    }
}

void sb_recipe_write_table(struct sb_buffer *out)
{
    sb_buffer_text(out, "| key | default | values | |\n|---|---|---|---|\n");
    write_rows(out, sb_recipe_fields, "");
    sb_buffer_text(out, "\nAn entry of `data` and of `evaluation.files` is a path, or an object:\n\n"
                        "| key | default | values | |\n|---|---|---|---|\n");
    write_rows(out, sb_file_fields, "");
}
