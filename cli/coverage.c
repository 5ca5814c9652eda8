/* simbert coverage */
#include "cli/embed_texts.h"
#include "cli/output.h"
#include "cli/text_command.h"

#include <math.h>
#include <stdlib.h>

struct settings {
    const char *against;
    double min_score;
    bool all;
    struct sb_text_choice texts;
    struct sb_model_choice model;
};

struct coverage {
    const struct settings *settings;
    struct sb_text_vectors known;
    float *scores; /* [known.count] */
    size_t covered, uncovered;
    struct sb_buffer out;
};

static void put_json(struct coverage *c, struct sb_text question, size_t index, double score, size_t nearest)
{
    struct sb_buffer *out = &c->out;
    sb_buffer_format(out, "{\"index\":%zu,\"text\":", index);
    sb_buffer_json_string(out, question.text, question.size);
    sb_buffer_format(out, ",\"covered\":%s,\"nearest\":", score >= c->settings->min_score ? "true" : "false");
    if (c->known.count) {
        sb_text_vectors_put(out, &c->known, nearest);
        sb_buffer_text(out, ",\"score\":");
        sb_buffer_float(out, (float)score);
    } else {
        sb_buffer_text(out, "null,\"score\":null");
    }
    sb_buffer_text(out, "}\n");
}

static void put_text(struct coverage *c, struct sb_text question, double score, size_t nearest)
{
    if (c->settings->all)
        sb_buffer_text(&c->out, score >= c->settings->min_score ? "covered\t" : "uncovered\t");
    sb_buffer_format(&c->out, "%.4f\t", score);
    sb_buffer_bytes(&c->out, question.text, question.size);
    sb_buffer_text(&c->out, "\t");
    if (c->known.count) {
        struct sb_text text = sb_text_vectors_at(&c->known, nearest);
        sb_buffer_bytes(&c->out, text.text, text.size);
    }
    sb_buffer_text(&c->out, "\n");
}

/* The cosine to the nearest known text. */
static double find_nearest(struct coverage *c, const float *vector, size_t *nearest)
{
    const struct sb_text_vectors *known = &c->known;
    size_t d = known->dimensions, best = 0;
    double length = sqrt((double)known->kernels->dot(vector, vector, d));
    *nearest = 0;
    if (known->count == 0 || !(length > 0))
        return -1;
    known->kernels->scores(c->scores, known->vectors, d, known->count, vector, d);
    for (size_t i = 1; i < known->count; i++)
        best = c->scores[i] > c->scores[best] ? i : best;
    *nearest = best;
    return (double)c->scores[best] / length;
}

static enum sb_status take(void *context, const struct sb_text_batch *batch, const float *vectors,
                           struct sb_error *error)
{
    struct coverage *c = context;
    for (size_t i = 0; i < batch->count; i++) {
        struct sb_text question = sb_text_at(batch, i);
        size_t nearest;
        if (question.size == 0)
            continue;
        double score = find_nearest(c, vectors + i * c->known.dimensions, &nearest);
        bool covered = score >= c->settings->min_score;
        c->covered += covered;
        c->uncovered += !covered;
        if (covered && !c->settings->all)
            continue;
        if (c->settings->texts.json)
            put_json(c, question, batch->first + i, score, nearest);
        else
            put_text(c, question, score, nearest);
    }
    return sb_output_write(&c->out, error);
}

static enum sb_status ask(struct coverage *c, struct sb_model *model, int threads, struct sb_texts *questions,
                          struct sb_error *error)
{
    struct sb_embed_job job = {.model = model, .threads = threads, .texts = questions, .take = take, .context = c};
    struct sb_progress progress = sb_progress_begin(c->settings->texts.progress, c->settings->texts.json, "questions");
    c->scores = malloc((c->known.count + 1) * sizeof *c->scores);
    if (!c->scores)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu scores", c->known.count);
    return sb_embed_texts(&job, &progress, error);
}

static enum sb_status run(const struct settings *s, char **arguments, int count, struct sb_error *error)
{
    struct coverage c = {.settings = s};
    struct sb_texts *questions = NULL;
    struct sb_model *model = NULL;
    struct sb_text_choice known = s->texts;
    int threads = sb_model_choice_threads(&s->model);
    known.input = s->against;
    enum sb_status status = sb_texts_open(&questions, arguments, count, s->texts.input, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, &s->model, error);
    if (status == SB_OK)
        status = sb_text_vectors_load(&c.known, model, threads, &known, NULL, 0, error);
    if (status == SB_OK)
        status = ask(&c, model, threads, questions, error);
    sb_text_vectors_free(&c.known);
    sb_buffer_free(&c.out);
    free(c.scores);
    sb_model_release(model);
    sb_texts_close(questions);
    return status;
}

int sb_command_coverage(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert coverage --against FILE [OPTION]... [QUESTION]...\n"
        "\n"
        "Prints the questions that no text of FILE resembles: the cosine to the nearest one, the question, and that\n"
        "text, separated by tabs.\n";
    static const char examples[] = "  simbert coverage --against faq.txt < questions.txt\n"
                                   "  simbert coverage --against faq.txt --min-score 0.7 --json < questions.txt\n";
    struct settings s = {.min_score = 0.8, .texts = sb_text_choice_defaults()};
    const struct sb_option options[] = {
        {.name = "against", .type = SB_OPTION_TEXT, .value = &s.against, .argument = "FILE",
         .default_text = "none, it must be given", .help = "what is covered, one text a line"},
        {.name = "min-score", .type = SB_OPTION_DOUBLE, .value = &s.min_score, .low = -1, .high = 1, .argument = "X",
         .help = "cosine from which on a question counts as covered"},
        {.name = "all", .type = SB_OPTION_FLAG, .value = &s.all, .help = "print the covered ones, too"},
        {0},
    };
    int count, exit;
    if (!sb_text_command_begin(about, options, examples, &s.texts, &s.model, argv, &count, &exit, error))
        return exit;
    if (!s.against) {
        sb_fail(error, SB_INVALID, "--against FILE is missing");
        return SB_EXIT_USAGE;
    }
    return sb_exit(run(&s, argv, count, error));
}
