/*
 * The arithmetic of a transformer, behind one table a processor variant.
 *
 *     const struct sb_kernels *kernels = sb_kernels_choose(NULL, NULL);   // the best that this processor runs
 *     struct sb_packed packed;
 *     sb_packed_init(&packed, sb_linear_choose(kernels, SB_PACKED_F32), memory, out, in);
 *     for (size_t o = 0; o < out; o++)
 *         sb_packed_row(&packed, o, weight + o * in);                    // once, at load
 *     sb_linear(y, out, x, in, rows, &packed, bias, &(struct sb_epilogue){.activation = SB_ACT_GELU}, scratch);
 *
 * Rule of every kernel: an output element is summed in one order that depends neither on the number of rows nor on the
 * number of threads, so a row's result is bitwise the same whatever else is computed with it. Variants may differ from each
 * other by rounding.
 *
 * Matrices are row-major; `ld_x` is the distance between rows of x in elements. Pointers need float alignment only.
 * Thread rule: tables and packed weights are immutable; kernels keep no state.
 */
#ifndef SB_KERNELS_KERNELS_H
#define SB_KERNELS_KERNELS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_kernels;
struct sb_linear_kernel;
struct sb_training_kernels;

enum sb_act { SB_ACT_NONE, SB_ACT_GELU /* erf form */, SB_ACT_GELU_TANH, SB_ACT_RELU, SB_ACT_SWISH, SB_ACT_TANH };

/* The arithmetic of a packed weight. Sums are float (f32, bf16) or exact 32-bit integers (int8); x and y are always float. */
enum sb_packed_dtype {
    SB_PACKED_F32,
    SB_PACKED_BF16, /* weights and x rounded to bfloat16 */
    SB_PACKED_INT8, /* weights to 8 bits with a scale an output; x to 8 bits with a scale and a zero point a row, at run time */
    SB_PACKED_DTYPES
};
const char *sb_packed_dtype_name(enum sb_packed_dtype dtype); /* "f32", "bf16", "int8" */

/* W[out, in], cut into panels of panel_width outputs: the order in which the micro-kernel reads it. See kernels/packed.c. */
struct sb_packed {
    const struct sb_linear_kernel *kernel; /* the one it is packed for and that must read it */
    size_t out, in;
    void *panels; /* borrowed: sb_packed_bytes() bytes, 64-byte aligned */
};

/* What happens to an output of a linear layer before it is stored: y = act(x W^T + bias) + residual. */
struct sb_epilogue {
    enum sb_act activation;
    const float *residual; /* [rows, out] or NULL; may be y itself when there is no activation */
    size_t ld_residual;
};

/* Attention of the queries of one packed row over that row's keys, every head. Query i sees keys [0, visible[i]). */
struct sb_attention {
    const float *q; /* [queries, heads * key_size] */
    const float *k; /* [keys, heads * key_size] */
    const float *v; /* [keys, heads * value_size] */
    float *out;     /* [queries, heads * value_size] */
    size_t ld_q, ld_k, ld_v, ld_out;
    size_t queries, keys;
    size_t heads, key_size, value_size;
    const int *visible; /* [queries], each 1..keys */
    float *scratch;     /* sb_attention_scratch() floats */
};

/* Attention of one query over keys that lie anywhere (a KV cache): key j of head h is keys[j] + h * key_size. Gives the bits that
   sb_attention gives for the same query and keys. */
struct sb_attention_step {
    const float *q;             /* [heads * key_size] */
    const float *const *keys;   /* [count] rows of heads * key_size */
    const float *const *values; /* [count] rows of heads * value_size */
    float *out;                 /* [heads * value_size] */
    size_t count, heads, key_size, value_size;
    float *scratch; /* count floats, rounded up to a multiple of 16 */
};

struct sb_kernels {
    const char *name; /* "plain", "vector128", "openblas", "avx2", "avx512" */
    bool (*runs_here)(void);

    /* y[rows, n] = (x - mean) / sqrt(variance + eps) * gamma + beta, biased variance, two passes. y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *gamma, const float *beta, float eps, size_t rows,
                       size_t n);

    /* x[n] = act(x), in place. */
    void (*activate)(float *x, size_t n, enum sb_act act);

