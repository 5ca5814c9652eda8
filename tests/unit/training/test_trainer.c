/*
 * Training as a whole on a tiny model: it learns, and neither threads nor interruptions change a bit of what comes out.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/dense_module.h"
#include "training/trainer.h"
#include "weights/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 12, MAX_TOKENS = 1024, MAX_ROWS = 64 };

/* One way to train. */
struct variant {
    const char *name;
    enum sb_rows rows;
    const char *loss; /* on vectors; NULL: none */
    double label_weight;
    enum sb_adversary_method adversary;
    const char *optimizer; /* NULL: adamw */
    double average, scheduled;
    uint64_t lookahead, accumulation;
    float dropout;
    bool norm, teacher, classifier, second_lesson, bf16, recompute, dense;
};

static const struct variant variants[] = {
    {.name = "simbert", .rows = SB_ROWS_SEQ2SEQ, .loss = "in_batch_similarity", .label_weight = 1, .dropout = 0.1f},
    {.name = "bf16", .rows = SB_ROWS_SEQ2SEQ, .loss = "in_batch_similarity", .label_weight = 1, .bf16 = true},
    {.name = "average", .rows = SB_ROWS_SEQ2SEQ, .label_weight = 1, .average = 0.9, .lookahead = 3},
    {.name = "adafactor", .rows = SB_ROWS_SEQ2SEQ, .label_weight = 1, .optimizer = "adafactor", .accumulation = 2},
    {.name = "lamb", .rows = SB_ROWS_DENOISING, .label_weight = 1, .optimizer = "lamb", .recompute = true},
    {.name = "fgm", .rows = SB_ROWS_SEQ2SEQ, .loss = "in_batch_similarity", .label_weight = 1,
     .adversary = SB_ADVERSARY_FGM, .accumulation = 2, .dropout = 0.1f},
    {.name = "vat", .rows = SB_ROWS_SEQ2SEQ, .label_weight = 1, .adversary = SB_ADVERSARY_VAT},
    {.name = "penalty", .rows = SB_ROWS_SENTENCES, .loss = "cosent", .adversary = SB_ADVERSARY_PENALTY},
    {.name = "scheduled", .rows = SB_ROWS_SEQ2SEQ, .label_weight = 1, .scheduled = 0.5},
    {.name = "pool norm", .rows = SB_ROWS_SENTENCES, .loss = "multiple_negatives", .norm = true},
    {.name = "distillation", .rows = SB_ROWS_SENTENCES, .loss = "distillation", .teacher = true},
    {.name = "denoising like a teacher", .rows = SB_ROWS_DENOISING, .loss = "distillation", .label_weight = 1, .teacher = true},
    {.name = "classifier", .rows = SB_ROWS_SENTENCES, .loss = "softmax", .classifier = true},
    {.name = "dense module", .rows = SB_ROWS_SENTENCES, .loss = "multiple_negatives", .dense = true},
    {.name = "dense module and classifier", .rows = SB_ROWS_SENTENCES, .loss = "softmax", .dense = true, .classifier = true},
    {.name = "masked and causal", .rows = SB_ROWS_MASKED_LM, .label_weight = 1, .second_lesson = true},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Everything that one run holds. */
struct run {
    struct sb_pool *pool;
    struct sb_network *network;
    struct sb_pass *pass;
    struct sb_data *data;
    struct sb_teacher *teacher;
    struct sb_dense_head *dense;
    struct sb_pool_norm *norm;
    struct sb_trainer_setup setup;
    struct sb_trainer *trainer;
};

static void must(enum sb_status status, const struct sb_error *error)
{
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error->message);
}

/* 40 pairs of texts of the tiny vocabulary; every other one says the same thing. */
static const char *pairs_file(void)
{
    static const char *const words[] = {"我", "你", "他", "国", "家", "学", "时", "心", "天", "好"};
    struct sb_buffer text = {0};
    for (int i = 0; i < 40; i++) {
        for (int side = 0; side < 2; side++) {
            for (int k = 0; k < 2 + i % 4; k++)
                sb_buffer_text(&text, words[(i * 3 + k * (side && i % 2 ? 7 : 1)) % 10]);
            sb_buffer_format(&text, side ? "吗\t%d\n" : "\t", i % 2 == 0);
        }
    }
    scratch_write("pairs.tsv", text.data, text.length);
    sb_buffer_free(&text);
    return scratch("pairs.tsv");
}

