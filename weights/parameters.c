#include "weights/parameters_impl.h"

#include <stdio.h>
#include <string.h>

/* %d is the layer. Names under "bert." are also looked for without it and under "roformer.". */
static const struct sb_param_info table[SB_PARAM_ROLES] = {
    [SB_WORD_EMBEDDING] = {"bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings.weight", .decays = true},
    [SB_SEGMENT_EMBEDDING] = {"bert/embeddings/token_type_embeddings", "bert.embeddings.token_type_embeddings.weight",
                              .decays = true},
    [SB_POSITION_EMBEDDING] = {"bert/embeddings/position_embeddings", "bert.embeddings.position_embeddings.weight",
                               .decays = true},
    [SB_EMBEDDING_NORM_GAMMA] = {"bert/embeddings/LayerNorm/gamma", "bert.embeddings.LayerNorm.weight"},
    [SB_EMBEDDING_NORM_BETA] = {"bert/embeddings/LayerNorm/beta", "bert.embeddings.LayerNorm.bias"},
    [SB_EMBEDDING_MAP_KERNEL] = {"bert/encoder/embedding_hidden_mapping_in/kernel",
                                 "bert.encoder.embedding_hidden_mapping_in.weight", .is_kernel = true, .decays = true},
    [SB_EMBEDDING_MAP_BIAS] = {"bert/encoder/embedding_hidden_mapping_in/bias",
                               "bert.encoder.embedding_hidden_mapping_in.bias"},
    [SB_QUERY_KERNEL] = {"bert/encoder/layer_%d/attention/self/query/kernel",
                         "bert.encoder.layer.%d.attention.self.query.weight", .per_layer = true, .is_kernel = true,
                         .decays = true},
    [SB_QUERY_BIAS] = {"bert/encoder/layer_%d/attention/self/query/bias",
                       "bert.encoder.layer.%d.attention.self.query.bias", .per_layer = true},
    [SB_KEY_KERNEL] = {"bert/encoder/layer_%d/attention/self/key/kernel",
                       "bert.encoder.layer.%d.attention.self.key.weight", .per_layer = true, .is_kernel = true,
                       .decays = true},
    [SB_KEY_BIAS] = {"bert/encoder/layer_%d/attention/self/key/bias", "bert.encoder.layer.%d.attention.self.key.bias",
                     .per_layer = true},
    [SB_VALUE_KERNEL] = {"bert/encoder/layer_%d/attention/self/value/kernel",
                         "bert.encoder.layer.%d.attention.self.value.weight", .per_layer = true, .is_kernel = true,
                         .decays = true},
    [SB_VALUE_BIAS] = {"bert/encoder/layer_%d/attention/self/value/bias",
                       "bert.encoder.layer.%d.attention.self.value.bias", .per_layer = true},
    [SB_OUTPUT_KERNEL] = {"bert/encoder/layer_%d/attention/output/dense/kernel",
                          "bert.encoder.layer.%d.attention.output.dense.weight", .per_layer = true, .is_kernel = true,
                          .decays = true},
    [SB_OUTPUT_BIAS] = {"bert/encoder/layer_%d/attention/output/dense/bias",
                        "bert.encoder.layer.%d.attention.output.dense.bias", .per_layer = true},
    [SB_ATTENTION_NORM_GAMMA] = {"bert/encoder/layer_%d/attention/output/LayerNorm/gamma",
                                 "bert.encoder.layer.%d.attention.output.LayerNorm.weight", .per_layer = true},
    [SB_ATTENTION_NORM_BETA] = {"bert/encoder/layer_%d/attention/output/LayerNorm/beta",
                                "bert.encoder.layer.%d.attention.output.LayerNorm.bias", .per_layer = true},
    [SB_FFN_IN_KERNEL] = {"bert/encoder/layer_%d/intermediate/dense/kernel",
                          "bert.encoder.layer.%d.intermediate.dense.weight", .per_layer = true, .is_kernel = true,
                          .decays = true},
    [SB_FFN_IN_BIAS] = {"bert/encoder/layer_%d/intermediate/dense/bias",
                        "bert.encoder.layer.%d.intermediate.dense.bias", .per_layer = true},
    [SB_FFN_OUT_KERNEL] = {"bert/encoder/layer_%d/output/dense/kernel", "bert.encoder.layer.%d.output.dense.weight",
                           .per_layer = true, .is_kernel = true, .decays = true},
    [SB_FFN_OUT_BIAS] = {"bert/encoder/layer_%d/output/dense/bias", "bert.encoder.layer.%d.output.dense.bias",
                         .per_layer = true},
    [SB_FFN_NORM_GAMMA] = {"bert/encoder/layer_%d/output/LayerNorm/gamma",
                           "bert.encoder.layer.%d.output.LayerNorm.weight", .per_layer = true},
    [SB_FFN_NORM_BETA] = {"bert/encoder/layer_%d/output/LayerNorm/beta", "bert.encoder.layer.%d.output.LayerNorm.bias",
                          .per_layer = true},
    [SB_POOLER_KERNEL] = {"bert/pooler/dense/kernel", "bert.pooler.dense.weight", .is_optional = true,
                          .is_kernel = true, .decays = true},
    [SB_POOLER_BIAS] = {"bert/pooler/dense/bias", "bert.pooler.dense.bias", .is_optional = true},
    [SB_MLM_KERNEL] = {"cls/predictions/transform/dense/kernel", "cls.predictions.transform.dense.weight",
                       .is_optional = true, .is_kernel = true, .decays = true},
    [SB_MLM_BIAS] = {"cls/predictions/transform/dense/bias", "cls.predictions.transform.dense.bias",
                     .is_optional = true},
    [SB_MLM_NORM_GAMMA] = {"cls/predictions/transform/LayerNorm/gamma", "cls.predictions.transform.LayerNorm.weight",
                           .is_optional = true},
    [SB_MLM_NORM_BETA] = {"cls/predictions/transform/LayerNorm/beta", "cls.predictions.transform.LayerNorm.bias",
                          .is_optional = true},
    [SB_MLM_OUTPUT_BIAS] = {"cls/predictions/output_bias", "cls.predictions.bias", .is_optional = true},
};

