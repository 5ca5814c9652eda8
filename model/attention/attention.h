/*
 * Attention of packed rows in all its variants: one interface for serving (model/forward.c) and training
 * (model/pass_attention.c). Only model/ includes this.
 *
 *     sb_attention_plan_init(&plan, &config, &error);          // once a model: which parts, and their columns
 *     ... features of every token by linear layers, [query side] and [key side | value], see struct sb_attention_plan
 *     sb_attention_prepare_query(&plan, query, position);      // each token's query side, in place
 *     sb_attention_prepare_key(&plan, key_value, position);    // and its key side
 *     sb_attend_span(&row, kernels->attention, context, ld);   // a row's queries over its keys; in training sb_attend
 *
 * A variant is a sum of parts that give logits (struct sb_scorer, one file each), with the heads mixed or not:
 *
 *     J_h = sum over parts m of softmax(mixture)_m scale_m logits_m,h
 *     W_h = softmax over the keys that the query sees of (Pl J)_h,   context_h = (Pw W)_h V_h
 *
 * with Pl = Pw = 1 unless the heads talk. A single part of dot products is a kernel by itself (kernels->attention).
 *
 * Bits: an element of the result depends on nothing but its query and the keys that this sees, so a step over cached
 * keys and a span give the same. Rows of features: [query side of part 0, part 1, ...] and [key side of part 0, ...,
 * values]; within each [heads, size]. Parts that need no keys add no columns, and a KV cache then holds values alone.
 *
 * Thread rule: plan and tables are immutable; scratch belongs to one call.
 */
#ifndef SB_MODEL_ATTENTION_ATTENTION_H
#define SB_MODEL_ATTENTION_ATTENTION_H

#include "kernels/training_kernels.h"
#include "weights/weights.h"

struct sb_attention_plan;
struct sb_scorer_call;

enum { SB_SCORER_TABLES = 4 };

/* A part that gives logits. NULL functions: nothing to do. */
struct sb_scorer {
    bool projects_query, projects_key; /* has columns on that side, by the kernels and biases below */
    bool is_dot_product;               /* its columns are all that the fused kernel needs */
    enum sb_param_role query_kernel, query_bias, key_kernel, key_bias;
    enum sb_param_role tables[SB_SCORER_TABLES]; /* parameters beside the projections, in the order of call->tables */
    int table_count;
    bool trains_tables;

    /* Turns a token's columns, which the linear layer left, into what logits() reads; in place. */
    void (*prepare)(const struct sb_attention_plan *plan, float *columns, size_t position);
    /* The gradient by the columns as logits() reads them to that by the linear layer's output. columns: as
       logits() reads them. */
    void (*prepare_backward)(const struct sb_attention_plan *plan, float *dcolumns, const float *columns,
                             size_t position);

    /* logits[queries, keys] of one head, all keys, stored. */
    void (*logits)(const struct sb_scorer_call *call, float *logits);
    /* dquery and dkey, of the same places as query and key, stored. */
    void (*backward)(const struct sb_scorer_call *call, const float *dlogits, float *dquery, float *dkey);
    /* Adds to the gradients of its tables; of this head's part alone. */
    void (*table_gradients)(const struct sb_scorer_call *call, const float *dlogits, float *const *dtables);
};

/* Columns of one side of a part within a token's features. */
struct sb_columns {
    size_t first, size; /* size: of one head */
};

struct sb_attention_plan {
    size_t heads, key_size, value_size, positions; /* positions: longest row */
    size_t factor_a, factor_b, factor_rank;
    int part_count;
    struct {
        const struct sb_scorer *scorer;
        struct sb_columns query, key;
        float scale; /* of its logits */
    } parts[SB_ATTENTION_PARTS];
    bool talking_heads, is_fused, has_trained_tables;
    size_t query_width, key_width, value_width; /* floats of a token */
    size_t heads_at_once;                       /* whose logits must exist together */
    float *rotation; /* [positions, key_size]: cos and sin of each pair's angle; rotary only */
};

SB_MUST_CHECK enum sb_status sb_attention_plan_init(struct sb_attention_plan *plan, const struct sb_config *config,
                                                    struct sb_error *error);
void sb_attention_plan_free(struct sb_attention_plan *plan);

/* The linear layers that make a token's features, in the order of the columns: the query side, then key side and
   values. */
struct sb_projection {
    enum sb_param_role kernel, bias;
};
enum { SB_MAX_PROJECTIONS = SB_ATTENTION_PARTS + 1 };
int sb_attention_query_side(const struct sb_attention_plan *plan, struct sb_projection list[SB_MAX_PROJECTIONS]);
int sb_attention_key_side(const struct sb_attention_plan *plan, struct sb_projection list[SB_MAX_PROJECTIONS]);