/* The tiny model with a Dense module of 12 numbers behind [CLS]. */
static const char *dense_model(void)
{
    struct sb_error error;
    struct sb_config config;
    float kernel[12 * 32], bias[12] = {0};
    for (size_t i = 0; i < sizeof kernel / sizeof *kernel; i++)
        kernel[i] = sinf(1.7f * (float)i) * 0.3f;
    must(sb_convert(golden("models/tiny-bert"), scratch("dense"), SB_F32, &error), &error);
    must(sb_config_read(&config, scratch("dense"), &error), &error);
    must(sb_dense_module_write(&(struct sb_dense_module){kernel, bias, 12, 32, SB_TANH}, scratch("dense"), &config, &error),
         &error);
    return scratch("dense");
}

static void open_network(struct run *r, const struct variant *v)
{
    struct sb_error error;
    size_t hidden = 32;
    const char *model = v->dense ? dense_model() : golden("models/tiny-bert");
    struct sb_extra_parameter extras[5];
    struct sb_network_options options = {.extras = extras, .without_dense = v->dense};
    if (v->dense) {
        must(sb_dense_head_open(&r->dense, model, &error), &error);
        must(sb_dense_head_reserve(r->dense, MAX_ROWS, &error), &error);
        sb_dense_head_list(r->dense, extras);
        options.extra_count = 2;
        hidden = 12;
    }
    if (v->classifier)
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_PAIR_HEAD_TENSOR, 5, 3 * hidden, true};
    if (v->norm) {
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_POOL_NORM_GAMMA, 0, hidden, false};
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_POOL_NORM_BETA, 0, hidden, false};
        must(sb_pool_norm_new(&r->norm, hidden, MAX_ROWS, &error), &error);
    }
    must(sb_network_open(&r->network, model, &options, &error), &error);
    float *values = sb_network_values(r->network);
    const struct sb_parameters *parameters = sb_network_parameters(r->network);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        for (size_t j = 0; p->is_new && j < p->rows * p->columns; j++)
            values[p->offset + j] = strcmp(p->name, SB_POOL_NORM_BETA) == 0   ? 0
                                    : strcmp(p->name, SB_POOL_NORM_GAMMA) == 0 ? 1
                                                                               : 0.02f * sinf((float)j);
    }
    if (v->dense)
        sb_dense_head_begin(r->dense, r->network);
    struct sb_pass_options pass = {.max_tokens = MAX_TOKENS,
                                   .max_rows = MAX_ROWS,
                                   .dtype = v->bf16 ? SB_PACKED_BF16 : SB_PACKED_F32,
                                   .pool = r->pool,
                                   .keeps_reference = v->adversary == SB_ADVERSARY_VAT,
                                   .recompute = v->recompute};
    must(sb_pass_new(&r->pass, r->network, &pass, &error), &error);
}

static void add_lesson(struct run *r, const struct variant *v, enum sb_rows rows, double label_weight)
{
    struct sb_error error;
    struct sb_batch_options options = sb_batch_defaults(rows);
    options.examples = 10;
    options.stream = r->setup.lesson_count;
    struct sb_batches *batches;
    must(sb_batches_new(&batches, r->data, sb_network_tokenizer(r->network), &options, &error), &error);
    struct sb_lesson_setup setup = {.network = r->network,
                                    .pass = r->pass,
                                    .kernels = sb_kernels_choose(NULL, NULL),
                                    .teacher = r->teacher,
                                    .dense = r->dense,
                                    .norm = r->norm,
                                    .name = "labels",
                                    .label_weight = label_weight,
                                    .hidden_dropout = v->dropout,
                                    .attention_dropout = v->dropout,
                                    .seed = 3,
                                    .scheduled_probability = v->scheduled,
                                    .schedule_steps = STEPS};
    if (v->loss) {
        const struct sb_loss_class *class = sb_loss_find(v->loss, &error);
        ck_assert_ptr_nonnull(class);
        setup.losses[setup.loss_count++] = (struct sb_lesson_loss){class, sb_loss_defaults(class), 1};
        if (v->classifier)
            setup.losses[0].options.classes = 5;
    }
    must(sb_lesson_new(&r->setup.lessons[r->setup.lesson_count++], &setup, batches, &error), &error);
}

