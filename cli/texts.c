#include "cli/texts.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 16 };

struct sb_texts {
    char **arguments; /* [argument_count]; NULL: lines of a file */
    size_t argument_count;
    const char *source; /* what errors call the file */
    int fd;
    size_t next; /* number of the next text */
    bool at_end;
    size_t start, end; /* bytes[start, end) have been read and not been handed out */
    char bytes[READ_SIZE];
};

enum sb_status sb_texts_open(struct sb_texts **texts, char **arguments, int count, const char *input,
                             struct sb_error *error)
{
    *texts = NULL;
    if (count > 0 && input)
        return sb_fail(error, SB_INVALID, "texts come as arguments or from --input %s, not both", input);
    bool is_file = input && strcmp(input, "-") != 0;
    struct sb_texts *t = malloc(sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read texts");
    memset(t, 0, offsetof(struct sb_texts, bytes));
    t->arguments = count > 0 ? arguments : NULL;
    t->argument_count = count > 0 ? (size_t)count : 0;
    t->source = is_file ? input : "standard input";
    t->fd = is_file ? open(input, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (t->fd < 0) {
        free(t);
        return sb_fail(error, errno == ENOENT ? SB_NOT_FOUND : SB_IO, "%s: %s", input, strerror(errno));
    }
    if (!t->arguments && !is_file && isatty(STDIN_FILENO))
        fputs("one text a line, please; Ctrl-D ends\n", stderr);
    *texts = t;
    return SB_OK;
}

void sb_texts_close(struct sb_texts *texts)
{
    if (texts && texts->fd != STDIN_FILENO)
        close(texts->fd);
    free(texts);
}

void sb_texts_name(const struct sb_texts *texts, size_t index, char *out, size_t size)
{
    if (texts->arguments)
        snprintf(out, size, "text %zu", index + 1);
    else
        snprintf(out, size, "line %zu of %s", index + 1, texts->source);
}

/* ---- batches ---- */

struct sb_text sb_text_at(const struct sb_text_batch *batch, size_t i)
{
    size_t start = i ? batch->ends[i - 1] : 0;
    return (struct sb_text){batch->bytes.data + start, batch->ends[i] - start};
}

void sb_text_batch_free(struct sb_text_batch *batch)
{
    sb_buffer_free(&batch->bytes);
    free(batch->ends);
    *batch = (struct sb_text_batch){0};
}

/* Where the text that is being gathered starts. */
static size_t open_start(const struct sb_text_batch *batch)
{
    return batch->count ? batch->ends[batch->count - 1] : 0;
}

static enum sb_status append(struct sb_texts *t, struct sb_text_batch *batch, const char *bytes, size_t size,
                             struct sb_error *error)
{
    char name[300];
    if (size > SB_LINE_MAX - (batch->bytes.length - open_start(batch))) {
        sb_texts_name(t, t->next, name, sizeof name);
        return sb_fail(error, SB_LIMIT, "%s is longer than %d bytes", name, SB_LINE_MAX);
    }
    sb_buffer_bytes(&batch->bytes, bytes, size);
    return batch->bytes.failed ? sb_fail(error, SB_NO_MEMORY, "no memory to read texts") : SB_OK;
}

/* Ends the text that is being gathered. */
static enum sb_status complete(struct sb_texts *t, struct sb_text_batch *batch, struct sb_error *error)
{
    char name[300];
    size_t start = open_start(batch), bad;
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
        size_t *ends = realloc(batch->ends, capacity * sizeof *ends);
        if (!ends)
            return sb_fail(error, SB_NO_MEMORY, "no memory to read texts");
        batch->ends = ends;
        batch->capacity = capacity;
    }
    if (!sb_utf8_valid(batch->bytes.data + start, batch->bytes.length - start, &bad)) {
        sb_texts_name(t, t->next, name, sizeof name);
        return sb_fail(error, SB_INVALID, "%s is not UTF-8: byte %zu is 0x%02X", name, bad + 1,
                       (unsigned char)batch->bytes.data[start + bad]);
    }
    batch->ends[batch->count++] = batch->bytes.length;
    t->next++;
    return SB_OK;
}

/* ---- lines ---- */

/* Reads more bytes. Only when all have been handed out. */
static enum sb_status refill(struct sb_texts *t, struct sb_error *error)
{
    ssize_t n;
    do
        n = read(t->fd, t->bytes, READ_SIZE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return sb_fail(error, SB_IO, "%s: %s", t->source, strerror(errno));
    t->start = 0;
    t->end = (size_t)n;
    t->at_end = n == 0;
    return SB_OK;
}

static bool would_wait(const struct sb_texts *t)
{
    struct pollfd more = {.fd = t->fd, .events = POLLIN};
    return t->start == t->end && poll(&more, 1, 0) == 0;
}

/* One line; none at the end of the file. */
static enum sb_status read_line(struct sb_texts *t, struct sb_text_batch *batch, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    const char *newline = NULL;
    size_t start = open_start(batch);
    while (!newline && status == SB_OK) {
        if (t->start == t->end) {
            status = refill(t, error);
            if (status != SB_OK || t->at_end)
                break;
        }
        const char *from = t->bytes + t->start;
        newline = memchr(from, '\n', t->end - t->start);
        size_t size = newline ? (size_t)(newline - from) : t->end - t->start;
        status = append(t, batch, from, size, error);
        t->start += size + (newline ? 1 : 0);
    }
    if (status != SB_OK || (t->at_end && batch->bytes.length == start))
        return status;
    if (batch->bytes.length > start && batch->bytes.data[batch->bytes.length - 1] == '\r')
        batch->bytes.length--;
    return complete(t, batch, error);
}

enum sb_status sb_texts_read(struct sb_texts *texts, struct sb_text_batch *batch, size_t limit, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    sb_buffer_reset(&batch->bytes);
    batch->count = 0;
    batch->first = texts->next;
    while (status == SB_OK && batch->count < limit) {
        if (texts->arguments) {
            if (texts->next == texts->argument_count)
                break;
            const char *text = texts->arguments[texts->next];
            status = append(texts, batch, text, strlen(text), error);
            if (status == SB_OK)
                status = complete(texts, batch, error);
        } else {
            if (texts->at_end || (batch->count > 0 && would_wait(texts)))
                break;
            status = read_line(texts, batch, error);
        }
    }
    return status;
}
