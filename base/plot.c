#include "base/plot.h"

#include "base/markup.h"
#include "base/plot_impl.h"
#include "base/utf8.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Okabe and Ito, "Color universal design", 2008, without the yellow, which white swallows. */
static const char *const palette[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"};
enum { COLOURS = sizeof palette / sizeof *palette };
static const char *const dashes[] = {"", "7 3", "2 3", "9 3 2 3"};
enum { DASHES = sizeof dashes / sizeof *dashes };

#define INK "#222"
#define MUTED "#666"
#define GRID "#e4e4e4"

enum { FONT = 12, LINE = 18, EDGE = 14, SWATCH = 22, TICK_GAP = 8 };

/* The drawing, and the rectangle of it that the axes enclose; y grows downwards. */
struct canvas {
    struct sb_buffer *out;
    const struct sb_plot *plot;
    int width, height;
    double left, right, top, bottom;
    struct sb_plot_scale x, y;
};

static double place_x(const struct canvas *c, double value)
{
    return c->left + sb_plot_place(&c->x, value) * (c->right - c->left);
}

static double place_y(const struct canvas *c, double value)
{
    return c->bottom - sb_plot_place(&c->y, value) * (c->bottom - c->top);
}

static bool is_drawable(const struct canvas *c, const struct sb_plot_series *s, size_t i)
{
    return sb_plot_drawable(s->x[i], c->plot->x.log) && sb_plot_drawable(s->y[i], c->plot->y.log);
}

/* ---- Text ---- */

/* Near enough for the common sans-serif fonts: ideographs are square, others about half as wide. */
static double text_width(const char *text)
{
    double width = 0;
    size_t size = strlen(text);
    for (size_t at = 0; at < size;)
        width += sb_utf8_next(text, size, &at) >= 0x2E80 ? FONT : 0.56 * FONT;
    return width;
}

static void put_text(struct canvas *c, double x, double y, const char *anchor, const char *more, const char *text)
{
    sb_buffer_format(c->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more);
    sb_markup_text(c->out, text, strlen(text));
    sb_buffer_text(c->out, "</text>\n");
}

/* ---- Measuring ---- */

static void range_of(const struct canvas *c, bool of_x, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t s = 0; s < c->plot->series_count; s++) {
        const struct sb_plot_series *one = &c->plot->series[s];
        for (size_t i = 0; i < one->count; i++) {
            double value = of_x ? one->x[i] : one->y[i];
            if (!is_drawable(c, one, i))
                continue;
            *low = fmin(*low, value);
            *high = fmax(*high, value);
        }
    }
    const struct sb_plot_axis *axis = of_x ? &c->plot->x : &c->plot->y;
    if (axis->from_zero && !axis->log && *low <= *high) {
        *low = fmin(*low, 0);
        *high = fmax(*high, 0);
    }
}

/* Walks the legend's places: each name behind the one before it, on a new line where it would not fit. */
struct legend_place {
    double x, y;
};

static struct legend_place legend_next(const struct canvas *c, struct legend_place *at, const char *name)
{
    double width = SWATCH + 6 + text_width(name) + 16;
    if (at->x > EDGE && at->x + width > c->width - EDGE) {
        at->x = EDGE;
        at->y += LINE;
    }
    struct legend_place here = *at;
    at->x += width;
    return here;
}

static bool has_legend(const struct sb_plot *plot)
{
    size_t names = 0;
    for (size_t i = 0; i < plot->series_count; i++)
        names += plot->series[i].name != NULL;
    return names > 1;
}

static struct legend_place legend_begin(const struct canvas *c)
{
    return (struct legend_place){EDGE, EDGE + (c->plot->title ? LINE + 8 : 0)};
}

static void lay_out(struct canvas *c)
{
    double low, high, widest = 0;
    const struct sb_plot *plot = c->plot;
    struct legend_place at = legend_begin(c);
    c->top = at.y;
    if (has_legend(plot)) {
        for (size_t i = 0; i < plot->series_count; i++)
            if (plot->series[i].name)
                legend_next(c, &at, plot->series[i].name);
        c->top = at.y + LINE + 8;
    }
    c->bottom = c->height - EDGE - LINE - (plot->x.label ? LINE : 0);
    if (c->bottom - c->top < 40) /* a long legend: room for the lines first */
        c->top = c->bottom - 40;
    range_of(c, false, &low, &high);
    c->y = sb_plot_scale_make(low, high, plot->y.log, true, (int)((c->bottom - c->top) / 60) + 1);
    for (size_t i = 0; i < c->y.tick_count; i++)
        widest = fmax(widest, text_width(c->y.ticks[i].text));
    c->left = EDGE + (plot->y.label ? LINE : 0) + widest + TICK_GAP;
    c->right = c->width - EDGE - 8;
    range_of(c, true, &low, &high);
    c->x = sb_plot_scale_make(low, high, plot->x.log, false, (int)((c->right - c->left) / 90) + 1);
}

/* ---- Drawing ---- */

