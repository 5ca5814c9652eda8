#include "training/evaluation_likelihood.h"

#include <stdlib.h>
#include <string.h>

/* Pairs whose steps share a forward pass. */
enum { GROUP = 16 };

/* What stands behind the source: the target, the guesses of its tokens, what the model writes by itself. */
enum stream { TARGET, GUESSED, WRITTEN, STREAMS };

/*
 * A pair's cache: the source, then in slot STREAMS i + stream the token i of each stream, so that the path of a stream is
 * the same for every pair:
 *
 *     slot    0         1          2          3         4       ...
 *     token   target 0  guessed 0  written 0  target 1  guessed 1
 */
struct pair {
    const struct sb_likelihood_pair *input;
    struct sb_likelihood *likelihood;
    struct sb_kv_cache *cache;
    int32_t next[STREAMS]; /* the token of each stream that is fed next */
    bool ended;            /* what is written: its last token was [SEP] */
};

struct group {
    struct sb_session *session;
    const struct sb_kernels *kernels;
    size_t vocab_size;
    int32_t end_id;
    struct pair pairs[GROUP];
    size_t count;
    int32_t *paths[STREAMS]; /* as long as any target */
    struct sb_row rows[STREAMS * GROUP];
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
        status = sb_kv_cache_new(&p->cache, sb_session_model(g->session), in->source_length,
                                 STREAMS * in->target_length, error);
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
    p->next[TARGET] = in->target[0];
    p->next[GUESSED] = p->next[WRITTEN] = argmax(row.logits, g->vocab_size);
    p->ended = p->next[WRITTEN] == g->end_id;
    return SB_OK;
}

/* Feeds token number `at` of a stream. */
static struct sb_row step_row(const struct group *g, const struct pair *p, size_t at, enum stream stream)
{
    static const uint8_t target_segment = 1;
    return (struct sb_row){.ids = &p->next[stream],
                           .segments = &target_segment,
                           .length = 1,
                           .want = SB_WANT_LOGITS,
                           .cache = p->cache,
                           .is_step = true,
                           .position = p->input->source_length + at,
                           .path = g->paths[stream],
                           .path_length = at,
                           .slot = (int32_t)(STREAMS * at + stream)};
}

/* Does a stream of this pair go on behind token number `at`, with a target token to be compared? */
static bool goes_on(const struct pair *p, size_t at, enum stream stream)
{
    return at + 1 < p->input->target_length && !(stream == WRITTEN && p->ended);
}

static void add_gap(struct sb_likelihood_gap *gap, double forced, double own)
{
    gap->tokens++;
    gap->forced += forced;
    gap->own += own;
}

/* Adds what target token at + 1 costs; rows are those of the pair's streams that went on. */
static void take_step(const struct group *g, struct pair *p, const struct sb_row *rows, size_t at)
{
    int32_t expected = p->input->target[at + 1];
    const struct sb_row *row = rows;
    double forced = surprise(g, row->logits, expected);
    p->likelihood->nll += forced;
    p->next[TARGET] = expected;
    p->next[GUESSED] = argmax(row->logits, g->vocab_size);
    row++;
    add_gap(&p->likelihood->guessed, forced, surprise(g, row->logits, expected));
    if (!goes_on(p, at, WRITTEN))
        return;
    row++;
    add_gap(&p->likelihood->written, forced, surprise(g, row->logits, expected));
    p->next[WRITTEN] = argmax(row->logits, g->vocab_size);
    p->ended = p->next[WRITTEN] == g->end_id;
}

/* One step of every stream that goes on. *any: there was one. */
static enum sb_status step(struct group *g, size_t at, bool *any, struct sb_error *error)
{
    size_t count = 0, first[GROUP];
    for (size_t i = 0; i < g->count; i++) {
        first[i] = count;
        for (enum stream stream = TARGET; stream < STREAMS; stream++)
            if (goes_on(&g->pairs[i], at, stream))
                g->rows[count++] = step_row(g, &g->pairs[i], at, stream);
    }
    *any = count > 0;
    enum sb_status status = *any ? sb_session_forward(g->session, g->rows, count, error) : SB_OK;
    for (size_t i = 0; i < g->count && status == SB_OK; i++)
        if (goes_on(&g->pairs[i], at, TARGET))
            take_step(g, &g->pairs[i], g->rows + first[i], at);
    return status;
}

static enum sb_status measure_group(struct group *g, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < g->count && status == SB_OK; i++)
        status = prefill(g, &g->pairs[i], error);
    bool any = true;
    for (size_t at = 0; any && status == SB_OK; at++)
        status = step(g, at, &any, error);
    for (size_t i = 0; i < g->count; i++)
        sb_kv_cache_free(g->pairs[i].cache);
    return status;
}

/* Pairs of a group: a row for each stream must fit into a forward pass. */
static size_t group_size(const struct sb_session *session)
{
    struct sb_session_options limits = sb_session_limits(session);
    size_t rows = limits.max_rows < limits.max_logits ? limits.max_rows : limits.max_logits;
    rows = limits.max_tokens < rows ? limits.max_tokens : rows;
    return rows / STREAMS < GROUP ? rows / STREAMS : GROUP;
}

static enum sb_status prepare(struct group *g, struct sb_session *session, struct sb_error *error)
{
    struct sb_model *model = sb_session_model(session);
    size_t longest = (size_t)sb_model_max_length(model);
    if (!sb_model_can_generate(model))
        return sb_fail(error, SB_UNSUPPORTED, "the model %s has no head that writes, so no likelihoods",
                       sb_model_name(model));
    if (group_size(session) == 0)
        return sb_fail(error, SB_LIMIT, "likelihoods need a session of at least %d rows, tokens and logits", STREAMS);
    g->session = session;
    g->kernels = sb_model_kernels(model);
    g->vocab_size = (size_t)sb_model_config(model)->vocab_size;
    g->end_id = sb_tokenizer_special(sb_model_tokenizer(model)).sep;
    int32_t *paths = malloc(STREAMS * longest * sizeof *paths);
    if (!paths)
        return sb_fail(error, SB_NO_MEMORY, "no memory for likelihoods");
    for (int stream = 0; stream < STREAMS; stream++) {
        g->paths[stream] = paths + (size_t)stream * longest;
        for (size_t i = 0; i < longest; i++)
            g->paths[stream][i] = (int32_t)(STREAMS * i) + stream;
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
        free(g->paths[0]);
    free(g);
    return status;
}

static void sum_gap(struct sb_likelihood_gap *sum, const struct sb_likelihood_gap *one)
{
    sum->tokens += one->tokens;
    sum->forced += one->forced;
    sum->own += one->own;
}

void sb_likelihood_add(struct sb_likelihood *sum, const struct sb_likelihood *one)
{
    sum->tokens += one->tokens;
    sum->nll += one->nll;
    sum_gap(&sum->written, &one->written);
    sum_gap(&sum->guessed, &one->guessed);
}
