/*
 * SimBERT's whole objective and its adversarial forms on a model, against the reference (golden/train).
 */
#include "tests/unit/training/simbert_objective.h"

/* golden/README.md, train/: losses 1e-5, gradients 2e-5 + 1e-4 relative. */
static const double loss_tolerance = 1e-5, gradient_absolute = 2e-5, gradient_relative = 1e-4;

static const char *const models[] = {"tiny-bert", "tiny-factorised"};

static float *new_gradients(const struct simbert_objective *o)
{
    return calloc(sb_network_parameters(o->network)->size, sizeof(float));
}

START_TEST(test_total_gradients)
{
    char file[64];
    snprintf(file, sizeof file, "train/%s/batch.safetensors", models[_i]);
    struct golden_tensors g = golden_open(file);
    struct simbert_objective o;
    simbert_open(&o, models[_i], &g);
    float *gradients = new_gradients(&o);
    double loss;
    ck_assert_int_eq(simbert_run(&o, &(struct sb_objective_call){.gradients = gradients, .weight = 1}, &loss, NULL),
                     SB_OK);
    ck_assert_double_le(fabs(o.seq2seq - golden_f32(&g, "loss/seq2seq", NULL)[0]), loss_tolerance);
    ck_assert_double_le(fabs(o.in_batch - golden_f32(&g, "loss/similarity30", NULL)[0]), loss_tolerance);
    ck_assert_double_le(fabs(loss - golden_f32(&g, "loss/total30", NULL)[0]), loss_tolerance);
    size_t compared = assert_parameters(o.network, gradients, &g, "grad_total/", gradient_absolute, gradient_relative);
    ck_assert_uint_eq(compared, sb_network_parameters(o.network)->count -
                                    (size_t)sb_network_config(o.network)->num_hidden_layers);
    free(gradients);
    simbert_close(&o);
    golden_close(&g);
}
END_TEST

struct attack_case {
    const char *file, *folder;
    struct sb_adversary_options options;
    size_t parameters; /* that the golden holds, at least */
};

static struct attack_case attack_case(int i, const struct golden_tensors *adversarial,
                                      const struct golden_tensors *penalty)
{
    struct attack_case c = {0};
    if (i == 0) {
        c = (struct attack_case){.folder = "fgm/", .options = sb_adversary_defaults(SB_ADVERSARY_FGM), .parameters = 50};
        c.options.epsilon = (double)golden_f32(adversarial, "fgm/epsilon", NULL)[0];
    } else if (i == 1) {
        c = (struct attack_case){.folder = "fgsm/", .options = sb_adversary_defaults(SB_ADVERSARY_FGSM), .parameters = 3};
        c.options.epsilon = (double)golden_f32(adversarial, "fgsm/epsilon", NULL)[0];
    } else if (i == 2) {
        const float *k_alpha_epsilon = golden_f32(adversarial, "pgd/k_alpha_epsilon", NULL);
        c = (struct attack_case){.folder = "pgd/", .options = sb_adversary_defaults(SB_ADVERSARY_PGD), .parameters = 50};
        c.options.steps = (int)k_alpha_epsilon[0];
        c.options.alpha = (double)k_alpha_epsilon[1];
        c.options.epsilon = (double)k_alpha_epsilon[2];
    } else {
        c = (struct attack_case){
            .folder = "fgm_occurrence/", .options = sb_adversary_defaults(SB_ADVERSARY_FGM), .parameters = 4};
        c.options.target = SB_ADVERSARY_OCCURRENCE;
        c.options.epsilon = (double)golden_f32(penalty, "fgm_occurrence/epsilon", NULL)[0];
    }
    return c;
}

