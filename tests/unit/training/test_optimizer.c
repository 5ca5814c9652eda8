/* The optimizers against bert4keras' own steps on given gradients; their state; threads; memory. */
#include "tests/unit/training/optim_fixture.h"
#include "training/lookahead.h"
#include "training/optimizer.h"
#include "training/schedule.h"
#include "training/weight_average.h"

static const char *const none[] = {NULL}, *const norms_and_biases[] = {"Norm", "bias", NULL};

/* The golden runs decay every weight unless they say otherwise. */
static struct sb_optimizer_options options_of(const char *name)
{
    struct sb_optimizer_options options;
    ck_assert_int_eq(sb_optimizer_options_named(&options, name, NULL), SB_OK);
    options.decay_exclusions = options.adaptation_exclusions = none;
    if (options.weight_decay > 0)
        options.weight_decay = 0.1;
    return options;
}

static struct sb_optimizer *make(const struct optim_fixture *f, const struct sb_optimizer_options *options,
                                 struct sb_pool *pool)
{
    struct sb_optimizer *optimizer;
    struct sb_error error;
    ck_assert_msg(sb_optimizer_new(&optimizer, options, &f->parameters, pool, &error) == SB_OK, "%s", error.message);
    return optimizer;
}

/* Ten steps at a rate of .01 (or the schedule's), compared after the steps that the golden file holds. */
static void run_with(const char *run, const struct sb_optimizer_options *options, double rate,
                     const struct sb_schedule *schedule, int tensors)
{
    struct optim_fixture f;
    optim_open(&f);
    struct sb_optimizer *optimizer = make(&f, options, NULL);
    int compared = 0;
    for (int step = 1; step <= 10; step++) {
        char what[16];
        snprintf(what, sizeof what, "step%d", step);
        double now = schedule ? sb_schedule_rate(schedule, (uint64_t)step - 1) : rate;
        sb_optimizer_step(optimizer, f.values, optim_gradients(&f, step), now);
        compared += optim_compare(&f, f.values, run, what);
    }
    ck_assert_int_eq(compared, tensors);
    ck_assert_uint_eq(sb_optimizer_steps(optimizer), 10);
    sb_optimizer_free(optimizer);
    optim_close(&f);
}

enum { SMALL = 4 * 5, WITH_BIG = SMALL + 1 }; /* tensors of a golden run: the big one is there after step 10 only */

START_TEST(adam_steps)
{
    struct sb_optimizer_options options = options_of("adam");
    run_with("adam", &options, 0.01, NULL, SMALL);
    options.bias_correction = SB_CORRECTION_NONE;
    run_with("adam-nocorrection", &options, 0.01, NULL, SMALL);
    options = options_of("adam_keras");
    run_with("adam-plain-keras", &options, 0.01, NULL, SMALL);
}
END_TEST

START_TEST(adamw_steps)
{
    struct sb_optimizer_options options = options_of("adamw");
    run_with("adamw", &options, 0.01, NULL, SMALL);
    struct sb_schedule schedule = {
        .kind = SB_SCHEDULE_PIECEWISE, .peak = 0.01, .points = {{3, 1}, {8, 0.1}}, .point_count = 2};
    run_with("adamw-schedule", &options, 0, &schedule, SMALL);
    options.decay_exclusions = norms_and_biases;
    run_with("adamw-exclude", &options, 0.01, NULL, SMALL);
    options.decay_exclusions = NULL; /* the table says the same */
    run_with("adamw-exclude", &options, 0.01, NULL, SMALL);
}
END_TEST

START_TEST(lamb_steps)
{
    struct sb_optimizer_options options = options_of("lamb");
    run_with("lamb", &options, 0.01, NULL, SMALL);
    options.decay_exclusions = options.adaptation_exclusions = norms_and_biases;
    run_with("lamb-exclude", &options, 0.01, NULL, SMALL);
    options.decay_exclusions = options.adaptation_exclusions = NULL;
    run_with("lamb-exclude", &options, 0.01, NULL, SMALL);
}
END_TEST

