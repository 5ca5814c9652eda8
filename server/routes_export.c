/*
 * Export: all sentences of a collection, or those that a filter keeps, as lines of JSON, a page at a time as the client
 * reads. What is inserted meanwhile may be in it; what was there from its beginning to its end is in it once.
 */
#include "server/collection_request.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/stream.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 500 };

struct export
{
    struct sb_request *request;
    struct sb_stream *stream;
    struct sb_background_job job;
    struct sb_filter *filter;
    bool with_vectors;
    struct sb_sentences last; /* the page before, by whose ids the next one is found */
    bool is_last;             /* there is no page behind it */
    struct sb_buffer lines;
};

static void export_free(void *state)
{
    struct export *e = state;
    sb_filter_free(e->filter);
    sb_sentences_free(&e->last);
    sb_buffer_free(&e->lines);
    free(e);
}

/* The page behind the last one, of which sentences may have been deleted: what follows the last that is left. */
static enum sb_status read_page(struct export *e, struct sb_sentences *page, struct sb_error *error)
{
    struct sb_store *store = e->request->server->store;
    const char *collection = e->request->params[0];
    if (e->last.count == 0)
        return sb_store_scroll(store, collection, NULL, PAGE, page, error);
    enum sb_status status = SB_NOT_FOUND;
    for (size_t i = e->last.count; i-- > 0 && status == SB_NOT_FOUND;)
        status = sb_store_scroll(store, collection, e->last.items[i].id, PAGE, page, error);
    return status;
}

static void put_vector(struct export *e, const char *id)
{
    struct sb_sentences found;
    struct sb_collection_info info;
    struct sb_store *store = e->request->server->store;
    if (sb_store_describe(store, e->request->params[0], &info, NULL) != SB_OK ||
        sb_get_vector(e->request, id, (size_t)info.dimensions, &found, NULL) != SB_OK)
        return; /* deleted since the page was read, or the model has just changed */
    sb_buffer_text(&e->lines, ",\"vector\":");
    sb_put_vector(&e->lines, found.items[0].vector, (size_t)info.dimensions);
    sb_sentences_free(&found);
}

static void put_lines(struct export *e, const struct sb_sentences *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct sb_sentence *sentence = &page->items[i];
        if (e->filter && !sb_filter_keeps(e->filter, sentence->metadata, strlen(sentence->metadata)))
            continue;
        sb_buffer_text(&e->lines, "{");
        sb_put_sentence(&e->lines, sentence);
        if (e->with_vectors)
            put_vector(e, sentence->id);
        sb_buffer_text(&e->lines, "}\n");
    }
}

/* Reads pages until there are lines to send: a filter may keep few. */
static enum sb_status fill(struct export *e, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    while (status == SB_OK && !e->is_last && e->lines.length == 0 && !atomic_load(&e->request->cancelled)) {
        struct sb_sentences page = {0};
        status = read_page(e, &page, error);
        if (status != SB_OK)
            break;
        put_lines(e, &page);
        e->is_last = page.count < PAGE;
        sb_sentences_free(&e->last);
        e->last = page;
    }
    return e->lines.failed ? sb_fail(error, SB_NO_MEMORY, "no memory for the export") : status;
}

static void write_page(struct sb_background_job *job)
{
    struct export *e = (struct export *)((char *)job - offsetof(struct export, job));
    struct sb_error error;
    enum sb_status status = fill(e, &error);
    bool is_cut = status != SB_OK || atomic_load(&e->request->server->stopping);
    if (is_cut) {
        sb_stream_cut(e->stream);
    } else if (e->lines.length == 0) {
        sb_stream_end(e->stream);
    } else {
        struct sb_buffer lines = e->lines; /* e may be gone as soon as the stream is written to */
        e->lines = (struct sb_buffer){0};
        if (!sb_stream_write(e->stream, lines.data, lines.length))
            sb_stream_end(e->stream);
        sb_buffer_free(&lines);
    }
}

static void pull(void *context)
{
    struct export *e = context;
    sb_background_push(e->request->server->background, &e->job);
}

/* The first page is read before the reply begins, so that errors are told as such. */
static void begin(struct sb_request *request)
{
    struct export *e = request->state;
    struct sb_error error;
    const char *vectors = NULL;
    enum sb_status status = sb_request_query_filter(request, &e->filter, &error);
    if (status == SB_OK)
        status = sb_request_query(request, "vectors", &vectors, &error);
    e->with_vectors = vectors && strcmp(vectors, "true") == 0;
    if (status == SB_OK && vectors && !e->with_vectors && strcmp(vectors, "false") != 0)
        status = sb_fail(&error, SB_INVALID, "vectors is \"%.64s\"; true and false are possible", vectors);
    if (status == SB_OK)
        status = fill(e, &error);
    if (status == SB_OK && !(e->stream = sb_stream_new(request)))
        status = sb_fail(&error, SB_NO_MEMORY, "no memory for the export");
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    else
        sb_stream_start_pulled(e->stream, "application/x-ndjson", pull, e);
}

void sb_handle_export(struct sb_request *request)
{
    struct export *e = sb_request_state(request, sizeof *e, export_free);
    if (!e)
        return;
    e->request = request;
    e->job.run = write_page;
    sb_request_later(request, begin);
}
