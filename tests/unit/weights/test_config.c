/* The config file of every kind of directory, its bounds, and the sentence-transformers modules beside it. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/config.h"
#include "weights/parameters_impl.h"

#include <stdio.h>
#include <string.h>

#define SIZES                                                                                                          \
    "\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":64,\"vocab_size\":"    \
    "100,"
#define GOOD SIZES "\"max_position_embeddings\":16"

static struct sb_config read_ok(const char *dir)
{
    struct sb_config config;
    struct sb_error error;
    ck_assert_msg(sb_config_read(&config, dir, &error) == SB_OK, "%s", error.message);
    return config;
}

static void expect_error(enum sb_status status, const char *words)
{
    struct sb_config config;
    struct sb_error error = {0};
    enum sb_status got = sb_config_read(&config, scratch("m"), &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
}

START_TEST(tiny_models)
{
    struct sb_config c = read_ok(golden("models/tiny-bert"));
    ck_assert_str_eq(c.model_type, "bert");
    ck_assert_int_eq(c.hidden_size, 32);
    ck_assert_int_eq(c.embedding_size, 32);
    ck_assert_int_eq(c.num_hidden_layers, 3);
    ck_assert_int_eq(c.num_attention_heads, 4);
    ck_assert_int_eq(c.attention_head_size, 8);
    ck_assert_int_eq(c.attention_key_size, 8);
    ck_assert_int_eq(c.intermediate_size, 64);
    ck_assert_int_eq(c.vocab_size, 200);
    ck_assert_int_eq(c.max_position_embeddings, 64);
    ck_assert_int_eq(c.max_length, 64);
    ck_assert_int_eq(c.type_vocab_size, 2);
    ck_assert_float_eq(c.layer_norm_eps, 1e-12f);
    ck_assert_float_eq(c.hidden_dropout_prob, 0);
    ck_assert_float_eq(c.attention_dropout_prob, 0);
    ck_assert_float_eq(c.initializer_range, 0.02f);
    ck_assert_int_eq(c.hidden_act, SB_GELU_ERF);
    ck_assert_int_eq(c.pooler_activation, SB_LINEAR);
    ck_assert_int_eq(c.pooling, SB_POOL_POOLER);
    ck_assert(c.normalize);
    ck_assert_int_eq(read_ok(golden("models/tiny-factorised")).embedding_size, 16);
    c = read_ok(golden("models/tiny-keysize"));
    ck_assert_int_eq(c.attention_key_size, 12);
    ck_assert_int_eq(c.attention_head_size, 8);
    c = read_ok(golden("models/tiny-headsize"));
    ck_assert_int_eq(c.attention_key_size, 4);
    ck_assert_int_eq(c.attention_head_size, 10);
    ck_assert_int_eq(c.embedding_size, 24);
    ck_assert_int_eq(c.hidden_act, SB_RELU);
    ck_assert_str_eq(read_ok(golden("models/tiny-roformer")).model_type, "roformer");
}
END_TEST

/* bert_config.json alone is Google's or SimBERT's: the pooler is linear. config.json goes first. */
START_TEST(which_file)
{
    struct sb_config c = read_ok(golden("checkpoints/simbert-small-index"));
    ck_assert_int_eq(c.pooler_activation, SB_LINEAR);
    ck_assert_int_eq(c.embedding_size, 128);
    ck_assert_int_eq(c.hidden_size, 384);
    scratch_text("m/bert_config.json", "{" GOOD "}");
    ck_assert_int_eq(read_ok(scratch("m")).pooler_activation, SB_LINEAR);
    scratch_text("m/bert_config.json", "{" GOOD ",\"model_type\":\"roformer\"}");
    ck_assert_float_eq(read_ok(scratch("m")).layer_norm_eps, 1e-7f);
    scratch_text("m/config.json", "{" GOOD "}");
    ck_assert_int_eq(read_ok(scratch("m")).pooler_activation, SB_TANH);
    ck_assert_float_eq(read_ok(scratch("m")).layer_norm_eps, 1e-12f);
    scratch_text("m/config.json", "{" GOOD ",\"pooler_activation\":\"linear\",\"embedding_size\":null}");
    ck_assert_int_eq(read_ok(scratch("m")).pooler_activation, SB_LINEAR);
}
END_TEST

