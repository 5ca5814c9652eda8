/* study.md: what was done, one table, the plot; and the saving of all three files. */
#include "study/page.h"

#include "base/file.h"
#include "study/results.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- What was done ---- */

static void put_start(struct sb_buffer *out, const struct sb_study_results *r, const struct sb_study_about *about)
{
    const char *const *redraws = r->study->redraws;
    sb_buffer_format(out, "The runs start from `%s`", about->model);
    if (about->layers)
        sb_buffer_format(out, ", of which only the first %d layer%s are kept", about->layers,
                         about->layers == 1 ? "" : "s");
    if (r->study->config)
        sb_buffer_format(out, ", its config changed by `%s`", r->study->config);
    if (redraws[0] && !redraws[0][0])
        sb_buffer_text(out, ", with all weights drawn anew");
    for (size_t i = 0; redraws[i] && redraws[0][0]; i++)
        sb_buffer_format(out, "%s`%s`",
                         i ? ", "
                           : "; drawn anew are the parameters with these in their names, and those that it lacks: ",
                         redraws[i]);
    sb_buffer_format(out,
                     ". Every run takes %" PRIu64
                     " steps on `%s`, with %zu seed%s, which decide%s the order of the data, dropout "
                     "and noise%s; at the same seed all runs see the same batches.",
                     r->steps, about->train, r->seeds, r->seeds == 1 ? "" : "s", r->seeds == 1 ? "s" : "",
                     redraws[0] ? ", and what is drawn" : "");
    sb_buffer_format(out, " %s\n\n    %s\n\nThe recipe that all runs share:\n\n    %s\n\n", about->measured,
                     about->command, r->study->recipe);
}

static void put_runs(struct sb_buffer *out, const struct sb_study_results *r)
{
    sb_buffer_text(out, "What each says beside it:\n\n");
    for (size_t i = 0; i < r->run_count; i++) {
        const struct sb_study_run *run = &r->study->runs[i];
        sb_buffer_format(out, "- **%s**:", run->label);
        if (run->recipe)
            sb_buffer_format(out, " `%s`", run->recipe);
        if (run->config)
            sb_buffer_format(out, " config `%s`", run->config);
        if (run->is_untrained)
            sb_buffer_text(out, " no training");
        if (run->whitens)
            sb_buffer_text(out, run->is_untrained ? ", then whitening" : " then whitening");
        if (!run->recipe && !run->config && !run->is_untrained && !run->whitens)
            sb_buffer_text(out, " nothing");
        sb_buffer_text(out, "\n");
    }
    sb_buffer_text(out, "\n");
}

/* ---- The table ---- */

static void put_cell(struct sb_buffer *out, double mean, double spread, int decimals, bool differs)
{
    const char *mark = differs ? "**" : "";
    if (isnan(mean))
        sb_buffer_text(out, " |");
    else if (isnan(spread) || spread <= 1e-9 * fabs(mean))
        sb_buffer_format(out, " %s%.*f%s |", mark, decimals, mean, mark);
    else
        sb_buffer_format(out, " %s%.*f%s ± %.*f |", mark, decimals, mean, mark, decimals, spread);
}

static void put_table(struct sb_buffer *out, const struct sb_study_results *r)
{
    const struct sb_study_column *columns = r->study->columns;
    size_t count = sb_study_column_count(r->study);
    sb_buffer_text(out, "| |");
    for (size_t c = 0; c < count; c++)
        sb_buffer_format(out, " %s |", columns[c].heading);
    sb_buffer_text(out, "\n|---|");
    for (size_t c = 0; c < count; c++)
        sb_buffer_text(out, "---|");
    if (r->before.count) {
        sb_buffer_text(out, "\n| before training |");
        for (size_t c = 0; c < count; c++)
            put_cell(out, sb_study_measured(&r->before, columns[c].measure), NAN, columns[c].decimals, false);
    }
    for (size_t i = 0; i < r->run_count; i++) {
        sb_buffer_format(out, "\n| %s |", r->study->runs[i].label);
        for (size_t c = 0; c < count; c++) {
            struct sb_study_summary s = sb_study_summarise(r, i, columns[c].measure);
            put_cell(out, s.mean, s.spread, columns[c].decimals, s.differs);
        }
    }
    sb_buffer_text(out, "\n\n");
}

static void put_reading(struct sb_buffer *out, const struct sb_study_results *r)
{
    if (r->seeds == 1) {
        sb_buffer_text(out, "One seed: nothing here tells a small difference from noise. `--seeds` takes more.\n\n");
        return;
    }
    sb_buffer_format(
        out,
        "Mean ± standard deviation over the %zu seeds. **Bold**: differs from %s by more than the spread over seeds "
        "(paired "
        "t-test at equal seeds, 95 %%); of so many numbers one in twenty does so by chance. What is not bold is no "
        "difference that these runs can show.\n\n",
        r->seeds, r->study->runs[0].label);
}

void sb_study_put_page(struct sb_buffer *out, const struct sb_study_results *r, const struct sb_study_about *about)
{
    sb_buffer_format(out, "# %s\n\n%s\n\n## What was done\n\n", r->study->title, r->study->about);
    put_start(out, r, about);
    put_runs(out, r);
    sb_buffer_text(out, "## What came out\n\n");
    put_table(out, r);
    put_reading(out, r);
    sb_buffer_format(out, "![%s](study.svg)\n", r->study->title);
}

/* ---- Files ---- */

static enum sb_status write(const char *dir, const char *name, struct sb_buffer *text, struct sb_error *error)
{
    char *path = text->failed ? NULL : sb_path_join(dir, name);
    enum sb_status status = path ? sb_write_file(path, text->data, text->length, error)
                                 : sb_fail(error, SB_NO_MEMORY, "%s: no memory for %s", dir, name);
    free(path);
    sb_buffer_free(text);
    return status;
}

enum sb_status sb_study_save(const struct sb_study_results *results, const struct sb_study_about *about,
                             const char *dir, struct sb_error *error)
{
    struct sb_buffer text = {0};
    enum sb_status status = sb_make_folders(dir, error);
    sb_study_put_json(&text, results, about);
    if (status == SB_OK)
        status = write(dir, "study.json", &text, error);
    sb_study_put_page(&text, results, about);
    if (status == SB_OK)
        status = write(dir, "study.md", &text, error);
    if (status == SB_OK)
        status = sb_study_put_plot(&text, results, error);
    if (status == SB_OK)
        status = write(dir, "study.svg", &text, error);
    sb_buffer_free(&text);
    return status;
}
