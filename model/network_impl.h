/*
 * Inside of a network that is trained: where each part's parameters lie in the flat array. Only model/ includes this.
 */
#ifndef SB_MODEL_NETWORK_IMPL_H
#define SB_MODEL_NETWORK_IMPL_H

#include "model/model_impl.h"
#include "model/network.h"

/* y = x W^T + b: offsets of W[out, in] and b[out]. */
struct sb_affine {
    size_t kernel, bias, out, in;
};

struct sb_norm_place {
    size_t gamma, beta;
};

struct sb_layer_places {
    struct sb_affine features; /* one product: the attention's projections, kernels one behind the other, then biases */
    struct sb_affine output, ffn_in, ffn_out;
    struct sb_norm_place attention_norm, ffn_norm;
};

/* Which parameter of the model an item of the table is; SB_PARAM_ROLES: an extra one. */
struct sb_parameter_role {
    enum sb_param_role role;
    int layer;
};

struct sb_network {
    char *dir; /* where it was read from: config and tokenizer are copied from there when it is saved */
    struct sb_config config;
    struct sb_attention_plan attention;
    struct sb_tokenizer *tokenizer;
    struct sb_parameter *items;
    struct sb_parameter_role *roles; /* [parameters.count] */
    struct sb_parameters parameters;
    float *values;

    size_t word_embedding, segment_embedding, position_embedding;
    struct sb_norm_place embedding_norm;
    bool has_positions, has_embedding_map, has_pooler, has_mlm;
    struct sb_affine embedding_map;
    struct sb_layer_places *layers; /* [num_hidden_layers] */
    struct sb_affine pooler, mlm;
    struct sb_norm_place mlm_norm;
    size_t mlm_output_bias;
};

/* network_layout.c: builds the table and the places above from the config and what the checkpoint has. */
SB_MUST_CHECK enum sb_status sb_network_lay_out(struct sb_network *network, const struct sb_weights *weights,
                                                const struct sb_network_options *options, struct sb_error *error);
/* The same from another network's table, with this network's config. */
SB_MUST_CHECK enum sb_status sb_network_lay_out_like(struct sb_network *network, const struct sb_network *other,
                                                     struct sb_error *error);

/* A layer's attention tables within a flat array of the network's layout: its values, or gradients by them. */
struct sb_attention_tables sb_network_attention(const struct sb_network *network, int layer, float *flat);

#endif
