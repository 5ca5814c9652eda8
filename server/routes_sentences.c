/*
 * The sentences of a collection one by one and in bulk: get, scroll, count, delete. All on background threads.
 */
#include "server/collection_request.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum { SCROLL_DEFAULT = 100, SCROLL_MAX = 1000 };

/* ---- get ---- */

static void get(struct sb_request *request)
{
    struct sb_sentences found = {0};
    struct sb_error error;
    enum sb_status status =
        sb_store_get(request->server->store, request->params[0], request->params[1], &found, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"sentence\",");
    sb_put_sentence(&request->reply.body, &found.items[0]);
    sb_buffer_text(&request->reply.body, "}");
    sb_sentences_free(&found);
    sb_request_send(request, 200);
}

void sb_handle_sentence_get(struct sb_request *request)
{
    sb_request_later(request, get);
}

/* ---- scroll ---- */

/* A page on its way into the reply. */
struct page {
    struct sb_buffer *body;
    const struct sb_filter *filter; /* NULL: all */
    size_t limit, count;
    bool has_more;
    char first_id[SB_SENTENCE_ID_MAX + 1], last_id[SB_SENTENCE_ID_MAX + 1]; /* of what is in the reply; "": nothing */
    char seen_id[SB_SENTENCE_ID_MAX + 1];                                   /* of what was looked at last */
};

/* Puts those that the filter keeps into the reply, until one is left over. */
static void fill_page(struct page *page, const struct sb_sentences *found)
{
    for (size_t i = 0; i < found->count && !page->has_more; i++) {
        const struct sb_sentence *sentence = &found->items[i];
        strcpy(page->seen_id, sentence->id); /* as long as ids may be */
        if (page->filter && !sb_filter_keeps(page->filter, sentence->metadata, strlen(sentence->metadata)))
            continue;
        page->has_more = page->count == page->limit;
        if (page->has_more)
            break;
        sb_buffer_text(page->body, page->count ? ",{\"object\":\"sentence\"," : "{\"object\":\"sentence\",");
        sb_put_sentence(page->body, sentence);
        sb_buffer_text(page->body, "}");
        strcpy(page->last_id, sentence->id);
        if (page->count++ == 0)
            strcpy(page->first_id, sentence->id);
    }
}

static void put_id(struct sb_buffer *body, const char *id)
{
    if (id[0])
        sb_put_text(body, id);
    else
        sb_buffer_text(body, "null");
}

/* A filter may keep nothing for long: then pages of the largest size are looked at. */
static enum sb_status read_page(struct sb_request *request, struct page *page, const char *after,
                                struct sb_error *error)
{
    size_t ask = page->filter ? SCROLL_MAX : page->limit + 1, got = ask;
    enum sb_status status = SB_OK;
    sb_buffer_text(page->body, "{\"object\":\"list\",\"data\":[");
    while (status == SB_OK && got == ask && !page->has_more) {
        struct sb_sentences found = {0};
        status = sb_store_scroll(request->server->store, request->params[0], after, ask, &found, error);
        got = found.count;
        fill_page(page, &found);
        sb_sentences_free(&found);
        after = page->seen_id;
        if (status == SB_OK && atomic_load(&request->cancelled))
            status = sb_fail(error, SB_CANCELLED, "the request was cancelled");
    }
    sb_buffer_text(page->body, "],\"first_id\":");
    put_id(page->body, page->first_id);
    sb_buffer_text(page->body, ",\"last_id\":");
    put_id(page->body, page->last_id);
    sb_buffer_format(page->body, ",\"has_more\":%s}", page->has_more ? "true" : "false");
    return status;
}

static void scroll(struct sb_request *request)
{
    struct sb_error error;
    struct sb_filter *filter = NULL;
    const char *after;
    int64_t limit = SCROLL_DEFAULT;
    enum sb_status status = sb_request_query(request, "after", &after, &error);
    if (status == SB_OK)
        status = sb_request_query_int(request, "limit", 1, SCROLL_MAX, &limit, &error);
    if (status == SB_OK)
        status = sb_request_query_filter(request, &filter, &error);
    if (status == SB_OK) {
        struct page page = {.body = &request->reply.body, .filter = filter, .limit = (size_t)limit};
        status = read_page(request, &page, after, &error);
    }
    sb_filter_free(filter);
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    else
        sb_request_send(request, 200);
}

void sb_handle_sentences_scroll(struct sb_request *request)
{
    sb_request_later(request, scroll);
}

/* ---- what a filter keeps ---- */

/* The sentences that a request names, by their ids or by a filter. */
struct selection {
    struct sb_request *request;
    struct sb_filter *filter; /* NULL: ids */
    const char **ids;         /* [count], borrowed from the JSON, or owned when a filter found them */
    size_t count, capacity;
    bool owns_ids, wants_ids, no_memory;
};

static void selection_free(void *state)
{
    struct selection *s = state;
    for (size_t i = 0; i < s->count && s->owns_ids; i++)
        free((char *)(uintptr_t)s->ids[i]);
    free(s->ids);
    sb_filter_free(s->filter);
    free(s);
}