START_TEST(adafactor_steps)
{
    const struct sb_optimizer_options defaults = options_of("adafactor");
    struct sb_optimizer_options options = defaults;
    run_with("adafactor", &options, 0.01, NULL, WITH_BIG);
    options.min_factored_size = 1000;
    run_with("adafactor-unfactored", &options, 0.01, NULL, WITH_BIG);
    options = defaults;
    options.beta1 = 0.9;
    run_with("adafactor-beta1", &options, 0.01, NULL, WITH_BIG);
    options = defaults;
    options.beta2 = 0.99;
    run_with("adafactor-beta2", &options, 0.01, NULL, SMALL);
    options = defaults;
    options.clip = 0;
    run_with("adafactor-noclip", &options, 0.01, NULL, SMALL);
    options = defaults;
    options.scale_by_parameter = false;
    run_with("adafactor-noscale", &options, 0.01, NULL, SMALL);
    options.relative_step = true;
    run_with("adafactor-auto-noscale", &options, 1, NULL, WITH_BIG);
    options.scale_by_parameter = true;
    run_with("adafactor-auto", &options, 1, NULL, SMALL);
}
END_TEST

START_TEST(weight_average_steps)
{
    struct optim_fixture f;
    optim_open(&f);
    struct sb_optimizer_options options = options_of("adam");
    struct sb_optimizer *optimizer = make(&f, &options, NULL);
    struct sb_weight_average *average;
    ck_assert_int_eq(sb_weight_average_new(&average, 0.9, f.parameters.size, NULL, NULL), SB_OK);
    for (int step = 1; step <= 10; step++) {
        sb_optimizer_step(optimizer, f.values, optim_gradients(&f, step), 0.01);
        sb_weight_average_update(average, f.values);
    }
    ck_assert_int_eq(optim_compare(&f, f.values, "ema", "step10"), 5);
    const struct sb_state_array *raw;
    ck_assert_uint_eq(sb_weight_average_state(average, &raw), 1);
    ck_assert_int_eq(optim_compare(&f, raw->values, "ema", "raw"), 5);
    sb_weight_average_read(average, f.values);
    ck_assert_int_eq(optim_compare(&f, f.values, "ema", "applied"), 5);
    sb_weight_average_free(average);
    sb_optimizer_free(optimizer);
    optim_close(&f);
}
END_TEST

START_TEST(lookahead_steps)
{
    struct optim_fixture f;
    optim_open(&f);
    struct sb_optimizer_options options = options_of("adam");
    struct sb_optimizer *optimizer = make(&f, &options, NULL);
    struct sb_lookahead *lookahead;
    ck_assert_int_eq(sb_lookahead_new(&lookahead, &(struct sb_lookahead_options){.interval = 5, .rate = 0.5}, f.values,
                                      f.parameters.size, NULL, NULL),
                     SB_OK);
    for (int step = 1; step <= 10; step++) {
        char what[16];
        snprintf(what, sizeof what, "step%d", step);
        sb_optimizer_step(optimizer, f.values, optim_gradients(&f, step), 0.01);
        sb_lookahead_step(lookahead, f.values);
        ck_assert_int_eq(optim_compare(&f, f.values, "lookahead", what), step % 5 == 0 ? 5 : 0);
    }
    sb_lookahead_free(lookahead);
    sb_optimizer_free(optimizer);
    optim_close(&f);
}
END_TEST

/* ---- What continues, what threads may not change, what it takes ---- */

static struct sb_optimizer_options every_kind(int kind)
{
    struct sb_optimizer_options options = sb_optimizer_defaults((enum sb_optimizer_kind)(kind / 2));
    if (kind / 2 == SB_OPTIMIZER_ADAFACTOR && kind % 2)
        options.beta1 = 0.9; /* and a decay, which no golden run has */
    options.weight_decay = 0.01;
    return options;
}
enum { KINDS = 6 };

START_TEST(state_continues)
{
    struct optim_fixture f;
    optim_open(&f);
    struct sb_optimizer_options options = every_kind(_i);
    struct sb_optimizer *whole = make(&f, &options, NULL), *stopped = make(&f, &options, NULL),
                        *resumed = make(&f, &options, NULL);
    float *other = optim_flat(&f, "w");
    for (int step = 1; step <= 9; step++) {
        sb_optimizer_step(whole, f.values, optim_gradients(&f, step), 0.01);
        sb_optimizer_step(step <= 4 ? stopped : resumed, other, optim_gradients(&f, step), 0.01);
        if (step != 4)
            continue;
        const struct sb_state_array *from, *to;
        size_t count = sb_optimizer_state(stopped, &from);
        ck_assert_uint_gt(count, 0);
        ck_assert_uint_eq(sb_optimizer_state(resumed, &to), count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_str_eq(from[i].name, to[i].name);
            ck_assert_uint_eq(from[i].count, to[i].count);
            memcpy(to[i].values, from[i].values, from[i].count * sizeof(float));
        }
        sb_optimizer_set_steps(resumed, sb_optimizer_steps(stopped));
    }
    ck_assert_mem_eq(f.values, other, f.parameters.size * sizeof *other);
    free(other);
    sb_optimizer_free(whole);
    sb_optimizer_free(stopped);
    sb_optimizer_free(resumed);
    optim_close(&f);
}
END_TEST

