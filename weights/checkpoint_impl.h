/*
 * Inside a checkpoint: the list that the readers of the file formats fill.
 *
 * Every reader takes bytes that somebody else keeps alive (a mapping, or a fuzzer's buffer) and a name for the errors:
 *
 *     struct sb_checkpoint *checkpoint = sb_checkpoint_new();
 *     sb_safetensors_read(checkpoint, "model.safetensors", bytes, size, &error);
 *     sb_checkpoint_finish(checkpoint, &error);      // sorts, refuses a name that occurs twice
 *     sb_checkpoint_close(checkpoint);
 */
#ifndef SB_WEIGHTS_CHECKPOINT_IMPL_H
#define SB_WEIGHTS_CHECKPOINT_IMPL_H

#include "base/file.h"
#include "weights/checkpoint.h"

#include <stdint.h>

enum {
    SB_MAX_TENSOR_NAME = 400, /* bytes; errors quote names whole */
    SB_MAX_SHARDS = 1000,
    SB_MAX_INDEX_BYTES = 16 << 20, /* model.safetensors.index.json and the like */
};

enum sb_checksum_kind { SB_CHECKSUM_NONE, SB_CHECKSUM_CRC32C, SB_CHECKSUM_CRC32 };

struct sb_checksum {
    enum sb_checksum_kind kind;
    uint32_t value;
    const void *data; /* the bytes it covers: the tensor's, or those of the storage that it is a view of */
    size_t size;
};

struct sb_stored {
    struct sb_tensor tensor; /* name points to the allocation below */
    char *name;
    struct sb_checksum checksum;
    const char *file; /* borrowed from the checkpoint's files: for errors */
};

struct sb_opened_file {
    char *path;
    struct sb_mapping mapping;
};

struct sb_checkpoint {
    char format[48];
    struct sb_stored *tensors; /* sorted by name after sb_checkpoint_finish */
    size_t count, capacity;
    struct sb_opened_file **files; /* a file's address stays when the list grows */
    size_t file_count, file_capacity;
    void **blocks; /* tensors that had to be copied to become row-major */
    size_t block_count, block_capacity;
    char *missing_data;
};

struct sb_checkpoint *sb_checkpoint_new(void); /* NULL when out of memory */

/* Names are shown to people and written to logs: UTF-8 without control characters, 1 to SB_MAX_TENSOR_NAME bytes. */
SB_MUST_CHECK enum sb_status sb_check_tensor_name(const char *file, const char *name, struct sb_error *error);

/* Adds a tensor; its name is copied, its data and checksum range are borrowed. file lives as long as the checkpoint. */
SB_MUST_CHECK enum sb_status sb_checkpoint_add(struct sb_checkpoint *checkpoint, const char *file,
                                               const struct sb_tensor *tensor, const struct sb_checksum *checksum,
                                               struct sb_error *error);

/* Remembers a path for as long as the checkpoint lives, and maps the file. *file is set even when there is no such file
   (SB_NOT_FOUND). */
SB_MUST_CHECK enum sb_status sb_checkpoint_map(struct sb_checkpoint *checkpoint, const struct sb_opened_file **file,
                                               const char *path, struct sb_error *error);

/* Takes ownership of a malloc'ed block; frees it at once when out of memory. */
SB_MUST_CHECK enum sb_status sb_checkpoint_keep(struct sb_checkpoint *checkpoint, void *block, struct sb_error *error);

SB_MUST_CHECK enum sb_status sb_checkpoint_finish(struct sb_checkpoint *checkpoint, struct sb_error *error);

/* NULL if absent; only after finish. */
const struct sb_stored *sb_checkpoint_find_stored(const struct sb_checkpoint *checkpoint, const char *name);

/* A format that parameters may have: sb_to_f32 reads it. */
bool sb_is_float(enum sb_dtype dtype);

/* *count = product of shape; false when it does not fit size_t. */
bool sb_shape_count(size_t *count, const size_t *shape, int rank);

/* The readers. `file` lives as long as the checkpoint, data at least as long as its tensors are read. */
SB_MUST_CHECK enum sb_status sb_safetensors_read(struct sb_checkpoint *checkpoint, const char *file, const void *data,
                                                 size_t size, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_pytorch_read(struct sb_checkpoint *checkpoint, const char *file, const void *data,
                                             size_t size, struct sb_error *error);

/* The bytes of "PREFIX.index" and the files PREFIX.data-* beside it; shards that are not there set missing_data. */
SB_MUST_CHECK enum sb_status sb_tf_bundle_read(struct sb_checkpoint *checkpoint, const char *index_file,
                                               const void *data, size_t size, struct sb_error *error);

/* Follows the weight_map of index_path to its shards in the same folder, each read by `read`. */
typedef enum sb_status (*sb_file_reader)(struct sb_checkpoint *checkpoint, const char *file, const void *data,
                                         size_t size, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_sharded_read(struct sb_checkpoint *checkpoint, const char *folder,
                                             const char *index_name, const char *format, sb_file_reader read,
                                             struct sb_error *error);

#endif
