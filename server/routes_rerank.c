/*
 * Ranking texts by their similarity to a query: text-embeddings-inference's and Cohere's shapes. The score is the
 * probability that the model's pair head gives, and where it has none the cosine of the sentence vectors, the number
 * that /similarity gives; where clients expect [0, 1] a negative cosine is shown as 0. Raw scores are the probability's
 * logit, and the cosine as it is.
 */
#include "model/pair_score.h"
#include "server/embedding.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/vector_text.h"

#include <math.h>
#include <stdlib.h>

/* A probability that rounds to 0 or 1 has no logit. */
#define TINY 1e-12

struct ranked {
    size_t index;
    double score;
};

struct rerank {
    struct sb_embedding embedding; /* first; row 0 is the query, row i + 1 text i */
    bool raw_scores, return_text;
    size_t top_n;
    struct ranked *order; /* [texts] */
};

static void rerank_free(void *state)
{
    struct rerank *r = state;
    sb_embedding_clear(&r->embedding);
    free(r->order);
    free(r);
}

/* By score, best first; equal ones as they came. */
static int compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static double score(const struct rerank *r, size_t text)
{
    return sb_model_scores_pairs(r->embedding.model) ? sb_embedding_pair_score(&r->embedding, 0, text + 1)
                                                     : sb_embedding_cosine(&r->embedding, 0, text + 1);
}

static void rank(struct rerank *r)
{
    size_t texts = r->embedding.rows.count - 1;
    if (sb_model_scores_pairs(r->embedding.model))
        sb_embedding_denormalize(&r->embedding);
    for (size_t i = 0; i < texts; i++)
        r->order[i] = (struct ranked){i, score(r, i)};
    qsort(r->order, texts, sizeof *r->order, compare);
}

static double shown(const struct rerank *r, double score)
{
    if (r->raw_scores && sb_model_scores_pairs(r->embedding.model))
        return log(fmax(score, TINY) / fmax(1 - score, TINY));
    return r->raw_scores || score > 0 ? score : 0;
}

static const char *text_of(const struct rerank *r, size_t index)
{
    return r->embedding.inputs.items[index + 1].text;
}

/* ---- text-embeddings-inference ---- */

static void tei_ready(struct sb_request *request)
{
    struct rerank *r = request->state;
    struct sb_buffer *out = &request->reply.body;
    rank(r);
    sb_buffer_text(out, "[");
    for (size_t i = 0; i < r->top_n; i++) {
        sb_buffer_format(out, "%s{\"index\":%zu,", i ? "," : "", r->order[i].index);
        if (r->return_text) {
            sb_buffer_text(out, "\"text\":");
            sb_put_text(out, text_of(r, r->order[i].index));
            sb_buffer_text(out, ",");
        }
        sb_buffer_text(out, "\"score\":");
        sb_put_score(out, shown(r, r->order[i].score));
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "]");
    sb_request_send(request, 200);
}

/* ---- Cohere ---- */

static void cohere_ready(struct sb_request *request)
{
    struct rerank *r = request->state;
    struct sb_buffer *out = &request->reply.body;
    rank(r);
    sb_buffer_text(out, "{\"object\":\"rerank\",\"results\":[");
    for (size_t i = 0; i < r->top_n; i++) {
        sb_buffer_format(out, "%s{\"relevance_score\":", i ? "," : "");
        sb_put_score(out, shown(r, r->order[i].score));
        sb_buffer_format(out, ",\"index\":%zu", r->order[i].index);
        if (r->return_text) {
            sb_buffer_text(out, ",\"document\":{\"text\":");
            sb_put_text(out, text_of(r, r->order[i].index));
            sb_buffer_text(out, "}");
        }
        sb_buffer_text(out, "}");
    }
    sb_buffer_text(out, "],\"model\":");
    sb_put_text(out, sb_model_name(r->embedding.model));
    sb_buffer_format(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", r->embedding.rows.tokens,
                     r->embedding.rows.tokens);
    sb_request_send(request, 200);
}

/* ---- both ---- */

/* What differs between the two shapes. */
struct shape {
    const char *texts, *return_text;
    void (*ready)(struct sb_request *request);
};

static bool parse_rerank(struct sb_parse *parse, const struct shape *shape, size_t limit, struct rerank *r,
                         const char **name)
{
    const char *query = NULL;
    int64_t top_n = INT32_MAX;
    r->embedding.options.truncate = true;
    if (!sb_parse_string(parse, "model", name) || !sb_parse_bool(parse, "truncate", &r->embedding.options.truncate) ||
        !sb_parse_bool(parse, "raw_scores", &r->raw_scores) ||
        !sb_parse_bool(parse, shape->return_text, &r->return_text) ||
        !sb_parse_int(parse, "top_n", 1, INT32_MAX, &top_n) || !sb_parse_string(parse, "query", &query))
        return false;
    if (!query)
        return sb_parse_fail(parse, SB_PROBLEM_EMPTY, "query is missing");
    if (!sb_inputs_add_text(parse, &r->embedding.inputs, query) ||
        !sb_parse_inputs(parse, shape->texts, SB_INPUT_TEXTS, limit, &r->embedding.inputs))
        return false;
    size_t texts = r->embedding.inputs.count - 1;
    r->top_n = (size_t)top_n < texts ? (size_t)top_n : texts;
    r->order = calloc(texts, sizeof *r->order);
    return r->order || sb_parse_fail(parse, SB_PROBLEM_STOPPING, "no memory for %zu texts", texts);
}

static void rerank(struct sb_request *request, const struct shape *shape)
{
    struct sb_parse parse = {0};
    const char *name = NULL;
    if (!sb_request_json(request, &parse.object))
        return;
    struct rerank *r = sb_request_state(request, sizeof *r, rerank_free);
    if (!r)
        return;
    if (!parse_rerank(&parse, shape, request->server->options.max_client_batch, r, &name)) {
        sb_request_parse_failed(request, &parse);
        return;
    }
    struct sb_model *model = sb_request_model(request, name);
    if (!model)
        return;
    r->embedding.ready = shape->ready;
    sb_embedding_start(&r->embedding, request, model);
}

void sb_handle_rerank(struct sb_request *request)
{
    static const struct shape tei = {"texts", "return_text", tei_ready};
    rerank(request, &tei);
}

void sb_handle_cohere_rerank(struct sb_request *request)
{
    static const struct shape cohere = {"documents", "return_documents", cohere_ready};
    rerank(request, &cohere);
}
