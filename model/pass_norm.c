/*
 * What stands between the products: dropout, residual, LayerNorm.
 *
 * A dropout mask is never stored: element i of a row of n is kept if the i-th 16-bit word of a counter-based stream is large
 * enough. The stream is named by seed, step, layer and site, the counter by the row of the batch and the token in it, so the
 * backward pass, another number of threads and another cut of the batch into machines all see the same mask.
 */
#include "base/random.h"
#include "model/pass_impl.h"

#include <math.h>
#include <string.h>

enum { WORDS = 8 }; /* 16-bit words of one counter value */

uint64_t sb_dropout_stream(const struct sb_pass *p, int layer, enum sb_dropout_site site)
{
    return p->input.step << 16 | (uint64_t)(layer * SB_DROP_SITES + (int)site);
}

void sb_dropout_row(float *x, size_t n, float rate, uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t threshold = (uint32_t)lrintf(rate * 65536);
    float scale = 65536.0f / (float)(65536 - threshold);
    for (size_t i = 0; i < n; i += WORDS) {
        uint32_t words[WORDS / 2];
        sb_random_words(words, seed, stream, index + i / WORDS);
        for (size_t j = 0; j < WORDS && i + j < n; j++) {
            uint32_t word = words[j / 2] >> 16 * (j % 2) & 0xFFFF;
            x[i + j] = word >= threshold ? x[i + j] * scale : 0;
        }
    }
}

static void drop_token(const struct sb_pass *p, float *x, size_t token, size_t width, float rate, int layer,
                       enum sb_dropout_site site)
{
    uint64_t row = p->input.first_row + p->token_row[token];
    uint64_t place = row * (uint64_t)p->network->config.max_position_embeddings + p->token_position[token];
    sb_dropout_row(x, width, rate, p->input.seed, sb_dropout_stream(p, layer, site),
                   place * ((width + WORDS - 1) / WORDS));
}

static size_t token_of(const struct sb_norm_step *s, size_t row)
{
    return s->tokens ? s->tokens[s->first + row] : s->first + row;
}

struct dropping {
    struct sb_pass *pass;
    float *out;
    const float *x;
    const struct sb_norm_step *step;
};

static void drop_rows(void *context, size_t index, int worker)
{
    const struct dropping *d = context;
    const struct sb_norm_step *s = d->step;
    float rate = d->pass->input.hidden_dropout;
    (void)worker;
    for (size_t r = index * SB_PASS_NORM_ROWS; r < s->rows && r < (index + 1) * SB_PASS_NORM_ROWS; r++) {
        float *out = d->out + r * s->width;
        if (out != d->x + r * s->width)
            memcpy(out, d->x + r * s->width, s->width * sizeof *out);
        if (rate > 0)
            drop_token(d->pass, out, token_of(s, r), s->width, rate, s->layer, s->site);
    }
}

static size_t norm_tasks(size_t rows)
{
    return (rows + SB_PASS_NORM_ROWS - 1) / SB_PASS_NORM_ROWS;
}

void sb_pass_dropout(struct sb_pass *p, float *out, const float *x, const struct sb_norm_step *rows)
{
    struct dropping dropping = {p, out, x, rows};
    if (p->input.hidden_dropout > 0 || out != x)
        sb_pool_run(p->options.pool, norm_tasks(rows->rows), drop_rows, &dropping);
}

struct norming {
    struct sb_pass *pass;
    const struct sb_norm_step *step;
};

static void norm_rows(void *context, size_t index, int worker)
{
    const struct norming *n = context;
    const struct sb_norm_step *s = n->step;
    struct sb_pass *p = n->pass;
    (void)worker;
    size_t first = index * SB_PASS_NORM_ROWS, at = first * s->width;
    size_t rows = s->rows - first < SB_PASS_NORM_ROWS ? s->rows - first : SB_PASS_NORM_ROWS;
    for (size_t r = 0; r < rows && s->residual; r++) {
        float *sum = s->sum + at + r * s->width;
        if (p->input.hidden_dropout > 0)
            drop_token(p, sum, token_of(s, first + r), s->width, p->input.hidden_dropout, s->layer, s->site);
        p->training->add_scaled(sum, s->residual + at + r * s->width, 1, s->width);
    }
    p->kernels->layer_norm(s->out + at, s->sum + at, sb_pass_value(p, s->place.gamma), sb_pass_value(p, s->place.beta),
                           p->network->config.layer_norm_eps, rows, s->width);
}

void sb_pass_norm(struct sb_pass *p, const struct sb_norm_step *step)
{
    sb_pool_run(p->options.pool, norm_tasks(step->rows), norm_rows, &(struct norming){p, step});
}

struct norm_backward {
    struct sb_pass *pass;
    float *dsum;
    const float *dout, *sum, *gamma;
    size_t rows, width;
};

static void norm_rows_backward(void *context, size_t index, int worker)
{
    const struct norm_backward *n = context;
    struct sb_pass *p = n->pass;
    (void)worker;
    float eps = p->network->config.layer_norm_eps, *partial = p->norm_partials + index * 2 * n->width;
    size_t first = index * SB_PASS_NORM_ROWS, at = first * n->width;
    size_t rows = n->rows - first < SB_PASS_NORM_ROWS ? n->rows - first : SB_PASS_NORM_ROWS;
    memset(partial, 0, 2 * n->width * sizeof *partial);
    p->training->layer_norm_gradients(partial, partial + n->width, n->dout + at, n->sum + at, eps, rows, n->width);
    p->training->layer_norm_backward(n->dsum + at, n->dout + at, n->sum + at, n->gamma, eps, rows, n->width);
}

void sb_pass_norm_backward(struct sb_pass *p, float *dsum, const float *dout, const float *sum,
                           struct sb_norm_place place, size_t rows, size_t width, float *gradients)
{
    struct norm_backward norm = {p, dsum, dout, sum, sb_pass_value(p, place.gamma), rows, width};
    sb_pool_run(p->options.pool, norm_tasks(rows), norm_rows_backward, &norm);
    for (size_t i = 0; i < norm_tasks(rows); i++) {
        const float *partial = p->norm_partials + i * 2 * width;
        p->training->add_scaled(gradients + place.gamma, partial, 1, width);
        p->training->add_scaled(gradients + place.beta, partial + width, 1, width);
    }
}