START_TEST(activations)
{
    static const struct {
        const char *name;
        enum sb_activation activation;
    } cases[] = {{"gelu", SB_GELU_ERF},       {"gelu_new", SB_GELU_TANH},
                 {"gelu_tanh", SB_GELU_TANH}, {"gelu_pytorch_tanh", SB_GELU_TANH},
                 {"relu", SB_RELU},           {"swish", SB_SWISH},
                 {"silu", SB_SWISH},          {"tanh", SB_TANH},
                 {"linear", SB_LINEAR}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        snprintf(text, sizeof text, "{" GOOD ",\"hidden_act\":\"%s\"}", cases[i].name);
        scratch_text("m/config.json", text);
        ck_assert_int_eq(read_ok(scratch("m")).hidden_act, cases[i].activation);
    }
}
END_TEST

static const struct {
    const char *text;
    enum sb_status status;
    const char *words;
} bad[] = {
    {"", SB_INVALID, "config.json"},
    {"[]", SB_INVALID, "config.json: it is not a JSON object"},
    {"{}", SB_INVALID, "\"hidden_size\" is missing"},
    {"{" SIZES "\"x\":1}", SB_INVALID, "config.json: \"max_position_embeddings\" is missing"},
    {"{" GOOD ",\"hidden_size\":1}", SB_OK, ""}, /* a key twice: the first counts */
    {"{\"hidden_size\":0}", SB_INVALID, "\"hidden_size\" must be an integer from 1 to 8192, not 0"},
    {"{\"hidden_size\":8193}", SB_INVALID, "\"hidden_size\" must be an integer from 1 to 8192, not 8193"},
    {"{\"hidden_size\":-32}", SB_INVALID, "not -32"},
    {"{\"hidden_size\":32.5}", SB_INVALID, "not 32.5"},
    {"{\"hidden_size\":1e99}", SB_INVALID, "\"hidden_size\""},
    {"{\"hidden_size\":\"32\"}", SB_INVALID, "\"hidden_size\""},
    {"{" GOOD ",\"embedding_size\":0}", SB_INVALID, "\"embedding_size\""},
    {"{" GOOD ",\"attention_head_size\":0}", SB_INVALID, "\"attention_head_size\""},
    {"{" GOOD ",\"attention_key_size\":8193}", SB_INVALID, "\"attention_key_size\""},
    {"{" GOOD ",\"type_vocab_size\":0}", SB_INVALID, "\"type_vocab_size\""},
    {"{" GOOD ",\"type_vocab_size\":1025}", SB_INVALID, "\"type_vocab_size\""},
    {"{" GOOD ",\"layer_norm_eps\":0}", SB_INVALID, "\"layer_norm_eps\""},
    {"{" GOOD ",\"layer_norm_eps\":\"x\"}", SB_INVALID, "\"layer_norm_eps\""},
    {"{" GOOD ",\"hidden_dropout_prob\":1}", SB_INVALID, "\"hidden_dropout_prob\""},
    {"{" GOOD ",\"attention_probs_dropout_prob\":-0.1}", SB_INVALID, "\"attention_probs_dropout_prob\""},
    {"{" GOOD ",\"initializer_range\":-1}", SB_INVALID, "\"initializer_range\""},
    {"{" GOOD ",\"hidden_act\":\"mish\"}", SB_UNSUPPORTED, "\"hidden_act\" is \"mish\""},
    {"{" GOOD ",\"hidden_act\":3}", SB_INVALID, "\"hidden_act\""},
    {"{" GOOD ",\"pooler_activation\":\"relu\"}", SB_UNSUPPORTED, "\"pooler_activation\""},
    {"{" GOOD ",\"model_type\":\"xlm-roberta\"}", SB_UNSUPPORTED, "\"model_type\" is \"xlm-roberta\""},
    {"{" GOOD ",\"model_type\":7}", SB_INVALID, "\"model_type\""},
    {"{" GOOD ",\"position_embedding_type\":\"relative_key\"}", SB_UNSUPPORTED, "relative_key"},
    {"{" GOOD ",\"model_type\":\"roformer\",\"rotary_value\":true}", SB_UNSUPPORTED, "rotary_value"},
    {"{" GOOD ",\"rotary_value\":1}", SB_INVALID, "rotary_value"},
    {"{" GOOD ",\"rotary_value\":false,\"norm_type\":\"layer_norm\",\"use_bias\":true,\"rope_theta\":1e4}", SB_OK, ""},
    {"{" GOOD ",\"norm_type\":\"rms_norm\"}", SB_UNSUPPORTED,
     "\"norm_type\" is \"rms_norm\"; known is layer_norm: RoFormer-V2"},
    {"{" GOOD ",\"use_bias\":false}", SB_UNSUPPORTED, "\"use_bias\" is false"},
    {"{" GOOD ",\"rope_theta\":500000}", SB_UNSUPPORTED, "\"rope_theta\" is 500000; known is 10000"},
    {"{" GOOD ",\"model_type\":\"roformer\",\"attention_key_size\":7}", SB_INVALID, "odd"},
    {"{" GOOD ",\"attention_parts\":\"vanilla\"}", SB_INVALID, "\"attention_parts\" must be a list"},
    {"{" GOOD ",\"attention_parts\":[]}", SB_INVALID, "\"attention_parts\" names no part"},
    {"{" GOOD ",\"attention_parts\":[\"+talking\"]}", SB_INVALID, "\"attention_parts\" names no part"},
    {"{" GOOD ",\"attention_parts\":[3]}", SB_INVALID, "not a name"},
    {"{" GOOD ",\"attention_parts\":[\"linear\"]}", SB_UNSUPPORTED, "names \"linear\"; known are vanilla, rotary"},
    {"{" GOOD ",\"attention_parts\":[\"dense\",\"random\",\"dense\"]}", SB_INVALID, "names \"dense\" twice"},
    {"{" GOOD ",\"attention_parts\":[\"dense\",\"+talking\",\"+talking\"]}", SB_INVALID, "\"+talking\" twice"},
    {"{" GOOD ",\"attention_parts\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}", SB_INVALID,
     "more than 8"},
    {"{" GOOD ",\"attention_parts\":[\"vanilla\",\"rotary\"]}", SB_INVALID, "share"},
    {"{" GOOD ",\"attention_parts\":[\"rotary\"],\"attention_key_size\":7}", SB_INVALID, "odd"},
    {"{" GOOD ",\"factor_rank\":0}", SB_INVALID, "\"factor_rank\" must be an integer from 1 to 8192"},
    {"{" GOOD ",\"attention_parts\":[\"factorised_dense\"],\"factor_a\":3,\"factor_b\":5}", SB_INVALID,
     "\"factor_a\" 3 times \"factor_b\" 5 is less than the 16 of \"max_position_embeddings\""},
    {"{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":5,\"intermediate_size\":64,\"vocab_size\":9,"
     "\"max_position_embeddings\":9}",
     SB_INVALID, "\"num_attention_heads\" 5 does not divide \"hidden_size\" 32"},
    {"{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":1024,\"intermediate_size\":64,\"vocab_size\":"
     "9,"
     "\"max_position_embeddings\":9,\"attention_head_size\":8192}",
     SB_INVALID, "1024 heads of size 8192"},
    {"{\"hidden_size\":32,\"num_hidden_layers\":257}", SB_INVALID, "\"num_hidden_layers\""},
    {"{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":0}", SB_INVALID,
     "\"intermediate_size\""},
    {"{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":64,\"vocab_size\":"
     "16777217}",
     SB_INVALID, "\"vocab_size\""},
};