START_TEST(average_and_lookahead_continue)
{
    struct optim_fixture f;
    optim_open(&f);
    const struct sb_lookahead_options options = {.interval = 3, .rate = 0.5};
    size_t size = f.parameters.size;
    struct sb_weight_average *averages[2];
    struct sb_lookahead *lookaheads[2];
    float *values[2] = {f.values, optim_flat(&f, "w")}, *averaged[2] = {calloc(size, 4), calloc(size, 4)};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sb_weight_average_new(&averages[i], 0.9, size, NULL, NULL), SB_OK);
        ck_assert_int_eq(sb_lookahead_new(&lookaheads[i], &options, f.gradients[i], size, NULL, NULL), SB_OK);
    }
    for (int step = 1; step <= 8; step++) {
        for (int i = step <= 4 ? 1 : 0; i < 2; i++) { /* [0] takes over after step 4, where it finds [1] */
            for (size_t j = 0; j < size; j++)
                values[i][j] += 0.01F * optim_gradients(&f, step)[j];
            sb_lookahead_step(lookaheads[i], values[i]);
            sb_weight_average_update(averages[i], values[i]);
        }
        if (step != 4)
            continue;
        const struct sb_state_array *from, *to;
        ck_assert_uint_eq(sb_lookahead_state(lookaheads[1], &from), 1);
        ck_assert_uint_eq(sb_lookahead_state(lookaheads[0], &to), 1);
        memcpy(to->values, from->values, from->count * sizeof(float));
        ck_assert_uint_eq(sb_weight_average_state(averages[1], &from), 1);
        ck_assert_uint_eq(sb_weight_average_state(averages[0], &to), 1);
        memcpy(to->values, from->values, from->count * sizeof(float));
        memcpy(values[0], values[1], size * sizeof(float));
        sb_lookahead_set_steps(lookaheads[0], sb_lookahead_steps(lookaheads[1]));
        sb_weight_average_set_updates(averages[0], sb_weight_average_updates(averages[1]));
    }
    ck_assert_mem_eq(values[0], values[1], size * sizeof(float));
    for (int i = 0; i < 2; i++)
        sb_weight_average_read(averages[i], averaged[i]);
    ck_assert_mem_eq(averaged[0], averaged[1], size * sizeof(float));
    for (int i = 0; i < 2; i++) {
        sb_weight_average_free(averages[i]);
        sb_lookahead_free(lookaheads[i]);
        free(averaged[i]);
    }
    free(values[1]);
    optim_close(&f);
}
END_TEST

/* Matrices of several blocks each, with values from a simple recurrence. */
static struct sb_parameter blocks_items[] = {
    {.name = "table", .rank = 2, .rows = 700, .columns = 257, .offset = 0, .decays = true},
    {.name = "wide", .rank = 2, .rows = 3, .columns = 70001, .offset = 700 * 257 + 5, .decays = true},
    {.name = "vector", .rank = 1, .rows = 1, .columns = 33, .offset = 700 * 257 + 5 + 3 * 70001},
};
static const struct sb_parameters blocks = {blocks_items, 3, 700 * 257 + 5 + 3 * 70001 + 33};

static float *numbers(uint32_t seed)
{
    float *x = calloc(blocks.size, sizeof *x);
    for (size_t i = 0; i < blocks.count; i++) {
        const struct sb_parameter *p = &blocks_items[i];
        for (size_t j = 0; j < p->rows * p->columns; j++) {
            seed = seed * 1664525 + 1013904223;
            x[p->offset + j] = (float)(seed >> 8) / (1 << 24) - 0.5F;
        }
    }
    return x;
}

