/*
 * The report as a page. It needs nothing beside it: styles and curves are in it, there are no scripts, and everything that came from
 * outside goes through sb_markup_text.
 */
#include "base/markup.h"
#include "training/report_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char style[] =
    ":root{color-scheme:light;--ink:#1d2733;--muted:#64707d;--line:#e3e7eb;--good:#00734f;--bad:#b3430a;--blue:#0063a0}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:#f5f6f8;color:var(--ink);font:15px/1.55 system-ui,'Segoe UI','PingFang SC','Microsoft "
    "YaHei','Noto Sans CJK SC',sans-serif}\n"
    "main{max-width:1160px;margin:0 auto;padding:28px 20px 60px}\n"
    "header,section,details{background:#fff;border:1px solid var(--line);border-radius:10px;padding:20px 24px;margin:0 0 18px}\n"
    "h1{font-size:15px;font-weight:600;color:var(--muted);margin:0 0 6px}\n"
    "h2,summary{font-size:17px;font-weight:600;margin:0 0 12px}\n"
    "summary{cursor:pointer;margin:0}details[open] summary{margin-bottom:12px}\n"
    ".verdict{font-size:24px;line-height:1.3;font-weight:650;margin:0 0 4px}\n"
    ".verdict.good,.change.good{color:var(--good)}.verdict.bad,.change.bad{color:var(--bad)}\n"
    ".note,.muted{color:var(--muted);font-size:13px}.note{margin:8px 0 0}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px 20px;margin:18px 0 0}\n"
    ".facts div{border-top:2px solid var(--line);padding-top:6px}\n"
    ".facts b{display:block;font-size:18px;font-weight:600}.facts span{color:var(--muted);font-size:13px}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:14px}\n"
    "figure{margin:0}figure svg{width:100%;height:auto;display:block}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
    "thead th{font-size:13px;color:var(--muted);font-weight:600}\n"
    ".number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".change{font-weight:600}\n"
    "tr.file th{background:#f5f6f8;font-weight:600}\n"
    ".example{border-top:1px solid var(--line);padding:12px 0}.example:first-of-type{border-top:0;padding-top:0}\n"
    ".example p{font-size:17px;font-weight:600;margin:0 0 6px}\n"
    ".sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:8px 28px}\n"
    "ol,ul{margin:2px 0 0;padding-left:22px}li.new::marker{color:var(--blue);font-weight:700}\n"
    ".side{color:var(--muted);font-size:13px}.side+ol{color:var(--ink)}\n"
    "pre{margin:0;padding:14px;background:#f5f6f8;border-radius:6px;overflow:auto;font-size:13px}\n"
    "@media print{body{background:#fff}header,section,details{border:0;padding:8px 0}}\n";

/* ---- Numbers and texts ---- */

static void put(struct sb_buffer *out, const char *text)
{
    if (text)
        sb_markup_text(out, text, strlen(text));
}

