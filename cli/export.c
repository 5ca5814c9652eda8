/* simbert export: a collection as lines of JSON. */
#include "cli/collection_choice.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "server/collection_request.h"
#include "server/vector_text.h"

#include <string.h>

enum { PAGE = 1000 };

struct settings {
    struct sb_collection_choice collection;
    const char *filter, *progress;
    bool vectors;
};

struct export {
    const struct settings *settings;
    struct sb_store *store;
    struct sb_filter *filter;
    size_t dimensions, done;
    struct sb_buffer out;
};

static enum sb_status put_vector(struct export *e, const char *id, struct sb_error *error)
{
    struct sb_sentences found;
    enum sb_status status = sb_store_get(e->store, e->settings->collection.collection, id, &found, error);
    if (status != SB_OK)
        return status;
    sb_buffer_text(&e->out, ",\"vector\":");
    sb_put_vector(&e->out, found.items[0].vector, e->dimensions);
    sb_sentences_free(&found);
    return SB_OK;
}

static enum sb_status write_page(struct export *e, const struct sb_sentences *page, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < page->count && status == SB_OK; i++) {
        const struct sb_sentence *sentence = &page->items[i];
        if (e->filter && !sb_filter_keeps(e->filter, sentence->metadata, strlen(sentence->metadata)))
            continue;
        sb_buffer_text(&e->out, "{");
        sb_put_sentence(&e->out, sentence);
        if (e->settings->vectors)
            status = put_vector(e, sentence->id, error);
        sb_buffer_text(&e->out, "}\n");
        e->done++;
    }
    return status == SB_OK ? sb_output_write(&e->out, error) : status;
}

static enum sb_status export_all(struct export *e, struct sb_error *error)
{
    const char *collection = e->settings->collection.collection;
    struct sb_progress progress = sb_progress_begin(e->settings->progress, false, "sentences");
    char after[SB_SENTENCE_ID_MAX + 1] = "";
    enum sb_status status = SB_OK;
    for (size_t got = PAGE; got == PAGE && status == SB_OK;) {
        struct sb_sentences page = {0};
        status = sb_store_scroll(e->store, collection, after[0] ? after : NULL, PAGE, &page, error);
        got = page.count;
        if (status == SB_OK)
            status = write_page(e, &page, error);
        if (got > 0)
            strcpy(after, page.items[got - 1].id); /* as long as ids may be */
        sb_sentences_free(&page);
        sb_progress_update(&progress, e->done);
    }
    sb_progress_end(&progress);
    return status;
}

static enum sb_status parse_filter(struct export *e, struct sb_error *error)
{
    const char *text = e->settings->filter;
    cJSON *json;
    enum sb_status status = sb_json_parse(&json, text, strlen(text), error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "--filter");
    status = sb_filter_parse(&e->filter, json, error);
    cJSON_Delete(json);
    return status;
}

static enum sb_status run(const struct settings *s, struct sb_error *error)
{
    struct export e = {.settings = s};
    struct sb_collection_info info;
    enum sb_status status = s->filter ? parse_filter(&e, error) : SB_OK;
    if (status == SB_OK)
        status = sb_collection_choice_open(&e.store, &s->collection, error);
    if (status == SB_OK)
        status = sb_store_describe(e.store, s->collection.collection, &info, error);
    if (status == SB_OK) {
        e.dimensions = (size_t)info.dimensions;
        status = export_all(&e, error);
    }
    sb_buffer_free(&e.out);
    sb_filter_free(e.filter);
    sb_store_close(e.store);
    return status;
}

int sb_command_export(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert export --collection NAME [OPTION]...\n"
        "\n"
        "Prints a collection's sentences in the order in which they came, a JSON object a line, as simbert import\n"
        "reads them.\n";
    static const char examples[] =
        "  simbert export --collection faq > faq.ndjson\n"
        "  simbert export --collection faq --filter '{\"topic\": \"shop\"}' --vectors > shop.ndjson\n";
    struct settings s = {.collection = sb_collection_choice_defaults(), .progress = "auto"};
    const struct sb_option options[] = {
        {.name = "filter", .type = SB_OPTION_TEXT, .value = &s.filter, .argument = "JSON", .default_text = "all",
         .help = "only sentences whose metadata it keeps"},
        {.name = "vectors", .type = SB_OPTION_FLAG, .value = &s.vectors, .help = "with their vectors"},
        {.name = "progress", .type = SB_OPTION_CHOICE, .value = &s.progress, .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN", .help = SB_PROGRESS_HELP},
        {0},
    };
    struct sb_option collection_options[SB_COLLECTION_OPTIONS];
    const struct sb_option_group groups[] = {{"Collection", collection_options}, {"Options", options}, {0}};
    int count, exit;
    sb_collection_options_table(collection_options, &s.collection);
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count > 0) {
        sb_fail(error, SB_INVALID, "it takes options only, not \"%s\"", argv[0]);
        return SB_EXIT_USAGE;
    }
    return sb_exit(run(&s, error));
}
