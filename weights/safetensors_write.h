/*
 * Writes a safetensors file, header first, then the tensors one behind the other; the file appears when it is complete.
 *
 *     struct sb_tensor tensors[] = {{.name = "w", .dtype = SB_F32, .rank = 2, .shape = {2, 3}}};
 *     struct sb_safetensors_writer *writer;
 *     if (sb_safetensors_begin(&writer, "model.safetensors", tensors, 1, &error) == SB_OK &&
 *         sb_safetensors_write(writer, numbers, sizeof numbers, &error) == SB_OK)
 *         status = sb_safetensors_commit(writer, &error);
 *     else
 *         sb_safetensors_abandon(writer);
 *
 * Not thread-safe.
 */
#ifndef SB_WEIGHTS_SAFETENSORS_WRITE_H
#define SB_WEIGHTS_SAFETENSORS_WRITE_H

#include "weights/checkpoint.h"

struct sb_safetensors_writer;

/* name, dtype, rank and shape of each tensor are used (not count, not data), and only during the call. *writer is NULL
   on failure. A dtype of SB_DTYPE_OTHER is SB_INVALID. */
SB_MUST_CHECK enum sb_status sb_safetensors_begin(struct sb_safetensors_writer **writer, const char *path,
                                                  const struct sb_tensor *tensors, size_t count,
                                                  struct sb_error *error);

/* The next bytes of the data: all tensors in the order given to begin, in pieces of any size. */
SB_MUST_CHECK enum sb_status sb_safetensors_write(struct sb_safetensors_writer *writer, const void *data, size_t size,
                                                  struct sb_error *error);

/* Puts the file in its place and frees the writer, also on failure. SB_INVALID when not all, or more, was written. */
SB_MUST_CHECK enum sb_status sb_safetensors_commit(struct sb_safetensors_writer *writer, struct sb_error *error);

/* Gives up; NULL is fine. */
void sb_safetensors_abandon(struct sb_safetensors_writer *writer);

#endif
