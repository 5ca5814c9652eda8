/* Conversion gives the same model back; inspection says what a directory holds. */
#include "base/json.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/convert.h"
#include "weights/safetensors_write.h"
#include "weights/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const tiny[] = {"tiny-bert", "tiny-factorised", "tiny-keysize", "tiny-headsize", "tiny-roformer"};

static const char *model_file(const char *model, const char *file)
{
    char name[200];
    snprintf(name, sizeof name, "models/%s/%s", model, file);
    return golden(name);
}

static struct sb_weights *open_ok(const char *dir)
{
    struct sb_weights *weights;
    struct sb_error error;
    ck_assert_msg(sb_weights_open(&weights, dir, &error) == SB_OK, "%s: %s", dir, error.message);
    return weights;
}

static void convert_ok(const char *src, const char *dst, enum sb_dtype dtype)
{
    struct sb_error error;
    ck_assert_msg(sb_convert(src, dst, dtype, &error) == SB_OK, "%s", error.message);
}

static void expect_same_config(const struct sb_config *a, const struct sb_config *b)
{
    ck_assert_str_eq(a->model_type, b->model_type);
    ck_assert_int_eq(a->hidden_size, b->hidden_size);
    ck_assert_int_eq(a->embedding_size, b->embedding_size);
    ck_assert_int_eq(a->num_hidden_layers, b->num_hidden_layers);
    ck_assert_int_eq(a->num_attention_heads, b->num_attention_heads);
    ck_assert_int_eq(a->attention_head_size, b->attention_head_size);
    ck_assert_int_eq(a->attention_key_size, b->attention_key_size);
    ck_assert_int_eq(a->intermediate_size, b->intermediate_size);
    ck_assert_int_eq(a->vocab_size, b->vocab_size);
    ck_assert_int_eq(a->max_position_embeddings, b->max_position_embeddings);
    ck_assert_int_eq(a->type_vocab_size, b->type_vocab_size);
    ck_assert_float_eq(a->layer_norm_eps, b->layer_norm_eps);
    ck_assert_int_eq(a->hidden_act, b->hidden_act);
    ck_assert_int_eq(a->pooler_activation, b->pooler_activation);
    ck_assert_int_eq(a->pooling, b->pooling);
    ck_assert_int_eq(a->normalize, b->normalize);
    ck_assert_float_eq(a->hidden_dropout_prob, b->hidden_dropout_prob);
    ck_assert_float_eq(a->attention_dropout_prob, b->attention_dropout_prob);
    ck_assert_float_eq(a->initializer_range, b->initializer_range);
    ck_assert_int_eq(a->max_length, b->max_length);
    ck_assert_int_eq(a->attention.part_count, b->attention.part_count);
    for (int i = 0; i < a->attention.part_count; i++)
        ck_assert_int_eq(a->attention.parts[i], b->attention.parts[i]);
    ck_assert_int_eq(a->attention.talking_heads, b->attention.talking_heads);
    ck_assert_int_eq(a->attention.factor_a, b->attention.factor_a);
    ck_assert_int_eq(a->attention.factor_b, b->attention.factor_b);
    ck_assert_int_eq(a->attention.factor_rank, b->attention.factor_rank);
}

/* b is a, rounded to dtype. */
static void expect_rounded(const struct sb_param *a, const struct sb_param *b, enum sb_dtype dtype)
{
    float row[256], again[256];
    unsigned char rounded[256 * 4];
    ck_assert_int_eq(a->data != NULL, b->data != NULL);
    if (!a->data)
        return;
    ck_assert_int_eq(b->dtype, dtype);
    ck_assert_uint_eq(a->rows, b->rows);
    ck_assert_uint_eq(a->columns, b->columns);
    for (size_t i = 0; i < a->rows; i++) {
        sb_param_row(row, a, i);
        sb_from_f32(rounded, dtype, row, a->columns);
        sb_to_f32(row, rounded, dtype, a->columns);
        sb_param_row(again, b, i);
        ck_assert_mem_eq(row, again, a->columns * sizeof *row);
    }
}

