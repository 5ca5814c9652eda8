/* Rows of a golden training batch ("r0/ids" ...), as a pass takes them. Static: each test links alone. */
#ifndef SB_TESTS_TRAINING_BATCH_H
#define SB_TESTS_TRAINING_BATCH_H

#include "model/network_impl.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX_ROWS = 16, BATCH_MAX_TOKENS = 512 };

struct training_batch {
    struct sb_pass_row rows[BATCH_MAX_ROWS];
    uint8_t segments[BATCH_MAX_TOKENS];
    size_t count, tokens;
    /* The seq2seq loss: at each position the next token, where that is a target (segment 1). */
    size_t positions[BATCH_MAX_TOKENS];
    int32_t labels[BATCH_MAX_TOKENS];
    size_t targets;
};

static inline const char *batch_key(const char *folder, int row, const char *name)
{
    static char keys[4][96];
    static int next;
    char *key = keys[next++ % 4];
    snprintf(key, sizeof keys[0], "%sr%d/%s", folder, row, name);
    return key;
}

/* Rows first .. of the file, until there are none or `most`. folder: "" or e.g. "held/". */
static inline void batch_read(struct training_batch *b, const struct golden_tensors *g, const char *folder, int first,
                              int most)
{
    memset(b, 0, sizeof *b);
    for (int r = first; r < first + most && golden_has(g, batch_key(folder, r, "ids")); r++) {
        struct sb_pass_row *row = &b->rows[b->count++];
        row->ids = golden_i32(g, batch_key(folder, r, "ids"), &row->length);
        row->prefix = (size_t)golden_i32(g, batch_key(folder, r, "prefix"), NULL)[0];
        const int32_t *segments = golden_i32(g, batch_key(folder, r, "segments"), NULL);
        row->segments = b->segments + b->tokens;
        for (size_t i = 0; i < row->length; i++) {
            b->segments[b->tokens + i] = (uint8_t)segments[i];
            if (i > 0 && segments[i]) {
                b->positions[b->targets] = b->tokens + i - 1;
                b->labels[b->targets++] = row->ids[i];
            }
        }
        b->tokens += row->length;
    }
    ck_assert_uint_gt(b->count, 0);
}

/* Cross entropy of labels, the mean over them: what sb_pass_logits calls. */
struct batch_entropy {
    const struct training_batch *batch;
    size_t words;
    double sum;
};

static inline void batch_entropy(void *context, float *logits, size_t first, size_t count)
{
    struct batch_entropy *e = context;
    for (size_t r = 0; r < count; r++) {
        float *row = logits + r * e->words;
        int32_t label = e->batch->labels[first + r];
        double top = row[0], total = 0;
        for (size_t i = 1; i < e->words; i++)
            top = row[i] > top ? row[i] : top;
        for (size_t i = 0; i < e->words; i++)
            total += exp(row[i] - top);
        e->sum += top + log(total) - row[label];
        for (size_t i = 0; i < e->words; i++)
            row[i] = (float)((exp(row[i] - top) / total - ((int32_t)i == label)) / (double)e->batch->targets);
    }
}

/* The TensorFlow name of a parameter, under which goldens have it. */
static inline const char *tensorflow_name(const struct sb_network *n, size_t parameter)
{
    static char name[160];
    struct sb_parameter_role role = n->roles[parameter];
    const char *pattern = sb_param_info(role.role)->tensorflow, *hole = strstr(pattern, "%d");
    if (hole)
        snprintf(name, sizeof name, "%.*s%d%s", (int)(hole - pattern), pattern, role.layer, hole + 2);
    else
        snprintf(name, sizeof name, "%s", pattern);
    return name;
}

/* Element i of a parameter in a golden tensor: kernels are stored [in, out] there. */
static inline float golden_element(const struct sb_network *n, size_t parameter, const float *tensor, size_t i)
{
    const struct sb_parameter *p = &n->items[parameter];
    if (!sb_param_info(n->roles[parameter].role)->is_kernel)
        return tensor[i];
    return tensor[i % p->columns * p->rows + i / p->columns];
}

/* Every parameter that the file has below `folder` against ours: |difference| <= absolute + relative * |reference|. Key biases
   are left out: their gradient is zero in exact arithmetic. Returns how many parameters were compared. */
static inline size_t assert_parameters(const struct sb_network *n, const float *ours, const struct golden_tensors *g,
                                       const char *folder, double absolute, double relative)
{
    size_t compared = 0;
    for (size_t i = 0; i < n->parameters.count; i++) {
        char key[256];
        const struct sb_parameter *p = &n->items[i];
        snprintf(key, sizeof key, "%s%s", folder, tensorflow_name(n, i));
        if (n->roles[i].role == SB_KEY_BIAS || !golden_has(g, key))
            continue;
        size_t count;
        const float *reference = golden_f32(g, key, &count);
        ck_assert_uint_eq(count, p->rows * p->columns);
        for (size_t j = 0; j < count; j++) {
            double expected = golden_element(n, i, reference, j), got = ours[p->offset + j];
            ck_assert_msg(fabs(got - expected) <= absolute + relative * fabs(expected), "%s[%zu]: %.9g, reference %.9g",
                          key, j, got, expected);
        }
        compared++;
    }
    return compared;
}

#endif
