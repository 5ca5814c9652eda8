/*
 * What a training run tells: to people a line that renews itself, to the server one JSON object a line.
 */
#include "base/buffer.h"
#include "base/cpu.h"
#include "cli/finetune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_EVERY_NS INT64_C(200000000)
#define LINES_EVERY_NS INT64_C(10000000000)
#define EVENTS_EVERY_NS INT64_C(1000000000)

struct sb_finetune_events sb_finetune_events_begin(const struct sb_finetune_task *task)
{
    return (struct sb_finetune_events){.as_json = task->is_job,
                                       .shows_line = !task->is_job && strcmp(task->progress, "never") != 0,
                                       .is_terminal = isatty(STDERR_FILENO),
                                       .start_ns = sb_now_ns(),
                                       .smoothed_loss = NAN};
}

static void put_text(struct sb_buffer *out, const char *key, const char *text)
{
    sb_buffer_format(out, ",\"%s\":", key);
    sb_buffer_json_string(out, text, strlen(text));
}

static void put_number(struct sb_buffer *out, const char *key, double value)
{
    sb_buffer_format(out, ",\"%s\":", key);
    sb_buffer_float(out, (float)value);
}

/* A pipe that nobody reads any more is not this process's concern: its work is in its checkpoints. */
static void send(struct sb_buffer *line)
{
    sb_buffer_text(line, "}\n");
    if (!line->failed) {
        fwrite(line->data, 1, line->length, stdout);
        fflush(stdout);
    }
    sb_buffer_free(line);
}

static void clear_line(struct sb_finetune_events *events)
{
    if (events->shown && events->is_terminal)
        fputs("\r\033[K", stderr);
    events->shown = false;
}

double sb_finetune_rows_per_second(const struct sb_finetune_events *events)
{
    double seconds = (double)(sb_now_ns() - events->start_ns) / 1e9;
    return seconds > 0 ? (double)events->rows / seconds : 0;
}

/* Seconds until the last step, by the speed of this process's steps. */
static double seconds_left(const struct sb_finetune_events *events, uint64_t step)
{
    double seconds = (double)(sb_now_ns() - events->start_ns) / 1e9;
    return step > events->first_step
               ? seconds / (double)(step - events->first_step) * (double)(events->steps - step)
               : NAN;
}

static void put_dropped(struct sb_buffer *out, const struct sb_finetune *run)
{
    size_t dropped[SB_DROP_REASONS] = {0};
    const struct sb_data_report *report;
    bool first = true;
    for (size_t i = 0; (report = sb_finetune_data(run, i)); i++)
        for (int r = 0; r < SB_DROP_REASONS; r++)
            dropped[r] += report->dropped[r];
    sb_buffer_text(out, ",\"dropped\":{");
    for (int r = 0; r < SB_DROP_REASONS; r++) {
        if (!dropped[r])
            continue;
        sb_buffer_text(out, first ? "" : ",");
        sb_buffer_json_string(out, sb_drop_name((enum sb_drop)r), strlen(sb_drop_name((enum sb_drop)r)));
        sb_buffer_format(out, ":%zu", dropped[r]);
        first = false;
    }
    sb_buffer_text(out, "}");
}

void sb_finetune_tell_start(struct sb_finetune_events *events, const struct sb_finetune *run, uint64_t step)
{
    size_t state = sb_trainer_optimizer_bytes(sb_finetune_trainer((struct sb_finetune *)(uintptr_t)run));
    events->first_step = step;
    events->steps = sb_finetune_steps(run);
    if (events->as_json) {
        struct sb_buffer line = {0};
        sb_buffer_format(&line, "{\"event\":\"start\",\"steps\":%" PRIu64 ",\"examples\":%zu", events->steps,
                         sb_finetune_examples(run));
        put_dropped(&line, run);
        sb_buffer_format(&line, ",\"optimizer_state_bytes\":%zu,\"resumed_step\":%" PRIu64, state, step);
        send(&line);
    } else if (events->shows_line) {
        fprintf(stderr, "%zu examples, %" PRIu64 " steps; memory %.0f MB, of it %.1f MB optimizer state\n",
                sb_finetune_examples(run), events->steps, (double)sb_finetune_bytes(run) / 1e6, (double)state / 1e6);
        const struct sb_data_report *report;
        for (size_t i = 0; (report = sb_finetune_data(run, i)); i++)
            for (size_t p = 0; p < report->problem_count; p++)
                fprintf(stderr, "%s:%zu: dropped, %s: %s\n", report->path, report->problems[p].line,
                        sb_drop_name(report->problems[p].reason), report->problems[p].what);
        if (step)
            fprintf(stderr, "going on from step %" PRIu64 "\n", step);
    }
}

