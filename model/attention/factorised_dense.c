/*
 * Dense Synthesizer that predicts two short vectors instead of a logit a position:
 *
 *     a = A relu(W1 x_i + b1) + b_a   [factor_a]      b = B relu(W1 x_i + b1) + b_b   [factor_b]
 *     logits[i, p] = a[p / factor_b] b[p mod factor_b]
 *
 * Tay et al., "Synthesizer: Rethinking Self-Attention in Transformer Models", 2020.
 */
#include "model/attention/scorers.h"

#include <string.h>

enum { A, A_BIAS, B, B_BIAS };

/* The factors of all queries of a call, and their gradients. */
struct factors {
    float *a, *b, *da, *db; /* [queries, factor_a], [queries, factor_b] */
};

/* out[queries, factor] = relu(...) table^T + bias */
static void predict(const struct sb_scorer_call *call, int table, size_t factor, float *out)
{
    size_t size = call->plan->value_size;
    const float *bias = sb_head_table(call, table + 1, factor);
    call->kernels->transpose(call->strips[0], factor, sb_head_table(call, table, factor * size), size, factor, size);
    call->kernels->matmul(out, factor, call->query, call->ld_query, call->strips[0], factor, call->queries, size,
                          factor);
    for (size_t i = 0; i < call->queries; i++)
        call->kernels->add_scaled(out + i * factor, bias, 1, factor);
}

static struct factors predict_both(const struct sb_scorer_call *call)
{
    struct factors f = {call->strips[1], call->strips[2], call->strips[3], call->strips[4]};
    predict(call, A, call->plan->factor_a, f.a);
    predict(call, B, call->plan->factor_b, f.b);
    return f;
}

static void factorised_dense_logits(const struct sb_scorer_call *call, float *logits)
{
    size_t rows = call->plan->factor_a, columns = call->plan->factor_b;
    struct factors f = predict_both(call);
    for (size_t i = 0; i < call->queries; i++) {
        const float *a = f.a + i * rows, *b = f.b + i * columns;
        float *out = logits + i * call->keys;
        for (size_t p = 0, x = 0; p < call->keys; p += columns, x++)
            for (size_t y = 0; y < columns && p + y < call->keys; y++)
                out[p + y] = a[x] * b[y];
    }
}

static void factor_gradients(const struct sb_scorer_call *call, const struct factors *f, const float *dlogits)
{
    size_t rows = call->plan->factor_a, columns = call->plan->factor_b;
    memset(f->da, 0, call->queries * rows * sizeof *f->da);
    memset(f->db, 0, call->queries * columns * sizeof *f->db);
    for (size_t i = 0; i < call->queries; i++) {
        const float *a = f->a + i * rows, *b = f->b + i * columns, *d = dlogits + i * call->keys;
        float *da = f->da + i * rows, *db = f->db + i * columns;
        for (size_t p = 0, x = 0; p < call->keys; p += columns, x++) {
            for (size_t y = 0; y < columns && p + y < call->keys; y++) {
                da[x] += d[p + y] * b[y];
                db[y] += d[p + y] * a[x];
            }
        }
    }
}

static void factorised_dense_backward(const struct sb_scorer_call *call, const float *dlogits, float *dquery,
                                      float *dkey)
{
    size_t rows = call->plan->factor_a, columns = call->plan->factor_b, size = call->plan->value_size;
    struct factors f = predict_both(call);
    float *second = call->strips[5];
    (void)dkey;
    factor_gradients(call, &f, dlogits);
    call->kernels->matmul(dquery, call->ld_query, f.da, rows, sb_head_table(call, A, rows * size), size, call->queries,
                          rows, size);
    call->kernels->matmul(second, size, f.db, columns, sb_head_table(call, B, columns * size), size, call->queries,
                          columns, size);
    for (size_t i = 0; i < call->queries; i++)
        call->kernels->add_scaled(dquery + i * call->ld_query, second + i * size, 1, size);
}

/* dtable[factor, size] += d^T query; dbias[factor] += sum of d */
static void table_gradient(const struct sb_scorer_call *call, const float *d, size_t factor, float *dtable,
                           float *dbias)
{
    size_t size = call->plan->value_size;
    float *transposed = call->strips[0], *product = call->strips[5];
    call->kernels->transpose(transposed, call->queries, d, factor, call->queries, factor);
    call->kernels->matmul(product, size, transposed, call->queries, call->query, call->ld_query, factor, call->queries,
                          size);
    call->kernels->add_scaled(dtable + call->head * factor * size, product, 1, factor * size);
    call->kernels->add_rows(dbias + call->head * factor, d, factor, call->queries, factor);
}

static void factorised_dense_table_gradients(const struct sb_scorer_call *call, const float *dlogits,
                                             float *const *dtables)
{
    struct factors f = predict_both(call);
    factor_gradients(call, &f, dlogits);
    table_gradient(call, f.da, call->plan->factor_a, dtables[A], dtables[A_BIAS]);
    table_gradient(call, f.db, call->plan->factor_b, dtables[B], dtables[B_BIAS]);
}

const struct sb_scorer sb_factorised_dense_scorer = {
    .projects_query = true,
    .query_kernel = SB_FACTOR_KERNEL,
    .query_bias = SB_FACTOR_BIAS,
    .tables = {SB_FACTOR_A, SB_FACTOR_A_BIAS, SB_FACTOR_B, SB_FACTOR_B_BIAS},
    .table_count = 4,
    .trains_tables = true,
    .prepare = sb_relu_prepare,
    .prepare_backward = sb_relu_prepare_backward,
    .logits = factorised_dense_logits,
    .backward = factorised_dense_backward,
    .table_gradients = factorised_dense_table_gradients,
};
