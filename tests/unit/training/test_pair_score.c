/*
 * Pair heads: what a saved model scores is the probability that the softmax loss gives the class; a head stays with its
 * model through saving and converting, and goes when the vectors are trained without it.
 */
#include "base/random.h"
#include "model/network.h"
#include "model/pair_score.h"
#include "model/session.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/losses.h"
#include "weights/convert.h"
#include "weights/weights.h"

#include <math.h>
#include <string.h>

enum { HIDDEN = 32, CLASSES = 5, WIDTH = 3 * HIDDEN };

static const char tiny[] = "models/tiny-bert";

static void must(enum sb_status status, const struct sb_error *error)
{
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error->message);
}

static struct sb_network *open_network(const char *dir, size_t classes)
{
    struct sb_network *network;
    struct sb_error error;
    struct sb_extra_parameter extra = {SB_PAIR_HEAD_TENSOR, classes, WIDTH, true};
    struct sb_network_options options = {.extras = &extra, .extra_count = classes > 0};
    must(sb_network_open(&network, dir, &options, &error), &error);
    return network;
}

static float *kernel_of(struct sb_network *network)
{
    const struct sb_parameter *p = sb_parameters_find(sb_network_parameters(network), SB_PAIR_HEAD_TENSOR);
    return sb_network_values(network) + p->offset;
}

/* The tiny model with a head of random numbers, which stand in kernel, too. */
static const char *make_model(enum sb_pair_head head, float kernel[CLASSES * WIDTH])
{
    struct sb_error error;
    struct sb_network *network = open_network(golden(tiny), CLASSES);
    for (size_t i = 0; i < CLASSES * WIDTH; i++)
        kernel_of(network)[i] = kernel[i] = (float)(sb_random_uniform(5, (uint64_t)head, i) - .5);
    sb_network_set_pair_head(network, head);
    must(sb_network_save(network, NULL, SB_F32, scratch("model"), &error), &error);
    sb_network_free(network);
    return scratch("model");
}

static struct sb_model *open_model(const char *dir)
{
    struct sb_model *model;
    struct sb_error error;
    must(sb_model_open(&model, dir, NULL, &error), &error);
    return model;
}

/* pooled[2, HIDDEN] of two rows of ids. */
static void embed_two(float *pooled, struct sb_model *model, int32_t salt)
{
    struct sb_session *session;
    struct sb_error error;
    const int32_t ids[2][4] = {{2, 10 + salt, 11, 3}, {2, 12, 20 + salt, 3}};
    struct sb_row rows[2] = {{.ids = ids[0], .length = 4, .prefix = 4, .want = SB_WANT_VECTOR},
                             {.ids = ids[1], .length = 4, .prefix = 4, .want = SB_WANT_VECTOR}};
    must(sb_session_new(&session, model, NULL, &error), &error);
    must(sb_session_forward(session, rows, 2, &error), &error);
    for (size_t r = 0; r < 2; r++)
        memcpy(pooled + r * HIDDEN, rows[r].pooled, HIDDEN * sizeof *pooled);
    sb_session_free(session);
}

/* exp(-loss) of one pair, of the class that says "the same". */
static double expected(const float *pooled, const float *kernel, enum sb_pair_head head)
{
    bool nli = head == SB_PAIR_HEAD_NLI;
    float dpooled[2 * HIDDEN] = {0};
    const int32_t class = nli ? 2 : 1;
    const struct sb_class_range range = nli ? (struct sb_class_range){2, 3} : (struct sb_class_range){0, 2};
    const struct sb_loss_class *softmax = sb_loss_find("softmax", NULL);
    struct sb_loss_options options = sb_loss_defaults(softmax);
    struct sb_loss_input input = {.rows = 1, .classes = &class, .ranges = &range, .kernel = kernel, .weight = 1};
    struct sb_loss *loss;
    struct sb_error error;
    double value;
    for (size_t i = 0; i < 2; i++)
        input.vectors[i] = (struct sb_loss_vectors){pooled + i * HIDDEN, dpooled + i * HIDDEN, HIDDEN};
    options.classes = CLASSES;
    must(sb_loss_new(&loss, softmax, &options, 1, HIDDEN, &error), &error);
    must(sb_loss_run(loss, &input, &value, &error), &error);
    sb_loss_free(loss);
    return exp(-value);
}

static void check_scores(const char *dir, const float *kernel, enum sb_pair_head head, double tolerance)
{
    struct sb_model *model = open_model(dir);
    ck_assert(sb_model_scores_pairs(model));
    for (int32_t salt = 0; salt < 8; salt++) {
        float pooled[2 * HIDDEN];
        embed_two(pooled, model, salt);
        double score = sb_model_pair_score(model, pooled, pooled + HIDDEN);
        ck_assert_double_eq_tol(score, expected(pooled, kernel, head), tolerance);
        ck_assert(score > 0 && score < 1);
    }
    sb_model_release(model);
}