START_TEST(bounds)
{
    scratch_text("m/config.json", bad[_i].text);
    if (bad[_i].status == SB_OK)
        ck_assert_int_eq(read_ok(scratch("m")).hidden_size, 32);
    else
        expect_error(bad[_i].status, bad[_i].words);
}
END_TEST

START_TEST(odd_heads_with_a_head_size)
{
    scratch_text("m/config.json",
                 "{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":5,\"intermediate_size\":64,"
                 "\"vocab_size\":9,\"max_position_embeddings\":9,\"attention_head_size\":6}");
    struct sb_config c = read_ok(scratch("m"));
    ck_assert_int_eq(c.attention_head_size, 6);
    ck_assert_int_eq(c.attention_key_size, 6);
}
END_TEST

START_TEST(missing_and_huge_files)
{
    expect_error(SB_NOT_FOUND, "neither config.json nor bert_config.json");
    static char huge[(1 << 20) + 2];
    memset(huge, ' ', sizeof huge - 1);
    scratch_text("m/config.json", huge);
    expect_error(SB_LIMIT, "config.json");
}
END_TEST

/* ---- sentence-transformers ---- */

#define MODULE(path, type)                                                                                             \
    "{\"idx\":0,\"name\":\"0\",\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type "\"}"
#define TRANSFORMER MODULE("", "Transformer")
#define POOLING MODULE("1_Pooling", "Pooling")
#define NORMALIZE MODULE("2_Normalize", "Normalize")
#define DENSE MODULE("2_Dense", "Dense")