static void draw_axes(struct canvas *c)
{
    const struct sb_plot *plot = c->plot;
    for (size_t i = 0; i < c->y.tick_count; i++) {
        double y = place_y(c, c->y.ticks[i].value);
        sb_buffer_format(c->out, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"" GRID "\"/>", c->left, y, c->right);
        put_text(c, c->left - TICK_GAP, y + 4, "end", " fill=\"" MUTED "\"", c->y.ticks[i].text);
    }
    for (size_t i = 0; i < c->x.tick_count; i++) {
        double x = place_x(c, c->x.ticks[i].value);
        sb_buffer_format(c->out, "<path d=\"M%.1f %.1fv5\" stroke=\"" MUTED "\"/>", x, c->bottom);
        put_text(c, x, c->bottom + LINE, "middle", " fill=\"" MUTED "\"", c->x.ticks[i].text);
    }
    sb_buffer_format(c->out, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"" MUTED "\"/>\n", c->left, c->top,
                     c->bottom, c->right);
    if (plot->x.label)
        put_text(c, (c->left + c->right) / 2, c->bottom + 2 * LINE, "middle", " fill=\"" MUTED "\"", plot->x.label);
    if (plot->y.label) {
        sb_buffer_format(c->out, "<g transform=\"translate(%d %.1f) rotate(-90)\">", EDGE + FONT - 2,
                         (c->top + c->bottom) / 2);
        put_text(c, 0, 0, "middle", " fill=\"" MUTED "\"", plot->y.label);
        sb_buffer_text(c->out, "</g>\n");
    }
}

/* Its number in the palette, from 0; it may lie past the end. */
static size_t colour_of(const struct canvas *c, size_t series)
{
    int colour = c->plot->series[series].colour;
    return colour > 0 ? (size_t)colour - 1 : series;
}

/* Colour, width and dashes of series i, as attributes. */
static void put_stroke(struct canvas *c, size_t i)
{
    const struct sb_plot_series *s = &c->plot->series[i];
    size_t number = colour_of(c, i);
    const char *dash = dashes[number / COLOURS % DASHES];
    sb_buffer_format(c->out, " fill=\"none\" stroke=\"%s\" stroke-linecap=\"round\" stroke-linejoin=\"round\"",
                     palette[number % COLOURS]);
    sb_buffer_text(c->out, s->faint ? " stroke-width=\"1\" stroke-opacity=\"0.35\"" : " stroke-width=\"2\"");
    if (*dash)
        sb_buffer_format(c->out, " stroke-dasharray=\"%s\"", dash);
}

/* A path of all points; "h0" with round ends makes a dot of one that stands alone between gaps. */
static void draw_line(struct canvas *c, size_t number)
{
    const struct sb_plot_series *s = &c->plot->series[number];
    bool pen_down = false;
    sb_buffer_text(c->out, "<path d=\"");
    for (size_t i = 0; i < s->count; i++) {
        if (!is_drawable(c, s, i)) {
            pen_down = false;
            continue;
        }
        sb_buffer_format(c->out, "%s%.1f %.1f%s", pen_down ? "L" : "M", place_x(c, s->x[i]), place_y(c, s->y[i]),
                         pen_down ? "" : "h0");
        pen_down = true;
    }
    sb_buffer_text(c->out, "\"");
    put_stroke(c, number);
    sb_buffer_text(c->out, "/>\n");
    for (size_t i = 0; s->marked && i < s->count; i++) {
        if (!is_drawable(c, s, i))
            continue;
        sb_buffer_format(c->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\" stroke=\"#fff\"/>\n",
                         place_x(c, s->x[i]), place_y(c, s->y[i]), palette[colour_of(c, number) % COLOURS]);
    }
}

static void draw_legend(struct canvas *c)
{
    struct legend_place at = legend_begin(c);
    for (size_t i = 0; i < c->plot->series_count; i++) {
        const char *name = c->plot->series[i].name;
        if (!name)
            continue;
        struct legend_place here = legend_next(c, &at, name);
        sb_buffer_format(c->out, "<path d=\"M%.1f %.1fh%d\"", here.x, here.y + 8, SWATCH);
        put_stroke(c, i);
        sb_buffer_text(c->out, "/>");
        put_text(c, here.x + SWATCH + 6, here.y + 12, "start", "", name);
    }
}

static int within(int value, int usual)
{
    return value <= 0 ? usual : value < 160 ? 160 : value > 4000 ? 4000 : value;
}

void sb_plot_write(struct sb_buffer *out, const struct sb_plot *plot)
{
    struct canvas c = {.out = out, .plot = plot, .width = within(plot->width, 640), .height = within(plot->height, 360)};
    const char *title = plot->title ? plot->title : "";
    lay_out(&c);
    sb_buffer_format(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                     "font-family=\"system-ui, 'Segoe UI', 'Noto Sans CJK SC', 'PingFang SC', sans-serif\" "
                     "font-size=\"%d\" fill=\"" INK "\" role=\"img\" aria-label=\"",
                     c.width, c.height, c.width, c.height, FONT);
    sb_markup_text(out, title, strlen(title));
    sb_buffer_text(out, "\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    if (*title)
        put_text(&c, EDGE, EDGE + FONT + 1, "start", " font-size=\"15\" font-weight=\"600\"", title);
    draw_axes(&c);
    if (c.y.tick_count == 0)
        put_text(&c, (c.left + c.right) / 2, (c.top + c.bottom) / 2, "middle", " fill=\"" MUTED "\"", "no data");
    for (size_t i = 0; i < plot->series_count; i++)
        draw_line(&c, i);
    if (has_legend(plot))
        draw_legend(&c);
    sb_buffer_text(out, "</svg>\n");
}