static void expect_same_model(const char *src, const char *dst, enum sb_dtype dtype)
{
    struct sb_weights *a = open_ok(src), *b = open_ok(dst);
    expect_same_config(sb_weights_config(a), sb_weights_config(b));
    for (int role = 0; role < SB_PARAM_ROLES; role++) {
        int layers = sb_param_info((enum sb_param_role)role)->per_layer ? sb_weights_config(a)->num_hidden_layers : 1;
        for (int layer = 0; layer < layers; layer++) {
            struct sb_param p = sb_weights_get(a, (enum sb_param_role)role, layer);
            struct sb_param q = sb_weights_get(b, (enum sb_param_role)role, layer);
            expect_rounded(&p, &q, dtype);
        }
    }
    struct sb_param kernel, bias, kernel_too, bias_too;
    enum sb_activation activation, activation_too;
    bool has_dense = sb_weights_dense(a, &kernel, &bias, &activation);
    ck_assert_int_eq(has_dense, sb_weights_dense(b, &kernel_too, &bias_too, &activation_too));
    if (has_dense) {
        ck_assert_int_eq(activation, activation_too);
        expect_rounded(&kernel, &kernel_too, dtype);
        expect_rounded(&bias, &bias_too, dtype);
    }
    sb_weights_close(a);
    sb_weights_close(b);
}

/* Copies a tiny model in one format to a folder of this test; NULL when it is not there in that format. */
static const char *source(const char *model, const char *format)
{
    if (strcmp(format, "safetensors") == 0) {
        scratch_copy("src/model.safetensors", model_file(model, "model.safetensors"));
        scratch_copy("src/config.json", model_file(model, "config.json"));
    } else if (strcmp(format, "tensorflow") == 0) {
        scratch_copy("src/bert_model.ckpt.index", model_file(model, "bert_model.ckpt.index"));
        scratch_copy("src/bert_model.ckpt.data-00000-of-00001",
                     model_file(model, "bert_model.ckpt.data-00000-of-00001"));
        if (strcmp(model, "tiny-roformer") == 0) /* its bert_config.json does not say that it is one */
            scratch_copy("src/config.json", model_file(model, "config.json"));
        else
            scratch_copy("src/bert_config.json", model_file(model, "bert_config.json"));
    } else {
        if (strcmp(model, "tiny-bert") != 0)
            return NULL;
        scratch_copy("src/pytorch_model.bin", model_file(model, "pytorch_model.bin"));
        scratch_copy("src/config.json", model_file(model, "config.json"));
    }
    scratch_copy("src/vocab.txt", model_file(model, "vocab.txt"));
    return scratch("src");
}

START_TEST(every_format)
{
    static const char *const formats[] = {"safetensors", "tensorflow", "pytorch"};
    static const enum sb_dtype dtypes[] = {SB_F32, SB_F16, SB_BF16};
    const char *src = source(tiny[_i / 3], formats[_i % 3]);
    for (int i = 0; i < 3 && src; i++) {
        char dst[20];
        snprintf(dst, sizeof dst, "out/%d", i);
        convert_ok(src, scratch(dst), dtypes[i]);
        expect_same_model(src, scratch(dst), dtypes[i]);
        char vocab[40];
        snprintf(vocab, sizeof vocab, "%s/vocab.txt", dst);
        ck_assert_str_eq(whole_file(scratch(vocab), NULL), whole_file(scratch("src/vocab.txt"), NULL));
    }
    if (src) { /* half and back: nothing more is lost */
        convert_ok(scratch("out/1"), scratch("out/3"), SB_F32);
        expect_same_model(scratch("out/1"), scratch("out/3"), SB_F32);
    }
}
END_TEST

/* What the source's own config says beyond ours stays, in the words of the source; what it leaves open is written out.
 */
