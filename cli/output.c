#include "cli/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum sb_status sb_output_write(struct sb_buffer *buffer, struct sb_error *error)
{
    if (buffer->failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the output");
    for (size_t at = 0; at < buffer->length;) {
        ssize_t written = write(STDOUT_FILENO, buffer->data + at, buffer->length - at);
        if (written < 0 && errno == EPIPE)
            return sb_fail(error, SB_CANCELLED, "nobody reads the output any more");
        if (written < 0 && errno != EINTR)
            return sb_fail(error, SB_IO, "standard output: %s", strerror(errno));
        at += written > 0 ? (size_t)written : 0;
    }
    sb_buffer_reset(buffer);
    return SB_OK;
}
