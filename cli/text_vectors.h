/*
 * All texts of a command with their vectors, in memory, for commands that compare each with each. Empty lines are left
 * out.
 *
 *     struct sb_text_vectors all = {0};
 *     if (sb_text_vectors_load(&all, model, threads, &choice, argv, count, &error) == SB_OK)
 *         for (size_t i = 0; i < all.count; i++)
 *             use(all.vectors + i * all.dimensions, sb_text_vectors_at(&all, i));
 *     sb_text_vectors_free(&all);
 */
#ifndef SB_CLI_TEXT_VECTORS_H
#define SB_CLI_TEXT_VECTORS_H

#include "base/buffer.h"
#include "cli/text_options.h"
#include "cli/texts.h"
#include "model/model.h"
#include "retrieval/mining.h"

struct sb_text_vectors {
    float *vectors; /* [count, dimensions], of length 1 */
    size_t count, dimensions, capacity;
    size_t *indices; /* [count]: the text's number among all, from 0 */
    size_t *ends;    /* [count]: where it ends in bytes */
    struct sb_buffer bytes;
    const struct sb_kernels *kernels;
};

/* Of the arguments, or of what choice says. */
SB_MUST_CHECK enum sb_status sb_text_vectors_load(struct sb_text_vectors *all, struct sb_model *model, int threads,
                                                  const struct sb_text_choice *choice, char **arguments, int count,
                                                  struct sb_error *error);
void sb_text_vectors_free(struct sb_text_vectors *all);

struct sb_text sb_text_vectors_at(const struct sb_text_vectors *all, size_t i);
/* {"index":…,"text":…} */
void sb_text_vectors_put(struct sb_buffer *out, const struct sb_text_vectors *all, size_t i);

/* out[n] = vector[n] at length 1; the same bits if it has that already. out may be vector. */
void sb_unit_vector(float *out, const float *vector, size_t n, const struct sb_kernels *kernels);

/* What retrieval/mining.h takes. */
struct sb_mining sb_text_vectors_set(const struct sb_text_vectors *all, struct sb_pool *pool);

#endif
