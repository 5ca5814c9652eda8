/*
 * The texts that a command works on: its arguments, else the lines of a file, else those of standard input.
 *
 *     struct sb_texts *texts;
 *     struct sb_text_batch batch = {0};
 *     sb_texts_open(&texts, argv, count, input, &error);
 *     while (sb_texts_read(texts, &batch, 1000, &error) == SB_OK && batch.count > 0)
 *         for (size_t i = 0; i < batch.count; i++)
 *             use(sb_text_at(&batch, i));
 *     sb_text_batch_free(&batch);
 *     sb_texts_close(texts);
 *
 * A line ends with "\n" or "\r\n", and the last one may lack it. A batch ends early when the next line has not arrived
 * yet, so a program at the other end of a pipe that waits for an answer gets it.
 */
#ifndef SB_CLI_TEXTS_H
#define SB_CLI_TEXTS_H

#include "base/buffer.h"
#include "base/status.h"

#include <stddef.h>

struct sb_texts;

enum { SB_LINE_MAX = 1 << 20 }; /* bytes of a line */

struct sb_text {
    const char *text; /* UTF-8 that has been checked; may hold NUL; not ended by one */
    size_t size;
};

/* Zero-initialise. */
struct sb_text_batch {
    size_t first; /* how many texts came before */
    size_t count;
    struct sb_buffer bytes; /* all of them, one behind the other */
    size_t *ends;           /* [count]: where text i ends in bytes */
    size_t capacity;
};
struct sb_text sb_text_at(const struct sb_text_batch *batch, size_t i);
void sb_text_batch_free(struct sb_text_batch *batch);

/* arguments[count]: the texts, or count 0. input: a file's path, NULL or "-": standard input. Both: SB_INVALID. */
SB_MUST_CHECK enum sb_status sb_texts_open(struct sb_texts **texts, char **arguments, int count, const char *input,
                                           struct sb_error *error);
void sb_texts_close(struct sb_texts *texts); /* NULL is fine */

/* Replaces what batch holds by the next texts, at most limit; none at the end. Waits for the first one only.
   SB_INVALID, naming the line: not UTF-8. SB_LIMIT: longer than SB_LINE_MAX. */
SB_MUST_CHECK enum sb_status sb_texts_read(struct sb_texts *texts, struct sb_text_batch *batch, size_t limit,
                                           struct sb_error *error);

/* "line 17 of standard input", "text 3": text number index (from 0) as errors call it. */
void sb_texts_name(const struct sb_texts *texts, size_t index, char *out, size_t size);

#endif
