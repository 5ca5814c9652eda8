#include "training/evaluation_likelihood.h"

#include <stdlib.h>
#include <string.h>

/* Pairs whose steps share a forward pass. */
enum { GROUP = 16 };

/*
 * A pair's cache: the source, then slot 2 i for the target's token i and slot 2 i + 1 for token i of what the model
 * writes, so that the two paths are the even and the odd numbers.
 */
struct pair {
    const struct sb_likelihood_pair *input;
    struct sb_likelihood *likelihood;
    struct sb_kv_cache *cache;
    int32_t written; /* the last token that the model wrote; it is fed next */
    bool ended;      /* that was [SEP], or there is nothing more to compare */
};

struct group {
    struct sb_session *session;
    const struct sb_kernels *kernels;
    size_t vocab_size;
    int32_t end_id;
    struct pair pairs[GROUP];
    size_t count;
    int32_t *even, *odd; /* the two paths, as long as any target */
    struct sb_row rows[2 * GROUP];
    struct pair *owners[2 * GROUP];
};

/* -log softmax(logits)[id] */
static double surprise(const struct group *g, const float *logits, int32_t id)
{
    float largest, log_sum;
    g->kernels->log_sum_exp(&largest, &log_sum, logits, g->vocab_size);
    return (double)largest + (double)log_sum - (double)logits[id];
}

/* The lowest index of the largest. */
static int32_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return (int32_t)best;
}

static void take_written(const struct group *g, struct pair *p, const float *logits)
{
    p->written = argmax(logits, g->vocab_size);
    p->ended = p->written == g->end_id;
}

static enum sb_status check(const struct group *g, const struct sb_likelihood_pair *pair, struct sb_error *error)
{
    size_t longest = (size_t)sb_model_max_length(sb_session_model(g->session));
    if (pair->source_length < 1 || pair->target_length < 1 || pair->source_length > longest ||
        pair->target_length > longest - pair->source_length)
        return sb_fail(error, SB_INVALID, "a source of %zu tokens and a target of %zu; the model takes %zu in all",
                       pair->source_length, pair->target_length, longest);
    for (size_t i = 0; i < pair->target_length; i++)
        if (pair->target[i] < 0 || (size_t)pair->target[i] >= g->vocab_size)
            return sb_fail(error, SB_INVALID, "token id %d; the vocabulary has %zu", pair->target[i], g->vocab_size);
    return SB_OK;
}

static enum sb_status prefill(struct group *g, struct pair *p, struct sb_error *error)
{
    const struct sb_likelihood_pair *in = p->input;
    enum sb_status status = check(g, in, error);
    if (status == SB_OK)
        status =
            sb_kv_cache_new(&p->cache, sb_session_model(g->session), in->source_length, 2 * in->target_length, error);
    if (status != SB_OK)
        return status;
    struct sb_row row = {.ids = in->source,
                         .length = in->source_length,
                         .prefix = in->source_length,
                         .want = SB_WANT_LOGITS,
                         .cache = p->cache};
    status = sb_session_forward(g->session, &row, 1, error);
    if (status != SB_OK)
        return status;
    *p->likelihood = (struct sb_likelihood){.tokens = in->target_length, .nll = surprise(g, row.logits, in->target[0])};
    take_written(g, p, row.logits);
    return SB_OK;
}

/* Feeds token number `at` of the target, or of what was written. */
static struct sb_row step_row(const struct group *g, const struct pair *p, size_t at, bool written)
{
    static const uint8_t target_segment = 1;
    return (struct sb_row){.ids = written ? &p->written : &p->input->target[at],
                           .segments = &target_segment,
                           .length = 1,
                           .want = SB_WANT_LOGITS,
                           .cache = p->cache,
                           .is_step = true,
                           .position = p->input->source_length + at,
                           .path = written ? g->odd : g->even,
                           .path_length = at,
                           .slot = (int32_t)(2 * at + (written ? 1 : 0))};
}

