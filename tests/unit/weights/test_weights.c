/* Parameters: the same from every format and under every name, and checkpoints that do not fit their config. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/safetensors_write.h"
#include "weights/weights.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tiny[] = {"tiny-bert", "tiny-factorised", "tiny-keysize", "tiny-headsize", "tiny-roformer"};

static struct sb_weights *open_ok(const char *dir)
{
    struct sb_weights *weights;
    struct sb_error error;
    ck_assert_msg(sb_weights_open(&weights, dir, &error) == SB_OK, "%s: %s", dir, error.message);
    return weights;
}

static void expect_error(enum sb_status status, const char *words)
{
    struct sb_weights *weights;
    struct sb_error error = {0};
    enum sb_status got = sb_weights_open(&weights, scratch("m"), &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
    ck_assert_ptr_null(weights);
}

static const char *model_file(const char *model, const char *file)
{
    char name[200];
    snprintf(name, sizeof name, "models/%s/%s", model, file);
    return golden(name);
}

/* Both models have the same parameters, number by number. */
static void expect_same(const struct sb_weights *a, const struct sb_weights *b)
{
    float first[256], second[256];
    for (int role = 0; role < SB_PARAM_ROLES; role++) {
        int layers = sb_param_info((enum sb_param_role)role)->per_layer ? sb_weights_config(a)->num_hidden_layers : 1;
        for (int layer = 0; layer < layers; layer++) {
            struct sb_param p = sb_weights_get(a, (enum sb_param_role)role, layer),
                            q = sb_weights_get(b, (enum sb_param_role)role, layer);
            ck_assert_int_eq(p.data != NULL, q.data != NULL);
            ck_assert_uint_eq(p.rows, q.rows);
            ck_assert_uint_eq(p.columns, q.columns);
            ck_assert_uint_le(p.columns, 256);
            for (size_t row = 0; p.data && row < p.rows; row++) {
                sb_param_row(first, &p, row);
                sb_param_row(second, &q, row);
                ck_assert_mem_eq(first, second, p.columns * sizeof *first);
            }
        }
    }
}

START_TEST(formats_agree)
{
    struct sb_weights *reference = open_ok(model_file(tiny[_i], ""));
    scratch_copy("tf/bert_model.ckpt.index", model_file(tiny[_i], "bert_model.ckpt.index"));
    scratch_copy("tf/bert_model.ckpt.data-00000-of-00001", model_file(tiny[_i], "bert_model.ckpt.data-00000-of-00001"));
    scratch_copy("tf/config.json", model_file(tiny[_i], "config.json"));
    struct sb_weights *tf = open_ok(scratch("tf"));
    ck_assert_str_eq(sb_checkpoint_format(sb_weights_checkpoint(tf)), "tensorflow (1 shard)");
    ck_assert_uint_eq(sb_weights_get(tf, SB_QUERY_KERNEL, 0).stride_row, 1); /* read in place, not copied */
    expect_same(reference, tf);
    if (_i == 0) {
        scratch_copy("bin/pytorch_model.bin", model_file(tiny[_i], "pytorch_model.bin"));
        scratch_copy("bin/config.json", model_file(tiny[_i], "config.json"));
        struct sb_weights *bin = open_ok(scratch("bin"));
        ck_assert_str_eq(sb_checkpoint_format(sb_weights_checkpoint(bin)), "pytorch");
        expect_same(reference, bin);
        sb_weights_close(bin);
    }
    ck_assert(sb_weights_has_mlm(reference) && sb_weights_has_pooler(reference));
    ck_assert_int_eq(sb_weights_config(reference)->pooling, SB_POOL_POOLER);
    sb_weights_close(reference);
    sb_weights_close(tf);
}
END_TEST

/* As downloaded: bert_config.json, no config.json. */
START_TEST(google_layout)
{
    scratch_copy("m/bert_model.ckpt.index", model_file("tiny-factorised", "bert_model.ckpt.index"));
    scratch_copy("m/bert_model.ckpt.data-00000-of-00001",
                 model_file("tiny-factorised", "bert_model.ckpt.data-00000-of-00001"));
    scratch_copy("m/bert_config.json", model_file("tiny-factorised", "bert_config.json"));
    struct sb_weights *weights = open_ok(scratch("m")), *reference = open_ok(model_file("tiny-factorised", ""));
    expect_same(reference, weights);
    ck_assert_int_eq(sb_weights_config(weights)->pooler_activation, SB_LINEAR);
    sb_weights_close(weights);
    sb_weights_close(reference);
    weights = open_ok(golden("checkpoints/keras-bert-toy"));
    ck_assert_uint_eq(sb_weights_get(weights, SB_WORD_EMBEDDING, 0).rows, 15);
    sb_weights_close(weights);
}
END_TEST

