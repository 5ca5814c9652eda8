#include "weights/config_impl.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most numbers that one attention projection may have, A * D or A * Dk. */
enum { PROJECTION_MAX = 65536 };

static const struct integer_key {
    const char *key;
    size_t field;
    int low, high;
    bool is_required;
} integer_keys[] = {
    {"hidden_size", offsetof(struct sb_config, hidden_size), 1, 8192, true},
    {"embedding_size", offsetof(struct sb_config, embedding_size), 1, 8192, false},
    {"num_hidden_layers", offsetof(struct sb_config, num_hidden_layers), 1, 256, true},
    {"num_attention_heads", offsetof(struct sb_config, num_attention_heads), 1, 1024, true},
    {"attention_head_size", offsetof(struct sb_config, attention_head_size), 1, 8192, false},
    {"attention_key_size", offsetof(struct sb_config, attention_key_size), 1, 8192, false},
    {"intermediate_size", offsetof(struct sb_config, intermediate_size), 1, 131072, true},
    {"vocab_size", offsetof(struct sb_config, vocab_size), 1, 1 << 24, true},
    {"max_position_embeddings", offsetof(struct sb_config, max_position_embeddings), 1, 1 << 20, true},
    {"type_vocab_size", offsetof(struct sb_config, type_vocab_size), 1, 1024, false},
};

static const struct float_key {
    const char *key;
    size_t field;
    double low, high;
} float_keys[] = {
    {"layer_norm_eps", offsetof(struct sb_config, layer_norm_eps), 1e-30, 0.1},
    {"hidden_dropout_prob", offsetof(struct sb_config, hidden_dropout_prob), 0, 0.99},
    {"attention_probs_dropout_prob", offsetof(struct sb_config, attention_dropout_prob), 0, 0.99},
    {"initializer_range", offsetof(struct sb_config, initializer_range), 0, 10},
};