static void put_modules(const char *modules, const char *pooling)
{
    scratch_text("m/config.json", "{" GOOD "}");
    scratch_text("m/modules.json", modules);
    scratch_text("m/1_Pooling/config.json", pooling);
}

START_TEST(modules)
{
    put_modules("[" TRANSFORMER "," POOLING "," NORMALIZE "]",
                "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}");
    struct sb_config c = read_ok(scratch("m"));
    ck_assert_int_eq(c.pooling, SB_POOL_CLS);
    ck_assert(c.normalize);
    ck_assert_int_eq(c.max_length, 16);
    put_modules("[" TRANSFORMER "," POOLING "]", "{\"word_embedding_dimension\":32,\"pooling_mode_mean_tokens\":true}");
    scratch_text("m/sentence_bert_config.json", "{\"max_seq_length\":9,\"do_lower_case\":false}");
    c = read_ok(scratch("m"));
    ck_assert_int_eq(c.pooling, SB_POOL_MEAN);
    ck_assert(!c.normalize);
    ck_assert_int_eq(c.max_length, 9);
    put_modules("[" TRANSFORMER "," POOLING "," DENSE "," NORMALIZE "]", "{\"pooling_mode\":\"mean\"}");
    scratch_text("m/sentence_bert_config.json", "{\"max_seq_length\":1000}");
    c = read_ok(scratch("m"));
    ck_assert_int_eq(c.pooling, SB_POOL_MEAN);
    ck_assert(c.normalize);
    ck_assert_int_eq(c.max_length, 16);
    scratch_text("m/sentence_bert_config.json", "{\"max_seq_length\":null}");
    ck_assert_int_eq(read_ok(scratch("m")).max_length, 16);
    scratch_text("m/sentence_bert_config.json", "{\"max_seq_length\":1}");
    expect_error(SB_INVALID, "sentence_bert_config.json: \"max_seq_length\"");
}
END_TEST

#define CLS "{\"pooling_mode_cls_token\":true}"

