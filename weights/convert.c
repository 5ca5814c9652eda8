#include "weights/convert.h"

#include "base/file.h"
#include "base/json.h"
#include "weights/config_impl.h"
#include "weights/model_files_impl.h"
#include "weights/parameters_impl.h"
#include "weights/safetensors_write.h"
#include "weights/weights_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor to write: its name, and where its numbers come from. */
struct output {
    char name[SB_MAX_PARAM_NAME];
    struct sb_param param;
    size_t shape[3];
    int rank;
};

/* Rows are converted and written about this many bytes at a time. */
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

static enum sb_status write_tensor(struct sb_safetensors_writer *writer, const struct output *output,
                                   enum sb_dtype dtype, struct sb_error *error)
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
            status = sb_safetensors_write(writer, chunk, n * row_bytes, error);
    }
    free(row);
    free(chunk);
    return status;
}

static enum sb_status write_file(const char *folder, const struct output *outputs, size_t count, enum sb_dtype dtype,
                                 struct sb_error *error)
{
    struct sb_safetensors_writer *writer = NULL;
    char *path = sb_path_join(folder, "model.safetensors");
    struct sb_tensor *tensors = calloc(count + 1, sizeof *tensors);
    enum sb_status status = SB_OK;
    if (!path || !tensors) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory to write the weights to %s", folder);
        goto cleanup;
    }
    for (size_t i = 0; i < count; i++) {
        tensors[i] = (struct sb_tensor){.name = outputs[i].name, .dtype = dtype, .rank = outputs[i].rank};
        memcpy(tensors[i].shape, outputs[i].shape, sizeof outputs[i].shape);
    }
    status = sb_safetensors_begin(&writer, path, tensors, count, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = write_tensor(writer, &outputs[i], dtype, error);
    if (status == SB_OK) {
        status = sb_safetensors_commit(writer, error);
        writer = NULL;
    }
cleanup:
    sb_safetensors_abandon(writer);
    free(tensors);
    free(path);
    return status;
}

static void add_output(struct output *outputs, size_t *count, const struct sb_model_source *source,
                       enum sb_param_role role, int layer)
{
    struct sb_param param = source->get(source->context, role, layer);
    if (!param.data)
        return;
    struct output *output = &outputs[(*count)++];
    output->param = param;
    output->rank = sb_param_stored_shape(output->shape, source->config, role);
    sb_param_name(output->name, source->config, role, layer);
}

static void add_plain(struct output *output, const char *name, const struct sb_param *param, bool is_matrix)
{
    *output = (struct output){.param = *param, .rank = is_matrix ? 2 : 1};
    output->shape[0] = is_matrix ? param->rows : param->columns;
    output->shape[1] = is_matrix ? param->columns : 0;
    snprintf(output->name, sizeof output->name, "%s", name);
}

/* In the order in which a forward pass reads them: embeddings, layer by layer, heads. */
static size_t list_outputs(struct output *outputs, const struct sb_model_source *source)
{
    size_t count = 0;
    for (int role = 0; role < SB_PARAM_ROLES; role++)
        if (!sb_param_info((enum sb_param_role)role)->per_layer && !sb_param_info((enum sb_param_role)role)->is_optional)
            add_output(outputs, &count, source, (enum sb_param_role)role, 0);
    for (int layer = 0; layer < source->config->num_hidden_layers; layer++)
        for (int role = 0; role < SB_PARAM_ROLES; role++)
            if (sb_param_info((enum sb_param_role)role)->per_layer)
                add_output(outputs, &count, source, (enum sb_param_role)role, layer);
    for (int role = 0; role < SB_PARAM_ROLES; role++)
        if (sb_param_info((enum sb_param_role)role)->is_optional)
            add_output(outputs, &count, source, (enum sb_param_role)role, 0);
    for (size_t i = 0; i < source->extra_count; i++, count++)
        add_plain(&outputs[count], source->extras[i].name, &source->extras[i].param, source->extras[i].is_matrix);
    return count;
}

static enum sb_status write_parameters(const struct sb_model_source *source, const char *dst, enum sb_dtype dtype,
                                       struct sb_error *error)
{
    size_t most = (size_t)SB_PARAM_ROLES * (size_t)source->config->num_hidden_layers + source->extra_count;
    struct output *outputs = calloc(most, sizeof *outputs);
    if (!outputs)
        return sb_fail(error, SB_NO_MEMORY, "no memory to write the weights to %s", dst);
    enum sb_status status = write_file(dst, outputs, list_outputs(outputs, source), dtype, error);
    free(outputs);
    return status;
}