/* 1234567 as "1,234,567". */
static void format_count(char *out, size_t size, uint64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    size_t at = 0;
    for (int i = 0; i < length && at + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

static void format_seconds(char *out, size_t size, double seconds)
{
    if (seconds < 60)
        snprintf(out, size, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(out, size, "%.0f min %02.0f s", floor(seconds / 60), floor(fmod(seconds, 60)));
    else
        snprintf(out, size, "%.0f h %02.0f min", floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
}

static void format_bytes(char *out, size_t size, uint64_t bytes)
{
    if (bytes < 1000000)
        snprintf(out, size, "%.1f kB", (double)bytes / 1e3);
    else if (bytes < 1000000000)
        snprintf(out, size, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(out, size, "%.2f GB", (double)bytes / 1e9);
}

static void put_number(struct sb_buffer *out, double value)
{
    if (isfinite(value))
        sb_buffer_format(out, fabs(value) < 1000 ? "%.4f" : "%.6g", value);
    else
        sb_buffer_text(out, "–");
}

static void put_time(struct sb_buffer *out, uint64_t unix_seconds)
{
    time_t when = (time_t)unix_seconds;
    struct tm parts;
    char text[64];
    if (unix_seconds <= (uint64_t)1 << 40 && gmtime_r(&when, &parts) && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts))
        put(out, text);
}

/* ---- The head ---- */

static int direction_of(const char *measure)
{
    const struct sb_report_measure_kind *kind = sb_report_measure_kind(measure);
    return kind ? kind->better : 0;
}

/* Is a change one for the better? Its class in the style sheet; "" if there is none, or none that can be judged. */
static const char *class_of(const char *measure, double change)
{
    double better = change * direction_of(measure);
    return better > 0 ? "good" : better < 0 ? "bad" : "";
}

static const struct sb_report_measure *find_measure(const struct sb_report_evaluation *evaluation, const char *name)
{
    for (size_t i = 0; i < evaluation->count; i++)
        if (strcmp(evaluation->measures[i].name, name) == 0)
            return &evaluation->measures[i];
    return NULL;
}

static void put_change(struct sb_buffer *out, const char *name, double before, double after)
{
    const char *class = class_of(sb_report_measure_of(name), after - before);
    sb_buffer_format(out, "<p class=\"verdict %s\">%s: ", class,
                     *class == 'g' ? "Better" : *class == 'b' ? "Worse" : "Trained");
    put(out, name);
    sb_buffer_text(out, " ");
    put_number(out, before);
    sb_buffer_text(out, " → ");
    put_number(out, after);
    sb_buffer_format(out, " (%+.4f)</p>\n", after - before);
}

/* What decides, or where that was not measured the first measure of which it is known what is better; false: neither is there. */
static bool put_judgement(struct sb_buffer *out, const struct sb_report *report)
{
    const struct sb_report_evaluation *before = &report->evaluations[0],
                                      *after = &report->evaluations[report->evaluation_count ? report->evaluation_count - 1 : 0];
    if (*report->gate.metric && isfinite(report->gate.after - report->gate.before)) {
        put_change(out, report->gate.metric, report->gate.before, report->gate.after);
        return true;
    }
    for (size_t i = 0; i < before->count; i++) {
        const struct sb_report_measure *m = find_measure(after, before->measures[i].name);
        if (!m || m == &before->measures[i] || direction_of(sb_report_measure_of(m->name)) == 0)
            continue;
        put_change(out, m->name, before->measures[i].value, m->value);
        return true;
    }
    return false;
}

static void put_verdict(struct sb_buffer *out, const struct sb_report *report)
{
    static const char *const words[] = {"Training", "Trained", "Stopped", "Failed"};
    if (report->result == SB_REPORT_SUCCEEDED && put_judgement(out, report)) {
        if (!report->gate.passed)
            sb_buffer_text(out, "<p class=\"note\">It did not pass the gate of its recipe.</p>\n");
        if (report->measured_on_training_data)
            sb_buffer_text(out, "<p class=\"note\">Measured on part of the training data: what it has learnt by heart counts. "
                                "Examples that it was not trained on tell more.</p>\n");
        return;
    }
    sb_buffer_format(out, "<p class=\"verdict %s\">%s", report->result == SB_REPORT_FAILED ? "bad" : "",
                     words[report->result]);
    if (report->message && report->result != SB_REPORT_STOPPED) {
        sb_buffer_text(out, ": ");
        put(out, report->message);
    } else {
        sb_buffer_format(out, ", step %" PRIu64 " of %" PRIu64, report->steps, report->steps_planned);
    }
    sb_buffer_text(out, "</p>\n");
    if (report->result == SB_REPORT_STOPPED)
        sb_buffer_text(out, "<p class=\"note\">The same command goes on from here.</p>\n");
}

static void put_fact(struct sb_buffer *out, const char *value, const char *name)
{
    sb_buffer_text(out, "<div><b>");
    put(out, value);
    sb_buffer_text(out, "</b><span>");
    put(out, name);
    sb_buffer_text(out, "</span></div>\n");
}

static void put_facts(struct sb_buffer *out, const struct sb_report *report)
{
    char text[64], name[64];
    sb_buffer_text(out, "<div class=\"facts\">\n");
    format_seconds(text, sizeof text, report->seconds);
    put_fact(out, text, "of training");
    format_count(text, sizeof text, report->steps);
    put_fact(out, text, "steps");
    format_count(text, sizeof text, report->data_examples);
    put_fact(out, text, "examples");
    format_count(text, sizeof text, report->tokens);
    put_fact(out, text, "tokens computed");
    if (report->seconds > 0) {
        format_count(text, sizeof text, (uint64_t)fmin((double)report->tokens / report->seconds, 1e15));
        put_fact(out, text, "tokens a second");
    }
    format_bytes(text, sizeof text, report->peak_bytes);
    put_fact(out, text, "memory at most");
    format_bytes(text, sizeof text, report->optimizer_bytes);
    snprintf(name, sizeof name, "optimizer state%s%.20s", report->optimizer ? ", " : "",
             report->optimizer ? report->optimizer : "");
    put_fact(out, text, name);
    sb_buffer_text(out, "</div>\n");
}

static void put_header(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, "<header><h1>Fine-tuning of ");
    put(out, report->model ? report->model : "a model");
    sb_buffer_text(out, "</h1>\n");
    put_verdict(out, report);
    put_facts(out, report);
    sb_buffer_text(out, "</header>\n");
}

/* ---- Before and after ---- */

static const struct sb_report_measure_kind kinds[] = {
    {"spearman", 1, "order of the cosines against the order of the labels; 1 is best"},
    {"pearson", 1, "cosines against labels, linear; 1 is best"},
    {"auc", 1, "chance that a pair of one meaning is nearer than one of two; 1 is best"},
    {"accuracy", 1, "pairs on the right side of the threshold .9"},
    {"best_accuracy", 1, "pairs on the right side of the best threshold"},
    {"recall_at_1", 1, "texts of one meaning that are found first"},
    {"recall_at_10", 1, "texts of one meaning that are among the first ten found"},
    {"mrr", 1, "mean of 1 / rank of the first text of one meaning"},
    {"loss", -1, "the training's own loss"},
    {"nll", -1, "surprise at each token of the expected text; smaller is better"},
    {"exposure_gap", -1, "added surprise when the model reads its own words; smaller is better"},
    {"copy_rate", -1, "paraphrases that repeat the text"},
    {"paraphrase_similarity", 0, "cosine of text and paraphrase"},
    {"paraphrase_edit_distance", 0, "characters that differ between text and paraphrase"},
    {"distinct_2", 0, "share of pairs of characters that occur once"},
};

const struct sb_report_measure_kind *sb_report_measure_kind(const char *measure)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, measure) == 0)
            return &kinds[i];
    return NULL;
}

