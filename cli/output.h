/*
 * Standard output, with every error seen: a full disk as well as a reader that has gone.
 *
 *     struct sb_buffer out = {0};
 *     sb_buffer_format(&out, "%d\n", 42);
 *     if (sb_output_write(&out, &error) != SB_OK) ...
 *     sb_buffer_free(&out);
 */
#ifndef SB_CLI_OUTPUT_H
#define SB_CLI_OUTPUT_H

#include "base/buffer.h"
#include "base/status.h"

/* Writes all of it and resets the buffer. SB_NO_MEMORY if the buffer has failed, SB_CANCELLED if nobody reads the pipe
   any more (SIGPIPE must be ignored), else SB_IO. */
SB_MUST_CHECK enum sb_status sb_output_write(struct sb_buffer *buffer, struct sb_error *error);

#endif
