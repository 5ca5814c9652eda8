/* simbert import: lines of JSON into a collection; one chunk is stored while the next is embedded. */
#include "base/json.h"
#include "cli/collection_choice.h"
#include "cli/command.h"
#include "cli/embedder.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/text_options.h"
#include "cli/text_vectors.h"
#include "server/collection_request.h"
#include "server/id_set.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1000 }; /* lines; at most SB_ID_SET_MAX */

struct settings {
    struct sb_collection_choice collection;
    const char *vectors, *progress;
    bool json;
    struct sb_model_choice model;
};

struct chunk {
    struct sb_text_batch lines, texts;
    cJSON *json[CHUNK]; /* [count]: what the sentences borrow from */
    struct sb_sentence sentences[CHUNK];
    size_t count, last_line;
    float *vectors; /* [CHUNK, dimensions] */
};

/* What stores, on a thread of its own. */
struct storer {
    struct sb_store *store;
    const char *collection;
    const struct sb_model *model;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk *work; /* being stored, or to be; NULL: idle */
    bool ending;
    enum sb_status status;
    struct sb_error error;
    size_t lines, inserted, updated; /* stored */
};

/* ---- storing ---- */

/* An id that comes again begins another transaction: the later line replaces the earlier. */
static enum sb_status store_chunk(struct storer *s, struct chunk *chunk, size_t *inserted, size_t *updated,
                                  struct sb_error *error)
{
    size_t d = (size_t)sb_model_dimensions(s->model);
    enum sb_status status = SB_OK;
    for (size_t start = 0, end; start < chunk->count && status == SB_OK; start = end) {
        struct sb_id_set ids = {0};
        size_t more_inserted = 0, more_updated = 0;
        for (end = start; end < chunk->count && sb_id_set_add(&ids, chunk->sentences[end].id); end++) {
            float *vector = chunk->vectors + end * d;
            sb_unit_vector(vector, vector, d, sb_model_kernels(s->model));
            chunk->sentences[end].vector = vector;
        }
        status = sb_store_upsert(s->store, s->collection, sb_model_hash(s->model), chunk->sentences + start,
                                 end - start, &more_inserted, &more_updated, error);
        *inserted += more_inserted;
        *updated += more_updated;
    }
    return status;
}

static void *run_storer(void *argument)
{
    struct storer *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->work && !s->ending)
            pthread_cond_wait(&s->changed, &s->lock);
        if (!s->work)
            break;
        struct chunk *chunk = s->work;
        size_t inserted = 0, updated = 0;
        struct sb_error error = {0};
        bool is_off = s->status != SB_OK;
        pthread_mutex_unlock(&s->lock);
        enum sb_status status = is_off ? SB_OK : store_chunk(s, chunk, &inserted, &updated, &error);
        pthread_mutex_lock(&s->lock);
        if (status != SB_OK) {
            s->status = status;
            s->error = error;
        } else if (!is_off) {
            s->lines = chunk->last_line;
        }
        s->inserted += inserted;
        s->updated += updated;
        s->work = NULL;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Waits for the chunk before, then hands this one over; NULL only waits. */
