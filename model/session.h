/*
 * A session computes rows of tokens through the network. Rows are packed one behind the other, never padded, and may be of
 * different kinds in one call: sentences to embed, sources to prefill, single tokens that continue a generation.
 *
 *     struct sb_session *session;
 *     sb_session_new(&session, model, NULL, &error);
 *     struct sb_row row = {.ids = encoding.ids, .length = encoding.length, .prefix = encoding.length, .want = SB_WANT_VECTOR};
 *     if (sb_session_forward(session, &row, 1, &error) == SB_OK)
 *         use(row.vector);                                   // [sb_model_dimensions], until the next forward
 *     sb_session_free(session);
 *
 * A row's results are bitwise independent of the other rows of the call, of the session's size and of threads. Everything is
 * allocated in sb_session_new. Thread rule: one thread at a time.
 */
#ifndef SB_MODEL_SESSION_H
#define SB_MODEL_SESSION_H

#include "base/status.h"
#include "model/kv_cache.h"
#include "model/model.h"

#include <stddef.h>
#include <stdint.h>

struct sb_session;

struct sb_session_options {
    size_t max_tokens; /* of all rows of a call; at least the model's max_length */
    size_t max_rows;
    size_t max_logits; /* token positions whose logits a call may ask for */
};
struct sb_session_options sb_session_defaults(const struct sb_model *model);

/* options NULL: defaults. Keeps a reference on the model. */
SB_MUST_CHECK enum sb_status sb_session_new(struct sb_session **session, struct sb_model *model,
                                            const struct sb_session_options *options, struct sb_error *error);
void sb_session_free(struct sb_session *session);
struct sb_model *sb_session_model(const struct sb_session *session);
struct sb_session_options sb_session_limits(const struct sb_session *session);
size_t sb_session_bytes(const struct sb_session *session);

enum sb_want {
    SB_WANT_VECTOR = 1,     /* the sentence vector: pooled, normalised when the config says so */
    SB_WANT_LOGITS = 2,     /* [V] at the row's last token */
    SB_WANT_ALL_LOGITS = 4, /* [length, V] */
    SB_WANT_HIDDEN = 8,     /* [length, H] of the last layer */
};

struct sb_row {
    /* A span row: `length` tokens at positions 0, 1, …; token i sees tokens [0, max(prefix, i + 1)). */
    const int32_t *ids;
    const uint8_t *segments; /* [length], NULL: all 0 */
    size_t length;
    size_t prefix;
    unsigned want; /* of enum sb_want; 0 is allowed (prefill) */
    /* Span row: NULL, or where to keep its keys and values as the shared prefix. Step row: where to read and append. */
    struct sb_kv_cache *cache;

    /* A step row: length 1, one more target token of a hypothesis, at `position`. It sees the cache's prefix, the slots of
       path[path_length] in order, and itself; its keys and values go to `slot`. */
    bool is_step;
    size_t position;
    const int32_t *path;
    size_t path_length;
    int32_t slot;

    /* Results, borrowed from the session until its next forward; NULL where not wanted. */
    const float *vector; /* [sb_model_dimensions] */
    const float *pooled; /* [sb_model_dimensions]: the vector before normalisation, with SB_WANT_VECTOR */
    const float *logits; /* [V] or [length, V] */
    const float *hidden; /* [length, H] */

    /* For tests and inspection: when not NULL, [layers + 1, length, H] floats of the caller, filled with the embedding output
       (after the E -> H map) and every layer's output. Costs the shortcut of the last layer. */
    float *trace;
};

/* Computes all rows. SB_INVALID (nothing computed) for ids out of range, a row longer than the model's limit, or more than
   the session's limits; SB_UNSUPPORTED for logits from a model without an MLM head. */
SB_MUST_CHECK enum sb_status sb_session_forward(struct sb_session *session, struct sb_row *rows, size_t count,
                                                struct sb_error *error);

#endif