static float *three_steps(int kind, int threads)
{
    struct sb_optimizer_options options = every_kind(kind);
    struct sb_pool *pool = sb_pool_new(threads);
    ck_assert(threads == 1 || pool != NULL);
    struct sb_optimizer *optimizer;
    ck_assert_int_eq(sb_optimizer_new(&optimizer, &options, &blocks, pool, NULL), SB_OK);
    struct sb_weight_average *average;
    struct sb_lookahead *lookahead;
    float *values = numbers(1), *gradients = numbers(2);
    ck_assert_int_eq(sb_weight_average_new(&average, 0.99, blocks.size, pool, NULL), SB_OK);
    ck_assert_int_eq(sb_lookahead_new(&lookahead, &(struct sb_lookahead_options){.interval = 2, .rate = 0.3}, values,
                                      blocks.size, pool, NULL),
                     SB_OK);
    for (int step = 0; step < 3; step++) {
        sb_optimizer_step(optimizer, values, gradients, 0.01);
        sb_lookahead_step(lookahead, values);
        sb_weight_average_update(average, values);
    }
    sb_weight_average_read(average, values);
    free(gradients);
    sb_lookahead_free(lookahead);
    sb_weight_average_free(average);
    sb_optimizer_free(optimizer);
    sb_pool_free(pool);
    return values;
}

START_TEST(threads_change_nothing)
{
    float *one = three_steps(_i, 1), *two = three_steps(_i, 2), *three = three_steps(_i, 3);
    ck_assert_mem_eq(one, two, blocks.size * sizeof *one);
    ck_assert_mem_eq(one, three, blocks.size * sizeof *one);
    for (size_t i = 0; i < 5; i++)
        ck_assert(one[700 * 257 + i] == 0.0F); /* the gap */
    free(one);
    free(two);
    free(three);
}
END_TEST

/* A second computation of AdaFactor with decay over several blocks, in double and without any blocks. */
START_TEST(blocks_add_up)
{
    const struct sb_parameter *p = &blocks_items[0];
    float *values = numbers(1), *gradients = numbers(2);
    double *r = calloc(p->rows, sizeof *r), *c = calloc(p->columns, sizeof *c),
           *u = calloc(p->rows * p->columns, sizeof *u);
    double mean = 0, squares = 0, weights = 0, worst = 0, count = (double)(p->rows * p->columns);
    for (size_t i = 0; i < p->rows; i++)
        for (size_t j = 0; j < p->columns; j++) {
            double g = (double)gradients[i * p->columns + j], w = (double)values[i * p->columns + j];
            r[i] += g * g / (double)p->columns;
            c[j] += g * g / (double)p->rows;
            mean += g * g / count;
            weights += w * w / count;
        }
    for (size_t i = 0; i < p->rows * p->columns; i++) {
        u[i] = (double)gradients[i] / sqrt(r[i / p->columns] * c[i % p->columns] / mean);
        squares += u[i] * u[i] / count;
    }
    struct sb_optimizer_options options = every_kind(2 * SB_OPTIMIZER_ADAFACTOR);
    struct sb_optimizer *optimizer;
    ck_assert_int_eq(sb_optimizer_new(&optimizer, &options, &blocks, NULL, NULL), SB_OK);
    float *before = numbers(1);
    sb_optimizer_step(optimizer, values, gradients, 0.1); /* beta2 of the first step is 0 */
    for (size_t i = 0; i < p->rows * p->columns; i++) {
        double w = (double)before[i];
        double want = w - 0.1 * (sqrt(weights) * u[i] / fmax(1, sqrt(squares)) + 0.01 * w);
        worst = fmax(worst, fabs((double)values[i] - want));
    }
    ck_assert_double_le(worst, 1e-6);
    sb_optimizer_free(optimizer);
    free(values);
    free(before);
    free(gradients);
    free(r);
    free(c);
    free(u);
}
END_TEST

/* The parameters of a model of 4 layers of 512, as model/parameters.h lists them. */
static size_t add_parameter(struct sb_parameter *items, size_t n, size_t rows, size_t columns)
{
    size_t offset = n ? items[n - 1].offset + items[n - 1].rows * items[n - 1].columns : 0;
    items[n] = (struct sb_parameter){
        .name = "w", .rank = rows ? 2 : 1, .rows = rows ? rows : 1, .columns = columns, .offset = offset};
    return n + 1;
}