START_TEST(roformer_without_its_name)
{
    scratch_copy("m/bert_model.ckpt.index", model_file("tiny-roformer", "bert_model.ckpt.index"));
    scratch_copy("m/bert_model.ckpt.data-00000-of-00001",
                 model_file("tiny-roformer", "bert_model.ckpt.data-00000-of-00001"));
    scratch_copy("m/bert_config.json", model_file("tiny-roformer", "bert_config.json"));
    expect_error(SB_CORRUPT, "position_embeddings.weight\" is missing; a RoFormer has none, but its config must say");
}
END_TEST

START_TEST(indexes_without_data)
{
    struct sb_weights *weights;
    struct sb_error error;
    static const char *const dirs[] = {"simbert-small-index", "google-chinese-index", "snappy-index"};
    for (int i = 0; i < 3; i++) {
        char name[100];
        snprintf(name, sizeof name, "checkpoints/%s", dirs[i]);
        ck_assert_int_eq(sb_weights_open(&weights, golden(name), &error), SB_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(error.message, "bert_model.ckpt.data-00000-of-00001 is missing"));
    }
}
END_TEST

START_TEST(damaged_tensorflow_data)
{
    size_t size;
    char *data = (char *)(uintptr_t)whole_file(model_file("tiny-bert", "bert_model.ckpt.data-00000-of-00001"), &size);
    scratch_copy("m/bert_model.ckpt.index", model_file("tiny-bert", "bert_model.ckpt.index"));
    scratch_copy("m/bert_config.json", model_file("tiny-bert", "bert_config.json"));
    data[size / 3] ^= 4;
    scratch_write("m/bert_model.ckpt.data-00000-of-00001", data, size);
    expect_error(SB_CORRUPT, "CRC-32C");
}
END_TEST

/* ---- checkpoints edited here ---- */

/* Changes a tensor and its name on the way; false drops it. */
typedef bool (*editor)(struct sb_tensor *tensor, char *name);

enum { NAME_ROOM = 300 };

static void add(struct sb_tensor *list, size_t *count, const struct sb_tensor *tensor, const char *name)
{
    list[*count] = *tensor;
    list[(*count)++].name = keep(strdup(name));
}

static size_t bytes_of(const struct sb_tensor *tensor)
{
    size_t bytes = sb_dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        bytes *= tensor->shape[i];
    return bytes;
}

/* Writes m/ from a tiny model: its config, and its tensors edited, with `extra` more. */
static void rewrite(const char *model, editor edit, const struct sb_tensor *extra, size_t extra_count)
{
    struct sb_checkpoint *checkpoint;
    struct sb_safetensors_writer *writer;
    struct sb_error error;
    struct sb_tensor list[200];
    size_t count = 0;
    ck_assert_int_eq(sb_checkpoint_open(&checkpoint, model_file(model, ""), &error), SB_OK);
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++) {
        struct sb_tensor tensor = *sb_checkpoint_at(checkpoint, i);
        char name[NAME_ROOM];
        snprintf(name, sizeof name, "%s", tensor.name);
        if (!edit || edit(&tensor, name))
            add(list, &count, &tensor, name);
    }
    for (size_t i = 0; i < extra_count; i++)
        add(list, &count, &extra[i], extra[i].name);
    scratch_copy("m/config.json", model_file(model, "config.json"));
    ck_assert_int_eq(sb_safetensors_begin(&writer, scratch("m/model.safetensors"), list, count, &error), SB_OK);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(sb_safetensors_write(writer, list[i].data, bytes_of(&list[i]), &error), SB_OK);
    ck_assert_int_eq(sb_safetensors_commit(writer, &error), SB_OK);
    sb_checkpoint_close(checkpoint);
}

static bool no_prefix(struct sb_tensor *tensor, char *name)
{
    (void)tensor;
    if (strncmp(name, "bert.", 5) == 0)
        memmove(name, name + 5, strlen(name) - 4);
    return true;
}

static bool other_prefix(struct sb_tensor *tensor, char *name)
{
    (void)tensor;
    if (strncmp(name, "bert.", 5) == 0) {
        memmove(name + 9, name + 5, strlen(name) - 4);
        memcpy(name, "roformer.", 9);
    }
    return true;
}