static struct run run_open(const struct variant *v, int threads)
{
    struct run r = {.pool = sb_pool_new(threads)};
    struct sb_error error;
    struct sb_data_options options = sb_data_defaults();
    struct sb_data_file file = {.path = pairs_file()};
    open_network(&r, v);
    must(sb_data_open(&r.data, &file, 1, &options, &error), &error);
    if (v->teacher)
        must(sb_teacher_open(&r.teacher, golden("models/tiny-keysize"), r.pool, &error), &error);
    add_lesson(&r, v, v->rows, v->label_weight);
    if (v->second_lesson)
        add_lesson(&r, v, SB_ROWS_CAUSAL_LM, 0.5);
    r.setup.network = r.network;
    r.setup.pool = r.pool;
    r.setup.norm = r.norm;
    must(sb_optimizer_options_named(&r.setup.optimizer, v->optimizer ? v->optimizer : "adamw", &error), &error);
    r.setup.schedule = (struct sb_schedule){.kind = SB_SCHEDULE_LINEAR, .peak = 5e-3, .warmup = 2, .steps = STEPS};
    r.setup.steps = STEPS;
    r.setup.accumulation = v->accumulation ? v->accumulation : 1;
    r.setup.clip_norm = 5;
    r.setup.adversary = sb_adversary_defaults(v->adversary);
    r.setup.max_tokens = MAX_TOKENS;
    r.setup.average_momentum = v->average;
    r.setup.lookahead = (struct sb_lookahead_options){.interval = v->lookahead, .rate = 0.5};
    r.setup.identity = v->name;
    must(sb_trainer_new(&r.trainer, &r.setup, &error), &error);
    return r;
}

static void run_close(struct run *r)
{
    sb_trainer_free(r->trainer);
    for (size_t i = 0; i < r->setup.lesson_count; i++)
        sb_lesson_free(r->setup.lessons[i]);
    sb_teacher_free(r->teacher);
    sb_dense_head_free(r->dense);
    sb_data_close(r->data);
    sb_pool_norm_free(r->norm);
    sb_pass_free(r->pass);
    sb_network_free(r->network);
    sb_pool_free(r->pool);
}

/* Steps until `end`; losses[step] is set for each. */
static void train(struct run *r, uint64_t end, double *losses)
{
    while (sb_trainer_steps(r->trainer) < end) {
        struct sb_error error;
        struct sb_trainer_step step;
        must(sb_trainer_step(r->trainer, &step, &error), &error);
        ck_assert_uint_eq(step.number, sb_trainer_steps(r->trainer));
        losses[step.number - 1] = step.loss;
    }
}

static float *weights_of(const struct run *r)
{
    float *weights = malloc(sb_network_parameters(r->network)->size * sizeof *weights);
    sb_trainer_read_weights(r->trainer, weights);
    return weights;
}

