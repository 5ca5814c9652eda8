/* Directories in the layouts of the released RoFormer and RoFormer-Sim models: their names and config keys, small, with made-up numbers. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/convert.h"
#include "weights/safetensors_write.h"
#include "weights/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 12, E = 8, I = 20, V = 30, P = 16, HEADS = 3, LAYERS = 2, MOST = 100 };

#define SIZES                                                                                                          \
    "\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,\"vocab_size\":30," \
    "\"max_position_embeddings\":16,\"type_vocab_size\":2,\"hidden_act\":\"gelu\",\"hidden_dropout_prob\":0.1,"        \
    "\"attention_probs_dropout_prob\":0.1,\"initializer_range\":0.02"
#define ROFORMER "\"model_type\":\"roformer\",\"layer_norm_eps\":1e-12,\"pad_token_id\":0,\"rotary_value\":false"

struct list {
    struct sb_tensor tensors[MOST];
    size_t count;
};

static void add(struct list *list, const char *name, size_t rows, size_t columns)
{
    struct sb_tensor *tensor = &list->tensors[list->count++];
    ck_assert_uint_le(list->count, MOST);
    *tensor = (struct sb_tensor){.name = keep(strdup(name)),
                                 .dtype = SB_F32,
                                 .rank = columns ? 2 : 1,
                                 .shape = {rows, columns},
                                 .count = rows * (columns ? columns : 1)};
}

static void add_layer(struct list *list, const char *prefix, const char *name, size_t rows, size_t columns)
{
    for (int layer = 0; layer < LAYERS; layer++) {
        char text[200];
        snprintf(text, sizeof text, "%sencoder.layer.%d.%s", prefix, layer, name);
        add(list, text, rows, columns);
    }
}

static void add_dense(struct list *list, const char *prefix, const char *name, size_t out, size_t in)
{
    char text[100];
    snprintf(text, sizeof text, "%s.weight", name);
    add_layer(list, prefix, text, out, in);
    snprintf(text, sizeof text, "%s.bias", name);
    add_layer(list, prefix, text, out, 0);
}

/* What transformers' RoFormerModel saves. */
static void add_encoder(struct list *list, size_t embedding)
{
    add(list, "roformer.embeddings.word_embeddings.weight", V, embedding);
    add(list, "roformer.embeddings.token_type_embeddings.weight", 2, embedding);
    add(list, "roformer.embeddings.LayerNorm.weight", embedding, 0);
    add(list, "roformer.embeddings.LayerNorm.bias", embedding, 0);
    if (embedding != H) {
        add(list, "roformer.embeddings_project.weight", H, embedding);
        add(list, "roformer.embeddings_project.bias", H, 0);
    }
    add(list, "roformer.encoder.embed_positions.weight", P, H / HEADS); /* sines, not trained: ignored */
    static const char *const squares[] = {"attention.self.query", "attention.self.key", "attention.self.value",
                                          "attention.output.dense"};
    for (size_t i = 0; i < 4; i++)
        add_dense(list, "roformer.", squares[i], H, H);
    add_dense(list, "roformer.", "attention.output.LayerNorm", H, 0);
    add_dense(list, "roformer.", "intermediate.dense", I, H);
    add_dense(list, "roformer.", "output.dense", H, I);
    add_dense(list, "roformer.", "output.LayerNorm", H, 0);
}

static void add_pooler(struct list *list)
{
    add(list, "roformer.pooler.dense.weight", H, H);
    add(list, "roformer.pooler.dense.bias", H, 0);
}

static void add_mlm(struct list *list, size_t embedding)
{
    add(list, "cls.predictions.bias", V, 0);
    add(list, "cls.predictions.transform.dense.weight", embedding, H);
    add(list, "cls.predictions.transform.dense.bias", embedding, 0);
    add(list, "cls.predictions.transform.LayerNorm.weight", embedding, 0);
    add(list, "cls.predictions.transform.LayerNorm.bias", embedding, 0);
    add(list, "cls.predictions.decoder.bias", V, 0);
}

/* Numbers that a name decides, so that what is read can be told from its neighbours. */
static float number_of(const char *name, size_t i)
{
    double seed = 0;
    for (size_t c = 0; name[c]; c++)
        seed += (double)name[c] * (double)(c + 1);
    return (float)sin(seed + (double)i);
}

static void put_safetensors(const struct list *list, const char *config)
{
    struct sb_safetensors_writer *writer;
    struct sb_error error;
    scratch_text("m/config.json", config);
    ck_assert_int_eq(sb_safetensors_begin(&writer, scratch("m/model.safetensors"), list->tensors, list->count, &error),
                     SB_OK);
    for (size_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < list->tensors[i].count; k++) {
            float number = number_of(list->tensors[i].name, k);
            ck_assert_int_eq(sb_safetensors_write(writer, &number, sizeof number, &error), SB_OK);
        }
    }
    ck_assert_int_eq(sb_safetensors_commit(writer, &error), SB_OK);
}

