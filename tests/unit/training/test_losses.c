/*
 * Losses on vectors: values and all gradients against tests/golden/losses, central differences of every loss by every
 * input, shares of rows that add up to the whole, and what is refused.
 */
#include "base/random.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"
#include "training/losses.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, DIMENSIONS = 12, MOST = 2 * ROWS * DIMENSIONS };

static const struct sb_loss_class *find(const char *name)
{
    struct sb_error error = {0};
    const struct sb_loss_class *class = sb_loss_find(name, &error);
    ck_assert_msg(class != NULL, "%s", error.message);
    return class;
}

static struct sb_loss *new_loss(const struct sb_loss_class *class, const struct sb_loss_options *options, size_t rows,
                                size_t dimensions)
{
    struct sb_error error = {0};
    struct sb_loss *loss;
    enum sb_status status = sb_loss_new(&loss, class, options, rows, dimensions, &error);
    ck_assert_msg(status == SB_OK, "%s", error.message);
    return loss;
}

static double run(struct sb_loss *loss, const struct sb_loss_input *input)
{
    struct sb_error error = {0};
    double value;
    enum sb_status status = sb_loss_run(loss, input, &value, &error);
    ck_assert_msg(status == SB_OK, "%s", error.message);
    return value;
}

/* ---- golden values ---- */

static const struct sb_loss_cut golden_cuts[] = {{12, 1.0}, {8, 1.0}, {4, 0.5}};

static const struct golden_case {
    const char *name, *loss;
    double scale, margin; /* 0: the default */
    enum sb_loss_distance distance;
    const char *scores;
    bool negatives, cuts;
    size_t classes;
} cases[] = {
    {.name = "cosent", .loss = "cosent", .scores = "score"},
    {.name = "cosent-scale5-binary", .loss = "cosent", .scale = 5, .scores = "label"},
    {.name = "mnrl", .loss = "multiple_negatives"},
    {.name = "mnrl-negatives", .loss = "multiple_negatives", .negatives = true},
    {.name = "mnrl-symmetric", .loss = "multiple_negatives_symmetric"},
    {.name = "mnrl-symmetric-scale5", .loss = "multiple_negatives_symmetric", .scale = 5},
    {.name = "mnrl-gte", .loss = "multiple_negatives_gte", .scale = 10},
    {.name = "cosine-similarity", .loss = "cosine_similarity", .scores = "score"},
    {.name = "contrastive", .loss = "contrastive", .scores = "label"},
    {.name = "contrastive-euclidean",
     .loss = "contrastive",
     .margin = 4,
     .distance = SB_LOSS_EUCLIDEAN,
     .scores = "label"},
    {.name = "online-contrastive", .loss = "online_contrastive", .scores = "label"},
    {.name = "triplet-euclidean", .loss = "triplet", .margin = 1, .distance = SB_LOSS_EUCLIDEAN, .negatives = true},
    {.name = "triplet-cosine", .loss = "triplet", .margin = 0.5, .negatives = true},
    {.name = "angle", .loss = "angle", .scores = "score"},
    {.name = "matryoshka-mnrl", .loss = "multiple_negatives", .cuts = true},
    {.name = "matryoshka-cosent", .loss = "cosent", .scores = "score", .cuts = true},
    {.name = "simbert-30", .loss = "in_batch_similarity"},
    {.name = "simbert-20", .loss = "in_batch_similarity", .scale = 20},
    {.name = "distill", .loss = "distillation"},
    {.name = "softmax3", .loss = "softmax", .classes = 3},
    {.name = "softmax5", .loss = "softmax", .classes = 5},
};

enum { CASES = sizeof cases / sizeof *cases };

static const float *tensor(const struct golden_tensors *golden, const char *base, const char *part, size_t *count)
{
    char name[100];
    snprintf(name, sizeof name, "%s/%s", base, part);
    return golden_f32(golden, name, count);
}

