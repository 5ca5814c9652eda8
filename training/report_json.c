/* The report as JSON and back. Points are columns: a list for each kind of number, which plotting programs take as they are. */
#include "base/json.h"
#include "training/report_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) {#name, offsetof(struct sb_report, name)}
const struct sb_report_field sb_report_texts[] = {FIELD(message),   FIELD(model),  FIELD(output), FIELD(version), FIELD(dtype),
                                                  FIELD(optimizer), FIELD(recipe), {0}};
const struct sb_report_field sb_report_counts[] = {
    FIELD(started),         FIELD(finished),       FIELD(threads),    FIELD(processes), FIELD(seed),
    FIELD(steps),           FIELD(steps_planned),  FIELD(tokens),     FIELD(rows),      FIELD(data_examples),
    FIELD(optimizer_bytes), FIELD(training_bytes), FIELD(peak_bytes), {0}};
#undef FIELD

#define COLUMN(name) {#name, offsetof(struct sb_report_point, name)}
const struct sb_report_field sb_report_columns[] = {COLUMN(loss),          COLUMN(adversarial),     COLUMN(learning_rate),
                                                    COLUMN(gradient_norm), COLUMN(rows_per_second), {0}};
#undef COLUMN

char **sb_report_text_field(struct sb_report *report, size_t i)
{
    return (char **)((char *)report + sb_report_texts[i].offset);
}

uint64_t *sb_report_count_field(struct sb_report *report, size_t i)
{
    return (uint64_t *)((char *)report + sb_report_counts[i].offset);
}

double *sb_report_column(struct sb_report_point *point, size_t i)
{
    return (double *)((char *)point + sb_report_columns[i].offset);
}

static bool is_recipe(const char *key)
{
    return strcmp(key, "recipe") == 0; /* of the texts the one that is JSON itself */
}

/* ---- Writing ---- */

static void put_string(struct sb_buffer *out, const char *text)
{
    if (text)
        sb_buffer_json_string(out, text, strlen(text));
    else
        sb_buffer_text(out, "null");
}

/* So many digits as give the same double again. */
static void put_number(struct sb_buffer *out, double value)
{
    char text[32];
    int digits = 15;
    if (!isfinite(value)) {
        sb_buffer_text(out, "null");
        return;
    }
    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && digits++ < 17);
    sb_buffer_text(out, text);
}

static void put_gate(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, ",\n\"gate\":");
    if (!*report->gate.metric) {
        sb_buffer_text(out, "null");
        return;
    }
    sb_buffer_text(out, "{\"metric\":");
    put_string(out, report->gate.metric);
    sb_buffer_text(out, ",\"before\":");
    put_number(out, report->gate.before);
    sb_buffer_text(out, ",\"after\":");
    put_number(out, report->gate.after);
    sb_buffer_format(out, ",\"passed\":%s}", report->gate.passed ? "true" : "false");
}

static void put_evaluations(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, ",\n\"evaluations\":[");
    for (size_t i = 0; i < report->evaluation_count; i++) {
        const struct sb_report_evaluation *e = &report->evaluations[i];
        sb_buffer_format(out, "%s\n{\"step\":%" PRIu64 ",\"sampled\":%s,\"measures\":[", i ? "," : "", e->step,
                         e->sampled ? "true" : "false");
        for (size_t m = 0; m < e->count; m++) {
            sb_buffer_text(out, m ? ",{\"name\":" : "{\"name\":");
            put_string(out, e->measures[m].name);
            sb_buffer_text(out, ",\"value\":");
            put_number(out, e->measures[m].value);
            sb_buffer_text(out, "}");
        }
        sb_buffer_text(out, "]}");
    }
    sb_buffer_text(out, "]");
}

