#include "weights/pair_head_impl.h"

#include "weights/checkpoint_impl.h"
#include "weights/config_impl.h"

/* Columns of a head that fits, rows that it has at least. */
static enum sb_status check(const struct sb_tensor *tensor, const struct sb_config *config, size_t dimensions,
                            const char *dir, struct sb_error *error)
{
    size_t classes = config->pair_head == SB_PAIR_HEAD_NLI ? 5 : 2;
    if (!tensor)
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" is missing, but the config says \"pair_head\": \"%s\"",
                       dir, SB_PAIR_HEAD_TENSOR, sb_pair_head_name(config->pair_head));
    if (tensor->rank != 2 || tensor->shape[0] < classes || tensor->shape[1] != 3 * dimensions)
        return sb_fail(
            error, SB_CORRUPT,
            "%s: tensor \"%s\" is no pair head of this model: it has rank %d and %zu numbers; expected are [%zu "
            "or more, %zu]",
            dir, tensor->name, tensor->rank, tensor->count, classes, 3 * dimensions);
    if (!sb_is_float(tensor->dtype))
        return sb_fail(error, SB_UNSUPPORTED, "%s: tensor \"%s\" has dtype %s; weights must be f32, f16, bf16 or f64",
                       dir, tensor->name, tensor->stored_dtype);
    return SB_OK;
}

enum sb_status sb_pair_head_find(struct sb_param *head, const struct sb_checkpoint *checkpoint,
                                 const struct sb_config *config, size_t dimensions, const char *dir,
                                 struct sb_error *error)
{
    *head = (struct sb_param){0};
    if (config->pair_head == SB_PAIR_HEAD_NONE)
        return SB_OK;
    const struct sb_tensor *tensor = sb_checkpoint_find(checkpoint, SB_PAIR_HEAD_TENSOR);
    enum sb_status status = check(tensor, config, dimensions, dir, error);
    if (status == SB_OK)
        *head = (struct sb_param){.data = tensor->data,
                                  .dtype = tensor->dtype,
                                  .rows = tensor->shape[0],
                                  .columns = tensor->shape[1],
                                  .stride_row = tensor->shape[1],
                                  .stride_column = 1};
    return status;
}
