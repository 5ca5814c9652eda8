#include "training/report.h"

#include "base/file.h"
#include "base/utf8.h"
#include "training/report_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT_BYTES = 1024 }; /* of examples and paraphrases */

const char *sb_report_result_name(enum sb_report_result result)
{
    static const char *const names[] = {"running", "succeeded", "stopped", "failed"};
    return names[result];
}

void sb_report_set(char **field, const char *text, struct sb_report *report)
{
    char *copy = text ? strdup(text) : NULL;
    report->failed |= text && !copy;
    free(*field);
    *field = copy;
}

static void free_example(struct sb_report_example *example)
{
    free(example->source);
    for (size_t i = 0; i < example->before_count; i++)
        free(example->before[i].text);
    for (size_t i = 0; i < example->after_count; i++)
        free(example->after[i].text);
}

void sb_report_free(struct sb_report *report)
{
    if (!report)
        return;
    for (size_t i = 0; sb_report_texts[i].key; i++)
        free(*sb_report_text_field(report, i));
    for (size_t i = 0; i < report->value_count; i++)
        free(report->value_names[i]);
    if (report->points)
        free(report->points[0].values); /* one block for all points */
    free(report->points);
    for (size_t i = 0; i < report->evaluation_count; i++)
        free(report->evaluations[i].measures);
    for (size_t i = 0; i < report->file_count; i++)
        free((char *)(uintptr_t)report->files[i].path);
    for (size_t i = 0; i < report->example_count; i++)
        free_example(&report->examples[i]);
    *report = (struct sb_report){0};
}

/* ---- Steps ---- */

bool sb_report_begin_points(struct sb_report *report, const char *const *names, size_t count)
{
    double *values = calloc(SB_REPORT_POINTS * (count ? count : 1), sizeof *values);
    report->points = calloc(SB_REPORT_POINTS, sizeof *report->points);
    report->failed |= !report->points || !values;
    for (size_t i = 0; i < count && !report->failed; i++) {
        sb_report_set(&report->value_names[i], names[i], report);
        report->value_count = i + 1;
    }
    if (report->failed) {
        free(values);
        free(report->points);
        report->points = NULL;
        return false;
    }
    for (size_t i = 0; i < SB_REPORT_POINTS; i++)
        report->points[i].values = values + i * count;
    report->stride = 1;
    return true;
}

/* The mean of a, of so many steps, and b. */
static double mean(double a, uint64_t a_steps, double b, uint64_t b_steps)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return (a * (double)a_steps + b * (double)b_steps) / (double)(a_steps + b_steps);
}

/* b's steps, which come behind a's, join a. */
static void join(struct sb_report_point *a, const struct sb_report_point *b, size_t values)
{
    a->loss = mean(a->loss, a->steps, b->loss, b->steps);
    a->adversarial = mean(a->adversarial, a->steps, b->adversarial, b->steps);
    a->learning_rate = mean(a->learning_rate, a->steps, b->learning_rate, b->steps);
    a->gradient_norm = mean(a->gradient_norm, a->steps, b->gradient_norm, b->steps);
    a->rows_per_second = mean(a->rows_per_second, a->steps, b->rows_per_second, b->steps);
    for (size_t i = 0; i < values; i++)
        a->values[i] = mean(a->values[i], a->steps, b->values[i], b->steps);
    a->steps += b->steps;
    a->last = b->last;
}

static void copy_point(struct sb_report_point *to, const struct sb_report_point *from, size_t values)
{
    double *kept = to->values;
    *to = *from;
    to->values = kept;
    if (values)
        memmove(to->values, from->values, values * sizeof *to->values);
}

/* Points 0 and 1 become point 0, 2 and 3 point 1, ... The number of points is even. */
static void halve_points(struct sb_report *report)
{
    for (size_t i = 0; i < report->point_count / 2; i++) {
        if (i > 0)
            copy_point(&report->points[i], &report->points[2 * i], report->value_count);
        join(&report->points[i], &report->points[2 * i + 1], report->value_count);
    }
    report->point_count /= 2;
    report->stride *= 2;
}

static bool has_values_of(const struct sb_report *report, const struct sb_trainer_step *step)
{
    bool same = step->value_count == report->value_count;
    for (size_t i = 0; i < step->value_count && same; i++)
        same = strcmp(step->names[i], report->value_names[i]) == 0;
    return same;
}

void sb_report_step(struct sb_report *report, const struct sb_trainer_step *step, double rows_per_second)
{
    double values[sizeof step->values / sizeof *step->values];
    if (report->failed || (!report->points && !sb_report_begin_points(report, step->names, step->value_count)))
        return;
    bool known = has_values_of(report, step);
    for (size_t i = 0; i < report->value_count; i++)
        values[i] = known ? step->values[i] : NAN;
    struct sb_report_point one = {.last = step->number,
                                  .steps = 1,
                                  .loss = step->loss,
                                  .adversarial = step->adversarial,
                                  .learning_rate = step->learning_rate,
                                  .gradient_norm = step->gradient_norm,
                                  .rows_per_second = rows_per_second,
                                  .values = values};
    struct sb_report_point *last = report->point_count ? &report->points[report->point_count - 1] : NULL;
    bool is_whole = !last || last->steps >= report->stride;
    if (is_whole && report->point_count == SB_REPORT_POINTS)
        halve_points(report);
    if (is_whole)
        copy_point(&report->points[report->point_count++], &one, report->value_count);
    else
        join(last, &one, report->value_count);
    report->rows += step->rows;
}

