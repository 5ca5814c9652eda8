/* The tensors of golden/optim as a flat array of parameters, as every test of an optimizer needs them. */
#ifndef SB_TESTS_TRAINING_OPTIM_FIXTURE_H
#define SB_TESTS_TRAINING_OPTIM_FIXTURE_H

#include "model/parameters.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIM_TENSORS = 6, OPTIM_GRADIENTS = 3 };

struct optim_fixture {
    struct golden_tensors golden;
    struct sb_parameter items[OPTIM_TENSORS];
    struct sb_parameters parameters;
    float *values, *gradients[OPTIM_GRADIENTS]; /* [parameters.size]; step t takes gradients[(t - 1) % 3] */
};

static inline const char *optim_name(const char *run, const char *what, const char *tensor)
{
    static char name[256];
    snprintf(name, sizeof name, "%s%s%s/%s", run, *what ? "/" : "", what, tensor);
    return name;
}

/* A copy of RUN/TENSOR of every tensor in the flat layout; the gaps are zero. */
static inline float *optim_flat(const struct optim_fixture *fixture, const char *run)
{
    float *flat = calloc(fixture->parameters.size, sizeof *flat);
    for (size_t i = 0; i < OPTIM_TENSORS; i++) {
        const struct sb_parameter *p = &fixture->items[i];
        size_t count;
        const float *tensor = golden_f32(&fixture->golden, optim_name(run, "", p->name), &count);
        ck_assert_uint_eq(count, p->rows * p->columns);
        memcpy(flat + p->offset, tensor, count * sizeof *flat);
    }
    return flat;
}

/* values are where training starts. Gaps of different widths lie between the tensors. */
static inline void optim_open(struct optim_fixture *fixture)
{
    static const struct sb_parameter shapes[OPTIM_TENSORS] = {
        {.name = "dense/kernel", .rank = 2, .rows = 6, .columns = 9, .decays = true},
        {.name = "dense/bias", .rank = 1, .rows = 1, .columns = 9},
        {.name = "Norm/gamma", .rank = 1, .rows = 1, .columns = 7},
        {.name = "tiny/kernel", .rank = 2, .rows = 4, .columns = 3, .decays = true},
        {.name = "big/kernel", .rank = 2, .rows = 130, .columns = 144, .decays = true},
        {.name = "conv/kernel", .rank = 2, .rows = 12, .columns = 5, .decays = true}, /* [3, 4, 5] */
    };
    memset(fixture, 0, sizeof *fixture);
    fixture->golden = golden_open("optim/steps.safetensors");
    size_t offset = 0;
    for (size_t i = 0; i < OPTIM_TENSORS; i++) {
        fixture->items[i] = shapes[i];
        fixture->items[i].offset = offset;
        offset += shapes[i].rows * shapes[i].columns + i;
    }
    fixture->parameters = (struct sb_parameters){fixture->items, OPTIM_TENSORS, offset};
    fixture->values = optim_flat(fixture, "w");
    fixture->gradients[0] = optim_flat(fixture, "g0");
    fixture->gradients[1] = optim_flat(fixture, "g1");
    fixture->gradients[2] = optim_flat(fixture, "g2");
}

static inline void optim_close(struct optim_fixture *fixture)
{
    for (int i = 0; i < OPTIM_GRADIENTS; i++)
        free(fixture->gradients[i]);
    free(fixture->values);
    golden_close(&fixture->golden);
}

static inline const float *optim_gradients(const struct optim_fixture *fixture, int step)
{
    return fixture->gradients[(step - 1) % OPTIM_GRADIENTS];
}

/* Compares with RUN/WHAT/TENSOR of every tensor that the file has, to 1e-5; returns how many those were. */
static inline int optim_compare(const struct optim_fixture *fixture, const float *values, const char *run,
                                const char *what)
{
    int compared = 0;
    for (size_t i = 0; i < OPTIM_TENSORS; i++) {
        const struct sb_parameter *p = &fixture->items[i];
        const char *name = optim_name(run, what, p->name);
        if (!golden_has(&fixture->golden, name))
            continue;
        compared++;
        const float *want = golden_f32(&fixture->golden, name, NULL);
        for (size_t j = 0; j < p->rows * p->columns; j++)
            ck_assert_msg(fabs((double)values[p->offset + j] - (double)want[j]) <= 1e-5, "%s[%zu]: %.9g, not %.9g",
                          name, j, (double)values[p->offset + j], (double)want[j]);
    }
    return compared;
}

#endif