const char *sb_report_measure_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

/* "pairs.dev" of "pairs.dev.spearman"; 0 for a name without a dot. */
static size_t file_length(const char *name)
{
    const char *measure = sb_report_measure_of(name);
    return measure > name ? (size_t)(measure - name) - 1 : 0;
}

static void put_measure(struct sb_buffer *out, const struct sb_report_measure *m, const struct sb_report_measure *after,
                        bool has_after)
{
    const char *measure = sb_report_measure_of(m->name);
    const struct sb_report_measure_kind *kind = sb_report_measure_kind(measure);
    sb_buffer_text(out, "<tr><td>");
    put(out, measure);
    sb_buffer_text(out, kind ? "<br/><span class=\"muted\">" : "");
    put(out, kind ? kind->meaning : NULL);
    sb_buffer_text(out, kind ? "</span>" : "");
    sb_buffer_text(out, "</td><td class=\"number\">");
    put_number(out, m->value);
    if (has_after) {
        double change = after ? after->value - m->value : NAN;
        sb_buffer_text(out, "</td><td class=\"number\">");
        put_number(out, after ? after->value : NAN);
        sb_buffer_format(out, "</td><td class=\"number change %s\">", class_of(measure, change));
        if (isfinite(change))
            sb_buffer_format(out, "%+.4f", change);
    }
    sb_buffer_text(out, "</td></tr>\n");
}

