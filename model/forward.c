/*
 * The transformer: embeddings and post-LN layers over packed rows (REFERENCE section 1).
 *
 * All tokens of all rows stand one behind the other in [tokens, H] matrices; only attention looks at rows. The last
 * layer computes keys and values of every token but everything else only for the tokens whose output somebody wants.
 */
#include "model/kv_cache_impl.h"
#include "model/session_impl.h"

#include <string.h>

static size_t position_of(const struct sb_row *row, size_t token)
{
    return row->is_step ? row->position : token;
}

/* y[n, E] = LayerNorm(word + segment + position), then E -> H into session->x. */
static void embed(struct sb_session *s, const struct sb_row *rows, size_t count)
{
    const struct sb_model *m = s->model;
    size_t width = (size_t)m->config.embedding_size, token = 0;
    float *out = m->has_embedding_map ? s->embedding : s->x;
    for (size_t r = 0; r < count; r++) {
        for (size_t i = 0; i < rows[r].length; i++, token++) {
            float *e = out + token * width;
            const float *g = m->segment_embedding + (rows[r].segments ? rows[r].segments[i] : 0) * width;
            sb_param_row(e, &m->word_embedding, (size_t)rows[r].ids[i]);
            if (m->position_embedding) {
                const float *p = m->position_embedding + position_of(&rows[r], i) * width;
                for (size_t d = 0; d < width; d++)
                    e[d] += g[d] + p[d];
            } else {
                for (size_t d = 0; d < width; d++)
                    e[d] += g[d];
            }
        }
    }
    m->kernels->layer_norm(out, out, m->embedding_norm.gamma, m->embedding_norm.beta, m->config.layer_norm_eps,
                           s->tokens, width);
    if (m->has_embedding_map)
        sb_dense_apply(s->x, s->embedding, s->tokens, &m->embedding_map, NULL, s->linear_scratch);
}

static void prepare_keys(struct sb_session *s, const struct sb_row *rows, size_t count)
{
    const struct sb_attention_plan *plan = &s->model->attention;
    float *key = s->key_value;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < rows[r].length; i++, key += plan->key_width + plan->value_width)
            sb_attention_prepare_key(plan, key, position_of(&rows[r], i));
}

static void prepare_queries(struct sb_session *s, const struct sb_row *rows, size_t count, bool last)
{
    const struct sb_attention_plan *plan = &s->model->attention;
    float *query = s->query;
    for (size_t r = 0; r < count; r++) {
        const struct sb_place *place = &s->places[r];
        size_t queries = last ? place->outputs : rows[r].length;
        for (size_t i = 0; i < queries; i++, query += plan->query_width) {
            size_t token = last ? s->outputs[place->first_output + i] - place->first_token : i;
            sb_attention_prepare_query(plan, query, position_of(&rows[r], token));
        }
    }
}

/* New keys and values go to the rows' caches before anybody reads them. */
static void store_key_values(struct sb_session *s, const struct sb_row *rows, size_t count, size_t layer)
{
    for (size_t r = 0; r < count; r++) {
        struct sb_kv_cache *cache = rows[r].cache;
        if (!cache)
            continue;
        size_t first = rows[r].is_step ? cache->prefix_capacity + (size_t)rows[r].slot : 0;
        memcpy(sb_kv_row(cache, layer, first), s->key_value + s->places[r].first_token * cache->width,
               rows[r].length * cache->width * sizeof(float));
    }
}

/* The span mask: token i of a row sees keys [0, max(prefix, i + 1)) (REFERENCE section 2). */
static int keys_seen(const struct sb_row *row, size_t token)
{
    return (int)(row->prefix > token + 1 ? row->prefix : token + 1);
}

/* A row that may go on, or whose tokens are looked at, gets the arithmetic of a step: the bits are to be the same. */
static void (*attention_of(const struct sb_model *m, const struct sb_row *row))(const struct sb_attention *)
{
    bool only_vector = row->want == SB_WANT_VECTOR && !row->cache && !row->trace;
    return only_vector && m->embedding_attention ? m->embedding_attention->run : m->kernels->attention;
}

static void attend_span(struct sb_session *s, const struct sb_row *row, const struct sb_place *place,
                        const struct sb_layer *layer, size_t first_query, size_t queries, bool last)
{
    const struct sb_attention_plan *plan = &s->model->attention;
    size_t width = plan->key_width + plan->value_width;
    const float *key = s->key_value + place->first_token * width;
    for (size_t i = 0; i < queries; i++) {
        size_t token = last ? s->outputs[first_query + i] - place->first_token : i;
        s->positions[i] = (int)token;
        s->visible[i] = keys_seen(row, token);
    }
    sb_attend_span(
        &(struct sb_attending){
            .plan = plan,
            .tables = &layer->attention,
            .kernels = s->model->kernels,
            .query = s->query + first_query * plan->query_width,
            .key = key,
            .value = key + plan->key_width,
            .ld_query = plan->query_width,
            .ld_key = width,
            .ld_value = width,
            .queries = queries,
            .keys = row->length,
            .positions = s->positions,
            .visible = s->visible,
            .scratch = s->attention_scratch,
        },
        attention_of(s->model, row), s->context + first_query * plan->value_width, plan->value_width);
}

