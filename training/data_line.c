/*
 * One line -> one example.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "training/data_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYNONYMS_MAX = 1000 };

struct parse {
    struct sb_example *example;
    const struct sb_data_format *format;
    char *what;
    size_t what_size;
    bool failed; /* out of memory */
};

__attribute__((format(printf, 3, 4))) static enum sb_drop drop(const struct parse *p, enum sb_drop reason,
                                                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->what, p->what_size, format, arguments);
    va_end(arguments);
    size_t bad;
    if (!sb_utf8_valid(p->what, strlen(p->what), &bad)) /* it quotes the line and was cut inside a character */
        p->what[bad] = '\0';
    return reason;
}

/* Texts are gathered in bytes, which may move; until all are there a view holds its offset in place of its address. */
static void add_text(struct parse *p, struct sb_text_view text)
{
    struct sb_example *e = p->example;
    if (e->count == e->capacity) {
        size_t capacity = e->capacity ? 2 * e->capacity : 4;
        struct sb_text_view *views = realloc(e->views, capacity * sizeof *views);
        if (!views) {
            p->failed = true;
            return;
        }
        e->views = views;
        e->capacity = capacity;
    }
    e->views[e->count++] = (struct sb_text_view){NULL, text.size};
    sb_buffer_bytes(&e->bytes, text.text, text.size);
    p->failed |= e->bytes.failed;
}

static void place_texts(struct sb_example *e)
{
    size_t at = 0;
    for (size_t i = 0; i < e->count; at += e->views[i++].size)
        e->views[i].text = e->bytes.data + at;
    e->texts = e->views;
}

static enum sb_drop parse_label(struct parse *p, const char *text, size_t size)
{
    double value;
    int shown = (int)sb_utf8_floor(text, size, 40);
    if (p->format->kind == SB_DATA_NLI) {
        int label = sb_nli_label(text, size);
        if (label < 0)
            return drop(p, SB_DROP_LABEL, "'%.*s' is none of entailment, neutral, contradiction, 0, 1, 2", shown, text);
        p->example->label = (float)label;
        return SB_DROP_NONE;
    }
    if (!sb_data_number(text, size, &value))
        return drop(p, SB_DROP_LABEL, "the label '%.*s' is no number", shown, text);
    const struct sb_data_format *f = p->format;
    if (f->score_high > f->score_low && !(value >= f->score_low && value <= f->score_high))
        return drop(p, SB_DROP_LABEL, "the score %g is not in [%g, %g]", value, f->score_low, f->score_high);
    p->example->label = (float)value;
    return SB_DROP_NONE;
}

/* ---- Columns ---- */

static enum sb_drop parse_columns(struct parse *p, const char *line, size_t size)
{
    static const int texts_of[SB_DATA_KINDS] = {
        [SB_DATA_PAIRS] = 2, [SB_DATA_TRIPLETS] = 3, [SB_DATA_NLI] = 2, [SB_DATA_SENTENCES] = 1};
    const struct sb_data_format *f = p->format;
    struct sb_text_view columns[SB_COLUMNS_MAX];
    if (f->columns == 1) {
        add_text(p, sb_trimmed(line, size));
        return SB_DROP_NONE;
    }
    int n = sb_split_columns(columns, line, size);
    if (n != f->columns)
        return drop(p, SB_DROP_FIELDS, "%d columns instead of %d", n, f->columns);
    for (int role = 0; role < texts_of[f->kind]; role++) {
        const struct sb_text_view *text = &columns[f->column_of[role]];
        if (text->size == 0)
            return drop(p, SB_DROP_EMPTY, "column %d is empty", f->column_of[role] + 1);
        add_text(p, *text);
    }
    int label = f->kind == SB_DATA_PAIRS || f->kind == SB_DATA_NLI ? f->column_of[SB_ROLE_LABEL] : -1;
    return label < 0 ? SB_DROP_NONE : parse_label(p, columns[label].text, columns[label].size);
}

/* ---- JSON ---- */

static enum sb_drop add_json_text(struct parse *p, const cJSON *item, const char *name)
{
    if (!cJSON_IsString(item))
        return drop(p, SB_DROP_FIELDS, item ? "\"%s\" is no string" : "there is no \"%s\"", name);
    struct sb_text_view text = sb_trimmed(item->valuestring, strlen(item->valuestring));
    if (text.size == 0)
        return drop(p, SB_DROP_EMPTY, "\"%s\" is empty", name);
    add_text(p, text);
    return SB_DROP_NONE;
}

static bool is_among(const struct sb_example *e, struct sb_text_view text)
{
    size_t at = 0;
    for (size_t i = 0; i < e->count; at += e->views[i++].size)
        if (e->views[i].size == text.size && memcmp(e->bytes.data + at, text.text, text.size) == 0)
            return true;
    return false;
}

static enum sb_drop parse_synonyms(struct parse *p, const cJSON *object)
{
    enum sb_drop reason = add_json_text(p, cJSON_GetObjectItem(object, "text"), "text");
    const cJSON *synonyms = cJSON_GetObjectItem(object, "synonyms"), *item;
    if (reason != SB_DROP_NONE)
        return reason;
    if (!cJSON_IsArray(synonyms))
        return drop(p, SB_DROP_FIELDS, synonyms ? "\"synonyms\" is no array" : "there is no \"synonyms\"");
    cJSON_ArrayForEach(item, synonyms)
    {
        if (!cJSON_IsString(item))
            return drop(p, SB_DROP_FIELDS, "\"synonyms\" holds what is no string");
        if (p->example->count > SYNONYMS_MAX)
            return drop(p, SB_DROP_FIELDS, "more than %d synonyms", SYNONYMS_MAX);
        struct sb_text_view text = sb_trimmed(item->valuestring, strlen(item->valuestring));
        if (text.size > 0 && !is_among(p->example, text))
            add_text(p, text);
    }
    return SB_DROP_NONE;
}