static bool gamma_beta(struct sb_tensor *tensor, char *name)
{
    char *end = strstr(name, "LayerNorm.");
    (void)tensor;
    if (end)
        strcpy(end + 10, strcmp(end + 10, "weight") == 0 ? "gamma" : "beta");
    return true;
}

static bool decoder_bias(struct sb_tensor *tensor, char *name)
{
    (void)tensor;
    if (strcmp(name, "cls.predictions.bias") == 0)
        strcpy(name, "cls.predictions.decoder.bias");
    return true;
}

static bool projected(struct sb_tensor *tensor, char *name)
{
    char *old = strstr(name, "encoder.embedding_hidden_mapping_in");
    (void)tensor;
    if (old) {
        char end[20];
        snprintf(end, sizeof end, "%s", strrchr(name, '.'));
        snprintf(name, NAME_ROOM, "embeddings_project%s", end);
    }
    return true;
}

START_TEST(other_names)
{
    static const editor editors[] = {no_prefix, other_prefix, gamma_beta, decoder_bias, projected};
    struct sb_weights *reference = open_ok(model_file("tiny-factorised", ""));
    for (size_t i = 0; i < sizeof editors / sizeof *editors; i++) {
        rewrite("tiny-factorised", editors[i], NULL, 0);
        struct sb_weights *weights = open_ok(scratch("m"));
        expect_same(reference, weights);
        sb_weights_close(weights);
    }
    sb_weights_close(reference);
}
END_TEST

static bool encoder_only(struct sb_tensor *tensor, char *name)
{
    no_prefix(tensor, name);
    return strncmp(name, "cls.", 4) != 0 && strncmp(name, "pooler.", 7) != 0;
}

/* The layout of bge-small-zh: no prefix, no pooler, no MLM head. */
START_TEST(encoder_alone)
{
    rewrite("tiny-bert", encoder_only, NULL, 0);
    struct sb_weights *weights = open_ok(scratch("m"));
    ck_assert(!sb_weights_has_mlm(weights));
    ck_assert(!sb_weights_has_pooler(weights));
    ck_assert_int_eq(sb_weights_config(weights)->pooling, SB_POOL_CLS);
    ck_assert_ptr_null(sb_weights_get(weights, SB_MLM_OUTPUT_BIAS, 0).data);
    ck_assert_ptr_nonnull(sb_weights_get(weights, SB_FFN_NORM_BETA, 2).data);
    struct sb_param kernel, bias;
    enum sb_activation activation;
    ck_assert(!sb_weights_dense(weights, &kernel, &bias, &activation));
    sb_weights_close(weights);
}
END_TEST

/* Drops, or changes, the tensor that this names. */
static const char *victim;
static struct sb_tensor replacement;

static bool drop(struct sb_tensor *tensor, char *name)
{
    (void)tensor;
    return strcmp(name, victim) != 0;
}

static bool replace(struct sb_tensor *tensor, char *name)
{
    if (strcmp(name, victim) == 0) {
        const char *kept = tensor->name;
        *tensor = replacement;
        tensor->name = kept;
    }
    return true;
}

static const char *const required[] = {
    "bert.embeddings.word_embeddings.weight",
    "bert.embeddings.token_type_embeddings.weight",
    "bert.embeddings.position_embeddings.weight",
    "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.bias",
    "bert.encoder.embedding_hidden_mapping_in.weight",
    "bert.encoder.embedding_hidden_mapping_in.bias",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.1.attention.self.key.bias",
    "bert.encoder.layer.2.attention.self.value.weight",
    "bert.encoder.layer.2.attention.output.dense.bias",
    "bert.encoder.layer.1.attention.output.LayerNorm.weight",
    "bert.encoder.layer.0.intermediate.dense.weight",
    "bert.encoder.layer.0.output.dense.bias",
    "bert.encoder.layer.2.output.LayerNorm.bias",
    /* a head is whole or not there */
    "bert.pooler.dense.weight",
    "bert.pooler.dense.bias",
    "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.LayerNorm.bias",
    "cls.predictions.bias",
};

START_TEST(missing)
{
    char words[200];
    victim = required[_i];
    rewrite("tiny-factorised", drop, NULL, 0);
    snprintf(words, sizeof words, "tensor \"%s\" is missing", victim);
    expect_error(SB_CORRUPT, words);
}
END_TEST

