/*
 * Attention backward: a row at a time, its matrices written out. With D the dropout mask over W' = Pw W:
 *
 *     dV = (D W')^T dC     dW' = D (dC V^T)     dW = Pw^T dW'     dPw = dW' W^T
 *     dJ' = W (dW - sum_j W dW)     dJ = Pl^T dJ'     dPl = dJ' J^T     and from dJ into the parts
 */
#include "model/attention/scorers.h"

#include <string.h>

/* [heads_at_once, T, T] each; without talking heads logits, weights and spoken are one, and so are dspoken and
   dweights. */
struct matrices {
    float *logits;     /* J, then dJ */
    float *weights;    /* W */
    float *spoken;     /* W' */
    float *dspoken;    /* dW' */
    float *dweights;   /* dW, then dJ' */
    float *dlogits;    /* dJ */
    float *part, *raw; /* [T, T], with shares only: a part's dlogits, its logits */
    float *square;     /* [T, T] */
    float *strips;
};

static size_t square_floats(const struct sb_attention_plan *plan)
{
    return plan->positions * plan->positions;
}

/* A part's logits are scaled on their way into J. */
static bool has_shares(const struct sb_attention_plan *plan)
{
    return plan->part_count > 1 || plan->talking_heads;
}

size_t sb_attend_backward_scratch(const struct sb_attention_plan *plan)
{
    size_t matrices = plan->talking_heads ? 5 * plan->heads_at_once : 2;
    return (matrices + (has_shares(plan) ? 3 : 1)) * square_floats(plan) + SB_SCORER_STRIPS * sb_scorer_strip(plan);
}

static struct matrices carve(const struct sb_attending *a)
{
    const struct sb_attention_plan *plan = a->plan;
    size_t square = square_floats(plan), heads = plan->heads_at_once * square;
    float *rest = a->scratch;
    struct matrices m = {.logits = rest, .weights = rest, .spoken = rest};
    m.dspoken = m.dweights = m.dlogits = rest + heads;
    rest += 2 * heads;
    if (plan->talking_heads) {
        m.weights = rest;
        m.spoken = rest + heads;
        m.dweights = rest + 2 * heads;
        m.dlogits = m.spoken; /* read for the last time before */
        rest += 3 * heads;
    }
    m.square = rest;
    rest += square;
    if (has_shares(plan)) {
        m.part = rest;
        m.raw = rest + square;
        rest += 2 * square;
    }
    m.strips = rest;
    return m;
}

/* J, W and W' of the heads that are computed together. */
static void find_weights(const struct sb_attending *a, const struct sb_part_weights *weights, const struct matrices *m,
                         size_t first_head)
{
    const struct sb_attention_plan *plan = a->plan;
    size_t n = a->queries * a->keys;
    for (size_t h = 0; h < plan->heads_at_once; h++)
        sb_head_logits(a, weights, first_head + h, 0, a->queries, m->logits + h * n, m->raw, m->strips);
    if (plan->talking_heads)
        sb_mix_heads(plan, a->kernels->training, m->weights, a->tables->talking_logits, m->logits, n);
    for (size_t h = 0; h < plan->heads_at_once; h++)
        sb_head_softmax(a, weights, 0, a->queries, m->weights + h * n);
    if (plan->talking_heads)
        sb_mix_heads(plan, a->kernels->training, m->spoken, a->tables->talking_weights, m->weights, n);
}

static void drop(const struct sb_attending *a, size_t head, float *matrix)
{
    if (a->drop)
        a->drop(a->drop_context, head, 0, a->queries, matrix);
}

/* dW' = D (dC V^T) of one head */
static void weights_gradient(const struct sb_attending *a, const struct sb_attending_gradients *g,
                             const struct matrices *m, size_t head, float *dspoken)
{
    const struct sb_training_kernels *t = a->kernels->training;
    size_t size = a->plan->value_size, column = head * size;
    t->transpose(m->strips, a->keys, a->value + column, a->ld_value, a->keys, size);
    t->matmul(dspoken, a->keys, g->dout + column, g->ld_dout, m->strips, a->keys, a->queries, size, a->keys);
    drop(a, head, dspoken);
}

/* dV = (D W')^T dC of one head; W' is dropped in place. */
static void value_gradient(const struct sb_attending *a, const struct sb_attending_gradients *g,
                           const struct matrices *m, size_t head, float *spoken)
{
    const struct sb_training_kernels *t = a->kernels->training;
    size_t size = a->plan->value_size, column = head * size;
    drop(a, head, spoken);
    t->transpose(m->square, a->queries, spoken, a->keys, a->queries, a->keys);
    t->matmul(g->dvalue + column, a->ld_value, m->square, a->queries, g->dout + column, g->ld_dout, a->keys, a->queries,
              size);
}

/* dW of one head becomes its gradient by what went into the softmax. */
static void softmax_gradient(const struct sb_attending *a, const struct sb_part_weights *weights, float *dweights,
                             const float *head_weights)
{
    for (size_t i = 0; i < a->queries; i++) {
        float *row = dweights + i * a->keys;
        size_t seen = (size_t)a->visible[i];
        a->kernels->training->softmax_backward(row, head_weights + i * a->keys, row, seen, weights->softmax_scale);
        memset(row + seen, 0, (a->keys - seen) * sizeof *row);
    }
}