static struct sb_weights *open_ok(const char *dir)
{
    struct sb_weights *weights;
    struct sb_error error;
    ck_assert_msg(sb_weights_open(&weights, dir, &error) == SB_OK, "%s", error.message);
    return weights;
}

static void expect_error(const char *dir, enum sb_status status, const char *words)
{
    struct sb_weights *weights;
    struct sb_error error = {0};
    enum sb_status got = sb_weights_open(&weights, dir, &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
}

/* The parameter is the one stored under this name. */
static void expect_param(const struct sb_weights *weights, enum sb_param_role role, int layer, const char *name)
{
    struct sb_param param = sb_weights_get(weights, role, layer);
    float row[64];
    ck_assert_ptr_nonnull(param.data);
    for (size_t r = 0; r < param.rows; r++) {
        sb_param_row(row, &param, r);
        for (size_t c = 0; c < param.columns; c++)
            ck_assert_float_eq(row[c], number_of(name, r * param.columns + c));
    }
}

static void expect_no_problem(const char *dir, const char *words)
{
    struct sb_buffer report = {0};
    bool fits;
    ck_assert_int_eq(sb_inspect(&report, &fits, dir, false, NULL), SB_OK);
    ck_assert_msg(fits && strstr(report.data, words) && !strstr(report.data, "unknown"), "%s", report.data);
    ck_assert_ptr_nonnull(strstr(report.data, "attention  rotary\n"));
    sb_buffer_free(&report);
}

/* roformer_chinese_sim_char_{small,base} and their ft: a linear pooler and the head that generates. */
START_TEST(sim_of_hugging_face)
{
    struct list list = {0};
    size_t embedding = _i ? E : H;
    char config[1000];
    add_encoder(&list, embedding);
    add_pooler(&list);
    add_mlm(&list, embedding);
    snprintf(config, sizeof config,
             "{\"architectures\":[\"RoFormerForCausalLM\"]," SIZES "," ROFORMER
             ",\"embedding_size\":%zu,\"is_decoder\":true,"
             "\"eos_token_id\":102,\"pooler_activation\":\"linear\",\"directionality\":\"bidi\"}",
             embedding);
    put_safetensors(&list, config);
    struct sb_weights *weights = open_ok(scratch("m"));
    const struct sb_config *c = sb_weights_config(weights);
    ck_assert(sb_weights_has_pooler(weights) && sb_weights_has_mlm(weights));
    ck_assert_int_eq(c->pooling, SB_POOL_POOLER);
    ck_assert_int_eq(c->pooler_activation, SB_LINEAR);
    ck_assert(sb_attention_has(&c->attention, SB_PART_ROTARY));
    ck_assert_int_eq(c->attention.part_count, 1);
    ck_assert_float_eq(c->layer_norm_eps, 1e-12f);
    expect_param(weights, SB_WORD_EMBEDDING, 0, "roformer.embeddings.word_embeddings.weight");
    expect_param(weights, SB_QUERY_KERNEL, 1, "roformer.encoder.layer.1.attention.self.query.weight");
    expect_param(weights, SB_FFN_NORM_BETA, 0, "roformer.encoder.layer.0.output.LayerNorm.bias");
    expect_param(weights, SB_POOLER_KERNEL, 0, "roformer.pooler.dense.weight");
    expect_param(weights, SB_MLM_KERNEL, 0, "cls.predictions.transform.dense.weight");
    expect_param(weights, SB_MLM_OUTPUT_BIAS, 0, "cls.predictions.bias");
    ck_assert_ptr_null(sb_weights_get(weights, SB_POSITION_EMBEDDING, 0).data);
    if (embedding != H) {
        expect_param(weights, SB_EMBEDDING_MAP_KERNEL, 0, "roformer.embeddings_project.weight");
        expect_param(weights, SB_EMBEDDING_MAP_BIAS, 0, "roformer.embeddings_project.bias");
    }
    sb_weights_close(weights);
    expect_no_problem(scratch("m"), "generates  yes");
    ck_assert_int_eq(sb_convert(scratch("m"), scratch("again"), SB_F32, NULL), SB_OK); /* the same names come out */
    weights = open_ok(scratch("again"));
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.tensors[i].name;
        bool dropped = strstr(name, "embed_positions") || strstr(name, "decoder.bias");
        ck_assert_int_eq(sb_checkpoint_find(sb_weights_checkpoint(weights), name) != NULL, !dropped);
    }
    sb_weights_close(weights);
}
END_TEST

