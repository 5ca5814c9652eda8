/* simbert study */
#include "cli/study.h"
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/progress.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_EVERY_NS INT64_C(200000000)
#define LINES_EVERY_NS INT64_C(10000000000)

struct settings {
    const char *model, *train, *dev, *out, *dtype, *progress;
    size_t steps, seeds, pairs, texts;
    int layers, threads;
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number)
{
    stop_asked = 1;
    signal(signal_number, SIG_DFL); /* the second one does not wait */
}

/* ---- What is told meanwhile ---- */

struct study_run {
    const struct settings *settings;
    struct sb_study_measurer measurer;
    bool enabled, is_terminal, shown;
    int64_t shown_ns;
};

static enum sb_status tell(void *context, const char *message, struct sb_error *error)
{
    struct study_run *run = context;
    int64_t now = sb_now_ns(), every = run->is_terminal ? TERMINAL_EVERY_NS : LINES_EVERY_NS;
    if (stop_asked) /* SB_CANCELLED would end the program with status 0 */
        return sb_fail(error, SB_DEADLINE, "stopped; nothing was written to %s", run->settings->out);
    if (!run->enabled || (run->shown && now - run->shown_ns < every))
        return SB_OK;
    fprintf(stderr, "%s%s%s", run->is_terminal ? "\r" : "", message, run->is_terminal ? "\033[K" : "\n");
    fflush(stderr);
    run->shown = true;
    run->shown_ns = now;
    return SB_OK;
}

static enum sb_status measure(void *context, struct sb_study_measures *measures, const char *model, unsigned parts,
                              struct sb_error *error)
{
    return sb_study_measure_model(&((struct study_run *)context)->measurer, measures, model, parts, error);
}

/* ---- What the page says ---- */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The command that makes it again, with the names of files but not where they lie here. */
static void put_command(struct sb_buffer *out, const struct sb_study *study, const struct settings *s)
{
    sb_buffer_format(
        out,
        "simbert study %s --train %s --dev %s --steps %zu --seeds %zu --layers %d --pairs %zu --texts %zu --threads %d",
        study->name, name_of(s->train), name_of(s->dev), s->steps ? s->steps : (size_t)study->steps, s->seeds,
        s->layers, s->pairs, s->texts, s->threads);
    if (s->model)
        sb_buffer_format(out, " --model %s", name_of(s->model));
}

static enum sb_status save(const struct sb_study_results *results, const struct settings *s, const char *model,
                           struct sb_error *error)
{
    struct sb_buffer command = {0}, measured = {0};
    put_command(&command, results->study, s);
    sb_buffer_format(
        &measured,
        "Models are measured on %zu pairs of `%s`, and what they write on %zu texts of it ([measuring](eval.md)).",
        s->pairs, name_of(s->dev), s->texts);
    struct sb_study_about about = {.command = command.data,
                                   .model = name_of(model),
                                   .train = name_of(s->train),
                                   .dev = name_of(s->dev),
                                   .layers = s->layers,
                                   .measured = measured.data};
    enum sb_status status = command.failed || measured.failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the page")
                                                              : sb_study_save(results, &about, s->out, error);
    sb_buffer_free(&measured);
    sb_buffer_free(&command);
    return status;
}

/* ---- Running ---- */

static enum sb_status run_in(const struct sb_study *study, const struct settings *s, const char *model,
                             const char *work, struct sb_error *error)
{
    bool terminal = isatty(STDERR_FILENO);
    struct study_run run = {
        .settings = s,
        .measurer = {.dev = s->dev, .dtype = s->dtype, .pairs = s->pairs, .texts = s->texts, .threads = s->threads},
        .enabled = strcmp(s->progress, "never") != 0,
        .is_terminal = terminal};
    struct sb_study_setup setup = {.study = study,
                                   .model = model,
                                   .work = work,
                                   .train = s->train,
                                   .layers = s->layers,
                                   .steps = s->steps,
                                   .seeds = s->seeds,
                                   .pool = sb_pool_new(s->threads),
                                   .measure = measure,
                                   .tell = tell,
                                   .context = &run};
    struct sb_study_results *results = NULL;
    struct sb_error ignored;
    enum sb_status status = sb_study_run(&results, &setup, error);
    if (run.shown && run.is_terminal)
        fputs("\r\033[K", stderr);
    if (status == SB_OK)
        status = save(results, s, model, error);
    sb_study_results_free(results);
    sb_pool_free(setup.pool);
    if (sb_folder_remove(work, &ignored) != SB_OK)
        fprintf(stderr, "note: %s\n", ignored.message);
    return status;
}

static enum sb_status run(const struct sb_study *study, struct settings *s, struct sb_error *error)
{
    struct sb_model_choice threads = {.threads = s->threads};
    struct sb_buffer line = {0};
    char *model = NULL, *work = sb_path_join(s->out, "work");
    s->threads = sb_model_choice_threads(&threads);
    enum sb_status status = work ? sb_model_find(&model, s->model, error) : sb_fail(error, SB_NO_MEMORY, "no memory");
    if (status == SB_OK)
        status = run_in(study, s, model, work, error);
    if (status == SB_OK) {
        sb_buffer_format(&line, "%s/study.md, study.json, study.svg\n", s->out);
        status = sb_output_write(&line, error);
    }
    sb_buffer_free(&line);
    free(model);
    free(work);
    return status;
}