START_TEST(test_attacks)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          adversarial = golden_open("train/tiny-bert/adversarial.safetensors"),
                          penalty = golden_open("train/tiny-bert/penalty-vat.safetensors");
    struct simbert_objective o;
    simbert_open(&o, "tiny-bert", &batch);
    struct attack_case c = attack_case(_i, &adversarial, &penalty);
    const struct golden_tensors *g = _i == 3 ? &penalty : &adversarial;
    char key[64];
    snprintf(key, sizeof key, "%slosses", c.folder);
    size_t count, size = sb_network_parameters(o.network)->size;
    const float *losses = golden_f32(g, key, &count);
    float *gradients = new_gradients(&o), *before = calloc(size, sizeof *before);
    memcpy(before, sb_network_values(o.network), size * sizeof *before);
    struct sb_adversary *adversary;
    struct sb_adversary_result result;
    ck_assert_int_eq(sb_adversary_new(&adversary, &c.options, o.network, BATCH_MAX_TOKENS, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_adversary_run(adversary, &o.objective, gradients, NULL, &result, NULL), SB_OK);
    ck_assert_double_le(fabs(o.seq2seq - losses[count - 2]), 2 * loss_tolerance);
    ck_assert_double_le(fabs(o.in_batch - losses[count - 1]), 2 * loss_tolerance);
    ck_assert_double_le(fabs(result.loss - golden_f32(&batch, "loss/total30", NULL)[0]), loss_tolerance);
    snprintf(key, sizeof key, "%sgrad/", c.folder);
    ck_assert_uint_ge(assert_parameters(o.network, gradients, g, key, gradient_absolute, gradient_relative),
                      c.parameters);
    ck_assert_int_eq(memcmp(before, sb_network_values(o.network), size * sizeof *before), 0);
    sb_adversary_free(adversary);

    /* The sum of clean and moved gradients. */
    float *both = new_gradients(&o), *clean = new_gradients(&o);
    c.options.sum = true;
    ck_assert_int_eq(sb_adversary_new(&adversary, &c.options, o.network, BATCH_MAX_TOKENS, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_adversary_run(adversary, &o.objective, both, NULL, &result, NULL), SB_OK);
    double loss;
    ck_assert_int_eq(simbert_run(&o, &(struct sb_objective_call){.gradients = clean, .weight = 1}, &loss, NULL), SB_OK);
    for (size_t i = 0; i < size; i++)
        ck_assert_float_eq_tol(both[i], clean[i] + gradients[i], 1e-5f);
    sb_adversary_free(adversary);
    free(both);
    free(clean);
    free(gradients);
    free(before);
    simbert_close(&o);
    golden_close(&batch);
    golden_close(&adversarial);
    golden_close(&penalty);
}
END_TEST

/* Central differences of first-order gradients in float against the double backward pass. The worst error of an element, as a part of
   its tensor's largest, by the length of the step: .001 3.6e-4, .003 1.1e-4, .005 8.4e-5, .01 2.0e-4, .02 7.7e-4, .05 4.7e-3:
   shorter ones lose float digits, longer ones meet the third derivative. .005 is the default and is held to 2e-4. */
START_TEST(test_gradient_penalty)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          g = golden_open("train/tiny-bert/penalty-vat.safetensors");
    struct simbert_objective o;
    simbert_open(&o, "tiny-bert", &batch);
    struct sb_adversary_options options = sb_adversary_defaults(SB_ADVERSARY_PENALTY);
    options.epsilon = (double)golden_f32(&g, "penalty/epsilon", NULL)[0];
    const float *losses = golden_f32(&g, "penalty/losses", NULL);
    struct sb_adversary *adversary;
    struct sb_adversary_result result;
    float *gradients = new_gradients(&o);
    ck_assert_int_eq(sb_adversary_new(&adversary, &options, o.network, BATCH_MAX_TOKENS, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_adversary_run(adversary, &o.objective, gradients, NULL, &result, NULL), SB_OK);
    ck_assert_double_le(fabs(result.loss - (double)losses[0] - (double)losses[1]), loss_tolerance);
    ck_assert_double_le(fabs(result.adversarial - (double)losses[2]), 1e-4 * (double)losses[2]);
    size_t compared = 0;
    for (size_t i = 0; i < o.network->parameters.count; i++) {
        char key[256];
        size_t count;
        const struct sb_parameter *p = &o.network->items[i];
        snprintf(key, sizeof key, "penalty/grad/%s", tensorflow_name(o.network, i));
        if (o.network->roles[i].role == SB_KEY_BIAS || !golden_has(&g, key))
            continue;
        const float *reference = golden_f32(&g, key, &count);
        double largest = 0, error = 0;
        for (size_t j = 0; j < count; j++) {
            double expected = golden_element(o.network, i, reference, j);
            largest = fmax(largest, fabs(expected));
            error = fmax(error, fabs(expected - (double)gradients[p->offset + j]));
        }
        ck_assert_msg(error <= 2e-4 * largest, "%s: largest error %g of %g", key, error, largest);
        compared++;
    }
    ck_assert_uint_ge(compared, 50);
    sb_adversary_free(adversary);
    free(gradients);
    simbert_close(&o);
    golden_close(&batch);
    golden_close(&g);
}
END_TEST

START_TEST(test_virtual_adversarial)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors"),
                          g = golden_open("train/tiny-bert/penalty-vat.safetensors");
    struct simbert_objective o;
    simbert_open(&o, "tiny-bert", &batch);
    struct sb_adversary_options options = sb_adversary_defaults(SB_ADVERSARY_VAT);
    options.xi = (double)golden_f32(&g, "vat/xi_epsilon", NULL)[0];
    options.epsilon = (double)golden_f32(&g, "vat/xi_epsilon", NULL)[1];
    struct sb_adversary *adversary;
    struct sb_adversary_result result;
    size_t size = sb_network_parameters(o.network)->size;
    float *gradients = new_gradients(&o), *clean = new_gradients(&o);
    ck_assert_int_eq(sb_adversary_new(&adversary, &options, o.network, BATCH_MAX_TOKENS, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_adversary_run(adversary, &o.objective, gradients, golden_f32(&g, "vat/direction", NULL), &result,
                                      NULL),
                     SB_OK);
    ck_assert_double_le(fabs(result.adversarial - (double)golden_f32(&g, "vat/kl_at_xi_and_loss", NULL)[1]),
                        loss_tolerance);
    double loss;
    ck_assert_int_eq(simbert_run(&o, &(struct sb_objective_call){.gradients = clean, .weight = 1}, &loss, NULL), SB_OK);
    for (size_t i = 0; i < size; i++)
        gradients[i] -= clean[i];
    ck_assert_uint_ge(assert_parameters(o.network, gradients, &g, "vat/grad/", gradient_absolute, gradient_relative), 3);

    /* Without a direction: one from seed and step, the same each time. */
    double first = 0;
    for (int i = 0; i < 3; i++) {
        o.objective.seed = i < 2 ? 5 : 6;
        memset(gradients, 0, size * sizeof *gradients);
        ck_assert_int_eq(sb_adversary_run(adversary, &o.objective, gradients, NULL, &result, NULL), SB_OK);
        ck_assert_double_gt(result.adversarial, 0);
        if (i == 0)
            first = result.adversarial;
        ck_assert_int_eq(result.adversarial == first, i < 2);
    }
    sb_adversary_free(adversary);
    free(gradients);
    free(clean);
    simbert_close(&o);
    golden_close(&batch);
    golden_close(&g);
}
END_TEST

START_TEST(test_bad_options)
{
    struct golden_tensors batch = golden_open("train/tiny-bert/batch.safetensors");
    struct simbert_objective o;
    struct sb_error error;
    struct sb_adversary *adversary;
    simbert_open(&o, "tiny-bert", &batch);
    struct sb_adversary_options options = sb_adversary_defaults(SB_ADVERSARY_FGM);
    options.epsilon = 0;
    ck_assert_int_eq(sb_adversary_new(&adversary, &options, o.network, 8, NULL, &error), SB_INVALID);
    options = sb_adversary_defaults(SB_ADVERSARY_PGD);
    options.steps = 0;
    ck_assert_int_eq(sb_adversary_new(&adversary, &options, o.network, 8, NULL, &error), SB_INVALID);
    options = sb_adversary_defaults(SB_ADVERSARY_PENALTY);
    options.target = SB_ADVERSARY_MATRIX;
    ck_assert_int_eq(sb_adversary_new(&adversary, &options, o.network, 8, NULL, &error), SB_UNSUPPORTED);
    enum sb_adversary_method method;
    ck_assert_int_eq(sb_adversary_named(&method, "fgsm", NULL), SB_OK);
    ck_assert_int_eq(method, SB_ADVERSARY_FGSM);
    ck_assert_int_eq(sb_adversary_named(&method, "fgx", &error), SB_INVALID);
    simbert_close(&o);
    golden_close(&batch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/adversarial");
    TCase *tests = tcase_create("adversarial");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_total_gradients, 0, 2);
    tcase_add_loop_test(tests, test_attacks, 0, 4);
    tcase_add_test(tests, test_gradient_penalty);
    tcase_add_test(tests, test_virtual_adversarial);
    tcase_add_test(tests, test_bad_options);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