/* An entry's own size counts, and for the smallest ones that of the tensor. */
static void same_tensor(const char *name, const char *part, const float *mine, const float *theirs, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)theirs[i]));
    for (size_t i = 0; i < count; i++) {
        double bound = 1e-5 * fmax(fabs((double)theirs[i]), largest / 100);
        ck_assert_msg(fabs((double)mine[i] - (double)theirs[i]) <= bound, "%s/%s[%zu]: %.9g, not %.9g", name, part, i,
                      (double)mine[i], (double)theirs[i]);
    }
}

/* Kernels are [in, out] there and [out, in] here. */
static void transpose(float *to, const float *from, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}

/* What a case needs beside the vectors. */
struct extras {
    float kernel[5 * 3 * DIMENSIONS], dkernel[5 * 3 * DIMENSIONS];
    struct sb_class_range ranges[ROWS];
};

static void add_extras(struct sb_loss_input *input, struct extras *extras, const struct golden_case *c,
                       const struct golden_tensors *golden)
{
    if (c->scores)
        input->scores = golden_f32(golden, c->scores, NULL);
    if (strcmp(c->loss, "distillation") == 0)
        input->teacher = golden_f32(golden, "teacher_similarity", NULL);
    if (c->classes == 0)
        return;
    char name[100];
    snprintf(name, sizeof name, "%s/label", c->name);
    input->classes = golden_i32(golden, name, NULL);
    transpose(extras->kernel, tensor(golden, c->name, "kernel", NULL), 3 * DIMENSIONS, c->classes);
    input->kernel = extras->kernel;
    input->dkernel = extras->dkernel;
    if (c->classes == 5) {
        const int32_t *mask = golden_i32(golden, "softmax5/mask", NULL);
        for (size_t i = 0; i < ROWS; i++)
            extras->ranges[i] = mask[i * 5] ? (struct sb_class_range){0, 2} : (struct sb_class_range){2, 3};
        input->ranges = extras->ranges;
    }
}

START_TEST(values_and_gradients_are_the_references)
{
    const struct golden_case *c = &cases[_i];
    const struct sb_loss_class *class = find(c->loss);
    struct golden_tensors golden = golden_open("losses/vectors.safetensors");
    struct sb_loss_options options = sb_loss_defaults(class);
    bool interleaved = class->takes == SB_LOSS_ROWS;
    size_t rows = interleaved ? 2 * ROWS : ROWS, matrices = interleaved ? 1 : c->negatives ? 3 : 2, count;
    options.scale = c->scale > 0 ? c->scale : options.scale;
    options.margin = c->margin > 0 ? c->margin : options.margin;
    options.distance = c->distance;
    options.classes = c->classes;
    options.cuts = golden_cuts;
    options.cut_count = c->cuts ? 3 : 0;
    struct sb_loss *loss = new_loss(class, &options, rows, DIMENSIONS);
    struct extras extras = {0};
    static const char *const names[] = {"u", "v", "negative"};
    float gradients[3][MOST] = {0};
    struct sb_loss_input input = {.rows = rows, .weight = 1};
    for (size_t m = 0; m < matrices; m++)
        input.vectors[m] = (struct sb_loss_vectors){golden_f32(&golden, interleaved ? "interleaved" : names[m], NULL),
                                                    gradients[m], DIMENSIONS};
    add_extras(&input, &extras, c, &golden);
    float value = (float)run(loss, &input);
    same_tensor(c->name, "loss", &value, tensor(&golden, c->name, "loss", NULL), 1);
    for (size_t m = 0; m < matrices; m++) {
        char part[20];
        snprintf(part, sizeof part, "grad%zu", m);
        const float *theirs = tensor(&golden, c->name, part, &count);
        ck_assert_uint_eq(count, rows * DIMENSIONS);
        same_tensor(c->name, part, gradients[m], theirs, count);
    }
    if (c->classes > 0) {
        float theirs[5 * 3 * DIMENSIONS];
        transpose(theirs, tensor(&golden, c->name, "grad2", NULL), 3 * DIMENSIONS, c->classes);
        same_tensor(c->name, "grad2", extras.dkernel, theirs, c->classes * 3 * DIMENSIONS);
    }
    sb_loss_free(loss);
    golden_close(&golden);
}
END_TEST