static enum sb_status hand_over(struct storer *s, struct chunk *chunk, struct sb_error *error)
{
    pthread_mutex_lock(&s->lock);
    while (s->work)
        pthread_cond_wait(&s->changed, &s->lock);
    enum sb_status status = s->status;
    if (status == SB_OK)
        s->work = chunk;
    else if (error)
        *error = s->error;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static void end_storer(struct storer *s)
{
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

/* ---- chunks ---- */

static void chunk_reset(struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        sb_sentence_clear(&chunk->sentences[i]);
        cJSON_Delete(chunk->json[i]);
    }
    chunk->count = 0;
    sb_buffer_reset(&chunk->texts.bytes);
    chunk->texts.count = 0;
}

static void chunk_free(struct chunk *chunk)
{
    if (!chunk)
        return;
    chunk_reset(chunk);
    sb_text_batch_free(&chunk->lines);
    sb_text_batch_free(&chunk->texts);
    free(chunk->vectors);
    free(chunk);
}

static struct chunk *chunk_new(size_t dimensions)
{
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->vectors = malloc(CHUNK * dimensions * sizeof *chunk->vectors);
    chunk->texts.ends = calloc(CHUNK, sizeof *chunk->texts.ends);
    chunk->texts.capacity = CHUNK;
    if (!chunk->vectors || !chunk->texts.ends) {
        chunk_free(chunk);
        return NULL;
    }
    return chunk;
}

static enum sb_status add_line(struct chunk *chunk, struct sb_text line, size_t number, struct sb_error *error)
{
    struct sb_parse parse = {0};
    char name[40];
    snprintf(name, sizeof name, "line %zu", number);
    if (strspn(line.text, " \t\r") >= line.size) /* the batch's bytes end with a NUL */
        return SB_OK;
    enum sb_status status = sb_json_parse(&chunk->json[chunk->count], line.text, line.size, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "%s", name);
    struct sb_sentence *sentence = &chunk->sentences[chunk->count];
    if (!sb_parse_sentence(&parse, chunk->json[chunk->count], name, sentence)) {
        cJSON_Delete(chunk->json[chunk->count]);
        return sb_fail(error, SB_INVALID, "%s", parse.error.message);
    }
    sb_buffer_bytes(&chunk->texts.bytes, sentence->text, sentence->text_size);
    chunk->texts.ends[chunk->count++] = chunk->texts.bytes.length;
    return chunk->texts.bytes.failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the texts") : SB_OK;
}

/* Reads and embeds the next lines. A bad line ends the chunk before it, with the failure; *at_end: that was all. */
static enum sb_status fill(struct chunk *chunk, struct sb_texts *input, struct sb_embedder *embedder, bool *at_end,
                           struct sb_error *error)
{
    chunk_reset(chunk);
    enum sb_status status = sb_texts_read(input, &chunk->lines, CHUNK, error);
    *at_end = status == SB_OK && chunk->lines.count == 0;
    chunk->texts.first = chunk->lines.first;
    chunk->last_line = chunk->lines.first;
    for (size_t i = 0; i < chunk->lines.count && status == SB_OK; i++) {
        status = add_line(chunk, sb_text_at(&chunk->lines, i), chunk->lines.first + i + 1, error);
        chunk->last_line += status == SB_OK;
    }
    chunk->texts.count = chunk->count;
    struct sb_error embed_error;
    enum sb_status embedded = sb_embedder_run(embedder, input, &chunk->texts, chunk->vectors, &embed_error);
    if (embedded == SB_OK)
        return status;
    *error = embed_error;
    chunk_reset(chunk);
    return embedded;
}

static enum sb_status import_all(struct storer *storer, struct chunk *chunks[2], struct sb_texts *input,
                                 struct sb_embedder *embedder, struct sb_progress *progress, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    bool at_end = false;
    for (size_t i = 0; status == SB_OK && !at_end; i++) {
        struct chunk *chunk = chunks[i % 2];
        struct sb_error store_error;
        status = fill(chunk, input, embedder, &at_end, error);
        enum sb_status stored = hand_over(storer, chunk, &store_error);
        if (stored != SB_OK) {
            *error = store_error;
            status = stored;
        }
        sb_progress_update(progress, chunk->last_line);
    }
    sb_progress_end(progress);
    struct sb_error store_error;
    enum sb_status stored = hand_over(storer, NULL, &store_error);
    if (stored != SB_OK)
        *error = store_error;
    return stored != SB_OK ? stored : status;
}

/* ---- the command ---- */

static enum sb_status create(const struct settings *s, struct sb_store *store, const struct sb_model *model,
                             struct sb_error *error)
{
    struct sb_collection_info info;
    if (sb_store_describe(store, s->collection.collection, &info, error) == SB_OK) {
        if (strcmp(info.model_hash, sb_model_hash(model)) == 0)
            return SB_OK;
        return sb_fail(error, SB_CONFLICT, "collection \"%s\" was made by model \"%s\", %.16s; this one is %.16s",
                       info.name, info.model_name, info.model_hash, sb_model_hash(model));
    }
    info = (struct sb_collection_info){.dimensions = sb_model_dimensions(model)};
    if (strlen(s->collection.collection) >= sizeof info.name)
        return sb_fail(error, SB_INVALID, "the collection's name is longer than %d bytes", SB_COLLECTION_NAME_MAX);
    snprintf(info.name, sizeof info.name, "%s", s->collection.collection);
    snprintf(info.model_name, sizeof info.model_name, "%s", sb_model_name(model));
    snprintf(info.model_hash, sizeof info.model_hash, "%s", sb_model_hash(model));
    (void)sb_vectors_parse(s->vectors, &info.vectors); /* one of the choices */
    return sb_store_create(store, &info, NULL, error);
}

static enum sb_status print(const struct settings *s, const struct storer *storer, struct sb_error *error)
{
    struct sb_buffer out = {0};
    if (s->json)
        sb_buffer_format(&out, "{\"lines\":%zu,\"inserted\":%zu,\"updated\":%zu}\n", storer->lines, storer->inserted,
                         storer->updated);
    else
        sb_buffer_format(&out, "%zu lines: %zu inserted, %zu updated\n", storer->lines, storer->inserted,
                         storer->updated);
    enum sb_status status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    return status;
}

static enum sb_status import_into(const struct settings *s, struct sb_store *store, struct sb_model *model,
                                  struct sb_texts *input, struct sb_error *error)
{
    size_t d = (size_t)sb_model_dimensions(model);
    struct storer storer = {.store = store,
                            .collection = s->collection.collection,
                            .model = model,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct chunk *chunks[2] = {chunk_new(d), chunk_new(d)};
    struct sb_embedder embedder = {0};
    struct sb_progress progress = sb_progress_begin(s->progress, s->json, "lines");
    enum sb_status status = sb_workers_new(&embedder.workers, model, sb_model_choice_threads(&s->model), error);
    if (status == SB_OK && (!chunks[0] || !chunks[1] || pthread_create(&storer.thread, NULL, run_storer, &storer) != 0))
        status = sb_fail(error, SB_NO_MEMORY, "no memory to import");
    else if (status == SB_OK) {
        status = import_all(&storer, chunks, input, &embedder, &progress, error);
        end_storer(&storer);
        if (status != SB_OK)
            status = sb_fail_context(error, status, "%zu lines are stored, and then", storer.lines);
    }
    if (status == SB_OK)
        status = print(s, &storer, error);
    chunk_free(chunks[0]);
    chunk_free(chunks[1]);
    sb_workers_free(embedder.workers);
    sb_embedder_free(&embedder);
    return status;
}

static enum sb_status run(const struct settings *s, const char *file, struct sb_error *error)
{
    struct sb_texts *input = NULL;
    struct sb_store *store = NULL;
    struct sb_model *model = NULL;
    enum sb_status status = sb_texts_open(&input, NULL, 0, file, error);
    if (status == SB_OK)
        status = sb_collection_choice_open(&store, &s->collection, error);
    if (status == SB_OK)
        status = sb_model_choice_open(&model, &s->model, error);
    if (status == SB_OK)
        status = create(s, store, model, error);
    if (status == SB_OK)
        status = import_into(s, store, model, input, error);
    sb_store_close(store);
    sb_model_release(model);
    sb_texts_close(input);
    return status;
}

int sb_command_import(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert import --collection NAME [OPTION]... [FILE]\n"
        "\n"
        "Reads sentences from FILE, or standard input, a JSON object a line: {\"id\", \"text\", \"metadata\"}, and\n"
        "stores them with their vectors. A sentence whose id exists replaces it; a missing collection is made.\n"
        "What is stored is on disk; a bad line ends the import behind the lines before it, and is named.\n";
    static const char examples[] = "  simbert import --collection faq faq.ndjson\n"
                                   "  zcat big.ndjson.gz | simbert import --collection big --vectors int8\n";
    struct settings s = {.collection = sb_collection_choice_defaults(), .vectors = "f32", .progress = "auto"};
    const struct sb_option options[] = {
        {.name = "vectors", .type = SB_OPTION_CHOICE, .value = &s.vectors, .choices = "f32, f16, int16, int8",
         .argument = "FORM", .help = "how a new collection keeps its vectors"},
        {.name = "json", .type = SB_OPTION_FLAG, .value = &s.json, .help = "print the result as JSON"},
        {.name = "progress", .type = SB_OPTION_CHOICE, .value = &s.progress, .choices = SB_PROGRESS_CHOICES,
         .argument = "WHEN", .help = SB_PROGRESS_HELP},
        {0},
    };
    struct sb_option collection_options[SB_COLLECTION_OPTIONS], model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {
        {"Collection", collection_options}, {"Options", options}, {"Model", model_options}, {0}};
    int count, exit;
    sb_collection_options_table(collection_options, &s.collection);
    sb_model_options_table(model_options, &s.model);
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count > 1) {
        sb_fail(error, SB_INVALID, "it takes one file, not \"%s\" too", argv[1]);
        return SB_EXIT_USAGE;
    }
    return sb_exit(run(&s, count ? argv[0] : NULL, error));
}
