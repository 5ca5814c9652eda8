/*
 * The sentence vectors of a request's rows: encodes the inputs, computes the rows in parts, then calls the handler
 * back.
 *
 *     struct sb_embedding embedding = {.inputs = inputs, .options.truncate = true, .ready = ready};
 *     sb_embedding_start(&embedding, request, model);       // later ready(request); errors are answered without it
 *     ...
 *     sb_embedding_clear(&embedding);
 *
 * The struct lives in the request's state.
 */
#ifndef SB_SERVER_EMBEDDING_H
#define SB_SERVER_EMBEDDING_H

#include "server/inputs.h"
#include "server/row_plan.h"
#include "server/work.h"

struct sb_embedding {
    /* Set by the handler. */
    struct sb_inputs inputs;
    struct sb_encode_options options;
    void (*ready)(struct sb_request *request); /* on a worker thread; with many vectors on a background thread; at once when
                                                  all of them are in the cache */

    /* For ready(). */
    struct sb_model *model; /* one reference, released by clear */
    struct sb_rows rows;
    size_t dimensions;
    float *vectors; /* [count, dimensions], as the model makes them */
    float *norms;   /* [count] before normalisation */

    /* Private. */
    struct sb_work work;
    struct sb_row_plan plan;
    size_t *part_ends; /* inputs [part_ends[i - 1], part_ends[i]) of the plan are part i */
};

/* Takes over the reference to model. */
void sb_embedding_start(struct sb_embedding *embedding, struct sb_request *request, struct sb_model *model);
void sb_embedding_clear(struct sb_embedding *embedding);
/* In ready(), or later: as it was before its start, to be started once more with another model. */
void sb_embedding_again(struct sb_embedding *embedding);

/* The model that a request names (NULL: the default) with a reference; NULL: the request has been answered. */
struct sb_model *sb_request_model(struct sb_request *request, const char *name);

/* Cosine of rows a and b. */
double sb_embedding_cosine(const struct sb_embedding *embedding, size_t a, size_t b);

/* In ready(), or later: every vector becomes what it was before normalisation. */
void sb_embedding_denormalize(struct sb_embedding *embedding);
/* How likely rows a and b mean the same: what the model's pair head says, which it has, of denormalised vectors. In [0, 1]. */
double sb_embedding_pair_score(const struct sb_embedding *embedding, size_t a, size_t b);

enum sb_length {
    SB_LENGTH_MODEL, /* as the model makes it */
    SB_LENGTH_ONE,   /* normalised */
    SB_LENGTH_RAW,   /* before normalisation */
};

/* Copies the first n <= dimensions numbers of a row's vector. */
void sb_embedding_vector(const struct sb_embedding *embedding, size_t row, size_t n, enum sb_length length, float *out);

#endif
