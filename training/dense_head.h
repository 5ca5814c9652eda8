/*
 * The Dense module of a sentence-transformers model while it is trained: y = activation(x W^T + b) of the vectors that
 * the network gives, with W and b among the network's parameters.
 *
 *     sb_dense_head_open(&head, "model", &error);                       // head NULL: the model has no such module
 *     options.without_dense = head != NULL;
 *     sb_dense_head_list(head, options.extras);                         // two more parameters
 *     sb_network_open(&network, "model", &options, &error);
 *     sb_dense_head_begin(head, network);                               // they get their values
 *     sb_dense_head_reserve(head, max_rows, &error);
 *     ...
 *     sb_dense_head_forward(head, y, x, rows, values);
 *     loss(y, dy);
 *     sb_dense_head_backward(head, dx, dy, x, rows, values, gradients);
 *     ...
 *     sb_dense_head_save(head, "trained", network, values, &error);
 *
 * A module without a bias gets one that begins as 0. Sums are taken in one order, whatever the threads.
 *
 * Thread rule: one thread at a time for a head.
 */
#ifndef SB_TRAINING_DENSE_HEAD_H
#define SB_TRAINING_DENSE_HEAD_H

#include "base/status.h"
#include "model/network.h"

#define SB_DENSE_HEAD_KERNEL "sentence_dense.weight" /* W[out, in] */
#define SB_DENSE_HEAD_BIAS "sentence_dense.bias"     /* b[out] */

struct sb_dense_head;

SB_MUST_CHECK enum sb_status sb_dense_head_open(struct sb_dense_head **head, const char *dir, struct sb_error *error);
void sb_dense_head_free(struct sb_dense_head *head); /* NULL is fine */

size_t sb_dense_head_dimensions(const struct sb_dense_head *head); /* out */
void sb_dense_head_list(const struct sb_dense_head *head, struct sb_extra_parameter extras[2]);
/* Writes the module's numbers into the network, which has the parameters. Once; then the network's are those that count. */
void sb_dense_head_begin(struct sb_dense_head *head, struct sb_network *network);

/* Room for batches of so many rows. */
SB_MUST_CHECK enum sb_status sb_dense_head_reserve(struct sb_dense_head *head, size_t max_rows, struct sb_error *error);

/* y[rows, out] of x[rows, in]; values: the network's. Remembers what the backward pass needs. rows <= max_rows. */
void sb_dense_head_forward(struct sb_dense_head *head, float *y, const float *x, size_t rows, const float *values);
/* Of the last forward: dx[rows, in] is stored; dy[rows, out] is overwritten. gradients: those of W and b are added there;
   NULL: not wanted. */
void sb_dense_head_backward(struct sb_dense_head *head, float *dx, float *dy, const float *x, size_t rows,
                            const float *values, float *gradients);

/* The module's files, into a directory where the network is saved. */
SB_MUST_CHECK enum sb_status sb_dense_head_save(const struct sb_dense_head *head, const char *dir,
                                                const struct sb_network *network, const float *values,
                                                struct sb_error *error);

#endif
