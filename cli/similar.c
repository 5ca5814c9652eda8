/* simbert similar */
#include "cli/command.h"
#include "cli/embed_texts.h"
#include "cli/embedder.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/text_options.h"
#include "cli/top_texts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_QUERIES = 1000, MOST_MATCHES = 1000 };

struct settings {
    struct sb_option_list queries;
    int top_k;
    double min_score;
    struct sb_text_choice texts;
    struct sb_model_choice model;
};

struct search {
    const struct sb_kernels *kernels;
    size_t dimensions, queries;
    float *vectors;           /* [queries, dimensions], of length 1 */
    struct sb_top_texts *top; /* [queries] */
};

/* sum(a b), as every search of this program computes it, over the lengths, which are 1 unless the model leaves them as
 * they are. */
static double cosine(const struct search *s, const float *query, const float *vector)
{
    double length = sqrt(s->kernels->dot(vector, vector, s->dimensions));
    double dot = s->kernels->dot(query, vector, s->dimensions);
    return fabs(length - 1) < 1e-5 ? dot : length > 0 ? dot / length : 0;
}

static void normalize(const struct search *s, float *vector)
{
    double length = sqrt(s->kernels->dot(vector, vector, s->dimensions));
    for (size_t d = 0; d < s->dimensions && length > 0 && fabs(length - 1) >= 1e-5; d++)
        vector[d] = (float)(vector[d] / length);
}

static enum sb_status take_queries(void *context, const struct sb_text_batch *batch, const float *vectors,
                                   struct sb_error *error)
{
    struct search *s = context;
    (void)error;
    for (size_t i = 0; i < batch->count; i++) {
        float *query = s->vectors + (batch->first + i) * s->dimensions;
        for (size_t d = 0; d < s->dimensions; d++)
            query[d] = vectors[i * s->dimensions + d];
        normalize(s, query);
    }
    return SB_OK;
}

static enum sb_status take_texts(void *context, const struct sb_text_batch *batch, const float *vectors,
                                 struct sb_error *error)
{
    struct search *s = context;
    for (size_t i = 0; i < batch->count; i++) {
        struct sb_text text = sb_text_at(batch, i);
        for (size_t q = 0; q < s->queries && text.size > 0; q++) {
            double score = cosine(s, s->vectors + q * s->dimensions, vectors + i * s->dimensions);
            if (!sb_top_texts_offer(&s->top[q], score, batch->first + i, text.text, text.size))
                return sb_fail(error, SB_NO_MEMORY, "no memory for the matches");
        }
    }
    return SB_OK;
}

static void put_json(struct sb_buffer *out, const char *query, const struct sb_top_texts *top)
{
    sb_buffer_text(out, "{\"query\":");
    sb_buffer_json_string(out, query, strlen(query));
    sb_buffer_text(out, ",\"matches\":[");
    for (size_t i = 0; i < top->count; i++) {
        sb_buffer_format(out, "%s{\"index\":%zu,\"text\":", i ? "," : "", top->items[i].index);
        sb_buffer_json_string(out, top->items[i].text, top->items[i].size);
        sb_buffer_text(out, ",\"score\":");
        sb_buffer_float(out, (float)top->items[i].score);
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "]}\n");
}

static void put_text(struct sb_buffer *out, const char *query, const struct sb_top_texts *top, bool with_query)
{
    if (with_query)
        sb_buffer_format(out, "%s\n", query);
    for (size_t i = 0; i < top->count; i++) {
        sb_buffer_format(out, "%s%.4f  ", with_query ? "  " : "", top->items[i].score);
        sb_buffer_bytes(out, top->items[i].text, top->items[i].size);
        sb_buffer_text(out, "\n");
    }
}

static enum sb_status print(const struct search *s, const struct settings *settings, struct sb_error *error)
{
    struct sb_buffer out = {0};
    for (size_t q = 0; q < s->queries; q++) {
        if (settings->texts.json)
            put_json(&out, settings->queries.items[q], &s->top[q]);
        else
            put_text(&out, settings->queries.items[q], &s->top[q], s->queries > 1);
    }
    enum sb_status status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    return status;
}