/* Token number `at` of every target is known; adds what the next one costs. The first row of a pair is the target's own. */
static void take_steps(struct group *g, size_t rows, size_t at)
{
    for (size_t r = 0; r < rows; r++) {
        struct pair *p = g->owners[r];
        double forced = surprise(g, g->rows[r].logits, p->input->target[at + 1]);
        p->likelihood->nll += forced;
        if (r + 1 == rows || g->owners[r + 1] != p)
            continue;
        const float *logits = g->rows[++r].logits;
        p->likelihood->compared++;
        p->likelihood->forced += forced;
        p->likelihood->free += surprise(g, logits, p->input->target[at + 1]);
        take_written(g, p, logits);
    }
}

/* One step of every pair that has a next token. Returns the rows computed, 0 at the end. */
static enum sb_status step(struct group *g, size_t at, size_t *rows, struct sb_error *error)
{
    *rows = 0;
    for (size_t i = 0; i < g->count; i++) {
        struct pair *p = &g->pairs[i];
        for (int written = 0; written < 2 && at + 1 < p->input->target_length; written++) {
            if (written && p->ended)
                continue;
            g->owners[*rows] = p;
            g->rows[(*rows)++] = step_row(g, p, at, written);
        }
    }
    enum sb_status status = *rows ? sb_session_forward(g->session, g->rows, *rows, error) : SB_OK;
    if (status == SB_OK)
        take_steps(g, *rows, at);
    return status;
}

static enum sb_status measure_group(struct group *g, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < g->count && status == SB_OK; i++)
        status = prefill(g, &g->pairs[i], error);
    for (size_t at = 0, rows = 1; rows > 0 && status == SB_OK; at++)
        status = step(g, at, &rows, error);
    for (size_t i = 0; i < g->count; i++)
        sb_kv_cache_free(g->pairs[i].cache);
    return status;
}

/* Pairs of a group: two rows each must fit into a forward pass. */
static size_t group_size(const struct sb_session *session)
{
    struct sb_session_options limits = sb_session_limits(session);
    size_t rows = limits.max_rows < limits.max_logits ? limits.max_rows : limits.max_logits;
    rows = limits.max_tokens < rows ? limits.max_tokens : rows;
    return rows / 2 < GROUP ? rows / 2 : GROUP;
}

static enum sb_status prepare(struct group *g, struct sb_session *session, struct sb_error *error)
{
    struct sb_model *model = sb_session_model(session);
    size_t longest = (size_t)sb_model_max_length(model);
    if (!sb_model_can_generate(model))
        return sb_fail(error, SB_UNSUPPORTED, "the model %s has no head that writes, so no likelihoods",
                       sb_model_name(model));
    if (group_size(session) == 0)
        return sb_fail(error, SB_LIMIT, "likelihoods need a session of at least 2 rows, tokens and logits");
    g->session = session;
    g->kernels = sb_model_kernels(model);
    g->vocab_size = (size_t)sb_model_config(model)->vocab_size;
    g->end_id = sb_tokenizer_special(sb_model_tokenizer(model)).sep;
    g->even = malloc(2 * longest * sizeof *g->even);
    if (!g->even)
        return sb_fail(error, SB_NO_MEMORY, "no memory for likelihoods");
    g->odd = g->even + longest;
    for (size_t i = 0; i < longest; i++) {
        g->even[i] = (int32_t)(2 * i);
        g->odd[i] = (int32_t)(2 * i + 1);
    }
    return SB_OK;
}

enum sb_status sb_measure_likelihood(struct sb_likelihood *likelihoods, struct sb_session *session,
                                     const struct sb_likelihood_pair *pairs, size_t count, struct sb_error *error)
{
    struct group *g = calloc(1, sizeof *g);
    enum sb_status status = g ? prepare(g, session, error) : sb_fail(error, SB_NO_MEMORY, "no memory for likelihoods");
    for (size_t first = 0; first < count && status == SB_OK; first += g->count) {
        size_t most = group_size(session);
        g->count = count - first < most ? count - first : most;
        for (size_t i = 0; i < g->count; i++)
            g->pairs[i] = (struct pair){.input = &pairs[first + i], .likelihood = &likelihoods[first + i]};
        status = measure_group(g, error);
    }
    if (g)
        free(g->even);
    free(g);
    return status;
}

void sb_likelihood_add(struct sb_likelihood *sum, const struct sb_likelihood *one)
{
    sum->tokens += one->tokens;
    sum->nll += one->nll;
    sum->compared += one->compared;
    sum->forced += one->forced;
    sum->free += one->free;
}
