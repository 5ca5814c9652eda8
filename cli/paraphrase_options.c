#include "cli/paraphrase_options.h"

#include "base/random.h"

#include <stdio.h>
#include <string.h>

struct sb_paraphrase_choice sb_paraphrase_choice_defaults(void)
{
    return (struct sb_paraphrase_choice){
        .options = sb_paraphrase_defaults(),
        .seed = (size_t)sb_random_fresh_seed(),
        .early_stopping = "false",
    };
}

void sb_paraphrase_choice_free(struct sb_paraphrase_choice *choice)
{
    sb_paraphrase_query_free(&choice->query);
    sb_option_list_free(&choice->bad_words);
    sb_option_list_free(&choice->force_words);
    sb_option_list_free(&choice->mask);
}

/* Just above 0: what must be positive. */
#define POSITIVE 1e-6

void sb_paraphrase_options_table(struct sb_option table[SB_PARAPHRASE_OPTIONS], struct sb_paraphrase_choice *choice)
{
    struct sb_paraphrase_options *o = &choice->options;
    struct sb_decode_options *d = &o->decode;
    const struct sb_option options[] = {
        {.name = "n", .type = SB_OPTION_INT, .value = &o->n, .low = 1, .high = SB_MAX_SEQUENCES, .argument = "N",
         .help = "paraphrases of a text, at most"},
        {.name = "num-candidates", .type = SB_OPTION_INT, .value = &o->num_candidates, .low = 1,
         .high = SB_MAX_SEQUENCES, .argument = "N", .help = "texts to write, of which the best n are kept"},
        {.name = "top-k", .type = SB_OPTION_INT, .value = &d->top_k, .low = 0, .high = 1e9, .argument = "N",
         .help = "draw each token from the N most probable; 0: from all"},
        {.name = "top-p", .type = SB_OPTION_DOUBLE, .value = &d->top_p, .low = POSITIVE, .high = 1, .argument = "P",
         .help = "of these, from the fewest whose probabilities add up to P"},
        {.name = "temperature", .type = SB_OPTION_DOUBLE, .value = &d->temperature, .low = POSITIVE, .high = 100,
         .argument = "X", .help = "below 1 prefers the probable, above 1 the unusual"},
        {.name = "seed", .type = SB_OPTION_SIZE, .value = &choice->seed, .low = 0, .high = 9007199254740992.0,
         .argument = "N", .default_text = "another one each time", .help = "the same seed draws the same texts"},
        {.name = "num-beams", .type = SB_OPTION_INT, .value = &choice->num_beams, .low = 0, .high = SB_MAX_BEAMS,
         .argument = "N",
         .help = "search with N beams in place of drawing; 1 takes the most probable token each time; 0 draws"},
        {.name = "num-beam-groups", .type = SB_OPTION_INT, .value = &d->num_beam_groups, .low = 1,
         .high = SB_MAX_BEAMS, .argument = "N", .help = "beams: as many groups that avoid each other's tokens"},
        {.name = "diversity-penalty", .type = SB_OPTION_DOUBLE, .value = &d->diversity_penalty, .low = 0, .high = 1000,
         .argument = "X", .help = "beam groups: how much they avoid them"},
        {.name = "length-penalty", .type = SB_OPTION_DOUBLE, .value = &d->length_penalty, .low = -100, .high = 100,
         .argument = "X", .help = "beams: above 0 favours long texts, below 0 short ones"},
        {.name = "early-stopping", .type = SB_OPTION_CHOICE, .value = &choice->early_stopping,
         .choices = "false, true, never", .argument = "WHEN",
         .help = "beams: end when no beam looks better than those that ended (false), as soon as enough have ended "
                 "(true), or when none can get better (never)"},
        {.name = "no-repeat-ngram-size", .type = SB_OPTION_INT, .value = &d->no_repeat_ngram_size, .low = 0,
         .high = SB_MAX_NEW_TOKENS, .argument = "N",
         .help = "no N tokens in a row come twice, nor as in the text; 0: they may"},
        {.name = "repetition-penalty", .type = SB_OPTION_DOUBLE, .value = &d->repetition_penalty, .low = POSITIVE,
         .high = 100, .argument = "X",
         .help = "above 1 makes tokens that came already, or are in the text, less probable"},
        {.name = "min-new-tokens", .type = SB_OPTION_INT, .value = &d->min_new_tokens, .low = 0,
         .high = SB_MAX_NEW_TOKENS, .argument = "N", .help = "tokens of a paraphrase, at least"},
        {.name = "max-new-tokens", .type = SB_OPTION_INT, .value = &d->max_new_tokens, .low = 1,
         .high = SB_MAX_NEW_TOKENS, .argument = "N", .help = "tokens of a paraphrase, at most"},
        {.name = "bad-words", .type = SB_OPTION_LIST, .value = &choice->bad_words, .argument = "TEXT",
         .help = "never write this; may be given several times"},
        {.name = "force-words", .type = SB_OPTION_LIST, .value = &choice->force_words, .argument = "TEXT",
         .help = "beams: every paraphrase holds this; may be given several times"},
        {.name = "mask", .type = SB_OPTION_LIST, .value = &choice->mask, .argument = "START:END",
         .help = "hide the characters from START up to END, counted from 0, so that they are reworded; may be given "
                 "several times"},
        {.name = "min-similarity", .type = SB_OPTION_DOUBLE, .value = &o->min_similarity, .low = -1.01, .high = 1.01,
         .argument = "X", .help = "drop what is less similar to the text"},
        {.name = "max-similarity", .type = SB_OPTION_DOUBLE, .value = &o->max_similarity, .low = -1.01, .high = 1.01,
         .argument = "X", .help = "drop what is more similar to the text"},
        {.name = "min-edit-distance", .type = SB_OPTION_INT, .value = &o->min_edit_distance, .low = 0, .high = 1e6,
         .argument = "N", .help = "drop what differs from the text in fewer characters"},
        {.name = "drop-copies", .type = SB_OPTION_FLAG, .value = &o->drop_copies,
         .help = "drop what is the text again"},
        {.name = "rerank", .type = SB_OPTION_FLAG, .value = &o->rerank,
         .help = "the most similar first, else in the order of writing"},
        {0},
    };
    _Static_assert(sizeof options == SB_PARAPHRASE_OPTIONS * sizeof *options, "SB_PARAPHRASE_OPTIONS");
    memcpy(table, options, sizeof options);
}

