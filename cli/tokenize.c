/* simbert tokenize: ids, tokens and offsets of each text. */
#include "cli/command.h"
#include "cli/open_model.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct settings {
    const char *model, *tokenizer;
    int64_t max_length;
    bool no_special, json;
};

static const struct sb_option options[] = {
    {"model", "DIR", SB_OPTION_STRING, offsetof(struct settings, model), 0, 0, SB_MODEL_HELP},
    {"tokenizer", "FILE", SB_OPTION_STRING, offsetof(struct settings, tokenizer), 0, 0,
     "vocab.txt, tokenizer.json or SentencePiece model, instead of a model's"},
    {"max-length", "N", SB_OPTION_INT, offsetof(struct settings, max_length), 0, 1e6,
     "tokens to keep, special ones included; 0: all"},
    {"no-special", NULL, SB_OPTION_FLAG, offsetof(struct settings, no_special), 0, 0, "without [CLS] and [SEP]"},
    {"json", NULL, SB_OPTION_FLAG, offsetof(struct settings, json), 0, 0, "one JSON object a line"},
    {0},
};
static const struct sb_option_group groups[] = {{options, 0}, {0}};

static enum sb_status open_tokenizer(struct sb_tokenizer **tokenizer, const struct settings *settings,
                                     struct sb_error *error)
{
    char *dir = NULL;
    if (settings->tokenizer)
        return sb_tokenizer_open(tokenizer, settings->tokenizer, error);
    enum sb_status status = sb_find_model(&dir, settings->model, error);
    if (status == SB_OK)
        status = sb_tokenizer_open(tokenizer, dir, error);
    free(dir);
    return status;
}

static void print_json(struct sb_buffer *out, const struct sb_encoding *encoding, const struct sb_tokenizer *tokenizer)
{
    for (size_t i = 0; i < encoding->length; i++)
        sb_buffer_format(out, "%s%d", i ? "," : "{\"ids\":[", encoding->ids[i]);
    sb_buffer_text(out, encoding->length ? "],\"tokens\":[" : "{\"ids\":[],\"tokens\":[");
    for (size_t i = 0; i < encoding->length; i++) {
        const char *token = sb_encoding_token(encoding, tokenizer, i);
        sb_buffer_text(out, i ? "," : "");
        sb_buffer_json_string(out, token, strlen(token));
    }
    sb_buffer_text(out, "],\"offsets\":[");
    for (size_t i = 0; i < encoding->length; i++) {
        struct sb_span span = encoding->offsets[i];
        sb_buffer_text(out, i ? "," : "");
        if (span.start < 0)
            sb_buffer_text(out, "null");
        else
            sb_buffer_format(out, "[%d,%d]", span.start, span.end);
    }
    sb_buffer_text(out, "]}\n");
}

static void print_text(struct sb_buffer *out, const struct sb_encoding *encoding, const struct sb_tokenizer *tokenizer)
{
    for (size_t i = 0; i < encoding->length; i++)
        sb_buffer_format(out, "%s%s/%d", i ? " " : "", sb_encoding_token(encoding, tokenizer, i), encoding->ids[i]);
    sb_buffer_text(out, "\n");
}

static enum sb_status encode(struct sb_encoding *encoding, const struct sb_tokenizer *tokenizer,
                             const struct sb_text *text, const struct settings *settings, struct sb_error *error)
{
    if (settings->no_special)
        return sb_tokenizer_encode_plain(tokenizer, encoding, text->data, text->size, error);
    return sb_tokenizer_encode(tokenizer, encoding, text->data, text->size, NULL, 0, (size_t)settings->max_length,
                               error);
}

static enum sb_exit tokenize_all(const struct sb_tokenizer *tokenizer, struct sb_texts *texts,
                                 const struct settings *settings)
{
    struct sb_error error;
    struct sb_encoding encoding = {0};
    struct sb_buffer out = {0};
    enum sb_exit result = SB_EXIT_OK;
    do {
        enum sb_status status = sb_texts_next(texts, &error);
        for (size_t i = 0; i < texts->count && status == SB_OK; i++) {
            status = encode(&encoding, tokenizer, &texts->items[i], settings, &error);
            if (status == SB_OK && settings->json)
                print_json(&out, &encoding, tokenizer);
            else if (status == SB_OK)
                print_text(&out, &encoding, tokenizer);
        }
        if (status != SB_OK)
            result = sb_exit_failure(&error);
        else if (!sb_output(&out, &error))
            result = sb_output_failure(&error);
    } while (result == SB_EXIT_OK && texts->count > 0);
    sb_buffer_free(&out);
    sb_encoding_free(&encoding);
    return result;
}

static enum sb_exit run(const void *given, const struct sb_arguments *arguments)
{
    const struct settings *settings = given;
    struct sb_error error;
    struct sb_tokenizer *tokenizer = NULL;
    struct sb_texts texts;
    enum sb_exit result;
    if (settings->no_special && settings->max_length > 0)
        return sb_exit_usage("--max-length counts the special tokens, which --no-special leaves out");
    if (open_tokenizer(&tokenizer, settings, &error) != SB_OK ||
        sb_texts_open(&texts, arguments, NULL, &error) != SB_OK) {
        result = sb_exit_failure(&error);
    } else {
        result = tokenize_all(tokenizer, &texts, settings);
        sb_texts_close(&texts);
    }
    sb_tokenizer_free(tokenizer);
    return result;
}

const struct sb_command sb_command_tokenize = {
    .name = "tokenize",
    .summary = "prints the tokens of each text",
    .usage = "[TEXT]...",
    .details = "Reads the arguments, or one text a line from standard input. Prints TOKEN/ID..., with --json\n"
               "{\"ids\":[...],\"tokens\":[...],\"offsets\":[[0,1],null,...]}; offsets count characters. Needs no weights.\n",
    .examples = "  simbert tokenize 花呗怎么还款\n"
                "  simbert tokenize --tokenizer vocab.txt --json < sentences.txt\n",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .run = run,
};