    /* out = softmax(q k^T / sqrt(key_size)) v, as described at the structs. */
    void (*attention)(const struct sb_attention *a);
    void (*attention_step)(const struct sb_attention_step *a);

    /* Sum of a[i] * b[i]. */
    float (*dot)(const float *a, const float *b, size_t n);

    /* scores[i] = dot(matrix[i], x) for i < rows: the search over stored vectors. Each score equals dot() bitwise. */
    void (*scores)(float *scores, const float *matrix, size_t ld_matrix, size_t rows, const float *x, size_t n);

    /* Largest x[i], and the log of the sum of exp(x[i] - largest): log_softmax(x)[i] = x[i] - largest - log_sum. */
    void (*log_sum_exp)(float *largest, float *log_sum, const float *x, size_t n);

    const struct sb_training_kernels *training; /* kernels/training_kernels.h */
};

/* Picks a variant by name, or with NULL the one that $SIMBERT_KERNELS names, or else the fastest that this processor runs and
   that agrees with the plain one (kernels/self_check.h). NULL with the error set for a name that is unknown or cannot run here.
   "openblas": the fastest variant, but with OpenBLAS for f32 linear layers. */
const struct sb_kernels *sb_kernels_choose(const char *name, struct sb_error *error);

/* Every variant that this processor runs, the plain one first; NULL past the last. */
const struct sb_kernels *sb_kernels_at(size_t index);

/* A linear layer in one arithmetic on one kind of processor. */
struct sb_linear_kernel {
    const char *name; /* "plain-f32", "avx512-bf16", ... */
    enum sb_packed_dtype dtype;
    bool is_fast;       /* uses the processor's own instructions for this arithmetic */
    size_t panel_width; /* outputs of a panel */
    bool (*runs_here)(void);
    /* See sb_linear. */
    void (*run)(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                const float *bias, const struct sb_epilogue *epilogue, void *scratch);
    /* See sb_packed_fill; NULL: the plain one. */
    void (*fill)(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed, size_t first_panel,
                 size_t panels);
};

/* The fastest linear kernel of this arithmetic that the variant offers and this processor runs; never NULL: the plain variant
   has all. */
const struct sb_linear_kernel *sb_linear_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype);

/* Every linear kernel that this processor runs; NULL past the last. */
const struct sb_linear_kernel *sb_linear_at(size_t index);

/* y[rows, out] = act(x[rows, in] @ W^T + bias) + residual. bias: [out] or NULL. epilogue NULL: none. y must not overlap x.
   Columns of y past out are not written. scratch: sb_linear_scratch(rows, in) bytes, 64-byte aligned; not needed for f32. */
static inline void sb_linear(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                             const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    w->kernel->run(y, ld_y, x, ld_x, rows, w, bias, epilogue, scratch);
}

/* Attention in another arithmetic than float. */
struct sb_attention_kernel {
    const char *name; /* "avx512-bf16" */
    bool (*runs_here)(void);
    void (*run)(const struct sb_attention *a); /* rounds q, k, v and the probabilities; sums and softmax in float */
};

/* What goes with linear layers of this arithmetic: bfloat16 for bf16 and int8. NULL: kernels->attention is the best there is. It has no
   step of its own, so it is for rows that are read whole and not continued. */
const struct sb_attention_kernel *sb_attention_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype);

/* Bytes that x takes once it is converted, in any arithmetic. */
size_t sb_linear_scratch(size_t rows, size_t in);

/* Bytes for a packed W[out, in]; 0 on overflow. */
size_t sb_packed_bytes(const struct sb_linear_kernel *kernel, size_t out, size_t in);
void sb_packed_init(struct sb_packed *packed, const struct sb_linear_kernel *kernel, void *zeroed_memory, size_t out,
                    size_t in);
/* Stores row o of W. Different panels may be filled by different threads. */
void sb_packed_row(struct sb_packed *packed, size_t o, const float *row);
/* row[in] = row o of W as the kernel sees it: rounded to its arithmetic. */
void sb_packed_unpack_row(float *row, const struct sb_packed *packed, size_t o);

/* Floats of scratch for an attention with at most these sizes. */
size_t sb_attention_scratch(size_t keys, size_t key_size, size_t value_size);

#endif
