/*
 * The parameters of a network that is trained: one flat array of floats, and a table that says what lies where. Gradients,
 * optimizer moments and averages are arrays of the same layout, so everything that works on "all weights" is one loop.
 *
 *     for (size_t i = 0; i < parameters->count; i++) {
 *         const struct sb_parameter *p = &parameters->items[i];
 *         update(values + p->offset, gradients + p->offset, p->rows * p->columns, p->decays);
 *     }
 */
#ifndef SB_MODEL_PARAMETERS_H
#define SB_MODEL_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

enum { SB_PARAMETER_NAME_MAX = 128 };

struct sb_parameter {
    char name[SB_PARAMETER_NAME_MAX]; /* Hugging Face's, as saved: "bert.encoder.layer.0.attention.self.query.weight" */
    int rank;                         /* 1 or 2 */
    size_t rows, columns;             /* rank 2: [out, in]; rank 1: rows 1 */
    size_t offset;                    /* in floats */
    bool decays;                      /* weight decay applies by default: not to biases and LayerNorm */
    bool is_new;                      /* the checkpoint had none: to be initialised (zero until then) */
};

struct sb_parameters {
    const struct sb_parameter *items; /* [count], by offset */
    size_t count;
    size_t size; /* floats of the flat array; the gaps between parameters are and stay zero */
};

/* NULL if there is none. */
const struct sb_parameter *sb_parameters_find(const struct sb_parameters *parameters, const char *name);

#endif
