/* simbert tokenize: needs a vocabulary, no weights. */
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/text_options.h"
#include "cli/texts.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000 };

struct settings {
    const char *model;
    bool special;
    size_t max_length;
    struct sb_text_choice texts;
};

static void put_text(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, const struct sb_encoding *encoding)
{
    for (size_t i = 0; i < encoding->length; i++)
        sb_buffer_format(out, "%s%s/%d", i ? " " : "", sb_encoding_token(encoding, tokenizer, i), encoding->ids[i]);
    sb_buffer_text(out, "\n");
}

static void put_json(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, const struct sb_encoding *encoding)
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

static enum sb_status encode(const struct settings *settings, const struct sb_tokenizer *tokenizer, struct sb_text text,
                             struct sb_encoding *encoding, struct sb_error *error)
{
    if (!settings->special)
        return sb_tokenizer_encode_plain(tokenizer, encoding, text.text, text.size, error);
    return sb_tokenizer_encode(tokenizer, encoding, text.text, text.size, NULL, 0, settings->max_length, error);
}

static enum sb_status tokenize(const struct settings *settings, const struct sb_tokenizer *tokenizer,
                               struct sb_texts *texts, struct sb_error *error)
{
    struct sb_text_batch batch = {0};
    struct sb_encoding encoding = {0};
    struct sb_buffer out = {0};
    enum sb_status status;
    while ((status = sb_texts_read(texts, &batch, BATCH, error)) == SB_OK && batch.count > 0) {
        for (size_t i = 0; i < batch.count && status == SB_OK; i++) {
            status = encode(settings, tokenizer, sb_text_at(&batch, i), &encoding, error);
            if (status != SB_OK)
                break;
            if (settings->texts.json)
                put_json(&out, tokenizer, &encoding);
            else
                put_text(&out, tokenizer, &encoding);
        }
        if (status == SB_OK)
            status = sb_output_write(&out, error);
        if (status != SB_OK)
            break;
    }
    sb_buffer_free(&out);
    sb_encoding_free(&encoding);
    sb_text_batch_free(&batch);
    return status;
}

static enum sb_status run(const struct settings *settings, char **arguments, int count, struct sb_error *error)
{
    struct sb_tokenizer *tokenizer = NULL;
    struct sb_texts *texts = NULL;
    char *dir = NULL;
    enum sb_status status = sb_texts_open(&texts, arguments, count, settings->texts.input, error);
    if (status == SB_OK)
        status = sb_model_find(&dir, settings->model, error);
    if (status == SB_OK)
        status = sb_tokenizer_open(&tokenizer, dir, error);
    if (status == SB_OK)
        status = tokenize(settings, tokenizer, texts, error);
    sb_tokenizer_free(tokenizer);
    free(dir);
    sb_texts_close(texts);
    return status;
}

int sb_command_tokenize(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert tokenize [OPTION]... [TEXT]...\n"
        "\n"
        "Prints the tokens of each text as token/id, or with --json {\"ids\",\"tokens\",\"offsets\"}: offsets are the "
        "[start, end)\n"
        "of each token in characters of the text, null for [CLS] and [SEP]. Only the vocabulary is read: --model may "
        "be\n"
        "a directory without weights, or a file: vocab.txt, tokenizer.json or a SentencePiece .model.\n";
    static const char examples[] = "  simbert tokenize 怎么申请退货\n"
                                   "  simbert tokenize --no-special --json < questions.txt\n"
                                   "  simbert tokenize --model vocab.txt 怎么申请退货\n";
    struct settings settings = {.special = true, .texts = sb_text_choice_defaults()};
    const struct sb_option options[] = {
        {.name = "model", .type = SB_OPTION_TEXT, .value = &settings.model, .argument = "DIR",
         .default_text = SB_MODEL_HELP_DEFAULT, .help = "model directory, or vocabulary file"},
        {.name = "special", .type = SB_OPTION_FLAG, .value = &settings.special, .help = "with [CLS] and [SEP]"},
        {.name = "max-length", .type = SB_OPTION_SIZE, .value = &settings.max_length, .low = 0, .high = 1 << 20,
         .argument = "N", .help = "cut what is longer than N tokens, [CLS] and [SEP] included; 0: nothing"},
        {.name = "input", .type = SB_OPTION_TEXT, .value = &settings.texts.input, .argument = "FILE",
         .default_text = SB_INPUT_DEFAULT, .help = SB_INPUT_HELP},
        {.name = "json", .type = SB_OPTION_FLAG, .value = &settings.texts.json, .help = SB_JSON_HELP},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {0}};
    int count, exit;
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    return sb_exit(run(&settings, argv, count, error));
}
