#include "server/inputs.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- from JSON ---- */

void sb_inputs_free(struct sb_inputs *inputs)
{
    free(inputs->items);
    *inputs = (struct sb_inputs){0};
}

static bool append(struct sb_parse *parse, struct sb_inputs *inputs, const struct sb_input *input)
{
    if (inputs->count == inputs->capacity) {
        size_t capacity = inputs->capacity ? inputs->capacity * 2 : 4;
        struct sb_input *items = realloc(inputs->items, capacity * sizeof *items);
        if (!items)
            return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for %zu inputs", capacity);
        inputs->items = items;
        inputs->capacity = capacity;
    }
    inputs->items[inputs->count++] = *input;
    return true;
}

bool sb_inputs_add_text(struct sb_parse *parse, struct sb_inputs *inputs, const char *text)
{
    if (!text[0])
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s is empty", parse->param);
    return append(parse, inputs, &(struct sb_input){.text = text, .size = strlen(text)});
}

static bool add_ids(struct sb_parse *parse, struct sb_inputs *inputs, const cJSON *ids)
{
    if (!ids->child)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s: element %zu has no token ids", parse->param, inputs->count);
    return append(parse, inputs, &(struct sb_input){.ids = ids});
}

static const char *expected(unsigned kinds)
{
    return kinds & SB_INPUT_IDS ? "a text, a list of texts, a list of token ids or a list of such lists"
                                : "a text or a list of texts";
}

static bool add_element(struct sb_parse *parse, const cJSON *item, size_t index, unsigned kinds,
                        struct sb_inputs *inputs)
{
    if (cJSON_IsArray(item) && kinds & SB_INPUT_IDS)
        return add_ids(parse, inputs, item);
    if (!cJSON_IsString(item))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s: element %zu is of a wrong type; %s is expected",
                             parse->param, index, expected(kinds));
    if (!item->valuestring[0])
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s: text %zu is empty", parse->param, index);
    return sb_inputs_add_text(parse, inputs, item->valuestring);
}

static bool add_list(struct sb_parse *parse, const cJSON *list, unsigned kinds, size_t limit, struct sb_inputs *inputs)
{
    size_t count = (size_t)cJSON_GetArraySize(list), i = 0;
    if (count > limit)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s has %zu elements; at most %zu are possible", parse->param,
                             count, limit);
    inputs->is_list = true;
    for (const cJSON *item = list->child; item; item = item->next, i++)
        if (!add_element(parse, item, i, kinds, inputs))
            return false;
    return true;
}

bool sb_parse_inputs(struct sb_parse *parse, const char *key, unsigned kinds, size_t limit, struct sb_inputs *inputs)
{
    const cJSON *field = sb_parse_field(parse, key);
    if (!field)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s is missing: %s is expected", key, expected(kinds));
    if (cJSON_IsString(field))
        return sb_inputs_add_text(parse, inputs, field->valuestring);
    if (!cJSON_IsArray(field))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "%s must be %s", key, expected(kinds));
    if (!field->child)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "%s is an empty list", key);
    if (cJSON_IsNumber(field->child) && kinds & SB_INPUT_IDS)
        return add_ids(parse, inputs, field);
    return add_list(parse, field, kinds, limit, inputs);
}

/* ---- to rows ---- */

void sb_rows_free(struct sb_rows *rows)
{
    free(rows->ids);
    free(rows->items);
    *rows = (struct sb_rows){0};
}

/* Room for length more ids; their place, or NULL. */
static int32_t *reserve(struct sb_rows *rows, size_t length)
{
    if (rows->capacity - rows->tokens < length) {
        size_t capacity = rows->capacity + length > rows->capacity * 2 ? rows->capacity + length : rows->capacity * 2;
        int32_t *ids = realloc(rows->ids, capacity * sizeof *ids);
        if (!ids)
            return NULL;
        rows->ids = ids;
        rows->capacity = capacity;
    }
    return rows->ids + rows->tokens;
}

/* Appends ids as one row, with [CLS] and [SEP] around when bare, cut to max_length. */
static bool add_row(struct sb_rows *rows, const int32_t *ids, size_t length, bool bare, bool from_the_left,
                    size_t max_length, struct sb_special_ids special)
{
    size_t around = bare ? 2 : 0, room = max_length > around ? max_length - around : 0,
           kept = length < room ? length : room;
    int32_t *row = reserve(rows, kept + around);
    if (!row)
        return false;
    if (bare)
        row[0] = special.cls;
    memcpy(row + around / 2, ids + (from_the_left ? length - kept : 0), kept * sizeof *row);
    if (bare)
        row[kept + 1] = special.sep;
    rows->items[rows->count++].length = kept + around;
    rows->tokens += kept + around;
    return true;
}

