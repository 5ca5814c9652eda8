/*
 * The heads of a pass: sentence vectors, and logits chunk by chunk.
 */
#include "model/pass_impl.h"

#include <string.h>

static void gather_pooled(struct sb_pass *p)
{
    size_t hidden = (size_t)p->network->config.hidden_size;
    for (size_t r = 0; r < p->input.count; r++) {
        const float *x = p->x + p->output_of[p->first_token[r]] * hidden;
        float *out = p->pool_in + r * hidden;
        size_t rows = p->network->config.pooling == SB_POOL_MEAN ? p->input.rows[r].length : 1;
        memset(out, 0, hidden * sizeof *out);
        for (size_t i = 0; i < rows; i++)
            p->training->add_scaled(out, x + i * hidden, 1.0f / (float)rows, hidden);
    }
}

void sb_pass_pool(struct sb_pass *p)
{
    const struct sb_network *n = p->network;
    size_t hidden = (size_t)n->config.hidden_size, rows = p->input.count;
    gather_pooled(p);
    if (n->config.pooling != SB_POOL_POOLER) {
        memcpy(p->pooled, p->pool_in, rows * hidden * sizeof *p->pooled);
        return;
    }
    struct sb_packed w =
        sb_pass_pack(p, sb_pass_value(p, n->pooler.kernel), n->pooler.out, n->pooler.in, false, p->panels[0]);
    sb_pass_linear(p, p->pool_sum, hidden, p->pool_in, hidden, rows, &w, sb_pass_value(p, n->pooler.bias), NULL, 0);
    memcpy(p->pooled, p->pool_sum, rows * hidden * sizeof *p->pooled);
    p->kernels->activate(p->pooled, rows * hidden, sb_act_of(n->config.pooler_activation));
}

void sb_pass_pool_backward(struct sb_pass *p, const float *dpooled, float *gradients)
{
    const struct sb_network *n = p->network;
    size_t hidden = (size_t)n->config.hidden_size, rows = p->input.count;
    const float *d = dpooled;
    if (n->config.pooling == SB_POOL_POOLER) {
        memcpy(p->dpool, dpooled, rows * hidden * sizeof *p->dpool);
        p->training->activate_backward(p->dpool, p->pool_sum, rows * hidden, sb_act_of(n->config.pooler_activation));
        sb_pass_kernel_gradient(p, gradients + n->pooler.kernel, gradients + n->pooler.bias, p->dpool, hidden,
                                p->pool_in, hidden, rows, hidden, hidden, p->transposed);
        struct sb_packed w =
            sb_pass_pack(p, sb_pass_value(p, n->pooler.kernel), n->pooler.out, n->pooler.in, true, p->panels[0]);
        sb_pass_linear(p, p->pool_sum, hidden, p->dpool, hidden, rows, &w, NULL, NULL, 0);
        d = p->pool_sum;
    }
    for (size_t r = 0; r < rows; r++) {
        size_t tokens = n->config.pooling == SB_POOL_MEAN ? p->input.rows[r].length : 1;
        for (size_t i = 0; i < tokens; i++)
            p->training->add_scaled(p->dhidden + (p->output_of[p->first_token[r]] + i) * hidden, d + r * hidden,
                                    1.0f / (float)tokens, hidden);
    }
}

/* The MLM head over one chunk (REFERENCE section 1): hidden[n, H] -> sum, act, norm[n, E] -> logits[n, V]. */
struct chunk {
    size_t rows;
    float *hidden, *sum, *act, *norm;
    struct sb_packed transform, vocabulary; /* for the way forward */
};

static struct chunk begin_chunks(struct sb_pass *p)
{
    const struct sb_affine *mlm = &p->network->mlm;
    struct chunk c = {.hidden = p->head[0], .sum = p->head[1], .act = p->head[2], .norm = p->head[3]};
    c.transform = sb_pass_pack(p, sb_pass_value(p, mlm->kernel), mlm->out, mlm->in, false, p->panels[0]);
    return c;
}

/* Up to norm: what the output layer reads. */
static void features_of_chunk(struct sb_pass *p, const struct chunk *c, const size_t *positions)
{
    const struct sb_network *n = p->network;
    size_t hidden = (size_t)n->config.hidden_size, width = (size_t)n->config.embedding_size;
    for (size_t i = 0; i < c->rows; i++)
        memcpy(c->hidden + i * hidden, p->x + p->output_of[positions[i]] * hidden, hidden * sizeof *c->hidden);
    sb_pass_linear(p, c->sum, width, c->hidden, hidden, c->rows, &c->transform, sb_pass_value(p, n->mlm.bias), NULL, 0);
    memcpy(c->act, c->sum, c->rows * width * sizeof *c->act);
    p->kernels->activate(c->act, c->rows * width, sb_act_of(n->config.hidden_act));
    sb_pass_norm(p, &(struct sb_norm_step){
                        .out = c->norm, .sum = c->act, .place = n->mlm_norm, .rows = c->rows, .width = width});
}

