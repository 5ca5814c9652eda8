/* study.svg: a line for each run. */
#include "base/plot.h"
#include "study/page.h"
#include "study/results.h"

#include <math.h>
#include <stdlib.h>

enum { HEIGHT = 400 };

/* y[steps]: the mean loss over the seeds, then its exponential average without the pull of its beginning: sum w l / sum w. */
static void smooth_losses(double *y, const struct sb_study_results *r, size_t run)
{
    double keep = 1 - fmin(0.3, fmax(0.02, 10 / (double)r->steps)), sum = 0, weight = 0;
    for (uint64_t i = 0; i < r->steps; i++) {
        double loss = 0;
        for (size_t s = 0; s < r->seeds; s++)
            loss += sb_study_trial(r, run, s)->losses[i] / (double)r->seeds;
        sum = keep * sum + (1 - keep) * loss;
        weight = keep * weight + (1 - keep);
        y[i] = sum / weight;
    }
}

static void mean_checks(double *y, const struct sb_study_results *r, size_t run)
{
    for (size_t i = 0; i < r->check_count; i++) {
        y[i] = 0;
        for (size_t s = 0; s < r->seeds; s++)
            y[i] += sb_study_trial(r, run, s)->checks[i] / (double)r->seeds;
    }
}

enum sb_status sb_study_put_plot(struct sb_buffer *out, const struct sb_study_results *r, struct sb_error *error)
{
    struct sb_plot_series series[SB_STUDY_RUNS] = {{0}};
    bool checks = r->study->curve != NULL;
    size_t points = checks ? r->check_count : (size_t)r->steps;
    struct sb_plot plot = {.title = r->study->title,
                           .x.label = "step",
                           .y.label = checks ? r->study->curve_label : "training loss, smoothed",
                           .series = series,
                           .height = HEIGHT};
    double *x = malloc((r->run_count + 1) * points * sizeof *x);
    if (!x)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the plot");
    for (size_t i = 0; i < points; i++)
        x[i] = checks ? (double)r->check_steps[i] : (double)(i + 1);
    for (size_t run = 0; run < r->run_count; run++) {
        double *y = x + (run + 1) * points;
        if (r->study->runs[run].is_untrained)
            continue;
        (checks ? mean_checks : smooth_losses)(y, r, run);
        series[plot.series_count++] = (struct sb_plot_series){
            .name = r->study->runs[run].label, .x = x, .y = y, .count = points, .marked = checks};
    }
    sb_plot_write(out, &plot);
    sb_buffer_text(out, "\n");
    free(x);
    return SB_OK;
}