START_TEST(written_config)
{
    cJSON *json;
    const char *src = source("tiny-bert", "tensorflow");
    scratch_text(
        "src/bert_config.json",
        "{\"hidden_size\":32,\"num_hidden_layers\":3,\"num_attention_heads\":4,\"intermediate_size\":64,\"vocab_size\":"
        "200,"
        "\"max_position_embeddings\":64,\"do_lower_case\":true,\"directionality\":\"bidi\",\"embedding_size\":null,"
        "\"dtype\":\"float64\"}");
    convert_ok(src, scratch("out"), SB_F16);
    ck_assert_int_eq(sb_json_read_file(&json, scratch("out/config.json"), 1 << 20, NULL), SB_OK);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(json, "do_lower_case")));
    ck_assert_str_eq(cJSON_GetObjectItem(json, "directionality")->valuestring, "bidi");
    ck_assert_str_eq(cJSON_GetObjectItem(json, "torch_dtype")->valuestring, "float16");
    ck_assert_str_eq(cJSON_GetObjectItem(json, "pooler_activation")->valuestring, "linear");
    ck_assert_str_eq(cJSON_GetObjectItem(json, "model_type")->valuestring, "bert");
    ck_assert_int_eq(cJSON_GetObjectItem(json, "embedding_size")->valueint, 32);
    ck_assert_ptr_null(cJSON_GetObjectItem(json, "dtype"));
    cJSON_Delete(json);
    ck_assert_ptr_nonnull(strstr(whole_file(scratch("out/config.json"), NULL), "\"layer_norm_eps\":\t1e-12"));
    expect_same_model(src, scratch("out"), SB_F16);
}
END_TEST