const struct sb_param_info *sb_param_info(enum sb_param_role role)
{
    return &table[role];
}

int sb_param_shape(size_t shape[2], const struct sb_config *config, enum sb_param_role role)
{
    size_t H = (size_t)config->hidden_size, E = (size_t)config->embedding_size, V = (size_t)config->vocab_size;
    size_t I = (size_t)config->intermediate_size, A = (size_t)config->num_attention_heads;
    size_t keys = A * (size_t)config->attention_key_size, values = A * (size_t)config->attention_head_size;
    size_t rows = 0, columns = 0; /* rows 0: a vector of `columns` */
    switch (role) {
    case SB_WORD_EMBEDDING: rows = V, columns = E; break;
    case SB_SEGMENT_EMBEDDING: rows = (size_t)config->type_vocab_size, columns = E; break;
    case SB_POSITION_EMBEDDING: rows = (size_t)config->max_position_embeddings, columns = E; break;
    case SB_EMBEDDING_NORM_GAMMA:
    case SB_EMBEDDING_NORM_BETA:
    case SB_MLM_BIAS:
    case SB_MLM_NORM_GAMMA:
    case SB_MLM_NORM_BETA: columns = E; break;
    case SB_EMBEDDING_MAP_KERNEL: rows = H, columns = E; break;
    case SB_QUERY_KERNEL:
    case SB_KEY_KERNEL: rows = keys, columns = H; break;
    case SB_QUERY_BIAS:
    case SB_KEY_BIAS: columns = keys; break;
    case SB_VALUE_KERNEL: rows = values, columns = H; break;
    case SB_VALUE_BIAS: columns = values; break;
    case SB_OUTPUT_KERNEL: rows = H, columns = values; break;
    case SB_FFN_IN_KERNEL: rows = I, columns = H; break;
    case SB_FFN_IN_BIAS: columns = I; break;
    case SB_FFN_OUT_KERNEL: rows = H, columns = I; break;
    case SB_POOLER_KERNEL: rows = H, columns = H; break;
    case SB_MLM_KERNEL: rows = E, columns = H; break;
    case SB_MLM_OUTPUT_BIAS: columns = V; break;
    case SB_EMBEDDING_MAP_BIAS:
    case SB_OUTPUT_BIAS:
    case SB_ATTENTION_NORM_GAMMA:
    case SB_ATTENTION_NORM_BETA:
    case SB_FFN_OUT_BIAS:
    case SB_FFN_NORM_GAMMA:
    case SB_FFN_NORM_BETA:
    case SB_POOLER_BIAS: columns = H; break;
    case SB_PARAM_ROLES: break;
    }
    bool is_mapping = role == SB_EMBEDDING_MAP_KERNEL || role == SB_EMBEDDING_MAP_BIAS;
    if (columns == 0 || (is_mapping && E == H) ||
        (role == SB_POSITION_EMBEDDING && strcmp(config->model_type, "roformer") == 0))
        return 0;
    shape[0] = rows ? rows : columns;
    shape[1] = rows ? columns : 0;
    return rows ? 2 : 1;
}

