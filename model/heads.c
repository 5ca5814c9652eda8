/*
 * What stands on top of the last layer: sentence vectors and logits.
 */
#include "model/session_impl.h"

#include <math.h>
#include <string.h>

bool sb_row_needs_all(const struct sb_model *model, const struct sb_row *row)
{
    bool mean = row->want & SB_WANT_VECTOR && model->config.pooling == SB_POOL_MEAN;
    return row->trace || mean || row->want & (SB_WANT_HIDDEN | SB_WANT_ALL_LOGITS);
}

static void mean_of_rows(float *mean, const float *x, size_t rows, size_t n)
{
    memset(mean, 0, n * sizeof *mean);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            mean[i] += x[r * n + i];
    for (size_t i = 0; i < n; i++)
        mean[i] /= (float)rows;
}

/* v = pooled / ||pooled|| (a zero vector stays zero). */
static void normalise(const struct sb_model *m, float *v, const float *pooled, size_t n)
{
    float norm = sqrtf(m->kernels->dot(pooled, pooled, n));
    float scale = norm > 0 ? 1.0f / norm : 0;
    for (size_t i = 0; i < n; i++)
        v[i] = pooled[i] * scale;
}

/* pooled[vectors, dimensions] from the outputs: gather, then pooler, then the Dense of sentence-transformers. */
static void pool(struct sb_session *s, const struct sb_row *rows, size_t count)
{
    const struct sb_model *m = s->model;
    size_t hidden = (size_t)m->config.hidden_size;
    for (size_t r = 0; r < count; r++) {
        if (!(rows[r].want & SB_WANT_VECTOR))
            continue;
        const float *x = s->x + s->places[r].first_output * hidden;
        float *gathered = s->head + s->places[r].vector * hidden;
        if (m->config.pooling == SB_POOL_MEAN)
            mean_of_rows(gathered, x, rows[r].length, hidden);
        else
            memcpy(gathered, x, hidden * sizeof *x);
    }
    const float *pooled = s->head;
    if (m->config.pooling == SB_POOL_POOLER) {
        float *out = m->has_dense ? s->head2 : s->pooled;
        sb_dense_apply(out, pooled, s->vector_count, &m->pooler,
                       &(struct sb_epilogue){.activation = sb_act_of(m->config.pooler_activation)}, s->linear_scratch);
        pooled = out;
    }
    if (m->has_dense)
        sb_dense_apply(s->pooled, pooled, s->vector_count, &m->dense, &(struct sb_epilogue){.activation = m->dense_act},
                       s->linear_scratch);
    else if (pooled != s->pooled)
        memcpy(s->pooled, pooled, s->vector_count * hidden * sizeof *pooled);
}

static void make_vectors(struct sb_session *s, struct sb_row *rows, size_t count)
{
    const struct sb_model *m = s->model;
    size_t dimensions = (size_t)m->dimensions;
    pool(s, rows, count);
    for (size_t r = 0; r < count; r++) {
        if (!(rows[r].want & SB_WANT_VECTOR))
            continue;
        float *pooled = s->pooled + s->places[r].vector * dimensions,
              *vector = s->vectors + s->places[r].vector * dimensions;
        if (m->config.normalize)
            normalise(m, vector, pooled, dimensions);
        rows[r].pooled = pooled;
        rows[r].vector = m->config.normalize ? vector : pooled;
    }
}

/* logits[n, V] = LayerNorm(act(x W^T + b)) E^T + bias (REFERENCE section 1, MLM head). */
static void make_logits(struct sb_session *s, struct sb_row *rows, size_t count)
{
    const struct sb_model *m = s->model;
    size_t hidden = (size_t)m->config.hidden_size, width = (size_t)m->config.embedding_size, n = s->logits_count;
    for (size_t r = 0; r < count; r++) {
        const struct sb_place *p = &s->places[r];
        size_t last = p->first_output + p->outputs - p->logits; /* all outputs, or the last one */
        if (p->logits)
            memcpy(s->head + p->first_logits * hidden, s->x + last * hidden, p->logits * hidden * sizeof *s->x);
    }
    sb_dense_apply(s->head2, s->head, n, &m->mlm, &(struct sb_epilogue){.activation = sb_act_of(m->config.hidden_act)},
                   s->linear_scratch);
    m->kernels->layer_norm(s->head2, s->head2, m->mlm_norm.gamma, m->mlm_norm.beta, m->config.layer_norm_eps, n, width);
    sb_dense_apply(s->logits, s->head2, n, &m->vocabulary, NULL, s->linear_scratch);
    for (size_t r = 0; r < count; r++)
        if (s->places[r].logits)
            rows[r].logits = s->logits + s->places[r].first_logits * (size_t)m->config.vocab_size;
}

void sb_forward_heads(struct sb_session *session, struct sb_row *rows, size_t count)
{
    size_t hidden = (size_t)session->model->config.hidden_size;
    for (size_t r = 0; r < count; r++) {
        rows[r].vector = rows[r].pooled = rows[r].logits = NULL;
        rows[r].hidden = rows[r].want & SB_WANT_HIDDEN ? session->x + session->places[r].first_output * hidden : NULL;
    }
    if (session->vector_count)
        make_vectors(session, rows, count);
    if (session->logits_count)
        make_logits(session, rows, count);
}
