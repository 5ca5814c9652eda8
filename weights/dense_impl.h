/* The Dense module of a sentence-transformers directory: y = activation(x @ W^T + b) behind the pooling. */
#ifndef SB_WEIGHTS_DENSE_IMPL_H
#define SB_WEIGHTS_DENSE_IMPL_H

#include "weights/weights.h"

struct sb_dense {
    struct sb_checkpoint *checkpoint; /* NULL: the model has no such module */
    struct sb_param kernel;           /* [out, in] */
    struct sb_param bias;             /* [out]; data NULL: none */
    enum sb_activation activation;
};

/* Reads dir/folder; the module takes vectors of `in` numbers. Close also after a failure. */
SB_MUST_CHECK enum sb_status sb_dense_open(struct sb_dense *dense, const char *dir, const char *folder, size_t in,
                                           struct sb_error *error);
void sb_dense_close(struct sb_dense *dense);

/* The module's config file, as sentence-transformers writes it; NULL when out of memory. Free with cJSON_Delete. */
struct cJSON *sb_dense_to_json(const struct sb_dense *dense);

#endif
