/*
 * Inside of a pass: the activations that the forward pass leaves for the backward pass, and the buffers of both.
 *
 * Kept of each token: the input of the first layer, and of each layer (struct sb_kept)
 *
 *     features [query + key + value]   context [value]   attention_sum [H]   ffn_in [I]   ffn_sum [H]
 *
 * where the sums are what goes into the LayerNorms. The outputs of LayerNorms, gelu and softmax are computed again. With
 * `recompute` all layers share one set but for ffn_sum, and a layer's set is filled again before its backward step.
 *
 * Long sums over tokens (gradients of kernels) run over chunks of SB_PASS_CHUNK tokens, one chunk after the other, so their order
 * depends on nothing but the batch.
 */
#ifndef SB_MODEL_PASS_IMPL_H
#define SB_MODEL_PASS_IMPL_H

#include "base/arena.h"
#include "kernels/training_kernels.h"
#include "model/network_impl.h"

enum {
    SB_PASS_CHUNK = 512,     /* tokens whose share of a kernel's gradient is one product */
    SB_PASS_ROWS = 192,      /* rows of a product that one task computes: a multiple of the micro-kernel's six */
    SB_PASS_NORM_ROWS = 64,  /* rows of a LayerNorm that one task computes */
};

#define SB_NO_OUTPUT UINT32_MAX

/* Where dropout happens; with the layer it names the mask. */
enum sb_dropout_site { SB_DROP_EMBEDDING, SB_DROP_ATTENTION, SB_DROP_ATTENTION_OUT, SB_DROP_FFN_OUT, SB_DROP_SITES };

struct sb_kept {
    float *features, *context, *attention_sum, *ffn_in, *ffn_sum;
};

struct sb_pass {
    struct sb_network *network;
    struct sb_pass_options options;
    const struct sb_kernels *kernels;
    const struct sb_training_kernels *training;
    const struct sb_linear_kernel *linear;
    struct sb_arena arena;

    struct sb_pass_input input; /* of the last forward */
    size_t tokens;
    size_t *first_token;                   /* [max_rows + 1] */
    size_t *first_logit;                   /* [max_rows]: of a row in dlogits */
    uint32_t *token_row, *token_position;  /* [max_tokens] */
    /* Tokens whose last layer's output is wanted, in order; all that the last layer holds, and dhidden, has a row for each. */
    size_t *outputs, output_count;         /* [max_tokens] */
    uint32_t *output_of;                   /* [max_tokens]: index into outputs; SB_NO_OUTPUT */

    float *embedding_sum;   /* [tokens, E], into the embedding's LayerNorm */
    float *embedding;       /* [tokens, E], behind its dropout; with an E -> H map only */
    float *first;           /* [tokens, H], the first layer's input */
    struct sb_kept *layers; /* [num_hidden_layers] */
    float *x;               /* [tokens, H]: forward: the stream; backward: a layer's input */
    float *dx, *dy;         /* [tokens, H]: gradient by the stream; what passes a dropout */
    float *dhidden;         /* [tokens, H]: gradient by the last layer's output, from the heads */
    float *dcontext;        /* [tokens, value] */
    float *dfeatures;
    float *dlogits; /* of every row [heads, T, T]: by the attention's logits; for parts with trained tables only */
    float *mixing;  /* [max_rows, sb_pass_mixing_floats]: a row's gradients by the mixtures; where there are any */
    float *chunk_hidden;      /* [SB_PASS_CHUNK, max(H, E)] */
    float *chunk_ffn, *dffn;  /* [SB_PASS_CHUNK, I] */
    float *transposed;        /* [widest out, SB_PASS_CHUNK]: dY^T of a chunk */
    float *norm_partials;     /* [tokens / SB_PASS_NORM_ROWS + 1, 2 max(H, E)] */
    void *panels[2];          /* packed kernels: as it is, and transposed; largest kernel of a layer or head */
    void *chunk_panels;       /* packed X^T of a chunk */
    void **scratch;           /* [threads]: of sb_linear */
    float **attention;        /* [threads]: of one row's attention */

    float *pool_in, *pool_sum, *pooled, *dpool; /* [max_rows, H]; pool_in: what the pooler reads, pool_sum: what it activates */
    float *head[4];          /* [SB_LOGITS_CHUNK, max(H, E)] */
    float *logits;           /* [SB_LOGITS_CHUNK, V] */
    float *logits_transposed; /* [V, SB_LOGITS_CHUNK] */
    void *vocabulary[2];     /* the word embedding packed: as it is, and transposed */
    struct {                 /* of sb_pass_keep_reference */
        float *features;     /* [max_tokens, E] */
        float *bias, *logits; /* [V], [SB_LOGITS_CHUNK, V] */
        void *panels;
        struct sb_packed vocabulary;
    } reference;
};

