/* study.json: every number, for programs. */
#include "study/page.h"
#include "study/results.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_number(struct sb_buffer *out, double value)
{
    if (isfinite(value))
        sb_buffer_format(out, "%.9g", value);
    else
        sb_buffer_text(out, "null");
}

static void put_key(struct sb_buffer *out, const char *key)
{
    sb_buffer_json_string(out, key, strlen(key));
    sb_buffer_text(out, ": ");
}

static void put_text(struct sb_buffer *out, const char *key, const char *text)
{
    put_key(out, key);
    sb_buffer_json_string(out, text, strlen(text));
    sb_buffer_text(out, ", ");
}

static void put_measures(struct sb_buffer *out, const char *key, const struct sb_study_measures *measures)
{
    put_key(out, key);
    for (size_t i = 0; i < measures->count; i++) {
        sb_buffer_text(out, i ? ", " : "{");
        put_key(out, measures->items[i].name);
        put_number(out, measures->items[i].value);
    }
    sb_buffer_text(out, measures->count ? "}" : "{}");
}

static void put_list(struct sb_buffer *out, const char *key, const double *values, size_t count)
{
    put_key(out, key);
    sb_buffer_text(out, "[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(out, i ? ", " : "");
        put_number(out, values[i]);
    }
    sb_buffer_text(out, "]");
}

static void put_trials(struct sb_buffer *out, const struct sb_study_results *r, size_t run)
{
    sb_buffer_text(out, "\"trials\": [\n");
    for (size_t s = 0; s < r->seeds; s++) {
        const struct sb_study_trial *trial = sb_study_trial(r, run, s);
        sb_buffer_format(out, "      {\"seed\": %zu, ", s + 1);
        put_measures(out, "measures", &trial->after);
        sb_buffer_text(out, ", ");
        put_list(out, "losses", trial->losses, trial->losses ? (size_t)r->steps : 0);
        sb_buffer_text(out, ", ");
        put_list(out, "checks", trial->checks, r->check_count);
        sb_buffer_text(out, s + 1 < r->seeds ? "},\n" : "}\n");
    }
    sb_buffer_text(out, "    ]");
}

/* Of every measure that the first seed has. */
static void put_summary(struct sb_buffer *out, const struct sb_study_results *r, size_t run)
{
    const struct sb_study_measures *measures = &sb_study_trial(r, run, 0)->after;
    sb_buffer_text(out, "\"summary\": {");
    for (size_t i = 0; i < measures->count; i++) {
        struct sb_study_summary summary = sb_study_summarise(r, run, measures->items[i].name);
        sb_buffer_text(out, i ? ",\n      " : "\n      ");
        put_key(out, measures->items[i].name);
        sb_buffer_text(out, "{\"mean\": ");
        put_number(out, summary.mean);
        sb_buffer_text(out, ", \"spread\": ");
        put_number(out, summary.spread);
        sb_buffer_format(out, ", \"differs\": %s}", summary.differs ? "true" : "false");
    }
    sb_buffer_text(out, "},\n    ");
}

static void put_run(struct sb_buffer *out, const struct sb_study_results *r, size_t run)
{
    const struct sb_study_run *one = &r->study->runs[run];
    sb_buffer_text(out, "    {");
    put_text(out, "label", one->label);
    sb_buffer_format(out, "\"recipe\": %s, \"config\": %s, \"untrained\": %s, \"whitened\": %s,\n    ",
                     one->recipe ? one->recipe : "{}", one->config ? one->config : "{}",
                     one->is_untrained ? "true" : "false", one->whitens ? "true" : "false");
    put_summary(out, r, run);
    put_trials(out, r, run);
    sb_buffer_text(out, run + 1 < r->run_count ? "},\n" : "}\n");
}

void sb_study_put_json(struct sb_buffer *out, const struct sb_study_results *r, const struct sb_study_about *about)
{
    sb_buffer_text(out, "{\n  ");
    put_text(out, "study", r->study->name);
    put_text(out, "version", SB_VERSION);
    put_text(out, "command", about->command);
    put_text(out, "model", about->model);
    put_text(out, "train", about->train);
    put_text(out, "dev", about->dev);
    sb_buffer_format(out, "\"layers\": %d, \"steps\": %" PRIu64 ", \"seeds\": %zu,\n  \"recipe\": %s,\n  ",
                     about->layers, r->steps, r->seeds, r->study->recipe);
    put_measures(out, "before", &r->before);
    sb_buffer_text(out, ",\n  \"check_steps\": [");
    for (size_t i = 0; i < r->check_count; i++)
        sb_buffer_format(out, "%s%" PRIu64, i ? ", " : "", r->check_steps[i]);
    sb_buffer_text(out, "],\n  \"runs\": [\n");
    for (size_t i = 0; i < r->run_count; i++)
        put_run(out, r, i);
    sb_buffer_text(out, "  ]\n}\n");
}