static void put_paraphrases(struct sb_buffer *out, const char *key, const struct sb_report_paraphrase *list, size_t count)
{
    sb_buffer_format(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(out, i ? ",{\"text\":" : "{\"text\":");
        put_string(out, list[i].text);
        sb_buffer_text(out, ",\"similarity\":");
        put_number(out, list[i].similarity);
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "]");
}

static void put_examples(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, ",\n\"paraphrases\":[");
    for (size_t i = 0; i < report->example_count; i++) {
        const struct sb_report_example *example = &report->examples[i];
        sb_buffer_text(out, i ? ",\n{\"source\":" : "\n{\"source\":");
        put_string(out, example->source);
        put_paraphrases(out, "before", example->before, example->before_count);
        put_paraphrases(out, "after", example->after, example->after_count);
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "]");
}

static void put_file(struct sb_buffer *out, const struct sb_data_report *file)
{
    sb_buffer_text(out, "{\"path\":");
    put_string(out, file->path);
    sb_buffer_format(out, ",\"kind\":\"%s\",\"lines\":%zu,\"blank\":%zu,\"examples\":%zu,\"bad\":%zu,\"dropped\":{",
                     sb_data_kind_name(file->kind), file->lines, file->blank, file->examples, file->bad);
    bool any = false;
    for (int r = 0; r < SB_DROP_REASONS; r++) {
        if (!file->dropped[r])
            continue;
        sb_buffer_text(out, any ? "," : "");
        put_string(out, sb_drop_name((enum sb_drop)r));
        sb_buffer_format(out, ":%zu", file->dropped[r]);
        any = true;
    }
    sb_buffer_text(out, "},\"problems\":[");
    for (size_t i = 0; i < file->problem_count; i++) {
        sb_buffer_format(out, "%s{\"line\":%zu,\"reason\":", i ? "," : "", file->problems[i].line);
        put_string(out, sb_drop_name(file->problems[i].reason));
        sb_buffer_text(out, ",\"what\":");
        put_string(out, file->problems[i].what);
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "],\"score_low\":");
    put_number(out, file->score_low);
    sb_buffer_text(out, ",\"score_high\":");
    put_number(out, file->score_high);
    sb_buffer_text(out, "}");
}

static void put_files(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, ",\n\"files\":[");
    for (size_t i = 0; i < report->file_count; i++) {
        sb_buffer_text(out, i ? ",\n" : "\n");
        put_file(out, &report->files[i]);
    }
    sb_buffer_format(out, "],\n\"files_left_out\":%zu", report->files_left_out);
}

static void put_points(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_format(out, ",\n\"points\":{\"stride\":%" PRIu64 ",\n\"last\":[", report->stride);
    for (size_t i = 0; i < report->point_count; i++)
        sb_buffer_format(out, "%s%" PRIu64, i ? "," : "", report->points[i].last);
    sb_buffer_text(out, "],\n\"steps\":[");
    for (size_t i = 0; i < report->point_count; i++)
        sb_buffer_format(out, "%s%" PRIu64, i ? "," : "", report->points[i].steps);
    for (size_t c = 0; sb_report_columns[c].key; c++) {
        sb_buffer_format(out, "],\n\"%s\":[", sb_report_columns[c].key);
        for (size_t i = 0; i < report->point_count; i++) {
            sb_buffer_text(out, i ? "," : "");
            put_number(out, *sb_report_column(&report->points[i], c));
        }
    }
    sb_buffer_text(out, "],\n\"parts\":[");
    for (size_t v = 0; v < report->value_count; v++) {
        sb_buffer_text(out, v ? ",\n{\"name\":" : "\n{\"name\":");
        put_string(out, report->value_names[v]);
        sb_buffer_text(out, ",\"values\":[");
        for (size_t i = 0; i < report->point_count; i++) {
            sb_buffer_text(out, i ? "," : "");
            put_number(out, report->points[i].values[v]);
        }
        sb_buffer_text(out, "]}");
    }
    sb_buffer_text(out, "]}");
}