static bool add_id(struct selection *s, const char *id)
{
    if (s->count == s->capacity) {
        size_t capacity = 2 * s->capacity + 64;
        const char **ids = realloc(s->ids, capacity * sizeof *ids);
        if (!ids)
            return false;
        s->ids = ids;
        s->capacity = capacity;
    }
    s->ids[s->count] = s->owns_ids ? strdup(id) : id;
    return s->ids[s->count] && ++s->count;
}

static bool select_one(void *context, const struct sb_sentence *sentence, size_t dimensions)
{
    (void)dimensions;
    struct selection *s = context;
    const char *metadata = sentence->metadata ? sentence->metadata : "{}";
    if (!sb_filter_keeps(s->filter, metadata, strlen(metadata)))
        return !atomic_load(&s->request->cancelled);
    if (!s->wants_ids)
        s->count++;
    else if (!add_id(s, sentence->id))
        s->no_memory = true;
    return !s->no_memory && !atomic_load(&s->request->cancelled);
}

/* Counts what the filter keeps, or takes its ids. */
static enum sb_status apply_filter(struct selection *s, struct sb_error *error)
{
    struct sb_request *request = s->request;
    enum sb_status status = sb_store_visit(request->server->store, request->params[0], select_one, s, error);
    if (status == SB_OK && s->no_memory)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the ids of what the filter keeps");
    if (status == SB_OK && atomic_load(&request->cancelled))
        status = sb_fail(error, SB_CANCELLED, "the request was cancelled");
    return status;
}

/* ---- count ---- */

static void send_count(struct sb_request *request, size_t count)
{
    sb_buffer_format(&request->reply.body, "{\"count\":%zu}", count);
    sb_request_send(request, 200);
}

static void count_all(struct sb_request *request)
{
    struct sb_collection_info info;
    if (sb_request_collection(request, &info))
        send_count(request, (size_t)info.count);
}

static void count_kept(struct sb_request *request)
{
    struct selection *s = request->state;
    struct sb_error error;
    enum sb_status status = apply_filter(s, &error);
    size_t count = s->count;
    s->count = 0; /* there are no ids */
    if (status != SB_OK)
        sb_request_fail(request, status, NULL, &error);
    else
        send_count(request, count);
}

void sb_handle_sentences_count(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (request->body.length == 0) {
        sb_request_later(request, count_all);
        return;
    }
    if (!sb_request_json(request, &parse.object))
        return;
    struct selection *s = sb_request_state(request, sizeof *s, selection_free);
    if (!s)
        return;
    s->request = request;
    if (!sb_parse_filter(&parse, "filter", &s->filter))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, s->filter ? count_kept : count_all);
}

/* ---- delete ---- */

static bool parse_ids(struct sb_parse *parse, struct selection *s)
{
    const cJSON *list = sb_parse_field(parse, "ids");
    if (!sb_parse_filter(parse, "filter", &s->filter))
        return false;
    if (list && s->filter)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "ids and filter: one of them is expected");
    s->owns_ids = s->wants_ids = s->filter != NULL;
    if (s->filter)
        return true;
    parse->param = "ids";
    if (!list || !cJSON_IsArray(list) || !list->child)
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "ids must be a list of one or more ids, or filter a filter");
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return sb_parse_fail(parse, SB_PROBLEM_INVALID, "ids: element %zu is not a text", s->count);
        if (!add_id(s, item->valuestring))
            return sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for the ids");
    }
    return true;
}

static void delete_selected(struct sb_request *request)
{
    struct selection *s = request->state;
    struct sb_error error;
    size_t deleted = 0;
    enum sb_status status = s->filter ? apply_filter(s, &error) : SB_OK;
    if (status == SB_OK)
        status = sb_store_delete(request->server->store, request->params[0], s->ids, s->count, &deleted, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_format(&request->reply.body, "{\"deleted\":%zu}", deleted);
    sb_request_send(request, 200);
}

void sb_handle_sentences_delete(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct selection *s = sb_request_state(request, sizeof *s, selection_free);
    if (!s)
        return;
    s->request = request;
    if (!parse_ids(&parse, s))
        sb_request_parse_failed(request, &parse);
    else
        sb_request_later(request, delete_selected);
}

static void delete_one(struct sb_request *request)
{
    struct sb_error error;
    const char *id = request->params[1];
    size_t deleted = 0;
    enum sb_status status = sb_store_delete(request->server->store, request->params[0], &id, 1, &deleted, &error);
    if (status == SB_OK && deleted == 0)
        status = sb_fail(&error, SB_NOT_FOUND, "collection \"%s\" has no sentence \"%.200s\"", request->params[0], id);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_buffer_text(&request->reply.body, "{\"object\":\"sentence\",\"id\":");
    sb_put_text(&request->reply.body, id);
    sb_buffer_text(&request->reply.body, ",\"deleted\":true}");
    sb_request_send(request, 200);
}

void sb_handle_sentence_delete(struct sb_request *request)
{
    sb_request_later(request, delete_one);
}
