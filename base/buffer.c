#include "base/buffer.h"

#include "base/float_text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for extra bytes and the NUL behind them. */
static bool reserve(struct sb_buffer *buffer, size_t extra)
{
    if (buffer->failed)
        return false;
    if (extra < buffer->capacity - buffer->length)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->length <= extra) {
        if (capacity > SIZE_MAX / 2) {
            buffer->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void sb_buffer_bytes(struct sb_buffer *buffer, const void *bytes, size_t length)
{
    if (!reserve(buffer, length))
        return;
    if (length)
        memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void sb_buffer_text(struct sb_buffer *buffer, const char *text)
{
    sb_buffer_bytes(buffer, text, strlen(text));
}

void sb_buffer_format_list(struct sb_buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) {
        buffer->failed = true;
    } else if (reserve(buffer, (size_t)n)) {
        vsnprintf(buffer->data + buffer->length, (size_t)n + 1, format, again);
        buffer->length += (size_t)n;
    }
    va_end(again);
}

void sb_buffer_format(struct sb_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    sb_buffer_format_list(buffer, format, args);
    va_end(args);
}

void sb_buffer_float(struct sb_buffer *buffer, float value)
{
    if (!isfinite(value)) {
        sb_buffer_text(buffer, "null");
        return;
    }
    char text[SB_FLOAT_TEXT_MAX];
    sb_buffer_bytes(buffer, text, sb_float_text(text, value));
}

void sb_buffer_json_string(struct sb_buffer *buffer, const char *text, size_t length)
{
    sb_buffer_bytes(buffer, "\"", 1);
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F)
            continue;
        sb_buffer_bytes(buffer, text + plain, i - plain);
        plain = i + 1;
        switch (c) {
        case '"': sb_buffer_text(buffer, "\\\""); break;
        case '\\': sb_buffer_text(buffer, "\\\\"); break;
        case '\n': sb_buffer_text(buffer, "\\n"); break;
        case '\r': sb_buffer_text(buffer, "\\r"); break;
        case '\t': sb_buffer_text(buffer, "\\t"); break;
        default: sb_buffer_format(buffer, "\\u%04x", c);
        }
    }
    sb_buffer_bytes(buffer, text + plain, length - plain);
    sb_buffer_bytes(buffer, "\"", 1);
}

void sb_buffer_reset(struct sb_buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void sb_buffer_free(struct sb_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct sb_buffer){0};
}

char *sb_buffer_take(struct sb_buffer *buffer, size_t *length)
{
    char *data = buffer->failed ? NULL : buffer->data;
    if (length)
        *length = data ? buffer->length : 0;
    if (!data)
        free(buffer->data);
    *buffer = (struct sb_buffer){0};
    return data;
}
