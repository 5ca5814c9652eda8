/* simbert duplicates */
#include "retrieval/duplicates.h"

#include "cli/output.h"
#include "cli/text_command.h"

struct settings {
    double min_score;
    size_t limit;
    struct sb_text_choice texts;
    struct sb_model_choice model;
};

static void put_json(struct sb_buffer *out, const struct sb_text_vectors *all, const struct sb_duplicate *pair)
{
    sb_buffer_text(out, "{\"score\":");
    sb_buffer_float(out, pair->score);
    sb_buffer_text(out, ",\"first\":");
    sb_text_vectors_put(out, all, pair->first);
    sb_buffer_text(out, ",\"second\":");
    sb_text_vectors_put(out, all, pair->second);
    sb_buffer_text(out, "}\n");
}

static void put_text(struct sb_buffer *out, const struct sb_text_vectors *all, const struct sb_duplicate *pair)
{
    struct sb_text first = sb_text_vectors_at(all, pair->first), second = sb_text_vectors_at(all, pair->second);
    sb_buffer_format(out, "%.4f\t", (double)pair->score);
    sb_buffer_bytes(out, first.text, first.size);
    sb_buffer_text(out, "\t");
    sb_buffer_bytes(out, second.text, second.size);
    sb_buffer_text(out, "\n");
}

static enum sb_status find(void *context, const struct sb_text_vectors *all, const struct sb_mining *set,
                           struct sb_error *error)
{
    const struct settings *s = context;
    struct sb_duplicates found;
    struct sb_buffer out = {0};
    enum sb_status status = sb_duplicates_find(&found, set, s->min_score, s->limit, error);
    for (size_t i = 0; status == SB_OK && i < found.count; i++) {
        if (s->texts.json)
            put_json(&out, all, &found.pairs[i]);
        else
            put_text(&out, all, &found.pairs[i]);
        if (out.length > 1 << 16)
            status = sb_output_write(&out, error);
    }
    if (status == SB_OK)
        status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    sb_duplicates_free(&found);
    return status;
}

int sb_command_duplicates(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert duplicates [OPTION]... [TEXT]...\n"
        "\n"
        "Prints the pairs of texts that mean nearly the same, the most similar first: score, first and second text,\n"
        "separated by tabs. Every pair is compared: 20,000 texts take seconds, 100,000 a minute or two.\n";
    static const char examples[] = "  simbert duplicates < questions.txt\n"
                                   "  simbert duplicates --min-score 0.95 --limit 1000 --json < questions.txt\n";
    struct settings s = {.min_score = 0.9, .limit = 100, .texts = sb_text_choice_defaults()};
    const struct sb_option options[] = {
        {.name = "min-score", .type = SB_OPTION_DOUBLE, .value = &s.min_score, .low = -1, .high = 1, .argument = "X",
         .help = "lowest cosine of a pair"},
        {.name = "limit", .type = SB_OPTION_SIZE, .value = &s.limit, .low = 1, .high = 1e7, .argument = "N",
         .help = "pairs to print"},
        {0},
    };
    int count, exit;
    if (!sb_text_command_begin(about, options, examples, &s.texts, &s.model, argv, &count, &exit, error))
        return exit;
    return sb_exit(sb_text_command_mine(&s.texts, &s.model, argv, count, find, &s, error));
}
