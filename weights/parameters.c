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
    [SB_DENSE_KERNEL] = {"bert/encoder/layer_%d/attention/self/dense1/kernel",
                         "bert.encoder.layer.%d.attention.self.dense1.weight", .per_layer = true, .is_kernel = true,
                         .decays = true},
    [SB_DENSE_BIAS] = {"bert/encoder/layer_%d/attention/self/dense1/bias",
                       "bert.encoder.layer.%d.attention.self.dense1.bias", .per_layer = true},
    [SB_FACTOR_KERNEL] = {"bert/encoder/layer_%d/attention/self/factor1/kernel",
                          "bert.encoder.layer.%d.attention.self.factor1.weight", .per_layer = true, .is_kernel = true,
                          .decays = true},
    [SB_FACTOR_BIAS] = {"bert/encoder/layer_%d/attention/self/factor1/bias",
                        "bert.encoder.layer.%d.attention.self.factor1.bias", .per_layer = true},
    [SB_DENSE_TABLE] = {"bert/encoder/layer_%d/attention/self/dense2/table",
                        "bert.encoder.layer.%d.attention.self.dense2.weight", .per_layer = true, .is_per_head = true,
                        .decays = true},
    [SB_DENSE_TABLE_BIAS] = {"bert/encoder/layer_%d/attention/self/dense2/bias",
                             "bert.encoder.layer.%d.attention.self.dense2.bias", .per_layer = true},
    [SB_FACTOR_A] = {"bert/encoder/layer_%d/attention/self/factor_a/table",
                     "bert.encoder.layer.%d.attention.self.factor_a.weight", .per_layer = true, .is_per_head = true,
                     .decays = true},
    [SB_FACTOR_A_BIAS] = {"bert/encoder/layer_%d/attention/self/factor_a/bias",
                          "bert.encoder.layer.%d.attention.self.factor_a.bias", .per_layer = true},
    [SB_FACTOR_B] = {"bert/encoder/layer_%d/attention/self/factor_b/table",
                     "bert.encoder.layer.%d.attention.self.factor_b.weight", .per_layer = true, .is_per_head = true,
                     .decays = true},
    [SB_FACTOR_B_BIAS] = {"bert/encoder/layer_%d/attention/self/factor_b/bias",
                          "bert.encoder.layer.%d.attention.self.factor_b.bias", .per_layer = true},
    [SB_RANDOM] = {"bert/encoder/layer_%d/attention/self/random/table",
                   "bert.encoder.layer.%d.attention.self.random.weight", .per_layer = true, .is_per_head = true,
                   .decays = true},
    [SB_FIXED_RANDOM] = {"bert/encoder/layer_%d/attention/self/fixed_random/table",
                         "bert.encoder.layer.%d.attention.self.fixed_random.weight", .per_layer = true,
                         .is_per_head = true},
    [SB_RANDOM_1] = {"bert/encoder/layer_%d/attention/self/random_1/table",
                     "bert.encoder.layer.%d.attention.self.random_1.weight", .per_layer = true, .is_per_head = true,
                     .decays = true},
    [SB_RANDOM_2] = {"bert/encoder/layer_%d/attention/self/random_2/table",
                     "bert.encoder.layer.%d.attention.self.random_2.weight", .per_layer = true, .is_per_head = true,
                     .decays = true},
    [SB_MIXTURE] = {"bert/encoder/layer_%d/attention/self/mixture/table",
                    "bert.encoder.layer.%d.attention.self.mixture.weight", .per_layer = true},
    [SB_TALKING_LOGITS] = {"bert/encoder/layer_%d/attention/self/talking_logits/table",
                           "bert.encoder.layer.%d.attention.self.talking_logits.weight", .per_layer = true},
    [SB_TALKING_WEIGHTS] = {"bert/encoder/layer_%d/attention/self/talking_weights/table",
                            "bert.encoder.layer.%d.attention.self.talking_weights.weight", .per_layer = true},
};

const struct sb_param_info *sb_param_info(enum sb_param_role role)
{
    return &table[role];
}