START_TEST(wrong_shapes)
{
    static const float numbers[200 * 32];
    static const struct {
        const char *name;
        int rank;
        size_t shape[3];
        const char *words;
    } cases[] = {
        {"bert.embeddings.word_embeddings.weight",
         2,
         {199, 16},
         "has shape [199, 16], but the config asks for [200, 16]"},
        {"bert.embeddings.word_embeddings.weight", 2, {16, 200}, "has shape [16, 200]"},
        {"bert.embeddings.word_embeddings.weight", 1, {3200}, "has shape [3200]"},
        {"bert.encoder.layer.0.intermediate.dense.weight",
         2,
         {32, 64},
         "has shape [32, 64], but the config asks for [64, 32]"},
        {"bert.encoder.layer.1.output.dense.bias", 2, {1, 32}, "has shape [1, 32], but the config asks for [32]"},
        {"bert.encoder.layer.1.output.dense.bias", 0, {0}, "has shape []"},
        {"bert.encoder.layer.1.output.dense.bias", 3, {32, 1, 1}, "has shape [32, 1, 1]"},
        {"cls.predictions.bias", 1, {100}, "has shape [100]"},
        {"bert.pooler.dense.weight", 2, {32, 16}, "has shape [32, 16]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        victim = cases[i].name;
        replacement = (struct sb_tensor){.dtype = SB_F32, .rank = cases[i].rank, .data = numbers};
        memcpy(replacement.shape, cases[i].shape, sizeof cases[i].shape);
        rewrite("tiny-factorised", replace, NULL, 0);
        expect_error(SB_CORRUPT, cases[i].words);
        expect_error(SB_CORRUPT, cases[i].name);
    }
}
END_TEST

/* Tables of a Synthesizer that was made for shorter rows than the config's 24, or for longer ones. */
START_TEST(tables_of_other_lengths)
{
    static const float numbers[4 * 25 * 25];
    static const struct {
        const char *model, *name;
        size_t shape[3];
        const char *words;
    } cases[] = {
        {"random",
         "random.weight",
         {4, 23, 23},
         "has shape [4, 23, 23], but the config asks for [4, 24, 24]: its rows end before \"max_position_embeddings\""},
        {"dense", "dense2.weight", {4, 20, 4}, "asks for [4, 24, 4]: its rows end before \"max_position_embeddings\""},
        {"factorised-random",
         "random_2.weight",
         {4, 1, 3},
         "asks for [4, 24, 3]: its rows end before \"max_position_embeddings\""},
        {"random", "random.weight", {4, 25, 25}, "has shape [4, 25, 25], but the config asks for [4, 24, 24]"},
        {"factorised-dense", "factor_a.weight", {4, 3, 4}, "has shape [4, 3, 4], but the config asks for [4, 4, 4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char model[60], name[100];
        struct sb_weights *weights;
        struct sb_error error = {0};
        snprintf(model, sizeof model, "../variants/%s", cases[i].model);
        snprintf(name, sizeof name, "bert.encoder.layer.1.attention.self.%s", cases[i].name);
        victim = name;
        replacement = (struct sb_tensor){.dtype = SB_F32, .rank = 3, .data = numbers};
        memcpy(replacement.shape, cases[i].shape, sizeof cases[i].shape);
        rewrite(model, replace, NULL, 0);
        ck_assert_int_eq(sb_weights_open(&weights, scratch("m"), &error), SB_CORRUPT);
        size_t length = strlen(error.message), words = strlen(cases[i].words);
        ck_assert_msg(length > words && strcmp(error.message + length - words, cases[i].words) == 0, "%s",
                      error.message);
        ck_assert_ptr_nonnull(strstr(error.message, name));
    }
}
END_TEST

START_TEST(wrong_dtypes)
{
    static const int64_t numbers[32 * 32];
    static const enum sb_dtype dtypes[] = {SB_I8, SB_U8, SB_I32, SB_I64};
    static const char *const words[] = {"dtype I8", "dtype U8", "dtype I32", "dtype I64"};
    for (int i = 0; i < 4; i++) {
        victim = "bert.encoder.layer.1.output.dense.bias";
        replacement = (struct sb_tensor){.dtype = dtypes[i], .rank = 1, .shape = {32}, .data = numbers};
        rewrite("tiny-factorised", replace, NULL, 0);
        expect_error(SB_UNSUPPORTED, words[i]);
    }
}
END_TEST

/* Dtypes that are computed with, all in one model. */
START_TEST(mixed_dtypes)
{
    double wide[32];
    unsigned char half[64];
    float row[32], expected[32];
    for (int i = 0; i < 32; i++) {
        expected[i] = (float)i / 8 - 2;
        wide[i] = (double)expected[i];
    }
    victim = "bert.encoder.layer.1.output.dense.bias";
    for (int i = 0; i < 3; i++) {
        static const enum sb_dtype dtypes[] = {SB_F64, SB_F16, SB_BF16};
        replacement =
            (struct sb_tensor){.dtype = dtypes[i], .rank = 1, .shape = {32}, .data = i == 0 ? (void *)wide : half};
        if (i > 0)
            sb_from_f32(half, dtypes[i], expected, 32);
        rewrite("tiny-factorised", replace, NULL, 0);
        struct sb_weights *weights = open_ok(scratch("m"));
        struct sb_param bias = sb_weights_get(weights, SB_FFN_OUT_BIAS, 1);
        ck_assert_int_eq(bias.dtype, dtypes[i]);
        sb_param_row(row, &bias, 0);
        ck_assert_mem_eq(row, expected, sizeof row);
        sb_weights_close(weights);
    }
}
END_TEST

/* cls.predictions.decoder.weight: the word embedding once more, or a model that is not supported. */
START_TEST(output_layer)
{
    struct sb_checkpoint *checkpoint;
    ck_assert_int_eq(sb_checkpoint_open(&checkpoint, model_file("tiny-factorised", ""), NULL), SB_OK);
    struct sb_tensor decoder = *sb_checkpoint_find(checkpoint, "bert.embeddings.word_embeddings.weight");
    float *copy = malloc(decoder.count * sizeof *copy);
    memcpy(copy, decoder.data, decoder.count * sizeof *copy);
    decoder.name = "cls.predictions.decoder.weight";
    decoder.data = copy;
    rewrite("tiny-factorised", NULL, &decoder, 1);
    sb_weights_close(open_ok(scratch("m")));
    copy[decoder.count - 1] += 1;
    rewrite("tiny-factorised", NULL, &decoder, 1);
    expect_error(SB_UNSUPPORTED, "\"cls.predictions.decoder.weight\" differs from the word embedding");
    decoder.shape[0]--;
    rewrite("tiny-factorised", NULL, &decoder, 1);
    expect_error(SB_UNSUPPORTED, "differs from the word embedding");
    free(copy);
    sb_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(unrelated_tensors)
{
    static const float numbers[64];
    const struct sb_tensor extra[] = {
        {.name = "classifier.weight", .dtype = SB_F32, .rank = 2, .shape = {2, 32}, .data = numbers},
        {.name = "cls.seq_relationship.weight", .dtype = SB_F32, .rank = 2, .shape = {2, 32}, .data = numbers},
        {.name = "bert.embeddings.position_ids", .dtype = SB_I64, .rank = 1, .shape = {32}, .data = numbers},
    };
    rewrite("tiny-bert", NULL, extra, 3);
    struct sb_weights *weights = open_ok(scratch("m")), *reference = open_ok(model_file("tiny-bert", ""));
    expect_same(reference, weights);
    ck_assert_str_eq(sb_weights_hash(weights), sb_weights_hash(reference)); /* only what is used counts */
    sb_weights_close(weights);
    sb_weights_close(reference);
}
END_TEST

/* ---- hash ---- */

static void *hash_in_thread(void *weights)
{
    return (void *)(uintptr_t)sb_weights_hash(weights);
}

START_TEST(hashes)
{
    const char *seen[5];
    struct sb_weights *models[5];
    for (int i = 0; i < 5; i++) {
        models[i] = open_ok(model_file(tiny[i], ""));
        seen[i] = sb_weights_hash(models[i]);
        ck_assert_uint_eq(strlen(seen[i]), 32);
        ck_assert_uint_eq(strspn(seen[i], "0123456789abcdef"), 32);
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(seen[i], seen[k]);
    }
    struct sb_weights *again = open_ok(model_file("tiny-bert", ""));
    pthread_t threads[4];
    void *results[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hash_in_thread, again), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &results[i]);
        ck_assert_str_eq(results[i], seen[0]);
    }
    sb_weights_close(again);
    for (int i = 0; i < 5; i++)
        sb_weights_close(models[i]);
}
END_TEST

/* One bit of one weight, or one number of the config, makes another model. */
START_TEST(hash_of_neighbours)
{
    size_t size;
    struct sb_weights *reference = open_ok(model_file("tiny-bert", ""));
    char *file = (char *)(uintptr_t)whole_file(model_file("tiny-bert", "model.safetensors"), &size);
    char *config = (char *)(uintptr_t)whole_file(model_file("tiny-bert", "config.json"), NULL);
    const size_t places[] = {6424, 6425, 20000, size / 2, size - 1};
    scratch_text("m/config.json", config);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        file[places[i]] ^= 0x40;
        scratch_write("m/model.safetensors", file, size);
        struct sb_weights *changed = open_ok(scratch("m"));
        ck_assert_str_ne(sb_weights_hash(changed), sb_weights_hash(reference));
        sb_weights_close(changed);
        file[places[i]] ^= 0x40;
    }
    scratch_write("m/model.safetensors", file, size);
    struct sb_weights *same = open_ok(scratch("m"));
    ck_assert_str_eq(sb_weights_hash(same), sb_weights_hash(reference));
    sb_weights_close(same);
    memcpy(strstr(config, "\"gelu\""), "\"relu\"", 6);
    scratch_text("m/config.json", config);
    struct sb_weights *other = open_ok(scratch("m"));
    ck_assert_str_ne(sb_weights_hash(other), sb_weights_hash(reference));
    sb_weights_close(other);
    sb_weights_close(reference);
}
END_TEST

