/* The tensors that a model's file is to hold: their names and shapes in the file's convention, and their numbers, converted on the way. */
#ifndef SB_WEIGHTS_OUTPUTS_IMPL_H
#define SB_WEIGHTS_OUTPUTS_IMPL_H

#include "weights/convert.h"

enum sb_naming {
    SB_NAMES_HUGGING_FACE, /* kernels [out, in], in the order of a forward pass */
    SB_NAMES_TENSORFLOW,   /* kernels [in, out], sorted by name */
};

struct sb_output {
    char name[SB_MAX_PARAM_NAME];
    struct sb_param param; /* its rows are the file's rows */
    size_t shape[3];
    int rank;
};

/* All tensors of a model into a new array (free() it) of *count; the numbers are borrowed from the source. */
SB_MUST_CHECK enum sb_status sb_list_outputs(struct sb_output **outputs, size_t *count,
                                             const struct sb_model_source *source, enum sb_naming naming,
                                             struct sb_error *error);

/* One that is no part of the table. */
struct sb_output sb_plain_output(const char *name, const struct sb_param *param, bool is_matrix);

/* Takes the next bytes of a file. */
typedef enum sb_status (*sb_output_sink)(void *context, const void *data, size_t size, struct sb_error *error);

/* Sends the tensor's numbers, rounded to dtype, row by row. SB_UNSUPPORTED when f16 can not hold one. */
SB_MUST_CHECK enum sb_status sb_send_output(const struct sb_output *output, enum sb_dtype dtype, sb_output_sink sink,
                                            void *context, struct sb_error *error);

#endif
