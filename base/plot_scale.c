#include "base/plot_impl.h"

#include <math.h>
#include <stdio.h>

/* Far from where differences and powers overflow or lose all digits. */
#define LARGEST 1e300
#define SMALLEST 1e-300

bool sb_plot_drawable(double value, bool log)
{
    return log ? value >= SMALLEST && value <= LARGEST : fabs(value) <= LARGEST;
}

double sb_plot_place(const struct sb_plot_scale *s, double value)
{
    return s->log ? (log10(value) - log10(s->low)) / (log10(s->high) - log10(s->low))
                  : (value - s->low) / (s->high - s->low);
}

/* ---- Text of ticks ---- */

/* 1234567 as "1,234,567". */
static void group_thousands(char out[SB_PLOT_TICK_TEXT], double value)
{
    char digits[SB_PLOT_TICK_TEXT];
    int length = snprintf(digits, sizeof digits, "%.0f", fabs(value)), at = 0;
    if (value < 0)
        out[at++] = '-';
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

/* "2e-5", "-1.5e7": %e without what it pads its exponent with. */
static void shorten(char out[SB_PLOT_TICK_TEXT], double value, int digits)
{
    int exponent = (int)floor(log10(fabs(value)));
    double mantissa = value / pow(10, exponent);
    if (fabs(mantissa) >= 10 - 5 * pow(10, -digits - 1)) { /* floor(log10) may be one too low */
        mantissa /= 10;
        exponent++;
    }
    snprintf(out, SB_PLOT_TICK_TEXT, "%.*fe%d", digits, mantissa, exponent);
}

/* step: between ticks; so many digits as tell them apart. largest: of all ticks' magnitudes. */
static void write_tick(struct sb_plot_tick *tick, double step, double largest)
{
    int exponent = (int)floor(log10(step) + 1e-9); /* of the last digit that is needed */
    if (tick->value == 0)
        snprintf(tick->text, sizeof tick->text, "0");
    else if (largest >= 1e7 || largest < 1e-3) {
        int digits = (int)floor(log10(fabs(tick->value)) + 1e-9) - exponent;
        shorten(tick->text, tick->value, digits < 0 ? 0 : digits > 15 ? 15 : digits);
    } else if (exponent >= 0)
        group_thousands(tick->text, tick->value);
    else
        snprintf(tick->text, sizeof tick->text, "%.*f", exponent < -15 ? 15 : -exponent, tick->value);
}

/* ---- Linear ---- */

/* 1, 2 or 5 times a power of ten, so that `span` holds about `wanted` of them. */
static double round_step(double span, int wanted)
{
    double rough = span / wanted, power = pow(10, floor(log10(rough))), lead = rough / power;
    return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

static void make_linear(struct sb_plot_scale *s, bool fits, int wanted)
{
    double middle = s->low / 2 + s->high / 2, size = fmax(fabs(s->low), fabs(s->high));
    if (s->high - s->low <= 1e-9 * size || size < SMALLEST) { /* one value, or nearly: a range around it */
        double half = size < SMALLEST ? 0.5 : 0.1 * size;
        s->low = middle - half;
        s->high = middle + half;
    }
    double step = round_step(s->high - s->low, wanted);
    double first = fits ? floor(s->low / step + 1e-6) : ceil(s->low / step - 1e-6);
    double last = fits ? ceil(s->high / step - 1e-6) : floor(s->high / step + 1e-6);
    if (fits) {
        s->low = fmin(s->low, first * step);
        s->high = fmax(s->high, last * step);
    }
    double largest = fmax(fabs(first * step), fabs(last * step));
    for (double i = first; i <= last && s->tick_count < SB_PLOT_TICKS; i++) {
        struct sb_plot_tick *tick = &s->ticks[s->tick_count++];
        tick->value = i * step;
        write_tick(tick, step, largest);
    }
}

/* ---- Logarithmic ---- */

static void add_log_tick(struct sb_plot_scale *s, double value)
{
    if (s->tick_count == SB_PLOT_TICKS || value < s->low * (1 - 1e-9) || value > s->high * (1 + 1e-9))
        return;
    struct sb_plot_tick *tick = &s->ticks[s->tick_count++];
    tick->value = value;
    if (value >= 1e-3 && value < 1e7)
        write_tick(tick, pow(10, floor(log10(value) + 1e-9)), 1);
    else
        shorten(tick->text, value, 0);
}

/* Powers of ten; over few decades 2 and 5 times them too; within one, the ticks of a linear axis. */
static void make_log(struct sb_plot_scale *s, int wanted)
{
    if (s->high < s->low * (1 + 1e-9)) {
        s->low /= 2;
        s->high *= 2;
    }
    double decades = log10(s->high) - log10(s->low);
    if (decades < 0.7) {
        make_linear(s, false, wanted);
        return;
    }
    int every = (int)(decades / wanted) + 1;
    int first = every * (int)floor(log10(s->low) / every + 1e-9), last = (int)floor(log10(s->high) + 1e-9);
    for (int e = first; e <= last; e += every) {
        add_log_tick(s, pow(10, e));
        if (decades < 3) {
            add_log_tick(s, 2 * pow(10, e));
            add_log_tick(s, 5 * pow(10, e));
        }
    }
}

struct sb_plot_scale sb_plot_scale_make(double low, double high, bool log, bool fits, int wanted)
{
    struct sb_plot_scale scale = {.log = log, .low = low, .high = high};
    if (low > high) {
        scale.low = log ? 1 : 0;
        scale.high = log ? 10 : 1;
        return scale;
    }
    if (log)
        make_log(&scale, wanted);
    else
        make_linear(&scale, fits, wanted);
    return scale;
}