static const struct {
    const char *modules, *pooling;
    enum sb_status status;
    const char *words;
} bad_modules[] = {
    {"{}", CLS, SB_INVALID, "modules.json: it is not a JSON array"},
    {"[]", CLS, SB_INVALID, "no Pooling"},
    {"[1]", CLS, SB_INVALID, "not a JSON object"},
    {"[" TRANSFORMER "]", CLS, SB_INVALID, "no Pooling"},
    {"[" POOLING "]", CLS, SB_UNSUPPORTED, "Pooling out of order"},
    {"[" TRANSFORMER "," NORMALIZE "]", CLS, SB_UNSUPPORTED, "Normalize out of order"},
    {"[" TRANSFORMER "," POOLING "," POOLING "]", CLS, SB_UNSUPPORTED, "Pooling out of order"},
    {"[" TRANSFORMER "," POOLING "," NORMALIZE "," DENSE "]", CLS, SB_UNSUPPORTED, "Dense out of order"},
    {"[" TRANSFORMER "," POOLING "," DENSE "," DENSE "]", CLS, SB_UNSUPPORTED, "Dense out of order"},
    {"[" TRANSFORMER "," POOLING "," MODULE("3", "LSTM") "]", CLS, SB_UNSUPPORTED, "sentence_transformers.models.LSTM"},
    {"[" MODULE("0_BERT", "Transformer") "," POOLING "]", CLS, SB_UNSUPPORTED, "\"0_BERT\""},
    {"[" TRANSFORMER "," MODULE("", "Pooling") "]", CLS, SB_INVALID, "no name of a folder"},
    {"[" TRANSFORMER "," MODULE("../1_Pooling", "Pooling") "]", CLS, SB_INVALID, "no name of a folder"},
    {"[" TRANSFORMER "," MODULE("/etc", "Pooling") "]", CLS, SB_INVALID, "no name of a folder"},
    {"[" TRANSFORMER "," POOLING "," MODULE("..", "Dense") "]", CLS, SB_INVALID, "no name of a folder"},
    {"[" TRANSFORMER "," MODULE("9_Pooling", "Pooling") "]", CLS, SB_NOT_FOUND, "9_Pooling"},
    {"[" TRANSFORMER "," POOLING "]", "[]", SB_INVALID, "1_Pooling/config.json"},
    {"[" TRANSFORMER "," POOLING "]", "{}", SB_UNSUPPORTED, "pooling by \"nothing\""},
    {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode_max_tokens\":true}", SB_UNSUPPORTED, "pooling_mode_max_tokens"},
    {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}",
     SB_UNSUPPORTED, "at once"},
    {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":\"weightedmean\"}", SB_UNSUPPORTED, "weightedmean"},
    {"[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":3}", SB_INVALID, "pooling_mode"},
};

START_TEST(bad_module)
{
    put_modules(bad_modules[_i].modules, bad_modules[_i].pooling);
    expect_error(bad_modules[_i].status, bad_modules[_i].words);
}
END_TEST

/* ---- attention ---- */

START_TEST(attention)
{
    struct sb_config c = read_ok(golden("variants/mixture-all"));
    const char *names[SB_ATTENTION_PARTS + 1];
    ck_assert_int_eq(sb_attention_names(names, &c.attention), 5);
    ck_assert_str_eq(names[0], "factorised_random");
    ck_assert_str_eq(names[4], "vanilla");
    ck_assert(!c.attention.talking_heads && c.attention.factor_a == 4 && c.attention.factor_b == 6);
    ck_assert_int_eq(c.attention.factor_rank, 3);
    c = read_ok(golden("variants/talking"));
    ck_assert(c.attention.talking_heads && c.attention.part_count == 1 && c.attention.parts[0] == SB_PART_VANILLA);
    ck_assert_int_eq(c.attention.factor_a, 0); /* said, but of no meaning */
    c = read_ok(golden("models/tiny-roformer"));
    ck_assert(c.attention.part_count == 1 && c.attention.parts[0] == SB_PART_ROTARY);
    scratch_text("m/config.json", "{" GOOD ",\"attention_parts\":[\"factorised_dense\",\"factorised_random\"]}");
    c = read_ok(scratch("m"));
    ck_assert(c.attention.factor_a == 4 && c.attention.factor_b == 4 && c.attention.factor_rank == 8);
}
END_TEST

/* ---- the table of parameters ---- */

