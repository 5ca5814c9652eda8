/*
 * Inside of a model. Only model/ includes this.
 */
#ifndef SB_MODEL_MODEL_IMPL_H
#define SB_MODEL_MODEL_IMPL_H

#include "base/arena.h"
#include "model/attention/attention.h"
#include "model/model.h"
#include "weights/weights.h"

#include <stdatomic.h>

/* act(x W^T + bias) */
struct sb_dense {
    struct sb_packed packed;
    float *bias; /* [out] or NULL */
};

struct sb_norm {
    float *gamma, *beta; /* [n] */
};

struct sb_layer {
    struct sb_dense query;     /* H -> query_width of the attention's plan; may have no outputs */
    struct sb_dense key_value; /* H -> key_width + value_width: keys first, then values */
    struct sb_attention_tables attention;
    struct sb_dense output;    /* A * value_size -> H */
    struct sb_norm attention_norm;
    struct sb_dense ffn_in;  /* H -> I */
    struct sb_dense ffn_out; /* I -> H */
    struct sb_norm ffn_norm;
};

struct sb_model {
    atomic_int references;
    char name[128];
    struct sb_weights *weights; /* stays open: word embeddings are read from the mapped file */
    struct sb_tokenizer *tokenizer;
    const struct sb_kernels *kernels;
    enum sb_packed_dtype dtype;
    const struct sb_attention_kernel *embedding_attention; /* of rows that only become vectors; NULL: kernels->attention */
    struct sb_config config;
    struct sb_attention_plan attention;
    struct sb_arena arena;

    struct sb_param word_embedding;                /* [V, E] as stored */
    float *position_embedding, *segment_embedding; /* [P, E], [type_vocab_size, E]; no positions: NULL */
    struct sb_norm embedding_norm;                 /* [E] */
    bool has_embedding_map;
    struct sb_dense embedding_map; /* E -> H, when E != H */
    struct sb_layer *layers;       /* [num_hidden_layers] */

    struct sb_dense pooler; /* H -> H, with pooling by pooler */
    bool has_dense;         /* sentence-transformers Dense behind the pooling */
    struct sb_dense dense;
    enum sb_act dense_act;
    int dimensions; /* of a sentence vector */

    float *pair_head; /* [classes, 3 * dimensions]; NULL: none */

    bool can_generate;
    struct sb_dense mlm; /* H -> E */
    struct sb_norm mlm_norm;
    struct sb_dense vocabulary; /* E -> V: the word embedding again, packed, with the output bias */
};

enum sb_act sb_act_of(enum sb_activation activation);

/* y[rows, out] = act(x[rows, in] W^T + bias) + residual; epilogue NULL: neither. */
static inline void sb_dense_apply(float *y, const float *x, size_t rows, const struct sb_dense *dense,
                                  const struct sb_epilogue *epilogue, void *scratch)
{
    sb_linear(y, dense->packed.out, x, dense->packed.in, rows, &dense->packed, dense->bias, epilogue, scratch);
}

#endif