/* What encodes one input after the other. */
struct encoder {
    const struct sb_model *model;
    const struct sb_tokenizer *tokenizer;
    const struct sb_encode_options *options;
    struct sb_special_ids special;
    size_t max_length;
    struct sb_encoding encoding; /* scratch */
    int32_t *ids;                /* scratch for token ids of the request */
    size_t ids_capacity;
};

static enum sb_status too_long(const struct encoder *e, size_t index, size_t length, struct sb_error *error)
{
    return sb_fail(error, SB_INVALID, "input %zu has %zu tokens, the model takes at most %zu; set truncate to cut it",
                   index, length, e->max_length);
}

static enum sb_status encode_text(struct encoder *e, struct sb_rows *rows, const struct sb_input *input,
                                  struct sb_error *error)
{
    bool left = e->options->from_the_left, cut_here = left || !e->options->truncate;
    enum sb_status status = left
                                ? sb_tokenizer_encode_plain(e->tokenizer, &e->encoding, input->text, input->size, error)
                                : sb_tokenizer_encode(e->tokenizer, &e->encoding, input->text, input->size, NULL, 0,
                                                      cut_here ? 0 : e->max_length, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "input %zu", rows->count);
    size_t length = e->encoding.length + (left ? 2 : 0);
    if (!e->options->truncate && length > e->max_length)
        return too_long(e, rows->count, length, error);
    rows->characters += sb_utf8_length(input->text, input->size);
    if (!add_row(rows, e->encoding.ids, e->encoding.length, left, left, e->max_length, e->special))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the rows of %zu inputs", rows->count);
    return SB_OK;
}

/* Reads the JSON array into e->ids. */
static enum sb_status read_ids(struct encoder *e, const cJSON *list, size_t index, size_t *length,
                               struct sb_error *error)
{
    int64_t id;
    size_t count = (size_t)cJSON_GetArraySize(list), vocab = (size_t)sb_model_config(e->model)->vocab_size;
    if (count > e->ids_capacity) {
        int32_t *ids = realloc(e->ids, count * sizeof *ids);
        if (!ids)
            return sb_fail(error, SB_NO_MEMORY, "no memory for %zu token ids", count);
        e->ids = ids;
        e->ids_capacity = count;
    }
    *length = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!sb_json_as_int(&id, 0, (int64_t)vocab - 1, item))
            return sb_fail(error, SB_INVALID, "input %zu: element %zu is no token id of this model (0 to %zu)", index,
                           *length, vocab - 1);
        e->ids[(*length)++] = (int32_t)id;
    }
    return SB_OK;
}

static enum sb_status encode_ids(struct encoder *e, struct sb_rows *rows, const cJSON *list, struct sb_error *error)
{
    size_t length = 0;
    enum sb_status status = read_ids(e, list, rows->count, &length, error);
    if (status != SB_OK)
        return status;
    bool bare = e->ids[0] != e->special.cls;
    if (!e->options->truncate && length + (bare ? 2 : 0) > e->max_length)
        return too_long(e, rows->count, length + (bare ? 2 : 0), error);
    if (!add_row(rows, e->ids, length, bare, e->options->from_the_left, e->max_length, e->special))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the rows of %zu inputs", rows->count);
    return SB_OK;
}

enum sb_status sb_rows_encode(struct sb_rows *rows, const struct sb_model *model, const struct sb_inputs *inputs,
                              const struct sb_encode_options *options, struct sb_error *error)
{
    struct encoder e = {.model = model, .tokenizer = sb_model_tokenizer(model), .options = options};
    e.special = sb_tokenizer_special(e.tokenizer);
    e.max_length = (size_t)sb_model_max_length(model);
    enum sb_status status = SB_OK;
    rows->items = calloc(inputs->count, sizeof *rows->items);
    if (!rows->items)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %zu inputs", inputs->count);
    for (size_t i = 0; i < inputs->count && status == SB_OK; i++)
        status = inputs->items[i].text ? encode_text(&e, rows, &inputs->items[i], error)
                                       : encode_ids(&e, rows, inputs->items[i].ids, error);
    const int32_t *ids = rows->ids;
    for (size_t i = 0; i < rows->count; i++) {
        rows->items[i].ids = ids;
        ids += rows->items[i].length;
    }
    sb_encoding_free(&e.encoding);
    free(e.ids);
    return status;
}
