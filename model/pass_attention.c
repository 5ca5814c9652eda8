/*
 * Attention of a pass: model/attention/ over the rows, a row a task, with dropout on the weights.
 *
 * Gradients by an attention's own tables are sums over rows. Their order is fixed in two ways: what a head owns is
 * summed by one task a head, row after row, from gradients by the logits that every row has left; the few numbers that
 * mix parts and heads are left by each row and added up at the end.
 */
#include "model/pass_impl.h"

#include <string.h>

struct passing {
    struct sb_pass *pass;
    struct sb_attention_tables tables;
    float *features, *context; /* forward */
    const float *dcontext;     /* backward, and what follows */
    float *dfeatures, *gradients;
    int layer;
};

/* One thread's scratch. */
struct workspace {
    float *values; /* [T, value_width]: context of a row in the last layer, or its gradient */
    int *positions, *visible;
    float *scratch;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t sb_pass_attention_scratch(const struct sb_attention_plan *plan)
{
    return plan->positions * (plan->value_width + 2) +
           larger(sb_attend_scratch(plan), sb_attend_backward_scratch(plan));
}

size_t sb_pass_mixing_floats(const struct sb_attention_plan *plan)
{
    return SB_ATTENTION_PARTS + 2 * plan->heads * plan->heads;
}

static struct workspace carve(const struct sb_pass *p, int worker)
{
    const struct sb_attention_plan *plan = &p->network->attention;
    float *memory = p->attention[worker], *ints = memory + plan->positions * plan->value_width;
    return (struct workspace){memory, (int *)(void *)ints, (int *)(void *)(ints + plan->positions),
                              ints + 2 * plan->positions};
}

static size_t feature_width(const struct sb_attention_plan *plan)
{
    return plan->query_width + plan->key_width + plan->value_width;
}

/* The dropout masks of a row: token i's of a head begins at index + i * index_step. */
struct dropping {
    const struct sb_pass *pass;
    const struct sb_pass_row *row;
    const int *visible;
    uint64_t stream, first, index_step;
};

static struct dropping dropping_of(const struct passing *a, size_t row, const struct workspace *w)
{
    const struct sb_pass *p = a->pass;
    const struct sb_attention_plan *plan = &p->network->attention;
    uint64_t step = (plan->positions + 7) / 8;
    return (struct dropping){.pass = p,
                             .row = &p->input.rows[row],
                             .visible = w->visible,
                             .stream = sb_dropout_stream(p, a->layer, SB_DROP_ATTENTION),
                             .first = (p->input.first_row + row) * plan->heads * plan->positions * step,
                             .index_step = step};
}

static void drop_weights(void *context, size_t head, size_t first_query, size_t queries, float *weights)
{
    const struct dropping *d = context;
    const struct sb_pass *p = d->pass;
    uint64_t index = d->first + head * p->network->attention.positions * d->index_step;
    for (size_t i = 0; i < queries; i++)
        sb_dropout_row(weights + i * d->row->length, (size_t)d->visible[first_query + i], p->input.attention_dropout,
                       p->input.seed, d->stream, index + (first_query + i) * d->index_step);
}

/* All tokens of a row are its queries, in the last layer too: what is not wanted is left out behind. */
static struct sb_attending attending_of(const struct passing *a, size_t row, const struct workspace *w,
                                        struct dropping *dropping)
{
    const struct sb_pass *p = a->pass;
    const struct sb_attention_plan *plan = &p->network->attention;
    const struct sb_pass_row *r = &p->input.rows[row];
    size_t width = feature_width(plan);
    const float *query = a->features + p->first_token[row] * width, *key = query + plan->query_width;
    for (size_t i = 0; i < r->length; i++) {
        w->positions[i] = (int)i;
        w->visible[i] = (int)larger(r->prefix, i + 1);
    }
    *dropping = dropping_of(a, row, w);
    return (struct sb_attending){
        .plan = plan,
        .tables = &a->tables,
        .kernels = p->kernels,
        .query = query,
        .key = key,
        .value = key + plan->key_width,
        .ld_query = width,
        .ld_key = width,
        .ld_value = width,
        .queries = r->length,
        .keys = r->length,
        .positions = w->positions,
        .visible = w->visible,
        .drop = p->input.attention_dropout > 0 ? drop_weights : NULL,
        .drop_context = dropping,
        .scratch = w->scratch,
    };
}

static void attend_row(void *context, size_t row, int worker)
{
    const struct passing *a = context;
    struct sb_pass *p = a->pass;
    const struct sb_attention_plan *plan = &p->network->attention;
    struct workspace w = carve(p, worker);
    struct dropping dropping;
    struct sb_attending attending = attending_of(a, row, &w, &dropping);
    size_t first = p->first_token[row], width = feature_width(plan);
    for (size_t i = 0; i < attending.queries; i++) {
        float *query = a->features + (first + i) * width;
        sb_attention_prepare_query(plan, query, i);
        sb_attention_prepare_key(plan, query + plan->query_width, i);
    }
    if (!sb_pass_is_last(p, a->layer)) {
        sb_attend(&attending, a->context + first * plan->value_width, plan->value_width);
        return;
    }
    sb_attend(&attending, w.values, plan->value_width);
    for (size_t i = 0; i < attending.queries; i++)
        if (p->output_of[first + i] != SB_NO_OUTPUT)
            memcpy(a->context + p->output_of[first + i] * plan->value_width, w.values + i * plan->value_width,
                   plan->value_width * sizeof *w.values);
}

/* The gradient by a row's context, zero for tokens that are no outputs of the last layer. */
static const float *context_gradient(const struct passing *a, size_t row, const struct workspace *w)
{
    const struct sb_pass *p = a->pass;
    size_t first = p->first_token[row], width = p->network->attention.value_width;
    if (!sb_pass_is_last(p, a->layer))
        return a->dcontext + first * width;
    for (size_t i = 0; i < p->input.rows[row].length; i++) {
        uint32_t from = p->output_of[first + i];
        if (from == SB_NO_OUTPUT)
            memset(w->values + i * width, 0, width * sizeof *w->values);
        else
            memcpy(w->values + i * width, a->dcontext + from * width, width * sizeof *w->values);
    }
    return w->values;
}

/* Where a row leaves its gradients by the mixtures; zero. */
static struct sb_attention_tables row_mixing(const struct sb_pass *p, size_t row)
{
    const struct sb_attention_plan *plan = &p->network->attention;
    size_t count = sb_pass_mixing_floats(plan), square = plan->heads * plan->heads;
    if (!p->mixing)
        return (struct sb_attention_tables){0};
    float *mixing = p->mixing + row * count;
    memset(mixing, 0, count * sizeof *mixing);
    return (struct sb_attention_tables){.mixture = mixing,
                                        .talking_logits = mixing + SB_ATTENTION_PARTS,
                                        .talking_weights = mixing + SB_ATTENTION_PARTS + square};
}

static void attend_row_backward(void *context, size_t row, int worker)
{
    const struct passing *a = context;
    struct sb_pass *p = a->pass;
    const struct sb_attention_plan *plan = &p->network->attention;
    struct workspace w = carve(p, worker);
    struct dropping dropping;
    struct sb_attending attending = attending_of(a, row, &w, &dropping);
    size_t width = feature_width(plan);
    float *dquery = a->dfeatures + p->first_token[row] * width, *dkey = dquery + plan->query_width;
    sb_attend_backward(&attending, &(struct sb_attending_gradients){
                                       .dout = context_gradient(a, row, &w),
                                       .ld_dout = plan->value_width,
                                       .dquery = dquery,
                                       .dkey = dkey,
                                       .dvalue = dkey + plan->key_width,
                                       .dlogits = p->dlogits ? p->dlogits + p->first_logit[row] : NULL,
                                       .mixing = row_mixing(p, row),
                                   });
    for (size_t i = 0; i < attending.queries; i++)
        sb_attention_prepare_backward(plan, dquery + i * width, attending.query + i * width, dkey + i * width,
                                      attending.key + i * width, i);
}

static void head_tables(void *context, size_t head, int worker)
{
    const struct passing *a = context;
    struct sb_pass *p = a->pass;
    struct workspace w = carve(p, worker);
    struct sb_attention_tables gradients = sb_network_attention(p->network, a->layer, a->gradients);
    for (size_t row = 0; row < p->input.count; row++) {
        struct dropping dropping;
        struct sb_attending attending = attending_of(a, row, &w, &dropping);
        sb_attend_table_gradients(
            &attending, head, p->dlogits + p->first_logit[row] + head * attending.queries * attending.keys, &gradients);
    }
}

static void add_mixing(const struct passing *a)
{
    struct sb_pass *p = a->pass;
    const struct sb_attention_plan *plan = &p->network->attention;
    struct sb_attention_tables gradients = sb_network_attention(p->network, a->layer, a->gradients);
    size_t square = plan->heads * plan->heads, count = sb_pass_mixing_floats(plan);
    for (size_t row = 0; row < p->input.count; row++) {
        const float *mixing = p->mixing + row * count, *logits = mixing + SB_ATTENTION_PARTS,
                    *weights = logits + square;
        if (plan->part_count > 1)
            p->training->add_scaled(gradients.mixture, mixing, 1, (size_t)plan->part_count);
        if (plan->talking_heads) {
            p->training->add_scaled(gradients.talking_logits, logits, 1, square);
            p->training->add_scaled(gradients.talking_weights, weights, 1, square);
        }
    }
}

void sb_pass_attend(struct sb_pass *p, float *context, float *features, int layer)
{
    struct passing passing = {.pass = p,
                              .tables = sb_network_attention(p->network, layer, p->network->values),
                              .features = features,
                              .context = context,
                              .layer = layer};
    sb_pool_run(p->options.pool, p->input.count, attend_row, &passing);
}

void sb_pass_attend_backward(struct sb_pass *p, float *dfeatures, const float *dcontext, const float *features,
                             int layer, float *gradients)
{
    struct passing passing = {.pass = p,
                              .tables = sb_network_attention(p->network, layer, p->network->values),
                              .features = (float *)(uintptr_t)features, /* read only */
                              .dcontext = dcontext,
                              .dfeatures = dfeatures,
                              .gradients = gradients,
                              .layer = layer};
    sb_pool_run(p->options.pool, p->input.count, attend_row_backward, &passing);
    if (p->dlogits)
        sb_pool_run(p->options.pool, p->network->attention.heads, head_tables, &passing);
    if (p->mixing)
        add_mixing(&passing);
}
