#include "weights/dense_impl.h"

#include "base/file.h"
#include "base/json.h"
#include "weights/checkpoint_impl.h"
#include "weights/config_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 65536 };

static const struct {
    const char *class_name;
    enum sb_activation activation;
} activations[] = {
    {"torch.nn.modules.activation.Tanh", SB_TANH},  {"torch.nn.modules.linear.Identity", SB_LINEAR},
    {"torch.nn.modules.activation.ReLU", SB_RELU},  {"torch.nn.modules.activation.GELU", SB_GELU_ERF},
    {"torch.nn.modules.activation.SiLU", SB_SWISH},
};

static enum sb_status read_activation(struct sb_dense *dense, const cJSON *json, struct sb_error *error)
{
    const char *name = activations[0].class_name; /* the module's own default */
    enum sb_status status = sb_json_get_string(&name, json, "activation_function", error);
    if (status != SB_OK)
        return status;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(name, activations[i].class_name) == 0) {
            dense->activation = activations[i].activation;
            return SB_OK;
        }
    }
    return sb_fail(error, SB_UNSUPPORTED,
                   "\"activation_function\" is \"%.80s\"; known are Tanh, Identity, ReLU, GELU, SiLU", name);
}

static enum sb_status read_config(struct sb_dense *dense, size_t *out, bool *has_bias, const char *folder, size_t in,
                                  struct sb_error *error)
{
    char *path = sb_path_join(folder, "config.json");
    cJSON *json = NULL;
    int64_t features_in = 0, features_out = 0;
    enum sb_status status = path ? sb_json_read_file(&json, path, SB_MAX_CONFIG_BYTES, error)
                                 : sb_fail(error, SB_NO_MEMORY, "no memory to read %s", folder);
    if (status != SB_OK)
        goto cleanup;
    *has_bias = true;
    status = cJSON_IsObject(json) ? sb_json_get_int(&features_in, 1, OUT_MAX, json, "in_features", error)
                                  : sb_fail(error, SB_INVALID, "it is not a JSON object");
    if (status == SB_OK)
        status = sb_json_get_int(&features_out, 1, OUT_MAX, json, "out_features", error);
    if (status == SB_OK)
        status = sb_json_get_bool(has_bias, json, "bias", error);
    if (status == SB_OK)
        status = read_activation(dense, json, error);
    if (status == SB_OK && (size_t)features_in != in)
        status = sb_fail(error, SB_INVALID, "\"in_features\" is %" PRId64 ", but the sentence vector has %zu numbers",
                         features_in, in);
    if (status == SB_OK && features_out == 0)
        status = sb_fail(error, SB_INVALID, "\"out_features\" is missing");
    if (status != SB_OK)
        status = sb_fail_context(error, status, "%s", path);
    *out = (size_t)features_out;
cleanup:
    cJSON_Delete(json);
    free(path);
    return status;
}

/* rows 0: a vector of `columns`. */
static enum sb_status find(struct sb_param *param, const struct sb_checkpoint *checkpoint, const char *folder,
                           const char *name, size_t rows, size_t columns, struct sb_error *error)
{
    const struct sb_tensor *tensor = sb_checkpoint_find(checkpoint, name);
    int rank = rows ? 2 : 1;
    if (!tensor)
        return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" is missing", folder, name);
    if (tensor->rank != rank || tensor->shape[rank - 1] != columns || (rows && tensor->shape[0] != rows))
        return sb_fail(error, SB_CORRUPT,
                       "%s: tensor \"%s\" has another shape than in_features and out_features ask for", folder, name);
    if (!sb_is_float(tensor->dtype))
        return sb_fail(error, SB_UNSUPPORTED, "%s: tensor \"%s\" has dtype %s; weights must be f32, f16, bf16 or f64",
                       folder, name, tensor->stored_dtype);
    if (!tensor->data)
        return sb_fail(error, SB_UNSUPPORTED, "%s: the data file %s is missing", folder,
                       sb_checkpoint_missing_data(checkpoint));
    *param = (struct sb_param){tensor->data, tensor->dtype, rows ? rows : 1, columns, columns, 1};
    return sb_checkpoint_verify(checkpoint, tensor, error);
}

enum sb_status sb_dense_open(struct sb_dense *dense, const char *dir, const char *name, size_t in,
                             struct sb_error *error)
{
    size_t out = 0;
    bool has_bias = true;
    *dense = (struct sb_dense){0};
    char *folder = sb_path_join(dir, name);
    if (!folder)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read %s", dir);
    enum sb_status status = read_config(dense, &out, &has_bias, folder, in, error);
    if (status == SB_OK)
        status = sb_checkpoint_open(&dense->checkpoint, folder, error);
    if (status == SB_OK)
        status = find(&dense->kernel, dense->checkpoint, folder, "linear.weight", out, in, error);
    if (status == SB_OK && has_bias)
        status = find(&dense->bias, dense->checkpoint, folder, "linear.bias", 0, out, error);
    free(folder);
    return status;
}

void sb_dense_close(struct sb_dense *dense)
{
    sb_checkpoint_close(dense->checkpoint);
    *dense = (struct sb_dense){0};
}

struct cJSON *sb_dense_to_json(const struct sb_dense *dense)
{
    size_t i = 0;
    while (activations[i].activation != dense->activation)
        i++;
    cJSON *json = cJSON_CreateObject();
    if (json && cJSON_AddNumberToObject(json, "in_features", (double)dense->kernel.columns) &&
        cJSON_AddNumberToObject(json, "out_features", (double)dense->kernel.rows) &&
        cJSON_AddBoolToObject(json, "bias", dense->bias.data != NULL) &&
        cJSON_AddStringToObject(json, "activation_function", activations[i].class_name))
        return json;
    cJSON_Delete(json);
    return NULL;
}
