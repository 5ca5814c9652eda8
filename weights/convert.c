#include "weights/convert.h"

#include "base/file.h"
#include "base/json.h"
#include "weights/config_impl.h"
#include "weights/model_files_impl.h"
#include "weights/outputs_impl.h"
#include "weights/safetensors_write.h"
#include "weights/tf_write.h"
#include "weights/weights_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A format of model directories: how its files are called and who writes the weights. */
struct format {
    enum sb_naming naming;
    const char *config, *weights; /* file names; of TensorFlow's weights the prefix */
    bool names_dtype;             /* the config says in which number format the weights are */
    enum sb_status (*write)(const char *path, const struct sb_output *outputs, const struct sb_tensor *tensors,
                            size_t count, enum sb_dtype dtype, struct sb_error *error);
};

static enum sb_status to_safetensors(void *writer, const void *data, size_t size, struct sb_error *error)
{
    return sb_safetensors_write(writer, data, size, error);
}

static enum sb_status write_safetensors(const char *path, const struct sb_output *outputs,
                                        const struct sb_tensor *tensors, size_t count, enum sb_dtype dtype,
                                        struct sb_error *error)
{
    struct sb_safetensors_writer *writer;
    enum sb_status status = sb_safetensors_begin(&writer, path, tensors, count, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = sb_send_output(&outputs[i], dtype, to_safetensors, writer, error);
    if (status == SB_OK)
        return sb_safetensors_commit(writer, error);
    sb_safetensors_abandon(writer);
    return status;
}

static enum sb_status to_tensorflow(void *writer, const void *data, size_t size, struct sb_error *error)
{
    return sb_tf_write(writer, data, size, error);
}

static enum sb_status write_tensorflow(const char *path, const struct sb_output *outputs,
                                       const struct sb_tensor *tensors, size_t count, enum sb_dtype dtype,
                                       struct sb_error *error)
{
    struct sb_tf_writer *writer;
    enum sb_status status = sb_tf_begin(&writer, path, tensors, count, error);
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = sb_send_output(&outputs[i], dtype, to_tensorflow, writer, error);
    if (status == SB_OK)
        return sb_tf_commit(writer, error);
    sb_tf_abandon(writer);
    return status;
}

static const struct format hugging_face = {SB_NAMES_HUGGING_FACE, "config.json", "model.safetensors", true,
                                           write_safetensors};
static const struct format tensorflow = {SB_NAMES_TENSORFLOW, "bert_config.json", "bert_model.ckpt", false,
                                         write_tensorflow};

static enum sb_status write_weights(const struct format *format, const char *folder, const struct sb_output *outputs,
                                    size_t count, enum sb_dtype dtype, struct sb_error *error)
{
    char *path = sb_path_join(folder, format->weights);
    struct sb_tensor *tensors = calloc(count + 1, sizeof *tensors);
    enum sb_status status;
    for (size_t i = 0; i < count && tensors; i++) {
        tensors[i] = (struct sb_tensor){.name = outputs[i].name, .dtype = dtype, .rank = outputs[i].rank};
        memcpy(tensors[i].shape, outputs[i].shape, sizeof outputs[i].shape);
    }
    if (path && tensors)
        status = format->write(path, outputs, tensors, count, dtype, error);
    else
        status = sb_fail(error, SB_NO_MEMORY, "no memory to write the weights to %s", folder);
    free(tensors);
    free(path);
    return status;
}

static enum sb_status write_parameters(const struct format *format, const struct sb_model_source *source,
                                       const char *dst, enum sb_dtype dtype, struct sb_error *error)
{
    struct sb_output *outputs;
    size_t count;
    enum sb_status status = sb_list_outputs(&outputs, &count, source, format->naming, error);
    if (status == SB_OK)
        status = write_weights(format, dst, outputs, count, dtype, error);
    free(outputs);
    return status;
}

static enum sb_status write_dense(const struct sb_dense *dense, const char *folder, enum sb_dtype dtype,
                                  struct sb_error *error)
{
    const struct sb_output outputs[] = {sb_plain_output("linear.weight", &dense->kernel, true),
                                        sb_plain_output("linear.bias", &dense->bias, false)};
    enum sb_status status = sb_write_json_file(folder, "config.json", sb_dense_to_json(dense), error);
    return status == SB_OK ? write_weights(&hugging_face, folder, outputs, dense->bias.data ? 2 : 1, dtype, error)
                           : status;
}

/* The source's own keys stay (tokenizer flags stand among them); what it leaves to defaults is added. */
static enum sb_status write_config(const struct format *format, const struct sb_config *config, const char *src,
                                   const char *dst, enum sb_dtype dtype, struct sb_error *error)
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
    bool good = sb_config_add_missing(json, config) &&
                (!format->names_dtype || cJSON_AddStringToObject(json, "torch_dtype", names[dtype]));
    if (!good) {
        cJSON_Delete(json);
        json = NULL;
    }
    return sb_write_json_file(dst, format->config, json, error);
}