static int list(struct sb_error *error)
{
    struct sb_buffer out = {0};
    for (size_t i = 0; sb_studies[i]; i++)
        sb_buffer_format(&out, "%-22s%s\n", sb_studies[i]->name, sb_studies[i]->summary);
    enum sb_status status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    return sb_exit(status);
}

static int begin(char **argv, int count, struct settings *s, struct sb_error *error)
{
    const struct sb_study *study;
    if (count == 0)
        return list(error);
    if (count > 1) {
        sb_fail(error, SB_INVALID, "one study at a time, not also %s", argv[1]);
        return SB_EXIT_USAGE;
    }
    if (sb_study_find(&study, argv[0], error) != SB_OK)
        return SB_EXIT_USAGE;
    if (!s->train || !s->dev) {
        sb_fail(error, SB_INVALID, "it needs --%s FILE: %s", s->train ? "dev" : "train",
                s->train ? "pairs that are measured and never trained on" : "texts of one meaning to train on");
        return SB_EXIT_USAGE;
    }
    if (!s->out)
        s->out = study->name;
    signal(SIGINT, ask_to_stop);
    signal(SIGTERM, ask_to_stop);
    return sb_exit(run(study, s, error));
}

int sb_command_study(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert study [NAME --train FILE --dev FILE [OPTION]...]\n"
        "\n"
        "Shows what a technique does on this model: training runs that differ in that technique alone, one after\n"
        "the other, from the same model and on the same batches, once for each of several seeds, and measured\n"
        "afterwards. Without NAME it lists the studies.\n"
        "\n"
        "DIR gets study.md (what was done, a table, how to read it), study.svg (curves) and study.json (every\n"
        "number). In the table bold means: differs from the first run by more than the spread over the seeds.\n"
        "\n"
        "So that a study takes minutes, only the first layers of the model are kept (--layers), and the samples\n"
        "that it is measured with are small (--pairs, --texts): its numbers compare its runs, not models.\n";
    static const char examples[] =
        "  simbert study\n"
        "  simbert study optimizers --train synonyms.jsonl --dev pairs.tsv\n"
        "  simbert study exposure-bias --train synonyms.jsonl --dev pairs.tsv --seeds 5 --steps 400\n";
    struct settings s = {.dtype = "auto", .progress = "auto", .seeds = 3, .pairs = 2000, .texts = 100, .layers = 2};
    const struct sb_option options[] = {
        {.name = "train",
         .type = SB_OPTION_TEXT,
         .value = &s.train,
         .argument = "FILE",
         .help = "texts of one meaning, in the forms that finetune reads"},
        {.name = "dev",
         .type = SB_OPTION_TEXT,
         .value = &s.dev,
         .argument = "FILE",
         .help = "pairs with labels, in the forms that eval reads; never trained on"},
        {.name = "out",
         .type = SB_OPTION_TEXT,
         .value = &s.out,
         .argument = "DIR",
         .default_text = "the study's name",
         .help = "folder for the results"},
        {.name = "steps",
         .type = SB_OPTION_SIZE,
         .value = &s.steps,
         .low = 0,
         .high = 1e6,
         .argument = "N",
         .default_text = "0, the study's own",
         .help = "training steps of each run"},
        {.name = "seeds",
         .type = SB_OPTION_SIZE,
         .value = &s.seeds,
         .low = 1,
         .high = SB_STUDY_SEEDS,
         .argument = "N",
         .help = "times that each run is trained"},
        {.name = "layers",
         .type = SB_OPTION_INT,
         .value = &s.layers,
         .low = 0,
         .high = 256,
         .argument = "N",
         .help = "layers of the model that are kept, the first ones; 0: all"},
        {.name = "pairs",
         .type = SB_OPTION_SIZE,
         .value = &s.pairs,
         .low = 0,
         .high = 1 << 30,
         .argument = "N",
         .help = "measure with N examples of --dev, a sample; 0: with all"},
        {.name = "texts",
         .type = SB_OPTION_SIZE,
         .value = &s.texts,
         .low = 0,
         .high = 1 << 30,
         .argument = "N",
         .help = "measure what is written for N texts of them"},
        {.name = "progress",
         .type = SB_OPTION_CHOICE,
         .value = &s.progress,
         .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN",
         .help = "show progress on standard error"},
        {0},
    };
    const struct sb_option model_options[] = {
        {.name = "model",
         .type = SB_OPTION_TEXT,
         .value = &s.model,
         .argument = "DIR",
         .default_text = SB_MODEL_HELP_DEFAULT,
         .help = "model directory that all runs start from"},
        {.name = "dtype",
         .type = SB_OPTION_CHOICE,
         .value = &s.dtype,
         .choices = SB_DTYPE_CHOICES,
         .argument = "TYPE",
         .help = "arithmetic while measuring; that of training is the study's"},
        {.name = "threads",
         .type = SB_OPTION_INT,
         .value = &s.threads,
         .low = 0,
         .high = 1024,
         .argument = "N",
         .default_text = "0, as many as there are",
         .help = "threads; changes no result but times"},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {"Model", model_options}, {0}};
    int count, exit;
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    return begin(argv, count, &s, error);
}
