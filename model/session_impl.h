/*
 * Inside of a session. Only model/ includes this.
 */
#ifndef SB_MODEL_SESSION_IMPL_H
#define SB_MODEL_SESSION_IMPL_H

#include "base/arena.h"
#include "model/model_impl.h"
#include "model/session.h"

/* Where a row stands in the packed batch. */
struct sb_place {
    size_t first_token;           /* in the batch's tokens */
    size_t first_output, outputs; /* its tokens among those that the last layer computes */
    size_t first_logits, logits;  /* its rows of logits */
    size_t vector;                /* its row of vectors */
};

/* Buffers are [tokens, width]; the comment names the width. */
struct sb_session {
    struct sb_model *model;
    struct sb_session_options limits;
    struct sb_arena arena;

    float *x;         /* H: the stream */
    float *y;         /* H: sums before a LayerNorm */
    float *query;     /* query_width of the attention's plan */
    float *key_value; /* key_width + value_width */
    float *context;   /* value_width: what attention gives */
    float *ffn;       /* I, for SB_FFN_CHUNK tokens */
    float *embedding; /* E, when E != H */

    int *positions, *visible;     /* [max_tokens] of a row's queries: place in the row, keys that it sees */
    size_t *outputs;              /* [max_tokens] tokens that the last layer computes */
    const float **keys, **values; /* [max_position_embeddings] rows that a step sees */
    float *attention_scratch;
    void *linear_scratch;

    struct sb_place *places; /* [max_rows] */
    float *head;             /* [max(max_logits, max_rows), max(H, E)]: gathered rows for a head */
    float *head2;            /* the same, and at least dimensions wide */
    float *pooled, *vectors; /* [max_rows, dimensions] */
    float *logits;           /* [max_logits, V] */

    /* Of the current call. */
    size_t tokens, output_count, logits_count, vector_count;
};

enum {
    SB_FFN_CHUNK = 256
}; /* tokens: the inner activations stay small, the weights are still used many times a load */

/* forward.c: embeddings and layers; leaves the outputs [output_count, H] in session->x. */
void sb_forward_layers(struct sb_session *session, struct sb_row *rows, size_t count);

/* heads.c: sentence vectors and logits from session->x. */
void sb_forward_heads(struct sb_session *session, struct sb_row *rows, size_t count);

/* The row needs every one of its tokens from the last layer. */
bool sb_row_needs_all(const struct sb_model *model, const struct sb_row *row);

#endif