START_TEST(in_place)
{
    const char *src = source("tiny-keysize", "tensorflow");
    scratch_text("src/tokenizer.json", "{}");
    convert_ok(src, scratch("out"), SB_BF16);
    struct stat before, after;
    ck_assert_int_eq(stat(scratch("src/vocab.txt"), &before), 0);
    convert_ok(src, scratch("src/../src"), SB_BF16);
    ck_assert_int_eq(stat(scratch("src/vocab.txt"), &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino); /* what need not change is not written again */
    ck_assert_str_eq(whole_file(scratch("src/tokenizer.json"), NULL), "{}");
    expect_same_model(scratch("out"), src, SB_BF16);
    struct sb_weights *weights = open_ok(src);
    ck_assert_str_eq(sb_checkpoint_format(sb_weights_checkpoint(weights)), "safetensors");
    sb_weights_close(weights);
}
END_TEST

/* Another model's files in the destination must not become part of the new one. */
START_TEST(stale_files)
{
    const char *src = source("tiny-bert", "safetensors");
    scratch_text("src/spiece.model", "sp");
    scratch_text("src/readme.md", "no model file");
    scratch_text("out/modules.json", "[]");
    scratch_text("out/sentence_bert_config.json", "{\"max_seq_length\":5}");
    scratch_text("out/tokenizer.json", "{\"stale\":1}");
    scratch_text("out/old.model", "stale");
    scratch_text("out/notes.txt", "mine");
    convert_ok(src, scratch("out"), SB_F32);
    expect_same_model(src, scratch("out"), SB_F32);
    struct stat about;
    ck_assert_int_ne(stat(scratch("out/tokenizer.json"), &about), 0);
    ck_assert_int_ne(stat(scratch("out/old.model"), &about), 0);
    ck_assert_int_ne(stat(scratch("out/readme.md"), &about), 0);
    ck_assert_str_eq(whole_file(scratch("out/spiece.model"), NULL), "sp");
    ck_assert_str_eq(whole_file(scratch("out/notes.txt"), NULL), "mine");
    /* a source without a tokenizer leaves the one that is there */
    ck_assert_int_eq(remove(scratch("src/vocab.txt")) | remove(scratch("src/spiece.model")), 0);
    convert_ok(src, scratch("out"), SB_F32);
    ck_assert_str_eq(whole_file(scratch("out/spiece.model"), NULL), "sp");
}
END_TEST

/* A sentence-transformers directory around tiny-bert, with a Dense module of 32 -> 5. */
static void put_sentence_transformers(bool with_bias, const char *activation)
{
    float numbers[5 * 32 + 5];
    char config[300];
    const struct sb_tensor tensors[] = {{.name = "linear.weight", .dtype = SB_F32, .rank = 2, .shape = {5, 32}},
                                        {.name = "linear.bias", .dtype = SB_F32, .rank = 1, .shape = {5}}};
    struct sb_safetensors_writer *writer;
    size_t count = with_bias ? 2 : 1, floats = with_bias ? 165 : 160;
    for (int i = 0; i < 165; i++)
        numbers[i] = (float)sin(i);
    source("tiny-bert", "safetensors");
    scratch_text("src/modules.json",
                 "[{\"idx\":0,\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
                 "{\"idx\":1,\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
                 "{\"idx\":2,\"path\":\"7_MyDense\",\"type\":\"sentence_transformers.models.Dense\"},"
                 "{\"idx\":3,\"path\":\"3_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]");
    scratch_text("src/1_Pooling/config.json", "{\"word_embedding_dimension\":32,\"pooling_mode_mean_tokens\":true}");
    scratch_text("src/sentence_bert_config.json", "{\"max_seq_length\":24}");
    snprintf(config, sizeof config,
             "{\"in_features\":32,\"out_features\":5,\"bias\":%s,\"activation_function\":\"%s\"}",
             with_bias ? "true" : "false", activation);
    scratch_text("src/7_MyDense/config.json", config);
    ck_assert_int_eq(sb_safetensors_begin(&writer, scratch("src/7_MyDense/model.safetensors"), tensors, count, NULL),
                     SB_OK);
    ck_assert_int_eq(sb_safetensors_write(writer, numbers, floats * sizeof *numbers, NULL), SB_OK);
    ck_assert_int_eq(sb_safetensors_commit(writer, NULL), SB_OK);
}

START_TEST(sentence_transformers)
{
    static const struct {
        bool bias;
        const char *class_name;
        enum sb_activation activation;
    } cases[] = {{true, "torch.nn.modules.activation.Tanh", SB_TANH},
                 {false, "torch.nn.modules.linear.Identity", SB_LINEAR},
                 {true, "torch.nn.modules.activation.GELU", SB_GELU_ERF},
                 {true, "torch.nn.modules.activation.ReLU", SB_RELU},
                 {true, "torch.nn.modules.activation.SiLU", SB_SWISH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_param kernel, bias;
        enum sb_activation activation;
        put_sentence_transformers(cases[i].bias, cases[i].class_name);
        struct sb_weights *weights = open_ok(scratch("src"));
        ck_assert(sb_weights_dense(weights, &kernel, &bias, &activation));
        ck_assert_uint_eq(kernel.rows, 5);
        ck_assert_uint_eq(kernel.columns, 32);
        ck_assert_int_eq(bias.data != NULL, cases[i].bias);
        ck_assert_int_eq(activation, cases[i].activation);
        ck_assert_int_eq(sb_weights_config(weights)->pooling, SB_POOL_MEAN);
        ck_assert_int_eq(sb_weights_config(weights)->max_length, 24);
        sb_weights_close(weights);
        convert_ok(scratch("src"), scratch("out"), SB_F16);
        expect_same_model(scratch("src"), scratch("out"), SB_F16);
    }
    convert_ok(scratch("src"), scratch("out"), SB_F32);
    convert_ok(scratch("out"), scratch("out"), SB_F32); /* onto itself */
    expect_same_model(scratch("src"), scratch("out"), SB_F32);
}
END_TEST

static void expect_open_error(enum sb_status status, const char *words)
{
    struct sb_weights *weights;
    struct sb_error error = {0};
    enum sb_status got = sb_weights_open(&weights, scratch("src"), &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
}

START_TEST(bad_dense)
{
    static const struct {
        const char *config;
        enum sb_status status;
        const char *words;
    } cases[] = {
        {"[]", SB_INVALID, "not a JSON object"},
        {"{}", SB_INVALID, "\"in_features\" is 0, but the sentence vector has 32"},
        {"{\"in_features\":16,\"out_features\":5}", SB_INVALID, "\"in_features\" is 16"},
        {"{\"in_features\":32}", SB_INVALID, "\"out_features\" is missing"},
        {"{\"in_features\":32,\"out_features\":6}", SB_CORRUPT, "\"linear.weight\" has another shape"},
        {"{\"in_features\":32,\"out_features\":5,\"bias\":true}", SB_CORRUPT, "\"linear.bias\" is missing"},
        {"{\"in_features\":32,\"out_features\":5,\"bias\":1}", SB_INVALID, "\"bias\""},
        {"{\"in_features\":32,\"out_features\":5,\"activation_function\":\"torch.nn.modules.activation.Mish\"}",
         SB_UNSUPPORTED, "Mish"},
        {"{\"in_features\":32,\"out_features\":65537}", SB_INVALID, "\"out_features\""},
    };
    put_sentence_transformers(false, "torch.nn.modules.linear.Identity");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_text("src/7_MyDense/config.json", cases[i].config);
        expect_open_error(cases[i].status, cases[i].words);
    }
    ck_assert_int_eq(remove(scratch("src/7_MyDense/model.safetensors")), 0);
    scratch_text("src/7_MyDense/config.json", "{\"in_features\":32,\"out_features\":5,\"bias\":false}");
    expect_open_error(SB_NOT_FOUND, "7_MyDense holds no weights");
}
END_TEST

START_TEST(refusals)
{
    struct sb_error error;
    const char *src = source("tiny-bert", "tensorflow");
    ck_assert_int_eq(sb_convert(src, scratch("out"), SB_I8, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "i8"));
    ck_assert_int_eq(sb_convert(scratch("none"), scratch("out"), SB_F16, &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_convert(golden("checkpoints/snappy-index"), scratch("out"), SB_F16, &error), SB_UNSUPPORTED);
    scratch_text("file", "");
    ck_assert_int_eq(sb_convert(src, scratch("file"), SB_F16, &error), SB_IO);
    ck_assert_int_eq(sb_convert(src, scratch("file/out"), SB_F16, &error), SB_IO);
}
END_TEST

/* 1e5 is no f16; it must not become infinity in silence, nor replace a file that is there. */
START_TEST(overflow)
{
    size_t size;
    struct sb_error error;
    const float large = 1e5f, infinite = INFINITY;
    char *file = (char *)(uintptr_t)whole_file(model_file("tiny-bert", "model.safetensors"), &size);
    source("tiny-bert", "safetensors");
    memcpy(file + size - 4, &large, 4);
    scratch_write("src/model.safetensors", file, size);
    scratch_text("out/model.safetensors", "old");
    ck_assert_int_eq(sb_convert(scratch("src"), scratch("out"), SB_F16, &error), SB_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "\"cls.predictions.transform.dense.weight\" holds 100000"));
    ck_assert_str_eq(whole_file(scratch("out/model.safetensors"), NULL), "old");
    convert_ok(scratch("src"), scratch("out"), SB_BF16);
    memcpy(file + size - 4, &infinite, 4); /* infinite before: nothing is lost */
    scratch_write("src/model.safetensors", file, size);
    convert_ok(scratch("src"), scratch("out"), SB_F16);
}
END_TEST

START_TEST(damaged_pytorch)
{
    size_t size;
    struct sb_error error;
    const char *src = source("tiny-bert", "pytorch");
    char *file = (char *)(uintptr_t)whole_file(scratch("src/pytorch_model.bin"), &size);
    file[17000] ^= 1;
    scratch_write("src/pytorch_model.bin", file, size);
    ck_assert_int_eq(sb_convert(src, scratch("out"), SB_F16, &error), SB_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "word_embeddings"));
}
END_TEST

/* ---- to TensorFlow and back ---- */

static const char *const variants[] = {"vanilla",
                                       "dense",
                                       "random",
                                       "factorised-dense",
                                       "factorised-random",
                                       "talking",
                                       "mixture-all",
                                       "mixture-dense-vanilla",
                                       "mixture-random-vanilla"};
enum { TINY = sizeof tiny / sizeof *tiny, VARIANTS = sizeof variants / sizeof *variants };

static void to_tensorflow_ok(const char *src, const char *dst, enum sb_dtype dtype)
{
    struct sb_error error;
    ck_assert_msg(sb_convert_to_tensorflow(src, dst, dtype, &error) == SB_OK, "%s", error.message);
}

static void expect_inspected(const char *dir, const char *format)
{
    struct sb_buffer report = {0};
    bool fits;
    ck_assert_int_eq(sb_inspect(&report, &fits, dir, false, NULL), SB_OK);
    ck_assert_msg(fits, "%s", report.data);
    ck_assert_ptr_nonnull(strstr(report.data, "no problems"));
    ck_assert_ptr_nonnull(strstr(report.data, format));
    sb_buffer_free(&report);
}

/* Every tiny model and every variant of attention, from safetensors, in every number format. */
START_TEST(to_tensorflow_and_back)
{
    static const enum sb_dtype dtypes[] = {SB_F32, SB_F16, SB_BF16};
    static const char *const stored[] = {"DT_FLOAT", "DT_HALF", "DT_BFLOAT16"};
    char name[100];
    if (_i < TINY)
        source(tiny[_i], "safetensors");
    else
        snprintf(name, sizeof name, "variants/%s", variants[_i - TINY]);
    const char *src = _i < TINY ? scratch("src") : golden(name);
    for (int i = 0; i < 3; i++) {
        to_tensorflow_ok(src, scratch("tf"), dtypes[i]);
        expect_same_model(src, scratch("tf"), dtypes[i]);
        expect_inspected(scratch("tf"), stored[i]);
        convert_ok(scratch("tf"), scratch("back"), dtypes[i]);
        expect_same_model(scratch("tf"), scratch("back"), dtypes[i]);
        expect_same_model(src, scratch("back"), dtypes[i]);
    }
    struct stat about;
    ck_assert_int_ne(stat(scratch("tf/config.json"), &about), 0);
    ck_assert_int_ne(stat(scratch("tf/model.safetensors"), &about), 0);
    ck_assert_ptr_null(strstr(whole_file(scratch("tf/bert_config.json"), NULL), "dtype"));
    snprintf(name, sizeof name, "%s/vocab.txt", src);
    ck_assert_str_eq(whole_file(scratch("tf/vocab.txt"), NULL), whole_file(name, NULL));
}
END_TEST

/* The names and shapes are those of the checkpoints that the reference made through TensorFlow itself. */
START_TEST(names_of_tensorflow)
{
    size_t used = 0;
    to_tensorflow_ok(model_file(tiny[_i], ""), scratch("ours"), SB_F32);
    struct sb_weights *theirs = open_ok(source(tiny[_i], "tensorflow")), *ours = open_ok(scratch("ours"));
    const struct sb_checkpoint *a = sb_weights_checkpoint(theirs), *b = sb_weights_checkpoint(ours);
    for (size_t i = 0; i < sb_checkpoint_count(a); i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(a, i), *same = sb_checkpoint_find(b, tensor->name);
        if (!same) { /* what no model of ours reads */
            ck_assert_msg(strstr(tensor->name, "/adam_") || strstr(tensor->name, "seq_relationship") ||
                              strcmp(tensor->name, "global_step") == 0,
                          "%s is not written", tensor->name);
            continue;
        }
        used++;
        ck_assert_str_eq(tensor->stored_dtype, same->stored_dtype);
        ck_assert_int_eq(tensor->rank, same->rank);
        ck_assert_mem_eq(tensor->shape, same->shape, (size_t)tensor->rank * sizeof *tensor->shape);
        ck_assert_mem_eq(tensor->data, same->data, tensor->count * sb_dtype_size(tensor->dtype));
        ck_assert_int_eq(sb_checkpoint_verify(b, same, NULL), SB_OK);
    }
    ck_assert_uint_eq(used, sb_checkpoint_count(b));
    sb_weights_close(theirs);
    sb_weights_close(ours);
}
END_TEST

START_TEST(tensorflow_to_tensorflow)
{
    const char *src = source("tiny-factorised", "tensorflow");
    to_tensorflow_ok(src, scratch("out"), SB_BF16);
    expect_same_model(src, scratch("out"), SB_BF16);
    to_tensorflow_ok(src, src, SB_BF16); /* in place */
    expect_same_model(scratch("out"), src, SB_BF16);
    put_sentence_transformers(true, "torch.nn.modules.activation.Tanh");
    to_tensorflow_ok(scratch("src"), scratch("dense"), SB_F32);
    expect_same_model(scratch("src"), scratch("dense"), SB_F32);
}
END_TEST

/* A model that would be read in place of the new one is neither removed nor left to be read. */
START_TEST(folder_of_another_model)
{
    static const char *const names[] = {"config.json", "model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    const char *src = source("tiny-bert", "safetensors");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sb_error error;
        struct stat about;
        char dst[20], name[60];
        snprintf(dst, sizeof dst, "out%zu", i);
        snprintf(name, sizeof name, "%s/%s", dst, names[i]);
        scratch_text(name, "theirs");
        ck_assert_int_eq(sb_convert_to_tensorflow(src, scratch(dst), SB_F32, &error), SB_INVALID);
        ck_assert_ptr_nonnull(strstr(error.message, names[i]));
        ck_assert_str_eq(whole_file(scratch(name), NULL), "theirs");
        snprintf(name, sizeof name, "%s/vocab.txt", dst);
        ck_assert_int_ne(stat(scratch(name), &about), 0);
    }
}
END_TEST

/* ---- inspection ---- */

static cJSON *inspect_json(const char *dir, bool expect_fits)
{
    struct sb_buffer report = {0};
    struct sb_error error;
    cJSON *json;
    bool fits;
    ck_assert_msg(sb_inspect(&report, &fits, dir, true, &error) == SB_OK, "%s", error.message);
    ck_assert_int_eq(fits, expect_fits);
    ck_assert_msg(sb_json_parse(&json, report.data, report.length, &error) == SB_OK, "%s", error.message);
    ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(json, "fits")), expect_fits);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "problems")) == 0, expect_fits);
    sb_buffer_free(&report);
    return json;
}

