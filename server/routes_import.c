/*
 * Import: sentences as lines of JSON (NDJSON), read while they arrive, embedded and stored batch by batch. Memory holds
 * a few batches, however long the body is.
 *
 *     HTTP          one piece of the body at a time; the connection waits until its lines are in batches
 *     parse         background: lines -> batches -> token rows -> the scheduler; waits while all batches are busy
 *     scheduler     vectors of several batches at once
 *     store         background: batches in the order of their lines, a transaction each
 *
 * So what is stored is always a prefix of the lines, and the reply says how long it is, also when a line is wrong, the
 * disk is full, or the server stops.
 *
 * Lives: a batch that is on its way holds a reference to the request, so that the import outlives a client that goes
 * away in the middle; its jobs are cancelled then.
 */
#include "base/cpu.h"
#include "server/collection_request.h"
#include "server/http.h"
#include "server/id_set.h"
#include "server/routes.h"
#include "server/server_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 256,       /* at most SB_ID_SET_MAX */
    SPARE_BATCHES = 3, /* more than compute: one being filled, one being stored, one waiting */
    IMPORTS_MAX = 4,
};

struct import;

struct batch {
    struct import *import;
    struct sb_job job;
    struct sb_sentence sentences[BATCH];
    cJSON *lines[BATCH]; /* what the sentences borrow from */
    struct sb_id_set ids;
    size_t count, last_line;
    struct sb_inputs inputs;
    struct sb_rows rows;
    bool is_embedded;      /* or failed: it can be stored, or passed over */
    enum sb_status status; /* why it can not be embedded, or how that went */
    struct sb_error error;
    struct batch *next; /* in the order of the lines, or free */
};

struct import {
    struct sb_request *request;
    struct sb_model *model;
    struct sb_background_job parse_job, store_job;

    /* Of the parsing step, which runs on one thread at a time. */
    struct sb_buffer text; /* what is not parsed yet, from `at` on */
    size_t at, line;
    bool is_last_piece;
    struct batch *filling;
    cJSON *held;                /* a line that waits for a batch */
    enum sb_status line_status; /* a line is wrong: those before it are stored all the same */
    enum sb_problem line_problem;
    struct sb_error line_error;

    pthread_mutex_t lock; /* guards what follows */
    struct batch *free_batches, *first, **last;
    size_t in_flight;
    bool is_blocked; /* the parsing step waits for a batch */
    bool is_ending;  /* nothing more is parsed: the last batch answers */
    bool is_storing;
    enum sb_status status; /* of embedding and storing: nothing is stored behind a failure */
    struct sb_error error;
    size_t stored_lines, inserted, updated, tokens;
};

static void parse(struct sb_background_job *job);
static void store(struct sb_background_job *job);

/* ---- lives ---- */

static void batch_reset(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        sb_sentence_clear(&b->sentences[i]);
        cJSON_Delete(b->lines[i]);
    }
    b->ids = (struct sb_id_set){0};
    b->count = 0;
    b->inputs.count = 0;
    sb_rows_free(&b->rows);
    sb_task_free(b->job.task);
    b->job.task = NULL;
    b->is_embedded = false;
    b->status = SB_OK;
}

static void batch_free(struct batch *b)
{
    if (!b)
        return;
    batch_reset(b);
    sb_inputs_free(&b->inputs);
    free(b);
}