enum sb_status sb_report_to_json(const struct sb_report *report, struct sb_buffer *out, struct sb_error *error)
{
    struct sb_report *fields = (struct sb_report *)(uintptr_t)report; /* only read through them */
    sb_buffer_format(out, "{\"result\":\"%s\"", sb_report_result_name(report->result));
    for (size_t i = 0; sb_report_texts[i].key; i++) {
        const char *text = *sb_report_text_field(fields, i);
        sb_buffer_format(out, ",\n\"%s\":", sb_report_texts[i].key);
        if (text && is_recipe(sb_report_texts[i].key))
            sb_buffer_text(out, text);
        else
            put_string(out, text);
    }
    for (size_t i = 0; sb_report_counts[i].key; i++)
        sb_buffer_format(out, ",\n\"%s\":%" PRIu64, sb_report_counts[i].key, *sb_report_count_field(fields, i));
    sb_buffer_text(out, ",\n\"seconds\":");
    put_number(out, report->seconds);
    sb_buffer_format(out, ",\n\"measured_on_training_data\":%s", report->measured_on_training_data ? "true" : "false");
    put_gate(out, report);
    put_evaluations(out, report);
    put_examples(out, report);
    put_files(out, report);
    put_points(out, report);
    sb_buffer_text(out, "}\n");
    return report->failed || out->failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the report") : SB_OK;
}

/* ---- Reading ---- */

#define MAX_COUNT ((int64_t)1 << 53)

struct reader {
    struct sb_report *report;
    enum sb_status status; /* after the first failure nothing is read any more */
    struct sb_error *error;
};

static void refuse(struct reader *r, const char *what)
{
    if (r->status == SB_OK)
        r->status = sb_fail(r->error, SB_INVALID, "not a report of this program: \"%s\" is not what it writes", what);
}

static uint64_t read_count(struct reader *r, const cJSON *object, const char *key, uint64_t most)
{
    int64_t value = 0;
    if (r->status == SB_OK)
        r->status = sb_json_get_int(&value, 0, most < (uint64_t)MAX_COUNT ? (int64_t)most : MAX_COUNT, object, key, r->error);
    return (uint64_t)value;
}

static double number_of(const cJSON *json)
{
    return cJSON_IsNumber(json) ? json->valuedouble : NAN;
}

static double read_number(const cJSON *object, const char *key)
{
    return number_of(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool read_bool(struct reader *r, const cJSON *object, const char *key)
{
    bool value = false;
    if (r->status == SB_OK)
        r->status = sb_json_get_bool(&value, object, key, r->error);
    return value;
}

/* "" if there is none. */
static const char *read_string(struct reader *r, const cJSON *object, const char *key)
{
    const char *text = NULL;
    if (r->status == SB_OK)
        r->status = sb_json_get_string(&text, object, key, r->error);
    return text ? text : "";
}

/* The list under a key, which must be there. */
static const cJSON *read_list(struct reader *r, const cJSON *object, const char *key)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsArray(list))
        refuse(r, key);
    return list;
}

static const cJSON *read_first(struct reader *r, const cJSON *object, const char *key)
{
    const cJSON *list = read_list(r, object, key);
    return r->status == SB_OK ? list->child : NULL;
}

static void read_fields(struct reader *r, const cJSON *json)
{
    for (size_t i = 0; sb_report_texts[i].key && r->status == SB_OK; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, sb_report_texts[i].key);
        bool is_object = is_recipe(sb_report_texts[i].key) && cJSON_IsObject(item);
        char *printed = is_object ? cJSON_Print(item) : NULL;
        r->report->failed |= is_object && !printed;
        if (!is_object && item && !cJSON_IsNull(item) && !cJSON_IsString(item))
            refuse(r, sb_report_texts[i].key);
        sb_report_set(sb_report_text_field(r->report, i), is_object ? printed : cJSON_GetStringValue(item), r->report);
        cJSON_free(printed);
    }
    for (size_t i = 0; sb_report_counts[i].key; i++)
        *sb_report_count_field(r->report, i) = read_count(r, json, sb_report_counts[i].key, MAX_COUNT);
    r->report->seconds = read_number(json, "seconds");
    r->report->measured_on_training_data = read_bool(r, json, "measured_on_training_data");
    const char *result = read_string(r, json, "result");
    for (int i = SB_REPORT_RUNNING; i <= SB_REPORT_FAILED; i++) {
        if (strcmp(result, sb_report_result_name((enum sb_report_result)i)) == 0) {
            r->report->result = (enum sb_report_result)i;
            return;
        }
    }
    refuse(r, "result");
}

