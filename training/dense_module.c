#include "training/dense_module.h"

#include "base/buffer.h"
#include "base/file.h"
#include "weights/safetensors_write.h"

#include <stdlib.h>

static const char *class_of(enum sb_activation activation)
{
    switch (activation) {
    case SB_TANH: return "torch.nn.modules.activation.Tanh";
    case SB_RELU: return "torch.nn.modules.activation.ReLU";
    case SB_GELU_ERF: return "torch.nn.modules.activation.GELU";
    case SB_SWISH: return "torch.nn.modules.activation.SiLU";
    default: return "torch.nn.modules.linear.Identity";
    }
}

static enum sb_status write_json(const char *dir, const char *name, struct sb_buffer *json, struct sb_error *error)
{
    char *path = sb_path_join(dir, name);
    enum sb_status status = path && !json->failed
                                ? sb_write_file(path, json->data, json->length, error)
                                : sb_fail(error, SB_NO_MEMORY, "%s/%s: no memory to write it", dir, name);
    free(path);
    sb_buffer_free(json);
    return status;
}

static enum sb_status write_pooling(const char *folder, const struct sb_config *config, struct sb_error *error)
{
    struct sb_buffer json = {0};
    enum sb_status status = sb_make_folders(folder, error);
    if (status != SB_OK)
        return status;
    bool by_mean = config->pooling == SB_POOL_MEAN;
    sb_buffer_format(&json,
                     "{\"word_embedding_dimension\": %d, \"pooling_mode_cls_token\": %s, "
                     "\"pooling_mode_mean_tokens\": %s}\n",
                     config->hidden_size, by_mean ? "false" : "true", by_mean ? "true" : "false");
    return write_json(folder, "config.json", &json, error);
}

static enum sb_status write_numbers(const struct sb_dense_module *m, const char *folder, struct sb_error *error)
{
    const struct sb_tensor tensors[] = {{.name = "linear.weight", .dtype = SB_F32, .rank = 2, .shape = {m->out, m->in}},
                                        {.name = "linear.bias", .dtype = SB_F32, .rank = 1, .shape = {m->out}}};
    struct sb_safetensors_writer *writer = NULL;
    char *path = sb_path_join(folder, "model.safetensors");
    enum sb_status status = path ? sb_safetensors_begin(&writer, path, tensors, 2, error)
                                 : sb_fail(error, SB_NO_MEMORY, "%s: no memory to write it", folder);
    if (status == SB_OK)
        status = sb_safetensors_write(writer, m->kernel, m->out * m->in * sizeof *m->kernel, error);
    if (status == SB_OK)
        status = sb_safetensors_write(writer, m->bias, m->out * sizeof *m->bias, error);
    if (status == SB_OK)
        status = sb_safetensors_commit(writer, error);
    else
        sb_safetensors_abandon(writer);
    free(path);
    return status;
}

static enum sb_status write_dense(const struct sb_dense_module *m, const char *folder, struct sb_error *error)
{
    struct sb_buffer json = {0};
    enum sb_status status = sb_make_folders(folder, error);
    if (status == SB_OK)
        status = write_numbers(m, folder, error);
    if (status != SB_OK)
        return status;
    sb_buffer_format(&json,
                     "{\"in_features\": %zu, \"out_features\": %zu, \"bias\": true, "
                     "\"activation_function\": \"%s\"}\n",
                     m->in, m->out, class_of(m->activation));
    return write_json(folder, "config.json", &json, error);
}

static enum sb_status write_list(const char *dir, bool normalize, struct sb_error *error)
{
    static const char *const list[][2] = {
        {"Transformer", ""}, {"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}, {"Normalize", "3_Normalize"}};
    struct sb_buffer json = {0};
    for (int i = 0; i < 4 - !normalize; i++)
        sb_buffer_format(&json, "%s{\"idx\": %d, \"path\": \"%s\", \"type\": \"sentence_transformers.models.%s\"}",
                         i ? ",\n " : "[", i, list[i][1], list[i][0]);
    sb_buffer_text(&json, "]\n");
    return write_json(dir, "modules.json", &json, error);
}

enum sb_status sb_dense_module_write(const struct sb_dense_module *module, const char *dir,
                                     const struct sb_config *config, struct sb_error *error)
{
    char *pooling = sb_path_join(dir, "1_Pooling"), *dense = sb_path_join(dir, "2_Dense");
    enum sb_status status = pooling && dense ? write_pooling(pooling, config, error)
                                             : sb_fail(error, SB_NO_MEMORY, "%s: no memory to write it", dir);
    if (status == SB_OK)
        status = write_dense(module, dense, error);
    if (status == SB_OK)
        status = write_list(dir, config->normalize, error);
    free(pooling);
    free(dense);
    return status;
}
