/*
 * `simbert inspect` and `simbert convert` as library calls.
 */
#ifndef SB_WEIGHTS_CONVERT_H
#define SB_WEIGHTS_CONVERT_H

#include "base/buffer.h"
#include "base/dtype.h"
#include "base/status.h"

/* Appends a report on the directory: format, config, each tensor with shape and dtype, and what does not fit (missing, unknown,
   wrong shape, bad checksum, missing data). as_json: one JSON object instead of text for people. Needs no weights data.
   *fits is true if the model can be opened. An unreadable directory is an error. */
SB_MUST_CHECK enum sb_status sb_inspect(struct sb_buffer *report, bool *fits, const char *dir, bool as_json, struct sb_error *error);

/* Writes dst/{config.json, vocab or tokenizer files, model.safetensors} in Hugging Face names. dtype SB_F32, SB_F16 or SB_BF16.
   dst is made if needed; existing model files in it are replaced one by one, each atomically. */
SB_MUST_CHECK enum sb_status sb_convert(const char *src, const char *dst, enum sb_dtype dtype, struct sb_error *error);

#endif
