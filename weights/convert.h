/*
 * `simbert inspect` and `simbert convert` as library calls.
 */
#ifndef SB_WEIGHTS_CONVERT_H
#define SB_WEIGHTS_CONVERT_H

#include "base/buffer.h"
#include "base/dtype.h"
#include "base/status.h"
#include "weights/weights.h"

/* Appends a report on the directory: format, config, each tensor with shape, dtype and use, and the problems: what is
   missing, has the wrong shape or dtype, is damaged, or has its data missing. as_json: one JSON object instead of text
   for people. Needs no weights data.
   *fits is true if there is no problem; sb_weights_open then succeeds. It also succeeds when only a tensor is damaged
   that it does not use, or whose checksum it does not look at (pytorch_model.bin).
   A directory without readable weights is an error, one without a readable config is a problem. */
SB_MUST_CHECK enum sb_status sb_inspect(struct sb_buffer *report, bool *fits, const char *dir, bool as_json,
                                        struct sb_error *error);

/* Writes dst/{config.json, vocab or tokenizer files, model.safetensors} in Hugging Face names, and modules.json with
   its folders where src has it: opening dst gives the model of src. dtype SB_F32, SB_F16 or SB_BF16; SB_UNSUPPORTED
   when f16 can not hold a weight. dst is made if needed, and may be src. Existing model files in it are replaced one by
   one, each atomically, the weights last; a tokenizer or modules.json of another model is removed. */
SB_MUST_CHECK enum sb_status sb_convert(const char *src, const char *dst, enum sb_dtype dtype, struct sb_error *error);

/* Writes dst/{bert_config.json, vocab or tokenizer files, bert_model.ckpt.index, bert_model.ckpt.data-00000-of-00001} in Google's
   and SimBERT's names, with kernels [in, out], which Keras scripts (bert4keras) load; a Dense module stays safetensors. Otherwise
   as sb_convert. SB_INVALID when dst holds a config.json or weights that would be read in place of the new ones. */
SB_MUST_CHECK enum sb_status sb_convert_to_tensorflow(const char *src, const char *dst, enum sb_dtype dtype,
                                                      struct sb_error *error);

/* A tensor beside the model's own. */
struct sb_named_param {
    const char *name;
    bool is_matrix;
    struct sb_param param;
};

/* A model whose numbers come from memory. All borrowed for the call. */
struct sb_model_source {
    const char *dir; /* what its other files are copied from: tokenizer, modules, the config's own keys */
    const struct sb_config *config; /* may differ from that of dir in its sizes */
    struct sb_param (*get)(void *context, enum sb_param_role role, int layer); /* data NULL: the model has none */
    void *context;
    const struct sb_named_param *extras;
    size_t extra_count;
};

/* Writes such a model as sb_convert does. */
SB_MUST_CHECK enum sb_status sb_save_model(const struct sb_model_source *source, const char *dst, enum sb_dtype dtype,
                                           struct sb_error *error);

#endif
