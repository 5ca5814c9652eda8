/*
 * Checkpoints of a training run: everything that it needs to go on with the same bits, in one file a step.
 *
 *     struct sb_checkpoint_part parts[] = {{"weights", values, size * sizeof *values}, ...};
 *     sb_checkpoints_save(dir, step, parts, count, state_json, 2, &error);       // the last 2 stay
 *     ...
 *     uint64_t step;
 *     char *state;
 *     status = sb_checkpoints_load(dir, parts, count, &step, &state, &error);    // the newest that is whole
 *     if (status == SB_NOT_FOUND) ...                                            // begin at the beginning
 *
 * A file is written under another name, synced, renamed, and its folder synced, so a name that is there is a whole file;
 * a hash at its end tells what a disk has lost since. What is damaged is skipped for the one before it.
 *
 *     bytes 0..7   "SBCKPT01"
 *     then         a part: u32 length of its name, name, u64 bytes, data; the last part is "state", a JSON text
 *     last 32      digits of the hash over all before
 *
 * Numbers are in this machine's byte order (little-endian everywhere that we run).
 *
 * Thread rule: one run writes to a folder.
 */
#ifndef SB_TRAINING_CHECKPOINTS_H
#define SB_TRAINING_CHECKPOINTS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct sb_checkpoint_part {
    const char *name; /* not "state" */
    void *data;       /* read by save, written by load */
    size_t bytes;
};

/* The folder is made. state: JSON text. keep: how many of the newest files stay, 1 or more. SB_IO when it can not be
   written; the files before it are then untouched. */
SB_MUST_CHECK enum sb_status sb_checkpoints_save(const char *dir, uint64_t step, const struct sb_checkpoint_part *parts,
                                                 size_t count, const char *state, size_t keep, struct sb_error *error);

/* Fills the parts from the newest whole file that has exactly these parts; *state is the caller's to free. SB_NOT_FOUND when there
   is no file; SB_CORRUPT when there are, but none that is whole; SB_INVALID when the newest whole one is of another kind of run
   (other parts or sizes). After a failure the parts hold anything. */
SB_MUST_CHECK enum sb_status sb_checkpoints_load(const char *dir, const struct sb_checkpoint_part *parts, size_t count,
                                                 uint64_t *step, char **state, struct sb_error *error);

/* Path of the file of a step, in a buffer of the caller. */
void sb_checkpoints_path(char *path, size_t size, const char *dir, uint64_t step);

#endif