/* Several names for one function; the first of them is written. */
static const struct {
    const char *name;
    enum sb_activation activation;
} activations[] = {
    {"gelu", SB_GELU_ERF},       {"gelu_new", SB_GELU_TANH},
    {"gelu_tanh", SB_GELU_TANH}, {"gelu_pytorch_tanh", SB_GELU_TANH},
    {"gelu_fast", SB_GELU_TANH}, {"relu", SB_RELU},
    {"swish", SB_SWISH},         {"silu", SB_SWISH},
    {"tanh", SB_TANH},           {"linear", SB_LINEAR},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int *integer_field(struct sb_config *config, size_t field)
{
    return (int *)((char *)config + field);
}

static float *float_field(struct sb_config *config, size_t field)
{
    return (float *)((char *)config + field);
}

const char *sb_activation_name(enum sb_activation activation)
{
    for (size_t i = 0; i < COUNT(activations); i++)
        if (activations[i].activation == activation)
            return activations[i].name;
    return "unknown";
}

const char *sb_pooling_name(enum sb_pooling pooling)
{
    return pooling == SB_POOL_CLS ? "cls" : pooling == SB_POOL_MEAN ? "mean" : "pooler";
}

const char *sb_pair_head_name(enum sb_pair_head head)
{
    static const char *const names[] = {[SB_PAIR_HEAD_PAIRS] = "pairs", [SB_PAIR_HEAD_NLI] = "nli"};
    return names[head];
}

static enum sb_status read_integers(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    for (size_t i = 0; i < COUNT(integer_keys); i++) {
        const struct integer_key *k = &integer_keys[i];
        int64_t value = 0; /* below every `low`: the key is missing */
        enum sb_status status = sb_json_get_int(&value, k->low, k->high, json, k->key, error);
        if (status != SB_OK)
            return status;
        if (value == 0 && k->is_required)
            return sb_fail(error, SB_INVALID, "\"%s\" is missing", k->key);
        if (value != 0)
            *integer_field(config, k->field) = (int)value;
    }
    return SB_OK;
}

static enum sb_status read_floats(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    for (size_t i = 0; i < COUNT(float_keys); i++) {
        const struct float_key *k = &float_keys[i];
        double value = (double)*float_field(config, k->field);
        enum sb_status status = sb_json_get_double(&value, k->low, k->high, json, k->key, error);
        if (status != SB_OK)
            return status;
        *float_field(config, k->field) = (float)value;
    }
    return SB_OK;
}

static enum sb_status read_activation(enum sb_activation *activation, const cJSON *json, const char *key,
                                      struct sb_error *error)
{
    const char *name = NULL;
    enum sb_status status = sb_json_get_string(&name, json, key, error);
    if (status != SB_OK || !name)
        return status;
    for (size_t i = 0; i < COUNT(activations); i++) {
        if (strcmp(name, activations[i].name) == 0) {
            *activation = activations[i].activation;
            return SB_OK;
        }
    }
    return sb_fail(error, SB_UNSUPPORTED, "\"%s\" is \"%.60s\"; known are gelu, gelu_new, relu, swish, tanh, linear",
                   key, name);
}

static enum sb_status read_activations(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    enum sb_status status = read_activation(&config->hidden_act, json, "hidden_act", error);
    if (status == SB_OK)
        status = read_activation(&config->pooler_activation, json, "pooler_activation", error);
    if (status == SB_OK && config->pooler_activation != SB_LINEAR && config->pooler_activation != SB_TANH)
        status = sb_fail(error, SB_UNSUPPORTED, "\"pooler_activation\" must be \"linear\" or \"tanh\"");
    return status;
}

static enum sb_status read_pair_head(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    const char *name = NULL;
    enum sb_status status = sb_json_get_string(&name, json, "pair_head", error);
    if (status != SB_OK || !name)
        return status;
    for (config->pair_head = SB_PAIR_HEAD_PAIRS; config->pair_head <= SB_PAIR_HEAD_NLI; config->pair_head++)
        if (strcmp(name, sb_pair_head_name(config->pair_head)) == 0)
            return SB_OK;
    return sb_fail(error, SB_UNSUPPORTED, "\"pair_head\" is \"%.60s\"; known are pairs and nli", name);
}

/* Kinds of models that have BERT's shape but compute something else are refused rather than computed wrongly. */
static enum sb_status read_kind(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    const char *type = "bert", *positions = "absolute", *norm = "layer_norm";
    bool rotary_value = false, use_bias = true;
    double rope_theta = 10000;
    enum sb_status status = sb_json_get_string(&type, json, "model_type", error);
    if (status == SB_OK)
        status = sb_json_get_string(&positions, json, "position_embedding_type", error);
    if (status == SB_OK)
        status = sb_json_get_bool(&rotary_value, json, "rotary_value", error);
    if (status == SB_OK)
        status = sb_json_get_double(&rope_theta, 1, 1e12, json, "rope_theta", error);
    if (status == SB_OK)
        status = sb_json_get_string(&norm, json, "norm_type", error);
    if (status == SB_OK)
        status = sb_json_get_bool(&use_bias, json, "use_bias", error);
    if (status != SB_OK)
        return status;
    if (strcmp(type, "bert") != 0 && strcmp(type, "roformer") != 0)
        return sb_fail(error, SB_UNSUPPORTED, "\"model_type\" is \"%.60s\"; known are bert and roformer", type);
    if (strcmp(positions, "absolute") != 0)
        return sb_fail(error, SB_UNSUPPORTED, "\"position_embedding_type\" is \"%.60s\"; known is absolute", positions);
    if (rotary_value)
        return sb_fail(error, SB_UNSUPPORTED, "\"rotary_value\" is true: rotating the values is not supported");
    if (rope_theta != 10000)
        return sb_fail(error, SB_UNSUPPORTED, "\"rope_theta\" is %g; known is 10000", rope_theta);
    if (strcmp(norm, "layer_norm") != 0)
        return sb_fail(error, SB_UNSUPPORTED,
                       "\"norm_type\" is \"%.60s\"; known is layer_norm: RoFormer-V2 is not supported", norm);
    if (!use_bias)
        return sb_fail(error, SB_UNSUPPORTED,
                       "\"use_bias\" is false: layers without biases, as those of RoFormer-V2, are not supported");
    snprintf(config->model_type, sizeof config->model_type, "%s", type);
    return SB_OK;
}

/* Sizes that the file may leave out, and the rules between sizes. */
static enum sb_status derive_sizes(struct sb_config *config, struct sb_error *error)
{
    int heads = config->num_attention_heads;
    if (config->embedding_size == 0)
        config->embedding_size = config->hidden_size;
    if (config->attention_head_size == 0) {
        if (config->hidden_size % heads != 0)
            return sb_fail(error, SB_INVALID,
                           "\"num_attention_heads\" %d does not divide \"hidden_size\" %d, and there is no "
                           "\"attention_head_size\"",
                           heads, config->hidden_size);
        config->attention_head_size = config->hidden_size / heads;
    }
    if (config->attention_key_size == 0)
        config->attention_key_size = config->attention_head_size;
    int larger = config->attention_key_size > config->attention_head_size ? config->attention_key_size
                                                                          : config->attention_head_size;
    if (larger > PROJECTION_MAX / heads)
        return sb_fail(error, SB_INVALID, "%d heads of size %d have more than %d numbers together", heads, larger,
                       PROJECTION_MAX);
    return SB_OK;
}

enum sb_status sb_config_from_json(struct sb_config *config, const cJSON *json, bool is_google, struct sb_error *error)
{
    *config = (struct sb_config){
        .type_vocab_size = 2,
        .hidden_act = SB_GELU_ERF,
        .pooler_activation = is_google ? SB_LINEAR : SB_TANH,
        .pooling = SB_POOL_POOLER,
        .normalize = true,
        .hidden_dropout_prob = 0.1f,
        .attention_dropout_prob = 0.1f,
        .initializer_range = 0.02f,
    };
    if (!cJSON_IsObject(json))
        return sb_fail(error, SB_INVALID, "it is not a JSON object");
    enum sb_status status = read_kind(config, json, error);
    if (status != SB_OK)
        return status;
    /* The reference's RoFormer normalises with 1e-7, and its bert_config.json does not say so. */
    config->layer_norm_eps = is_google && strcmp(config->model_type, "roformer") == 0 ? 1e-7f : 1e-12f;
    status = read_integers(config, json, error);
    if (status == SB_OK)
        status = read_floats(config, json, error);
    if (status == SB_OK)
        status = read_activations(config, json, error);
    if (status == SB_OK)
        status = derive_sizes(config, error);
    if (status == SB_OK)
        status = sb_config_read_attention(config, json, error);
    if (status == SB_OK)
        status = read_pair_head(config, json, error);
    config->max_length = config->max_position_embeddings;
    return status;
}

enum sb_status sb_config_find(char **path, bool *is_google, const char *dir, struct sb_error *error)
{
    static const char *const names[] = {"config.json", "bert_config.json"};
    for (int i = 0; i < 2; i++) {
        *path = sb_path_join(dir, names[i]);
        *is_google = i == 1;
        if (!*path)
            return sb_fail(error, SB_NO_MEMORY, "no memory to look into %s", dir);
        if (sb_file_exists(*path))
            return SB_OK;
        free(*path);
        *path = NULL;
    }
    return sb_fail(error, SB_NOT_FOUND, "%s holds neither config.json nor bert_config.json", dir);
}

/* sentence_bert_config.json may shorten the rows to embed. */
static enum sb_status read_max_length(struct sb_config *config, const char *dir, struct sb_error *error)
{
    char *path = sb_path_join(dir, "sentence_bert_config.json");
    cJSON *json = NULL;
    int64_t length = config->max_position_embeddings;
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to look into %s", dir);
    enum sb_status status = SB_OK;
    if (sb_file_exists(path)) {
        status = sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error);
        if (status == SB_OK) {
            status = sb_json_get_int(&length, 2, INT32_MAX, json, "max_seq_length", error);
            if (status != SB_OK)
                status = sb_fail_context(error, status, "%s", path);
        }
    }
    if (length < config->max_position_embeddings)
        config->max_length = (int)length;
    cJSON_Delete(json);
    free(path);
    return status;
}

