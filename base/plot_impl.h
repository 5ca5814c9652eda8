/*
 * The scale of one axis of a chart: from values to places, and where its ticks stand. Inside of base/plot*.c.
 */
#ifndef SB_BASE_PLOT_IMPL_H
#define SB_BASE_PLOT_IMPL_H

#include <stdbool.h>
#include <stddef.h>

enum { SB_PLOT_TICKS = 24, SB_PLOT_TICK_TEXT = 32 };

struct sb_plot_tick {
    double value;
    char text[SB_PLOT_TICK_TEXT];
};

struct sb_plot_scale {
    bool log;
    double low, high; /* low < high, both finite; positive when log */
    struct sb_plot_tick ticks[SB_PLOT_TICKS]; /* within [low, high], rising */
    size_t tick_count;
};

/* Can value be drawn on such an axis? */
bool sb_plot_drawable(double value, bool log);

/* A scale for drawable values from low to high (low > high: there are none). fits: it begins and ends at ticks. About
   `wanted` ticks. */
struct sb_plot_scale sb_plot_scale_make(double low, double high, bool log, bool fits, int wanted);

/* 0 at low, 1 at high. */
double sb_plot_place(const struct sb_plot_scale *scale, double value);

#endif
