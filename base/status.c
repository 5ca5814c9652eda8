#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message cut by its buffer may end inside a character: drop the unfinished one. */
static void trim_to_whole_characters(char *text)
{
    size_t n = strlen(text), start = n;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (n - (start - 1) < wanted)
        text[start - 1] = '\0';
}

enum sb_status sb_fail(struct sb_error *error, enum sb_status status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
        trim_to_whole_characters(error->message);
    }
    return status;
}

enum sb_status sb_fail_context(struct sb_error *error, enum sb_status status, const char *format, ...)
{
    if (error) {
        char context[256], old[sizeof error->message];
        va_list args;
        va_start(args, format);
        vsnprintf(context, sizeof context, format, args);
        va_end(args);
        memcpy(old, error->message, sizeof old);
        error->status = status;
        int written = snprintf(error->message, sizeof error->message, "%s: ", context);
        size_t used = written < 0 ? 0 : (size_t)written;
        if (used < sizeof error->message)
            snprintf(error->message + used, sizeof error->message - used, "%s", old);
        trim_to_whole_characters(error->message);
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
    case SB_CANCELLED: return "cancelled";
    case SB_INTERNAL: return "internal";
    }
    return "unknown";
}