/* ---- Evaluations ---- */

void sb_report_evaluation(struct sb_report *report, uint64_t step, bool sampled)
{
    if (report->failed)
        return;
    if (report->evaluation_count == SB_REPORT_EVALUATIONS) {
        size_t kept = 1;
        for (size_t i = 1; i < SB_REPORT_EVALUATIONS; i++) {
            if (i % 2)
                free(report->evaluations[i].measures);
            else
                report->evaluations[kept++] = report->evaluations[i];
        }
        report->evaluation_count = kept;
    }
    report->evaluations[report->evaluation_count++] = (struct sb_report_evaluation){.step = step, .sampled = sampled};
}

void sb_report_measure(struct sb_report *report, const char *name, double value)
{
    if (report->failed || report->evaluation_count == 0)
        return;
    struct sb_report_evaluation *evaluation = &report->evaluations[report->evaluation_count - 1];
    if (evaluation->count == SB_REPORT_MEASURES)
        return;
    if (evaluation->count == evaluation->capacity) {
        size_t capacity = evaluation->capacity ? 2 * evaluation->capacity : 8;
        struct sb_report_measure *more = realloc(evaluation->measures, capacity * sizeof *more);
        if (!more) {
            report->failed = true;
            return;
        }
        evaluation->measures = more;
        evaluation->capacity = capacity;
    }
    struct sb_report_measure *measure = &evaluation->measures[evaluation->count++];
    size_t length = sb_utf8_floor(name, strlen(name), sizeof measure->name - 1);
    snprintf(measure->name, sizeof measure->name, "%.*s", (int)length, name);
    measure->value = value;
}

/* ---- Files and examples ---- */

void sb_report_file(struct sb_report *report, const struct sb_data_report *file)
{
    if (report->failed)
        return;
    if (report->file_count == SB_REPORT_FILES) {
        report->files_left_out++;
        return;
    }
    char *path = strdup(file->path);
    if (!path) {
        report->failed = true;
        return;
    }
    report->files[report->file_count] = *file;
    report->files[report->file_count++].path = path;
}

static char *copy_text(struct sb_report *report, const char *text)
{
    char *copy = strndup(text, sb_utf8_floor(text, strlen(text), MAX_TEXT_BYTES));
    report->failed |= !copy;
    return copy;
}

/* NULL: there is no room for another one. */
static struct sb_report_example *example_of(struct sb_report *report, const char *source)
{
    char *copy = copy_text(report, source);
    struct sb_report_example *found = NULL;
    for (size_t i = 0; i < report->example_count && copy && !found; i++)
        if (strcmp(report->examples[i].source, copy) == 0)
            found = &report->examples[i];
    if (found || !copy || report->example_count == SB_REPORT_EXAMPLES) {
        free(copy);
        return found;
    }
    report->examples[report->example_count].source = copy;
    return &report->examples[report->example_count++];
}

void sb_report_paraphrase(struct sb_report *report, const char *source, bool after, const char *text, double similarity)
{
    struct sb_report_example *example = report->failed ? NULL : example_of(report, source);
    size_t *count = !example ? NULL : after ? &example->after_count : &example->before_count;
    if (!example || !text || *count == SB_REPORT_PARAPHRASES)
        return;
    struct sb_report_paraphrase *one = after ? &example->after[*count] : &example->before[*count];
    *one = (struct sb_report_paraphrase){copy_text(report, text), similarity};
    *count += one->text != NULL;
}

/* ---- Saving ---- */


typedef enum sb_status (*writer)(const struct sb_report *, struct sb_buffer *, struct sb_error *);

static enum sb_status save_as(const struct sb_report *report, writer write, const char *dir, const char *name,
                              struct sb_error *error)
{
    struct sb_buffer out = {0};
    char *path = sb_path_join(dir, name);
    enum sb_status status = path ? write(report, &out, error) : sb_fail(error, SB_NO_MEMORY, "%s/%s: no memory", dir, name);
    if (status == SB_OK)
        status = sb_write_file(path, out.data, out.length, error);
    sb_buffer_free(&out);
    free(path);
    return status;
}

enum sb_status sb_report_save(const struct sb_report *report, const char *dir, struct sb_error *error)
{
    enum sb_status status = save_as(report, sb_report_to_json, dir, "report.json", error);
    return status == SB_OK ? save_as(report, sb_report_to_html, dir, "report.html", error) : status;
}