enum sb_status sb_config_read(struct sb_config *config, const char *dir, struct sb_error *error)
{
    char *path = NULL;
    cJSON *json = NULL;
    bool is_google;
    struct sb_modules modules;
    enum sb_status status = sb_config_find(&path, &is_google, dir, error);
    if (status != SB_OK)
        return status;
    status = sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error);
    if (status != SB_OK)
        goto cleanup;
    status = sb_config_from_json(config, json, is_google, error);
    if (status != SB_OK) {
        status = sb_fail_context(error, status, "%s", path);
        goto cleanup;
    }
    status = read_max_length(config, dir, error);
    if (status == SB_OK)
        status = sb_modules_read(&modules, dir, error);
    if (status == SB_OK && modules.present) {
        config->pooling = modules.pooling;
        config->normalize = modules.normalize;
    }
cleanup:
    cJSON_Delete(json);
    free(path);
    return status;
}

/* The shortest text that reads back as the same float: 1e-12, not 9.999999960041972e-13. */
static bool add_float(cJSON *json, const char *key, float value)
{
    struct sb_buffer text = {0};
    sb_buffer_float(&text, value);
    bool added = !text.failed && cJSON_AddRawToObject(json, key, text.data);
    sb_buffer_free(&text);
    return added;
}

/* null says nothing: it makes room for a value. */
static bool has(cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsNull(item))
        return item != NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    return false;
}