/* Embeds what texts gives, with the queries' or the texts' own taker. */
static enum sb_status embed(struct search *s, const struct settings *settings, struct sb_model *model,
                            struct sb_texts *texts, bool are_queries, struct sb_error *error)
{
    struct sb_embed_job job = {.model = model,
                               .threads = sb_model_choice_threads(&settings->model),
                               .texts = texts,
                               .take = are_queries ? take_queries : take_texts,
                               .context = s};
    struct sb_progress progress = sb_progress_begin(settings->texts.progress, settings->texts.json, "texts");
    return sb_embed_texts(&job, &progress, error);
}

static enum sb_status search(const struct settings *settings, struct sb_texts *queries, struct sb_texts *texts,
                             struct sb_error *error)
{
    struct sb_model *model;
    struct search s = {.queries = settings->queries.count};
    enum sb_status status = sb_model_choice_open(&model, &settings->model, error);
    if (status != SB_OK)
        return status;
    s.kernels = sb_model_kernels(model);
    s.dimensions = (size_t)sb_model_dimensions(model);
    s.vectors = calloc(s.queries * s.dimensions, sizeof *s.vectors);
    s.top = calloc(s.queries, sizeof *s.top);
    if (!s.vectors || !s.top)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for %zu queries", s.queries);
    for (size_t q = 0; q < s.queries && s.top; q++)
        s.top[q] = (struct sb_top_texts){.limit = (size_t)settings->top_k, .low = settings->min_score};
    if (status == SB_OK)
        status = embed(&s, settings, model, queries, true, error);
    if (status == SB_OK)
        status = embed(&s, settings, model, texts, false, error);
    if (status == SB_OK)
        status = print(&s, settings, error);
    for (size_t q = 0; q < s.queries && s.top; q++)
        sb_top_texts_free(&s.top[q]);
    free(s.top);
    free(s.vectors);
    sb_model_release(model);
    return status;
}

static int run(struct settings *settings, char **arguments, int count, struct sb_error *error)
{
    struct sb_texts *queries = NULL, *texts = NULL;
    if (settings->queries.count < 1 || settings->queries.count > MOST_QUERIES) {
        sb_fail(error, SB_INVALID, "%zu queries; 1 to %d are possible: --query TEXT", settings->queries.count,
                MOST_QUERIES);
        return SB_EXIT_USAGE;
    }
    enum sb_status status =
        sb_texts_open(&queries, (char **)settings->queries.items, (int)settings->queries.count, NULL, error);
    if (status == SB_OK)
        status = sb_texts_open(&texts, arguments, count, settings->texts.input, error);
    if (status == SB_OK)
        status = search(settings, queries, texts, error);
    sb_texts_close(queries);
    sb_texts_close(texts);
    return sb_exit(status);
}

int sb_command_similar(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert similar --query TEXT [OPTION]... [TEXT]...\n"
        "\n"
        "Prints those texts that are closest in meaning to the query, the closest first, each behind its score:\n"
        "the cosine of the two vectors, 1 for the same meaning. Empty lines do not count.\n"
        "With --json a query's result is {\"query\",\"matches\":[{\"index\",\"text\",\"score\"}]}; index is the text's "
        "number\n"
        "among the lines, from 0. To ask the same texts often, keep them in a collection of \"simbert serve\".\n";
    static const char examples[] =
        "  simbert similar --query 怎么把东西退掉 怎么申请退货 怎么开发票 忘记密码怎么办\n"
        "  simbert similar --query 怎么把东西退掉 --top-k 3 < questions.txt\n"
        "  simbert similar --query 退货 --query 发票 --min-score 0.8 --json --input questions.txt\n";
    struct settings settings = {.top_k = 10, .min_score = -1, .texts = sb_text_choice_defaults()};
    const struct sb_option options[] = {
        {.name = "query", .type = SB_OPTION_LIST, .value = &settings.queries, .argument = "TEXT",
         .help = "what to look for; may be given several times"},
        {.name = "top-k", .type = SB_OPTION_INT, .value = &settings.top_k, .low = 1, .high = MOST_MATCHES,
         .argument = "N", .help = "matches of a query, at most"},
        {.name = "min-score", .type = SB_OPTION_DOUBLE, .value = &settings.min_score, .low = -1, .high = 1,
         .argument = "X", .help = "leave out matches below this score"},
        {0},
    };
    struct sb_option text_options[SB_TEXT_OPTIONS], model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {
        {"Search", options}, {"Options", text_options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_text_options_table(text_options, &settings.texts);
    sb_model_options_table(model_options, &settings.model);
    if (sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        exit = run(&settings, argv, count, error);
    sb_option_list_free(&settings.queries);
    return exit;
}
