/* The curves of the report's page. */
#include "base/plot.h"
#include "training/report_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parts of the loss and measures that get a curve of their own; all are in the JSON. */
enum { MAX_CHARTS = 12, CHART_WIDTH = 520, CHART_HEIGHT = 270 };

static void put_chart(struct sb_buffer *out, struct sb_plot *plot)
{
    plot->width = CHART_WIDTH;
    plot->height = CHART_HEIGHT;
    plot->x.label = "step";
    sb_buffer_text(out, "<figure>");
    sb_plot_write(out, plot);
    sb_buffer_text(out, "</figure>\n");
}

/* ---- Over the steps ---- */

/* Room for the columns of a chart, made once: x, y and y smoothed, [points] each. */
struct columns {
    const struct sb_report *report;
    double *x, *y, *smooth;
};

/* The exponential average of y without the pull of its beginning: sum w_i y_i / sum w_i, w falling by the factor `keep` a
   step. Short runs are averaged over fewer steps. */
static void smoothen(struct columns *c)
{
    const struct sb_report *report = c->report;
    double steps = report->point_count ? (double)report->points[report->point_count - 1].last : 1;
    double keep = 1 - fmin(0.3, fmax(0.01, 20 / steps)), sum = 0, weight = 0;
    for (size_t i = 0; i < report->point_count; i++) {
        double decay = pow(keep, (double)report->points[i].steps);
        if (!isnan(c->y[i])) {
            sum = decay * sum + (1 - decay) * c->y[i];
            weight = decay * weight + (1 - decay);
        }
        c->smooth[i] = weight > 0 ? sum / weight : NAN;
    }
}

/* Raw values behind their average. */
static void put_noisy(struct sb_buffer *out, struct columns *c, const char *title)
{
    size_t count = c->report->point_count;
    smoothen(c);
    struct sb_plot_series series[] = {
        {.name = c->report->stride > 1 ? "mean of some steps" : "each step", .x = c->x, .y = c->y, .count = count,
         .faint = true, .colour = 1},
        {.name = "smoothed", .x = c->x, .y = c->smooth, .count = count, .colour = 1},
    };
    struct sb_plot plot = {.title = title, .series = series, .series_count = 2};
    put_chart(out, &plot);
}

static void put_plain(struct sb_buffer *out, struct columns *c, const char *title, bool log)
{
    struct sb_plot_series series = {.x = c->x, .y = c->y, .count = c->report->point_count};
    struct sb_plot plot = {
        .title = title, .y = {.log = log, .from_zero = true}, .series = &series, .series_count = 1};
    put_chart(out, &plot);
}

/* y becomes the numbers that lie at offset in the points. */
static void take(struct columns *c, size_t offset)
{
    for (size_t i = 0; i < c->report->point_count; i++)
        c->y[i] = *(const double *)((const char *)&c->report->points[i] + offset);
}

static bool has_adversarial(const struct sb_report *report)
{
    for (size_t i = 0; i < report->point_count; i++)
        if (isfinite(report->points[i].adversarial) && report->points[i].adversarial != 0)
            return true;
    return false;
}

static void put_step_charts(struct sb_buffer *out, struct columns *c)
{
    const struct sb_report *report = c->report;
    for (size_t i = 0; i < report->point_count; i++)
        c->x[i] = (double)report->points[i].last;
    take(c, offsetof(struct sb_report_point, loss));
    put_noisy(out, c, "Loss");
    for (size_t v = 0; v < report->value_count && v < MAX_CHARTS && report->value_count > 1; v++) {
        for (size_t i = 0; i < report->point_count; i++)
            c->y[i] = report->points[i].values[v];
        put_noisy(out, c, report->value_names[v]);
    }
    if (has_adversarial(report)) {
        take(c, offsetof(struct sb_report_point, adversarial));
        put_noisy(out, c, "Adversarial loss");
    }
    take(c, offsetof(struct sb_report_point, learning_rate));
    put_plain(out, c, "Learning rate", false);
    take(c, offsetof(struct sb_report_point, gradient_norm));
    put_plain(out, c, "Norm of the gradient", true);
    take(c, offsetof(struct sb_report_point, rows_per_second));
    put_plain(out, c, "Rows a second", false);
}

