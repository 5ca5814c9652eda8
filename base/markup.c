#include "base/markup.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_allowed(int32_t c)
{
    return c >= 0x20 ? c != 0xFFFE && c != 0xFFFF : c == '\t' || c == '\n' || c == '\r';
}

static const char *reference(int32_t c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return is_allowed(c) ? NULL : "\xEF\xBF\xBD";
    }
}

void sb_markup_text(struct sb_buffer *out, const char *text, size_t size)
{
    size_t plain = 0; /* start of the run that stays as it is */
    for (size_t at = 0; at < size;) {
        size_t start = at;
        const char *instead = reference(sb_utf8_next(text, size, &at));
        if (!instead)
            continue;
        sb_buffer_bytes(out, text + plain, start - plain);
        sb_buffer_text(out, instead);
        plain = at;
    }
    sb_buffer_bytes(out, text + plain, size - plain);
}
