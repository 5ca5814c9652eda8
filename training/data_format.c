/*
 * How the lines of a file are laid out: told by the caller, or seen in its first lines.
 */
#include "base/json.h"
#include "training/data_impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SAMPLE_LINES = 200 };

static const char *const kind_names[SB_DATA_KINDS] = {
    [SB_DATA_AUTO] = "auto",           [SB_DATA_SYNONYMS] = "synonyms", [SB_DATA_PAIRS] = "pairs",
    [SB_DATA_TRIPLETS] = "triplets",   [SB_DATA_NLI] = "nli",           [SB_DATA_CHAT] = "chat",
    [SB_DATA_SENTENCES] = "sentences",
};

const char *sb_data_kind_name(enum sb_data_kind kind)
{
    return kind_names[kind];
}

bool sb_data_kind_parse(const char *name, enum sb_data_kind *kind)
{
    for (int i = 0; i < SB_DATA_KINDS; i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (enum sb_data_kind)i;
            return true;
        }
    return false;
}

/* ---- Words ---- */

static const struct {
    const char *name;
    enum sb_role role;
} role_names[] = {
    {"a", SB_ROLE_A},
    {"text", SB_ROLE_A},
    {"sentence1", SB_ROLE_A},
    {"sentence_a", SB_ROLE_A},
    {"text1", SB_ROLE_A},
    {"question1", SB_ROLE_A},
    {"premise", SB_ROLE_A},
    {"anchor", SB_ROLE_A},
    {"query", SB_ROLE_A},
    {"b", SB_ROLE_B},
    {"sentence2", SB_ROLE_B},
    {"sentence_b", SB_ROLE_B},
    {"text2", SB_ROLE_B},
    {"question2", SB_ROLE_B},
    {"hypothesis", SB_ROLE_B},
    {"positive", SB_ROLE_B},
    {"c", SB_ROLE_C},
    {"negative", SB_ROLE_C},
    {"label", SB_ROLE_LABEL},
    {"score", SB_ROLE_LABEL},
    {"similarity", SB_ROLE_LABEL},
    {"gold_label", SB_ROLE_LABEL},
    {"cosine", SB_ROLE_LABEL},
};

enum sb_role sb_role_of_name(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
        if (strlen(role_names[i].name) == size && strncasecmp(role_names[i].name, name, size) == 0)
            return role_names[i].role;
    return SB_ROLE_NONE;
}

int sb_nli_label(const char *text, size_t size)
{
    static const char *const names[] = {"entailment", "neutral", "contradiction"};
    if (size == 1 && text[0] >= '0' && text[0] <= '2')
        return text[0] - '0';
    for (int i = 0; i < 3; i++)
        if (strlen(names[i]) == size && strncasecmp(names[i], text, size) == 0)
            return i;
    return -1;
}

bool sb_data_number(const char *text, size_t size, double *value)
{
    char digits[64], *end;
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    if (strspn(digits, "+-.0123456789eE") < size)
        return false;
    *value = strtod(digits, &end);
    return *end == '\0' && isfinite(*value);
}

struct sb_text_view sb_trimmed(const char *text, size_t size)
{
    static const char spaces[] = " \t\r\n\v\f";
    while (size > 0 && memchr(spaces, text[0], sizeof spaces - 1)) {
        text++;
        size--;
    }
    while (size > 0 && memchr(spaces, text[size - 1], sizeof spaces - 1))
        size--;
    return (struct sb_text_view){text, size};
}

int sb_split_columns(struct sb_text_view columns[SB_COLUMNS_MAX], const char *line, size_t size)
{
    int count = 0;
    for (const char *end = line + size;;) {
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        if (count < SB_COLUMNS_MAX)
            columns[count] = sb_trimmed(line, (size_t)((tab ? tab : end) - line));
        count++;
        if (!tab)
            return count;
        line = tab + 1;
    }
}

/* ---- The first lines ---- */

struct sample {
    struct sb_text_view lines[SAMPLE_LINES]; /* that are not blank */
    int count;
};