static void expect_problem(const char *dir, const char *kind, const char *words)
{
    cJSON *json = inspect_json(dir, false);
    const cJSON *problem;
    bool found = false;
    cJSON_ArrayForEach(problem, cJSON_GetObjectItem(json, "problems")) found =
        found || (strcmp(cJSON_GetObjectItem(problem, "kind")->valuestring, kind) == 0 &&
                  strstr(cJSON_GetObjectItem(problem, "message")->valuestring, words));
    ck_assert_msg(found, "%s: no problem %s \"%s\"", dir, kind, words);
    cJSON_Delete(json);
}

static const char *use_of(const cJSON *json, const char *name)
{
    const cJSON *tensor;
    cJSON_ArrayForEach(
        tensor, cJSON_GetObjectItem(json, "tensors")) if (strcmp(cJSON_GetObjectItem(tensor, "name")->valuestring,
                                                                 name) == 0) return cJSON_GetObjectItem(tensor, "use")
        ->valuestring;
    return "absent";
}

START_TEST(inspects_json)
{
    cJSON *json = inspect_json(source("tiny-bert", "tensorflow"), true);
    ck_assert_str_eq(cJSON_GetObjectItem(json, "format")->valuestring, "tensorflow (1 shard)");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "tensors")), 65);
    ck_assert_str_eq(use_of(json, "bert/pooler/dense/kernel"), "used");
    ck_assert_str_eq(use_of(json, "bert/pooler/dense/kernel/adam_m"), "ignored");
    ck_assert_str_eq(use_of(json, "global_step"), "ignored");
    ck_assert_str_eq(use_of(json, "cls/seq_relationship/output_weights"), "ignored");
    const cJSON *config = cJSON_GetObjectItem(json, "config");
    ck_assert_int_eq(cJSON_GetObjectItem(config, "hidden_size")->valueint, 32);
    ck_assert_str_eq(cJSON_GetObjectItem(config, "pooling")->valuestring, "pooler");
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(json, "generates")));
    cJSON_Delete(json);
    json = inspect_json(golden("models/tiny-bert"), true);
    ck_assert_str_eq(use_of(json, "bert.pooler.dense.weight"), "used");
    cJSON_Delete(json);
    scratch_copy("bin/pytorch_model.bin", model_file("tiny-bert", "pytorch_model.bin"));
    scratch_copy("bin/config.json", model_file("tiny-bert", "config.json"));
    json = inspect_json(scratch("bin"), true);
    ck_assert_str_eq(use_of(json, "cls.predictions.decoder.weight"), "tied");
    ck_assert_str_eq(use_of(json, "bert.embeddings.position_ids"), "ignored");
    cJSON_Delete(json);
}
END_TEST

