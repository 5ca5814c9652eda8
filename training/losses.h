/*
 * Losses on sentence vectors, by name, each with the gradient by everything that it takes.
 *
 *     const struct sb_loss_class *class = sb_loss_find("cosent", &error);
 *     struct sb_loss_options options = sb_loss_defaults(class);
 *     struct sb_loss *loss;
 *     sb_loss_new(&loss, class, &options, 64, dimensions, &error);         // at most 64 rows a matrix
 *     struct sb_loss_input input = {
 *         .rows = 64,                                                      // pairs lie interleaved in pooled[128, d]
 *         .vectors = {{.x = pooled, .dx = dpooled, .ld = 2 * d}, {.x = pooled + d, .dx = dpooled + d, .ld = 2 * d}},
 *         .scores = scores,
 *         .weight = 1,
 *     };
 *     double value;
 *     sb_loss_run(loss, &input, &value, &error);                           // adds to dpooled
 *     sb_loss_free(loss);
 *
 * Vectors come as they leave the pooling, before any normalisation; a loss of cosines normalises them itself, and its
 * gradient is by what came in. All arithmetic inside is double; only what comes in and what is added to the gradients
 * is float. Every sum has one fixed order.
 *
 * Below, n = rows, cos = cosine, s = scale, m = margin, y = scores, [.]+ = max(., 0).
 *
 * in_batch_similarity   SimBERT: mean over i of -log softmax_j(s cos(x_i, x_j), j != i)[partner of i]; rows 2k and
 *                       2k + 1 are partners. s 30; RoFormer-Sim's is 20.
 * distillation          RoFormer-Sim's second stage: s mean over all i, j of (cos(x_i, x_j) - teacher[i, j])^2. s 100.
 * softmax               Reimers and Gurevych, 2019: mean cross entropy of kernel [u; v; |u - v|].
 * cosent                log(1 + sum over y_i < y_j of exp(s (cos_i - cos_j))), cos_i = cos(u_i, v_i). s 20.
 * angle                 Li and Li, 2023: cosent with the difference of complex angles in place of the cosine. s 20.
 * multiple_negatives    Henderson et al., 2017: mean over i of -log softmax_j(s cos(u_i, c_j))[i]; the candidates c are
 *                       all v, then the hard negatives if there are any. s 20.
 * multiple_negatives_symmetric   The mean of that and of -log softmax_j(s cos(v_i, u_j))[i].
 * multiple_negatives_gte         Li et al., 2023: one softmax a row over cos(u_i, c_j), cos(v_i, u_j), and without the
 *                       row's own over cos(u_i, u_j) and cos(v_i, v_j). The partner stands in it twice, as in
 *                       sentence-transformers.
 * cosine_similarity     mean of (cos_i - y_i)^2
 * contrastive           Hadsell et al., 2006: mean of (y d^2 + (1 - y) [m - d]+^2) / 2, d the distance of u and v. m .5.
 * online_contrastive    Sums of d^2 over the positive pairs that are farther apart than the nearest negative one, and of
 *                       [m - d]+^2 over the negative pairs that are nearer than the farthest positive one. m .5.
 * triplet               mean of [d(u, v) - d(u, negative) + m]+. m 5.
 *
 * Distances are 1 - cos, or Euclidean: |u - v| for triplets, |u - v + 1e-6| for the contrastive ones, as the reference
 * (sentence-transformers) has it.
 *
 * Matryoshka (Kusupati et al., 2022) over any of them but softmax: options.cuts; the loss is the weighted sum of the
 * losses of the vectors' first `dimensions` numbers, normalised.
 *
 * Data-parallel training. Each process holds the vectors of some rows and gathers those of all. Either every process
 * runs the whole loss over the gathered rows and takes the gradients of its own rows, which any loss allows. Or, for
 * the losses that are sums over rows (`splits`), each gives local_first and local_count: value and gradients are then
 * the share of these rows' terms, gradients go to all gathered rows, and the sums over the processes are the whole.
 *
 * Thread rule: one thread at a time for a loss; classes never change.
 */
#ifndef SB_TRAINING_LOSSES_H
#define SB_TRAINING_LOSSES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SB_LOSS_MATRICES = 3,
    SB_LOSS_MAX_CUTS = 16,
    SB_LOSS_MAX_CLASSES = 1000,
};

