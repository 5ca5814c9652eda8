/*
 * Line charts as SVG: one self-contained <svg> element, to stand in a file of its own or inside of an HTML page. No
 * scripts, no fonts from elsewhere; colours that people with any colour vision tell apart on white.
 *
 *     struct sb_plot_series series[] = {
 *         {.name = "AdamW", .x = steps, .y = adamw, .count = n},
 *         {.name = "AdaFactor", .x = steps, .y = adafactor, .count = n},
 *     };
 *     struct sb_plot plot = {.title = "Loss", .x = {.label = "step"}, .y = {.label = "loss", .log = true},
 *                            .series = series, .series_count = 2};
 *     struct sb_buffer out = {0};
 *     sb_plot_write(&out, &plot);
 *
 * Ranges come from the data; ticks stand at round numbers. What can not be drawn (NaN, infinity, magnitudes past 1e300,
 * 0 and less on a logarithmic axis) is a gap in its line; with nothing to draw there is a frame that says "no data".
 * The same input gives the same bytes.
 *
 * Thread rule: any thread; it keeps nothing.
 */
#ifndef SB_BASE_PLOT_H
#define SB_BASE_PLOT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Everything is borrowed for the call. Texts are UTF-8 of any content. */
struct sb_plot_series {
    const char *name;   /* in the legend; NULL: not listed there */
    const double *x, *y; /* [count]; joined in this order */
    size_t count;
    bool faint;  /* thin and pale: raw values behind their average */
    bool marked; /* a dot at each point */
    int colour;  /* 0: the next one; 1 ...: that of the first, second ... of the palette, which repeats with dashes */
};

struct sb_plot_axis {
    const char *label; /* NULL: none */
    bool log;          /* base 10 */
    bool from_zero;    /* a linear axis holds 0 */
};

struct sb_plot {
    const char *title; /* NULL: none */
    struct sb_plot_axis x, y;
    const struct sb_plot_series *series; /* [series_count]; a later one is drawn over an earlier one */
    size_t series_count;
    int width, height; /* of the drawing, 160 to 4000; 0: 640 and 360. It scales with its place in a page */
};

void sb_plot_write(struct sb_buffer *out, const struct sb_plot *plot);

#endif