static enum sb_status write_dense(const struct sb_dense *dense, const char *folder, enum sb_dtype dtype,
                                  struct sb_error *error)
{
    struct output outputs[2];
    add_plain(&outputs[0], "linear.weight", &dense->kernel, true);
    add_plain(&outputs[1], "linear.bias", &dense->bias, false);
    enum sb_status status = sb_write_json_file(folder, "config.json", sb_dense_to_json(dense), error);
    return status == SB_OK ? write_file(folder, outputs, dense->bias.data ? 2 : 1, dtype, error) : status;
}

/* The source's own keys stay (tokenizer flags stand among them); what it leaves to defaults is added. */
static enum sb_status write_config(const struct sb_config *config, const char *src, const char *dst,
                                   enum sb_dtype dtype, struct sb_error *error)
{
    static const char *const names[] = {[SB_F32] = "float32", [SB_F16] = "float16", [SB_BF16] = "bfloat16"};
    char *path = NULL;
    cJSON *json = NULL;
    bool is_google;
    enum sb_status status = sb_config_find(&path, &is_google, src, error);
    if (status == SB_OK)
        status = sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error);
    free(path);
    if (status != SB_OK)
        return status;
    cJSON_DeleteItemFromObjectCaseSensitive(json, "dtype"); /* the newer name of torch_dtype */
    cJSON_DeleteItemFromObjectCaseSensitive(json, "torch_dtype");
    bool good = sb_config_add_missing(json, config) && cJSON_AddStringToObject(json, "torch_dtype", names[dtype]);
    if (!good) {
        cJSON_Delete(json);
        json = NULL;
    }
    return sb_write_json_file(dst, "config.json", json, error);
}

static enum sb_status check_dtype(enum sb_dtype dtype, struct sb_error *error)
{
    if (dtype != SB_F32 && dtype != SB_F16 && dtype != SB_BF16)
        return sb_fail(error, SB_INVALID, "weights are converted to f32, f16 or bf16, not to %s", sb_dtype_name(dtype));
    return SB_OK;
}

enum sb_status sb_save_model(const struct sb_model_source *source, const char *dst, enum sb_dtype dtype,
                             struct sb_error *error)
{
    enum sb_status status = check_dtype(dtype, error);
    if (status == SB_OK)
        status = sb_make_folders(dst, error);
    if (status == SB_OK)
        status = sb_copy_model_files(source->dir, dst, source->config, error);
    if (status == SB_OK)
        status = write_config(source->config, source->dir, dst, dtype, error);
    /* Last, so that a new folder can be opened only when it is complete. */
    return status == SB_OK ? write_parameters(source, dst, dtype, error) : status;
}

static struct sb_param from_weights(void *context, enum sb_param_role role, int layer)
{
    return sb_weights_get(context, role, layer);
}

static enum sb_status convert_dense(const struct sb_weights *weights, const char *dst, enum sb_dtype dtype,
                                    struct sb_error *error)
{
    if (!sb_weights_dense_module(weights)->checkpoint)
        return SB_OK;
    char *folder = sb_path_join(dst, SB_DENSE_FOLDER);
    enum sb_status status = folder ? sb_make_folders(folder, error)
                                   : sb_fail(error, SB_NO_MEMORY, "no memory to write to %s", dst);
    if (status == SB_OK)
        status = write_dense(sb_weights_dense_module(weights), folder, dtype, error);
    free(folder);
    return status;
}

enum sb_status sb_convert(const char *src, const char *dst, enum sb_dtype dtype, struct sb_error *error)
{
    struct sb_weights *weights = NULL;
    enum sb_status status = check_dtype(dtype, error);
    if (status == SB_OK)
        status = sb_weights_open(&weights, src, error);
    if (status == SB_OK)
        status = sb_weights_verify(weights, error);
    if (status == SB_OK)
        status = convert_dense(weights, dst, dtype, error);
    if (status == SB_OK)
        status = sb_save_model(&(struct sb_model_source){.dir = src,
                                                         .config = sb_weights_config(weights),
                                                         .get = from_weights,
                                                         .context = weights},
                               dst, dtype, error);
    sb_weights_close(weights);
    return status;
}