/* Three runs: one thread; two threads; three threads, interrupted twice. The same losses and weights, and the loss falls. */
START_TEST(test_same_bits)
{
    const struct variant *v = &variants[_i];
    double losses[STEPS], again[STEPS];
    struct run r = run_open(v, 1);
    train(&r, STEPS, losses);
    size_t bytes = sb_network_parameters(r.network)->size * sizeof(float);
    float *weights = weights_of(&r);
    run_close(&r);
    ck_assert_msg(losses[STEPS - 1] < losses[0], "%s: from %g to %g", v->name, losses[0], losses[STEPS - 1]);

    r = run_open(v, 2);
    train(&r, STEPS, again);
    float *other = weights_of(&r);
    ck_assert_msg(memcmp(losses, again, sizeof losses) == 0, "%s: other losses with two threads", v->name);
    ck_assert_msg(memcmp(weights, other, bytes) == 0, "%s: other weights with two threads", v->name);
    free(other);
    run_close(&r);

    const char *dir = scratch("checkpoints");
    uint64_t stops[] = {5, 9, STEPS};
    for (int i = 0; i < 3; i++) {
        struct sb_error error;
        char *extra = NULL;
        r = run_open(v, 3);
        enum sb_status status = sb_trainer_resume(r.trainer, dir, &extra, &error);
        ck_assert_int_eq(status, i ? SB_OK : SB_NOT_FOUND);
        ck_assert(i ? strcmp(extra, "{\"note\":7}") == 0 : extra == NULL);
        free(extra);
        train(&r, stops[i], again);
        must(sb_trainer_checkpoint(r.trainer, dir, "{\"note\":7}", 2, &error), &error);
        other = weights_of(&r);
        run_close(&r);
        if (i == 2)
            ck_assert_msg(memcmp(weights, other, bytes) == 0, "%s: other weights after interruptions", v->name);
        free(other);
    }
    ck_assert_int_eq(memcmp(losses, again, sizeof losses), 0);
    free(weights);
}
END_TEST

START_TEST(test_another_run_is_refused)
{
    const char *dir = scratch("checkpoints");
    double losses[STEPS];
    struct sb_error error;
    struct run r = run_open(&variants[0], 1);
    train(&r, 1, losses);
    must(sb_trainer_checkpoint(r.trainer, dir, NULL, 1, &error), &error);
    run_close(&r);
    struct variant other = variants[0];
    other.name = "another recipe";
    r = run_open(&other, 1);
    ck_assert_int_eq(sb_trainer_resume(r.trainer, dir, NULL, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "another recipe"));
    run_close(&r);
}
END_TEST

/* A loss that is no number stops the run and leaves the weights as they were. */
START_TEST(test_divergence_is_an_error)
{
    struct run r = run_open(&variants[0], 1);
    struct sb_trainer_step step;
    struct sb_error error;
    float *values = sb_network_values(r.network);
    values[sb_network_parameters(r.network)->items[0].offset + 40 * 32] = NAN;
    for (size_t i = 0; i < 32 * 200; i++)
        values[i] = NAN;
    ck_assert_int_eq(sb_trainer_step(r.trainer, &step, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "diverged"));
    ck_assert_uint_eq(sb_trainer_steps(r.trainer), 0);
    run_close(&r);
}
END_TEST

START_TEST(test_bad_lessons)
{
    struct run r = run_open(&variants[0], 1);
    struct sb_error error;
    struct sb_batch_options options = sb_batch_defaults(SB_ROWS_SENTENCES);
    static const char *const losses[] = {"triplet", "distillation", "softmax"};
    static const char *const said[] = {"needs 3 texts", "teacher", "classifier"};
    for (int i = 0; i < 3; i++) {
        struct sb_batches *batches;
        must(sb_batches_new(&batches, r.data, sb_network_tokenizer(r.network), &options, &error), &error);
        const struct sb_loss_class *class = sb_loss_find(losses[i], &error);
        struct sb_lesson_setup setup = {.network = r.network, .pass = r.pass, .kernels = sb_kernels_choose(NULL, NULL)};
        setup.losses[setup.loss_count++] = (struct sb_lesson_loss){class, sb_loss_defaults(class), 1};
        struct sb_lesson *lesson;
        ck_assert_int_eq(sb_lesson_new(&lesson, &setup, batches, &error), SB_INVALID);
        ck_assert_msg(strstr(error.message, said[i]) != NULL, "%s", error.message);
    }
    run_close(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/trainer");
    TCase *tests = tcase_create("trainer");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, test_same_bits, 0, VARIANTS);
    tcase_add_test(tests, test_another_run_is_refused);
    tcase_add_test(tests, test_divergence_is_an_error);
    tcase_add_test(tests, test_bad_lessons);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