enum sb_loss_takes {
    SB_LOSS_ROWS,                /* vectors[0]: rows 2k and 2k + 1 belong together; with a teacher any rows */
    SB_LOSS_PAIRS,               /* vectors[0], [1]: u, v */
    SB_LOSS_PAIRS_AND_NEGATIVES, /* vectors[0], [1], and if there are any [2]: u, v, a hard negative of each u */
    SB_LOSS_TRIPLETS,            /* vectors[0], [1], [2]: u, v, negative */
};

/* Bits: what it needs beside the vectors. */
enum sb_loss_needs {
    SB_LOSS_NEEDS_SCORES = 1,  /* scores that order or grade the pairs, or labels 0 and 1 */
    SB_LOSS_NEEDS_LABELS = 2,  /* scores that are 0 or 1 */
    SB_LOSS_NEEDS_CLASSES = 4, /* classes and kernel */
    SB_LOSS_NEEDS_TEACHER = 8,
};

enum sb_loss_distance { SB_LOSS_COSINE, SB_LOSS_EUCLIDEAN };

struct sb_loss_cut {
    size_t dimensions;
    double weight;
};

struct sb_loss_options {
    double scale;                   /* > 0 */
    double margin;                  /* >= 0 */
    enum sb_loss_distance distance; /* of contrastive, online_contrastive and triplet */
    size_t classes;                 /* of softmax: rows of the kernel */
    const struct sb_loss_cut *cuts; /* [cut_count], copied; none: all dimensions, as they are */
    size_t cut_count;
};

struct sb_loss_class {
    const char *name, *summary;
    enum sb_loss_takes takes;
    unsigned needs; /* of enum sb_loss_needs */
    bool splits;    /* local_first and local_count are possible */
    struct sb_loss_options defaults;
    const struct sb_loss_method *method; /* training/loss_impl.h */
};

/* NULL, with the error naming all that exist. */
const struct sb_loss_class *sb_loss_find(const char *name, struct sb_error *error);
/* NULL past the last. */
const struct sb_loss_class *sb_loss_at(size_t index);
struct sb_loss_options sb_loss_defaults(const struct sb_loss_class *class);
/* How many of vectors[] are filled: 1 to 3, for SB_LOSS_PAIRS_AND_NEGATIVES without the negatives. */
size_t sb_loss_matrices(const struct sb_loss_class *class);
/* Does it want rows 2k and 2k + 1 to belong together? */
bool sb_loss_takes_twos(const struct sb_loss_class *class);

struct sb_loss;

/* Room for max_rows rows a matrix. SB_INVALID names the option and its bound; SB_UNSUPPORTED: cuts of softmax. */
SB_MUST_CHECK enum sb_status sb_loss_new(struct sb_loss **loss, const struct sb_loss_class *class,
                                         const struct sb_loss_options *options, size_t max_rows, size_t dimensions,
                                         struct sb_error *error);
void sb_loss_free(struct sb_loss *loss); /* NULL is fine */

struct sb_loss_vectors {
    const float *x; /* [rows, dimensions], rows ld floats apart; NULL: there are none */
    float *dx;      /* the same layout: weight times the gradient is added; NULL: not wanted */
    size_t ld;
};

struct sb_class_range {
    int32_t first, count;
};

/* All borrowed for the call. */
struct sb_loss_input {
    size_t rows;                                      /* of every matrix */
    struct sb_loss_vectors vectors[SB_LOSS_MATRICES]; /* as the class takes them */
    const float *scores;                              /* [rows] */
    const float *teacher;                             /* [rows, rows]: the teacher's similarities */
    const int32_t *classes;                           /* [rows] */
    const struct sb_class_range
        *ranges;                     /* [rows] or NULL: the row's softmax runs over these classes alone (its task's) */
    const float *kernel;             /* [classes, 3 dimensions] */
    float *dkernel;                  /* the same: added to; NULL: not wanted */
    double weight;                   /* factor of the gradients; the value is without it */
    size_t local_first, local_count; /* count 0: all rows */
};

/* SB_INVALID: something is missing, odd or out of range; SB_LIMIT: more rows than there is room for. Nothing is
   allocated. */
SB_MUST_CHECK enum sb_status sb_loss_run(struct sb_loss *loss, const struct sb_loss_input *input, double *value,
                                         struct sb_error *error);

#endif
