/* A model, its session and a cache as the source of logits for a decoder. Static: each test links alone. */
#ifndef SB_TESTS_MODEL_NETWORK_H
#define SB_TESTS_MODEL_NETWORK_H

#include "model/decode.h"
#include "model/session.h"
#include "tests/unit/support.h"

#include <stdlib.h>

struct network {
    struct sb_model *model;
    struct sb_session *session;
    struct sb_kv_cache *cache; /* of the current decoder */
    size_t vocab_size;
    int32_t end_id;
    double scale, end_bias; /* logits * scale, then logits[end_id] += end_bias (golden/README.md) */
    uint8_t target_segment;
    float *logits;
};

static inline struct network network_open(const char *dir, int32_t end_id)
{
    struct network n = {.end_id = end_id, .scale = 1, .target_segment = 1};
    struct sb_error error;
    enum sb_status status = sb_model_open(&n.model, dir, NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    ck_assert_int_eq(sb_session_new(&n.session, n.model, NULL, NULL), SB_OK);
    n.vocab_size = (size_t)sb_model_config(n.model)->vocab_size;
    n.logits = malloc(n.vocab_size * sizeof *n.logits);
    return n;
}

static inline void network_close(struct network *n)
{
    sb_kv_cache_free(n->cache);
    sb_session_free(n->session);
    sb_model_release(n->model);
    free(n->logits);
}

static inline const float *network_forward(struct network *n, struct sb_row *row)
{
    struct sb_error error;
    row->want = SB_WANT_LOGITS;
    enum sb_status status = sb_session_forward(n->session, row, 1, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    for (size_t i = 0; i < n->vocab_size; i++)
        n->logits[i] = (float)(row->logits[i] * n->scale);
    n->logits[n->end_id] += (float)n->end_bias;
    return n->logits;
}

static inline struct sb_row network_step_row(const struct network *n, const struct sb_decoder_row *next)
{
    return (struct sb_row){.ids = next->history + next->length - 1,
                           .segments = &n->target_segment,
                           .length = 1,
                           .cache = n->cache,
                           .is_step = true,
                           .position = next->length - 1,
                           .path = next->path,
                           .path_length = next->path_length,
                           .slot = next->slot};
}

/* Decodes to the end through the cache. prefix: prompt tokens that see each other (0: causal). */
static inline struct sb_decoder *network_decode(struct network *n, const struct sb_decode_options *options,
                                                const int32_t *prompt, size_t prompt_length, size_t prefix,
                                                size_t max_rows)
{
    struct sb_decoder_input input = {.prompt = prompt,
                                     .prompt_length = prompt_length,
                                     .vocab_size = n->vocab_size,
                                     .end_id = n->end_id,
                                     .kernels = sb_model_kernels(n->model),
                                     .max_rows = max_rows};
    struct sb_decoder *decoder;
    struct sb_error error;
    enum sb_status status = sb_decoder_new(&decoder, options, &input, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    sb_kv_cache_free(n->cache);
    ck_assert_int_eq(sb_kv_cache_new(&n->cache, n->model, prompt_length, sb_decoder_slots(decoder), NULL), SB_OK);
    struct sb_row source = {.ids = prompt, .length = prompt_length, .prefix = prefix, .cache = n->cache};
    sb_decoder_start(decoder, network_forward(n, &source));
    while (!sb_decoder_finished(decoder)) {
        struct sb_decoder_row next;
        for (size_t i = 0; i < sb_decoder_rows(decoder); i++)
            if (sb_decoder_row(decoder, i, &next)) {
                struct sb_row row = network_step_row(n, &next);
                sb_decoder_accept(decoder, i, network_forward(n, &row));
            }
    }
    return decoder;
}

#endif
