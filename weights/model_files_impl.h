/* The files of a model beside its weights and config: tokenizer, sentence-transformers modules. */
#ifndef SB_WEIGHTS_MODEL_FILES_IMPL_H
#define SB_WEIGHTS_MODEL_FILES_IMPL_H

#include "weights/config.h"

#include <cjson/cJSON.h>

#define SB_DENSE_FOLDER "2_Dense"

/* Makes dst's tokenizer and modules those of src. A tokenizer is replaced as a whole: when src has one, files of
   another tokenizer are removed from dst; when src has none, dst's stays. Nothing happens when both are one folder, but
   that modules are rewritten. */
SB_MUST_CHECK enum sb_status sb_copy_model_files(const char *src, const char *dst, const struct sb_config *config,
                                                 struct sb_error *error);

/* Writes folder/name and deletes json; NULL is taken as out of memory. */
SB_MUST_CHECK enum sb_status sb_write_json_file(const char *folder, const char *name, cJSON *json,
                                                struct sb_error *error);

#endif