START_TEST(every_golden_loss_is_tested)
{
    struct golden_tensors golden = golden_open("losses/vectors.safetensors");
    size_t found = 0;
    for (const cJSON *entry = golden.header->child; entry; entry = entry->next)
        found += strlen(entry->string) > 5 && strcmp(entry->string + strlen(entry->string) - 5, "/loss") == 0;
    ck_assert_uint_eq(found, CASES);
    for (size_t i = 0; i < CASES; i++)
        tensor(&golden, cases[i].name, "loss", NULL);
    golden_close(&golden);
}
END_TEST

/* ---- made inputs, for every loss of the table ---- */

/* Everything that any loss may need; each takes its part. */
struct made {
    float vectors[3][MOST], gradients[3][MOST];
    float scores[2 * ROWS], teacher[4 * ROWS * ROWS], kernel[4 * 3 * DIMENSIONS], dkernel[4 * 3 * DIMENSIONS];
    int32_t classes[2 * ROWS];
    struct sb_class_range ranges[2 * ROWS];
    struct sb_loss_input input;
};

static struct made *make(const struct sb_loss_class *class, size_t rows, bool with_negatives)
{
    struct made *m = calloc(1, sizeof *m);
    bool labels = class->needs & SB_LOSS_NEEDS_LABELS;
    for (size_t i = 0; i < MOST; i++) {
        m->vectors[0][i] = (float)sb_random_normal(1, 0, i);
        m->vectors[1][i] = 0.6f * m->vectors[0][i] + (float)(0.8 * sb_random_normal(1, 1, i));
        m->vectors[2][i] = 0.2f * m->vectors[0][i] + (float)sb_random_normal(1, 2, i);
    }
    for (size_t i = 0; i < 2 * ROWS; i++) {
        m->scores[i] = labels ? (float)(i % 2) : (float)sb_random_uniform(1, 3, i);
        m->classes[i] = (int32_t)(i % 4);
        m->ranges[i] = i % 4 < 2 ? (struct sb_class_range){0, 2} : (struct sb_class_range){2, 2};
    }
    for (size_t i = 0; i < 4 * ROWS * ROWS; i++)
        m->teacher[i] = (float)sb_random_uniform(1, 4, i);
    for (size_t i = 0; i < 4 * 3 * DIMENSIONS; i++)
        m->kernel[i] = (float)sb_random_normal(1, 5, i) / 3;
    m->input = (struct sb_loss_input){.rows = rows,
                                      .scores = m->scores,
                                      .teacher = m->teacher,
                                      .classes = m->classes,
                                      .ranges = m->ranges,
                                      .kernel = m->kernel,
                                      .dkernel = m->dkernel,
                                      .weight = 1};
    size_t matrices = sb_loss_matrices(class) + (with_negatives ? 1 : 0);
    for (size_t i = 0; i < matrices; i++)
        m->input.vectors[i] = (struct sb_loss_vectors){m->vectors[i], m->gradients[i], DIMENSIONS};
    return m;
}

static void differences(const char *name, struct sb_loss *loss, const struct made *m, float *x, const float *dx,
                        size_t count)
{
    struct sb_loss_input input = m->input;
    double largest = 0, step = 1.0 / 4096;
    input.dkernel = NULL;
    for (size_t i = 0; i < SB_LOSS_MATRICES; i++)
        input.vectors[i].dx = NULL;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)dx[i]));
    ck_assert_msg(largest > 0, "%s: the gradient is zero", name);
    for (size_t i = 0; i < count; i++) {
        float at = x[i], above = (float)(at + step), below = (float)(at - step);
        x[i] = above;
        double up = run(loss, &input);
        x[i] = below;
        double down = run(loss, &input);
        x[i] = at;
        double estimate = (up - down) / ((double)above - (double)below);
        ck_assert_msg(fabs(estimate - (double)dx[i]) <= 2e-5 * largest,
                      "%s: gradient %zu is %.9g, differences give %.9g", name, i, (double)dx[i], estimate);
    }
}

