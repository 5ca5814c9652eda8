/*
 * Sessions: memory sized once, rows checked, the pass through the network in order.
 */
#include "model/kv_cache_impl.h"
#include "model/session_impl.h"

#include <stdlib.h>
#include <string.h>

struct sb_session_options sb_session_defaults(const struct sb_model *model)
{
    size_t longest = (size_t)sb_model_max_length(model);
    return (struct sb_session_options){.max_tokens = longest > 512 ? longest : 512, .max_rows = 128, .max_logits = 64};
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Called twice: to measure, then to carve. */
static void lay_out(struct sb_session *s)
{
    const struct sb_config *c = &s->model->config;
    struct sb_arena *a = &s->arena;
    size_t tokens = s->limits.max_tokens, rows = s->limits.max_rows, logits = s->limits.max_logits;
    size_t hidden = (size_t)c->hidden_size, embedding = (size_t)c->embedding_size,
           dimensions = (size_t)s->model->dimensions;
    const struct sb_attention_plan *plan = &s->model->attention;
    size_t positions = plan->positions, key = plan->key_width, value = plan->value_width;
    s->x = sb_arena_take(a, tokens * hidden, sizeof *s->x);
    s->y = sb_arena_take(a, tokens * hidden, sizeof *s->y);
    s->query = sb_arena_take(a, tokens * plan->query_width, sizeof *s->query);
    s->key_value = sb_arena_take(a, tokens * (key + value), sizeof *s->key_value);
    s->context = sb_arena_take(a, tokens * value, sizeof *s->context);
    s->ffn = sb_arena_take(a, SB_FFN_CHUNK * (size_t)c->intermediate_size, sizeof *s->ffn);
    if (s->model->has_embedding_map)
        s->embedding = sb_arena_take(a, tokens * embedding, sizeof *s->embedding);
    s->positions = sb_arena_take(a, tokens, sizeof *s->positions);
    s->visible = sb_arena_take(a, tokens, sizeof *s->visible);
    s->outputs = sb_arena_take(a, tokens, sizeof *s->outputs);
    s->keys = sb_arena_take(a, positions, sizeof *s->keys);
    s->values = sb_arena_take(a, positions, sizeof *s->values);
    s->attention_scratch = sb_arena_take(a, sb_attend_serve_scratch(plan), sizeof *s->attention_scratch);
    size_t widest = larger(hidden, larger(embedding, value)), chunk = (size_t)c->intermediate_size;
    s->linear_scratch =
        sb_arena_take(a, larger(sb_linear_scratch(tokens, widest), sb_linear_scratch(SB_FFN_CHUNK, chunk)), 1);
    s->places = sb_arena_take(a, rows, sizeof *s->places);
    size_t head_width = larger(larger(hidden, embedding), dimensions);
    s->head = sb_arena_take(a, larger(logits, rows) * head_width, sizeof *s->head);
    s->head2 = sb_arena_take(a, larger(logits, rows) * head_width, sizeof *s->head2);
    s->pooled = sb_arena_take(a, rows * dimensions, sizeof *s->pooled);
    s->vectors = sb_arena_take(a, rows * dimensions, sizeof *s->vectors);
    if (s->model->can_generate)
        s->logits = sb_arena_take(a, logits * (size_t)c->vocab_size, sizeof *s->logits);
}

enum sb_status sb_session_new(struct sb_session **session, struct sb_model *model,
                              const struct sb_session_options *options, struct sb_error *error)
{
    struct sb_session_options limits = options ? *options : sb_session_defaults(model);
    *session = NULL;
    if (limits.max_tokens < 1 || limits.max_tokens > 1 << 20 || limits.max_rows < 1 || limits.max_rows > 1 << 16 ||
        limits.max_logits > 1 << 16)
        return sb_fail(error, SB_INVALID,
                       "session: max_tokens %zu (1..1048576), max_rows %zu (1..65536), max_logits %zu (0..65536)",
                       limits.max_tokens, limits.max_rows, limits.max_logits);
    struct sb_session *s = calloc(1, sizeof *s);
    if (!s)
        return sb_fail(error, SB_NO_MEMORY, "session: no memory");
    s->model = model;
    s->limits = limits;
    s->arena.small_pages = true; /* a sentence needs a small part of what the longest batch does */
    lay_out(s);
    if (!sb_arena_commit(&s->arena)) {
        size_t bytes = s->arena.size;
        free(s);
        return sb_fail(error, SB_NO_MEMORY, "session: no memory for %zu bytes of activations", bytes);
    }
    lay_out(s);
    sb_model_retain(model);
    *session = s;
    return SB_OK;
}

void sb_session_free(struct sb_session *session)
{
    if (!session)
        return;
    sb_arena_free(&session->arena);
    sb_model_release(session->model);
    free(session);
}

struct sb_model *sb_session_model(const struct sb_session *session)
{
    return session->model;
}

struct sb_session_options sb_session_limits(const struct sb_session *session)
{
    return session->limits;
}

size_t sb_session_bytes(const struct sb_session *session)
{
    return session->arena.size;
}

static enum sb_status check_ids(const struct sb_config *c, const struct sb_row *row, size_t index,
                                struct sb_error *error)
{
    for (size_t i = 0; i < row->length; i++) {
        if (row->ids[i] < 0 || row->ids[i] >= c->vocab_size)
            return sb_fail(error, SB_INVALID, "row %zu: token id %d at %zu is outside the vocabulary of %d", index,
                           row->ids[i], i, c->vocab_size);
        if (row->segments && row->segments[i] >= c->type_vocab_size)
            return sb_fail(error, SB_INVALID, "row %zu: segment %d at %zu; the model has %d", index, row->segments[i],
                           i, c->type_vocab_size);
    }
    return SB_OK;
}

static enum sb_status check_step(const struct sb_config *c, const struct sb_row *row, size_t index,
                                 struct sb_error *error)
{
    const struct sb_kv_cache *cache = row->cache;
    if (!cache || row->length != 1 || row->position >= (size_t)c->max_position_embeddings ||
        cache->prefix + row->path_length + 1 > (size_t)c->max_position_embeddings)
        return sb_fail(error, SB_INVALID, "row %zu: a step has one token, a cache, and a position below %d", index,
                       c->max_position_embeddings);
    bool slots_exist = row->slot >= 0 && (size_t)row->slot < cache->slots;
    for (size_t i = 0; i < row->path_length; i++)
        slots_exist = slots_exist && row->path[i] >= 0 && (size_t)row->path[i] < cache->slots;
    if (!slots_exist)
        return sb_fail(error, SB_INVALID, "row %zu: a slot is outside the cache's %zu", index, cache->slots);
    return SB_OK;
}

static enum sb_status check_row(const struct sb_session *s, const struct sb_row *row, size_t index,
                                struct sb_error *error)
{
    const struct sb_config *c = &s->model->config;
    if (row->length < 1 || row->length > (size_t)c->max_position_embeddings)
        return sb_fail(error, SB_INVALID, "row %zu: %zu tokens; the model takes 1 to %d", index, row->length,
                       c->max_position_embeddings);
    if (row->prefix > row->length)
        return sb_fail(error, SB_INVALID, "row %zu: prefix %zu is longer than its %zu tokens", index, row->prefix,
                       row->length);
    if (row->want & (SB_WANT_LOGITS | SB_WANT_ALL_LOGITS) && !s->model->can_generate)
        return sb_fail(error, SB_UNSUPPORTED, "model '%s' has no MLM head: it embeds but can not generate",
                       s->model->name);
    if (!row->is_step && row->cache && (row->length > row->cache->prefix_capacity))
        return sb_fail(error, SB_INVALID, "row %zu: %zu tokens; its cache holds %zu", index, row->length,
                       row->cache->prefix_capacity);
    enum sb_status status = row->is_step ? check_step(c, row, index, error) : SB_OK;
    return status == SB_OK ? check_ids(c, row, index, error) : status;
}

/* Gives each row its place among tokens, outputs, vectors and logits; fails when a limit is passed. */
static enum sb_status place_rows(struct sb_session *s, struct sb_row *rows, size_t count, struct sb_error *error)
{
    size_t tokens = 0, outputs = 0, logits = 0, vectors = 0;
    for (size_t r = 0; r < count; r++) {
        struct sb_row *row = &rows[r];
        enum sb_status status = check_row(s, row, r, error);
        if (status != SB_OK)
            return status;
        if (row->length > s->limits.max_tokens - tokens)
            return sb_fail(error, SB_LIMIT, "batch: more than %zu tokens", s->limits.max_tokens);
        struct sb_place *place = &s->places[r];
        place->first_token = tokens;
        place->first_output = outputs;
        if (sb_row_needs_all(s->model, row)) {
            for (size_t i = 0; i < row->length; i++)
                s->outputs[outputs++] = tokens + i;
        } else {
            if (row->want & SB_WANT_VECTOR)
                s->outputs[outputs++] = tokens;
            if (row->want & SB_WANT_LOGITS)
                s->outputs[outputs++] = tokens + row->length - 1;
        }
        place->outputs = outputs - place->first_output;
        place->logits = row->want & SB_WANT_ALL_LOGITS ? row->length : row->want & SB_WANT_LOGITS ? 1 : 0;
        place->first_logits = logits;
        place->vector = vectors;
        vectors += (row->want & SB_WANT_VECTOR) != 0;
        logits += place->logits;
        tokens += row->length;
    }
    if (logits > s->limits.max_logits)
        return sb_fail(error, SB_LIMIT, "batch: logits of %zu positions; the session has room for %zu", logits,
                       s->limits.max_logits);
    s->tokens = tokens;
    s->output_count = outputs;
    s->logits_count = logits;
    s->vector_count = vectors;
    return SB_OK;
}

enum sb_status sb_session_forward(struct sb_session *session, struct sb_row *rows, size_t count, struct sb_error *error)
{
    if (count > session->limits.max_rows)
        return sb_fail(error, SB_LIMIT, "batch: %zu rows; the session has room for %zu", count,
                       session->limits.max_rows);
    enum sb_status status = place_rows(session, rows, count, error);
    if (status != SB_OK || count == 0)
        return status;
    for (size_t r = 0; r < count; r++)
        if (rows[r].cache && !rows[r].is_step)
            rows[r].cache->prefix = rows[r].length;
    sb_forward_layers(session, rows, count);
    sb_forward_heads(session, rows, count);
    return SB_OK;
}