/* A layer's parameters beside the projections, in the order in which the flat array holds them. Returns how many. */
enum { SB_MAX_ATTENTION_TABLES = SB_ATTENTION_PARTS * SB_SCORER_TABLES + 3 };
int sb_attention_table_roles(const struct sb_attention_plan *plan, enum sb_param_role roles[SB_MAX_ATTENTION_TABLES]);

/* Where a layer's parameters lie; for gradients the same. Unused ones are NULL. */
struct sb_attention_tables {
    float *of[SB_ATTENTION_PARTS][SB_SCORER_TABLES];
    float *mixture, *talking_logits, *talking_weights;
};
/* Fills it from `place`, which says where the parameter of a role lies. */
void sb_attention_find_tables(struct sb_attention_tables *tables, const struct sb_attention_plan *plan,
                              float *(*place)(void *context, enum sb_param_role role), void *context);

/* query: [query_width], key: [key_width], of the token at this position in its row; in place. */
void sb_attention_prepare_query(const struct sb_attention_plan *plan, float *query, size_t position);
void sb_attention_prepare_key(const struct sb_attention_plan *plan, float *key, size_t position);

/* One row. Keys stand at positions 0, 1, ...; query i stands at positions[i] and sees keys [0, visible[i]). */
struct sb_attending {
    const struct sb_attention_plan *plan;
    const struct sb_attention_tables *tables;
    const struct sb_kernels *kernels;
    const float *query;       /* [queries, query_width] */
    const float *key, *value; /* [keys, key_width], [keys, value_width] */
    size_t ld_query, ld_key, ld_value;
    size_t queries, keys;
    const int *positions, *visible; /* [queries] */
    /* Dropout of a head's weights[queries, keys] of these queries, or of a gradient by them, in place. NULL: none. */
    void (*drop)(void *context, size_t head, size_t first_query, size_t queries, float *weights);
    void *drop_context;
    float *scratch; /* sb_attend_scratch or sb_attend_backward_scratch floats */
};

/* out[queries, value_width] */
void sb_attend(const struct sb_attending *a, float *out, size_t ld_out);
size_t sb_attend_scratch(const struct sb_attention_plan *plan);

/* ---- serve.c: the same as the session runs it ---- */

/* By `fused` (kernels->attention or its like) where the plan has nothing but dot products. No dropout. */
void sb_attend_span(const struct sb_attending *a, void (*fused)(const struct sb_attention *), float *out,
                    size_t ld_out);

/* One query over rows of keys and values that lie anywhere: a KV cache's. Gives the bits that sb_attend_span gives with
   kernels->attention. */
struct sb_attending_step {
    const struct sb_attention_plan *plan;
    const struct sb_attention_tables *tables;
    const struct sb_kernels *kernels;
    const float *query;       /* [query_width] */
    const float *const *keys; /* [count] rows of key_width + value_width; the last one is the query's own token */
    const float **values;     /* [count], written: scratch */
    size_t count, position;
    float *scratch; /* sb_attend_serve_scratch floats */
};
void sb_attend_step(const struct sb_attending_step *s, float *out);
size_t sb_attend_serve_scratch(const struct sb_attention_plan *plan);

/* ---- attend_backward.c ---- */

/* What the backward pass of a row makes. Gradients by features are stored, those of the mixtures added. */
struct sb_attending_gradients {
    const float *dout; /* [queries, value_width] */
    size_t ld_dout;
    float *dquery, *dkey, *dvalue; /* of the places of query, key and value; before sb_attention_prepare_backward */
    float *dlogits; /* [heads, queries, keys], gradient by J, for sb_attend_table_gradients; NULL: not wanted */
    struct sb_attention_tables mixing; /* mixture, talking_logits and talking_weights: added to */
};
void sb_attend_backward(const struct sb_attending *a, const struct sb_attending_gradients *g);
size_t sb_attend_backward_scratch(const struct sb_attention_plan *plan);

/* Gradients by a token's columns as they were prepared, to those by what the linear layers gave; in place. */
void sb_attention_prepare_backward(const struct sb_attention_plan *plan, float *dquery, const float *query, float *dkey,
                                   const float *key, size_t position);

/* Adds to the tables of one head what a row gives, from its dlogits. Another head may be computed at the same time. */
void sb_attend_table_gradients(const struct sb_attending *a, size_t head, const float *dlogits,
                               const struct sb_attention_tables *gradients);

#endif