/* All heads of a row at once: from dspoken to dlogits, with the gradients of both mixtures. */
static void listen_backward(const struct sb_attending *a, const struct sb_attending_gradients *g,
                            const struct sb_part_weights *weights, const struct matrices *m)
{
    const struct sb_attention_plan *plan = a->plan;
    const struct sb_training_kernels *t = a->kernels->training;
    size_t n = a->queries * a->keys;
    sb_mix_heads_gradient(plan, a->kernels, g->mixing.talking_weights, m->dspoken, m->weights, n);
    sb_mix_heads_backward(plan, t, m->dweights, a->tables->talking_weights, m->dspoken, n);
    for (size_t h = 0; h < plan->heads; h++)
        softmax_gradient(a, weights, m->dweights + h * n, m->weights + h * n);
    sb_mix_heads_gradient(plan, a->kernels, g->mixing.talking_logits, m->dweights, m->logits, n);
    sb_mix_heads_backward(plan, t, m->dlogits, a->tables->talking_logits, m->dweights, n);
}

static const float *part_dlogits(const struct sb_attending *a, const struct sb_part_weights *weights, int part,
                                 const float *dlogits, float *scaled)
{
    size_t n = a->queries * a->keys;
    if (weights->of[part] == 1)
        return dlogits;
    memset(scaled, 0, n * sizeof *scaled);
    a->kernels->training->add_scaled(scaled, dlogits, weights->of[part], n);
    return scaled;
}

/* From a head's dJ into the columns of every part; dshare[part] += the gradient by its share of the mixture. */
static void parts_backward(const struct sb_attending *a, const struct sb_attending_gradients *g,
                           const struct sb_part_weights *weights, const struct matrices *m, size_t head,
                           const float *dlogits, float dshare[SB_ATTENTION_PARTS])
{
    const struct sb_attention_plan *plan = a->plan;
    size_t n = a->queries * a->keys;
    for (int i = 0; i < plan->part_count; i++) {
        const struct sb_scorer *scorer = plan->parts[i].scorer;
        const struct sb_columns *q = &plan->parts[i].query, *k = &plan->parts[i].key;
        struct sb_scorer_call call = sb_scorer_call_of(a, i, head, 0, a->queries, m->strips);
        call.square = m->square;
        if (plan->part_count > 1) {
            scorer->logits(&call, m->raw);
            dshare[i] += plan->parts[i].scale * a->kernels->dot(dlogits, m->raw, n);
        }
        if (scorer->backward)
            scorer->backward(&call, part_dlogits(a, weights, i, dlogits, m->part),
                             g->dquery + q->first + head * q->size, g->dkey + k->first + head * k->size);
    }
}

/* Through share = softmax(mixture). */
static void mixture_gradient(const struct sb_attention_plan *plan, const struct sb_part_weights *weights,
                             const float *dshare, float *dmixture)
{
    float mean = 0;
    for (int i = 0; i < plan->part_count; i++)
        mean += weights->share[i] * dshare[i];
    for (int i = 0; i < plan->part_count; i++)
        dmixture[i] += weights->share[i] * (dshare[i] - mean);
}

/* A head's gradient by J in m->dlogits, and its dvalue. */
static void head_backward(const struct sb_attending *a, const struct sb_attending_gradients *g,
                          const struct sb_part_weights *weights, const struct matrices *m, size_t head)
{
    find_weights(a, weights, m, head);
    weights_gradient(a, g, m, head, m->dspoken);
    softmax_gradient(a, weights, m->dweights, m->weights);
    value_gradient(a, g, m, head, m->spoken);
}

static void heads_backward(const struct sb_attending *a, const struct sb_attending_gradients *g,
                           const struct sb_part_weights *weights, const struct matrices *m)
{
    size_t n = a->queries * a->keys;
    find_weights(a, weights, m, 0);
    for (size_t h = 0; h < a->plan->heads; h++) {
        weights_gradient(a, g, m, h, m->dspoken + h * n);
        value_gradient(a, g, m, h, m->spoken + h * n);
    }
    listen_backward(a, g, weights, m);
}

void sb_attend_backward(const struct sb_attending *a, const struct sb_attending_gradients *g)
{
    const struct sb_attention_plan *plan = a->plan;
    struct matrices m = carve(a);
    struct sb_part_weights weights;
    float dshare[SB_ATTENTION_PARTS] = {0};
    size_t n = a->queries * a->keys;
    sb_part_weights(&weights, a);
    if (plan->talking_heads)
        heads_backward(a, g, &weights, &m);
    for (size_t head = 0; head < plan->heads; head++) {
        float *dlogits = m.dlogits + (plan->talking_heads ? head * n : 0);
        if (!plan->talking_heads)
            head_backward(a, g, &weights, &m, head);
        if (g->dlogits)
            memcpy(g->dlogits + head * n, dlogits, n * sizeof *dlogits);
        parts_backward(a, g, &weights, &m, head, dlogits, dshare);
    }
    if (plan->part_count > 1)
        mixture_gradient(plan, &weights, dshare, g->mixing.mixture);
}

void sb_attend_table_gradients(const struct sb_attending *a, size_t head, const float *dlogits,
                               const struct sb_attention_tables *gradients)
{
    struct matrices m = carve(a);
    struct sb_part_weights weights;
    sb_part_weights(&weights, a);
    for (int i = 0; i < a->plan->part_count; i++) {
        const struct sb_scorer *scorer = a->plan->parts[i].scorer;
        if (!scorer->table_gradients)
            continue;
        struct sb_scorer_call call = sb_scorer_call_of(a, i, head, 0, a->queries, m.strips);
        call.square = m.square;
        scorer->table_gradients(&call, part_dlogits(a, &weights, i, dlogits, m.part), gradients->of[i]);
    }
}
