/*
 * One interface over stored tensors: a TensorFlow "bundle" (.index + .data), safetensors (one file or shards with
 * model.safetensors.index.json), pytorch_model.bin (zip + pickle read by whitelist, nothing executed).
 *
 *     struct sb_checkpoint *checkpoint;
 *     if (sb_checkpoint_open(&checkpoint, dir, &error) == SB_OK)
 *         for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++)
 *             puts(sb_checkpoint_at(checkpoint, i)->name);
 *     sb_checkpoint_close(checkpoint);
 *
 * The files stay memory-mapped; tensors point into them. Thread rule: immutable after open.
 * Of several checkpoints in a folder, the first of model.safetensors, its index of shards, pytorch_model.bin, its index
 * of shards, bert_model.ckpt, the only other *.index is taken. All sizes, offsets and shapes are checked at open: a
 * tensor that is returned can be read in full.
 */
#ifndef SB_WEIGHTS_CHECKPOINT_H
#define SB_WEIGHTS_CHECKPOINT_H

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { SB_MAX_RANK = 8 };

struct sb_tensor {
    const char *name;
    enum sb_dtype dtype;
    const char *stored_dtype; /* the file's own word for it, e.g. "BF16", "DT_FLOAT" */
    int rank;
    size_t shape[SB_MAX_RANK];
    size_t count;      /* product of shape */
    const void *data;  /* count elements, row-major, any alignment; NULL when the data file is missing (index only) */
    bool has_checksum; /* the format stores one */
};

struct sb_checkpoint;

SB_MUST_CHECK enum sb_status sb_checkpoint_open(struct sb_checkpoint **checkpoint, const char *dir,
                                                struct sb_error *error);
void sb_checkpoint_close(struct sb_checkpoint *checkpoint);

/* "safetensors", "safetensors (3 shards)", "tensorflow (2 shards)", "pytorch". */
const char *sb_checkpoint_format(const struct sb_checkpoint *checkpoint);
size_t sb_checkpoint_count(const struct sb_checkpoint *checkpoint);
const struct sb_tensor *sb_checkpoint_at(const struct sb_checkpoint *checkpoint, size_t index); /* sorted by name */
const struct sb_tensor *sb_checkpoint_find(const struct sb_checkpoint *checkpoint,
                                           const char *name); /* NULL if absent */

/* Path of a data file that is missing, or NULL when all data is there. */
const char *sb_checkpoint_missing_data(const struct sb_checkpoint *checkpoint);

/* Recomputes the tensor's checksum where the format has one. SB_CORRUPT when it differs. */
SB_MUST_CHECK enum sb_status sb_checkpoint_verify(const struct sb_checkpoint *checkpoint,
                                                  const struct sb_tensor *tensor, struct sb_error *error);

/* Gives back the memory of the pages that were read so far; they are read again from the file when they are touched. Call it once
   the weights have been copied out. */
void sb_checkpoint_forget_pages(const struct sb_checkpoint *checkpoint);

#endif
