/*
 * A model's parameters: a checkpoint read through the one table that names every parameter in every format.
 *
 *     struct sb_weights *weights;
 *     if (sb_weights_open(&weights, "models/simbert-small-zh", &error) == SB_OK) {
 *         struct sb_param query = sb_weights_get(weights, SB_QUERY_KERNEL, 0);   // layer 0
 *         float row[512];
 *         sb_param_row(row, &query, 7);          // weights of output 7, as float
 *     }
 *     sb_weights_close(weights);
 *
 * Thread rule: immutable after open.
 */
#ifndef SB_WEIGHTS_WEIGHTS_H
#define SB_WEIGHTS_WEIGHTS_H

#include "weights/checkpoint.h"
#include "weights/config.h"

#include <stdbool.h>
#include <stdint.h>

enum sb_param_role {
    /* once a model (layer is ignored) */
    SB_WORD_EMBEDDING,     /* [V, E] */
    SB_SEGMENT_EMBEDDING,  /* [type_vocab_size, E] */
    SB_POSITION_EMBEDDING, /* [P, E]; absent in RoFormer */
    SB_EMBEDDING_NORM_GAMMA,
    SB_EMBEDDING_NORM_BETA, /* [E] */
    SB_EMBEDDING_MAP_KERNEL,
    SB_EMBEDDING_MAP_BIAS, /* [H, E], [H]; only when E != H */
    /* once a layer */
    SB_QUERY_KERNEL,
    SB_QUERY_BIAS, /* [A*Dk, H], [A*Dk] */
    SB_KEY_KERNEL,
    SB_KEY_BIAS, /* [A*Dk, H], [A*Dk] */
    SB_VALUE_KERNEL,
    SB_VALUE_BIAS, /* [A*D, H], [A*D] */
    SB_OUTPUT_KERNEL,
    SB_OUTPUT_BIAS, /* [H, A*D], [H] */
    SB_ATTENTION_NORM_GAMMA,
    SB_ATTENTION_NORM_BETA, /* [H] */
    SB_FFN_IN_KERNEL,
    SB_FFN_IN_BIAS, /* [I, H], [I] */
    SB_FFN_OUT_KERNEL,
    SB_FFN_OUT_BIAS, /* [H, I], [H] */
    SB_FFN_NORM_GAMMA,
    SB_FFN_NORM_BETA, /* [H] */
    /* heads, once a model; optional */
    SB_POOLER_KERNEL,
    SB_POOLER_BIAS, /* [H, H], [H] */
    SB_MLM_KERNEL,
    SB_MLM_BIAS, /* [E, H], [E] */
    SB_MLM_NORM_GAMMA,
    SB_MLM_NORM_BETA,   /* [E] */
    SB_MLM_OUTPUT_BIAS, /* [V] */
    /* once a layer, of attention variants (weights/attention.h); P: max_position_embeddings, [A, ...]: stored with rank 3 */
    SB_DENSE_KERNEL,
    SB_DENSE_BIAS, /* [A*D, H], [A*D] */
    SB_DENSE_TABLE,
    SB_DENSE_TABLE_BIAS, /* [A, P, D], [A, P] */
    SB_FACTOR_KERNEL,
    SB_FACTOR_BIAS, /* [A*D, H], [A*D] */
    SB_FACTOR_A,
    SB_FACTOR_A_BIAS, /* [A, factor_a, D], [A, factor_a] */
    SB_FACTOR_B,
    SB_FACTOR_B_BIAS, /* [A, factor_b, D], [A, factor_b] */
    SB_RANDOM,
    SB_FIXED_RANDOM, /* [A, P, P] */
    SB_RANDOM_1,
    SB_RANDOM_2, /* [A, P, factor_rank] */
    SB_MIXTURE,  /* [parts] */
    SB_TALKING_LOGITS,
    SB_TALKING_WEIGHTS, /* [A, A] */
    SB_PARAM_ROLES
};