START_TEST(table)
{
    static const char *const parts[] = {"vanilla",           "dense",   "random", "fixed_random", "factorised_dense",
                                        "factorised_random", "+talking"};
    struct sb_config c =
        read_ok(golden("models/tiny-headsize")); /* every size another: H 32, E 24, A*D 40, A*Dk 16, I 64 */
    size_t shape[3];
    ck_assert_int_eq(sb_attention_from_names(&c.attention, parts, 7, NULL), SB_OK);
    c.attention.factor_a = 5;
    c.attention.factor_b = 13;
    c.attention.factor_rank = 3;
    for (int role = 0; role < SB_PARAM_ROLES; role++) {
        const struct sb_param_info *info = sb_param_info((enum sb_param_role)role);
        int rank = sb_param_shape(shape, &c, (enum sb_param_role)role);
        ck_assert(info->tensorflow && info->hugging_face);
        ck_assert_int_eq(strstr(info->tensorflow, "%d") != NULL, info->per_layer);
        ck_assert_int_eq(strstr(info->hugging_face, "%d") != NULL, info->per_layer);
        ck_assert_int_eq(info->is_kernel, strstr(info->tensorflow, "/kernel") != NULL);
        bool mixes = role == SB_TALKING_LOGITS || role == SB_TALKING_WEIGHTS,
             is_table_bias = role == SB_DENSE_TABLE_BIAS || role == SB_FACTOR_A_BIAS || role == SB_FACTOR_B_BIAS;
        ck_assert_int_eq(info->decays, rank == 2 && !mixes && !is_table_bias && role != SB_FIXED_RANDOM);
        ck_assert_int_eq(sb_param_stored_shape(shape, &c, (enum sb_param_role)role), info->is_per_head ? 3 : rank);
        if (info->is_per_head)
            ck_assert_uint_eq(shape[0], (size_t)c.num_attention_heads);
        for (int other = 0; other < role; other++)
            ck_assert_str_ne(info->tensorflow, sb_param_info((enum sb_param_role)other)->tensorflow);
    }
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_QUERY_KERNEL), 2);
    ck_assert_uint_eq(shape[0], 16);
    ck_assert_uint_eq(shape[1], 32);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_OUTPUT_KERNEL), 2);
    ck_assert_uint_eq(shape[0], 32);
    ck_assert_uint_eq(shape[1], 40);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_MLM_KERNEL), 2);
    ck_assert_uint_eq(shape[0], 24);
    ck_assert_uint_eq(shape[1], 32);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_MLM_OUTPUT_BIAS), 1);
    ck_assert_uint_eq(shape[0], 200);
    ck_assert_int_eq(sb_param_stored_shape(shape, &c, SB_FACTOR_B), 3);
    ck_assert_uint_eq(shape[1], 13);
    ck_assert_uint_eq(shape[2], 10);
    c = read_ok(golden("models/tiny-roformer"));
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_DENSE_TABLE), 0);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_MIXTURE), 0);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_POSITION_EMBEDDING), 0);
    ck_assert_int_eq(sb_param_shape(shape, &c, SB_EMBEDDING_MAP_BIAS), 0);
}
END_TEST

START_TEST(names)
{
    char name[SB_MAX_PARAM_NAME];
    struct sb_config c = read_ok(golden("models/tiny-bert"));
    sb_param_name(name, &c, SB_FFN_NORM_BETA, 11);
    ck_assert_str_eq(name, "bert.encoder.layer.11.output.LayerNorm.bias");
    sb_param_name(name, &c, SB_EMBEDDING_MAP_KERNEL, 0);
    ck_assert_str_eq(name, "bert.encoder.embedding_hidden_mapping_in.weight");
    c = read_ok(golden("models/tiny-roformer"));
    sb_param_name(name, &c, SB_FFN_NORM_BETA, 11);
    ck_assert_str_eq(name, "roformer.encoder.layer.11.output.LayerNorm.bias");
    sb_param_name(name, &c, SB_EMBEDDING_MAP_KERNEL, 0);
    ck_assert_str_eq(name, "roformer.embeddings_project.weight");
    sb_param_name(name, &c, SB_MLM_OUTPUT_BIAS, 0);
    ck_assert_str_eq(name, "cls.predictions.bias");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/config");
    TCase *tests = tcase_create("config");
    tcase_add_test(tests, tiny_models);
    tcase_add_test(tests, which_file);
    tcase_add_test(tests, activations);
    tcase_add_loop_test(tests, bounds, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tests, odd_heads_with_a_head_size);
    tcase_add_test(tests, missing_and_huge_files);
    tcase_add_test(tests, modules);
    tcase_add_loop_test(tests, bad_module, 0, sizeof bad_modules / sizeof *bad_modules);
    tcase_add_test(tests, attention);
    tcase_add_test(tests, table);
    tcase_add_test(tests, names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