START_TEST(rows_of_transposed)
{
    /* 3 x 300 stored as 300 x 3: more columns than are gathered at a time */
    static float stored[300][3];
    float row[300];
    for (int i = 0; i < 300; i++)
        for (int o = 0; o < 3; o++)
            stored[i][o] = (float)(o * 1000 + i);
    const struct sb_param param = {stored, SB_F32, 3, 300, 1, 3};
    for (size_t o = 0; o < 3; o++) {
        sb_param_row(row, &param, o);
        for (size_t i = 0; i < 300; i++)
            ck_assert_float_eq(row[i], (float)(o * 1000 + i));
    }
}
END_TEST

/* No two parameters share a name in either convention. */
START_TEST(names_of_their_own)
{
    for (int a = 0; a < SB_PARAM_ROLES; a++) {
        const struct sb_param_info *first = sb_param_info((enum sb_param_role)a);
        ck_assert_int_eq(strstr(first->tensorflow, "%d") != NULL, first->per_layer);
        ck_assert_int_eq(strstr(first->hugging_face, "%d") != NULL, first->per_layer);
        ck_assert(!(first->is_kernel && first->is_per_head));
        for (int b = 0; b < a; b++) {
            const struct sb_param_info *second = sb_param_info((enum sb_param_role)b);
            ck_assert_str_ne(first->tensorflow, second->tensorflow);
            ck_assert_str_ne(first->hugging_face, second->hugging_face);
        }
    }
}
END_TEST