static void put_measures(struct sb_buffer *out, const struct sb_report *report)
{
    if (report->evaluation_count == 0 || report->evaluations[0].count == 0)
        return;
    bool has_after = report->evaluation_count > 1;
    const struct sb_report_evaluation *before = &report->evaluations[0],
                                      *after = &report->evaluations[report->evaluation_count - 1];
    sb_buffer_text(out, "<section><h2>Before and after</h2>\n<table><thead><tr><th>Measure</th><th class=\"number\">Before</th>");
    if (has_after && after->sampled)
        sb_buffer_format(out, "<th class=\"number\">Step %" PRIu64 ", fewer examples</th><th class=\"number\">Change</th>", after->step);
    else if (has_after)
        sb_buffer_text(out, "<th class=\"number\">After</th><th class=\"number\">Change</th>");
    sb_buffer_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < before->count; i++) {
        const char *name = before->measures[i].name;
        size_t length = file_length(name);
        bool same = i > 0 && length == file_length(before->measures[i - 1].name) &&
                    strncmp(name, before->measures[i - 1].name, length) == 0;
        if (length && !same) {
            sb_buffer_format(out, "<tr class=\"file\"><th colspan=\"%d\">", has_after ? 4 : 2);
            sb_markup_text(out, name, length);
            sb_buffer_text(out, "</th></tr>\n");
        }
        put_measure(out, &before->measures[i], has_after ? find_measure(after, name) : NULL, has_after);
    }
    sb_buffer_text(out, "</tbody></table></section>\n");
}

/* ---- Paraphrases ---- */

static bool is_among(const char *text, const struct sb_report_paraphrase *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].text, text) == 0)
            return true;
    return false;
}

/* One side; what is not on the other side stands out. other NULL: nothing does. */
static void put_side(struct sb_buffer *out, const char *title, const struct sb_report_paraphrase *list, size_t count,
                     const struct sb_report_paraphrase *other, size_t other_count)
{
    sb_buffer_format(out, "<div><div class=\"side\">%s%s</div>", title, count ? "" : ": none but copies");
    sb_buffer_text(out, count ? "<ol>\n" : "");
    for (size_t i = 0; i < count; i++) {
        bool is_new = other && !is_among(list[i].text, other, other_count);
        sb_buffer_format(out, "<li%s>", is_new ? " class=\"new\"" : "");
        put(out, list[i].text);
        if (isfinite(list[i].similarity))
            sb_buffer_format(out, " <span class=\"muted\">%.3f</span>", list[i].similarity);
        sb_buffer_text(out, "</li>\n");
    }
    sb_buffer_text(out, count ? "</ol></div>\n" : "</div>\n");
}

static void put_examples(struct sb_buffer *out, const struct sb_report *report)
{
    if (report->example_count == 0)
        return;
    bool has_after = false;
    for (size_t i = 0; i < report->example_count; i++)
        has_after |= report->examples[i].after_count > 0;
    sb_buffer_text(out, "<section><h2>Paraphrases</h2>\n");
    for (size_t i = 0; i < report->example_count; i++) {
        const struct sb_report_example *e = &report->examples[i];
        sb_buffer_text(out, "<div class=\"example\" lang=\"zh\"><p>");
        put(out, e->source);
        sb_buffer_text(out, "</p><div class=\"sides\">\n");
        put_side(out, "Before", e->before, e->before_count, NULL, 0);
        if (has_after)
            put_side(out, "After", e->after, e->after_count, e->before, e->before_count);
        sb_buffer_text(out, "</div></div>\n");
    }
    sb_buffer_text(out, "<p class=\"note\">Sampled, the nearest first, with the cosine to the text. A blue number: not "
                        "among those before.</p></section>\n");
}