/* pattern with %d replaced, appended to prefix. */
static void fill_name(char name[SB_MAX_PARAM_NAME], const char *prefix, const char *pattern, int layer)
{
    const char *hole = strstr(pattern, "%d");
    if (hole)
        snprintf(name, SB_MAX_PARAM_NAME, "%s%.*s%d%s", prefix, (int)(hole - pattern), pattern, layer, hole + 2);
    else
        snprintf(name, SB_MAX_PARAM_NAME, "%s%s", prefix, pattern);
}

/* Names that no rule gives. */
static const struct {
    enum sb_param_role role;
    const char *name;
} aliases[] = {
    {SB_EMBEDDING_MAP_KERNEL, "roformer.embeddings_project.weight"},
    {SB_EMBEDDING_MAP_KERNEL, "embeddings_project.weight"},
    {SB_EMBEDDING_MAP_BIAS, "roformer.embeddings_project.bias"},
    {SB_EMBEDDING_MAP_BIAS, "embeddings_project.bias"},
    {SB_MLM_OUTPUT_BIAS, "cls.predictions.decoder.bias"},
};

static bool ends_with(const char *text, const char *tail)
{
    size_t length = strlen(text), tail_length = strlen(tail);
    return length >= tail_length && strcmp(text + length - tail_length, tail) == 0;
}

/* Early transformers called LayerNorm's weight and bias gamma and beta, as TensorFlow does. */
static const struct sb_tensor *find_old_norm(const struct sb_checkpoint *checkpoint, enum sb_param_role role,
                                             char *name)
{
    const char *ending = ends_with(table[role].tensorflow, "/gamma")  ? ".gamma"
                         : ends_with(table[role].tensorflow, "/beta") ? ".beta"
                                                                      : NULL;
    char *dot = strrchr(name, '.');
    if (!ending || !dot)
        return NULL;
    snprintf(dot, SB_MAX_PARAM_NAME - (size_t)(dot - name), "%s", ending);
    return sb_checkpoint_find(checkpoint, name);
}

const struct sb_tensor *sb_param_find(const struct sb_checkpoint *checkpoint, enum sb_param_role role, int layer,
                                      bool *is_tensorflow)
{
    static const char *const prefixes[] = {"bert.", "", "roformer."};
    const char *pattern = table[role].hugging_face;
    bool in_encoder = strncmp(pattern, "bert.", 5) == 0;
    char name[SB_MAX_PARAM_NAME];
    const struct sb_tensor *found = NULL;
    *is_tensorflow = false;
    for (int i = 0; i < (in_encoder ? 3 : 1) && !found; i++) {
        fill_name(name, in_encoder ? prefixes[i] : "", in_encoder ? pattern + 5 : pattern, layer);
        found = sb_checkpoint_find(checkpoint, name);
        if (!found)
            found = find_old_norm(checkpoint, role, name);
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases && !found; i++)
        if (aliases[i].role == role)
            found = sb_checkpoint_find(checkpoint, aliases[i].name);
    if (!found) {
        fill_name(name, "", table[role].tensorflow, layer);
        found = sb_checkpoint_find(checkpoint, name);
        *is_tensorflow = found != NULL;
    }
    return found;
}

void sb_param_name(char name[SB_MAX_PARAM_NAME], const struct sb_config *config, enum sb_param_role role, int layer)
{
    const char *pattern = table[role].hugging_face;
    bool is_roformer = strcmp(config->model_type, "roformer") == 0;
    if (!is_roformer || strncmp(pattern, "bert.", 5) != 0)
        fill_name(name, "", pattern, layer);
    else if (role == SB_EMBEDDING_MAP_KERNEL || role == SB_EMBEDDING_MAP_BIAS)
        fill_name(name, "roformer.embeddings_project.", strrchr(pattern, '.') + 1, layer);
    else
        fill_name(name, "roformer.", pattern + 5, layer);
}