/* roformer_chinese_{small,base}, the "char" ones too: no pooler, so the vector is [CLS]. */
START_TEST(language_model_of_hugging_face)
{
    struct list list = {0};
    add_encoder(&list, H);
    add_mlm(&list, H);
    put_safetensors(&list, "{\"architectures\":[\"RoFormerForMaskedLM\"]," SIZES "," ROFORMER "}");
    struct sb_weights *weights = open_ok(scratch("m"));
    ck_assert(!sb_weights_has_pooler(weights) && sb_weights_has_mlm(weights));
    ck_assert_int_eq(sb_weights_config(weights)->pooling, SB_POOL_CLS);
    sb_weights_close(weights);
    expect_no_problem(scratch("m"), "vector     cls");
}
END_TEST

/* A pooler without "pooler_activation" is transformers' own, with tanh. */
START_TEST(pooler_without_a_word)
{
    struct list list = {0};
    add_encoder(&list, H);
    add_pooler(&list);
    put_safetensors(&list, "{\"architectures\":[\"RoFormerModelWithPooler\"]," SIZES "," ROFORMER "}");
    struct sb_weights *weights = open_ok(scratch("m"));
    ck_assert_int_eq(sb_weights_config(weights)->pooler_activation, SB_TANH);
    ck_assert(!sb_weights_has_mlm(weights));
    sb_weights_close(weights);
    expect_no_problem(scratch("m"), "generates  no");
}
END_TEST

/* chinese_roformer-sim-char_*: TensorFlow's files, whose bert_config.json does not say what the model is. */
START_TEST(sim_of_tensorflow)
{
    struct sb_error error;
    struct list list = {0};
    add_encoder(&list, E);
    add_pooler(&list);
    add_mlm(&list, E);
    put_safetensors(&list, "{" SIZES "," ROFORMER ",\"embedding_size\":8,\"pooler_activation\":\"linear\"}");
    ck_assert_int_eq(sb_convert_to_tensorflow(scratch("m"), scratch("tf"), SB_F32, &error), SB_OK);
    scratch_text("tf/bert_config.json", "{" SIZES ",\"embedding_size\":8,\"directionality\":\"bidi\"}");
    expect_error(scratch("tf"), SB_CORRUPT,
                 "a RoFormer has none, but its config must say \"model_type\": \"roformer\"");
    scratch_text("tf/bert_config.json", "{" SIZES ",\"embedding_size\":8,\"model_type\":\"roformer\"}");
    struct sb_weights *weights = open_ok(scratch("tf"));
    ck_assert_float_eq(sb_weights_config(weights)->layer_norm_eps, 1e-7f);
    ck_assert_int_eq(sb_weights_config(weights)->pooler_activation, SB_LINEAR);
    expect_param(weights, SB_POOLER_KERNEL, 0, "roformer.pooler.dense.weight");
    expect_param(weights, SB_EMBEDDING_MAP_KERNEL, 0, "roformer.embeddings_project.weight");
    const struct sb_checkpoint *checkpoint = sb_weights_checkpoint(weights);
    ck_assert_ptr_nonnull(sb_checkpoint_find(checkpoint, "bert/encoder/layer_1/attention/self/query/kernel"));
    ck_assert_ptr_nonnull(sb_checkpoint_find(checkpoint, "bert/encoder/embedding_hidden_mapping_in/kernel"));
    ck_assert_ptr_null(sb_checkpoint_find(checkpoint, "bert/embeddings/position_embeddings"));
    sb_weights_close(weights);
    expect_no_problem(scratch("tf"), "generates  yes");
}
END_TEST

/* RoFormer-V2 computes something else. Its Hugging Face config says so, its TensorFlow config does not. */
START_TEST(second_version)
{
    struct list list = {0};
    add_encoder(&list, H);
    put_safetensors(&list, "{" SIZES "," ROFORMER ",\"norm_type\":\"rms_norm\",\"use_bias\":false}");
    expect_error(scratch("m"), SB_UNSUPPORTED, "RoFormer-V2 is not supported");
    struct list without_biases = {0};
    for (size_t i = 0; i < list.count; i++)
        if (!strstr(list.tensors[i].name, ".bias"))
            without_biases.tensors[without_biases.count++] = list.tensors[i];
    put_safetensors(&without_biases, "{" SIZES "," ROFORMER "}");
    expect_error(scratch("m"), SB_CORRUPT, "LayerNorm.bias\" is missing; a RoFormer-V2 has none, but is not supported");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/roformer");
    TCase *tests = tcase_create("roformer");
    tcase_add_loop_test(tests, sim_of_hugging_face, 0, 2);
    tcase_add_test(tests, language_model_of_hugging_face);
    tcase_add_test(tests, pooler_without_a_word);
    tcase_add_test(tests, sim_of_tensorflow);
    tcase_add_test(tests, second_version);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