/* From p->logits, which hold their gradient. transform and vocabulary are the transposed kernels. */
static void backward_chunk(struct sb_pass *p, const struct chunk *c, const size_t *positions,
                           const struct sb_packed *transform, const struct sb_packed *vocabulary, float *gradients)
{
    const struct sb_network *n = p->network;
    size_t hidden = (size_t)n->config.hidden_size, width = (size_t)n->config.embedding_size;
    size_t words = (size_t)n->config.vocab_size;
    sb_pass_kernel_gradient(p, gradients + n->word_embedding, gradients + n->mlm_output_bias, p->logits, words, c->norm,
                            width, c->rows, words, width, p->logits_transposed);
    float *d = c->norm; /* read for the last time above */
    sb_pass_linear(p, d, width, p->logits, words, c->rows, vocabulary, NULL, NULL, 0);
    sb_pass_norm_backward(p, d, d, c->act, n->mlm_norm, c->rows, width, gradients);
    p->training->activate_backward(d, c->sum, c->rows * width, sb_act_of(n->config.hidden_act));
    sb_pass_kernel_gradient(p, gradients + n->mlm.kernel, gradients + n->mlm.bias, d, width, c->hidden, hidden, c->rows,
                            width, hidden, p->transposed);
    sb_pass_linear(p, c->hidden, hidden, d, width, c->rows, transform, NULL, NULL, 0);
    for (size_t i = 0; i < c->rows; i++)
        p->training->add_scaled(p->dhidden + p->output_of[positions[i]] * hidden, c->hidden + i * hidden, 1, hidden);
}

static size_t chunk_part(size_t count, size_t first)
{
    return count - first < SB_LOGITS_CHUNK ? count - first : SB_LOGITS_CHUNK;
}

void sb_pass_logits(struct sb_pass *p, const size_t *positions, size_t count, sb_logits_loss *loss, void *context,
                    float *gradients)
{
    const struct sb_network *n = p->network;
    size_t words = (size_t)n->config.vocab_size, width = (size_t)n->config.embedding_size;
    const float *embedding = sb_pass_value(p, n->word_embedding);
    struct chunk c = begin_chunks(p);
    struct sb_packed transform = {0}, vocabulary = {0};
    c.vocabulary = sb_pass_pack(p, embedding, words, width, false, p->vocabulary[0]);
    if (gradients) {
        transform = sb_pass_pack(p, sb_pass_value(p, n->mlm.kernel), n->mlm.out, n->mlm.in, true, p->panels[1]);
        vocabulary = sb_pass_pack(p, embedding, words, width, true, p->vocabulary[1]);
    }
    for (size_t first = 0; first < count; first += SB_LOGITS_CHUNK) {
        c.rows = chunk_part(count, first);
        features_of_chunk(p, &c, positions + first);
        sb_pass_linear(p, p->logits, words, c.norm, width, c.rows, &c.vocabulary, sb_pass_value(p, n->mlm_output_bias),
                       NULL, 0);
        loss(context, p->logits, first, c.rows);
        if (gradients)
            backward_chunk(p, &c, positions + first, &transform, &vocabulary, gradients);
    }
}

void sb_pass_keep_reference(struct sb_pass *p, const size_t *positions, size_t count)
{
    const struct sb_network *n = p->network;
    size_t words = (size_t)n->config.vocab_size, width = (size_t)n->config.embedding_size;
    struct chunk c = begin_chunks(p);
    for (size_t first = 0; first < count; first += SB_LOGITS_CHUNK) {
        c.rows = chunk_part(count, first);
        features_of_chunk(p, &c, positions + first);
        memcpy(p->reference.features + first * width, c.norm, c.rows * width * sizeof *c.norm);
    }
    p->reference.vocabulary = sb_pass_pack(p, sb_pass_value(p, n->word_embedding), words, width, false,
                                           p->reference.panels);
    memcpy(p->reference.bias, sb_pass_value(p, n->mlm_output_bias), words * sizeof *p->reference.bias);
}

const float *sb_pass_reference(struct sb_pass *p, size_t first, size_t count)
{
    size_t words = (size_t)p->network->config.vocab_size, width = (size_t)p->network->config.embedding_size;
    sb_pass_linear(p, p->reference.logits, words, p->reference.features + first * width, width, count,
                   &p->reference.vocabulary, p->reference.bias, NULL, 0);
    return p->reference.logits;
}
