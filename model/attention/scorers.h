/*
 * The parts that give logits, one file each. Only model/attention/ includes this.
 */
#ifndef SB_MODEL_ATTENTION_SCORERS_H
#define SB_MODEL_ATTENTION_SCORERS_H

#include "model/attention/attention.h"

enum { SB_SCORER_STRIPS = 6 };

/* One head of one row, as one part sees it. */
struct sb_scorer_call {
    const struct sb_attention_plan *plan;
    const struct sb_training_kernels *kernels;
    float *const *tables; /* whole, of all heads; in the order of the scorer's list */
    const float *query;   /* [queries, size]: this head's columns; NULL without a query side */
    const float *key;     /* [keys, size] */
    size_t ld_query, ld_key;
    const int *positions; /* [queries] */
    size_t queries, keys, head;
    float *strips[SB_SCORER_STRIPS]; /* scratch: each has room for [positions, the widest of a part's rows] */
    float *square;                   /* scratch: [keys, queries]; backward and table_gradients only */
};

static inline const float *sb_head_table(const struct sb_scorer_call *call, int table, size_t floats)
{
    return call->tables[table] + call->head * floats;
}

extern const struct sb_scorer sb_vanilla_scorer;           /* dot_product.c */
extern const struct sb_scorer sb_rotary_scorer;            /* rotary.c */
extern const struct sb_scorer sb_dense_scorer;             /* dense.c */
extern const struct sb_scorer sb_random_scorer;            /* random.c */
extern const struct sb_scorer sb_fixed_random_scorer;      /* random.c */
extern const struct sb_scorer sb_factorised_dense_scorer;  /* factorised_dense.c */
extern const struct sb_scorer sb_factorised_random_scorer; /* factorised_random.c */

/* dot_product.c: logits and gradients of Q K^T, whatever was done to Q and K before. */
void sb_dot_product_logits(const struct sb_scorer_call *call, float *logits);
void sb_dot_product_backward(const struct sb_scorer_call *call, const float *dlogits, float *dquery, float *dkey);

/* relu.c: the hidden layer of what predicts logits from the query alone. columns: [heads * size] of one token. */
void sb_relu_prepare(const struct sb_attention_plan *plan, float *columns, size_t position);
void sb_relu_prepare_backward(const struct sb_attention_plan *plan, float *dcolumns, const float *columns,
                              size_t position);

/* rotary.c: fills plan->rotation. */
void sb_rotary_fill(struct sb_attention_plan *plan);

/* plan.c: floats of a strip. */
size_t sb_scorer_strip(const struct sb_attention_plan *plan);

/* talking_heads.c: out[heads, n] = mix[heads, heads] @ in[heads, n], its gradient by in (stored) and by mix (added). */
void sb_mix_heads(const struct sb_attention_plan *plan, const struct sb_training_kernels *kernels, float *out,
                  const float *mix, const float *in, size_t n);
void sb_mix_heads_backward(const struct sb_attention_plan *plan, const struct sb_training_kernels *kernels, float *din,
                           const float *mix, const float *dout, size_t n);
void sb_mix_heads_gradient(const struct sb_attention_plan *plan, const struct sb_kernels *kernels, float *dmix,
                           const float *dout, const float *in, size_t n);

/* logits.c: what forward and backward have in common. */

/* How a part's logits go into J, and the scale that the softmax applies. */
struct sb_part_weights {
    float share[SB_ATTENTION_PARTS]; /* softmax(mixture); 1 for a single part */
    float of[SB_ATTENTION_PARTS];    /* share * scale; 1 where the softmax scales */
    float softmax_scale;
};
void sb_part_weights(struct sb_part_weights *weights, const struct sb_attending *a);

/* The call of a part for a head and for queries [first, first + queries). strips: SB_SCORER_STRIPS of them, one behind
   the other. */
struct sb_scorer_call sb_scorer_call_of(const struct sb_attending *a, int part, size_t head, size_t first_query,
                                        size_t queries, float *strips);
/* J[queries, keys] of a head, of these queries. spare: as large, used when there are several parts. */
void sb_head_logits(const struct sb_attending *a, const struct sb_part_weights *weights, size_t head,
                    size_t first_query, size_t queries, float *logits, float *spare, float *strips);
/* Each query's softmax over the keys that it sees; 0 for the others. In place. */
void sb_head_softmax(const struct sb_attending *a, const struct sb_part_weights *weights, size_t first_query,
                     size_t queries, float *logits);

#endif