START_TEST(inspects_text)
{
    struct sb_buffer report = {0};
    bool fits;
    ck_assert_int_eq(sb_inspect(&report, &fits, golden("models/tiny-headsize"), false, NULL), SB_OK);
    ck_assert(fits);
    static const char *const lines[] = {"format     safetensors\n",
                                        "4 heads of 10 (keys 4)",
                                        "vector     pooler (linear), normalized",
                                        "generates  yes",
                                        "\nbert.embeddings.word_embeddings.weight ",
                                        " [200, 24] ",
                                        " F32 ",
                                        " used\n",
                                        "no problems"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(report.data, lines[i]) != NULL, "no \"%s\" in\n%s", lines[i], report.data);
    sb_buffer_reset(&report);
    ck_assert_int_eq(sb_inspect(&report, &fits, golden("checkpoints/simbert-small-index"), false, NULL), SB_OK);
    ck_assert(!fits);
    ck_assert_ptr_nonnull(strstr(report.data, "  missing_data "));
    sb_buffer_free(&report);
}
END_TEST

START_TEST(inspects_what_does_not_fit)
{
    static const char *const indexes[] = {"simbert-small-index", "google-chinese-index", "snappy-index"};
    for (int i = 0; i < 3; i++) {
        char name[100];
        snprintf(name, sizeof name, "checkpoints/%s", indexes[i]);
        expect_problem(golden(name), "missing_data", "bert_model.ckpt.data-00000-of-00001");
    }
    /* the real indexes fit their configs: the data is all that is missing */
    cJSON *json = inspect_json(golden("checkpoints/simbert-small-index"), false);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "problems")), 1);
    ck_assert_str_eq(use_of(json, "bert/encoder/embedding_hidden_mapping_in/kernel"), "used");
    cJSON_Delete(json);
    expect_problem(golden("checkpoints/two-shard-ckpt"), "config", "neither config.json");
    expect_problem(golden("checkpoints/safetensors-int8"), "config", "neither config.json");

    const char *src = source("tiny-bert", "safetensors");
    scratch_copy("src/config.json", model_file("tiny-factorised", "config.json"));
    expect_problem(src, "shape", "bert.embeddings.word_embeddings.weight");
    expect_problem(src, "missing", "bert.encoder.embedding_hidden_mapping_in.weight");
    scratch_copy("src/config.json", model_file("tiny-bert", "config.json"));
    scratch_text("src/modules.json", "[]");
    expect_problem(src, "config", "no Pooling");
    scratch_text("src/config.json", "{");
    expect_problem(src, "config", "bad JSON");
    put_sentence_transformers(true, "torch.nn.modules.activation.Tanh");
    scratch_text("src/7_MyDense/config.json", "{}");
    expect_problem(src, "dense", "in_features");
}
END_TEST