/* ---- Over the evaluations ---- */

/* The names of all measures, each once, in the order of their first occurrence. */
struct names {
    const char *items[SB_REPORT_MEASURES];
    size_t count;
};

static void note(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return;
    if (names->count < SB_REPORT_MEASURES)
        names->items[names->count++] = name;
}

static struct names names_of(const struct sb_report *report)
{
    struct names names = {.count = 0};
    for (size_t e = 0; e < report->evaluation_count; e++)
        for (size_t m = 0; m < report->evaluations[e].count; m++)
            note(&names, report->evaluations[e].measures[m].name);
    return names;
}

static double value_of(const struct sb_report_evaluation *evaluation, const char *name)
{
    for (size_t m = 0; m < evaluation->count; m++)
        if (strcmp(evaluation->measures[m].name, name) == 0)
            return evaluation->measures[m].value;
    return NAN;
}

/* One line a file: x, y: room for [lines, evaluations]. What an evaluation did not measure leaves no gap. */
static void put_measure(struct sb_buffer *out, const struct sb_report *report, const char *measure,
                        const struct names *names, double *x, double *y)
{
    struct sb_plot_series series[SB_REPORT_MEASURES];
    size_t count = 0, points = 0;
    for (size_t n = 0; n < names->count; n++) {
        if (strcmp(sb_report_measure_of(names->items[n]), measure) != 0)
            continue;
        struct sb_plot_series *s = &series[count++];
        *s = (struct sb_plot_series){.name = names->items[n], .x = x + points, .y = y + points, .marked = true};
        for (size_t e = 0; e < report->evaluation_count; e++) {
            double value = value_of(&report->evaluations[e], names->items[n]);
            if (isnan(value))
                continue;
            x[points] = (double)report->evaluations[e].step;
            y[points++] = value;
            s->count++;
        }
    }
    struct sb_plot plot = {.title = measure, .series = series, .series_count = count};
    put_chart(out, &plot);
}

static void put_evaluation_charts(struct sb_buffer *out, const struct sb_report *report)
{
    struct names names = names_of(report), measures = {.count = 0};
    size_t room = names.count * report->evaluation_count + 1;
    double *x = calloc(room, sizeof *x), *y = calloc(room, sizeof *y);
    out->failed |= !x || !y;
    /* Of the evaluations on the way: the others are two points, which the table shows. */
    for (size_t e = 0; e < report->evaluation_count; e++)
        for (size_t m = 0; m < report->evaluations[e].count && report->evaluations[e].sampled; m++)
            note(&measures, sb_report_measure_of(report->evaluations[e].measures[m].name));
    for (size_t i = 0; i < measures.count && i < MAX_CHARTS && !out->failed; i++)
        put_measure(out, report, measures.items[i], &names, x, y);
    free(x);
    free(y);
}

void sb_report_put_charts(struct sb_buffer *out, const struct sb_report *report)
{
    size_t count = report->point_count ? report->point_count : 1;
    struct columns c = {report, calloc(count, sizeof *c.x), calloc(count, sizeof *c.y), calloc(count, sizeof *c.smooth)};
    out->failed |= !c.x || !c.y || !c.smooth;
    sb_buffer_text(out, "<section><h2>Curves</h2>\n<div class=\"charts\">\n");
    if (!out->failed)
        put_step_charts(out, &c);
    free(c.x);
    free(c.y);
    free(c.smooth);
    if (report->evaluation_count > 2)
        put_evaluation_charts(out, report);
    sb_buffer_text(out, "</div>\n");
    if (report->evaluation_count > 2)
        sb_buffer_text(out, "<p class=\"note\">Evaluations between the first and the last use fewer examples than those two.</p>\n");
    sb_buffer_text(out, "</section>\n");
}