static enum sb_status check_dtype(enum sb_dtype dtype, struct sb_error *error)
{
    if (dtype != SB_F32 && dtype != SB_F16 && dtype != SB_BF16)
        return sb_fail(error, SB_INVALID, "weights are converted to f32, f16 or bf16, not to %s", sb_dtype_name(dtype));
    return SB_OK;
}

/* Files that would be read in place of a TensorFlow checkpoint are somebody's model, which is not ours to remove. */
static enum sb_status check_folder(const struct format *format, const char *dst, struct sb_error *error)
{
    static const char *const first[] = {"config.json", "model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof first / sizeof *first && format == &tensorflow; i++) {
        char *path = sb_path_join(dst, first[i]);
        if (!path)
            return sb_fail(error, SB_NO_MEMORY, "no memory to write to %s", dst);
        bool exists = sb_file_exists(path);
        free(path);
        if (exists)
            return sb_fail(
                error, SB_INVALID,
                "%s holds a %s, which would be read in place of a TensorFlow checkpoint: write to another folder", dst,
                first[i]);
    }
    return SB_OK;
}

static enum sb_status save(const struct format *format, const struct sb_model_source *source, const char *dst,
                           enum sb_dtype dtype, struct sb_error *error)
{
    enum sb_status status = sb_make_folders(dst, error);
    if (status == SB_OK)
        status = sb_copy_model_files(source->dir, dst, source->config, error);
    if (status == SB_OK)
        status = write_config(format, source->config, source->dir, dst, dtype, error);
    /* Last, so that a new folder can be opened only when it is complete. */
    return status == SB_OK ? write_parameters(format, source, dst, dtype, error) : status;
}

enum sb_status sb_save_model(const struct sb_model_source *source, const char *dst, enum sb_dtype dtype,
                             struct sb_error *error)
{
    enum sb_status status = check_dtype(dtype, error);
    return status == SB_OK ? save(&hugging_face, source, dst, dtype, error) : status;
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
    enum sb_status status =
        folder ? sb_make_folders(folder, error) : sb_fail(error, SB_NO_MEMORY, "no memory to write to %s", dst);
    if (status == SB_OK)
        status = write_dense(sb_weights_dense_module(weights), folder, dtype, error);
    free(folder);
    return status;
}

static enum sb_status save_weights(const struct format *format, struct sb_weights *weights, const char *src,
                                   const char *dst, enum sb_dtype dtype, struct sb_error *error)
{
    struct sb_named_param head = {.name = SB_PAIR_HEAD_TENSOR, .is_matrix = true};
    struct sb_model_source source = {
        .dir = src, .config = sb_weights_config(weights), .get = from_weights, .context = weights, .extras = &head};
    source.extra_count = sb_weights_pair_head(weights, &head.param);
    return save(format, &source, dst, dtype, error);
}

static enum sb_status convert(const struct format *format, const char *src, const char *dst, enum sb_dtype dtype,
                              struct sb_error *error)
{
    struct sb_weights *weights = NULL;
    enum sb_status status = check_dtype(dtype, error);
    if (status == SB_OK)
        status = check_folder(format, dst, error);
    if (status == SB_OK)
        status = sb_weights_open(&weights, src, error);
    if (status == SB_OK)
        status = sb_weights_verify(weights, error);
    if (status == SB_OK)
        status = convert_dense(weights, dst, dtype, error);
    if (status == SB_OK)
        status = save_weights(format, weights, src, dst, dtype, error);
    sb_weights_close(weights);
    return status;
}

enum sb_status sb_convert(const char *src, const char *dst, enum sb_dtype dtype, struct sb_error *error)
{
    return convert(&hugging_face, src, dst, dtype, error);
}

enum sb_status sb_convert_to_tensorflow(const char *src, const char *dst, enum sb_dtype dtype, struct sb_error *error)
{
    return convert(&tensorflow, src, dst, dtype, error);
}