static void check_differences(const struct sb_loss_class *class, const struct sb_loss_options *options,
                              bool with_negatives)
{
    struct made *m = make(class, ROWS, with_negatives);
    struct sb_loss *loss = new_loss(class, options, 2 * ROWS, DIMENSIONS);
    run(loss, &m->input);
    for (size_t i = 0; i < sb_loss_matrices(class) + (with_negatives ? 1 : 0); i++)
        differences(class->name, loss, m, m->vectors[i], m->gradients[i], ROWS * DIMENSIONS);
    if (class->needs & SB_LOSS_NEEDS_CLASSES)
        differences(class->name, loss, m, m->kernel, m->dkernel, 4 * 3 * DIMENSIONS);
    sb_loss_free(loss);
    free(m);
}

START_TEST(gradients_are_those_of_differences)
{
    static const struct sb_loss_cut cuts[] = {{DIMENSIONS, 1}, {7, 0.25}, {1, 0.5}};
    for (size_t i = 0; sb_loss_at(i); i++) {
        const struct sb_loss_class *class = sb_loss_at(i);
        struct sb_loss_options options = sb_loss_defaults(class);
        options.scale = fmin(options.scale, 5); /* differences err by the third derivative, which is as its cube */
        options.classes = 4;
        for (int distance = SB_LOSS_COSINE; distance <= SB_LOSS_EUCLIDEAN; distance++) {
            options.distance = (enum sb_loss_distance)distance;
            options.margin = distance == SB_LOSS_COSINE ? 0.9 : 6;
            check_differences(class, &options, false);
            if (class->takes == SB_LOSS_PAIRS_AND_NEGATIVES)
                check_differences(class, &options, true);
        }
        options.cuts = cuts;
        options.cut_count = 3;
        options.margin = 0.9;
        if (!(class->needs & SB_LOSS_NEEDS_CLASSES) && strcmp(class->name, "angle") != 0)
            check_differences(class, &options, false);
        options.cut_count = 2;
        if (strcmp(class->name, "angle") == 0)
            check_differences(class, &options, false); /* an odd dimension; of one alone the angle is constant */
    }
}
END_TEST

/* ---- shares of rows ---- */

START_TEST(shares_of_rows_add_up)
{
    static const size_t ends[] = {3, 4, ROWS};
    for (size_t i = 0; sb_loss_at(i); i++) {
        const struct sb_loss_class *class = sb_loss_at(i);
        if (!class->splits)
            continue;
        struct sb_loss_options options = sb_loss_defaults(class);
        bool negatives = class->takes == SB_LOSS_PAIRS_AND_NEGATIVES;
        struct sb_loss *loss = new_loss(class, &options, ROWS, DIMENSIONS);
        struct made *whole = make(class, ROWS, negatives), *parts = make(class, ROWS, negatives);
        double value = run(loss, &whole->input), sum = 0;
        for (size_t p = 0; p < 3; p++) {
            parts->input.local_first = p ? ends[p - 1] : 0;
            parts->input.local_count = ends[p] - parts->input.local_first;
            sum += run(loss, &parts->input);
        }
        ck_assert_msg(fabs(sum - value) <= 1e-12 * value, "%s", class->name);
        for (size_t m = 0; m < sb_loss_matrices(class) + negatives; m++)
            for (size_t e = 0; e < ROWS * DIMENSIONS; e++)
                ck_assert_msg(fabsf(parts->gradients[m][e] - whole->gradients[m][e]) <= 1e-6f, "%s", class->name);
        sb_loss_free(loss);
        free(whole);
        free(parts);
    }
}
END_TEST

/* ---- weights, strides, degenerate vectors ---- */