static size_t bytes_for(size_t vocabulary, enum sb_optimizer_kind kind)
{
    enum { H = 512, I = 2048 };
    static struct sb_parameter items[128];
    size_t n = add_parameter(items, 0, vocabulary, H);
    n = add_parameter(items, n, 512, H);
    n = add_parameter(items, n, 2, H);
    for (int layer = 0; layer < 4; layer++) {
        static const size_t matrices[][2] = {{H, H}, {H, H}, {H, H}, {H, H}, {I, H}, {H, I}};
        for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
            n = add_parameter(items, n, matrices[i][0], matrices[i][1]);
            n = add_parameter(items, n, 0, matrices[i][0]);
        }
        for (int i = 0; i < 4; i++)
            n = add_parameter(items, n, 0, H); /* two LayerNorms */
    }
    n = add_parameter(items, n, H, H); /* pooler and head */
    n = add_parameter(items, n, H, H);
    n = add_parameter(items, n, 0, vocabulary);
    for (int i = 0; i < 6; i++)
        n = add_parameter(items, n, 0, H);
    struct sb_parameters parameters = {items, n, items[n - 1].offset + items[n - 1].columns};
    struct sb_optimizer_options options = sb_optimizer_defaults(kind);
    struct sb_optimizer *optimizer;
    ck_assert_int_eq(sb_optimizer_new(&optimizer, &options, &parameters, NULL, NULL), SB_OK);
    size_t bytes = sb_optimizer_bytes(optimizer);
    sb_optimizer_free(optimizer);
    return bytes;
}

START_TEST(adafactor_is_small)
{
    static const size_t vocabularies[] = {13685, 21128};
    for (int i = 0; i < 2; i++) {
        size_t adamw = bytes_for(vocabularies[i], SB_OPTIMIZER_ADAMW);
        size_t adafactor = bytes_for(vocabularies[i], SB_OPTIMIZER_ADAFACTOR);
        ck_assert_msg(adafactor * 50 < adamw, "vocabulary %zu: %zu bytes, AdamW %zu", vocabularies[i], adafactor,
                      adamw);
    }
}
END_TEST

START_TEST(refuses)
{
    struct optim_fixture f;
    optim_open(&f);
    struct sb_optimizer_options bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = sb_optimizer_defaults(i < 5 ? SB_OPTIMIZER_ADAMW : SB_OPTIMIZER_ADAFACTOR);
    bad[0].beta1 = 1;
    bad[1].beta2 = -0.1;
    bad[2].epsilon = 0;
    bad[3].weight_decay = -1;
    bad[4].beta1 = (double)NAN;
    bad[5].epsilon = 1e-60; /* 0 as a float */
    bad[6].clip = -1;
    bad[7].scale_epsilon = (double)NAN;
    for (int i = 0; i < 8; i++) {
        struct sb_optimizer *optimizer;
        struct sb_error error;
        ck_assert_int_eq(sb_optimizer_new(&optimizer, &bad[i], &f.parameters, NULL, &error), SB_INVALID);
        ck_assert_ptr_null(optimizer);
    }
    struct sb_optimizer_options options;
    ck_assert_int_eq(sb_optimizer_options_named(&options, "sgd", NULL), SB_INVALID);
    struct sb_lookahead *lookahead;
    ck_assert_int_eq(sb_lookahead_new(&lookahead, &(struct sb_lookahead_options){.interval = 0, .rate = 0.5}, f.values,
                                      1, NULL, NULL),
                     SB_INVALID);
    struct sb_weight_average *average;
    ck_assert_int_eq(sb_weight_average_new(&average, 1, 1, NULL, NULL), SB_INVALID);
    sb_optimizer_free(NULL);
    sb_lookahead_free(NULL);
    sb_weight_average_free(NULL);
    optim_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/optimizer");
    TCase *tests = tcase_create("optimizer");
    tcase_add_test(tests, adam_steps);
    tcase_add_test(tests, adamw_steps);
    tcase_add_test(tests, lamb_steps);
    tcase_add_test(tests, adafactor_steps);
    tcase_add_test(tests, weight_average_steps);
    tcase_add_test(tests, lookahead_steps);
    tcase_add_loop_test(tests, state_continues, 0, KINDS);
    tcase_add_test(tests, average_and_lookahead_continue);
    tcase_add_loop_test(tests, threads_change_nothing, 0, KINDS);
    tcase_add_test(tests, blocks_add_up);
    tcase_add_test(tests, adafactor_is_small);
    tcase_add_test(tests, refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