static void read_gate(struct reader *r, const cJSON *json)
{
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(json, "gate");
    if (!cJSON_IsObject(gate))
        return;
    snprintf(r->report->gate.metric, sizeof r->report->gate.metric, "%s", read_string(r, gate, "metric"));
    r->report->gate.before = read_number(gate, "before");
    r->report->gate.after = read_number(gate, "after");
    r->report->gate.passed = read_bool(r, gate, "passed");
}

static void read_evaluations(struct reader *r, const cJSON *json)
{
    for (const cJSON *e = read_first(r, json, "evaluations"); e; e = e->next) {
        sb_report_evaluation(r->report, read_count(r, e, "step", MAX_COUNT), read_bool(r, e, "sampled"));
        for (const cJSON *m = read_first(r, e, "measures"); m; m = m->next)
            sb_report_measure(r->report, read_string(r, m, "name"), read_number(m, "value"));
    }
}

static void read_examples(struct reader *r, const cJSON *json)
{
    static const char *const keys[] = {"before", "after"};
    for (const cJSON *example = read_first(r, json, "paraphrases"); example; example = example->next) {
        const char *source = read_string(r, example, "source");
        sb_report_paraphrase(r->report, source, false, NULL, NAN);
        for (int after = 0; after < 2; after++)
            for (const cJSON *one = read_first(r, example, keys[after]); one; one = one->next)
                sb_report_paraphrase(r->report, source, after, read_string(r, one, "text"), read_number(one, "similarity"));
    }
}

static enum sb_drop reason_of(struct reader *r, const char *name)
{
    for (int reason = 0; reason < SB_DROP_REASONS && name; reason++)
        if (strcmp(sb_drop_name((enum sb_drop)reason), name) == 0)
            return (enum sb_drop)reason;
    refuse(r, "dropped");
    return SB_DROP_NONE;
}

static void read_file(struct reader *r, const cJSON *json)
{
    struct sb_data_report file = {.path = read_string(r, json, "path"),
                                  .lines = read_count(r, json, "lines", SIZE_MAX),
                                  .blank = read_count(r, json, "blank", SIZE_MAX),
                                  .examples = read_count(r, json, "examples", SIZE_MAX),
                                  .bad = read_count(r, json, "bad", SIZE_MAX),
                                  .score_low = read_number(json, "score_low"),
                                  .score_high = read_number(json, "score_high")};
    const cJSON *item;
    if (!sb_data_kind_parse(read_string(r, json, "kind"), &file.kind))
        refuse(r, "kind");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "dropped"))
    {
        int64_t count = 0;
        if (!sb_json_as_int(&count, 0, MAX_COUNT, item))
            refuse(r, "dropped");
        file.dropped[reason_of(r, item->string)] = (size_t)count;
    }
    for (item = read_first(r, json, "problems"); item && file.problem_count < SB_DATA_PROBLEMS; item = item->next) {
        struct sb_data_problem *problem = &file.problems[file.problem_count++];
        problem->line = read_count(r, item, "line", SIZE_MAX);
        problem->reason = reason_of(r, read_string(r, item, "reason"));
        snprintf(problem->what, sizeof problem->what, "%s", read_string(r, item, "what"));
    }
    if (r->status == SB_OK)
        sb_report_file(r->report, &file);
}