START_TEST(scores_are_the_probabilities_of_the_loss)
{
    enum sb_pair_head head = _i ? SB_PAIR_HEAD_NLI : SB_PAIR_HEAD_PAIRS;
    float kernel[CLASSES * WIDTH];
    check_scores(make_model(head, kernel), kernel, head, 1e-12);
}
END_TEST

START_TEST(a_converted_model_keeps_its_head)
{
    struct sb_error error;
    float kernel[CLASSES * WIDTH];
    const char *dir = make_model(SB_PAIR_HEAD_PAIRS, kernel);
    must(sb_convert(dir, scratch("converted"), SB_F32, &error), &error);
    check_scores(scratch("converted"), kernel, SB_PAIR_HEAD_PAIRS, 1e-12);
    must(sb_convert_to_tensorflow(dir, scratch("tensorflow"), SB_F32, &error), &error);
    check_scores(scratch("tensorflow"), kernel, SB_PAIR_HEAD_PAIRS, 1e-12);
    must(sb_convert(dir, scratch("half"), SB_F16, &error), &error);
    check_scores(scratch("half"), kernel, SB_PAIR_HEAD_PAIRS, 0.01);
}
END_TEST

START_TEST(training_goes_on_with_the_head_or_drops_it)
{
    struct sb_error error;
    float kernel[CLASSES * WIDTH];
    const char *dir = make_model(SB_PAIR_HEAD_PAIRS, kernel);
    struct sb_network *same = open_network(dir, CLASSES), *larger = open_network(dir, CLASSES + 1),
                      *without = open_network(dir, 0);
    ck_assert_mem_eq(kernel_of(same), kernel, sizeof kernel);
    ck_assert(!sb_parameters_find(sb_network_parameters(same), SB_PAIR_HEAD_TENSOR)->is_new);
    ck_assert(sb_parameters_find(sb_network_parameters(larger), SB_PAIR_HEAD_TENSOR)->is_new);
    must(sb_network_save(without, NULL, SB_F32, scratch("without"), &error), &error);
    struct sb_model *model = open_model(scratch("without"));
    ck_assert(!sb_model_scores_pairs(model));
    sb_model_release(model);
    sb_network_free(same);
    sb_network_free(larger);
    sb_network_free(without);
}
END_TEST

START_TEST(vectors_are_the_same_with_and_without_a_head)
{
    float kernel[CLASSES * WIDTH];
    struct sb_model *with = open_model(make_model(SB_PAIR_HEAD_NLI, kernel)), *without;
    struct sb_error error;
    must(sb_convert(golden(tiny), scratch("plain"), SB_F32, &error), &error);
    without = open_model(scratch("plain"));
    ck_assert_str_eq(sb_model_hash(with), sb_model_hash(without)); /* collections stay good */
    sb_model_release(with);
    sb_model_release(without);
}
END_TEST

static void check_refused(const char *what)
{
    struct sb_weights *weights;
    struct sb_error error;
    ck_assert_int_ne(sb_weights_open(&weights, scratch("model"), &error), SB_OK);
    ck_assert_msg(strstr(error.message, what) != NULL, "%s", error.message);
}

START_TEST(heads_that_do_not_fit_are_named)
{
    struct sb_error error;
    struct sb_buffer report = {0};
    bool fits;
    struct sb_network *network = open_network(golden(tiny), 2);
    sb_network_set_pair_head(network, SB_PAIR_HEAD_NLI); /* which has five classes */
    must(sb_network_save(network, NULL, SB_F32, scratch("model"), &error), &error);
    check_refused("\"classifier.weight\" is no pair head");
    must(sb_inspect(&report, &fits, scratch("model"), false, &error), &error);
    ck_assert(!fits && strstr(report.data, "pair_head") != NULL);
    sb_network_free(network);

    network = open_network(golden(tiny), 0);
    sb_network_set_pair_head(network, SB_PAIR_HEAD_PAIRS);
    must(sb_network_save(network, NULL, SB_F32, scratch("model"), &error), &error);
    check_refused("\"classifier.weight\" is missing");
    sb_network_free(network);
    sb_buffer_free(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/pair_score");
    TCase *tests = tcase_create("pairs");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, scores_are_the_probabilities_of_the_loss, 0, 2);
    tcase_add_test(tests, a_converted_model_keeps_its_head);
    tcase_add_test(tests, training_goes_on_with_the_head_or_drops_it);
    tcase_add_test(tests, vectors_are_the_same_with_and_without_a_head);
    tcase_add_test(tests, heads_that_do_not_fit_are_named);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
