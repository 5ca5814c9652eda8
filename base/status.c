#include "base/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Makes text well-formed: a character that the buffer's end cut is dropped, any other malformed byte (a message may
   quote a request) becomes '?'. */
static void make_whole(char *text)
{
    size_t size = strlen(text), at = 0;
    while (at < size) {
        size_t start = at;
        if (sb_utf8_next(text, size, &at) >= 0)
            continue;
        bool unfinished = size - start < 4 && (unsigned char)text[start] >= 0xC2;
        for (size_t i = start + 1; i < size; i++)
            unfinished = unfinished && ((unsigned char)text[i] & 0xC0) == 0x80;
        text[start] = unfinished ? '\0' : '?';
        if (unfinished)
            return;
    }
}

enum sb_status sb_fail(struct sb_error *error, enum sb_status status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
        make_whole(error->message);
    }
    return status;
}

enum sb_status sb_fail_context(struct sb_error *error, enum sb_status status, const char *format, ...)
{
    if (error) {
        char context[256], whole[sizeof context + 2 + sizeof error->message];
        va_list args;
        va_start(args, format);
        vsnprintf(context, sizeof context, format, args);
        va_end(args);
        make_whole(context);
        snprintf(whole, sizeof whole, "%s: %s", context, error->message);
        memcpy(error->message, whole, sizeof error->message);
        error->message[sizeof error->message - 1] = '\0';
        make_whole(error->message);
        error->status = status;
    }
    return status;
}

const char *sb_status_name(enum sb_status status)
{
    switch (status) {
    case SB_OK: return "ok";
    case SB_INVALID: return "invalid";
    case SB_NOT_FOUND: return "not_found";
    case SB_CONFLICT: return "conflict";
    case SB_IO: return "io";
    case SB_CORRUPT: return "corrupt";
    case SB_UNSUPPORTED: return "unsupported";
    case SB_LIMIT: return "limit";
    case SB_NO_MEMORY: return "no_memory";
    case SB_OVERLOADED: return "overloaded";
    case SB_DEADLINE: return "deadline";
    case SB_UNAVAILABLE: return "unavailable";
    case SB_CANCELLED: return "cancelled";
    case SB_INTERNAL: return "internal";
    }
    return "unknown";
}