/* Does this config's attention have a parameter of this role? True for roles of any other kind. */
static bool attention_has(const struct sb_attention_config *a, enum sb_param_role role)
{
    switch (role) {
    case SB_QUERY_KERNEL:
    case SB_QUERY_BIAS:
    case SB_KEY_KERNEL:
    case SB_KEY_BIAS: return sb_attention_has(a, SB_PART_VANILLA) || sb_attention_has(a, SB_PART_ROTARY);
    case SB_DENSE_KERNEL:
    case SB_DENSE_BIAS:
    case SB_DENSE_TABLE:
    case SB_DENSE_TABLE_BIAS: return sb_attention_has(a, SB_PART_DENSE);
    case SB_FACTOR_KERNEL:
    case SB_FACTOR_BIAS:
    case SB_FACTOR_A:
    case SB_FACTOR_A_BIAS:
    case SB_FACTOR_B:
    case SB_FACTOR_B_BIAS: return sb_attention_has(a, SB_PART_FACTORISED_DENSE);
    case SB_RANDOM: return sb_attention_has(a, SB_PART_RANDOM);
    case SB_FIXED_RANDOM: return sb_attention_has(a, SB_PART_FIXED_RANDOM);
    case SB_RANDOM_1:
    case SB_RANDOM_2: return sb_attention_has(a, SB_PART_FACTORISED_RANDOM);
    case SB_MIXTURE: return a->part_count > 1;
    case SB_TALKING_LOGITS:
    case SB_TALKING_WEIGHTS: return a->talking_heads;
    default: return true;
    }
}

int sb_param_shape(size_t shape[2], const struct sb_config *config, enum sb_param_role role)
{
    const struct sb_attention_config *attention = &config->attention;
    size_t P = (size_t)config->max_position_embeddings, D = (size_t)config->attention_head_size;
    size_t H = (size_t)config->hidden_size, E = (size_t)config->embedding_size, V = (size_t)config->vocab_size;
    size_t I = (size_t)config->intermediate_size, A = (size_t)config->num_attention_heads;
    size_t keys = A * (size_t)config->attention_key_size, values = A * (size_t)config->attention_head_size;
    size_t rows = 0, columns = 0; /* rows 0: a vector of `columns` */
    switch (role) {
    case SB_WORD_EMBEDDING: rows = V, columns = E; break;
    case SB_SEGMENT_EMBEDDING: rows = (size_t)config->type_vocab_size, columns = E; break;
    case SB_POSITION_EMBEDDING: rows = P, columns = E; break;
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
    case SB_DENSE_KERNEL:
    case SB_FACTOR_KERNEL: rows = values, columns = H; break;
    case SB_DENSE_BIAS:
    case SB_FACTOR_BIAS: columns = values; break;
    case SB_DENSE_TABLE: rows = A * P, columns = D; break;
    case SB_DENSE_TABLE_BIAS: rows = A, columns = P; break;
    case SB_FACTOR_A: rows = A * (size_t)attention->factor_a, columns = D; break;
    case SB_FACTOR_A_BIAS: rows = A, columns = (size_t)attention->factor_a; break;
    case SB_FACTOR_B: rows = A * (size_t)attention->factor_b, columns = D; break;
    case SB_FACTOR_B_BIAS: rows = A, columns = (size_t)attention->factor_b; break;
    case SB_RANDOM:
    case SB_FIXED_RANDOM: rows = A * P, columns = P; break;
    case SB_RANDOM_1:
    case SB_RANDOM_2: rows = A * P, columns = (size_t)attention->factor_rank; break;
    case SB_MIXTURE: columns = (size_t)attention->part_count; break;
    case SB_TALKING_LOGITS:
    case SB_TALKING_WEIGHTS: rows = A, columns = A; break;
    case SB_PARAM_ROLES: break;
    }
    bool is_mapping = role == SB_EMBEDDING_MAP_KERNEL || role == SB_EMBEDDING_MAP_BIAS;
    if (columns == 0 || !attention_has(attention, role) || (is_mapping && E == H) ||
        (role == SB_POSITION_EMBEDDING && strcmp(config->model_type, "roformer") == 0))
        return 0;
    shape[0] = rows ? rows : columns;
    shape[1] = rows ? columns : 0;
    return rows ? 2 : 1;
}

int sb_param_stored_shape(size_t shape[3], const struct sb_config *config, enum sb_param_role role)
{
    int rank = sb_param_shape(shape, config, role);
    if (rank == 0 || !table[role].is_per_head)
        return rank;
    size_t heads = (size_t)config->num_attention_heads;
    shape[2] = shape[1];
    shape[1] = shape[0] / heads;
    shape[0] = heads;
    return 3;
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

void sb_param_tensorflow_name(char name[SB_MAX_PARAM_NAME], enum sb_param_role role, int layer)
{
    fill_name(name, "", table[role].tensorflow, layer);
}