/* A step's query sees the cached source, the slots of its path and itself. */
static void attend_step(struct sb_session *s, const struct sb_row *row, const struct sb_layer *layer, size_t query,
                        size_t index)
{
    const struct sb_attention_plan *plan = &s->model->attention;
    const struct sb_kv_cache *cache = row->cache;
    size_t count = 0;
    for (size_t i = 0; i < cache->prefix; i++)
        s->keys[count++] = sb_kv_row(cache, index, i);
    for (size_t i = 0; i < row->path_length; i++)
        s->keys[count++] = sb_kv_row(cache, index, cache->prefix_capacity + (size_t)row->path[i]);
    s->keys[count++] = sb_kv_row(cache, index, cache->prefix_capacity + (size_t)row->slot);
    sb_attend_step(
        &(struct sb_attending_step){
            .plan = plan,
            .tables = &layer->attention,
            .kernels = s->model->kernels,
            .query = s->query + query * plan->query_width,
            .keys = s->keys,
            .values = s->values,
            .count = count,
            .position = row->position,
            .scratch = s->attention_scratch,
        },
        s->context + query * plan->value_width);
}

static void attend(struct sb_session *s, const struct sb_row *rows, size_t count, size_t index, bool last)
{
    const struct sb_layer *layer = &s->model->layers[index];
    for (size_t r = 0; r < count; r++) {
        const struct sb_place *place = &s->places[r];
        size_t first = last ? place->first_output : place->first_token,
               queries = last ? place->outputs : rows[r].length;
        if (queries == 0)
            continue;
        if (rows[r].is_step)
            attend_step(s, &rows[r], layer, first, index);
        else
            attend_span(s, &rows[r], place, layer, first, queries, last);
    }
}

/* x[n, H] = LayerNorm(x + W2 act(W1 x)), a chunk of tokens at a time. */
static void feed_forward(struct sb_session *s, const struct sb_layer *layer, size_t n)
{
    const struct sb_model *m = s->model;
    size_t hidden = (size_t)m->config.hidden_size;
    const struct sb_epilogue activate = {.activation = sb_act_of(m->config.hidden_act)};
    for (size_t i = 0; i < n; i += SB_FFN_CHUNK) {
        size_t rows = n - i < SB_FFN_CHUNK ? n - i : SB_FFN_CHUNK;
        float *x = s->x + i * hidden, *y = s->y + i * hidden;
        sb_dense_apply(s->ffn, x, rows, &layer->ffn_in, &activate, s->linear_scratch);
        sb_dense_apply(y, s->ffn, rows, &layer->ffn_out, &(struct sb_epilogue){.residual = x, .ld_residual = hidden},
                       s->linear_scratch);
        m->kernels->layer_norm(x, y, layer->ffn_norm.gamma, layer->ffn_norm.beta, m->config.layer_norm_eps, rows,
                               hidden);
    }
}

static void run_layer(struct sb_session *s, const struct sb_row *rows, size_t count, size_t index, bool last)
{
    const struct sb_model *m = s->model;
    const struct sb_layer *layer = &m->layers[index];
    size_t hidden = (size_t)m->config.hidden_size, n = last ? s->output_count : s->tokens;
    sb_dense_apply(s->key_value, s->x, s->tokens, &layer->key_value, NULL, s->linear_scratch);
    prepare_keys(s, rows, count);
    store_key_values(s, rows, count, index);
    const float *in = s->x;
    if (last) { /* only the tokens whose output is wanted go on */
        for (size_t i = 0; i < n; i++)
            memcpy(s->y + i * hidden, s->x + s->outputs[i] * hidden, hidden * sizeof *s->y);
        in = s->y;
    }
    if (m->attention.query_width)
        sb_dense_apply(s->query, in, n, &layer->query, NULL, s->linear_scratch);
    prepare_queries(s, rows, count, last);
    attend(s, rows, count, index, last);
    sb_dense_apply(s->y, s->context, n, &layer->output, &(struct sb_epilogue){.residual = in, .ld_residual = hidden},
                   s->linear_scratch);
    m->kernels->layer_norm(s->x, s->y, layer->attention_norm.gamma, layer->attention_norm.beta,
                           m->config.layer_norm_eps, n, hidden);
    feed_forward(s, layer, n);
}

/* Copies the stream of the rows that are traced; `index` 0 is the embedding output. */
static void trace(struct sb_session *s, const struct sb_row *rows, size_t count, size_t index, bool last)
{
    size_t hidden = (size_t)s->model->config.hidden_size;
    for (size_t r = 0; r < count; r++) {
        if (!rows[r].trace)
            continue;
        size_t first = last ? s->places[r].first_output : s->places[r].first_token, size = rows[r].length * hidden;
        memcpy(rows[r].trace + index * size, s->x + first * hidden, size * sizeof *s->x);
    }
}

void sb_forward_layers(struct sb_session *session, struct sb_row *rows, size_t count)
{
    size_t layers = (size_t)session->model->config.num_hidden_layers;
    embed(session, rows, count);
    trace(session, rows, count, 0, false);
    for (size_t i = 0; i < layers; i++) {
        bool last = i + 1 == layers;
        run_layer(session, rows, count, i, last);
        trace(session, rows, count, i + 1, last);
    }
}