static bool add_text(cJSON *json, const char *key, const char *text)
{
    return has(json, key) || cJSON_AddStringToObject(json, key, text);
}

/* Training may add the head, or make vectors that it does not know. */
static bool put_pair_head(cJSON *json, const struct sb_config *config)
{
    const char *name = sb_pair_head_name(config->pair_head);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "pair_head");
    return !name || cJSON_AddStringToObject(json, "pair_head", name);
}

bool sb_config_add_missing(cJSON *json, const struct sb_config *config)
{
    struct sb_config copy = *config; /* the field helpers serve reading too */
    bool good = add_text(json, "model_type", config->model_type) &&
                add_text(json, "hidden_act", sb_activation_name(config->hidden_act)) &&
                add_text(json, "pooler_activation", sb_activation_name(config->pooler_activation));
    for (size_t i = 0; i < COUNT(integer_keys) && good; i++) {
        int value = *integer_field(&copy, integer_keys[i].field);
        const cJSON *said = cJSON_GetObjectItemCaseSensitive(json, integer_keys[i].key);
        if (cJSON_IsNumber(said) && said->valuedouble != value) /* the model was resized */
            cJSON_DeleteItemFromObjectCaseSensitive(json, integer_keys[i].key);
        good = has(json, integer_keys[i].key) || cJSON_AddNumberToObject(json, integer_keys[i].key, value);
    }
    for (size_t i = 0; i < COUNT(float_keys) && good; i++)
        good = has(json, float_keys[i].key) ||
               add_float(json, float_keys[i].key, *float_field(&copy, float_keys[i].field));
    return good && sb_config_put_attention(json, config) && put_pair_head(json, config);
}

cJSON *sb_config_describe(const struct sb_config *config)
{
    cJSON *json = cJSON_CreateObject();
    if (json && sb_config_add_missing(json, config) &&
        cJSON_AddStringToObject(json, "pooling", sb_pooling_name(config->pooling)) &&
        cJSON_AddBoolToObject(json, "normalize", config->normalize) &&
        cJSON_AddNumberToObject(json, "max_length", config->max_length))
        return json;
    cJSON_Delete(json);
    return NULL;
}
