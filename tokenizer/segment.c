/*
 * Cutting long text at the best separators: the reference's text_segmentate (REFERENCE section 3).
 *
 * Text within the limit is a piece. Longer text is split at the first separator; its parts, each with the separator behind it, are
 * merged greedily while they fit, and what is still too long is cut by the remaining separators.
 */
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

#include <string.h>

enum { MAX_SEPARATORS = 64 };

struct view {
    const char *text;
    size_t size;
};

struct segmentation {
    size_t limit;
    struct view separators[MAX_SEPARATORS];
    size_t separator_count;
    const char *strips; /* NULL: white space only */
    void (*piece)(void *context, const char *text, size_t size);
    void *context;
};

static bool is_stripped(const char *strips, int32_t c)
{
    if (!strips)
        return sb_char_is_python_space(c);
    for (size_t at = 0, size = strlen(strips); at < size;)
        if (sb_utf8_next(strips, size, &at) == c)
            return true;
    return false;
}

static int32_t last_character(struct view v, size_t *start)
{
    *start = v.size - 1;
    while (*start > 0 && ((unsigned char)v.text[*start] & 0xC0) == 0x80)
        (*start)--;
    size_t at = *start;
    return sb_utf8_next(v.text, v.size, &at);
}

static struct view strip(struct view v, const char *strips)
{
    for (size_t at = 0; v.size > 0; at = 0) {
        if (!is_stripped(strips, sb_utf8_next(v.text, v.size, &at)))
            break;
        v.text += at;
        v.size -= at;
    }
    for (size_t start; v.size > 0; v.size = start)
        if (!is_stripped(strips, last_character(v, &start)))
            break;
    return v;
}

static size_t characters(struct view v)
{
    return sb_utf8_length(v.text, v.size);
}

/* The depth of the recursion is the number of separators. */
static void segment(const struct segmentation *s, struct view text, size_t separator)
{
    text = strip(strip(text, NULL), s->strips);
    if (separator == s->separator_count || characters(text) <= s->limit) {
        s->piece(s->context, text.text, text.size);
        return;
    }
    struct view sep = s->separators[separator];
    size_t merged_start = 0, merged = 0; /* merged: characters since merged_start, separators included */
    for (size_t start = 0; start <= text.size;) {
        const char *found = memmem(text.text + start, text.size - start, sep.text, sep.size);
        struct view part = {text.text + start, found ? (size_t)(found - text.text) - start : text.size - start};
        size_t length = characters(part);
        if (merged > 0 && length > 0 && merged + length + 1 > s->limit) {
            segment(s, (struct view){text.text + merged_start, start - merged_start}, separator + 1);
            merged_start = start;
            merged = 0;
        }
        merged += length + (found != NULL);
        if (!found)
            break;
        start += part.size + sep.size;
    }
    if (merged > 0)
        segment(s, (struct view){text.text + merged_start, text.size - merged_start}, separator + 1);
}

enum sb_status sb_segment_text(const char *text, size_t size, size_t limit, const char *seps, const char *strips,
                               void (*piece)(void *context, const char *text, size_t size), void *context,
                               struct sb_error *error)
{
    struct segmentation s = {.limit = limit, .piece = piece, .context = context, .strips = strips};
    size_t bad;
    if (!sb_utf8_valid(text, size, &bad))
        return sb_fail(error, SB_INVALID, "text: malformed UTF-8 at byte %zu", bad);
    for (size_t at = 0, length = strlen(seps); at < length;) {
        size_t start = at;
        if (sb_utf8_next(seps, length, &at) < 0 || s.separator_count == MAX_SEPARATORS)
            return sb_fail(error, SB_INVALID, "separators: malformed, or more than %d", MAX_SEPARATORS);
        s.separators[s.separator_count++] = (struct view){seps + start, at - start};
    }
    segment(&s, (struct view){text, size}, 0);
    return SB_OK;
}