static void import_free(void *state)
{
    struct import *m = state;
    while (m->free_batches) {
        struct batch *next = m->free_batches->next;
        batch_free(m->free_batches);
        m->free_batches = next;
    }
    batch_free(m->filling);
    cJSON_Delete(m->held);
    sb_buffer_free(&m->text);
    sb_model_release(m->model);
    atomic_fetch_sub(&m->request->server->imports, 1);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* NULL: the request has been answered. */
static struct import *import_new(struct sb_request *request)
{
    if (atomic_fetch_add(&request->server->imports, 1) >= IMPORTS_MAX) {
        atomic_fetch_sub(&request->server->imports, 1);
        sb_request_problem(request, SB_PROBLEM_OVERLOADED, NULL, "too many imports run; try again later");
        return NULL;
    }
    struct import *m = calloc(1, sizeof *m);
    size_t batches = (size_t)request->server->options.threads + SPARE_BATCHES;
    for (size_t i = 0; m && i < batches; i++) {
        struct batch *b = calloc(1, sizeof *b);
        if (!b)
            break;
        b->import = m;
        b->next = m->free_batches;
        m->free_batches = b;
    }
    if (!m || !m->free_batches) {
        free(m);
        atomic_fetch_sub(&request->server->imports, 1);
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for the import");
        return NULL;
    }
    m->request = request;
    m->parse_job.run = parse;
    m->store_job.run = store;
    m->last = &m->first;
    pthread_mutex_init(&m->lock, NULL);
    request->state = m;
    request->free_state = import_free;
    return m;
}

/* ---- ends ---- */

/* Of the parsing step: the line that was read last can not be taken. */
static void fail_line(struct import *m, enum sb_status status, enum sb_problem problem, const struct sb_error *error)
{
    m->line_status = status;
    m->line_problem = problem;
    m->line_error = *error;
}

static bool has_failed(struct import *m)
{
    pthread_mutex_lock(&m->lock);
    bool failed = m->status != SB_OK;
    pthread_mutex_unlock(&m->lock);
    return failed || m->line_status != SB_OK;
}

static void put_figures(struct sb_buffer *body, const struct import *m)
{
    sb_buffer_format(body, ",\"lines\":%zu,\"inserted\":%zu,\"updated\":%zu,", m->stored_lines, m->inserted,
                     m->updated);
    sb_put_usage(body, m->tokens);
    sb_buffer_text(body, "}");
}

/* An error with what was stored all the same beside it: {"error":{…},"lines":…}. */
static void answer_failure(struct import *m)
{
    struct sb_request *request = m->request;
    struct sb_reply *reply = &request->reply;
    struct sb_error error;
    bool is_line = m->status == SB_OK;
    enum sb_problem problem = is_line ? m->line_problem : sb_problem_of(m->status);
    sb_fail(&error, SB_INVALID, "%.400s (%zu lines are stored)", is_line ? m->line_error.message : m->error.message,
            m->stored_lines);
    sb_error_body(&reply->body, request->style, problem, NULL, error.message);
    if (reply->body.length > 0)
        reply->body.length--; /* the closing brace */
    put_figures(&reply->body, m);
    sb_metrics_failure(request->server->metrics, problem);
    sb_request_send(request, sb_problem_http_status(problem, request->style));
}

/* When nothing is parsed any more and no batch is on its way. */
static void answer(struct import *m)
{
    if (m->status != SB_OK || m->line_status != SB_OK) {
        answer_failure(m);
        return;
    }
    sb_buffer_text(&m->request->reply.body, "{\"object\":\"import\"");
    m->stored_lines = m->line; /* empty lines at the end count */
    put_figures(&m->request->reply.body, m);
    sb_request_send(m->request, 200);
}

/* ---- storing ---- */

static enum sb_status upsert_batch(struct import *m, struct batch *b, size_t *inserted, size_t *updated,
                                   struct sb_error *error)
{
    struct sb_embedding vectors = {.model = m->model,
                                   .dimensions = (size_t)sb_model_dimensions(m->model),
                                   .vectors = (float *)(uintptr_t)sb_embed_task_vectors(b->job.task),
                                   .rows.count = b->count};
    sb_embedding_normalize(&vectors);
    for (size_t i = 0; i < b->count; i++)
        b->sentences[i].vector = vectors.vectors + i * vectors.dimensions;
    return sb_store_upsert(m->request->server->store, m->request->params[0], sb_model_hash(m->model), b->sentences,
                           b->count, inserted, updated, error);
}

/* Stores the batch unless one before it has failed. */
static void store_batch(struct import *m, struct batch *b)
{
    size_t inserted = 0, updated = 0;
    pthread_mutex_lock(&m->lock);
    bool is_off = m->status != SB_OK;
    pthread_mutex_unlock(&m->lock);
    if (is_off)
        return;
    if (b->status == SB_OK)
        b->status = upsert_batch(m, b, &inserted, &updated, &b->error);
    pthread_mutex_lock(&m->lock);
    m->status = b->status;
    if (b->status == SB_OK) {
        m->stored_lines = b->last_line;
        m->inserted += inserted;
        m->updated += updated;
        m->tokens += b->rows.tokens;
    } else {
        m->error = b->error;
    }
    pthread_mutex_unlock(&m->lock);
}

/* With the lock held. */
static bool first_is_ready(const struct import *m)
{
    return m->first && m->first->is_embedded;
}

/* Stores the first batch, which is ready. */
static void store(struct sb_background_job *job)
{
    struct import *m = (struct import *)((char *)job - offsetof(struct import, store_job));
    struct sb_request *request = m->request;
    pthread_mutex_lock(&m->lock);
    struct batch *b = m->first;
    pthread_mutex_unlock(&m->lock);
    store_batch(m, b);
    pthread_mutex_lock(&m->lock);
    m->first = b->next;
    if (!m->first)
        m->last = &m->first;
    batch_reset(b);
    b->next = m->free_batches;
    m->free_batches = b;
    m->in_flight--;
    m->is_storing = first_is_ready(m);
    bool store_next = m->is_storing, parse_on = m->is_blocked, ends = m->is_ending && m->in_flight == 0;
    m->is_blocked = false;
    pthread_mutex_unlock(&m->lock);
    if (store_next)
        sb_background_push(request->server->background, &m->store_job);
    if (parse_on)
        sb_background_push(request->server->background, &m->parse_job);
    if (ends)
        answer(m);
    sb_http_release(request); /* the batch's */
}

static void batch_embedded(struct sb_job *job, void *context)
{
    struct batch *b = context;
    struct import *m = b->import;
    if (b->status == SB_OK) {
        b->status = job->task->status;
        b->error = job->task->error;
    }
    pthread_mutex_lock(&m->lock);
    b->is_embedded = true;
    bool begin = !m->is_storing && first_is_ready(m);
    m->is_storing = m->is_storing || begin;
    if (begin)
        sb_background_push(m->request->server->background, &m->store_job);
    pthread_mutex_unlock(&m->lock);
}

/* ---- batches ---- */

static struct batch *take_free(struct import *m)
{
    pthread_mutex_lock(&m->lock);
    struct batch *b = m->free_batches;
    m->is_blocked = !b;
    if (b)
        m->free_batches = b->next;
    pthread_mutex_unlock(&m->lock);
    return b;
}

/* Gives the batch that is being filled to the scheduler. */
static void submit(struct import *m)
{
    struct batch *b = m->filling;
    struct sb_request *request = m->request;
    m->filling = NULL;
    enum sb_status status =
        sb_rows_encode(&b->rows, m->model, &b->inputs, &(struct sb_encode_options){.truncate = true}, &b->error);
    b->job = (struct sb_job){.model = m->model,
                             .deadline_ns = request->deadline_ns,
                             .cancelled = &request->cancelled,
                             .done = batch_embedded,
                             .context = b};
    if (status == SB_OK)
        status = sb_embed_task_new(&b->job.task, m->model, b->rows.items, b->rows.count, &b->error);
    sb_http_retain(request);
    pthread_mutex_lock(&m->lock);
    b->next = NULL;
    *m->last = b;
    m->last = &b->next;
    b->job.continues = m->in_flight++ > 0 || m->stored_lines > 0; /* only the first can be refused */
    pthread_mutex_unlock(&m->lock);
    if (status == SB_OK)
        status = sb_scheduler_submit(request->server->scheduler, &b->job, &b->error);
    if (status == SB_OK)
        return;
    b->status = status; /* told when those before it are stored */
    batch_embedded(&b->job, b);
}

/* Puts the held line into a batch. False: all batches are busy; parsing goes on when one is free. */
static bool place_held(struct import *m)
{
    struct sb_parse parse_state = {0};
    struct sb_sentence sentence;
    char name[40];
    snprintf(name, sizeof name, "line %zu", m->line);
    if (!sb_parse_sentence(&parse_state, m->held, name, &sentence)) {
        fail_line(m, SB_INVALID, parse_state.problem, &parse_state.error);
        return true;
    }
    /* An id that the batch has already begins the next one: the later line replaces the earlier. */
    if (m->filling && sb_id_set_has(&m->filling->ids, sentence.id))
        submit(m);
    if (!m->filling && !(m->filling = take_free(m))) {
        sb_sentence_clear(&sentence);
        return false;
    }
    struct batch *b = m->filling;
    if (!sb_inputs_add_text(&parse_state, &b->inputs, sentence.text)) {
        sb_sentence_clear(&sentence);
        fail_line(m, SB_NO_MEMORY, parse_state.problem, &parse_state.error);
        return true;
    }
    b->sentences[b->count] = sentence;
    b->lines[b->count++] = m->held;
    (void)sb_id_set_add(&b->ids, sentence.id);
    b->last_line = m->line;
    m->held = NULL;
    if (b->count == BATCH)
        submit(m);
    return true;
}

/* ---- lines ---- */

/* Takes the next line that is complete. False: there is none. */
static bool take_line(struct import *m, const char **line, size_t *size)
{
    size_t left = m->text.length - m->at;
    if (left == 0)
        return false;
    const char *from = m->text.data + m->at, *end = memchr(from, '\n', left);
    if (!end && !m->is_last_piece)
        return false;
    *line = from;
    *size = end ? (size_t)(end - from) : left;
    m->at += *size + (end != NULL);
    m->line++;
    return true;
}

static bool is_blank(const char *line, size_t size)
{
    size_t i = 0;
    while (i < size && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    return i == size;
}

/* Reads the next line that is not empty into `held`. False: there is none, or it is wrong. */
static bool hold_line(struct import *m)
{
    const char *line;
    size_t size;
    struct sb_error error;
    while (take_line(m, &line, &size)) {
        if (is_blank(line, size))
            continue;
        enum sb_status status = sb_json_parse(&m->held, line, size, &error);
        if (status == SB_OK)
            return true;
        sb_fail_context(&error, status, "line %zu", m->line);
        fail_line(m, status, sb_problem_of(status), &error);
        return false;
    }
    return false;
}

/* Drops what has been parsed, and looks at what a line may be. */
static void trim_text(struct import *m)
{
    size_t most = m->request->server->options.max_body_bytes;
    struct sb_error error;
    if (m->at > 0)
        memmove(m->text.data, m->text.data + m->at, m->text.length - m->at);
    m->text.length -= m->at;
    m->at = 0;
    if (m->text.length <= most || has_failed(m))
        return;
    sb_fail(&error, SB_LIMIT, "line %zu has more than %zu bytes, the most that this server takes", m->line + 1, most);
    fail_line(m, SB_LIMIT, SB_PROBLEM_TOO_LARGE, &error);
}

/* ---- the parsing step ---- */

/* False: the request has been answered, and with it the import may be gone. */
static bool begin(struct import *m)
{
    if (!m->model) {
        struct sb_model *model = sb_collection_model(m->request);
        if (!model)
            return false;
        m->model = model;
    }
    if (!m->text.failed && !m->request->body.failed)
        return true;
    sb_request_problem(m->request, SB_PROBLEM_STOPPING, NULL, "no memory for the import");
    return false;
}

/* The piece is in batches: on to the next one, or to the end. */
static void settle(struct import *m)
{
    bool failed = has_failed(m);
    if (m->filling && m->filling->count > 0 && (failed || m->is_last_piece))
        submit(m);
    pthread_mutex_lock(&m->lock);
    m->is_ending = failed || m->status != SB_OK || m->is_last_piece;
    bool ends = m->is_ending && m->in_flight == 0, goes_on = !m->is_ending;
    pthread_mutex_unlock(&m->lock);
    if (ends)
        answer(m);
    else if (goes_on)
        sb_request_next_piece(m->request);
}

static void parse(struct sb_background_job *job)
{
    struct import *m = (struct import *)((char *)job - offsetof(struct import, parse_job));
    if (!begin(m))
        return;
    while (!has_failed(m) && (m->held || hold_line(m)))
        if (!place_held(m))
            return;
    trim_text(m);
    settle(m);
}

static void take(struct sb_request *request, bool is_last)
{
    struct import *m = request->state ? request->state : import_new(request);
    if (!m)
        return;
    sb_buffer_bytes(&m->text, request->body.data, request->body.length);
    sb_buffer_reset(&request->body);
    m->is_last_piece = is_last;
    if (request->stopping && m->line_status == SB_OK) {
        struct sb_error error;
        enum sb_status status = sb_fail(&error, SB_CANCELLED, "the server is stopping");
        fail_line(m, status, SB_PROBLEM_STOPPING, &error);
    }
    sb_background_push(request->server->background, &m->parse_job);
}

void sb_handle_import_piece(struct sb_request *request)
{
    take(request, false);
}

void sb_handle_import(struct sb_request *request)
{
    take(request, true);
}
