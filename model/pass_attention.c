/*
 * Attention of a pass: row by row, head by head, with the probabilities written out, because the backward pass and dropout
 * need them. Rows are short; a row is one task.
 *
 *     scores = Q K^T / sqrt(key_size)      P = softmax over the keys that each query sees      context = dropout(P) V
 *
 * Backward, with D the dropout mask over P, from dC = d context:
 *
 *     dV = (D P)^T dC     dP = D (dC V^T)     dS = P (dP - sum_j P dP)     dQ = dS K / sqrt     dK = dS^T Q / sqrt
 */
#include "model/pass_impl.h"

#include <math.h>
#include <string.h>

/* One head of one row: pointers to its first token, rows ld apart. */
struct head {
    const float *q, *k, *v;
    size_t ld, length, prefix, key_size, value_size;
    float scale;
    float rate; /* of dropout */
    uint64_t seed, stream, index, index_step; /* token i's mask begins at index + i * index_step */
};

/* One thread's scratch: a head's matrices. */
struct matrices {
    float *probabilities, *dprobabilities, *square; /* [T, T] */
    float *transposed, *values;                     /* [max(key, value), T] */
};

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t sb_pass_attention_scratch(const struct sb_config *c)
{
    size_t positions = (size_t)c->max_position_embeddings;
    return 3 * positions * positions +
           2 * positions * largest((size_t)c->attention_key_size, (size_t)c->attention_head_size);
}

static struct matrices carve(const struct sb_pass *p, int worker)
{
    const struct sb_config *c = &p->network->config;
    size_t positions = (size_t)c->max_position_embeddings, square = positions * positions;
    float *memory = p->attention[worker], *transposed = memory + 3 * square;
    size_t strip = positions * largest((size_t)c->attention_key_size, (size_t)c->attention_head_size);
    return (struct matrices){memory, memory + square, memory + 2 * square, transposed, transposed + strip};
}

static struct head head_of(const struct sb_pass *p, const float *query_key_value, size_t row, size_t head, int layer)
{
    const struct sb_config *c = &p->network->config;
    size_t key_width = sb_key_width(c), ld = 2 * key_width + sb_value_width(c);
    size_t positions = (size_t)c->max_position_embeddings, heads = (size_t)c->num_attention_heads;
    const float *x = query_key_value + p->first_token[row] * ld;
    struct head h = {.q = x + head * (size_t)c->attention_key_size,
                     .ld = ld,
                     .length = p->input.rows[row].length,
                     .prefix = p->input.rows[row].prefix,
                     .key_size = (size_t)c->attention_key_size,
                     .value_size = (size_t)c->attention_head_size,
                     .scale = 1.0f / sqrtf((float)c->attention_key_size),
                     .rate = p->input.attention_dropout,
                     .seed = p->input.seed,
                     .stream = sb_dropout_stream(p, layer, SB_DROP_ATTENTION),
                     .index_step = (positions + 7) / 8};
    h.k = h.q + key_width;
    h.v = x + 2 * key_width + head * (size_t)c->attention_head_size;
    h.index = ((p->input.first_row + row) * heads + head) * positions * h.index_step;
    return h;
}

static size_t keys_seen(const struct head *h, size_t token)
{
    return largest(h->prefix, token + 1);
}

/* probabilities[T, T], those of keys that are not seen 0; no dropout yet. */
static void find_probabilities(const struct sb_pass *p, const struct head *h, const struct matrices *m)
{
    size_t n = h->length;
    p->training->transpose(m->transposed, n, h->k, h->ld, n, h->key_size);
    p->training->matmul(m->probabilities, n, h->q, h->ld, m->transposed, n, n, h->key_size, n);
    for (size_t i = 0; i < n; i++) {
        float *row = m->probabilities + i * n;
        size_t seen = keys_seen(h, i);
        p->training->softmax(row, seen, h->scale);
        memset(row + seen, 0, (n - seen) * sizeof *row);
    }
}

static void drop(const struct head *h, float *probabilities)
{
    for (size_t i = 0; i < h->length && h->rate > 0; i++)
        sb_dropout_row(probabilities + i * h->length, keys_seen(h, i), h->rate, h->seed, h->stream,
                       h->index + i * h->index_step);
}

struct attending {
    struct sb_pass *pass;
    const float *query_key_value;
    float *context;               /* forward */
    const float *dcontext;        /* backward */
    float *dquery_key_value;
    int layer;
};

/* Row of context of a token, SB_NO_OUTPUT if it has none. */
static uint32_t context_row(const struct sb_pass *p, size_t token, int layer)
{
    return sb_pass_is_last(p, layer) ? p->output_of[token] : (uint32_t)token;
}

