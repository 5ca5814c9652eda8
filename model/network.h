/*
 * The network that can be trained: the same transformer as model/session.h runs, in floats that change, with its backward pass.
 *
 *     struct sb_network *network;
 *     sb_network_open(&network, "models/simbert-small-zh", NULL, &error);
 *     struct sb_pass *pass;
 *     sb_pass_new(&pass, network, &(struct sb_pass_options){.max_tokens = 4096, .max_rows = 128}, &error);
 *
 *     sb_pass_forward(pass, &(struct sb_pass_input){.rows = rows, .count = n}, &error);
 *     sb_pass_logits(pass, positions, count, loss, &context, gradients);  // calls loss(logits) -> dlogits, chunk by chunk
 *     vectors_loss(sb_pass_pooled(pass), dpooled);
 *     sb_pass_backward(pass, dpooled, gradients);                         // adds to gradients[parameters->size]
 *     optimizer_step(sb_network_values(network), gradients);
 *
 * Rows are packed, never padded; the mask is each row's length and prefix (model/session.h). Gradients are added to a flat
 * array of the parameters' layout (model/parameters.h): zero it before a step, or keep adding to accumulate.
 *
 * Every sum has one order that does not depend on the number of threads, so the same input gives the same bits. Dropout
 * masks are a function of (seed, step, row, place).
 *
 * Maths: Vaswani et al., "Attention is all you need", 2017; Dong et al., UniLM, 2019. Backward: the chain rule, layer by
 * layer, from activations that the forward pass kept; what is cheap (LayerNorm, gelu, softmax) is computed again.
 */
#ifndef SB_MODEL_NETWORK_H
#define SB_MODEL_NETWORK_H

#include "base/dtype.h"
#include "base/pool.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "model/parameters.h"
#include "tokenizer/tokenizer.h"
#include "weights/config.h"

#include <stdint.h>

struct sb_network;

/* A parameter beside the model's own, such as a classification head; stored with the others. It is new, except for the pair head
   (SB_PAIR_HEAD_TENSOR) of a model that has one of this shape. */
struct sb_extra_parameter {
    const char *name;
    size_t rows, columns; /* rows 0: a vector of `columns` */
    bool decays;
};

struct sb_network_options {
    bool needs_mlm;    /* a missing MLM head is added (is_new), else logits are refused without one */
    bool needs_pooler; /* a missing pooler is added (is_new) and pooling is by it */
    bool without_dense; /* vectors are what goes into a Dense module, which is the caller's; else a model with one is refused */
    const struct sb_extra_parameter *extras;
    size_t extra_count;
};

/* Reads a model directory of any format. options NULL: nothing is added. */
SB_MUST_CHECK enum sb_status sb_network_open(struct sb_network **network, const char *dir,
                                             const struct sb_network_options *options, struct sb_error *error);
/* A network of another config, all zero: the other's parameters in the sizes that this config says. Saved, its config and
   tokenizer files come from where the other's do. */
SB_MUST_CHECK enum sb_status sb_network_like(struct sb_network **network, const struct sb_network *other,
                                             const struct sb_config *config, struct sb_error *error);
/* Copies what has the same name and shape in both. */
void sb_network_copy_same(struct sb_network *to, const struct sb_network *from);
void sb_network_free(struct sb_network *network);

/* What the classes of the extra parameter SB_PAIR_HEAD_TENSOR (weights/config.h) are, from now on: a model that is saved then
   scores pairs with it. Without this call a saved model has no pair head: that of the directory fits other vectors. */
void sb_network_set_pair_head(struct sb_network *network, enum sb_pair_head pair_head);

const struct sb_config *sb_network_config(const struct sb_network *network);
const struct sb_tokenizer *sb_network_tokenizer(const struct sb_network *network);
const struct sb_parameters *sb_network_parameters(const struct sb_network *network);
float *sb_network_values(struct sb_network *network); /* [parameters->size]; whoever trains may change them between passes */
bool sb_network_has_mlm(const struct sb_network *network);
int sb_network_dimensions(const struct sb_network *network); /* of a sentence vector */

/* Writes a model directory that sb_model_open reads: model.safetensors with `values` (NULL: the network's own) in this dtype
   (SB_F32 or SB_F16), and copies of the config and tokenizer files of the directory it came from. */
SB_MUST_CHECK enum sb_status sb_network_save(const struct sb_network *network, const float *values, enum sb_dtype dtype,
                                             const char *dir, struct sb_error *error);