/* ---- What is folded away ---- */

static void put_file(struct sb_buffer *out, const struct sb_data_report *file)
{
    char text[32];
    sb_buffer_text(out, "<tr><td>");
    put(out, file->path);
    sb_buffer_format(out, "</td><td>%s</td><td class=\"number\">", sb_data_kind_name(file->kind));
    format_count(text, sizeof text, file->examples);
    sb_buffer_format(out, "%s</td><td>", text);
    for (int r = 0; r < SB_DROP_REASONS; r++)
        if (file->dropped[r]) {
            format_count(text, sizeof text, file->dropped[r]);
            sb_buffer_format(out, "%s: %s<br/>", sb_drop_name((enum sb_drop)r), text);
        }
    sb_buffer_text(out, file->problem_count ? "<ul>" : "");
    for (size_t i = 0; i < file->problem_count; i++) {
        sb_buffer_format(out, "<li>line %zu, %s: ", file->problems[i].line, sb_drop_name(file->problems[i].reason));
        put(out, file->problems[i].what);
        sb_buffer_text(out, "</li>\n");
    }
    sb_buffer_text(out, file->problem_count ? "</ul></td></tr>\n" : "</td></tr>\n");
}

static void put_data(struct sb_buffer *out, const struct sb_report *report)
{
    sb_buffer_text(out, "<details><summary>Data</summary>\n<table><thead><tr><th>File</th><th>Kind</th><th class=\"number\">"
                        "Examples</th><th>Dropped</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < report->file_count; i++)
        put_file(out, &report->files[i]);
    sb_buffer_text(out, "</tbody></table>\n");
    if (report->files_left_out)
        sb_buffer_format(out, "<p class=\"note\">And %zu more files.</p>\n", report->files_left_out);
    sb_buffer_text(out, "</details>\n");
}

static void put_row(struct sb_buffer *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    sb_buffer_format(out, "<tr><th>%s</th><td>", name);
    put(out, value);
    sb_buffer_text(out, "</td></tr>\n");
}

static void put_count_row(struct sb_buffer *out, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    put_row(out, name, text);
}

static void put_run(struct sb_buffer *out, const struct sb_report *report)
{
    char text[32];
    sb_buffer_text(out, "<details><summary>Run and recipe</summary>\n<table><tbody>\n");
    put_row(out, "Model before", report->model);
    put_row(out, "Model after", report->output);
    put_row(out, "Result", sb_report_result_name(report->result));
    put_row(out, "Message", report->message);
    sb_buffer_text(out, "<tr><th>Time</th><td>");
    put_time(out, report->started);
    sb_buffer_text(out, " to ");
    put_time(out, report->finished);
    sb_buffer_text(out, "</td></tr>\n");
    put_row(out, "Arithmetic", report->dtype);
    put_count_row(out, "Seed", report->seed);
    put_count_row(out, "Threads", report->threads);
    put_count_row(out, "Processes", report->processes);
    format_bytes(text, sizeof text, report->training_bytes);
    put_row(out, "Memory of weights, gradients, optimizer and activations", text);
    put_row(out, "Program", report->version);
    sb_buffer_text(out, "</tbody></table>\n<pre>");
    put(out, report->recipe);
    sb_buffer_text(out, "</pre></details>\n");
}

enum sb_status sb_report_to_html(const struct sb_report *report, struct sb_buffer *out, struct sb_error *error)
{
    sb_buffer_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
                        "content=\"width=device-width, initial-scale=1\"/><title>Fine-tuning of ");
    put(out, report->model ? report->model : "a model");
    sb_buffer_format(out, "</title>\n<style>\n%s</style></head>\n<body><main>\n", style);
    put_header(out, report);
    put_measures(out, report);
    put_examples(out, report);
    if (report->point_count)
        sb_report_put_charts(out, report);
    put_data(out, report);
    put_run(out, report);
    sb_buffer_text(out, "</main></body></html>\n");
    return report->failed || out->failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the report") : SB_OK;
}