START_TEST(inspects_damage)
{
    size_t size;
    const char *src = source("tiny-bert", "tensorflow");
    char *data = (char *)(uintptr_t)whole_file(scratch("src/bert_model.ckpt.data-00000-of-00001"), &size);
    data[100] ^= 1;
    scratch_write("src/bert_model.ckpt.data-00000-of-00001", data, size);
    expect_problem(src, "checksum", "CRC-32C");
    struct sb_buffer report = {0};
    struct sb_error error;
    bool fits = true;
    scratch_write("src/bert_model.ckpt.data-00000-of-00001", data, 100);
    ck_assert_int_eq(sb_inspect(&report, &fits, src, false, &error), SB_CORRUPT);
    ck_assert(!fits);
    ck_assert_int_eq(sb_inspect(&report, &fits, scratch("none"), false, &error), SB_NOT_FOUND);
    sb_buffer_free(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/convert");
    TCase *tests = tcase_create("convert");
    tcase_add_loop_test(tests, every_format, 0, 15);
    tcase_add_test(tests, written_config);
    tcase_add_test(tests, in_place);
    tcase_add_test(tests, stale_files);
    tcase_add_test(tests, sentence_transformers);
    tcase_add_test(tests, bad_dense);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, overflow);
    tcase_add_test(tests, damaged_pytorch);
    tcase_add_loop_test(tests, to_tensorflow_and_back, 0, TINY + VARIANTS);
    tcase_add_loop_test(tests, names_of_tensorflow, 0, TINY);
    tcase_add_test(tests, tensorflow_to_tensorflow);
    tcase_add_test(tests, folder_of_another_model);
    tcase_add_test(tests, inspects_json);
    tcase_add_test(tests, inspects_text);
    tcase_add_test(tests, inspects_what_does_not_fit);
    tcase_add_test(tests, inspects_damage);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