static inline bool sb_pass_is_last(const struct sb_pass *p, int layer)
{
    return layer + 1 == p->network->config.num_hidden_layers;
}

static inline const float *sb_pass_value(const struct sb_pass *p, size_t offset)
{
    return p->network->values + offset;
}

/* ---- pass_linear.c: y = x W^T + b and its gradients, shared by the threads ---- */

/* W[out, in] packed for y = x W^T (transposed false), or for dx = dy W (true). memory: sb_packed_bytes. */
struct sb_packed sb_pass_pack(struct sb_pass *p, const float *kernel, size_t out, size_t in, bool transposed,
                              void *memory);
/* y[rows, out] = x W^T + bias + residual; bias and residual may be NULL, residual may be y. */
void sb_pass_linear(struct sb_pass *p, float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows,
                    const struct sb_packed *w, const float *bias, const float *residual, size_t ld_residual);
/* dkernel[out, in] += dy^T x; dbias[out] += sum over rows of dy (NULL: none). transposed: [out, SB_PASS_CHUNK]. */
void sb_pass_kernel_gradient(struct sb_pass *p, float *dkernel, float *dbias, const float *dy, size_t ld_dy,
                             const float *x, size_t ld_x, size_t rows, size_t out, size_t in, float *transposed);

/* ---- pass_norm.c: LayerNorm, dropout and residual, shared by the threads ---- */

/* What stands before a LayerNorm: sum = residual + dropout(sum) (residual NULL: sum stays), then out = LayerNorm(sum). */
struct sb_norm_step {
    float *out, *sum;
    const float *residual;
    struct sb_norm_place place;
    size_t first, rows, width; /* tokens [first, first + rows); out, sum and residual begin at `first` */
    const size_t *tokens;      /* NULL, or [first + rows]: row i is token tokens[i] */
    int layer;
    enum sb_dropout_site site;
};
void sb_pass_norm(struct sb_pass *p, const struct sb_norm_step *step);
/* dsum from dout (may be the same), and the LayerNorm's gradients. */
void sb_pass_norm_backward(struct sb_pass *p, float *dsum, const float *dout, const float *sum,
                           struct sb_norm_place place, size_t rows, size_t width, float *gradients);

/* out = x * mask / (1 - rate), for rows as in struct sb_norm_step; out may be x. Without dropout a copy. */
void sb_pass_dropout(struct sb_pass *p, float *out, const float *x, const struct sb_norm_step *rows);
/* One row of a mask in place. index names it within the site. */
void sb_dropout_row(float *x, size_t n, float rate, uint64_t seed, uint64_t stream, uint64_t index);
uint64_t sb_dropout_stream(const struct sb_pass *p, int layer, enum sb_dropout_site site);

/* ---- pass_attention.c: every row's attention; context has a row for each token, in the last layer for each output ---- */

size_t sb_pass_attention_scratch(const struct sb_attention_plan *plan); /* floats, of one thread */
size_t sb_pass_mixing_floats(const struct sb_attention_plan *plan);     /* parameters of a layer's mixtures */
/* features: as the linear layer left them; prepared in place. */
void sb_pass_attend(struct sb_pass *p, float *context, float *features, int layer);
/* features: prepared. dfeatures: by what the linear layer left. Adds to the gradients of the attention's tables. */
void sb_pass_attend_backward(struct sb_pass *p, float *dfeatures, const float *dcontext, const float *features, int layer,
                             float *gradients);

/* ---- pass_embedding.c, pass_layer.c, pass_heads.c ---- */

void sb_pass_embed(struct sb_pass *p);
void sb_pass_embed_backward(struct sb_pass *p, float *gradients); /* from dx */

/* From p->first (layer 0) or p->x to p->x. */
void sb_pass_layer(struct sb_pass *p, int layer);
/* dx: gradient by the layer's output on the way in, by its input on the way out. */
void sb_pass_layer_backward(struct sb_pass *p, int layer, float *gradients);

void sb_pass_pool(struct sb_pass *p);
void sb_pass_pool_backward(struct sb_pass *p, const float *dpooled, float *gradients); /* adds to dhidden */

#endif
