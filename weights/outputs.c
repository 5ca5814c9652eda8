#include "weights/outputs_impl.h"

#include "weights/parameters_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows are converted and sent about this many bytes at a time. */
enum { CHUNK_BYTES = 1 << 20 };

/* Rounding to f16 turns what exceeds 65504 into infinity; the model would be silently broken. */
static enum sb_status check_range(const float *numbers, size_t n, const char *name, enum sb_dtype dtype,
                                  struct sb_error *error)
{
    for (size_t i = 0; i < n && dtype == SB_F16; i++)
        if (isfinite(numbers[i]) && fabsf(numbers[i]) >= 65520.0f)
            return sb_fail(error, SB_UNSUPPORTED,
                           "tensor \"%s\" holds %g, which f16 can not hold: convert to bf16 or f32", name,
                           (double)numbers[i]);
    return SB_OK;
}

enum sb_status sb_send_output(const struct sb_output *output, enum sb_dtype dtype, sb_output_sink sink, void *context,
                              struct sb_error *error)
{
    const struct sb_param *param = &output->param;
    size_t row_bytes = param->columns * sb_dtype_size(dtype), rows_at_once = CHUNK_BYTES / row_bytes;
    rows_at_once = rows_at_once < 1 ? 1 : rows_at_once < param->rows ? rows_at_once : param->rows;
    float *row = malloc(param->columns * sizeof *row);
    char *chunk = malloc(rows_at_once * row_bytes);
    enum sb_status status = SB_OK;
    if (!row || !chunk)
        status = sb_fail(error, SB_NO_MEMORY, "no memory to convert tensor \"%s\"", output->name);
    for (size_t at = 0; at < param->rows && status == SB_OK;) {
        size_t n = 0;
        for (; n < rows_at_once && at < param->rows && status == SB_OK; n++, at++) {
            sb_param_row(row, param, at);
            status = check_range(row, param->columns, output->name, dtype, error);
            sb_from_f32(chunk + n * row_bytes, dtype, row, param->columns);
        }
        if (status == SB_OK)
            status = sink(context, chunk, n * row_bytes, error);
    }
    free(row);
    free(chunk);
    return status;
}

struct sb_output sb_plain_output(const char *name, const struct sb_param *param, bool is_matrix)
{
    struct sb_output output = {.param = *param, .rank = is_matrix ? 2 : 1};
    output.shape[0] = is_matrix ? param->rows : param->columns;
    output.shape[1] = is_matrix ? param->columns : 0;
    snprintf(output.name, sizeof output.name, "%s", name);
    return output;
}

/* [out, in] to [in, out]: the numbers stay where they are. */
static void transpose(struct sb_output *output)
{
    const struct sb_param p = output->param;
    output->param = (struct sb_param){.data = p.data,
                                      .dtype = p.dtype,
                                      .rows = p.columns,
                                      .columns = p.rows,
                                      .stride_row = p.stride_column,
                                      .stride_column = p.stride_row};
    output->shape[0] = p.columns;
    output->shape[1] = p.rows;
}

struct list {
    struct sb_output *outputs;
    size_t count;
    enum sb_naming naming;
};

static void add(struct list *list, const struct sb_model_source *source, enum sb_param_role role, int layer)
{
    struct sb_param param = source->get(source->context, role, layer);
    if (!param.data)
        return;
    struct sb_output *output = &list->outputs[list->count++];
    output->param = param;
    output->rank = sb_param_stored_shape(output->shape, source->config, role);
    if (list->naming == SB_NAMES_HUGGING_FACE) {
        sb_param_name(output->name, source->config, role, layer);
        return;
    }
    sb_param_tensorflow_name(output->name, role, layer);
    if (sb_param_info(role)->is_kernel)
        transpose(output);
}

/* In the order in which a forward pass reads them: embeddings, layer by layer, heads. */
static void add_all(struct list *list, const struct sb_model_source *source)
{
    for (int role = 0; role < SB_PARAM_ROLES; role++)
        if (!sb_param_info((enum sb_param_role)role)->per_layer &&
            !sb_param_info((enum sb_param_role)role)->is_optional)
            add(list, source, (enum sb_param_role)role, 0);
    for (int layer = 0; layer < source->config->num_hidden_layers; layer++)
        for (int role = 0; role < SB_PARAM_ROLES; role++)
            if (sb_param_info((enum sb_param_role)role)->per_layer)
                add(list, source, (enum sb_param_role)role, layer);
    for (int role = 0; role < SB_PARAM_ROLES; role++)
        if (sb_param_info((enum sb_param_role)role)->is_optional)
            add(list, source, (enum sb_param_role)role, 0);
    for (size_t i = 0; i < source->extra_count; i++)
        list->outputs[list->count++] =
            sb_plain_output(source->extras[i].name, &source->extras[i].param, source->extras[i].is_matrix);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sb_output *)a)->name, ((const struct sb_output *)b)->name);
}

enum sb_status sb_list_outputs(struct sb_output **outputs, size_t *count, const struct sb_model_source *source,
                               enum sb_naming naming, struct sb_error *error)
{
    size_t most = (size_t)SB_PARAM_ROLES * (size_t)source->config->num_hidden_layers + source->extra_count;
    struct list list = {.outputs = calloc(most, sizeof *list.outputs), .naming = naming};
    *outputs = list.outputs;
    *count = 0;
    if (!list.outputs)
        return sb_fail(error, SB_NO_MEMORY, "no memory to list the tensors of %s", source->dir);
    add_all(&list, source);
    if (naming == SB_NAMES_TENSORFLOW)
        qsort(list.outputs, list.count, sizeof *list.outputs, by_name);
    *count = list.count;
    return SB_OK;
}
