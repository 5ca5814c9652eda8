#include "base/markup.h"
#include "base/plot.h"
#include "base/plot_impl.h"
#include "tests/unit/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_buffer out;

static void setup(void)
{
    out = (struct sb_buffer){0};
}

static void teardown(void)
{
    sb_buffer_free(&out);
}

static size_t occurrences(const char *text)
{
    size_t n = 0;
    for (const char *at = out.data; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

/* ---- Text ---- */

static const struct {
    const char *text, *expected;
    size_t size;
} markup[] = {
    {"plain 中文", "plain 中文", 12},
    {"<a href=\"x\">&'</a>", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;", 18},
    {"", "", 0},
    {"a\0b", "a\xEF\xBF\xBD"
             "b",
     3},
    {"\x01\x1F\t\n\r", "\xEF\xBF\xBD\xEF\xBF\xBD\t\n\r", 5},
    {"\xFF\xE4\xB8", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 3},
    {"\xEF\xBF\xBE\xEF\xBF\xBF", "\xEF\xBF\xBD\xEF\xBF\xBD", 6},
    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80", 4},
};

START_TEST(markup_is_escaped)
{
    sb_markup_text(&out, markup[_i].text, markup[_i].size);
    ck_assert_str_eq(out.data, markup[_i].expected);
}
END_TEST

/* ---- Scales ---- */

static const struct {
    double low, high;
    bool log, fits;
    const char *ticks;
} scales[] = {
    {0, 10, false, false, "0 2 4 6 8 10"},
    {1, 2000, false, false, "500 1,000 1,500 2,000"},
    {0.3, 9.7, false, true, "0 2 4 6 8 10"},
    {0.71, 0.79, false, true, "0.70 0.72 0.74 0.76 0.78 0.80"},
    {-3, 3, false, false, "-3 -2 -1 0 1 2 3"},
    {0, 2e-5, false, false, "0 5e-6 1.0e-5 1.5e-5 2.0e-5"},
    {0, 3e7, false, false, "0 5e6 1.0e7 1.5e7 2.0e7 2.5e7 3.0e7"},
    {-2e6, 0, false, false, "-2,000,000 -1,500,000 -1,000,000 -500,000 0"},
    {5, 5, false, false, "4.6 4.8 5.0 5.2 5.4"},
    {0, 0, false, false, "-0.4 -0.2 0 0.2 0.4"},
    {1, 1000, true, true, "1 10 100 1,000"},
    {0.4, 9, true, true, "0.5 1 2 5"},
    {1e-12, 1e12, true, true, "1e-10 1e-5 1 100,000 1e10"},
    {3, 7, true, true, "3 4 5 6 7"},
    {1, -1, false, false, ""},
};

START_TEST(ticks_are_round)
{
    char text[512] = "";
    struct sb_plot_scale s = sb_plot_scale_make(scales[_i].low, scales[_i].high, scales[_i].log, scales[_i].fits, 5);
    for (size_t i = 0; i < s.tick_count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, s.ticks[i].text);
    }
    ck_assert_str_eq(text, scales[_i].ticks);
}
END_TEST

/* Whatever the range, ticks rise within it and lie between 0 and 1. */
START_TEST(any_range_has_a_scale)
{
    static const double values[] = {-DBL_MAX, -1e300, -1e20, -7, -1e-9, -1e-300, -DBL_MIN / 4, 0, DBL_MIN / 4,
                                    1e-300,   1e-9,   0.1,   1,  1 + 1e-12, 1e15, 1e15 + 1, 1e20, 1e300, DBL_MAX};
    enum { COUNT = sizeof values / sizeof *values };
    for (int k = 0; k < COUNT * COUNT * 4; k++) {
        double low = values[k % COUNT], high = values[k / COUNT % COUNT];
        bool log = k / (COUNT * COUNT) % 2, fits = k / (COUNT * COUNT) / 2;
        if (!sb_plot_drawable(low, log) || !sb_plot_drawable(high, log))
            continue;
        struct sb_plot_scale s = sb_plot_scale_make(low, high, log, fits, 5);
        bool good = isfinite(s.low) && isfinite(s.high) && s.low < s.high && s.tick_count < SB_PLOT_TICKS;
        for (size_t i = 0; i < s.tick_count; i++) {
            double place = sb_plot_place(&s, s.ticks[i].value);
            good = good && place >= -1e-6 && place <= 1 + 1e-6 && (i == 0 || s.ticks[i].value > s.ticks[i - 1].value) &&
                   !strstr(s.ticks[i].text, "nan") && !strstr(s.ticks[i].text, "inf");
        }
        if (low <= high)
            good = good && sb_plot_place(&s, low) > -1e-6 && sb_plot_place(&s, high) < 1 + 1e-6;
        ck_assert_msg(good, "range %g to %g, log %d, fits %d: %g to %g", low, high, log, fits, s.low, s.high);
    }
}
END_TEST

START_TEST(what_can_be_drawn)
{
    ck_assert(sb_plot_drawable(0, false) && sb_plot_drawable(-5, false) && sb_plot_drawable(5, true));
    ck_assert(!sb_plot_drawable(NAN, false) && !sb_plot_drawable(INFINITY, false) && !sb_plot_drawable(-DBL_MAX, false));
    ck_assert(!sb_plot_drawable(0, true) && !sb_plot_drawable(-1, true) && !sb_plot_drawable(NAN, true));
}
END_TEST

/* ---- Charts ---- */

static const double steps[] = {0, 1, 2, 3, 4}, rising[] = {0, 1, 2, 3, 4}, holed[] = {1, NAN, 2, 3, INFINITY};

START_TEST(a_line_goes_where_its_values_are)
{
    struct sb_plot_series series = {.name = "a", .x = steps, .y = rising, .count = 5};
    struct sb_plot plot = {.series = &series, .series_count = 1};
    double x0, y0, x, y;
    int points = 1, used;
    sb_plot_write(&out, &plot);
    const char *path = strstr(out.data, "h0L");
    ck_assert_ptr_nonnull(path);
    while (path[-1] != 'M')
        path--;
    ck_assert_int_eq(sscanf(path, "%lf %lfh0%n", &x0, &y0, &used), 2);
    /* Evenly to the right and upwards. */
    for (path += used; sscanf(path, "L%lf %lf%n", &x, &y, &used) == 2; path += used, points++) {
        ck_assert_double_gt(x, x0);
        ck_assert_double_lt(y, y0);
        x0 = x;
        y0 = y;
    }
    ck_assert_int_eq(points, 5);
    ck_assert_double_eq_tol(x0, 640 - 14 - 8, 0.1); /* the right edge of the frame */
    ck_assert_double_eq_tol(y0, 14, 0.1);           /* its upper one */
    ck_assert_ptr_null(strstr(out.data, "no data"));
}
END_TEST

START_TEST(what_is_no_number_is_a_gap)
{
    struct sb_plot_series series = {.x = steps, .y = holed, .count = 5, .marked = true};
    struct sb_plot plot = {.series = &series, .series_count = 1};
    sb_plot_write(&out, &plot);
    ck_assert_uint_eq(occurrences("h0"), 2); /* pieces of the line */
    ck_assert_uint_eq(occurrences("<circle"), 3);
    ck_assert_ptr_null(strstr(out.data, "nan"));
    ck_assert_ptr_null(strstr(out.data, "inf"));
}
END_TEST

START_TEST(zero_on_a_logarithmic_axis_is_a_gap)
{
    struct sb_plot_series series = {.x = steps, .y = rising, .count = 5, .marked = true};
    struct sb_plot plot = {.y.log = true, .series = &series, .series_count = 1};
    sb_plot_write(&out, &plot);
    ck_assert_uint_eq(occurrences("<circle"), 4);
}
END_TEST

START_TEST(nothing_to_draw)
{
    static const double nothing[] = {NAN, NAN};
    struct sb_plot_series series[] = {{.name = "a", .x = steps, .y = nothing, .count = 2}, {.name = "b"}};
    struct sb_plot plot = {.title = "t", .series = series, .series_count = 2};
    sb_plot_write(&out, &plot);
    ck_assert_ptr_nonnull(strstr(out.data, "no data"));
    plot.series_count = 0;
    sb_plot_write(&out, &plot);
    ck_assert_uint_eq(occurrences("</svg>"), 2);
}
END_TEST

START_TEST(texts_are_escaped)
{
    struct sb_plot_series series[] = {{.name = "<script>", .x = steps, .y = rising, .count = 5},
                                      {.name = "损失 \"&\"", .x = steps, .y = rising, .count = 5}};
    struct sb_plot plot = {.title = "a<b", .x.label = "x<", .y.label = "y>", .series = series, .series_count = 2};
    sb_plot_write(&out, &plot);
    ck_assert_ptr_null(strstr(out.data, "<script>"));
    ck_assert_ptr_nonnull(strstr(out.data, "&lt;script&gt;"));
    ck_assert_ptr_nonnull(strstr(out.data, "损失 &quot;&amp;&quot;"));
    ck_assert_ptr_nonnull(strstr(out.data, "aria-label=\"a&lt;b\""));
    ck_assert_ptr_nonnull(strstr(out.data, ">x&lt;</text>"));
    ck_assert_ptr_nonnull(strstr(out.data, ">y&gt;</text>"));
}
END_TEST

START_TEST(a_legend_only_for_several_names)
{
    struct sb_plot_series series[] = {{.name = "first", .x = steps, .y = rising, .count = 5},
                                      {.x = steps, .y = rising, .count = 5, .colour = 1}};
    struct sb_plot plot = {.series = series, .series_count = 2};
    sb_plot_write(&out, &plot);
    ck_assert_ptr_null(strstr(out.data, "first"));
    ck_assert_uint_eq(occurrences("stroke=\"#0072b2\""), 2); /* the same colour for what belongs together */
    series[1].name = "second";
    sb_buffer_reset(&out);
    sb_plot_write(&out, &plot);
    ck_assert_ptr_nonnull(strstr(out.data, ">first<"));
    ck_assert_ptr_nonnull(strstr(out.data, ">second<"));
}
END_TEST

/* More series than colours: dashes tell them apart; more names than fit: further lines, and the frame keeps some height. */
START_TEST(many_series)
{
    enum { MANY = 60 };
    struct sb_plot_series series[MANY];
    for (int i = 0; i < MANY; i++)
        series[i] = (struct sb_plot_series){.name = "a name of some length", .x = steps, .y = rising, .count = 5};
    struct sb_plot plot = {.width = 300, .height = 200, .series = series, .series_count = MANY};
    sb_plot_write(&out, &plot);
    ck_assert_uint_eq(occurrences(">a name of some length<"), MANY);
    ck_assert_uint_eq(occurrences("stroke-dasharray=\"7 3\""), 2 * 14); /* line and legend of series 8-14 and 36-42 */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plot");
    TCase *test = tcase_create("plot");
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_loop_test(test, markup_is_escaped, 0, sizeof markup / sizeof *markup);
    tcase_add_loop_test(test, ticks_are_round, 0, sizeof scales / sizeof *scales);
    tcase_add_test(test, any_range_has_a_scale);
    tcase_add_test(test, what_can_be_drawn);
    tcase_add_test(test, a_line_goes_where_its_values_are);
    tcase_add_test(test, what_is_no_number_is_a_gap);
    tcase_add_test(test, zero_on_a_logarithmic_axis_is_a_gap);
    tcase_add_test(test, nothing_to_draw);
    tcase_add_test(test, texts_are_escaped);
    tcase_add_test(test, a_legend_only_for_several_names);
    tcase_add_test(test, many_series);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