static void take_sample(struct sample *sample, const char *text, size_t size)
{
    sample->count = 0;
    for (const char *end = text + size; text < end && sample->count < SAMPLE_LINES;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        /* Only the carriage return belongs to the line end: empty columns at the end of a line are columns. */
        if (line_end > text && line_end[-1] == '\r')
            line_end--;
        if (sb_trimmed(text, (size_t)(line_end - text)).size > 0)
            sample->lines[sample->count++] = (struct sb_text_view){text, (size_t)(line_end - text)};
        text = newline ? newline + 1 : end;
    }
}

static bool has_text(const cJSON *object, enum sb_role role)
{
    for (const cJSON *item = object->child; item; item = item->next)
        if (cJSON_IsString(item) && sb_role_of_name(item->string, strlen(item->string)) == role)
            return true;
    return false;
}

static enum sb_data_kind kind_of_object(const cJSON *object)
{
    if (cJSON_GetObjectItem(object, "messages"))
        return SB_DATA_CHAT;
    if (cJSON_GetObjectItem(object, "synonyms"))
        return SB_DATA_SYNONYMS;
    if (cJSON_GetObjectItem(object, "hypothesis"))
        return SB_DATA_NLI;
    if (!has_text(object, SB_ROLE_A))
        return SB_DATA_AUTO;
    if (has_text(object, SB_ROLE_C))
        return SB_DATA_TRIPLETS;
    return has_text(object, SB_ROLE_B) ? SB_DATA_PAIRS : SB_DATA_SENTENCES;
}

static bool has_label(const cJSON *object)
{
    for (const cJSON *item = object->child; item; item = item->next)
        if (sb_role_of_name(item->string, strlen(item->string)) == SB_ROLE_LABEL && !cJSON_IsNull(item))
            return true;
    return false;
}

static enum sb_status find_json(struct sb_data_format *format, const char *path, const struct sample *sample,
                                struct sb_error *error)
{
    format->json = true;
    for (int i = 0; i < sample->count; i++) {
        cJSON *object;
        if (sb_json_parse(&object, sample->lines[i].text, sample->lines[i].size, NULL) != SB_OK)
            continue;
        enum sb_data_kind kind = cJSON_IsObject(object) ? kind_of_object(object) : SB_DATA_AUTO;
        bool labelled = kind != SB_DATA_AUTO && has_label(object);
        cJSON_Delete(object);
        if (format->kind == SB_DATA_AUTO)
            format->kind = kind;
        if (kind != SB_DATA_AUTO && format->kind == kind) {
            format->labelled = labelled;
            return SB_OK;
        }
    }
    if (format->kind != SB_DATA_AUTO) /* the caller's word: each line will be held to it */
        return SB_OK;
    return sb_fail(error, SB_INVALID,
                   "%s: no line says what it is: {\"text\", \"synonyms\"}, {\"text1\", \"text2\", "
                   "\"label\"}, {\"anchor\", \"positive\", \"negative\"}, {\"premise\", \"hypothesis\", "
                   "\"label\"}, {\"messages\"} or {\"text\"}",
                   path);
}

/* ---- Columns ---- */

/* "a,b,label", "-,a,b": what the caller says. */
static enum sb_status parse_columns(struct sb_data_format *format, const struct sb_data_file *file,
                                    struct sb_error *error)
{
    const char *at = file->columns;
    for (format->columns = 0;; format->columns++) {
        size_t size = strcspn(at, ",");
        enum sb_role role = sb_role_of_name(at, size);
        if (format->columns == SB_COLUMNS_MAX)
            return sb_fail(error, SB_INVALID, "%s: columns \"%.200s\" has more than %d", file->path, file->columns,
                           SB_COLUMNS_MAX);
        if (role == SB_ROLE_NONE && !(size == 1 && *at == '-'))
            return sb_fail(error, SB_INVALID, "%s: columns \"%.200s\": '%.*s' is none of a, b, c, label and -",
                           file->path, file->columns, (int)(size < 40 ? size : 40), at);
        if (role != SB_ROLE_NONE && format->column_of[role] >= 0)
            return sb_fail(error, SB_INVALID, "%s: columns \"%.200s\" has '%.*s' twice", file->path, file->columns,
                           (int)size, at);
        if (role != SB_ROLE_NONE)
            format->column_of[role] = format->columns;
        at += size;
        if (!*at)
            break;
        at++;
    }
    format->columns++;
    return SB_OK;
}