/* ---- A pass: activations, sized once ---- */

struct sb_pass;

struct sb_pass_options {
    size_t max_tokens, max_rows;       /* of one forward */
    enum sb_packed_dtype dtype;        /* arithmetic of the linear layers, forward and backward: SB_PACKED_F32 or _BF16 */
    const struct sb_kernels *kernels;  /* NULL: the best */
    struct sb_pool *pool;              /* borrowed; NULL: this thread */
    bool keeps_reference;              /* room for sb_pass_keep_reference */
    bool recompute;                    /* keep only each layer's input and run its forward again in the backward pass
                                          (gradient checkpointing, Chen et al. 2016): less memory, a third more time */
};

SB_MUST_CHECK enum sb_status sb_pass_new(struct sb_pass **pass, struct sb_network *network,
                                         const struct sb_pass_options *options, struct sb_error *error);
void sb_pass_free(struct sb_pass *pass);
size_t sb_pass_bytes(const struct sb_pass *pass);

struct sb_pass_row {
    const int32_t *ids;
    const uint8_t *segments; /* [length], NULL: all 0 */
    size_t length, prefix;   /* token i sees tokens [0, max(prefix, i + 1)) */
};

struct sb_pass_input {
    const struct sb_pass_row *rows; /* borrowed until sb_pass_backward */
    size_t count;
    float hidden_dropout, attention_dropout; /* 0: none */
    uint64_t seed, step;                     /* name the dropout masks */
    size_t first_row;                        /* number of rows[0] in the whole batch: names the masks, too */
    /* [tokens, E] added to the word embeddings, token by token, or NULL: a perturbation of each occurrence. */
    const float *perturbation;
    /* [tokens, E] or NULL: backward stores (does not add) the gradient by each token's word embedding there. It stands there
       instead of nothing else: the embedding matrix gets its gradient as well. */
    float *occurrence_gradients;
    /* [tokens] or NULL: 1 where somebody wants the last layer's output (the tokens that the pooling reads need not be marked).
       The last layer then computes little more than keys and values for the others. NULL: all. */
    const uint8_t *wanted;
};

/* SB_INVALID for ids out of range, rows that are too long; SB_LIMIT for more than the pass has room for. */
SB_MUST_CHECK enum sb_status sb_pass_forward(struct sb_pass *pass, const struct sb_pass_input *input,
                                             struct sb_error *error);

size_t sb_pass_tokens(const struct sb_pass *pass);      /* of the last forward */
/* [H]: the last layer's output at a token, which was wanted. */
const float *sb_pass_hidden(const struct sb_pass *pass, size_t token);
const float *sb_pass_pooled(const struct sb_pass *pass); /* [rows, dimensions]: sentence vectors before normalisation */

enum { SB_LOGITS_CHUNK = 256 }; /* positions whose logits exist at a time */

/* What becomes of a chunk of logits. logits[count, V] belong to positions[first .. first + count) of the call; the callee
   replaces them by the gradient of the loss, or leaves them and returns. Called in order, on the calling thread. */
typedef void sb_logits_loss(void *context, float *logits, size_t first, size_t count);

/* Logits of the MLM head at these tokens (indices into [tokens], wanted ones), chunk by chunk, so that [count, V] never exists. With
   gradients NULL the chunks are only shown. Otherwise what the callee leaves goes backward at once: head and word embedding get
   their gradients, and the gradient by the hidden states waits for sb_pass_backward. Any number of calls a forward. */
void sb_pass_logits(struct sb_pass *pass, const size_t *positions, size_t count, sb_logits_loss *loss, void *context,
                    float *gradients);

/* With the option keeps_reference: remembers what the model says at these positions now, so that it can be compared with what
   it says after its weights or its input were changed. After sb_pass_forward. */
void sb_pass_keep_reference(struct sb_pass *pass, const size_t *positions, size_t count);
/* The remembered logits [count, V] at positions [first, first + count), count <= SB_LOGITS_CHUNK; borrowed until the next call. */
const float *sb_pass_reference(struct sb_pass *pass, size_t first, size_t count);

/* Through the pooling (dpooled [rows, dimensions] or NULL) and all layers; adds to gradients[parameters->size]. Once a forward. */
void sb_pass_backward(struct sb_pass *pass, const float *dpooled, float *gradients);

#endif