static enum sb_early_stopping early_stopping(const char *text)
{
    return strcmp(text, "true") == 0 ? SB_STOP_TRUE : strcmp(text, "never") == 0 ? SB_STOP_NEVER : SB_STOP_FALSE;
}

static bool add_range(cJSON *ranges, const char *text, struct sb_error *error)
{
    unsigned start, end;
    int used = 0;
    if (sscanf(text, "%9u:%9u%n", &start, &end, &used) != 2 || text[used] || !strchr("0123456789", text[0])) {
        sb_fail(error, SB_INVALID, "--mask is \"%s\"; it must be START:END, two character positions", text);
        return false;
    }
    const double pair[] = {start, end};
    cJSON *range = cJSON_CreateDoubleArray(pair, 2);
    if (!range || !cJSON_AddItemToArray(ranges, range)) {
        cJSON_Delete(range);
        sb_fail(error, SB_NO_MEMORY, "no memory for the options");
        return false;
    }
    return true;
}

/* The lists in the form of a request. NULL after a failure. */
static cJSON *lists_as_json(const struct sb_paraphrase_choice *choice, struct sb_error *error)
{
    cJSON *json = cJSON_CreateObject(), *mask = cJSON_AddArrayToObject(json, "mask");
    cJSON *bad = cJSON_CreateStringArray(choice->bad_words.items, (int)choice->bad_words.count);
    cJSON *force = cJSON_CreateStringArray(choice->force_words.items, (int)choice->force_words.count);
    bool good = cJSON_AddItemToObject(json, "bad_words", bad ? bad : cJSON_CreateArray()) &&
                cJSON_AddItemToObject(json, "force_words", force ? force : cJSON_CreateArray()) && mask;
    if (!good)
        sb_fail(error, SB_NO_MEMORY, "no memory for the options");
    for (size_t i = 0; i < choice->mask.count && good; i++)
        good = add_range(mask, choice->mask.items[i], error);
    if (!good) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

enum sb_status sb_paraphrase_choice_resolve(struct sb_paraphrase_choice *choice, const struct sb_model *model,
                                            struct sb_error *error)
{
    struct sb_paraphrase_options *o = &choice->options;
    struct sb_parse parse = {.object = lists_as_json(choice, error)};
    if (!parse.object)
        return SB_INVALID;
    bool good = sb_parse_paraphrase(&parse, model, &choice->query); /* as the server reads them */
    cJSON_Delete((cJSON *)parse.object);
    if (!good)
        return sb_fail(error, SB_INVALID, "%s", parse.error.message);
    o->decode.bad_words = choice->query.options.decode.bad_words;
    o->decode.force_words = choice->query.options.decode.force_words;
    o->mask = choice->query.options.mask;
    o->mask_count = choice->query.options.mask_count;
    o->decode.do_sample = choice->num_beams == 0;
    o->decode.num_beams = choice->num_beams ? choice->num_beams : 1;
    o->decode.early_stopping = early_stopping(choice->early_stopping);
    o->decode.seed = choice->seed;
    return SB_OK;
}