/* A head's values[T, value_size] to the rows of context that there are. */
static void put_context(const struct sb_pass *p, const struct attending *a, size_t row, const struct head *h,
                        const float *values, size_t column, size_t width)
{
    for (size_t i = 0; i < h->length; i++) {
        uint32_t to = context_row(p, p->first_token[row] + i, a->layer);
        if (to != SB_NO_OUTPUT)
            memcpy(a->context + to * width + column, values + i * h->value_size, h->value_size * sizeof *values);
    }
}

/* The way back: zero where there is no row. */
static void take_context(const struct sb_pass *p, const struct attending *a, size_t row, const struct head *h,
                         float *values, size_t column, size_t width)
{
    for (size_t i = 0; i < h->length; i++) {
        uint32_t from = context_row(p, p->first_token[row] + i, a->layer);
        float *out = values + i * h->value_size;
        if (from == SB_NO_OUTPUT)
            memset(out, 0, h->value_size * sizeof *out);
        else
            memcpy(out, a->dcontext + from * width + column, h->value_size * sizeof *out);
    }
}

static void attend_row(void *context, size_t row, int worker)
{
    const struct attending *a = context;
    struct sb_pass *p = a->pass;
    const struct sb_config *c = &p->network->config;
    struct matrices m = carve(p, worker);
    size_t width = sb_value_width(c);
    for (size_t i = 0; i < (size_t)c->num_attention_heads; i++) {
        struct head h = head_of(p, a->query_key_value, row, i, a->layer);
        find_probabilities(p, &h, &m);
        drop(&h, m.probabilities);
        p->training->matmul(m.values, h.value_size, m.probabilities, h.length, h.v, h.ld, h.length, h.length,
                            h.value_size);
        put_context(p, a, row, &h, m.values, i * h.value_size, width);
    }
}

/* dprobabilities becomes the gradient by the scores, scale included. */
static void scores_gradient(const struct sb_pass *p, const struct head *h, const struct matrices *m)
{
    size_t n = h->length;
    for (size_t i = 0; i < n; i++) {
        float *row = m->dprobabilities + i * n;
        size_t seen = keys_seen(h, i);
        p->training->softmax_backward(row, m->probabilities + i * n, row, seen, h->scale);
        memset(row + seen, 0, (n - seen) * sizeof *row);
    }
}

/* m->values: dC */
static void head_backward(const struct sb_pass *p, const struct head *h, const struct matrices *m, float *dq)
{
    const struct sb_training_kernels *t = p->training;
    size_t n = h->length, ld_dc = h->value_size;
    const float *dc = m->values;
    float *dk = dq + (h->k - h->q), *dv = dq + (h->v - h->q);
    find_probabilities(p, h, m);
    t->transpose(m->transposed, n, h->v, h->ld, n, h->value_size);
    t->matmul(m->dprobabilities, n, dc, ld_dc, m->transposed, n, n, h->value_size, n);
    drop(h, m->dprobabilities);
    scores_gradient(p, h, m);
    t->matmul(dq, h->ld, m->dprobabilities, n, h->k, h->ld, n, n, h->key_size);
    t->transpose(m->square, n, m->dprobabilities, n, n, n);
    t->matmul(dk, h->ld, m->square, n, h->q, h->ld, n, n, h->key_size);
    drop(h, m->probabilities);
    t->transpose(m->square, n, m->probabilities, n, n, n);
    t->matmul(dv, h->ld, m->square, n, dc, ld_dc, n, n, h->value_size);
}

static void attend_row_backward(void *context, size_t row, int worker)
{
    const struct attending *a = context;
    struct sb_pass *p = a->pass;
    const struct sb_config *c = &p->network->config;
    struct matrices m = carve(p, worker);
    size_t width = sb_value_width(c);
    for (size_t i = 0; i < (size_t)c->num_attention_heads; i++) {
        struct head h = head_of(p, a->query_key_value, row, i, a->layer);
        take_context(p, a, row, &h, m.values, i * h.value_size, width);
        head_backward(p, &h, &m, a->dquery_key_value + (h.q - a->query_key_value));
    }
}

void sb_pass_attend(struct sb_pass *p, float *context, const float *query_key_value, int layer)
{
    struct attending attending = {.pass = p, .query_key_value = query_key_value, .context = context, .layer = layer};
    sb_pool_run(p->options.pool, p->input.count, attend_row, &attending);
}

void sb_pass_attend_backward(struct sb_pass *p, float *dquery_key_value, const float *dcontext,
                             const float *query_key_value, int layer)
{
    struct attending attending = {.pass = p,
                                  .query_key_value = query_key_value,
                                  .dcontext = dcontext,
                                  .dquery_key_value = dquery_key_value,
                                  .layer = layer};
    sb_pool_run(p->options.pool, p->input.count, attend_row_backward, &attending);
}