START_TEST(gradients_are_added_weighted_and_strided)
{
    const struct sb_loss_class *class = find("cosent");
    struct sb_loss_options options = sb_loss_defaults(class);
    struct sb_loss *loss = new_loss(class, &options, ROWS, DIMENSIONS);
    struct made *apart = make(class, ROWS, false);
    double value = run(loss, &apart->input);
    float both[MOST], gradients[MOST];
    for (size_t i = 0; i < MOST; i++) {
        size_t row = i / DIMENSIONS, column = i % DIMENSIONS;
        both[i] = apart->vectors[row % 2][row / 2 * DIMENSIONS + column];
        gradients[i] = 1;
    }
    struct sb_loss_input input = apart->input;
    input.weight = -2;
    input.vectors[0] = (struct sb_loss_vectors){both, gradients, 2 * DIMENSIONS};
    input.vectors[1] = (struct sb_loss_vectors){both + DIMENSIONS, gradients + DIMENSIONS, 2 * DIMENSIONS};
    ck_assert_double_eq(run(loss, &input), value);
    for (size_t i = 0; i < MOST; i++) {
        size_t row = i / DIMENSIONS, column = i % DIMENSIONS;
        float g = apart->gradients[row % 2][row / 2 * DIMENSIONS + column];
        ck_assert_msg(fabsf(gradients[i] - (1 - 2 * g)) <= 1e-6f * fmaxf(1, fabsf(g)), "%zu", i);
    }
    sb_loss_free(loss);
    free(apart);
}
END_TEST

/* Rows of zeros, equal rows, huge and tiny ones: no loss and no gradient stops being a number. */
START_TEST(degenerate_vectors_stay_finite)
{
    for (size_t i = 0; sb_loss_at(i); i++) {
        const struct sb_loss_class *class = sb_loss_at(i);
        struct sb_loss_options options = sb_loss_defaults(class);
        options.classes = 4;
        struct sb_loss *loss = new_loss(class, &options, ROWS, DIMENSIONS);
        struct made *m = make(class, ROWS, false);
        for (size_t matrix = 0; matrix < 3; matrix++)
            for (size_t d = 0; d < DIMENSIONS; d++) {
                m->vectors[matrix][d] = 0;
                m->vectors[matrix][DIMENSIONS + d] = 1;
                m->vectors[matrix][2 * DIMENSIONS + d] *= 1e15f;
                m->vectors[matrix][3 * DIMENSIONS + d] *= 1e-15f;
            }
        ck_assert_msg(isfinite(run(loss, &m->input)), "%s", class->name);
        for (size_t matrix = 0; matrix < sb_loss_matrices(class); matrix++)
            for (size_t e = 0; e < ROWS * DIMENSIONS; e++)
                ck_assert_msg(isfinite(m->gradients[matrix][e]), "%s: row %zu", class->name, e / DIMENSIONS);
        sb_loss_free(loss);
        free(m);
    }
}
END_TEST

/* ---- what is refused ---- */

static void refused_new(const char *name, struct sb_loss_options options, enum sb_status expected, const char *word)
{
    struct sb_loss *loss;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_loss_new(&loss, find(name), &options, ROWS, DIMENSIONS, &error), expected);
    ck_assert_msg(loss == NULL && strstr(error.message, word) && strstr(error.message, name), "%s", error.message);
}

