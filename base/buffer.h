/*
 * A byte buffer that grows, for building text: JSON bodies, metrics, reports.
 *
 *     struct sb_buffer b = {0};
 *     sb_buffer_text(&b, "{\"text\":");
 *     sb_buffer_json_string(&b, text, length);
 *     sb_buffer_text(&b, "}");
 *     if (b.failed) ...            // out of memory: remembered, checked once at the end
 *     send(b.data, b.length);
 *     sb_buffer_free(&b);
 *
 * A zeroed struct is an empty buffer. data is NUL-terminated whenever it is not NULL (length does not count the NUL).
 * After a failed allocation every call is a no-op and failed stays true. Not thread-safe.
 */
#ifndef SB_BASE_BUFFER_H
#define SB_BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct sb_buffer {
    char *data;
    size_t length, capacity;
    bool failed;
};

void sb_buffer_bytes(struct sb_buffer *buffer, const void *bytes, size_t length);
void sb_buffer_text(struct sb_buffer *buffer, const char *text);
void sb_buffer_format(struct sb_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sb_buffer_format_list(struct sb_buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The shortest of %.6g .. %.9g that reads back as the same float; NaN and infinities, which JSON can not say, give
 * null. */
void sb_buffer_float(struct sb_buffer *buffer, float value);

/* A JSON string with its quotes; text is UTF-8 and may hold NUL bytes. */
void sb_buffer_json_string(struct sb_buffer *buffer, const char *text, size_t length);

/* Keeps the memory, drops the content. */
void sb_buffer_reset(struct sb_buffer *buffer);
void sb_buffer_free(struct sb_buffer *buffer);

/* Hands the bytes over (the caller frees them with free()); the buffer is empty afterwards. NULL when failed, empty. */
char *sb_buffer_take(struct sb_buffer *buffer, size_t *length);

#endif
