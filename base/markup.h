/*
 * Text from outside inside of HTML and SVG.
 *
 *     sb_buffer_text(&out, "<td title=\"");
 *     sb_markup_text(&out, path, strlen(path));
 *     sb_buffer_text(&out, "\">");
 *
 * Thread rule: that of the buffer.
 */
#ifndef SB_BASE_MARKUP_H
#define SB_BASE_MARKUP_H

#include "base/buffer.h"

#include <stddef.h>

/* Appends text as it may stand between tags and in quoted attributes of HTML and XML: & < > " ' as references, and U+FFFD
   for what XML 1.0 can not hold: malformed UTF-8, control characters but tab and newlines, U+FFFE and U+FFFF. */
void sb_markup_text(struct sb_buffer *out, const char *text, size_t size);

#endif