START_TEST(bad_options_are_refused)
{
    static const struct sb_loss_cut too_wide = {DIMENSIONS + 1, 1}, none = {0, 1}, negative = {4, -1};
    struct sb_error error = {0};
    struct sb_loss *loss;
    ck_assert_ptr_null(sb_loss_find("cosnet", &error));
    ck_assert_msg(strstr(error.message, "cosnet") && strstr(error.message, "in_batch_similarity"), "%s", error.message);
    refused_new("cosent", (struct sb_loss_options){.scale = 0}, SB_INVALID, "scale 0");
    refused_new("cosent", (struct sb_loss_options){.scale = (double)NAN}, SB_INVALID, "scale");
    refused_new("triplet", (struct sb_loss_options){.scale = 1, .margin = -1}, SB_INVALID, "margin -1");
    refused_new("softmax", (struct sb_loss_options){.scale = 1, .classes = 1}, SB_INVALID, "1 classes");
    refused_new("softmax", (struct sb_loss_options){.scale = 1, .classes = 3, .cuts = &too_wide, .cut_count = 1},
                SB_UNSUPPORTED, "Matryoshka");
    refused_new("cosent", (struct sb_loss_options){.scale = 1, .cuts = &too_wide, .cut_count = 1}, SB_INVALID, "13");
    refused_new("cosent", (struct sb_loss_options){.scale = 1, .cuts = &none, .cut_count = 1}, SB_INVALID, "0");
    refused_new("cosent", (struct sb_loss_options){.scale = 1, .cuts = &negative, .cut_count = 1}, SB_INVALID, "-1");
    refused_new("cosent", (struct sb_loss_options){.scale = 1, .cuts = &none, .cut_count = 17}, SB_INVALID, "17");
    struct sb_loss_options options = sb_loss_defaults(find("cosent"));
    ck_assert_int_eq(sb_loss_new(&loss, find("cosent"), &options, 0, DIMENSIONS, &error), SB_LIMIT);
    ck_assert_int_eq(sb_loss_new(&loss, find("cosent"), &options, (size_t)1 << 40, DIMENSIONS, &error), SB_LIMIT);
}
END_TEST

static void refused_run(const char *name, const struct sb_loss_input *input, enum sb_status expected, const char *word)
{
    struct sb_loss_options options = sb_loss_defaults(find(name));
    struct sb_error error = {0};
    double value;
    options.classes = 4;
    struct sb_loss *loss = new_loss(find(name), &options, ROWS, DIMENSIONS);
    ck_assert_int_eq(sb_loss_run(loss, input, &value, &error), expected);
    ck_assert_msg(strstr(error.message, word) && strstr(error.message, name), "%s", error.message);
    sb_loss_free(loss);
}

START_TEST(bad_inputs_are_refused)
{
    struct made *m = make(find("contrastive"), ROWS, false);
    struct sb_loss_input input = m->input;
    input.rows = ROWS + 1;
    refused_run("cosent", &input, SB_LIMIT, "9 rows");
    input.rows = 0;
    refused_run("cosent", &input, SB_LIMIT, "0 rows");
    input.rows = 7;
    refused_run("in_batch_similarity", &input, SB_INVALID, "7 rows");
    input = m->input;
    refused_run("triplet", &input, SB_INVALID, "number 3");
    input.local_count = 2;
    refused_run("cosent", &input, SB_UNSUPPORTED, "by rows");
    input.local_first = 7;
    refused_run("multiple_negatives", &input, SB_INVALID, "rows 7 to 9");
    input = m->input;
    input.scores = NULL;
    refused_run("cosent", &input, SB_INVALID, "scores");
    input.teacher = NULL;
    refused_run("distillation", &input, SB_INVALID, "teacher");
    input.kernel = NULL;
    refused_run("softmax", &input, SB_INVALID, "kernel");
    m->scores[5] = 0.5f;
    refused_run("contrastive", &m->input, SB_INVALID, "row 5 is 0.5");
    m->scores[5] = NAN;
    refused_run("cosent", &m->input, SB_INVALID, "row 5");
    m->classes[2] = 1;
    refused_run("softmax", &m->input, SB_INVALID, "row 2 is 1");
    m->ranges[2].count = 3;
    refused_run("softmax", &m->input, SB_INVALID, "row 2 has 3");
    free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("losses");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, values_and_gradients_are_the_references, 0, CASES);
    tcase_add_test(tcase, every_golden_loss_is_tested);
    tcase_add_test(tcase, gradients_are_those_of_differences);
    tcase_add_test(tcase, shares_of_rows_add_up);
    tcase_add_test(tcase, gradients_are_added_weighted_and_strided);
    tcase_add_test(tcase, degenerate_vectors_stay_finite);
    tcase_add_test(tcase, bad_options_are_refused);
    tcase_add_test(tcase, bad_inputs_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
