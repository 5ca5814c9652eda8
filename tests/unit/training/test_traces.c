/*
 * Ten steps of training a whole model with each optimizer, against the reference's (golden/train): losses before every step and
 * after the last, and the weights. And accumulation over two micro-batches.
 */
#include "tests/unit/training/simbert_objective.h"
#include "training/gradients.h"
#include "training/optimizer.h"
#include "training/schedule.h"

/* golden/README.md, train/: parameters 1e-5, losses 5e-5. */
static const double parameter_tolerance = 1e-5, loss_tolerance = 5e-5;

static const char *const none[] = {NULL};
/* What the reference's patterns exclude by the names that it has: all norms and biases but that of the output layer. */
static const char *const excluded[] = {"LayerNorm", "dense.bias", "query.bias", "key.bias", "value.bias", NULL};

struct trace {
    const char *model, *run, *optimizer;
    double weight_decay, beta1;
    const char *const *exclusions;
    bool automatic, unscaled, factored, warmup;
};

/* The reference decays every weight unless it is told otherwise. */
static const struct trace traces[] = {
    {"tiny-bert", "adamw", "adamw", 0.01, 0.9, none, .automatic = false},
    {"tiny-bert", "adamw-exclude", "adamw", 0.1, 0.9, excluded, .automatic = false},
    {"tiny-bert", "adamw-warmup", "adamw", 0.01, 0.9, none, .warmup = true},
    {"tiny-bert", "adafactor", "adafactor", 0, 0, none, .automatic = false},
    {"tiny-bert", "adafactor-beta1", "adafactor", 0, 0.9, none, .automatic = false},
    {"tiny-bert", "adafactor-auto", "adafactor", 0, 0, none, .automatic = true},
    {"tiny-bert", "adafactor-noscale-auto", "adafactor", 0, 0.9, none, .automatic = true, .unscaled = true},
    {"tiny-bert", "adafactor-factored", "adafactor", 0, 0, none, .factored = true},
    {"tiny-bert", "lamb", "lamb", 0.01, 0.9, none, .automatic = false},
    {"tiny-factorised", "adamw", "adamw", 0.01, 0.9, none, .automatic = false},
    {"tiny-factorised", "adafactor", "adafactor", 0, 0, none, .automatic = false},
};
enum { TRACES = sizeof traces / sizeof *traces, STEPS = 10 };

static struct sb_optimizer *new_optimizer(const struct trace *t, const struct sb_network *network)
{
    struct sb_optimizer_options options;
    struct sb_optimizer *optimizer;
    ck_assert_int_eq(sb_optimizer_options_named(&options, t->optimizer, NULL), SB_OK);
    options.weight_decay = t->weight_decay;
    options.beta1 = t->beta1;
    options.decay_exclusions = t->exclusions;
    options.adaptation_exclusions = none;
    options.relative_step = t->automatic;
    options.scale_by_parameter = options.scale_by_parameter && !t->unscaled;
    if (t->factored)
        options.min_factored_size = 16;
    ck_assert_int_eq(sb_optimizer_new(&optimizer, &options, sb_network_parameters(network), NULL, NULL), SB_OK);
    return optimizer;
}

static double rate(const struct trace *t, uint64_t step)
{
    struct sb_schedule schedule = {.kind = SB_SCHEDULE_CONSTANT, .peak = t->automatic ? 1 : 1e-3};
    if (t->warmup) {
        schedule.kind = SB_SCHEDULE_PIECEWISE;
        schedule.points[0].step = 4;
        schedule.points[0].factor = 1;
        schedule.points[1].step = 10;
        schedule.point_count = 2;
    }
    return sb_schedule_rate(&schedule, step);
}

static void check_losses(const struct simbert_objective *o, const float *losses, uint64_t step)
{
    ck_assert_msg(fabs(o->seq2seq - (double)losses[2 * step]) <= loss_tolerance &&
                      fabs(o->in_batch - (double)losses[2 * step + 1]) <= loss_tolerance,
                  "step %d: %.7f and %.7f, reference %.7f and %.7f", (int)step, o->seq2seq, o->in_batch,
                  (double)losses[2 * step], (double)losses[2 * step + 1]);
}

START_TEST(test_trace)
{
    const struct trace *t = &traces[_i];
    char file[96];
    snprintf(file, sizeof file, "train/%s/batch.safetensors", t->model);
    struct golden_tensors batch = golden_open(file);
    snprintf(file, sizeof file, "train/%s/%s.safetensors", t->model, t->run);
    struct golden_tensors g = golden_open(file);
    struct simbert_objective o;
    simbert_open(&o, t->model, &batch);
    size_t size = sb_network_parameters(o.network)->size, compared = 0;
    float *gradients = calloc(size, sizeof *gradients), *values = sb_network_values(o.network);
    struct sb_optimizer *optimizer = new_optimizer(t, o.network);
    const float *losses = golden_f32(&g, "losses", NULL);
    for (uint64_t step = 0; step <= STEPS; step++) {
        double loss;
        memset(gradients, 0, size * sizeof *gradients);
        ck_assert_int_eq(simbert_run(&o, &(struct sb_objective_call){.gradients = gradients, .weight = 1}, &loss, NULL),
                         SB_OK);
        check_losses(&o, losses, step);
        if (step == STEPS)
            break;
        sb_optimizer_step(optimizer, values, gradients, rate(t, step));
        char folder[32];
        snprintf(folder, sizeof folder, "step%d/", (int)step + 1);
        compared += assert_parameters(o.network, values, &g, folder, parameter_tolerance, 0);
    }
    ck_assert_uint_ge(compared, 20);
    sb_optimizer_free(optimizer);
    free(gradients);
    simbert_close(&o);
    golden_close(&batch);
    golden_close(&g);
}
END_TEST

/* Each half normalises its losses by itself; the gradients' mean makes one step. */
START_TEST(test_accumulation)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          g = golden_open("train/tiny-bert/accumulation.safetensors");
    struct simbert_objective o;
    simbert_open(&o, "tiny-bert", &batch);
    size_t size = sb_network_parameters(o.network)->size;
    int half = (int)golden_i32(&g, "first_rows", NULL)[0];
    float *gradients = calloc(size, sizeof *gradients);
    for (int part = 0; part < 2; part++) {
        double loss;
        batch_read(&o.batch, &batch, "", part * half, part ? BATCH_MAX_ROWS : half);
        ck_assert_int_eq(simbert_run(&o, &(struct sb_objective_call){.gradients = gradients, .weight = 1}, &loss, NULL),
                         SB_OK);
    }
    sb_gradients_scale(gradients, size, 0.5, NULL);
    ck_assert_uint_ge(assert_parameters(o.network, gradients, &g, "grad/", 2e-5, 1e-4), 20);
    struct sb_optimizer *optimizer = new_optimizer(&traces[0], o.network);
    sb_optimizer_step(optimizer, sb_network_values(o.network), gradients, 1e-3);
    ck_assert_uint_ge(assert_parameters(o.network, sb_network_values(o.network), &g, "step1/", parameter_tolerance, 0),
                      20);
    sb_optimizer_free(optimizer);
    free(gradients);
    simbert_close(&o);
    golden_close(&batch);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/traces");
    TCase *tests = tcase_create("traces");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_trace, 0, TRACES);
    tcase_add_test(tests, test_accumulation);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