static void show_step(struct sb_finetune_events *events, const struct sb_trainer_step *step)
{
    double left = seconds_left(events, step->number);
    fprintf(stderr, "%sstep %" PRIu64 " of %" PRIu64 "  loss %.4f", events->is_terminal ? "\r" : "", step->number,
            events->steps, events->smoothed_loss);
    for (size_t i = 0; i < step->value_count && step->value_count > 1; i++)
        fprintf(stderr, "  %s %.4f", step->names[i], step->values[i]);
    fprintf(stderr, "  %.1f rows/s", sb_finetune_rows_per_second(events));
    if (!isnan(left))
        fprintf(stderr, "  %.0f:%02.0f left", floor(left / 60), floor(fmod(left, 60)));
    fputs(events->is_terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
}

static void send_step(struct sb_finetune_events *events, const struct sb_trainer_step *step, uint64_t tokens)
{
    struct sb_buffer line = {0};
    sb_buffer_format(&line, "{\"event\":\"step\",\"step\":%" PRIu64 ",\"steps\":%" PRIu64, step->number, events->steps);
    put_number(&line, "loss", step->loss);
    sb_buffer_text(&line, ",\"losses\":{");
    for (size_t i = 0; i < step->value_count; i++) {
        sb_buffer_format(&line, "%s\"%s\":", i ? "," : "", step->names[i]);
        sb_buffer_float(&line, (float)step->values[i]);
    }
    sb_buffer_text(&line, "}");
    put_number(&line, "learning_rate", step->learning_rate);
    put_number(&line, "gradient_norm", step->gradient_norm);
    put_number(&line, "rows_per_second", sb_finetune_rows_per_second(events));
    sb_buffer_format(&line, ",\"tokens\":%" PRIu64, tokens);
    put_number(&line, "eta_seconds", seconds_left(events, step->number));
    send(&line);
}

void sb_finetune_tell_step(struct sb_finetune_events *events, const struct sb_trainer_step *step, uint64_t tokens)
{
    int64_t now = sb_now_ns();
    int64_t every = events->as_json ? EVENTS_EVERY_NS : events->is_terminal ? TERMINAL_EVERY_NS : LINES_EVERY_NS;
    events->rows += step->rows;
    events->loss = step->loss;
    events->smoothed_loss =
        isnan(events->smoothed_loss) ? step->loss : events->smoothed_loss + 0.05 * (step->loss - events->smoothed_loss);
    bool due = now - events->shown_ns >= every || step->number == events->steps;
    if (!due || !(events->as_json || events->shows_line))
        return;
    events->shown_ns = now;
    if (events->as_json) {
        send_step(events, step, tokens);
        return;
    }
    show_step(events, step);
    events->shown = true;
}

/* Members of an object that has some already, if so. */
static void put_metrics(struct sb_buffer *line, const struct sb_metrics *metrics, bool has_some)
{
    for (size_t i = 0; i < metrics->count; i++) {
        sb_buffer_text(line, i || has_some ? "," : "");
        sb_buffer_json_string(line, metrics->items[i].name, strlen(metrics->items[i].name));
        sb_buffer_text(line, ":");
        sb_buffer_float(line, (float)metrics->items[i].value);
    }
}

void sb_finetune_tell_metrics(struct sb_finetune_events *events, uint64_t step, const struct sb_metrics *metrics)
{
    events->measured_step = step;
    events->metrics = *metrics;
    if (events->as_json) {
        struct sb_buffer line = {0};
        sb_buffer_format(&line, "{\"event\":\"evaluation\",\"step\":%" PRIu64 ",\"metrics\":{", step);
        put_metrics(&line, metrics, false);
        sb_buffer_text(&line, "}");
        send(&line);
    } else if (events->shows_line) {
        clear_line(events);
        fprintf(stderr, "evaluation at step %" PRIu64 ":", step);
        for (size_t i = 0; i < metrics->count; i++)
            fprintf(stderr, "%s %s %.4f", i ? "," : "", metrics->items[i].name, metrics->items[i].value);
        fputs(metrics->count ? "\n" : " nothing to measure on\n", stderr);
    }
}

void sb_finetune_tell_checkpoint(struct sb_finetune_events *events, uint64_t step, const char *path)
{
    if (!events->as_json)
        return;
    struct sb_buffer line = {0};
    sb_buffer_format(&line, "{\"event\":\"checkpoint\",\"step\":%" PRIu64, step);
    put_text(&line, "path", path);
    sb_buffer_text(&line, ",\"metrics\":{\"train_loss\":");
    sb_buffer_float(&line, (float)events->loss);
    if (events->measured_step == step)
        put_metrics(&line, &events->metrics, true);
    sb_buffer_text(&line, "}");
    send(&line);
}

void sb_finetune_tell_message(struct sb_finetune_events *events, const char *level, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (events->as_json) {
        struct sb_buffer line = {0};
        sb_buffer_text(&line, "{\"event\":\"message\"");
        put_text(&line, "level", level);
        put_text(&line, "message", text);
        send(&line);
    } else if (events->shows_line) {
        clear_line(events);
        fprintf(stderr, "%s\n", text);
    }
}

static void say_done(const struct sb_report *report)
{
    const char *model = report->output;
    fprintf(stderr, "%s: saved; report in %s/report.html\n", model, model);
    if (*report->gate.metric && !report->gate.passed)
        fprintf(stderr, "%s: did not pass the gate: %s was %.4g, is %.4g\n", model, report->gate.metric,
                report->gate.before, report->gate.after);
}

void sb_finetune_tell_done(struct sb_finetune_events *events, const struct sb_report *report)
{
    clear_line(events);
    if (!events->as_json) {
        if (events->shows_line)
            say_done(report);
        return;
    }
    struct sb_buffer line = {0};
    sb_buffer_text(&line, "{\"event\":\"done\"");
    put_text(&line, "model", report->output);
    sb_buffer_format(&line, ",\"tokens\":%" PRIu64 ",\"gate\":", report->tokens);
    if (*report->gate.metric) {
        sb_buffer_format(&line, "{\"passed\":%s", report->gate.passed ? "true" : "false");
        put_text(&line, "metric", report->gate.metric);
        put_number(&line, "before", report->gate.before);
        put_number(&line, "after", report->gate.after);
        sb_buffer_text(&line, "}");
    } else {
        sb_buffer_text(&line, "null");
    }
    send(&line);
}

void sb_finetune_tell_failed(struct sb_finetune_events *events, const char *message)
{
    clear_line(events);
    if (!events->as_json)
        return;
    struct sb_buffer line = {0};
    sb_buffer_text(&line, "{\"event\":\"failed\"");
    put_text(&line, "message", message);
    send(&line);
}