/* A list of one number for each point; NULL, and refused, if it is something else. */
static const cJSON *read_column(struct reader *r, const cJSON *object, const char *key)
{
    const cJSON *list = read_list(r, object, key);
    if (r->status == SB_OK && (size_t)cJSON_GetArraySize(list) != r->report->point_count)
        refuse(r, key);
    return r->status == SB_OK ? list->child : NULL;
}

static uint64_t take_count(struct reader *r, const cJSON *item, const char *key)
{
    int64_t value = 0;
    if (!sb_json_as_int(&value, 1, MAX_COUNT, item))
        refuse(r, key);
    return (uint64_t)value;
}

static void read_numbers(struct reader *r, const cJSON *points, const cJSON *parts)
{
    struct sb_report *report = r->report;
    const cJSON *last = read_column(r, points, "last"), *steps = read_column(r, points, "steps"), *item;
    for (size_t i = 0; i < report->point_count && r->status == SB_OK; i++, last = last->next, steps = steps->next) {
        report->points[i].last = take_count(r, last, "last");
        report->points[i].steps = take_count(r, steps, "steps");
    }
    for (size_t c = 0; sb_report_columns[c].key; c++) {
        item = read_column(r, points, sb_report_columns[c].key);
        for (size_t i = 0; i < report->point_count && item; i++, item = item->next)
            *sb_report_column(&report->points[i], c) = number_of(item);
    }
    const cJSON *part = parts->child;
    for (size_t v = 0; v < report->value_count; v++, part = part->next) {
        item = read_column(r, part, "values");
        for (size_t i = 0; i < report->point_count && item; i++, item = item->next)
            report->points[i].values[v] = number_of(item);
    }
}

static void read_points(struct reader *r, const cJSON *json)
{
    const char *names[sizeof r->report->value_names / sizeof *r->report->value_names];
    enum { MAX_PARTS = sizeof names / sizeof *names };
    const cJSON *points = cJSON_GetObjectItemCaseSensitive(json, "points"), *part;
    const cJSON *last = read_list(r, points, "last"), *parts = read_list(r, points, "parts");
    size_t count = 0;
    int size = cJSON_GetArraySize(last);
    if (r->status == SB_OK && (size > SB_REPORT_POINTS || cJSON_GetArraySize(parts) > MAX_PARTS))
        refuse(r, "points");
    if (r->status != SB_OK || size == 0)
        return;
    cJSON_ArrayForEach(part, parts)
        names[count++] = read_string(r, part, "name");
    uint64_t stride = read_count(r, points, "stride", MAX_COUNT);
    if (stride == 0)
        refuse(r, "stride");
    if (r->status != SB_OK || !sb_report_begin_points(r->report, names, count))
        return;
    r->report->stride = stride;
    r->report->point_count = (size_t)size;
    read_numbers(r, points, parts);
}

enum sb_status sb_report_from_json(struct sb_report *report, const char *text, size_t size, struct sb_error *error)
{
    cJSON *json = NULL;
    struct reader r = {.report = report, .error = error, .status = sb_json_parse(&json, text, size, error)};
    if (r.status == SB_OK && !cJSON_IsObject(json))
        refuse(&r, "report");
    if (r.status == SB_OK) {
        read_fields(&r, json);
        read_gate(&r, json);
        read_evaluations(&r, json);
        read_examples(&r, json);
        for (const cJSON *file = read_first(&r, json, "files"); file; file = file->next)
            read_file(&r, file);
        report->files_left_out += read_count(&r, json, "files_left_out", SIZE_MAX);
        read_points(&r, json);
    }
    if (r.status == SB_OK && report->failed)
        r.status = sb_fail(error, SB_NO_MEMORY, "no memory for the report");
    cJSON_Delete(json);
    if (r.status != SB_OK)
        sb_report_free(report);
    return r.status;
}
