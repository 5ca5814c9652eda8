/*
 * Writes a TensorFlow checkpoint: PREFIX.data-00000-of-00001, the tensors one behind the other, and PREFIX.index, which appears
 * last and makes them a checkpoint.
 *
 *     struct sb_tensor tensors[] = {{.name = "w", .dtype = SB_F32, .rank = 2, .shape = {2, 3}}};
 *     struct sb_tf_writer *writer;
 *     if (sb_tf_begin(&writer, "bert_model.ckpt", tensors, 1, &error) == SB_OK &&
 *         sb_tf_write(writer, numbers, sizeof numbers, &error) == SB_OK)
 *         status = sb_tf_commit(writer, &error);
 *     else
 *         sb_tf_abandon(writer);
 *
 * The bytes are those that TensorFlow writes for the same tensors. Each file is replaced atomically; a crash between the two leaves
 * data that the old index's checksums do not fit, which a reader notices. Not thread-safe.
 */
#ifndef SB_WEIGHTS_TF_WRITE_H
#define SB_WEIGHTS_TF_WRITE_H

#include "weights/checkpoint.h"

struct sb_tf_writer;

/* name, dtype, rank and shape of each tensor are used (not count, not data), and only during the call. Names must rise, as
   strcmp orders them. *writer is NULL on failure; SB_INVALID names a tensor that can not be written. */
SB_MUST_CHECK enum sb_status sb_tf_begin(struct sb_tf_writer **writer, const char *prefix,
                                         const struct sb_tensor *tensors, size_t count, struct sb_error *error);

/* The next bytes of the data: all tensors in the order given to begin, in pieces of any size. */
SB_MUST_CHECK enum sb_status sb_tf_write(struct sb_tf_writer *writer, const void *data, size_t size,
                                         struct sb_error *error);

/* Puts both files in their places and frees the writer, also on failure. SB_INVALID when not all, or more, was written. */
SB_MUST_CHECK enum sb_status sb_tf_commit(struct sb_tf_writer *writer, struct sb_error *error);

/* Gives up; NULL is fine. */
void sb_tf_abandon(struct sb_tf_writer *writer);

#endif