/* The number of columns of most lines; 1 unless nine of ten lines have it. */
static int usual_columns(const struct sample *sample)
{
    int lines_of[SB_COLUMNS_MAX + 1] = {0}, best = 1;
    struct sb_text_view columns[SB_COLUMNS_MAX];
    for (int i = 0; i < sample->count; i++) {
        int n = sb_split_columns(columns, sample->lines[i].text, sample->lines[i].size);
        lines_of[n <= SB_COLUMNS_MAX ? n : 0]++;
    }
    for (int n = 2; n <= SB_COLUMNS_MAX; n++)
        if (lines_of[n] > lines_of[best])
            best = n;
    return lines_of[best] * 10 >= sample->count * 9 ? best : 1;
}

/* A header has at least two known names, one of them the first text's. "a" and "b" alone may be texts. */
static bool read_header(struct sb_data_format *format, const struct sb_text_view *line)
{
    struct sb_text_view columns[SB_COLUMNS_MAX];
    int found[SB_ROLES] = {-1, -1, -1, -1}, known = 0, words = 0, n = sb_split_columns(columns, line->text, line->size);
    for (int i = 0; i < n && i < SB_COLUMNS_MAX; i++) {
        enum sb_role role = sb_role_of_name(columns[i].text, columns[i].size);
        if (role == SB_ROLE_NONE || found[role] >= 0)
            continue;
        found[role] = i;
        known++;
        words += columns[i].size > 1;
        if (columns[i].size == strlen("hypothesis") &&
            strncasecmp(columns[i].text, "hypothesis", columns[i].size) == 0 && format->kind == SB_DATA_AUTO)
            format->kind = SB_DATA_NLI;
    }
    if (n != format->columns || known < 2 || words < 1 || found[SB_ROLE_A] < 0)
        return false;
    memcpy(format->column_of, found, sizeof found);
    return true;
}

enum content { CONTENT_TEXT, CONTENT_NUMBERS, CONTENT_NLI };

/* What column number `column` holds; the first line may be a header and is not asked. */
static enum content content_of(const struct sample *sample, const struct sb_data_format *format, int column)
{
    struct sb_text_view columns[SB_COLUMNS_MAX];
    int lines = 0, numbers = 0, labels = 0;
    for (int i = sample->count > 1; i < sample->count; i++) {
        if (sb_split_columns(columns, sample->lines[i].text, sample->lines[i].size) != format->columns)
            continue;
        double value;
        const struct sb_text_view *c = &columns[column];
        lines++;
        numbers += sb_data_number(c->text, c->size, &value);
        labels += sb_nli_label(c->text, c->size) >= 0 || (c->size == 1 && c->text[0] == '-'); /* SNLI: nobody agreed */
    }
    /* Nine of ten: the others are bad lines, to be told one by one. */
    return numbers * 10 >= lines * 9 && !(format->kind == SB_DATA_NLI && labels * 10 >= lines * 9) ? CONTENT_NUMBERS
           : labels * 10 >= lines * 9                                                              ? CONTENT_NLI
                                                                                                   : CONTENT_TEXT;
}

/* Without a header: the last column of numbers or of NLI labels is the label, the last texts are the texts. */
static void guess_columns(struct sb_data_format *format, const struct sample *sample)
{
    int texts[SB_COLUMNS_MAX], count = 0;
    enum content label = CONTENT_TEXT;
    for (int i = 0; i < format->columns; i++) {
        enum content content = content_of(sample, format, i);
        if (content == CONTENT_TEXT) {
            texts[count++] = i;
        } else {
            format->column_of[SB_ROLE_LABEL] = i;
            label = content;
        }
    }
    if (format->kind == SB_DATA_AUTO && label == CONTENT_NLI)
        format->kind = SB_DATA_NLI;
    int wanted = format->kind == SB_DATA_TRIPLETS || (format->kind == SB_DATA_AUTO && label == CONTENT_TEXT) ? 3 : 2;
    wanted = wanted < count ? wanted : count;
    for (int i = 0; i < wanted; i++)
        format->column_of[SB_ROLE_A + i] = texts[count - wanted + i];
}