/* One row of the table. Shapes are logical: kernels [out, in], as Hugging Face stores them; TensorFlow stores [in,
 * out]. */
struct sb_param_info {
    const char *tensorflow;   /* name with %d for the layer, e.g. "bert/encoder/layer_%d/attention/self/query/kernel" */
    const char *hugging_face; /* e.g. "bert.encoder.layer.%d.attention.self.query.weight" */
    bool per_layer, is_kernel, is_optional;
    bool is_per_head; /* a matrix a head, stored [A, rows / A, columns] */
    bool decays;      /* weight decay applies by default (not to biases and LayerNorm) */
};
const struct sb_param_info *sb_param_info(enum sb_param_role role);

/* Logical shape of a parameter under this config; returns the rank (1 or 2), 0 if this config has no such parameter. */
int sb_param_shape(size_t shape[2], const struct sb_config *config, enum sb_param_role role);
/* Shape as it is stored under Hugging Face's name, which differs for a matrix a head; returns the rank, 0..3. */
int sb_param_stored_shape(size_t shape[3], const struct sb_config *config, enum sb_param_role role);

enum { SB_MAX_PARAM_NAME = 128 };
/* The Hugging Face name that a model of this kind uses ("bert.…", "roformer.…"): what the converter writes. */
void sb_param_name(char name[SB_MAX_PARAM_NAME], const struct sb_config *config, enum sb_param_role role, int layer);

/* A parameter as stored. data is NULL when the checkpoint has none. Element [o][i] of the logical shape lies at
   o * stride_out + i * stride_in elements of dtype. Borrowed from the weights. */
struct sb_param {
    const void *data;
    enum sb_dtype dtype;
    size_t rows, columns; /* logical shape; a vector has rows 1 */
    size_t stride_row, stride_column;
};

struct sb_weights;

/* Opens and checks: every required parameter is there with the shape that the config asks for, a head (pooler, MLM) as
   a whole or not at all; all errors name the tensor. Checksums of used tensors are checked where there is an
   instruction for it (TensorFlow's CRC-32C). Gives SB_UNSUPPORTED when the data files are missing, and for an output
   layer that differs from the word embedding. Sets config.pooling to SB_POOL_CLS where pooling is by pooler and there
   is none. */
SB_MUST_CHECK enum sb_status sb_weights_open(struct sb_weights **weights, const char *dir, struct sb_error *error);
void sb_weights_close(struct sb_weights *weights);

const struct sb_config *sb_weights_config(const struct sb_weights *weights);
const struct sb_checkpoint *sb_weights_checkpoint(const struct sb_weights *weights);
/* 0 <= layer < num_hidden_layers; data NULL: the model has none. */
struct sb_param sb_weights_get(const struct sb_weights *weights, enum sb_param_role role, int layer);

/* All MLM parameters are there: the model can generate. */
bool sb_weights_has_mlm(const struct sb_weights *weights);
bool sb_weights_has_pooler(const struct sb_weights *weights);

/* sentence-transformers' Dense module, behind the pooling: [out, in] kernel, bias (data NULL: none) and activation.
   False if the model has none. */
bool sb_weights_dense(const struct sb_weights *weights, struct sb_param *kernel, struct sb_param *bias,
                      enum sb_activation *activation);

/* The head that config.pair_head speaks of: [classes, 3 * dimensions]. False if the model has none. */
bool sb_weights_pair_head(const struct sb_weights *weights, struct sb_param *kernel);

/* Identifies these weights and this config: hex digits of a 128-bit hash over what decides vectors and logits,
   the config (less what only training uses) and every tensor's bytes that they come from. The same weights in another file format may
   have another hash. Tells models apart, but is not cryptographic. The first call reads all weights, 40 MB in about 5
   ms; it is safe from any thread. NUL-terminated, borrowed. */
const char *sb_weights_hash(const struct sb_weights *weights);

/* dst[columns] = logical row `row` as floats. */
void sb_param_row(float *dst, const struct sb_param *param, size_t row);

#endif