START_TEST(no_model)
{
    struct sb_weights *weights;
    struct sb_error error;
    ck_assert_int_eq(sb_weights_open(&weights, scratch("nothing"), &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_weights_open(&weights, golden("checkpoints/two-shard-ckpt"), &error), SB_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "neither config.json"));
    ck_assert_int_eq(sb_weights_open(&weights, golden("checkpoints/two-shard-ckpt"), NULL), SB_NOT_FOUND);
    sb_weights_close(NULL);
    sb_checkpoint_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/weights");
    TCase *tests = tcase_create("weights");
    tcase_add_loop_test(tests, formats_agree, 0, 5);
    tcase_add_test(tests, google_layout);
    tcase_add_test(tests, roformer_without_its_name);
    tcase_add_test(tests, indexes_without_data);
    tcase_add_test(tests, damaged_tensorflow_data);
    tcase_add_test(tests, other_names);
    tcase_add_test(tests, encoder_alone);
    tcase_add_loop_test(tests, missing, 0, sizeof required / sizeof *required);
    tcase_add_test(tests, wrong_shapes);
    tcase_add_test(tests, tables_of_other_lengths);
    tcase_add_test(tests, wrong_dtypes);
    tcase_add_test(tests, mixed_dtypes);
    tcase_add_test(tests, output_layer);
    tcase_add_test(tests, unrelated_tensors);
    tcase_add_test(tests, hashes);
    tcase_add_test(tests, hash_of_neighbours);
    tcase_add_test(tests, rows_of_transposed);
    tcase_add_test(tests, names_of_their_own);
    tcase_add_test(tests, no_model);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