static const char *role_of_message(const cJSON *message)
{
    const cJSON *role = cJSON_GetObjectItem(message, "role");
    return cJSON_IsString(role) ? role->valuestring : "";
}

/* The last assistant's message, and the last user's before it. */
static enum sb_drop parse_chat(struct parse *p, const cJSON *object)
{
    const cJSON *messages = cJSON_GetObjectItem(object, "messages"), *message, *user = NULL, *asked = NULL,
                *answer = NULL;
    if (!cJSON_IsArray(messages))
        return drop(p, SB_DROP_FIELDS, messages ? "\"messages\" is no array" : "there is no \"messages\"");
    cJSON_ArrayForEach(message, messages)
    {
        if (strcmp(role_of_message(message), "user") == 0) {
            user = message;
        } else if (strcmp(role_of_message(message), "assistant") == 0 && user) {
            asked = user;
            answer = message;
        }
    }
    if (!answer)
        return drop(p, SB_DROP_FIELDS, "no \"user\" message that an \"assistant\" message answers");
    enum sb_drop reason = add_json_text(p, cJSON_GetObjectItem(asked, "content"), "content");
    return reason != SB_DROP_NONE ? reason : add_json_text(p, cJSON_GetObjectItem(answer, "content"), "content");
}

static const cJSON *item_of_role(const cJSON *object, enum sb_role role)
{
    for (const cJSON *item = object->child; item; item = item->next)
        if (sb_role_of_name(item->string, strlen(item->string)) == role)
            return item;
    return NULL;
}

static enum sb_drop parse_json_label(struct parse *p, const cJSON *object)
{
    const cJSON *item = item_of_role(object, SB_ROLE_LABEL);
    char digits[32];
    if (!item || cJSON_IsNull(item))
        return p->format->labelled || p->format->kind == SB_DATA_NLI ? drop(p, SB_DROP_LABEL, "there is no \"label\"")
                                                                     : SB_DROP_NONE;
    if (cJSON_IsString(item))
        return parse_label(p, item->valuestring, strlen(item->valuestring));
    if (!cJSON_IsNumber(item) && !cJSON_IsBool(item))
        return drop(p, SB_DROP_LABEL, "\"%.40s\" is neither a number nor a string", item->string);
    snprintf(digits, sizeof digits, "%.9g", cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item));
    return parse_label(p, digits, strlen(digits));
}

static enum sb_drop parse_object(struct parse *p, const cJSON *object)
{
    static const char *const names[SB_TEXTS_MAX] = {"text1", "text2", "negative"};
    const struct sb_data_format *f = p->format;
    switch (f->kind) {
    case SB_DATA_SYNONYMS: return parse_synonyms(p, object);
    case SB_DATA_CHAT: return parse_chat(p, object);
    case SB_DATA_SENTENCES: return add_json_text(p, item_of_role(object, SB_ROLE_A), "text");
    default: break;
    }
    enum sb_drop reason = SB_DROP_NONE;
    for (int role = SB_ROLE_A; reason == SB_DROP_NONE && role < (f->kind == SB_DATA_TRIPLETS ? 3 : 2); role++) {
        const cJSON *item = item_of_role(object, (enum sb_role)role);
        reason = add_json_text(p, item, item ? item->string : names[role]);
    }
    return reason != SB_DROP_NONE || f->kind == SB_DATA_TRIPLETS ? reason : parse_json_label(p, object);
}

static enum sb_drop parse_json(struct parse *p, const char *line, size_t size)
{
    cJSON *object;
    struct sb_error error;
    enum sb_status status = sb_json_parse(&object, line, size, &error);
    if (status != SB_OK) {
        p->failed |= status == SB_NO_MEMORY;
        return drop(p, SB_DROP_JSON, "%s", error.message);
    }
    enum sb_drop reason = cJSON_IsObject(object) ? parse_object(p, object) : drop(p, SB_DROP_JSON, "no JSON object");
    cJSON_Delete(object);
    return reason;
}

enum sb_drop sb_data_parse_line(struct sb_example *example, const struct sb_data_format *format, const char *line,
                                size_t size, char *what, size_t what_size, bool *failed)
{
    struct parse p = {example, format, what, what_size, false};
    size_t bad;
    example->kind = format->kind;
    example->count = 0;
    example->label = 1;
    sb_buffer_reset(&example->bytes);
    what[0] = '\0';
    enum sb_drop reason = SB_DROP_NONE;
    if (!sb_utf8_valid(line, size, &bad))
        reason = drop(&p, SB_DROP_ENCODING, "byte %zu of the line is 0x%02X", bad + 1, (unsigned char)line[bad]);
    else
        reason = format->json ? parse_json(&p, line, size) : parse_columns(&p, line, size);
    if (p.failed)
        example->count = 0;
    place_texts(example);
    *failed = p.failed;
    return reason;
}