static enum sb_status complete_columns(struct sb_data_format *format, const char *path, struct sb_error *error)
{
    const int *of = format->column_of;
    if (format->kind == SB_DATA_AUTO)
        format->kind = of[SB_ROLE_C] >= 0 ? SB_DATA_TRIPLETS : of[SB_ROLE_B] >= 0 ? SB_DATA_PAIRS : SB_DATA_SENTENCES;
    if (format->kind == SB_DATA_SYNONYMS || format->kind == SB_DATA_CHAT)
        return sb_fail(error, SB_INVALID, "%s: %s come as JSON lines, and most lines are none", path,
                       sb_data_kind_name(format->kind));
    static const char *const names[SB_ROLES] = {"a", "b", "c", "label"};
    static const int needs[SB_DATA_KINDS] = {
        [SB_DATA_PAIRS] = 1 << SB_ROLE_A | 1 << SB_ROLE_B,
        [SB_DATA_TRIPLETS] = 1 << SB_ROLE_A | 1 << SB_ROLE_B | 1 << SB_ROLE_C,
        [SB_DATA_NLI] = 1 << SB_ROLE_A | 1 << SB_ROLE_B | 1 << SB_ROLE_LABEL,
        [SB_DATA_SENTENCES] = 1 << SB_ROLE_A,
    };
    for (int role = 0; role < SB_ROLES; role++)
        if (needs[format->kind] >> role & 1 && of[role] < 0)
            return sb_fail(error, SB_INVALID,
                           "%s: %s need a column '%s', and none of its %d columns seems to be it; name them, "
                           "for example \"columns\": \"-,a,b,label\"",
                           path, sb_data_kind_name(format->kind), names[role], format->columns);
    format->labelled = of[SB_ROLE_LABEL] >= 0;
    return SB_OK;
}

static enum sb_status find_columns(struct sb_data_format *format, const struct sb_data_file *file,
                                   const struct sample *sample, struct sb_error *error)
{
    if (file->columns) {
        enum sb_status status = parse_columns(format, file, error);
        return status == SB_OK ? complete_columns(format, file->path, error) : status;
    }
    format->columns = format->kind == SB_DATA_SENTENCES ? 1 : usual_columns(sample);
    if (format->columns == 1) {
        format->column_of[SB_ROLE_A] = 0;
        return complete_columns(format, file->path, error);
    }
    format->header = read_header(format, &sample->lines[0]);
    if (!format->header)
        guess_columns(format, sample);
    return complete_columns(format, file->path, error);
}

/* Most of them: one that is something else is a bad line, wherever it stands. */
static bool are_objects(const struct sample *sample)
{
    int objects = 0;
    for (int i = 0; i < sample->count; i++) {
        struct sb_text_view line = sb_trimmed(sample->lines[i].text, sample->lines[i].size);
        objects += line.size > 0 && line.text[0] == '{';
    }
    return 2 * objects > sample->count;
}

enum sb_status sb_data_format_find(struct sb_data_format *format, const struct sb_data_file *file, const char *sample,
                                   size_t size, struct sb_error *error)
{
    struct sample lines;
    *format = (struct sb_data_format){.kind = file->kind, .column_of = {-1, -1, -1, -1}};
    format->score_low = file->score_low;
    format->score_high = file->score_high;
    take_sample(&lines, sample, size);
    if (lines.count == 0)
        return sb_fail(error, SB_INVALID, "%s has no lines", file->path);
    if (!file->columns && are_objects(&lines))
        return find_json(format, file->path, &lines, error);
    return find_columns(format, file, &lines, error);
}
