/*
 * The network that is trained: forward against the session's, every gradient against the reference (golden/train) and against
 * finite differences.
 */
#include "model/session.h"
#include "model/pass_impl.h"
#include "tests/unit/model/families.h"
#include "tests/unit/training_batch.h"

/* golden/README.md, train/: losses 1e-5, gradients 2e-5 + 1e-4 relative. */
static const double loss_tolerance = 1e-5, gradient_absolute = 2e-5, gradient_relative = 1e-4;

static struct sb_network *open_network(const char *dir)
{
    struct sb_network *network;
    struct sb_error error;
    enum sb_status status = sb_network_open(&network, dir, NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return network;
}

static struct sb_pass *new_pass(struct sb_network *network, struct sb_pool *pool, enum sb_packed_dtype dtype,
                                bool recompute)
{
    struct sb_pass *pass;
    struct sb_pass_options options = {
        .max_tokens = 512, .max_rows = 16, .dtype = dtype, .pool = pool, .recompute = recompute};
    ck_assert_int_eq(sb_pass_new(&pass, network, &options, NULL), SB_OK);
    return pass;
}

static float *zeros(size_t count)
{
    float *memory = calloc(count, sizeof *memory);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* seq2seq loss of a batch and, with gradients, its gradient; dpooled as well when not NULL. */
static double run(struct sb_pass *pass, const struct sb_pass_input *input, const struct training_batch *batch,
                  const float *dpooled, float *gradients)
{
    struct batch_entropy entropy = {.batch = batch,
                                    .words = (size_t)sb_network_config(pass->network)->vocab_size};
    ck_assert_int_eq(sb_pass_forward(pass, input, NULL), SB_OK);
    sb_pass_logits(pass, batch->positions, batch->targets, batch_entropy, &entropy, gradients);
    if (gradients)
        sb_pass_backward(pass, dpooled, gradients);
    return entropy.sum / (double)batch->targets;
}

static const char *const trained[] = {"tiny-bert", "tiny-factorised"};

START_TEST(test_seq2seq_gradients)
{
    char file[64], model[64];
    snprintf(file, sizeof file, "train/%s/batch.safetensors", trained[_i]);
    snprintf(model, sizeof model, "models/%s", trained[_i]);
    struct golden_tensors g = golden_open(file);
    struct training_batch batch;
    batch_read(&batch, &g, "", 0, 8);
    struct sb_network *network = open_network(golden(model));
    struct sb_pass *pass = new_pass(network, NULL, SB_PACKED_F32, false);
    float *gradients = zeros(sb_network_parameters(network)->size);
    double loss = run(pass, &(struct sb_pass_input){.rows = batch.rows, .count = batch.count}, &batch, NULL, gradients);
    ck_assert_double_le(fabs(loss - golden_f32(&g, "loss/seq2seq", NULL)[0]), loss_tolerance);
    size_t pooled_count, hidden = (size_t)sb_network_config(network)->hidden_size;
    const float *pooled = golden_f32(&g, "pooled", &pooled_count);
    ck_assert_uint_eq(pooled_count, batch.count * hidden);
    for (size_t i = 0; i < pooled_count; i++)
        ck_assert_double_le(fabs((double)pooled[i] - (double)sb_pass_pooled(pass)[i]), 2e-5);
    size_t compared = assert_parameters(network, gradients, &g, "grad_seq2seq/", gradient_absolute, gradient_relative);
    /* All but the key biases. */
    ck_assert_uint_eq(compared, sb_network_parameters(network)->count -
                                    (size_t)sb_network_config(network)->num_hidden_layers);
    free(gradients);
    sb_pass_free(pass);
    sb_network_free(network);
    golden_close(&g);
}
END_TEST

static const double variant_tolerance = 1e-5; /* golden/README.md, variants */

/* Attention variants: loss and every gradient. */
START_TEST(test_variant_gradients)
{
    const char *name = families[FIRST_VARIANT + _i].name;
    char file[64], model[64];
    snprintf(file, sizeof file, "variants/%s.safetensors", name);
    snprintf(model, sizeof model, "variants/%s", name);
    struct golden_tensors g = golden_open(file);
    struct training_batch batch;
    batch_read(&batch, &g, "", 0, 6);
    struct sb_network *network = open_network(golden(model));
    struct sb_pass *pass = new_pass(network, NULL, SB_PACKED_F32, false);
    const struct sb_parameters *parameters = sb_network_parameters(network);
    float *gradients = zeros(parameters->size);
    double loss = run(pass, &(struct sb_pass_input){.rows = batch.rows, .count = batch.count}, &batch, NULL, gradients);
    ck_assert_double_le(fabs(loss - golden_f32(&g, "seq2seq_loss", NULL)[0]), loss_tolerance);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        char key[160];
        size_t count;
        snprintf(key, sizeof key, "grad/%s", p->name);
        const float *reference = golden_f32(&g, key, &count);
        ck_assert_uint_eq(count, p->rows * p->columns);
        for (size_t j = 0; j < count; j++) {
            double expected = reference[j], got = gradients[p->offset + j];
            ck_assert_msg(fabs(got - expected) <= variant_tolerance, "%s %s[%zu]: %.9g, reference %.9g", name, key, j, got, expected);
        }
    }
    free(gradients);
    sb_pass_free(pass);
    sb_network_free(network);
    golden_close(&g);
}
END_TEST

static struct sb_network *open_family(int i)
{
    return open_network(family_dir(i));
}

/* The same hidden states and vectors as the session that serves. */
START_TEST(test_forward_equals_session)
{
    const char *dir = family_dir(_i);
    struct sb_network *network = open_network(dir);
    struct sb_pass *pass = new_pass(network, NULL, SB_PACKED_F32, false);
    struct golden_tensors g = family_batch(_i);
    struct training_batch batch;
    batch_read(&batch, &g, "", 0, 8);
    ck_assert_int_eq(sb_pass_forward(pass, &(struct sb_pass_input){.rows = batch.rows, .count = batch.count}, NULL),
                     SB_OK);
    struct sb_model *model;
    struct sb_session *session;
    ck_assert_int_eq(sb_model_open(&model, dir, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_session_new(&session, model, NULL, NULL), SB_OK);
    size_t hidden = (size_t)sb_network_config(network)->hidden_size, token = 0;
    for (size_t r = 0; r < batch.count; r++) {
        struct sb_row row = {.ids = batch.rows[r].ids,
                             .segments = batch.rows[r].segments,
                             .length = batch.rows[r].length,
                             .prefix = batch.rows[r].prefix,
                             .want = SB_WANT_HIDDEN | SB_WANT_VECTOR};
        ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
        for (size_t i = 0; i < row.length * hidden; i++)
            ck_assert_float_eq_tol(row.hidden[i], sb_pass_hidden(pass, token + i / hidden)[i % hidden], 1e-5f);
        for (size_t i = 0; i < hidden; i++)
            ck_assert_float_eq_tol(row.pooled[i], sb_pass_pooled(pass)[r * hidden + i], 1e-5f);
        token += row.length;
    }
    sb_session_free(session);
    sb_model_release(model);
    sb_pass_free(pass);
    sb_network_free(network);
    golden_close(&g);
}
END_TEST

/* What finite differences look at: seq2seq + sum of weights * pooled. */
struct experiment {
    struct sb_network *network;
    struct sb_pass *pass;
    struct golden_tensors tensors;
    struct training_batch batch;
    struct sb_pass_input input;
    float *dpooled, *gradients;
};

/* The batch points into itself: an experiment stays where it is opened. */
static void experiment_open(struct experiment *e, int family)
{
    *e = (struct experiment){.network = open_family(family), .tensors = family_batch(family)};
    batch_read(&e->batch, &e->tensors, "", 0, 4);
    e->pass = new_pass(e->network, NULL, SB_PACKED_F32, false);
    e->input = (struct sb_pass_input){.rows = e->batch.rows, .count = e->batch.count};
    size_t count = e->batch.count * (size_t)sb_network_dimensions(e->network);
    e->dpooled = zeros(count);
    for (size_t i = 0; i < count; i++)
        e->dpooled[i] = 0.05f * sinf((float)i);
    e->gradients = zeros(sb_network_parameters(e->network)->size);
}

static void experiment_close(struct experiment *e)
{
    free(e->dpooled);
    free(e->gradients);
    sb_pass_free(e->pass);
    sb_network_free(e->network);
    golden_close(&e->tensors);
}

static double objective(struct experiment *e)
{
    double loss = run(e->pass, &e->input, &e->batch, NULL, NULL);
    size_t count = e->batch.count * (size_t)sb_network_dimensions(e->network);
    for (size_t i = 0; i < count; i++)
        loss += (double)e->dpooled[i] * (double)sb_pass_pooled(e->pass)[i];
    return loss;
}

/* The derivative of the objective along a direction of one parameter (its own gradient, so that the number is large) by central
   differences. */
static void check_parameter(struct experiment *e, const struct sb_parameter *p)
{
    float *values = sb_network_values(e->network) + p->offset;
    const float *gradient = e->gradients + p->offset;
    size_t count = p->rows * p->columns;
    double norm = 0;
    for (size_t i = 0; i < count; i++)
        norm += (double)gradient[i] * (double)gradient[i];
    norm = sqrt(norm);
    if (norm < 1e-4) /* key biases; parameters without a path */
        return;
    float *saved = zeros(count);
    memcpy(saved, values, count * sizeof *saved);
    double step = 4e-3, sides[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            values[i] = (float)(saved[i] + (side ? -step : step) * gradient[i] / norm);
        sides[side] = objective(e);
    }
    memcpy(values, saved, count * sizeof *saved);
    free(saved);
    double difference = (sides[0] - sides[1]) / (2 * step);
    ck_assert_msg(fabs(difference - norm) <= 2e-3 + 1e-2 * norm, "%s: by differences %g, backward %g", p->name,
                  difference, norm);
}

static void check_all_parameters(struct experiment *e)
{
    run(e->pass, &e->input, &e->batch, e->dpooled, e->gradients);
    const struct sb_parameters *parameters = sb_network_parameters(e->network);
    for (size_t i = 0; i < parameters->count; i++)
        check_parameter(e, &parameters->items[i]);
}

START_TEST(test_differences)
{
    struct experiment e;
    experiment_open(&e, _i);
    check_all_parameters(&e);
    experiment_close(&e);
}
END_TEST

/* The mask is a function of its seed, so the objective is one. */
START_TEST(test_differences_with_dropout)
{
    struct experiment e;
    experiment_open(&e, _i);
    e.input.hidden_dropout = 0.2f;
    e.input.attention_dropout = 0.3f;
    e.input.seed = 7;
    double without = objective(&e);
    e.input.seed = 8;
    ck_assert_double_ne(objective(&e), without);
    check_all_parameters(&e);
    experiment_close(&e);
}
END_TEST

START_TEST(test_differences_other_pooling)
{
    struct experiment e;
    experiment_open(&e, 0);
    if (_i == 0)
        e.network->config.pooling = SB_POOL_MEAN;
    else if (_i == 1)
        e.network->config.pooling = SB_POOL_CLS;
    else
        e.network->config.pooler_activation = SB_TANH;
    check_all_parameters(&e);
    experiment_close(&e);
}
END_TEST

/* A token's own embedding: the gradient of each occurrence, and what adding to it does. */
START_TEST(test_occurrence_gradients)
{
    struct experiment e;
    experiment_open(&e, _i);
    size_t count = e.batch.tokens * (size_t)sb_network_config(e.network)->embedding_size;
    float *occurrences = zeros(count), *perturbation = zeros(count);
    e.input.occurrence_gradients = occurrences;
    run(e.pass, &e.input, &e.batch, e.dpooled, e.gradients);
    e.input.occurrence_gradients = NULL;
    e.input.perturbation = perturbation;
    double norm = 0, sides[2], step = 4e-3;
    for (size_t i = 0; i < count; i++)
        norm += (double)occurrences[i] * (double)occurrences[i];
    norm = sqrt(norm);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            perturbation[i] = (float)((side ? -step : step) * occurrences[i] / norm);
        sides[side] = objective(&e);
    }
    double difference = (sides[0] - sides[1]) / (2 * step);
    ck_assert_msg(fabs(difference - norm) <= 2e-3 + 1e-2 * norm, "by differences %g, backward %g", difference, norm);
    free(occurrences);
    free(perturbation);
    experiment_close(&e);
}
END_TEST

/* Threads, recomputation and what was in the pass before change no bit. */
START_TEST(test_same_bits)
{
    struct experiment e;
    experiment_open(&e, _i);
    e.input.hidden_dropout = e.input.attention_dropout = 0.1f;
    size_t bytes = sb_network_parameters(e.network)->size * sizeof(float);
    run(e.pass, &e.input, &e.batch, e.dpooled, e.gradients);
    for (int threads = 1; threads <= 3; threads++) {
        struct sb_pool *pool = sb_pool_new(threads);
        for (int recompute = 0; recompute < 2; recompute++) {
            struct sb_pass *pass = new_pass(e.network, pool, SB_PACKED_F32, recompute);
            for (int again = 0; again < 2; again++) {
                float *gradients = zeros(sb_network_parameters(e.network)->size);
                run(pass, &e.input, &e.batch, e.dpooled, gradients);
                ck_assert_int_eq(memcmp(gradients, e.gradients, bytes), 0);
                free(gradients);
            }
            sb_pass_free(pass);
        }
        sb_pool_free(pool);
    }
    experiment_close(&e);
}
END_TEST

/* What nobody wants changes no gradient. Bits may differ: sums over rows are cut into other chunks. */
START_TEST(test_wanted_outputs)
{
    struct experiment e;
    experiment_open(&e, _i);
    uint8_t wanted[BATCH_MAX_TOKENS] = {0};
    size_t size = sb_network_parameters(e.network)->size;
    float *gradients = zeros(size);
    e.input.hidden_dropout = e.input.attention_dropout = 0.1f;
    double loss = run(e.pass, &e.input, &e.batch, e.dpooled, e.gradients);
    for (size_t i = 0; i < e.batch.targets; i++)
        wanted[e.batch.positions[i]] = 1;
    e.input.wanted = wanted;
    ck_assert_double_eq_tol(run(e.pass, &e.input, &e.batch, e.dpooled, gradients), loss, 1e-6);
    ck_assert_uint_lt(e.pass->output_count, e.pass->tokens);
    for (size_t i = 0; i < size; i++)
        ck_assert_float_eq_tol(gradients[i], e.gradients[i], 1e-5f);
    free(gradients);
    experiment_close(&e);
}
END_TEST

START_TEST(test_bf16_is_near)
{
    struct experiment e;
    experiment_open(&e, _i);
    size_t size = sb_network_parameters(e.network)->size;
    double loss = run(e.pass, &e.input, &e.batch, e.dpooled, e.gradients);
    struct sb_pass *pass = new_pass(e.network, NULL, SB_PACKED_BF16, false);
    float *gradients = zeros(size);
    ck_assert_double_le(fabs(run(pass, &e.input, &e.batch, e.dpooled, gradients) - loss), 0.02);
    double product = 0, ours = 0, exact = 0;
    for (size_t i = 0; i < size; i++) {
        product += (double)gradients[i] * (double)e.gradients[i];
        ours += (double)gradients[i] * (double)gradients[i];
        exact += (double)e.gradients[i] * (double)e.gradients[i];
    }
    ck_assert_double_ge(product / sqrt(ours * exact), 0.999);
    ck_assert_int_ne(memcmp(gradients, e.gradients, size * sizeof *gradients), 0);
    free(gradients);
    sb_pass_free(pass);
    experiment_close(&e);
}
END_TEST

/* What is saved opens as the model that it was, with the changed numbers. */
START_TEST(test_save)
{
    struct experiment e;
    experiment_open(&e, _i);
    const char *dir = temporary_folder();
    float *values = sb_network_values(e.network);
    const struct sb_parameter *bias =
        sb_parameters_find(sb_network_parameters(e.network),
                           _i == 4 ? "roformer.pooler.dense.bias" : "bert.pooler.dense.bias");
    ck_assert_ptr_nonnull(bias);
    values[bias->offset] += 1;
    ck_assert_int_eq(sb_network_save(e.network, NULL, SB_F32, dir, NULL), SB_OK);
    struct sb_network *again = open_network(dir);
    const struct sb_parameters *a = sb_network_parameters(e.network), *b = sb_network_parameters(again);
    ck_assert_uint_eq(a->size, b->size);
    ck_assert_int_eq(memcmp(values, sb_network_values(again), a->size * sizeof *values), 0);
    struct sb_model *model;
    ck_assert_int_eq(sb_model_open(&model, dir, NULL, NULL), SB_OK);
    ck_assert(sb_model_can_generate(model));
    sb_model_release(model);
    sb_network_free(again);
    experiment_close(&e);
}
END_TEST

START_TEST(test_extra_parameters)
{
    struct sb_extra_parameter extra = {"classifier.weight", 5, 96, true};
    struct sb_network_options options = {.extras = &extra, .extra_count = 1};
    struct sb_network *network;
    ck_assert_int_eq(sb_network_open(&network, golden("models/tiny-bert"), &options, NULL), SB_OK);
    const struct sb_parameter *p = sb_parameters_find(sb_network_parameters(network), "classifier.weight");
    ck_assert_ptr_nonnull(p);
    ck_assert(p->is_new && p->decays && p->rank == 2 && p->rows == 5 && p->columns == 96);
    ck_assert_uint_eq(p->offset + 5 * 96, sb_network_parameters(network)->size);
    sb_network_free(network);
    extra.name = "bert.pooler.dense.bias";
    struct sb_error error;
    ck_assert_int_eq(sb_network_open(&network, golden("models/tiny-bert"), &options, &error), SB_INVALID);
    ck_assert_ptr_null(network);
}
END_TEST

START_TEST(test_bad_input)
{
    struct experiment e;
    experiment_open(&e, 0);
    struct sb_error error;
    int32_t ids[600] = {2, 200, 3};
    struct sb_pass_row row = {.ids = ids, .length = 3, .prefix = 3};
    struct sb_pass_input input = {.rows = &row, .count = 1};
    ck_assert_int_eq(sb_pass_forward(e.pass, &input, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "token id 200"));
    ids[1] = 5;
    row.length = 65;
    ck_assert_int_eq(sb_pass_forward(e.pass, &input, &error), SB_INVALID);
    row.length = 3;
    row.prefix = 4;
    ck_assert_int_eq(sb_pass_forward(e.pass, &input, &error), SB_INVALID);
    struct sb_pass_row many[17];
    for (int i = 0; i < 17; i++)
        many[i] = (struct sb_pass_row){.ids = ids, .length = 3, .prefix = 3};
    ck_assert_int_eq(sb_pass_forward(e.pass, &(struct sb_pass_input){.rows = many, .count = 17}, &error), SB_LIMIT);
    struct sb_pass *pass;
    ck_assert_int_eq(
        sb_pass_new(&pass, e.network,
                    &(struct sb_pass_options){.max_tokens = 8, .max_rows = 2, .dtype = SB_PACKED_INT8}, &error),
        SB_INVALID);
    experiment_close(&e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/network");
    TCase *tests = tcase_create("network");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_seq2seq_gradients, 0, 2);
    tcase_add_loop_test(tests, test_variant_gradients, 0, VARIANTS);
    tcase_add_loop_test(tests, test_forward_equals_session, 0, FAMILIES);
    tcase_add_loop_test(tests, test_differences, 0, FAMILIES);
    tcase_add_loop_test(tests, test_differences_with_dropout, 0, FAMILIES);
    tcase_add_loop_test(tests, test_differences_other_pooling, 0, 3);
    tcase_add_loop_test(tests, test_occurrence_gradients, 0, 2);
    tcase_add_loop_test(tests, test_same_bits, 0, FAMILIES);
    tcase_add_loop_test(tests, test_wanted_outputs, 0, FAMILIES);
    tcase_add_loop_test(tests, test_bf16_is_near, 0, 2);
    tcase_add_loop_test(tests, test_save, 0, FAMILIES);
    tcase_add_test(tests, test_extra_parameters);
    tcase_add_test(tests, test_bad_input);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
